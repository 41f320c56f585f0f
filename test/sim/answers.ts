/** What runs get of others, and others of them: the results of what they invoked, the events that they waited for, the events about their ends. */
import type { EventRecord } from '../../src/ports.ts';
import { CANCELLED, FAILED, FINISHED, type StoredEvent } from '../../src/protocol/event.ts';
import { HOUR } from '../../src/lib/time.ts';
import type { SettledStep } from '../../src/run/state.ts';
import type { Scene } from './invariants.ts';
import type { RunObject } from './objects.ts';
import { type InvokeNode, nodesOf, type Program, startedBy, type WaitNode } from './programs.ts';
import { causeOf, eventOf, outcomeOf, outputOf, runOf } from './rows.ts';
import { ENV } from './senders.ts';
import { allEvents, keyOf } from './store.ts';

const ENDS = [FAILED, CANCELLED, FINISHED];
/** An event that came this long before the end of a run, held-ups aside, has cancelled it. */
const CANCELS_WITHIN = 12 * HOUR;

export class Answers {
  readonly #scene: Scene;
  readonly #started: RunObject[];
  readonly #dead: ReadonlySet<string>;
  /** Those that are no repeats of others. */
  readonly #events: EventRecord[];
  /** By what started them and their function. */
  readonly #runs: ReadonlyMap<string, RunObject>;

  private constructor(scene: Scene, started: RunObject[], dead: ReadonlySet<string>, events: EventRecord[]) {
    this.#scene = scene;
    this.#started = started;
    this.#dead = dead;
    this.#events = events.filter(({ duplicateOf }) => duplicateOf === null);
    this.#runs = new Map(started.map((object) => [`${causeOf(object)} ${object.watch.program}`, object]));
  }

  /** @param dead events that were given up, by their keys. */
  static async of(scene: Scene, started: RunObject[], dead: ReadonlySet<string>): Promise<Answers> {
    return new Answers(scene, started, dead, await allEvents(scene.engine.db.inside, ENV));
  }

  check(): void {
    for (const object of this.#started) {
      const program = this.#scene.programs.get(object.watch.program ?? '');
      if (program === undefined) continue;
      this.#checkEnds(object);
      this.#checkCancelOn(object, program);
      for (const [key, node] of nodesOf(program)) {
        const step = object.watch.settled.get(key);
        if (step === undefined) continue;
        if (node.kind === 'invoke') this.#checkInvoked(object, node, step);
        if (node.kind === 'wait') this.#checkWaited(object, node, step);
      }
    }
    for (const { event, deadReason } of this.#events) if (deadReason === null) this.#checkStarts(event);
  }

  /** What the engine announces starts those who listen, as what others send does. */
  #checkStarts(event: StoredEvent): void {
    if (event.target === undefined && !ENDS.includes(event.name)) return;
    for (const { id } of startedBy(this.#scene.programs.values(), event))
      if (!this.#runs.has(`${keyOf(event)} ${id}`)) this.#wrong(`${keyOf(event)} has no run of ${id}`);
  }

  /** Every run's end is announced once, except where that would never end. */
  #checkEnds(object: RunObject): void {
    const status = runOf(object)?.end?.status;
    const cause = eventOf(object)?.name;
    const own = status === 'Failed' ? [FAILED] : status === 'Cancelled' ? [CANCELLED] : [];
    const all = cause === FINISHED ? [] : cause === FAILED ? own : [...own, FINISHED];
    const wanted = cause === FAILED ? all.filter((name) => name === FAILED) : all;
    const seen = this.#events.filter(
      ({ event }) => ENDS.includes(event.name) && event.data['run_id'] === object.id,
    );
    const names = seen.map(({ event }) => event.name);
    if (names.toSorted().join() !== wanted.toSorted().join())
      this.#wrong(`${object.id} is ${status} and announced as [${names.join()}], not [${wanted.join()}]`);
  }

  #checkInvoked(object: RunObject, node: InvokeNode, step: SettledStep): void {
    const child = this.#runs.get(`${object.id}/${node.key} ${node.functionId}`);
    const outcome = outcomeOf(object, step);
    if (child !== undefined && isAnswerOf(child, step.ok, outcome)) return;
    const wrong = step.ok ? 'a result of nobody' : this.#excuse(object, node, step, outcome);
    if (wrong === null) return;
    const what = child === undefined ? 'no run was started' : `${child.id} came to ${outputOf(child)}`;
    this.#wrong(`${object.id} step ${node.key} has ${outcome} (${wrong}), and ${what}`);
  }

  /** Why an invocation may fail without an answer of its run; null when this is one. */
  #excuse(object: RunObject, { key, functionId, timeout }: InvokeNode, step: SettledStep, outcome: string) {
    const name = `${object.id}/${key}`;
    const isDead = this.#dead.has(name) || this.#scene.engine.lost.has(name);
    if (!this.#scene.programs.has(functionId) && outcome.includes('functionNotFound')) return null;
    if (!outcome.includes('did not end in time')) return 'not the answer';
    // Nobody tells the parents of an event that was given up.
    const least = timeout ?? (isDead ? 0 : Infinity);
    return step.endedAt < step.startedAt + least ? 'out of time too early' : null;
  }

  /** What the wait was for: `all` that fit, and of these the ones that came in time beyond doubt. */
  #awaited(object: RunObject, node: WaitNode, step: SettledStep) {
    const began = eventOf(object)?.receivedAt ?? step.startedAt;
    const since = node.lookBack === 'run' ? began : step.startedAt - node.lookBack;
    const until = step.startedAt + node.timeout;
    const all = this.#events.filter(
      ({ event }) =>
        event.name === node.event &&
        (node.n === null || event.data['n'] === node.n) &&
        event.internalId !== eventOf(object)?.internalId,
    );
    const earlier = gotBefore(object, step);
    const inTime = all.filter(
      ({ event }) =>
        this.#isSure(event) &&
        event.receivedAt >= since &&
        event.receivedAt < until &&
        !earlier.has(event.internalId),
    );
    return { since, until, all, inTime, earlier };
  }

  #checkWaited(object: RunObject, node: WaitNode, step: SettledStep): void {
    const { since, until, all, inTime, earlier } = this.#awaited(object, node, step);
    const what = `${object.id} step ${node.key}`;
    const view = JSON.parse(outcomeOf(object, step)) as { data: { key: string } } | null;
    if (!step.ok) return this.#wrong(`${what}, a wait, has failed`);
    const has = (before: number) => inTime.find(({ event }) => this.#storedAt(event) < before)?.event;
    if (view === null) {
      const missed = has(until);
      if (missed !== undefined) this.#wrong(`${what} has missed ${keyOf(missed)}`);
      if (step.endedAt < until) this.#wrong(`${what} is out of time too early`);
      return;
    }
    const got = all.find(({ event }) => keyOf(event) === view.data.key)?.event;
    if (got === undefined) return this.#wrong(`${what} got ${view.data.key}, which it does not wait for`);
    if ((earlier.get(got.internalId) ?? Infinity) < step.startedAt)
      this.#wrong(`${what} got ${view.data.key}, which the run had got before`);
    if (this.#isSure(got) && (got.receivedAt < since || got.receivedAt >= until))
      this.#wrong(`${what} got ${view.data.key}, which was not received in its time`);
    const before = inTime.find(
      ({ event }) => this.#storedAt(event) < step.startedAt && event.receivedAt < got.receivedAt,
    );
    if (before !== undefined && this.#isSure(got))
      this.#wrong(`${what} got ${view.data.key}, and ${keyOf(before.event)} was there before`);
  }

  #checkCancelOn(object: RunObject, { cancelOn }: Program): void {
    const run = runOf(object);
    const config = JSON.parse(object.rows.table.get(0)?.head ?? 'null') as { queuedAt: number } | null;
    if (run?.end == null || config === null) return;
    const cause = eventOf(object);
    const causes = this.#events.filter(
      ({ event }) =>
        cancelOn !== null &&
        event.name === cancelOn.event &&
        event.data['n'] === cancelOn.n &&
        event.receivedAt >= (cause?.receivedAt ?? 0) &&
        event.receivedAt < Math.max(config.queuedAt, cause?.ts ?? 0) + cancelOn.timeout,
    );
    const isCancelled = run.end.status === 'Cancelled';
    if (isCancelled && causes.length === 0 && !this.#scene.meantToCancel.has(object.id))
      this.#wrong(`${object.id} is cancelled and nobody wanted that`);
    const slack = CANCELS_WITHIN + this.#scene.world.disturbance;
    for (const { event } of causes) {
      if (!isCancelled && this.#isSure(event) && this.#storedAt(event) + slack < run.end.at)
        this.#wrong(`${object.id} was not cancelled by ${keyOf(event)}`);
    }
  }

  /** It was only sent once, so there is one moment at which it was received. */
  #isSure(event: StoredEvent): boolean {
    const sent = this.#scene.sent.find((each) => each.event.key === keyOf(event));
    return sent?.at.length === 1;
  }

  #storedAt(event: StoredEvent): number {
    return this.#scene.engine.db.storedAt.get(event.internalId) ?? Infinity;
  }

  #wrong(what: string): void {
    this.#scene.world.violated(what);
  }
}

/** What other waits of the run had got by the moment at which this one began, and when. */
function gotBefore({ watch }: RunObject, { startedAt }: SettledStep): Map<string, number> {
  const earlier = [...watch.settled.values()].filter((step) => step.endedAt <= startedAt);
  return new Map(earlier.flatMap(({ got, endedAt }) => (got === undefined ? [] : [[got, endedAt]])));
}

/** The parent has what the run came to. */
function isAnswerOf(child: RunObject, ok: boolean, outcome: string): boolean {
  const end = runOf(child)?.end?.status;
  if (end === 'Cancelled') return !ok && outcome.includes('was cancelled');
  return ok === (end === 'Completed') && outcome === outputOf(child);
}

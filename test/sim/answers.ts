/** What runs get of others, and others of them: the results of what they invoked, the events that they waited for, the events about their ends. */
import type { EventRecord } from '../../src/ports.ts';
import type { SerializedError } from '../../src/protocol/error.ts';
import { CANCELLED, FAILED, FINISHED, type StoredEvent } from '../../src/protocol/event.ts';
import { DAY, HOUR, SECOND } from '../../src/lib/time.ts';
import type { SettledStep } from '../../src/run/state.ts';
import type { Scene } from './invariants.ts';
import type { RunObject } from './objects.ts';
import { type InvokeNode, nodesOf, type Program, startedBy, type WaitNode } from './programs.ts';
import { causeOf, eventOf, outcomeOf, outputOf, runOf } from './rows.ts';
import { ENV } from './senders.ts';
import { allEvents, keyOf } from './store.ts';

const ENDS = [FAILED, CANCELLED, FINISHED];
/** Whatever was lost on its way: what has happened is known so long after it, held-ups aside. */
const SOON = { disturbed: 3 * HOUR, undisturbed: 10 * SECOND };

export class Answers {
  readonly #scene: Scene;
  readonly #started: RunObject[];
  /** Those that are no repeats of others. */
  readonly #events: EventRecord[];
  /** By what started them and their function. */
  readonly #runs: ReadonlyMap<string, RunObject>;

  private constructor(scene: Scene, started: RunObject[], events: EventRecord[]) {
    this.#scene = scene;
    this.#started = started;
    this.#events = events.filter(({ duplicateOf }) => duplicateOf === null);
    this.#runs = new Map(started.map((object) => [`${causeOf(object)} ${object.watch.program}`, object]));
  }

  static async of(scene: Scene, started: RunObject[]): Promise<Answers> {
    return new Answers(scene, started, await allEvents(scene.engine.db.inside, ENV));
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

  /** A parent hears of its child: what it came to, or why there is none. It may only give up at its own time, and not what it could have. */
  #checkInvoked(object: RunObject, { key, functionId, timeout }: InvokeNode, step: SettledStep): void {
    const child = this.#runs.get(`${object.id}/${key} ${functionId}`);
    const outcome = outcomeOf(object, step);
    if (child !== undefined && isAnswerOf(child, step.ok, outcome)) return;
    const known = child === undefined ? this.#nobody(`${object.id}/${key}`, functionId) : null;
    if (!step.ok && known !== null && outcome === JSON.stringify(known)) return;
    const came = child === undefined ? 'no run was started' : `${child.id} came to ${outputOf(child)}`;
    const what = `${object.id} step ${key} has ${outcome}, and ${came}`;
    if (step.ok || !outcome.includes('did not end in time')) return this.#wrong(what);
    this.#checkOutOfTime(`${object.id}/${key}`, step, timeout, child, what);
  }

  /** What a queue alone had is gone with a queue in memory: only then is a run left to wait for as long as it may. */
  #checkOutOfTime(
    key: string,
    { startedAt, endedAt }: SettledStep,
    timeout: number | null,
    child: RunObject | undefined,
    what: string,
  ): void {
    const isLost = this.#scene.engine.lost.has(key);
    if (endedAt < startedAt + (timeout ?? (isLost ? 365 * DAY : Infinity))) this.#wrong(`${what}, too early`);
    const answeredAt = child === undefined ? startedAt : (child.watch.endedAt ?? Infinity);
    if (!isLost && this.#isLate(answeredAt, endedAt)) this.#wrong(`${what} long before`);
  }

  /** What is said of an invocation that started no run; null when it had to start one. */
  #nobody(key: string, functionId: string): SerializedError | null {
    if (!this.#scene.programs.has(functionId))
      return {
        name: 'NonRetriableError',
        message: `could not find function with ID: ${functionId}`,
        code: 'functionNotFound',
      };
    const reason = this.#events.find(({ event }) => keyOf(event) === key)?.deadReason;
    return reason == null ? null : { name: 'NotStarted', message: `the event was given up: ${reason}` };
  }

  /** The first event that was received in its time, as soon as it is there; or none, at the deadline. */
  #checkWaited(object: RunObject, node: WaitNode, step: SettledStep): void {
    const began = eventOf(object)?.receivedAt ?? step.startedAt;
    const since = node.lookBack === 'run' ? began : step.startedAt - node.lookBack;
    const until = step.startedAt + node.timeout;
    const isInTime = ({ receivedAt }: StoredEvent) => receivedAt >= since && receivedAt < until;
    const earlier = gotBefore(object, step);
    const all = this.#named(node.event, node.n).filter(
      ({ internalId }) => internalId !== eventOf(object)?.internalId,
    );
    const inTime = all.filter(
      (event) => this.#isSure(event) && isInTime(event) && !earlier.has(event.internalId),
    );
    const what = `${object.id} step ${node.key}`;
    if (!step.ok) return this.#wrong(`${what}, a wait, has failed`);
    const view = JSON.parse(outcomeOf(object, step)) as { data: { key: string } } | null;
    if (view === null) {
      const missed = inTime.find((event) => this.#storedAt(event) < until);
      if (missed !== undefined) this.#wrong(`${what} has missed ${keyOf(missed)}`);
      if (step.endedAt < until) this.#wrong(`${what} is out of time too early`);
      return;
    }
    const came = `${what} got ${view.data.key}`;
    const got = all.find((event) => keyOf(event) === view.data.key);
    if (got === undefined) return this.#wrong(`${came}, which it does not wait for`);
    if (this.#isLate(Math.max(this.#storedAt(got), step.startedAt), step.endedAt))
      this.#wrong(`${came} long after it had come`);
    if ((earlier.get(got.internalId) ?? Infinity) < step.startedAt)
      this.#wrong(`${came}, which the run had got before`);
    if (!this.#isSure(got)) return;
    if (!isInTime(got)) this.#wrong(`${came}, which was not received in its time`);
    const before = inTime.find(
      (event) => this.#storedAt(event) < step.startedAt && event.receivedAt < got.receivedAt,
    );
    if (before !== undefined) this.#wrong(`${came}, and ${keyOf(before)} was there before`);
  }

  /** Cancelled by an event that was received in its time, soon; and by nothing else that nobody wanted. */
  #checkCancelOn(object: RunObject, { cancelOn }: Program): void {
    const end = runOf(object)?.end;
    if (end == null) return;
    const isCancelled = end.status === 'Cancelled';
    const causes = cancelOn === null ? [] : this.#causes(object, cancelOn);
    if (isCancelled && causes.length === 0 && !this.#scene.meantToCancel.has(object.id))
      this.#wrong(`${object.id} is cancelled and nobody wanted that`);
    for (const event of isCancelled ? [] : causes) {
      if (this.#isSure(event) && this.#isLate(this.#storedAt(event), end.at))
        this.#wrong(`${object.id} was not cancelled by ${keyOf(event)}`);
    }
  }

  /** One that was sent again may have been received at any of those times. */
  #causes(object: RunObject, { event: name, n, timeout }: NonNullable<Program['cancelOn']>): StoredEvent[] {
    const cause = eventOf(object);
    const { queuedAt } = JSON.parse(object.rows.table.get(0)?.head ?? '{}') as { queuedAt: number };
    const since = cause?.receivedAt ?? 0;
    const until = Math.max(queuedAt, cause?.ts ?? 0) + timeout;
    return this.#named(name, n).filter(
      (event) => !this.#isSure(event) || (event.receivedAt >= since && event.receivedAt < until),
    );
  }

  /** @param n null for any. */
  #named(name: string, n: number | null): StoredEvent[] {
    return this.#events
      .map(({ event }) => event)
      .filter((event) => event.name === name && (n === null || event.data['n'] === n));
  }

  /** It was only sent once, so there is one moment at which it was received. */
  #isSure(event: StoredEvent): boolean {
    const sent = this.#scene.sent.find((each) => each.event.key === keyOf(event));
    return sent?.at.length === 1;
  }

  #isLate(happenedAt: number, knownAt: number): boolean {
    const { isDisturbed, world } = this.#scene;
    return knownAt - happenedAt > (isDisturbed ? SOON.disturbed : SOON.undisturbed) + world.disturbance;
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

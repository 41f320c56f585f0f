/**
 * The owner of one run: feeds the core (src/run/apply.ts), has its decisions written, then performs the effects. Knows nothing of the
 * platform, so that the simulator runs it as it is.
 *
 * Commit first, act second: every input is applied and written, rows and alarm in one transaction, before an effect begins. What is
 * in memory here may be lost at any moment: the journal and the alarm are enough to go on.
 */
import type { Caller, RunHandle } from '../src/call/caller.ts';
import { within, type Timer } from '../src/ingest/patience.ts';
import { utf8Length } from '../src/lib/json.ts';
import { never } from '../src/lib/never.ts';
import type { SerializedError } from '../src/protocol/error.ts';
import { eventView, type StoredEvent } from '../src/protocol/event.ts';
import { MINUTE, SECOND } from '../src/lib/time.ts';
import type { Memo } from '../src/protocol/op.ts';
import type { RemoteRunRpc, RunRpc } from '../src/protocol/rpc.ts';
import { granted, type Granted, type SlotClaim } from '../src/protocol/slot.ts';
import {
  hold,
  runStart,
  type Checkpoint,
  type CheckpointResult,
  type Hold,
  type RunCheck,
  type RunEnding,
  type RunSnapshot,
  type RunStart,
  type RunTrace,
  type RunView,
  type StepAnswer,
  type StuckPart,
  type Waiting,
} from '../src/protocol/run.ts';
import type { SignalWait } from '../src/protocol/signal.ts';
import type { Wait } from '../src/protocol/wait.ts';
import type { Clock, Gates, Log, Signals, Waits } from '../src/ports.ts';
import { apply } from '../src/run/apply.ts';
import { commit } from '../src/run/commit.ts';
import { runEnding } from '../src/run/ending.ts';
import { invocation, signalWaitOf, waitOf } from '../src/call/ask.ts';
import { slotLimits } from '../src/run/slots.ts';
import { askingStep, isQueued, nextAlarm, type RunConfig, type RunState } from '../src/run/state.ts';
import { dueInputs } from '../src/run/timers.ts';
import type { Changes, Effect, Registration, RunInput } from '../src/run/transition.ts';
import { runTrace, runView } from '../src/run/view.ts';

/** When an alarm could not do its work, or the end of a run could not be reported, it is tried again this much later. */
const AGAIN = 5 * SECOND;

/** Alarms and acknowledgements that are this late do not come any more. */
const STUCK = 2 * MINUTE;

/** How long whoever starts a run waits for its end. It keeps other starts waiting, and saves a message and writes of the index. */
const PATIENCE = 20;

/** The stored part of a run, and its one alarm. */
export interface JournalPort {
  /** Null for an object in which no run has started. */
  load(): { state: RunState; settled: string[] } | null;
  /** What `work` writes and the alarm that it answers, together or not at all; durable before anything leaves the object. */
  transact(work: () => number | null, now: number): void;
  /** Only inside `transact`. */
  write(changes: Changes, events: () => StoredEvent[]): void;
  events(): StoredEvent[];
  /** JSON text; null while there is none. */
  output(): string | null;
  stepData(seq: number): string | null;
  /** What a step was given, where that is kept. */
  stepInput(seq: number): string | null;
  alarm(): Promise<number | null>;
  /** The alarm has gone off, and so is no longer set. */
  alarmFired(): void;
  rearm(at: number): Promise<void>;
  erase(): Promise<void>;
}

export interface OwnerDeps {
  journal: JournalPort;
  clock: Clock;
  timer: Timer;
  log: Log;
  caller(run: RunHandle): Caller;
  /** What a run that starts so is frozen with (FN-11). */
  freeze(start: RunStart): Promise<FrozenConfig>;
  /** Tells the index, and whoever invoked it, that the run has ended. */
  report(ending: RunEnding): Promise<void>;
  waits: Pick<Waits, 'listen' | 'expire' | 'drop'>;
  signals: Pick<Signals, 'listen' | 'expire' | 'drop'>;
  gates: Pick<Gates, 'acquire' | 'release' | 'look'>;
  /** Has an event of the engine's own accepted; a repeat of the same one changes nothing. */
  emit(event: StoredEvent): Promise<void>;
  /** Gives this owner up: it may not be used any more. */
  abort(reason: string): void;
  /** The core; tests put a broken one here. */
  apply?: typeof apply;
}

/** What a run asks for, in the words of those who are asked. */
type Asked = { invoke: StoredEvent } | { wait: Wait } | { signal: SignalWait };

type Answered = Extract<RunInput, { type: 'answered' }>;

function eventAnswer(key: string, event: StoredEvent): Answered {
  const answer = { ok: true, data: JSON.stringify(eventView(event)) };
  return { type: 'answered', id: key, answer, event: event.internalId };
}

type FrozenConfig = Omit<
  RunConfig,
  'runId' | 'env' | 'functionId' | 'eventIds' | 'eventBytes' | 'queuedAt' | 'parent' | 'flow'
>;

export class RunOwner implements RunRpc, RemoteRunRpc, RunHandle {
  readonly #deps: OwnerDeps;
  readonly #journal: JournalPort;
  readonly #caller: Caller;
  readonly #apply: typeof apply;
  /** Under way: what is dropped must not be asked for afterwards. */
  readonly #asks = new Set<Promise<void>>();
  state: RunState | null;
  readonly settled: string[];
  /** Fulfilled when no user code of the run executes, or soon will: it has ended, waits, or stands in a line. */
  readonly #quiet = Promise.withResolvers<void>();
  /** Calls of `start` that wait for the end. Its event is not dispatched before one of them was answered: that is as good as a report. */
  #asking = 0;

  constructor(deps: OwnerDeps) {
    this.#deps = deps;
    this.#journal = deps.journal;
    this.#apply = deps.apply ?? apply;
    const loaded = deps.journal.load();
    this.state = loaded?.state ?? null;
    this.settled = loaded?.settled ?? [];
    this.#caller = deps.caller(this);
  }

  /** Most runs that only compute, and many others, end while this is waited for. Everyone who asks is told of that end. */
  async start(request: RunStart): Promise<RunEnding | null> {
    if (this.state === null) {
      const start = runStart.parse(request);
      const config = await this.#freeze(start);
      // Another start may have been quicker. From here to the wait for its end there is no await: it must not report that itself.
      if (this.state === null)
        this.#feedAll([{ type: 'started', config, startAt: start.startAt }], start.events);
    }
    if (this.state?.run.end === null) {
      this.#asking++;
      await within(this.#quiet.promise, PATIENCE, this.#deps.timer);
      this.#asking--;
    }
    return this.#ending();
  }

  async cancel(): Promise<'cancelled' | 'ended' | 'unknown'> {
    if (this.state === null) return 'unknown';
    if (this.state.run.end !== null) return 'ended';
    this.feed({ type: 'cancelled' });
    return 'cancelled';
  }

  async hold(given: Hold): Promise<void> {
    if (this.state?.run.end === null) this.feed({ type: 'held', hold: hold.parse(given) });
  }

  async read(): Promise<RunView | null> {
    return this.state && runView(this.state, this.#journal.output());
  }

  async trace(): Promise<RunTrace | null> {
    const { state } = this;
    if (state === null) return null;
    const trace = runTrace(state, this.#journal);
    const lines = await this.#linesOf(state);
    if (lines.length === 0) return trace;
    const others = trace.waiting.filter(
      ({ reason }) => !['start', 'throttle', 'concurrency'].includes(reason),
    );
    return { ...trace, waiting: [...lines, ...others] };
  }

  /** The lines in which it waits. The gates know them, even when the run has forgotten; nothing where they do not answer. */
  async #linesOf(state: RunState): Promise<Waiting[]> {
    const { config, run, live } = state;
    if (config.flow === undefined || run.end !== null || live.phase === 'executing') return [];
    const claims = slotLimits(config).flatMap((_, n) => this.#claim(n, 0) ?? []);
    const looks = await Promise.allSettled(claims.map((claim) => this.#deps.gates.look(claim)));
    return looks.flatMap((look) => {
      const line = look.status === 'fulfilled' ? look.value : null;
      return line === null ? [] : [{ reason: line.policy, what: line.key, until: line.nextAt, line }];
    });
  }

  /** Also repairs: an alarm that should have fired is made up for. */
  async check(): Promise<RunCheck> {
    const { state } = this;
    if (state === null) return { state: 'unknown' };
    const stuck = state.run.end === null ? await this.#repair() : null;
    if (isQueued(state.live)) this.feed({ type: 'slotsDue' });
    const ending = this.#ending();
    const repaired = stuck === null ? {} : { repaired: stuck };
    return ending === null
      ? { state: 'open', nextAt: await this.#journal.alarm(), ...repaired }
      : { state: 'ended', ending, ...repaired };
  }

  /** What is a little late is woken too, and is nothing to tell of. */
  async #repair(): Promise<StuckPart | null> {
    const alarm = await this.#journal.alarm();
    // One that goes off in this moment is set anew by the time of a second look.
    const isLost = alarm === null && (await this.#journal.alarm()) === null;
    const now = this.#deps.clock.now();
    const { state } = this;
    if (state === null || state.run.end !== null) return null;
    const isStuck = isLost ? nextAlarm(state) !== null : (alarm ?? now) <= now - STUCK;
    const isUnheard = state.live.asks.size > 0 && state.live.since <= now - STUCK;
    if (isLost || (alarm ?? now) <= now) await this.alarm();
    if (isStuck) return 'alarm';
    if (!isUnheard) return null;
    // Whoever is asked may have been away for long: it is asked now, not at the next look.
    this.feed({ type: 'watchdog' });
    return 'ask';
  }

  async resume(key: string, event: StoredEvent): Promise<'taken' | 'gone'> {
    return this.#answered(eventAnswer(key, event));
  }

  async answer(key: string, answer: StepAnswer): Promise<'taken' | 'gone'> {
    return this.#answered({ type: 'answered', id: key, answer });
  }

  #answered(input: Answered): 'taken' | 'gone' {
    if (!this.#awaits(input.id)) return 'gone';
    this.feed(input);
    return 'taken';
  }

  async grant(given: Granted): Promise<'taken' | 'gone'> {
    const { policy, n: which, turn } = granted.parse(given);
    if (this.state === null) return 'gone';
    const n = slotLimits(this.state.config).findIndex((one) => one.policy === policy && one.n === which);
    this.feed({ type: 'slotGranted', n, turn });
    return this.#holds(n, turn) ? 'taken' : 'gone';
  }

  async awaits(key: string): Promise<boolean> {
    return this.#awaits(key);
  }

  #awaits(key: string): boolean {
    const { state } = this;
    const step = state?.run.end === null ? askingStep(state, key) : undefined;
    return step?.state === 'waiting' && step.ask !== undefined;
  }

  async checkpoint(env: string, checkpoint: Checkpoint): Promise<CheckpointResult | null> {
    return (this.#isIn(env) && this.#caller.checkpoint?.(checkpoint)) || null;
  }

  async snapshot(env: string): Promise<RunSnapshot | 'ended' | null> {
    if (!this.#isIn(env)) return null;
    if (this.state?.run.end != null) return 'ended';
    return (await this.#caller.snapshot?.()) ?? null;
  }

  async purge(): Promise<void> {
    if (this.state?.run.end === null) return;
    this.state = null;
    this.settled.length = 0;
    await this.#journal.erase();
  }

  /** Never throws: the platform gives an alarm up after six throws, and the run with it. */
  async alarm(): Promise<void> {
    this.#journal.alarmFired();
    try {
      if (this.state === null) return;
      if (this.state.run.end !== null) await this.#report();
      else this.#feedAll(dueInputs(this.state, this.#deps.clock.now()));
    } catch (error) {
      this.#deps.log.error('alarm failed, it is tried again', { runId: this.state?.config.runId, error });
      await this.#journal.rearm(this.#deps.clock.now() + AGAIN);
    }
  }

  feed(...inputs: RunInput[]): void {
    this.#feedAll(inputs);
  }

  events(): StoredEvent[] {
    return this.#journal.events();
  }

  memo(id: string): Memo {
    const step = this.state?.steps.get(id);
    const text = step?.state === 'settled' ? this.#journal.stepData(step.seq) : null;
    if (step?.state !== 'settled' || text === null) throw new Error('only a settled step has an outcome');
    return step.ok ? { data: text } : { error: JSON.parse(text) as SerializedError };
  }

  /** Also when there is nothing to feed: the alarm is set anew. */
  #feedAll(inputs: RunInput[], events: StoredEvent[] = []): void {
    const now = this.#deps.clock.now();
    const effects: Effect[] = [];
    try {
      this.#journal.transact(() => {
        for (const input of inputs) effects.push(...this.#take(input, events, now));
        if (inputs.some(maySetFree)) effects.push(...this.#takeWhatWaited(now));
        return this.state && nextAlarm(this.state);
      }, now);
    } catch (error) {
      // Memory may be ahead of what is stored: it must not be used any more.
      this.#deps.abort('a transition could not be written');
      throw error;
    }
    for (const effect of effects) this.#perform(effect);
    if (this.#isQuiet()) this.#quiet.resolve();
  }

  /** One that has just asked for its slots may have them in a moment. */
  #isQuiet(): boolean {
    const { phase, slots } = this.state?.live ?? {};
    return phase === 'parked' && (slots === undefined || slots.asked === null || slots.isInLine);
  }

  #take(input: RunInput, events: StoredEvent[], now: number): Effect[] {
    const { changes, effects } = this.#apply(this.state, input, now);
    this.#journal.write(changes, () => events);
    if (this.state === null && changes.run === undefined) return [];
    this.state = commit(this.state, changes);
    if (this.state.settled > this.settled.length && changes.step !== undefined)
      this.settled.push(changes.step.step.id);
    return effects;
  }

  /** With its slots, or no longer held, a run begins at once whatever is due. */
  #takeWhatWaited(now: number): Effect[] {
    const { state } = this;
    if (state === null || state.run.end !== null || isQueued(state.live)) return [];
    return dueInputs(state, now).flatMap((input) => this.#take(input, [], now));
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'call':
        return this.#caller.call(effect);
      case 'stop':
        return this.#caller.stop();
      case 'ask':
      case 'expire':
        return this.#begin(this.#ask(effect));
      case 'acquire':
        return void this.#acquire(effect);
      case 'release':
        return void this.#release(effect);
      case 'drop':
        return void this.#drop(effect.waits);
      case 'report':
        return void this.#report();
      default:
        never(effect);
    }
  }

  #isIn(env: string): boolean {
    return this.state?.config.env === env;
  }

  /** If this is lost, the sweep asks the object instead: the run's row in the index stays open until it is told. */
  async #report(): Promise<void> {
    const ending = this.#asking > 0 ? null : this.#ending();
    if (ending === null) return;
    try {
      await this.#deps.report(ending);
    } catch {
      await this.#journal.rearm(this.#deps.clock.now() + AGAIN);
    }
  }

  #ending(): RunEnding | null {
    return this.state && runEnding(this.state, this.#journal.output(), this.#journal.events());
  }

  #begin(ask: Promise<void>): void {
    this.#asks.add(ask);
    void ask.finally(() => this.#asks.delete(ask));
  }

  /** If this fails, the watchdog asks again: until it is acknowledged the run counts as executing. */
  async #ask({ type, key }: { type: 'ask' | 'expire'; key: string }): Promise<void> {
    try {
      const asked = this.#asked(key);
      if (asked === null) return;
      this.feed(type === 'ask' ? await this.#listen(asked, key) : await this.#expire(asked, key));
    } catch (error) {
      this.#deps.log.error('a run could not ask for what it waits for', {
        runId: this.state?.config.runId,
        error,
      });
    }
  }

  /** If this fails it is done again at the run's next look. */
  async #acquire({ n, turn, wait }: Extract<Effect, { type: 'acquire' }>): Promise<void> {
    try {
      const claim = this.#claim(n, turn);
      if (claim === null) return;
      const answer = await this.#deps.gates.acquire({ ...claim, wait });
      this.feed({ type: 'slotAnswered', n, turn, answer });
      // The run may not want it any more.
      if (!this.#holds(n, turn) && !this.#awaitsSlot(n, turn)) await this.#deps.gates.release(claim);
    } catch (error) {
      this.#deps.log.error('a run could not ask for a slot', { runId: this.state?.config.runId, error });
    }
  }

  /** If this is lost, the gate takes back what is not renewed, and hears that the run is gone when it tells it of a slot. */
  async #release({ n, turn }: Extract<Effect, { type: 'release' }>): Promise<void> {
    const claim = this.#claim(n, turn);
    if (claim !== null) await this.#deps.gates.release(claim).catch(() => undefined);
  }

  #claim(n: number, turn: number): SlotClaim | null {
    if (this.state === null) return null;
    const { env, functionId, runId, eventIds, flow } = this.state.config;
    const limit = slotLimits({ ...(flow && { flow }) })[n];
    if (limit === undefined || flow === undefined) return null;
    const place = { score: flow.score, eventId: eventIds[0] ?? '' };
    return { env, functionId, runId, limit, ...place, turn };
  }

  #holds(n: number, turn: number): boolean {
    const slots = this.state?.live.slots;
    return slots?.turn === turn && slots.held.includes(n);
  }

  #awaitsSlot(n: number, turn: number): boolean {
    const slots = this.state?.live.slots;
    return slots?.turn === turn && slots.asked === n;
  }

  /** What the others have to say to it. */
  async #listen(asked: Asked, key: string): Promise<RunInput> {
    const { waits, signals } = this.#deps;
    if ('invoke' in asked) await this.#deps.emit(asked.invoke);
    else if ('wait' in asked) await waits.listen([asked.wait]);
    else if ((await signals.listen(asked.signal)) === 'taken') {
      const message = `another run waits for the signal "${asked.signal.signal}"`;
      return {
        type: 'answered',
        id: key,
        answer: { ok: false, data: JSON.stringify({ name: 'SignalTaken', message }) },
      };
    }
    return { type: 'acknowledged', key };
  }

  /** What came in time, if anything did. */
  async #expire(asked: Asked, key: string): Promise<RunInput> {
    const { waits, signals } = this.#deps;
    const none: RunInput = { type: 'expired', key };
    if ('signal' in asked) {
      const { env, signal, runId } = asked.signal;
      const answer = await signals.expire(env, signal, runId, key);
      return answer === null ? none : { type: 'answered', id: key, answer };
    }
    if ('invoke' in asked) return none;
    const { env, event, runId } = asked.wait;
    // It may not be registered yet: what came before this run could ask counts all the same. Mostly this is a repeat.
    await waits.listen([asked.wait]);
    const found = await waits.expire(env, event, runId, key);
    return found === null ? none : eventAnswer(key, found);
  }

  /** If this is lost, the run answers `gone` to who has something for it. */
  async #drop(dropped: Registration[]): Promise<void> {
    const { waits, signals } = this.#deps;
    const { env, runId } = this.state?.config ?? {};
    if (env === undefined || runId === undefined) return;
    await Promise.all(this.#asks);
    const events = dropped.filter((one) => 'event' in one);
    for (const [event, group] of Map.groupBy(events, (one) => one.event)) {
      const keys = group.map(({ key }) => key);
      await waits.drop(env, event, runId, keys).catch(() => undefined);
    }
    for (const one of dropped) {
      if ('signal' in one) await signals.drop(env, one.signal, runId, one.key).catch(() => undefined);
    }
  }

  #asked(key: string): Asked | null {
    const { state } = this;
    if (state === null) return null;
    const step = state.steps.get(key);
    if (step?.state === 'waiting' && step.ask?.for === 'run') {
      return {
        invoke: invocation(state, step, step.ask.functionId, this.#journal.stepData(step.seq) ?? '{}'),
      };
    }
    const signal = signalWaitOf(state, key);
    if (signal !== null) return { signal };
    const wait = waitOf(state, this.#journal.events(), key);
    return wait && { wait };
  }

  async #freeze(start: RunStart): Promise<RunConfig> {
    const { runId, env, functionId, events, queuedAt, parent, flow } = start;
    const own = {
      runId,
      env,
      functionId,
      eventIds: events.map((event) => event.internalId),
      eventBytes: utf8Length(JSON.stringify(events)),
      queuedAt,
      parent: parent ?? null,
      ...(flow && { flow }),
    };
    return { ...own, ...(await this.#deps.freeze(start)) };
  }
}

function maySetFree({ type }: RunInput): boolean {
  return type === 'slotAnswered' || type === 'slotGranted' || type === 'held';
}

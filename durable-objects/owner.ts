/**
 * The owner of one run: feeds the core (src/run/apply.ts), has its decisions written, then performs the effects. Knows nothing of the
 * platform, so that the simulator runs it as it is.
 *
 * Commit first, act second: every input is applied and written, rows and alarm in one transaction, before an effect begins. What is
 * in memory here may be lost at any moment: the journal and the alarm are enough to go on.
 */
import type { Caller, RunHandle } from '../src/call/caller.ts';
import { never } from '../src/lib/never.ts';
import type { SerializedError } from '../src/protocol/error.ts';
import type { StoredEvent } from '../src/protocol/event.ts';
import { SECOND } from '../src/protocol/limits.ts';
import type { Memo } from '../src/protocol/op.ts';
import type { RunRpc } from '../src/protocol/rpc.ts';
import {
  runStart,
  type RunCheck,
  type RunStart,
  type RunSummary,
  type RunTrace,
  type RunView,
} from '../src/protocol/run.ts';
import type { Clock, Log } from '../src/ports.ts';
import { apply } from '../src/run/apply.ts';
import { commit } from '../src/run/commit.ts';
import { nextAlarm, type RunConfig, type RunState } from '../src/run/state.ts';
import { dueInputs } from '../src/run/timers.ts';
import type { Changes, Effect, RunInput } from '../src/run/transition.ts';
import { runSummary, runTrace, runView } from '../src/run/view.ts';

/** When an alarm could not do its work, or the end of a run could not be reported, it is tried again this much later. */
const AGAIN = 5 * SECOND;

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
  alarm(): Promise<number | null>;
  /** The alarm has gone off, and so is no longer set. */
  alarmFired(): void;
  rearm(at: number): Promise<void>;
  erase(): Promise<void>;
}

export interface OwnerDeps {
  journal: JournalPort;
  clock: Clock;
  log: Log;
  caller(run: RunHandle): Caller;
  /** What a run of this function is frozen with. */
  limits(functionId: string): Pick<RunConfig, 'maxAttempts' | 'maxSteps' | 'stepRuntime' | 'retryInterval'>;
  /** Tells the index that the run has ended. */
  report(summary: RunSummary): Promise<void>;
  /** Gives this owner up: it may not be used any more. */
  abort(reason: string): void;
  /** The core; tests put a broken one here. */
  apply?: typeof apply;
}

export class RunOwner implements RunRpc, RunHandle {
  readonly #deps: OwnerDeps;
  readonly #journal: JournalPort;
  readonly #caller: Caller;
  readonly #apply: typeof apply;
  state: RunState | null;
  readonly settled: string[];

  constructor(deps: OwnerDeps) {
    this.#deps = deps;
    this.#journal = deps.journal;
    this.#apply = deps.apply ?? apply;
    const loaded = deps.journal.load();
    this.state = loaded?.state ?? null;
    this.settled = loaded?.settled ?? [];
    this.#caller = deps.caller(this);
  }

  async start(request: RunStart): Promise<void> {
    if (this.state !== null) return;
    const start = runStart.parse(request);
    this.#feedAll([{ type: 'started', config: this.#freeze(start), startAt: start.startAt }], start.events);
  }

  async cancel(): Promise<'cancelled' | 'ended' | 'unknown'> {
    if (this.state === null) return 'unknown';
    if (this.state.run.end !== null) return 'ended';
    this.feed({ type: 'cancelled' });
    return 'cancelled';
  }

  async read(): Promise<RunView | null> {
    return this.state && runView(this.state, this.#journal.output());
  }

  async trace(): Promise<RunTrace | null> {
    return this.state && runTrace(this.state, this.#journal.output(), (seq) => this.#journal.stepData(seq));
  }

  /** Also repairs: an alarm that should have fired is made up for. */
  async check(): Promise<RunCheck> {
    const { state } = this;
    if (state === null) return { state: 'unknown' };
    const alarm = await this.#journal.alarm();
    if (state.run.end === null && (alarm === null || alarm <= this.#deps.clock.now())) await this.alarm();
    const summary = runSummary(state, this.#journal.output());
    return summary === null
      ? { state: 'open', nextAt: await this.#journal.alarm() }
      : { state: 'ended', summary };
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

  feed(input: RunInput): void {
    this.#feedAll([input]);
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
        return this.state && nextAlarm(this.state);
      }, now);
    } catch (error) {
      // Memory may be ahead of what is stored: it must not be used any more.
      this.#deps.abort('a transition could not be written');
      throw error;
    }
    for (const effect of effects) this.#perform(effect);
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

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'call':
        return this.#caller.call(effect);
      case 'stop':
        return this.#caller.stop();
      case 'report':
        return void this.#report();
      default:
        never(effect);
    }
  }

  /** If this is lost, the sweep asks the object instead: the run's row in the index stays open until it is told. */
  async #report(): Promise<void> {
    const summary = this.state && runSummary(this.state, this.#journal.output());
    if (summary === null) return;
    try {
      await this.#deps.report(summary);
    } catch {
      await this.#journal.rearm(this.#deps.clock.now() + AGAIN);
    }
  }

  #freeze({ runId, env, functionId, events, queuedAt }: RunStart): RunConfig {
    return {
      runId,
      env,
      functionId,
      eventIds: events.map((event) => event.internalId),
      queuedAt,
      ...this.#deps.limits(functionId),
    };
  }
}

/** The calls that the objects answer. Arguments are parsed by the object; results are plain data. */
import type { StoredEvent } from './event.ts';
import type { Collectable, Collected, Collecting, Entrant, GateOf } from './gate.ts';
import type {
  Checkpoint,
  CheckpointResult,
  Hold,
  RunCheck,
  RunEnding,
  RunSnapshot,
  RunStart,
  RunTrace,
  RunView,
  StepAnswer,
} from './run.ts';
import type { SentSignal, SignalWait } from './signal.ts';
import type {
  Granted,
  LimitChange,
  LimitChoice,
  LineState,
  SlotAnswer,
  SlotAsk,
  SlotClaim,
  SlotState,
} from './slot.ts';
import type { Wait } from './wait.ts';

/** One object per run, named by its run id. */
export interface RunRpc {
  start(run: RunStart): Promise<RunEnding | null>;
  cancel(): Promise<'cancelled' | 'ended' | 'unknown'>;
  hold(hold: Hold): Promise<void>;
  read(): Promise<RunView | null>;
  trace(): Promise<RunTrace | null>;
  check(): Promise<RunCheck>;
  resume(key: string, event: StoredEvent): Promise<'taken' | 'gone'>;
  answer(key: string, answer: StepAnswer): Promise<'taken' | 'gone'>;
  /** Whether the run still waits for what it has asked for under this key. */
  awaits(key: string): Promise<boolean>;
  grant(granted: Granted): Promise<'taken' | 'gone'>;
  purge(): Promise<void>;
}

/** `RemoteRuns` (src/ports.ts) of one run. */
export interface RemoteRunRpc {
  checkpoint(env: string, checkpoint: Checkpoint): Promise<CheckpointResult | null>;
  snapshot(env: string): Promise<RunSnapshot | 'ended' | null>;
}

/** One object for the deployment. */
export interface SweeperRpc {
  arm(): Promise<void>;
  repairs(): Promise<Repairs>;
}

/**
 * How often a sweep found standing still what should have gone on by itself, and put it right; counted since the deployment began. What
 * a crash leaves behind and is picked up within a minute or two is no repair. A gate that frees a lease which nobody holds any more
 * is to be counted here too.
 */
export interface Repairs {
  /** Runs whose alarm was lost, or late. */
  alarms: number;
  /** Runs that were not heard with what they ask of others: waits, signals, invocations. */
  asks: number;
  /** Runs that had ended, which the index did not know. */
  reports: number;
  /** Events that were accepted and not dispatched. */
  events: number;
}

/** One object per environment and event name: `Waits` (src/ports.ts) for that name. */
export interface WaitsRpc {
  /** Rejects when it was interrupted: to be repeated then. */
  listen(waits: Wait[]): Promise<void>;
  deliver(events: StoredEvent[]): Promise<void>;
  /** Rejects when the history cannot be read: to be repeated then. */
  expire(runId: string, key: string): Promise<StoredEvent | null>;
  drop(runId: string, keys: string[]): Promise<void>;
}

/** One object per environment and signal: `Signals` (src/ports.ts) for that signal. */
export interface SignalsRpc {
  /** Rejects when a run that is in the way cannot be asked: to be repeated then. */
  listen(wait: SignalWait): Promise<'listening' | 'taken'>;
  send(sent: SentSignal): Promise<string | null>;
  expire(runId: string, key: string): Promise<StepAnswer | null>;
  drop(runId: string, key: string): Promise<void>;
}

/** One object per part of a function's keys, or of those that an environment or the account shares: `Gates` and `StartGates` (src/ports.ts) for these. */
export interface GateRpc {
  acquire(ask: SlotAsk): Promise<SlotAnswer>;
  release(claim: SlotClaim): Promise<void>;
  collect(of: GateOf, policy: Collecting, events: Collectable[]): Promise<Collected[]>;
  rate(space: number, entrants: Entrant[]): Promise<string[]>;
  single(mode: 'skip' | 'cancel', entrants: Entrant[]): Promise<string[]>;
  look(claim: SlotClaim): Promise<SlotState | null>;
  lines(): Promise<LineState[]>;
  change(choice: LimitChoice, to: LimitChange | null): Promise<void>;
}

/** One object per environment: the timers of its cron functions. */
export interface CronRpc {
  /** `Crons.sync` (src/ports.ts). @param env the object's own, which it keeps. */
  sync(env: string): Promise<void>;
  skipped(): Promise<SkippedTicks[]>;
}

/** The ticks of one function that were missed and are not made up for (CR-13). */
export interface SkippedTicks {
  functionId: string;
  /** The earliest first; of many, the latest hundred. */
  ticks: { at: number; cron: string }[];
  /** There were still earlier ones. */
  more: boolean;
}

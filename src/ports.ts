/**
 * What the engine needs of the world, as types. Each has one real adapter (D1, queues, objects) and one in memory for the
 * simulator; the same contract tests hold both (test/contracts).
 */
import type { EventView, StoredEvent } from './protocol/event.ts';
import type { FunctionConfig } from './protocol/function.ts';
import type { Collectable, Collected, Collecting, Entrant, GateOf } from './protocol/gate.ts';
import type { Repairs, SkippedTicks } from './protocol/rpc.ts';
import type { SentSignal, SignalWait } from './protocol/signal.ts';
import type {
  Granted,
  LimitChange,
  LimitChoice,
  LineState,
  SlotAnswer,
  SlotAsk,
  SlotClaim,
  SlotState,
} from './protocol/slot.ts';
import type { Wait } from './protocol/wait.ts';
import type {
  Checkpoint,
  CheckpointResult,
  Hold,
  RunCheck,
  RunEnding,
  RunSnapshot,
  RunStart,
  RunStatus,
  RunSummary,
  RunTrace,
  RunView,
  StepAnswer,
} from './protocol/run.ts';

/** Milliseconds since 1970. The one door for time. */
export interface Clock {
  now(): number;
}

/** Random bytes. The one door for chance. */
export interface Entropy {
  bytes(length: number): Uint8Array;
}

/** A queue that delivers at least once, in any order. Resolves when the messages are taken; rejects when they are not. */
export interface Sender<Message> {
  send(messages: Message[]): Promise<void>;
}

/** Hides `user` of an event wherever it is stored (EVT-10). */
export interface Seal {
  seal(plain: object, env: string): Promise<string>;
  open(sealed: string, env: string): Promise<EventView['user']>;
}

/** A run that goes on after dispatch has started it, or tried to, for the index: it is open there until its summary arrives. */
export interface QueuedRun {
  runId: string;
  env: string;
  functionId: string;
  /** Internal id of the event that starts it. */
  eventId: string;
  queuedAt: number;
  /** When a sweep should first ask the run's object how it stands. */
  checkAt: number;
  /** Of a batch or a debounce: its events are dispatched before it starts. */
  isCollected?: boolean;
}

/** A start that asks for a value of its function's idempotency key. */
export interface Claim {
  env: string;
  functionId: string;
  key: string;
  runId: string;
  /** When it was to start for the first time, always the same of one run; in milliseconds since 1970. */
  at: number;
}

/** An event on its way into the store. */
export interface Arrival {
  event: StoredEvent;
  /** Whether dispatch has anything to do for it, e.g. runs to start. If not, and nobody waits for its name, it is stored as dispatched. */
  isHeard: boolean;
  /** Of the registry that this was found out with. When it is not the current one the event is not stored as dispatched. */
  version: number;
  /** Some function collects it into a batch or a debounce: a duplicate is dispatched to that one all the same (ID-7). */
  isHeardAgain?: boolean;
}

/** What dispatch has brought about, to be written as one. */
export interface Settlement {
  /** Events about the ends of runs, to be stored. */
  arrivals?: Arrival[];
  /** Runs that ended: closes their rows, or makes them where they are missing. */
  ended?: RunSummary[];
  /** Runs that go on. No row is made for a run of an event that is dispatched already, unless it was collected, and a row that is there stays as it is. */
  open?: QueuedRun[];
  /** Internal ids of events for which nothing is left to do. */
  dispatched?: string[];
}

/**
 * Events that are to be dispatched, by their internal ids; whether somebody may wait for their name; and whether what they start was
 * planned with the functions of now. Duplicates are only collected.
 */
export type Admitted = Map<string, { isAwaited: boolean; isCurrent: boolean; isDuplicate?: boolean }>;

export interface EventQuery {
  env: string;
  /** Without a name, `inngest/function.finished` is left out (SY-12): every run has one. */
  name?: string;
  /** The engine's own events are left out, but not the ticks of crons, which start runs as senders' events do. */
  isInternalLeftOut?: boolean;
  receivedAfter: number;
  receivedBefore?: number;
  /** Internal id: only events that sort after it (older ones). */
  cursor?: string;
  /** Only events that have not been dispatched yet. */
  undispatched?: boolean;
  limit: number;
}

/** A stored event with what became of it. */
export interface EventRecord {
  event: StoredEvent;
  /** Internal id of the first event with the same id within 24 h, when this is not the first (DD-6). */
  duplicateOf: string | null;
  /** Why the event was given up, when it was. */
  deadReason: string | null;
}

export interface RunRecord {
  runId: string;
  env: string;
  functionId: string;
  eventId: string;
  status: RunStatus;
  queuedAt: number;
  endedAt: number | null;
  /** JSON text; null while open and where it is too large for the index (then the object has it). */
  output: string | null;
  outputInObject: boolean;
  /** Why it was skipped; only of such. */
  reason?: string;
}

/** An open run whose object is to be asked how it stands. */
export interface DueRun {
  runId: string;
  env: string;
  functionId: string;
  eventId: string;
  queuedAt: number;
  /** Of its event. It was read before the object is asked: a run of a dead event that is then unknown was never started. */
  deadReason: string | null;
}

/** Where to look for open runs of a function. */
export interface OpenRunSearch {
  env: string;
  functionId: string;
  /** Queued at this moment or later, and before that one; in milliseconds. */
  after: number;
  before: number;
  /** The run that the search has come to; `''` to begin. */
  cursor: string;
  /** Rows of the index that are looked at, whatever is found among them. */
  window: number;
}

/** A list of runs, the newest first. */
export interface RunQuery {
  env: string;
  functionIds?: string[];
  /** Of the events that started them. */
  eventIds?: string[];
  statuses?: RunStatus[];
  /** By when they were queued, or ended: at this moment or later, and before that one, if there is one; in milliseconds. */
  time: 'queuedAt' | 'endedAt';
  from: number;
  until?: number;
  /** Only runs that sort after it (older ones). */
  cursor?: string;
  limit: number;
}

/** The event history, the idempotency keys and the index of runs. Every method is one atomic batch and may be repeated. */
export interface Store {
  /**
   * Stores events that are not stored yet, and takes or finds their idempotency keys (DD-1 to DD-10): an event whose id was taken
   * within 24 h is stored as a duplicate and never dispatched, unless it is heard again all the same (`Arrival.isHeardAgain`).
   * @param heardAgain internal ids of such events.
   */
  insertEvents(events: StoredEvent[], now: number, heardAgain?: ReadonlySet<string>): Promise<void>;
  /** The same as `insertEvents`; answers which of the events are to be dispatched. */
  admit(arrivals: Arrival[], now: number): Promise<Admitted>;
  /** Answers which of the arrivals are to be dispatched. */
  settle(settlement: Settlement, now: number): Promise<Admitted>;
  /** From now on somebody may wait for events of this name. */
  expectWaits(env: string, name: string): Promise<void>;
  /** One more failure of each of these events; answers how many each has had. Those with nothing left to do are not counted and not answered. */
  countFailure(internalIds: string[]): Promise<Map<string, number>>;
  /** These events can never be dispatched; the reason is kept with them. */
  markDead(internalIds: string[], reason: string, now: number): Promise<void>;

  /** Takes or finds the keys, for 24 h each (ID-9): answers the run ids of those that have theirs. Whoever had it has it again. */
  claim(claims: Claim[]): Promise<Set<string>>;

  loadEvents(internalIds: string[]): Promise<StoredEvent[]>;
  findEvent(env: string, internalId: string): Promise<EventRecord | null>;
  listEvents(query: EventQuery): Promise<EventRecord[]>;
  runsOfEvent(env: string, internalId: string): Promise<RunRecord[]>;
  findRun(env: string, runId: string): Promise<RunRecord | null>;
  listRuns(query: RunQuery): Promise<RunRecord[]>;
  /** @returns the cursor of the next search; null when nothing is left to look at. */
  openRunsOf(search: OpenRunSearch): Promise<{ runs: RunRecord[]; cursor: string | null }>;

  /** Accepted before `before` and not dispatched yet: internal ids, oldest first. */
  undispatched(before: number, limit: number): Promise<string[]>;
  /** Open runs whose check is due. */
  runsToCheck(now: number, limit: number): Promise<DueRun[]>;
  /** When the next check of an open run is due; null when there is none. */
  nextCheck(): Promise<number | null>;
  /** When to ask these runs next. */
  scheduleChecks(checks: { runId: string; checkAt: number }[]): Promise<void>;
  /** Deletes events that have expired, at most `limit`; answers at most `limit` runs whose objects, and then rows, may go. */
  expire(now: number, limit: number): Promise<{ runIds: string[]; more: boolean }>;
  /** Deletes the rows of ended runs whose objects have been emptied. */
  forgetRuns(runIds: string[]): Promise<void>;
}

/** The run objects. */
export interface Runs {
  /**
   * Durable when it resolves; a repeat changes nothing. Waits a moment for the end of the run: if it answers that, nobody else is told of
   * it; null: the run will report its end itself.
   */
  start(run: RunStart): Promise<RunEnding | null>;
  /** `ended` when the run had ended before (CX-30). */
  cancel(runId: string): Promise<'cancelled' | 'ended' | 'unknown'>;
  /** Whether it may go on. What was heard with a later turn stands. */
  hold(runId: string, hold: Hold): Promise<void>;
  read(runId: string): Promise<RunView | null>;
  trace(runId: string): Promise<RunTrace | null>;
  /** The answer to a step of the run that asked for it. `gone`: it is not wanted any more. A repeat changes nothing. */
  answer(runId: string, key: string, answer: StepAnswer): Promise<'taken' | 'gone'>;
  /** Also wakes a run that should have woken by itself. */
  check(runId: string): Promise<RunCheck>;
  purge(runId: string): Promise<void>;
}

/**
 * The objects that know who waits for which event, one for each environment and event name. A wait has exactly one outcome: its
 * first matching event by time of receipt, or none by its deadline; this object decides which (WE-12).
 */
export interface Waits {
  /**
   * Durable when it resolves; a repeat changes nothing. Then looks back: an event received from `since` on that the history holds
   * already is found too. There is no gap between the two.
   */
  listen(waits: Wait[]): Promise<void>;
  /** Events of one name that were admitted; may be repeated. Runs that matched are told, again and again until they took it. */
  deliver(env: string, name: string, events: StoredEvent[]): Promise<void>;
  /** The deadline of a wait has passed: answers the event that it got before that, if any, after one last look at the history; ends the wait. */
  expire(env: string, name: string, runId: string, key: string): Promise<StoredEvent | null>;
  /** The run wants nothing of these any more. */
  drop(env: string, name: string, runId: string, keys: string[]): Promise<void>;
}

/** The runs, as the waits see them. */
export interface Waiters {
  /** An event for one of the run's waits (Wait.key). `gone`: the run does not want it any more. A repeat changes nothing. */
  resume(runId: string, key: string, event: StoredEvent): Promise<'taken' | 'gone'>;
  /** By an event (CX group). A repeat changes nothing. */
  cancel(runId: string): Promise<unknown>;
}

/** The objects that know which run waits for which signal: one run at most for each signal of an environment (WS-1). */
export interface Signals {
  /** Durable when it resolves; a repeat changes nothing. `taken`: another run waits, and this wait is to fail then. */
  listen(wait: SignalWait): Promise<'listening' | 'taken'>;
  /** Answers the run that gets it, null when none waits; the signal is nobody's then. A repeat changes nothing. */
  send(env: string, signal: string, sent: SentSignal): Promise<string | null>;
  /** The deadline of a wait has passed: what it got before that, if anything; ends the wait. */
  expire(env: string, signal: string, runId: string, key: string): Promise<StepAnswer | null>;
  /** The run wants it no more. */
  drop(env: string, signal: string, runId: string, key: string): Promise<void>;
}

/** The runs, as the signals see them. */
export interface SignalWaiters {
  /** The answer to a step, told once: so `gone` means that this run has not had it, nor will. */
  tell(runId: string, key: string, answer: StepAnswer): Promise<'taken' | 'gone'>;
  /** Whether the run still waits for what it has asked for under this key. */
  awaits(runId: string, key: string): Promise<boolean>;
}

/** The run objects, as remote code sees its own runs. Null: no such run in the environment. */
export interface RemoteRuns {
  /** Steps that it has run in the course of a call. A repeat changes nothing. */
  checkpoint(runId: string, env: string, checkpoint: Checkpoint): Promise<CheckpointResult | null>;
  snapshot(runId: string, env: string): Promise<RunSnapshot | 'ended' | null>;
}

/** The functions of an environment at one moment. */
export interface Catalog {
  /** Rises with every change that an app's registration brings; 0 as long as there was none. */
  version: number;
  /** Of all that may start; the same list as long as nothing changes. */
  configs: readonly FunctionConfig[];
  /** By function; none where it is absent. */
  paused?: ReadonlyMap<string, Pause>;
}

/** A change to whether a function is paused (PA group). */
export interface Pause {
  env: string;
  functionId: string;
  /** What becomes of its runs under way: nothing of them begins for 7 days, and then they are cancelled; or they are cancelled at once. Null: it goes on. */
  mode: 'hold' | 'cancel' | null;
  since: number;
  /** Of two changes the later one has the higher. */
  turn: number;
}

export type LineOwner = Pick<LimitChoice, 'env' | 'functionId' | 'scope'>;

/** Where it is decided who may start, and who may execute, under a function's limits. */
export interface Gates {
  /** Durable when it resolves. A repeat is answered as it stands then, and renews a lease. */
  acquire(ask: SlotAsk): Promise<SlotAnswer>;
  /** Gives a lease back, or a place in the line. A repeat changes nothing. */
  release(claim: SlotClaim): Promise<void>;
  /** Null for a claim that does not wait. */
  look(claim: SlotClaim): Promise<SlotState | null>;
  /** Of a function's own limits, or of those that its environment or the account shares: lines in which somebody is, some of them. */
  lines(of: LineOwner): Promise<LineState[]>;
  /** In place of what is configured, from now on and until it is taken back (null). */
  change(choice: LimitChoice, to: LimitChange | null): Promise<void>;
}

/** The runs, as the gates see them. */
export interface SlotHolders {
  /** It has the slot that it waited for. `gone`: it does not want it any more. A repeat changes nothing. */
  grant(runId: string, granted: Granted): Promise<'taken' | 'gone'>;
}

/** The gates of a function's keys: what concerns one key is decided in one place (FC-8). A repeat gets the answer of the first time. */
export interface StartGates {
  /** Into the open batch or debounce of their key. */
  collect(of: GateOf, policy: Collecting, events: Collectable[]): Promise<Collected[]>;
  /** Run ids of those that pass. @param space between two starts of one key, in milliseconds. */
  rate(of: GateOf, space: number, entrants: Entrant[]): Promise<string[]>;
  /** Run ids of those that may become runs, while no other run of their key is active; by cancelling that one if the mode says so. */
  single(of: GateOf, mode: 'skip' | 'cancel', entrants: Entrant[]): Promise<string[]>;
}

/** The functions that an environment has. */
export interface Functions {
  /** What is known here, at once: may be behind, which the store finds out (`Admitted`). */
  known(env: string): Catalog;
  /** As they are now. */
  load(env: string): Promise<Catalog>;
}

/** Where a function outside of this Worker is called. */
interface RemoteApp {
  /** Its name, unique in its environment (AP-4). */
  id: string;
  uuid: string;
  /** http or https; without `fnId`, `stepId` and `deployId`, which every call sets itself (AP-23a, XL-1). */
  url: string;
  /** As registered, `<language>:v<version>`: `js:v3.54.2`, `py:v0.5.18`, `go:v0.16.0`. */
  sdk: string;
  /** The service binding that reaches it, where the URL's host is `<binding>.binding`. */
  binding?: string;
}

export interface RegisteredFunction {
  config: FunctionConfig;
  uuid: string;
  /** From 1, one higher with each sync that changes the configuration (AP-8). */
  version: number;
  /** Null: its code is in this Worker. */
  app: RemoteApp | null;
}

/** The functions of this Worker, and those of apps elsewhere as they registered. */
export interface Registry extends Functions {
  /**
   * Also a function that may not start any more: its runs go on (FN-12). What is known here counts for a few seconds, and longer where
   * the database fails. @param version of the registry: not older than that.
   */
  find(env: string, functionId: string, version?: number): Promise<RegisteredFunction | null>;
  /** All that may start, as they are now. */
  list(env: string): Promise<readonly RegisteredFunction[]>;
}

/** An app as it last registered; times in milliseconds. */
export interface AppRecord {
  id: string;
  /** Of its newest sync; each of its functions has the one that it was synced from (AP-38). */
  url: string;
  sdk: string;
  framework: string | null;
  platform: string | null;
  appVersion: string | null;
  /** When a sync last changed something. */
  syncedAt: number;
  archivedAt: number | null;
}

export interface FunctionRecord {
  config: FunctionConfig;
  appId: string;
  url: string;
  version: number;
  /** Not served any more, or its app is archived. */
  isArchived: boolean;
}

export interface AppRecords {
  version: number;
  apps: AppRecord[];
  functions: FunctionRecord[];
  /** Of the functions that are paused, those of this Worker too. */
  pauses: Pause[];
}

/** Where registrations are kept. Every method is one atomic batch and may be repeated. */
export interface Apps {
  /** One consistent reading; null when the version is still the `known` one. */
  load(env: string, known?: number): Promise<AppRecords | null>;
  /**
   * Takes the app's own data, and adds or changes these functions. Those of the app that were synced from the same path and are not
   * among them are archived (AP-38, FN-12).
   */
  sync(
    env: string,
    app: Omit<AppRecord, 'syncedAt' | 'archivedAt'>,
    functions: FunctionConfig[],
    now: number,
  ): Promise<void>;
  /** Archives an app, or takes that back (AP-45). False: there is no such app. */
  setArchived(env: string, appId: string, archivedAt: number | null): Promise<boolean>;
  /** False, and nothing is changed: it is so already. */
  setPaused(env: string, functionId: string, mode: Pause['mode'], now: number): Promise<boolean>;
  /** Changes of which open runs are to be told, up to which run they have been. */
  pausesToTell(limit: number): Promise<(Pause & { toldTo: string })[]>;
  /** Up to which run; null: all. Nothing, if there was another change since. */
  pauseTold(pause: Pause, toldTo: string | null): Promise<void>;
}

/** Open runs of one function that are to be cancelled, by when they were queued (BC group). Times in milliseconds. */
export interface Cancellation {
  id: string;
  env: string;
  appId: string;
  /** Composite. */
  functionId: string;
  /** Inclusive; null: no lower bound. */
  startedAfter: number | null;
  /** Exclusive. While it lies in the future, runs that are yet to come are cancelled too. */
  startedBefore: number;
  /** CEL over the `event` that started the run; null: all of them. */
  expression: string | null;
  createdAt: number;
}

/** How far a cancellation has come. */
export interface CancellationProgress {
  /** Nothing that was queued before is left to be looked at. */
  since: number;
  /** The walk through the index that is under way: the run it has come to, and what `since` will be after it. */
  pass: { cursor: string; until: number } | null;
  matched: number;
  cancelled: number;
  endedAt: number | null;
}

export type CancellationRecord = Cancellation & CancellationProgress;

/** Where bulk cancellations are kept. Every method is one statement and may be repeated. */
export interface Cancellations {
  create(cancellation: Cancellation): Promise<void>;
  /** The newest first. @param cursor only what sorts after this id. */
  list(env: string, limit: number, cursor?: string): Promise<CancellationRecord[]>;
  /** False: there is none. */
  remove(env: string, id: string): Promise<boolean>;
  /** Those with work left, the oldest first. */
  open(limit: number): Promise<CancellationRecord[]>;
  /** Nothing where it has been removed. */
  advance(id: string, progress: CancellationProgress): Promise<void>;
  /** Those that ended before. */
  forget(before: number): Promise<void>;
}

/** The way to apps. */
export interface AppNetwork {
  /** Why an address may not be called, in words that may be shown; null where it may. */
  refusal(url: string): string | null;
  /** Follows no redirects. Rejects where the address may not be called. @param binding of the app that is meant, if it has one. */
  fetch(url: string, init: RequestInit, binding?: string): Promise<Response>;
}

/** The sweep's own alarm. */
export interface Sweeps {
  /** Makes sure that sweeps happen from now on. */
  arm(): Promise<void>;
  /** All zero as long as nothing ever stood still. */
  repairs(): Promise<Repairs>;
}

/** How much waits in a queue. Rejects when it does not answer. */
export interface Backlog {
  backlog(): Promise<number>;
}

/** The timers of an environment's cron functions. */
export interface Crons {
  /** Makes sure that the schedules of this deployment's functions, and no others, start runs from now on (CR-14). */
  sync(env: string): Promise<void>;
  /** Ticks that were missed and are not made up for, by function. */
  skipped(env: string): Promise<SkippedTicks[]>;
}

/** One structured line per thing worth knowing. Fields never hold users' data. */
export interface Log {
  error(message: string, fields: Record<string, unknown>): void;
}

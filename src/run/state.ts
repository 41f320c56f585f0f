/**
 * What a run is made of, and which part of it is stored.
 *
 * Stored, one journal row each: `config`, `run`, and every step. Not stored: `live`, what user code is being run at this moment.
 * After a restart `live` is unknown and the alarm that was set before user code was entered (the watchdog) finds it so.
 *
 * One writer: the run's object. `apply` only reads the state; `commit` (commit.ts) is the only place that changes it.
 */
import type { RunFlow } from '../protocol/flow.ts';
import type { EventCondition, Op, StepTool, WaitForSignal } from '../protocol/op.ts';
import type { Failure, Hold, RunParent, RunStatus } from '../protocol/run.ts';

/** Frozen when the run starts (FN-11); later deploys change nothing of it. */
export interface RunConfig {
  runId: string;
  env: string;
  functionId: string;
  /** Internal ids of the events that started it. */
  eventIds: string[];
  /** Size of those events: part of what the run holds (RN-6). */
  eventBytes: number;
  queuedAt: number;
  /** Attempts of each step and of the code between steps: retries + 1. */
  maxAttempts: number;
  maxSteps: number;
  /** Longest execution without news, of a step or of the code between two steps. */
  stepRuntime: number;
  /** A fixed wait before each retry; null for the default table. */
  retryInterval: number | null;
  /** Events that cancel the run, as waits keyed `cancel:<n>`; `until` is a moment. */
  cancelOn: { event: string; expression: string | null; until: number }[];
  /** Longest time from when it was due to start to its start (TO-3); null: none. */
  startWithin: number | null;
  /** Longest time from the first entry to the end (TO-5); null: none. */
  finishWithin: number | null;
  /** The step that invoked this run. */
  parent: RunParent | null;
  /** Its code is outside this Worker. */
  remote?: true;
  /** Only of a function that limits its starts or its concurrency: the keys, not the limits (FN-11). */
  flow?: RunFlow;
}

/** The run's own row. Its output, or the error that it failed with, is JSON text beside it. */
export interface Run {
  /** Fence: counts up whenever an execution of the handler is given up, so that its late answer is known. */
  entry: number;
  /** Attempt of the code outside steps, from 0; starts again at 0 after each step that succeeds (RT-9, HC-7). */
  attempt: number;
  /** When the handler is to be entered: a start in the future, or a retry. */
  due: number | null;
  startedAt: number | null;
  failures: Failure[];
  /** How often in a row user code was entered and then lost without progress (crash, deploy, out of memory). */
  losses: number;
  /** Cancellation asked for while a step was executing: it takes effect when the step ends (CX-23). */
  cancelAt: number | null;
  end: { status: Exclude<RunStatus, 'Running'>; at: number } | null;
  /** How remote code wants to be called; known once it has answered. */
  version?: number;
  /** Its throttle has let it start, and it waits for other slots. */
  admitted?: true;
  /** The last that it heard of a pause of its function (hold.ts). */
  hold?: Hold;
}

interface StepBase {
  /** Hashed id. */
  id: string;
  name: string;
  op: Exclude<Op['op'], 'StepError' | 'StepPlanned'>;
  tool?: StepTool;
  /** Row number in the journal: the order in which steps were first reported. */
  seq: number;
  startedAt: number;
  failures: Failure[];
  /** Refused answers of attempts that were no longer current. */
  late: number;
  /** Remote code wants a call for this step alone. */
  planned?: true;
  /** The handler goes on as soon as this is settled, whatever else it waits for. */
  race?: true;
}

/**
 * What somebody else was asked for. `since`: events received from then on count; null: from the one on that started the run. `after`: how
 * many steps were settled at that moment; what these have got of events, this one does not get again.
 */
export type Ask =
  | ({ for: 'event'; since: number | null; after: number; or?: EventCondition[] } & EventCondition)
  | ({ for: 'signal' } & Pick<WaitForSignal, 'signal' | 'conflict'>)
  | { for: 'run'; functionId: string };

/**
 * Sleeps until `due`; or failed and is tried again then, as attempt `attempt`; or has asked for something, and has the answer or is
 * out of time at `due`.
 */
export type WaitingStep = StepBase & { state: 'waiting'; due: number; attempt: number; ask?: Ask };

/** Has its outcome for ever. `order`: completion order in the run, the order of replay (MX-27). */
export type SettledStep = StepBase & {
  state: 'settled';
  ok: boolean;
  order: number;
  endedAt: number;
  size: number;
  /** Internal id of the event that a wait got. */
  got?: string;
};

export type Step = WaitingStep | SettledStep;

/** A step whose callback is being run. */
export interface Executing {
  id: string;
  name: string;
  attempt: number;
  since: number;
  tool?: StepTool;
  /** What it was given, for its trace: JSON text. */
  input?: string;
}

/** `unknown` after a restart; `parked` when everything that the handler waits for is a timer of ours. */
export interface Live {
  phase: 'unknown' | 'parked' | 'executing';
  /** Last news of user code. */
  since: number;
  /** While executing: when to look whether it still is. */
  watchdog: number;
  steps: Map<string, Executing>;
  /** What was asked for and is not acknowledged yet: keys of waits. Asked again until it is; no run is parked before. */
  asks: Set<string>;
  /** Only of a run with limits, once it has asked. */
  slots?: Slots;
}

/** What a burst holds of the run's limits, by their numbers (slots.ts), and what it waits for. */
export interface Slots {
  /** Fence: which burst of the run this is. Counts up, also across restarts: it is taken from the clock. 0: none yet. */
  turn: number;
  /** The limit whose slot is asked for; null while nothing is. */
  asked: number | null;
  /** Takes a place in the line; otherwise it is only tried. */
  waits: boolean;
  /** The gate knows that it waits, and will tell. */
  isInLine: boolean;
  held: number[];
  /** When to ask again for what has not been heard. */
  askAt: number;
  renewAt: number;
}

export interface RunState {
  config: RunConfig;
  run: Run;
  steps: Map<string, Step>;
  live: Live;
  /** Derived: the due times of waiting steps, bytes of the events and of all outputs, settled steps. */
  waiting: Map<string, number>;
  bytes: number;
  settled: number;
}

/** Attempt of a step that may run now; null when it has its outcome. */
export function currentAttempt(state: RunState, id: string): number | null {
  const step = state.steps.get(id);
  if (step === undefined) return 0;
  return step.state === 'settled' ? null : step.attempt;
}

/** What a waiting step has asked for; undefined where it has not, or does not wait. */
export function openAsk({ steps }: RunState, id: string): Ask | undefined {
  const step = steps.get(id);
  return step?.state === 'waiting' ? step.ask : undefined;
}

/** Under which keys a waiting step has asked: its id, and for further events of the same wait the id with a number. */
export function askKeys(id: string, ask: Ask | undefined): string[] {
  if (ask === undefined) return [];
  const further = ask.for === 'event' ? (ask.or ?? []) : [];
  return [id, ...further.map((_, n) => `${id}.${n + 1}`)];
}

/** The step that asks under this key. */
export function askingStep({ steps }: RunState, key: string): Step | undefined {
  return steps.get(key) ?? steps.get(key.replace(/\.\d+$/, ''));
}

/** Whether the timer of a waiting step counts: not while it executes, or is asked for. */
export function isTimed(state: RunState, id: string): boolean {
  const { steps, asks } = state.live;
  if (steps.has(id) || asks.has(id)) return false;
  return asks.size === 0 || !askKeys(id, openAsk(state, id)).some((key) => asks.has(key));
}

/** Slots are asked for: until they are there nothing begins. */
export function isQueued({ slots }: Live): boolean {
  return slots !== undefined && slots.asked !== null;
}

/** Its function is paused: nothing begins (PA-5). */
export function isHeld({ hold }: Run): boolean {
  return hold !== undefined && hold.until !== null;
}

/** What comes due takes no user code for now. */
export function isBarred({ live, run }: RunState): boolean {
  return isQueued(live) || isHeld(run);
}

/** Whether it takes user code to go on with a waiting step: it is to be run again. */
export function needsCode({ steps }: RunState, id: string): boolean {
  const step = steps.get(id);
  return step?.state === 'waiting' && step.op === 'StepRun';
}

/** When the run is out of time to start (TO-3); a timer of its own, however long the line is (TO-11). */
export function startBy({ config, run }: RunState): number {
  if (config.startWithin === null || run.startedAt !== null || run.due === null) return Infinity;
  return run.due + config.startWithin;
}

/** When it is cancelled, as its function is still paused (PA-5). */
export function heldBy({ run }: RunState): number {
  return run.hold?.until ?? Infinity;
}

/** When the run is out of time (TO-5). */
export function finishBy({ config, run }: RunState): number {
  return config.finishWithin === null || run.startedAt === null
    ? Infinity
    : run.startedAt + config.finishWithin;
}

/** The handler's own code is what executes, and nothing else of the run. */
export function handlerRuns({ live }: RunState): boolean {
  return live.phase === 'executing' && live.steps.size + live.asks.size === 0;
}

/** When the object must wake next; null when it need not. The object's one alarm is always this. */
export function nextAlarm(state: RunState): number | null {
  if (state.run.end !== null) return null;
  const { live } = state;
  const isWatched = live.phase === 'executing' || (live.phase === 'unknown' && !isQueued(live));
  let next = isWatched ? live.watchdog : (live.slots?.askAt ?? Infinity);
  // Once a cancellation waits, only the executing steps do: nothing else begins any more.
  if (state.run.cancelAt === null) next = Math.min(next, nextDue(state));
  return next === Infinity ? null : next;
}

function nextDue(state: RunState): number {
  const held = isBarred(state);
  // The handler's own code is not interrupted (TO-10): its next news tells that the time is over.
  const finish = handlerRuns(state) ? Infinity : finishBy(state);
  let next = Math.min(held ? Infinity : (state.run.due ?? Infinity), startBy(state), heldBy(state), finish);
  for (const [id, due] of state.waiting) {
    if (due < next && isTimed(state, id) && !(held && needsCode(state, id))) next = due;
  }
  return next;
}

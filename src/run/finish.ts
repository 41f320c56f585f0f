/** The ends of a run. After these nothing of it changes any more. */
import type { SerializedError } from '../protocol/error.ts';
import {
  askingStep,
  askKeys,
  finishBy,
  handlerRuns,
  openAsk,
  type Ask,
  type Run,
  type RunState,
} from './state.ts';
import {
  nothing,
  type Changes,
  type Effect,
  type Registration,
  type RunInput,
  type Transition,
} from './transition.ts';

type Status = NonNullable<Run['end']>['status'];

/** @param also what else the same input changed. */
export function finish(
  state: RunState,
  run: Run,
  status: Status,
  output: string,
  now: number,
  also: Changes = {},
): Transition {
  const changes: Changes = {
    ...also,
    run: { ...run, due: null, end: { status, at: now } },
    output,
    live: { phase: 'parked' },
  };
  return { changes, effects: [{ type: 'stop' }, ...dropped(state), { type: 'report' }] };
}

export function fail(
  state: RunState,
  run: Run,
  error: SerializedError,
  now: number,
  also: Changes = {},
): Transition {
  if (run.cancelAt !== null) return finish(state, run, 'Cancelled', 'null', now, also);
  const failures = [...run.failures, { attempt: run.attempt, at: now, error }];
  return finish(state, { ...run, failures }, 'Failed', JSON.stringify(error), now, also);
}

/** Between steps: at once (CX-22). While steps execute: they run to their end first, and nothing new begins (CX-23, CX-26). */
export function cancelled(state: RunState, now: number): Transition {
  if (state.run.cancelAt !== null) return nothing;
  if (state.live.steps.size > 0) return { changes: { run: { ...state.run, cancelAt: now } }, effects: [] };
  return finish(state, state.run, 'Cancelled', 'null', now);
}

/** What comes after the run's time as it would have before. */
const TIMELESS = new Set<RunInput['type']>([
  'returned',
  'spoke',
  'acknowledged',
  'askAgain',
  'watchdog',
  'held',
  'slotAnswered',
  'slotGranted',
  'slotsDue',
]);

/**
 * The run's time is over (TO-5), and the handler's own code was not interrupted by that: what it returns counts (TO-10), but whatever
 * else would go on or begin now is cancelled with the run.
 */
export function isTooLate(state: RunState, input: RunInput, now: number): boolean {
  if (finishBy(state) > now || !handlerRuns(state) || TIMELESS.has(input.type)) return false;
  return !('entry' in input) || input.entry === state.run.entry;
}

/** Keys of the waits that would cancel the run. */
export function cancelKeys({ config }: Pick<RunState, 'config'>): string[] {
  return config.cancelOn.map((_, n) => `cancel:${n}`);
}

/** Waits that nobody is left to wait for. If this is lost, the run answers `gone` to whoever resumes it. */
function dropped(state: RunState): Effect[] {
  const cancels = state.config.cancelOn.map(({ event }, n) => ({ key: `cancel:${n}`, event }));
  const asked = [...state.waiting.keys()].flatMap((id) => registrations(id, openAsk(state, id)));
  const waits = [...cancels, ...asked];
  return waits.length === 0 ? [] : [{ type: 'drop', waits }];
}

/** Where a waiting step is registered. */
export function registrations(id: string, ask: Ask | undefined): Registration[] {
  if (ask?.for === 'signal') return [{ key: id, signal: ask.signal }];
  if (ask?.for !== 'event') return [];
  const conditions = [ask, ...(ask.or ?? [])];
  return askKeys(id, ask).map((key, n) => ({ key, event: conditions[n]?.event ?? '' }));
}

export function askEffects(state: RunState, keys: Iterable<string>, now: number): Effect[] {
  return [...keys].map((key) => {
    const step = askingStep(state, key);
    const isWait = step?.state === 'waiting' && step.ask !== undefined && step.ask.for !== 'run';
    return { type: isWait && step.due <= now ? 'expire' : 'ask', key };
  });
}

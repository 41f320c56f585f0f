/** The ends of a run. After these nothing of it changes any more. */
import type { SerializedError } from '../protocol/error.ts';
import type { Run, RunState } from './state.ts';
import { nothing, type Changes, type Transition } from './transition.ts';

type Status = NonNullable<Run['end']>['status'];

/** @param also what else the same input changed. */
export function finish(
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
  return { changes, effects: [{ type: 'stop' }, { type: 'report' }] };
}

export function fail(
  state: RunState,
  run: Run,
  error: SerializedError,
  now: number,
  also: Changes = {},
): Transition {
  if (run.cancelAt !== null) return finish(run, 'Cancelled', 'null', now, also);
  const failures = [...run.failures, { attempt: run.attempt, at: now, error }];
  return finish({ ...run, failures }, 'Failed', JSON.stringify(error), now, also);
}

/** Between steps: at once (CX-22). While steps execute: they run to their end first, and nothing new begins (CX-23, CX-26). */
export function cancelled(state: RunState, now: number): Transition {
  if (state.run.cancelAt !== null) return nothing;
  if (state.live.steps.size > 0) return { changes: { run: { ...state.run, cancelAt: now } }, effects: [] };
  return finish(state.run, 'Cancelled', 'null', now);
}

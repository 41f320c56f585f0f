/** Which inputs the clock brings. */
import { openAsks } from './asks.ts';
import { finishBy, handlerRuns, isTimed, type RunState } from './state.ts';
import type { RunInput } from './transition.ts';

/**
 * What to feed when the alarm goes off, in three named phases, so that the result does not depend on the order of due times:
 * what took too long, what is due (earliest first), and last a look at user code. May be called at any time.
 */
export function dueInputs(state: RunState, now: number): RunInput[] {
  const { live, run, config } = state;
  const inputs: RunInput[] = [];
  for (const step of live.steps.values()) {
    if (now - step.since >= config.stepRuntime) inputs.push({ type: 'stepOverdue', id: step.id });
  }
  if (live.phase === 'executing' && live.steps.size === 0 && now - live.since >= config.stepRuntime) {
    inputs.push({ type: 'entryOverdue' });
  }
  if (run.cancelAt === null) inputs.push(...due(state, now));
  if (finishBy(state) <= now && !handlerRuns(state)) inputs.push({ type: 'cancelled' });
  if (live.phase !== 'parked' && (live.phase === 'unknown' ? inputs.length === 0 : live.watchdog <= now)) {
    inputs.push({ type: 'watchdog' });
  }
  if (live.phase === 'unknown' && openAsks(state).length > 0) inputs.push({ type: 'askAgain' });
  return inputs;
}

function due(state: RunState, now: number): RunInput[] {
  const { run, waiting } = state;
  const entry: RunInput[] = run.due !== null && run.due <= now ? [{ type: 'entryDue' }] : [];
  const steps = [...waiting].filter(([id, at]) => at <= now && isTimed(state, id));
  return [
    ...entry,
    ...steps.toSorted((a, b) => a[1] - b[1]).map(([id]): RunInput => ({ type: 'stepDue', id })),
  ];
}

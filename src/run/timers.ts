/** Which inputs the clock brings. */
import { openAsks } from './asks.ts';
import {
  finishBy,
  handlerRuns,
  heldBy,
  isBarred,
  isQueued,
  isTimed,
  needsCode,
  startBy,
  type Live,
  type RunState,
} from './state.ts';
import type { RunInput } from './transition.ts';

const SLOTS_DUE: RunInput = { type: 'slotsDue' };

/**
 * What to feed when the alarm goes off, in three named phases, so that the result does not depend on the order of due times:
 * what took too long, what is due (earliest first), and last a look at user code. May be called at any time.
 */
export function dueInputs(state: RunState, now: number): RunInput[] {
  const { live, run } = state;
  const inputs = overdue(state, now);
  if (run.cancelAt === null) inputs.push(...due(state, now));
  if (finishBy(state) <= now && !handlerRuns(state)) inputs.push({ type: 'cancelled' });
  if (isQueued(live)) inputs.push(...((live.slots?.askAt ?? Infinity) <= now ? [SLOTS_DUE] : []));
  else if (isOverlooked(live, inputs.length > 0, now)) inputs.push({ type: 'watchdog' });
  if (live.phase === 'unknown' && openAsks(state).length > 0) inputs.push({ type: 'askAgain' });
  return inputs;
}

/** What took too long. */
function overdue({ live, config }: RunState, now: number): RunInput[] {
  const inputs: RunInput[] = [];
  for (const step of live.steps.values()) {
    if (now - step.since >= config.stepRuntime) inputs.push({ type: 'stepOverdue', id: step.id });
  }
  if (live.phase === 'executing' && live.steps.size === 0 && now - live.since >= config.stepRuntime) {
    inputs.push({ type: 'entryOverdue' });
  }
  return inputs;
}

/** Nobody knows what user code does. */
function isOverlooked({ phase, watchdog }: Live, isKnown: boolean, now: number): boolean {
  return phase === 'unknown' ? !isKnown : phase === 'executing' && watchdog <= now;
}

function due(state: RunState, now: number): RunInput[] {
  const { run, waiting } = state;
  if (Math.min(startBy(state), heldBy(state)) <= now) return [{ type: 'cancelled' }];
  const held = isBarred(state);
  const entry: RunInput[] = !held && run.due !== null && run.due <= now ? [{ type: 'entryDue' }] : [];
  const steps = [...waiting].filter(
    ([id, at]) => at <= now && isTimed(state, id) && !(held && needsCode(state, id)),
  );
  return [
    ...entry,
    ...steps.toSorted((a, b) => a[1] - b[1]).map(([id]): RunInput => ({ type: 'stepDue', id })),
  ];
}

/**
 * A run whose function is paused (PA-5 to PA-8, PA-12): what executes finishes, what it is answered and its timers are written down, but
 * nothing begins. Whatever would have begun is found by what is due once the run may go on: a call of the handler that is held back is
 * written as an entry that is due (`Run.due`), and that is all that has to be remembered.
 */
import type { Hold } from '../protocol/run.ts';
import { isHeld, type Run, type RunState } from './state.ts';
import { nothing, type Changes, type RunInput, type Transition } from './transition.ts';

/** A repeat, and what was overtaken, changes nothing. What is due is fed again afterwards. */
export function held({ run }: RunState, hold: Hold): Transition {
  if (hold.turn <= (run.hold?.turn ?? -1)) return nothing;
  return { changes: { run: { ...run, hold } }, effects: [] };
}

/** What is true of every transition of a run that is held, also of the one that makes it so. */
export function withHold(state: RunState, input: RunInput, transition: Transition, now: number): Transition {
  const { changes, effects } = transition;
  const run = changes.run ?? state.run;
  if (!isHeld(run) || run.end !== null) return transition;
  // Steps were lost with the memory; the cancellation that waits for them ends the run.
  const isLost = input.type === 'watchdog' && state.live.phase === 'unknown';
  if (input.type === 'entryDue') return nothing;
  if (input.type === 'began') return parkedIfIdle(state, { run: anew(state.run, now) }, []);
  if (isLost) return { changes: { run: later(state.run, now), live: { phase: 'parked' } }, effects: [] };
  if (changes.began !== undefined) return nothing;
  const calls = effects.some(({ type }) => type === 'call');
  const next = calls ? { ...changes, run: later(run, now) } : changes;
  return parkedIfIdle(
    state,
    next,
    effects.filter(({ type }) => type !== 'call'),
  );
}

/** The code went on by itself: it is entered anew. */
function anew(run: Run, now: number): Run {
  return { ...later(run, now), entry: run.entry + 1 };
}

function later(run: Run, now: number): Run {
  return { ...run, due: run.due ?? now };
}

/** With an entry that is due, and nothing that executes or is still to be heard, no user code is on its way. */
function parkedIfIdle(state: RunState, changes: Changes, effects: Transition['effects']): Transition {
  const { live } = state;
  const executes = [...live.steps.keys()].some((id) => id !== changes.stopped);
  const asks = [...live.asks, ...(changes.asked ?? [])].some(
    (key) => changes.acknowledged?.includes(key) !== true,
  );
  const isIdle = (changes.run ?? state.run).due !== null && !executes && !asks;
  if (!isIdle || live.phase === 'parked') return withoutLive(state, changes, effects);
  return { changes: { ...changes, live: { phase: 'parked' } }, effects };
}

/** A parked run stays parked. */
function withoutLive(
  state: RunState,
  { live, ...changes }: Changes,
  effects: Transition['effects'],
): Transition {
  const isKept = live !== undefined && (state.live.phase !== 'parked' || changes.asked !== undefined);
  return { changes: isKept ? { ...changes, live } : changes, effects };
}

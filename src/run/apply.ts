/**
 * THE CENTRE: everything that can happen to a run, decided in one pure function.
 *
 *   state + input + now  ->  changes (the rows to write) + effects (what to do once they are written)
 *
 * The object (durable-objects/run.ts) feeds it, writes the changes and the alarm in one transaction, and only then performs
 * the effects. Invariants, held by test/run and test/sim:
 *   1. A run that has ended never changes again, and is reported.
 *   2. A step that has its outcome keeps it: the first one stands (MX-19).
 *   3. An answer of an attempt or entry that is no longer current changes nothing but the count of late answers.
 *   4. Whenever user code may be running there is an alarm ahead, and so there is whenever something is due.
 *   5. No step begins after the cancellation was asked for.
 */
import { never } from '../lib/never.ts';
import { handlerReturned, handlerThrew, entryOverdue, parked, spoke } from './handler.ts';
import { cancelled, isTooLate } from './finish.ts';
import { acknowledged, alsoAskAgain, answered, askAgain, expired } from './asks.ts';
import { held, withHold } from './hold.ts';
import { load } from './commit.ts';
import { entryDue, started, watchdog } from './entry.ts';
import { queued, slotAnswered, slotGranted, slotsDue, withSlots } from './slots.ts';
import type { RunConfig, RunState } from './state.ts';
import { began, reported, stepDue, stepOverdue } from './steps.ts';
import { nothing, type RunInput, type Transition } from './transition.ts';

/** @param state null before the run has started. Never modified here. @param now milliseconds since 1970. */
export function apply(state: RunState | null, input: RunInput, now: number): Transition {
  if (input.type === 'started') return state === null ? begun(input.config, input.startAt, now) : nothing;
  if (state === null || state.run.end !== null) return nothing;
  const own = withHold(state, input, decided(state, input, now), now);
  // Whatever wakes the run after a restart: nobody knows what others have heard of what it asked for.
  const transition = state.live.phase === 'unknown' ? alsoAskAgain(state, own, now) : own;
  return state.config.flow === undefined ? transition : withSlots(state, input, transition, now);
}

/** With limits, a run that is due is queued at once. */
function begun(config: RunConfig, startAt: number, now: number): Transition {
  const transition = started(config, startAt, now);
  const { run } = transition.changes;
  if (config.flow === undefined || run === undefined || run.end !== null || startAt > now) return transition;
  const state = load(config, run, []);
  state.live.phase = 'parked';
  return queued(state, transition, now);
}

function decided(state: RunState, input: Exclude<RunInput, { type: 'started' }>, now: number): Transition {
  if (isTooLate(state, input, now)) return cancelled(state, now);
  switch (input.type) {
    case 'began':
      return began(state, input, now);
    case 'reported':
      return reported(state, input.op, now);
    case 'spoke':
      return spoke(state, input.version);
    case 'returned':
      return input.entry === state.run.entry ? handlerReturned(state, input.output, now) : nothing;
    case 'threw':
      return input.entry === state.run.entry ? handlerThrew(state, input, now) : nothing;
    case 'parked':
      return input.entry === state.run.entry ? parked(state) : nothing;
    case 'cancelled':
      return cancelled(state, now);
    case 'held':
      return held(state, input.hold);
    case 'acknowledged':
      return acknowledged(state, input.key, now);
    case 'answered':
      return answered(state, input, now);
    case 'expired':
      return expired(state, input.key, now);
    case 'askAgain':
      return askAgain(state, now);
    case 'slotAnswered':
      return slotAnswered(state, input, now);
    case 'slotGranted':
      return slotGranted(state, input, now);
    case 'slotsDue':
      return slotsDue(state, now);
    case 'entryDue':
      return entryDue(state, now);
    case 'stepDue':
      return stepDue(state, input.id, now);
    case 'stepOverdue':
      return stepOverdue(state, input.id, now);
    case 'entryOverdue':
      return entryOverdue(state, now);
    case 'watchdog':
      return watchdog(state, now);
    default:
      return never(input);
  }
}

/** What happens to steps: they begin, are reported, and their timers come due. */
import { utf8Length } from '../lib/json.ts';
import { never } from '../lib/never.ts';
import { limits } from '../protocol/limits.ts';
import type { Op, Sleep, StepError, StepPlanned, StepRun } from '../protocol/op.ts';
import { askDue, asks } from './asks.ts';
import { afterLoss, callHandler, executing, progress, runLost, WATCHDOG } from './entry.ts';
import { finish } from './finish.ts';
import { overdue, tooLarge } from './handler.ts';
import { moment, retryAt, tooLong } from './retry.ts';
import {
  afterStep,
  changed,
  failedForGood,
  given,
  goOn,
  isCancelDue,
  isOneTooMany,
  settle,
  settlement,
  stepBase,
  stepLimit,
  toolOf,
  type StepBase,
} from './settle.ts';
import { currentAttempt, isTimed, type Run, type RunState, type WaitingStep } from './state.ts';
import { nothing, type Changes, type RunInput, type Transition } from './transition.ts';

type Begin = Omit<Extract<RunInput, { type: 'began' }>, 'type'>;

/** Refused after a cancellation, for a step that has its outcome or executes, and for an attempt that is not the current one. */
export function began(state: RunState, { recorded, ...begin }: Begin, now: number): Transition {
  const { id, name, attempt } = begin;
  if (state.run.cancelAt !== null || state.live.steps.has(id) || currentAttempt(state, id) !== attempt)
    return nothing;
  if (isOneTooMany(state, id)) return stepLimit(state, now);
  const changes: Changes = { began: { ...begin, since: now }, live: executing(state.live, now) };
  if (recorded !== true || state.steps.has(id)) return { changes, effects: [] };
  // As if it had failed before its first attempt and were due: after a crash it begins again by itself.
  const base = { ...stepBase(state, { id, name, op: 'StepRun' }, now), ...toolOf(begin) };
  return {
    changes: { ...changes, step: { step: { ...base, state: 'waiting', attempt: 0, due: now } } },
    effects: [],
  };
}

export function reported(state: RunState, op: Op, now: number): Transition {
  if (currentAttempt(state, op.id) !== op.attempt) return late(state, op);
  switch (op.op) {
    case 'StepPlanned':
      return planned(state, op, now);
    case 'StepRun':
      return succeeded(state, op, now);
    case 'StepError':
      return failed(state, op, now);
    case 'Sleep':
      return sleeps(state, op, now);
    case 'WaitForEvent':
    case 'WaitForSignal':
    case 'InvokeFunction':
      return asks(state, op, now);
    default:
      return never(op);
  }
}

/** In the journal before it is called: after a crash it is called again, as a step that is to be retried. */
function planned(state: RunState, op: StepPlanned, now: number): Transition {
  if (state.steps.has(op.id) || state.live.steps.has(op.id) || state.run.cancelAt !== null) return nothing;
  if (isOneTooMany(state, op.id)) return stepLimit(state, now);
  const step: WaitingStep = {
    ...stepBase(state, op, now),
    planned: true,
    state: 'waiting',
    attempt: 0,
    due: now,
  };
  const { changes, effects } = again(state, state.run, step, now);
  return { changes: { ...changes, step: { step } }, effects };
}

/** Refused and counted. A sleep or wait that is reported again is no answer: its first registration stands (MX-20). */
function late(state: RunState, op: Op): Transition {
  const step = state.steps.get(op.id);
  if (step === undefined || !(op.op === 'StepRun' || op.op === 'StepError')) return nothing;
  return { changes: { step: { step: { ...step, late: step.late + 1 } } }, effects: [] };
}

function succeeded(state: RunState, op: StepRun, now: number): Transition {
  if (isOneTooMany(state, op.id)) return stepLimit(state, now);
  const size = utf8Length(op.data);
  if (size > limits.outputBytes) {
    return failedForGood(state, op, tooLarge('StepOutputTooLarge', "the step's output", size), now);
  }
  const step = settle(state, op, true, size, now);
  return goOn(state, { step: { step, data: op.data, ...given(state, op.id) }, stopped: op.id }, now);
}

/** Tried again later, or settled with its error when no attempt is left. */
function failed(state: RunState, op: StepError, now: number): Transition {
  if (isOneTooMany(state, op.id)) return stepLimit(state, now);
  if (op.final || op.attempt + 1 >= state.config.maxAttempts) return failedForGood(state, op, op.error, now);
  const base = stepBase(state, op, now);
  const step: WaitingStep = {
    ...base,
    failures: [...base.failures, { attempt: op.attempt, at: now, error: op.error }],
    state: 'waiting',
    attempt: op.attempt + 1,
    due: retryAt(state.config, op.id, op.attempt, now, op.retryAfter),
  };
  const changes: Changes = { step: { step, ...given(state, op.id) }, stopped: op.id };
  if (isCancelDue(state, op.id)) return finish(state, state.run, 'Cancelled', 'null', now, changes);
  const run = progress(state.run);
  const live = afterStep(state, op.id, now);
  return { changes: { ...changes, ...changed(state, run), live }, effects: callHandler(run) };
}

function sleeps(state: RunState, op: Sleep, now: number): Transition {
  if (state.steps.has(op.id) || state.live.steps.has(op.id)) return nothing;
  if (state.run.cancelAt !== null) return nothing;
  if (isOneTooMany(state, op.id)) return stepLimit(state, now);
  const due = moment(op.until, now);
  if (due - now > limits.sleep) {
    return failedForGood(state, op, tooLong('SleepTooLong', 'a sleep', 'SL-4'), now);
  }
  if (due <= now) return slept(state, stepBase(state, op, now), now);
  const step: WaitingStep = { ...stepBase(state, op, now), state: 'waiting', attempt: 0, due };
  return { changes: { step: { step } }, effects: [] };
}

/** A sleep that is over resumes the handler; a retry that is due runs the step alone, in an entry of its own (PA-3). */
export function stepDue(state: RunState, id: string, now: number): Transition {
  const step = state.steps.get(id);
  if (step === undefined || step.state === 'settled' || step.due > now || !isTimed(state, id)) return nothing;
  if (state.run.cancelAt !== null) return nothing;
  if (step.op === 'Sleep') return slept(state, step, now);
  if (step.ask !== undefined) return askDue(state, step, step.ask, now);
  // Not woken by its timer but by the watchdog: it was running, and may be what took its host down.
  if (state.live.phase === 'unknown' && now - step.due >= WATCHDOG) return lost(state, step, now);
  return again(state, state.run, step, now);
}

function again(state: RunState, run: Run, { id, name, attempt }: WaitingStep, now: number): Transition {
  const call = { type: 'call', entry: run.entry, attempt: run.attempt, step: { id, attempt } } as const;
  return {
    changes: {
      ...changed(state, run),
      began: { id, name, attempt, since: now },
      live: executing(state.live, now),
    },
    // After a restart the handler may have been running too; only it knows what else there was.
    effects: state.live.phase === 'unknown' ? [...callHandler(run), call] : [call],
  };
}

function lost(state: RunState, step: WaitingStep, now: number): Transition {
  const run = { ...state.run, losses: state.run.losses + 1 };
  const until = afterLoss(run.losses, now);
  if (until === null) return runLost(state, now);
  if (until === now) return again(state, run, step, now);
  const waiting = { run: { ...run, due: run.due ?? until }, step: { step: { ...step, due: until } } };
  return { changes: { ...waiting, live: { phase: 'parked' } }, effects: [] };
}

function slept(state: RunState, base: StepBase, now: number): Transition {
  return goOn(state, { step: { step: { ...base, ...settlement(state, true, 4, now) }, data: 'null' } }, now);
}

export function stepOverdue(state: RunState, id: string, now: number): Transition {
  const step = state.live.steps.get(id);
  if (step === undefined || now - step.since < state.config.stepRuntime) return nothing;
  const error = overdue('the step', state.config.stepRuntime);
  return failed(
    state,
    { op: 'StepError', id, name: step.name, attempt: step.attempt, error, final: false },
    now,
  );
}

/** What happens to steps: they begin, are reported, and their timers come due. */
import { utf8Length } from '../lib/json.ts';
import { never } from '../lib/never.ts';
import type { SerializedError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import type { Op, Sleep, StepError, StepRun } from '../protocol/op.ts';
import { afterLoss, callHandler, executing, progress, runLost, WATCHDOG } from './entry.ts';
import { fail, finish } from './finish.ts';
import { overdue, tooLarge } from './handler.ts';
import { moment, retryAt } from './retry.ts';
import {
  currentAttempt,
  type Run,
  type RunState,
  type SettledStep,
  type Step,
  type WaitingStep,
} from './state.ts';
import { nothing, type Changes, type Transition } from './transition.ts';

interface Begin {
  id: string;
  name: string;
  attempt: number;
  recorded?: boolean;
}

/** Refused after a cancellation, for a step that has its outcome or executes, and for an attempt that is not the current one. */
export function began(state: RunState, { id, name, attempt, recorded }: Begin, now: number): Transition {
  if (state.run.cancelAt !== null || state.live.steps.has(id) || currentAttempt(state, id) !== attempt)
    return nothing;
  if (isOneTooMany(state, id)) return stepLimit(state, now);
  const changes: Changes = { began: { id, name, attempt, since: now }, live: executing(state.live, now) };
  if (recorded !== true || state.steps.has(id)) return { changes, effects: [] };
  // As if it had failed before its first attempt and were due: after a crash it begins again by itself.
  const base = stepBase(state, { id, name, op: 'StepRun' }, now);
  return {
    changes: { ...changes, step: { step: { ...base, state: 'waiting', attempt: 0, due: now } } },
    effects: [],
  };
}

/** Steps count once, whatever their attempts (LM-12); those that execute for the first time are not in the journal yet. */
function isOneTooMany(state: RunState, id: string): boolean {
  if (state.steps.has(id) || state.live.steps.has(id)) return false;
  let fresh = 0;
  for (const executingId of state.live.steps.keys()) if (!state.steps.has(executingId)) fresh++;
  return state.steps.size + fresh >= state.config.maxSteps;
}

function stepLimit(state: RunState, now: number): Transition {
  const message = `the run reached a step after its ${state.config.maxSteps}th, which is the limit`;
  return fail(state, state.run, { name: 'StepLimitExceeded', message }, now);
}

export function reported(state: RunState, op: Op, now: number): Transition {
  if (currentAttempt(state, op.id) !== op.attempt) return late(state, op);
  switch (op.op) {
    case 'StepRun':
      return succeeded(state, op, now);
    case 'StepError':
      return failed(state, op, now);
    case 'Sleep':
      return sleeps(state, op, now);
    default:
      return never(op);
  }
}

/** Refused and counted. A sleep that is reported again is no answer: its first registration stands (MX-20). */
function late(state: RunState, op: Op): Transition {
  const step = state.steps.get(op.id);
  if (step === undefined || op.op === 'Sleep') return nothing;
  return { changes: { step: { step: { ...step, late: step.late + 1 } } }, effects: [] };
}

function succeeded(state: RunState, op: StepRun, now: number): Transition {
  const size = utf8Length(op.data);
  if (size > limits.outputBytes) {
    return failedForGood(state, op, tooLarge('StepOutputTooLarge', 'step', size), now);
  }
  const step = settle(state, op, true, size, now);
  return goOn(state, { step: { step, data: op.data }, stopped: op.id }, now);
}

/** Tried again later, or settled with its error when no attempt is left. */
function failed(state: RunState, op: StepError, now: number): Transition {
  if (op.final || op.attempt + 1 >= state.config.maxAttempts) return failedForGood(state, op, op.error, now);
  const base = stepBase(state, op, now);
  const step: WaitingStep = {
    ...base,
    failures: [...base.failures, { attempt: op.attempt, at: now, error: op.error }],
    state: 'waiting',
    attempt: op.attempt + 1,
    due: retryAt(state.config, op.id, op.attempt, now, op.retryAfter),
  };
  const changes: Changes = { step: { step }, stopped: op.id };
  if (isCancelDue(state, op.id)) return finish(state.run, 'Cancelled', 'null', now, changes);
  const run = progress(state.run);
  const live = afterStep(state, op.id, now);
  return { changes: { ...changes, ...changed(state, run), live }, effects: callHandler(run) };
}

function failedForGood(state: RunState, op: Op, error: SerializedError, now: number): Transition {
  const data = JSON.stringify(error);
  const settled = settle(state, op, false, utf8Length(data), now);
  const step = { ...settled, failures: [...settled.failures, { attempt: op.attempt, at: now, error }] };
  return goOn(state, { step: { step, data }, stopped: op.id }, now);
}

function sleeps(state: RunState, op: Sleep, now: number): Transition {
  if (state.steps.has(op.id) || state.live.steps.has(op.id)) return nothing;
  if (state.run.cancelAt !== null) return nothing;
  if (isOneTooMany(state, op.id)) return stepLimit(state, now);
  const due = moment(op.until, now);
  if (due - now > limits.sleep) {
    const error = {
      name: 'SleepTooLong',
      message: `a sleep may last at most ${limits.sleep / 86_400_000} days (SL-4)`,
    };
    return failedForGood(state, op, error, now);
  }
  if (due <= now) return slept(state, stepBase(state, op, now), now);
  const step: WaitingStep = { ...stepBase(state, op, now), state: 'waiting', attempt: 0, due };
  return { changes: { step: { step } }, effects: [] };
}

/** A sleep that is over resumes the handler; a retry that is due runs the step alone, in an entry of its own (PA-3). */
export function stepDue(state: RunState, id: string, now: number): Transition {
  const step = state.steps.get(id);
  if (step === undefined || step.state === 'settled' || step.due > now || state.live.steps.has(id))
    return nothing;
  if (state.run.cancelAt !== null) return nothing;
  if (step.op === 'Sleep') return slept(state, step, now);
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

/** The handler goes on with what was settled, unless the run is over: too large, or cancelled with nothing left executing. */
function goOn(state: RunState, changes: Changes, now: number): Transition {
  const settled = changes.step?.step as SettledStep;
  const run = settled.ok ? firstAttempt(state.run) : state.run;
  const bytes = state.bytes + settled.size;
  if (bytes > limits.stateBytes) return fail(state, run, stateTooLarge(bytes), now, changes);
  if (isCancelDue(state, settled.id)) return finish(run, 'Cancelled', 'null', now, changes);
  const next = progress(run);
  const live = afterStep(state, settled.id, now);
  return { changes: { ...changes, ...changed(state, next), live }, effects: callHandler(next) };
}

/** HC-7: after a step that succeeded the attempt is 0 again, and a handler that was told another number is entered anew. */
function firstAttempt(run: Run): Run {
  return run.attempt === 0 || run.due !== null ? run : { ...run, attempt: 0, entry: run.entry + 1 };
}

/** The run's row is only written when it has changed. */
function changed(state: RunState, run: Run): Pick<Changes, 'run'> {
  return run === state.run ? {} : { run };
}

/** With a retry of the handler ahead nothing goes on before it, except what still executes. */
function afterStep(state: RunState, stopped: string, now: number): NonNullable<Changes['live']> {
  const idle = state.run.due !== null && othersExecuting(state, stopped) === 0;
  return idle ? { phase: 'parked' } : executing(state.live, now);
}

function stateTooLarge(bytes: number): SerializedError {
  return {
    name: 'RunStateTooLarge',
    message: `the run holds ${bytes} bytes of JSON, the limit is ${limits.stateBytes}`,
  };
}

function isCancelDue(state: RunState, stopped: string): boolean {
  return state.run.cancelAt !== null && othersExecuting(state, stopped) === 0;
}

function othersExecuting(state: RunState, id: string): number {
  return state.live.steps.size - (state.live.steps.has(id) ? 1 : 0);
}

type StepBase = Pick<Step, 'id' | 'name' | 'op' | 'seq' | 'startedAt' | 'failures' | 'late'>;

function stepBase(state: RunState, op: Pick<Op, 'id' | 'name' | 'op'>, now: number): StepBase {
  const known = state.steps.get(op.id);
  return {
    id: op.id,
    name: op.name,
    op: known?.op ?? (op.op === 'Sleep' ? 'Sleep' : 'StepRun'),
    seq: known?.seq ?? state.steps.size,
    startedAt: known?.startedAt ?? state.live.steps.get(op.id)?.since ?? now,
    failures: known?.failures ?? [],
    late: known?.late ?? 0,
  };
}

function settle(state: RunState, op: Op, ok: boolean, size: number, now: number): SettledStep {
  return { ...stepBase(state, op, now), ...settlement(state, ok, size, now) };
}

function settlement(state: RunState, ok: boolean, size: number, now: number) {
  return { state: 'settled' as const, ok, order: state.settled, endedAt: now, size };
}

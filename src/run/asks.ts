/**
 * What a run asks of others: events to wait for, events that would cancel it, other functions to run. Each is written down in the
 * run first (a waiting step, or its configuration), then asked for until it is acknowledged, and answered at most once: the first
 * answer stands.
 */
import { utf8Length } from '../lib/json.ts';
import type { SerializedError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import type { InvokeFunction, WaitForEvent } from '../protocol/op.ts';
import type { StepAnswer } from '../protocol/run.ts';
import { callHandler, executing } from './entry.ts';
import { askEffects, cancelKeys } from './finish.ts';
import { tooLarge } from './handler.ts';
import { moment, tooLong } from './retry.ts';
import { openAsk, type Ask, type RunState, type WaitingStep } from './state.ts';
import { failedForGood, goOn, isOneTooMany, settlement, stepBase, stepLimit } from './settle.ts';
import { nothing, type RunInput, type Transition } from './transition.ts';

/** A step that waits for somebody else is planned: it is in the journal before anybody is asked. */
export function asks(state: RunState, op: WaitForEvent | InvokeFunction, now: number): Transition {
  if (state.steps.has(op.id) || state.live.steps.has(op.id) || state.run.cancelAt !== null) return nothing;
  if (isOneTooMany(state, op.id)) return stepLimit(state, now);
  const due = moment(op.timeout, now);
  if (due - now > limits.sleep) return failedForGood(state, op, askTooLong(op), now);
  const step: WaitingStep = {
    ...stepBase(state, op, now),
    state: 'waiting',
    attempt: 0,
    due: Math.max(due, now),
    ask: askOf(state, op, now),
  };
  return {
    changes: {
      step: { step, ...(op.op === 'InvokeFunction' ? { data: op.payload } : {}) },
      asked: [op.id],
      live: executing(state.live, now),
    },
    effects: [{ type: 'ask', key: op.id }],
  };
}

function askOf({ settled }: RunState, op: WaitForEvent | InvokeFunction, now: number): Ask {
  if (op.op === 'InvokeFunction') return { for: 'run', functionId: op.functionId };
  const since = op.lookBack === 'run' ? null : now - op.lookBack;
  return { for: 'event', event: op.event, expression: op.expression, since, after: settled };
}

function askTooLong({ op }: WaitForEvent | InvokeFunction): SerializedError {
  const what = op === 'WaitForEvent' ? 'a wait for an event' : 'an invocation';
  return tooLong('TimeoutTooLong', what, 'WE-19');
}

export function acknowledged(state: RunState, key: string): Transition {
  const { live, run } = state;
  if (!live.asks.has(key)) return nothing;
  const isIdle = live.steps.size === 0 && live.asks.size === 1 && run.due !== null;
  // Otherwise the handler is called, so that a run which waited for this alone is parked.
  return {
    changes: { acknowledged: key, ...(isIdle ? { live: { phase: 'parked' } } : {}) },
    effects: callHandler(run),
  };
}

/** Only the step's first answer counts, and only while it waits. */
export function answered(state: RunState, { id, answer, event }: Answered, now: number): Transition {
  const step = state.steps.get(id);
  if (step?.state !== 'waiting' || step.ask === undefined) return nothing;
  const size = utf8Length(answer.data);
  const fits = !answer.ok || size <= limits.outputBytes;
  const error = () => JSON.stringify(tooLarge('StepOutputTooLarge', 'the answer', size));
  return answerWith(state, step, fits ? answer : { ok: false, data: error() }, now, event);
}

type Answered = Extract<RunInput, { type: 'answered' }>;

function answerWith(
  state: RunState,
  { ask: _, ...step }: WaitingStep,
  { ok, data }: StepAnswer,
  now: number,
  event?: string,
): Transition {
  const { id, name, op, seq, startedAt, late } = step;
  const failures = ok
    ? step.failures
    : [...step.failures, { attempt: 0, at: now, error: JSON.parse(data) as SerializedError }];
  const done = {
    id,
    name,
    op,
    seq,
    startedAt,
    late,
    failures,
    ...settlement(state, ok, utf8Length(data), now),
    ...(event === undefined ? {} : { got: event }),
  };
  return goOn(state, { step: { step: done, data }, acknowledged: id }, now);
}

/** IV-5, IV-11: an invocation that is out of time fails at once; whether an event came in time others know (WE-12). */
export function askDue(state: RunState, step: WaitingStep, ask: Ask, now: number): Transition {
  if (ask.for === 'event') {
    return {
      changes: { asked: [step.id], live: executing(state.live, now) },
      effects: [{ type: 'expire', key: step.id }],
    };
  }
  const message = `the invoked function "${ask.functionId}" did not end in time; its run goes on`;
  const data = JSON.stringify({ name: 'NonRetriableError', message });
  return answerWith(state, step, { ok: false, data }, now);
}

/** Everything that is asked for and may not have been heard. */
export function askAgain(state: RunState, now: number): Transition {
  const keys = openAsks(state);
  return {
    changes: { asked: keys, live: executing(state.live, now) },
    effects: askEffects(state, keys, now),
  };
}

export function openAsks(state: RunState): string[] {
  const waiting = [...state.waiting.keys()].filter((id) => openAsk(state, id) !== undefined);
  return [...cancelKeys(state), ...waiting];
}

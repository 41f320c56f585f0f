/**
 * What a run asks of others: events and signals to wait for, events that would cancel it, other functions to run. Each is written down in
 * the run first (a waiting step, or its configuration), then asked for until it is acknowledged, and answered at most once: the first
 * answer stands.
 */
import { utf8Length } from '../lib/json.ts';
import type { SerializedError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import type { AskOp } from '../protocol/op.ts';
import type { StepAnswer } from '../protocol/run.ts';
import { callHandler, executing } from './entry.ts';
import { askEffects, cancelKeys, registrations } from './finish.ts';
import { tooLarge } from './handler.ts';
import { moment, tooLong } from './retry.ts';
import { askingStep, askKeys, openAsk, type Ask, type RunState, type WaitingStep } from './state.ts';
import { failedForGood, goOn, isOneTooMany, settlement, stepBase, stepLimit } from './settle.ts';
import { nothing, type RunInput, type Transition } from './transition.ts';

/** A step that waits for somebody else is planned: it is in the journal before anybody is asked. */
export function asks(state: RunState, op: AskOp, now: number): Transition {
  if (state.steps.has(op.id) || state.live.steps.has(op.id) || state.run.cancelAt !== null) return nothing;
  if (isOneTooMany(state, op.id)) return stepLimit(state, now);
  const due = moment(op.timeout, now);
  if (due - now > limits.sleep) return failedForGood(state, op, askTooLong(op), now);
  const ask = askOf(state, op, now);
  const step: WaitingStep = {
    ...stepBase(state, op, now),
    state: 'waiting',
    attempt: 0,
    due: Math.max(due, now),
    ask,
  };
  const keys = askKeys(op.id, ask);
  return {
    changes: {
      step: { step, ...(op.op === 'InvokeFunction' ? { data: op.payload } : {}) },
      asked: keys,
      live: executing(state.live, now),
    },
    effects: keys.map((key) => ({ type: 'ask', key })),
  };
}

function askOf({ settled }: RunState, op: AskOp, now: number): Ask {
  if (op.op === 'InvokeFunction') return { for: 'run', functionId: op.functionId };
  if (op.op === 'WaitForSignal') return { for: 'signal', signal: op.signal, conflict: op.conflict };
  const { event, expression, or } = op;
  const since = op.lookBack === 'run' ? null : now - op.lookBack;
  return { for: 'event', event, expression, since, after: settled, ...(or === undefined ? {} : { or }) };
}

const TOO_LONG = {
  WaitForEvent: ['a wait for an event', 'WE-19'],
  WaitForSignal: ['a wait for a signal', 'WS-1'],
  InvokeFunction: ['an invocation', 'WE-19'],
} as const;

function askTooLong({ op }: AskOp): SerializedError {
  const [what, requirement] = TOO_LONG[op];
  return tooLong('TimeoutTooLong', what, requirement);
}

export function acknowledged(state: RunState, key: string, now: number): Transition {
  const { live, run } = state;
  if (!live.asks.has(key)) return nothing;
  const step = askingStep(state, key);
  // Its deadline has passed meanwhile: whether something came in time is asked about now, for all of its keys.
  if (step?.state === 'waiting' && step.ask !== undefined && step.due <= now)
    return askDue(state, step, step.ask, now);
  const isIdle = live.steps.size === 0 && live.asks.size === 1 && run.due !== null;
  // Otherwise the handler is called, so that a run which waited for this alone is parked.
  return {
    changes: { acknowledged: [key], ...(isIdle ? { live: { phase: 'parked' } } : {}) },
    effects: callHandler(run),
  };
}

/** Only the step's first answer counts, and only while it waits. What else the step has asked for is dropped. */
export function answered(state: RunState, { id: key, answer, event }: Answered, now: number): Transition {
  const step = askingStep(state, key);
  if (step?.state !== 'waiting' || step.ask === undefined) return nothing;
  const { changes, effects } = answerWith(state, step, fitting(answer), now, event);
  const others = registrations(step.id, step.ask).filter((other) => other.key !== key);
  return { changes, effects: others.length === 0 ? effects : [...effects, { type: 'drop', waits: others }] };
}

function fitting(answer: StepAnswer): StepAnswer {
  const size = utf8Length(answer.data);
  if (!answer.ok || size <= limits.outputBytes) return answer;
  return { ok: false, data: JSON.stringify(tooLarge('StepOutputTooLarge', 'the answer', size)) };
}

/** A wait is over without anything when that holds for each of its keys, all of which are asked about at its deadline. */
export function expired(state: RunState, key: string, now: number): Transition {
  const step = askingStep(state, key);
  const { asks: open } = state.live;
  if (step?.state !== 'waiting' || step.ask === undefined || !open.has(key)) return nothing;
  const others = askKeys(step.id, step.ask).filter((other) => other !== key && open.has(other));
  return others.length > 0
    ? { changes: { acknowledged: [key] }, effects: [] }
    : answerWith(state, step, { ok: true, data: 'null' }, now);
}

type Answered = Extract<RunInput, { type: 'answered' }>;

function answerWith(
  state: RunState,
  { ask, ...step }: WaitingStep,
  { ok, data }: StepAnswer,
  now: number,
  event?: string,
): Transition {
  const { id, name, op, seq, startedAt, late, race } = step;
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
    ...(race ? { race } : {}),
    ...settlement(state, ok, utf8Length(data), now),
    ...(event === undefined ? {} : { got: event }),
  };
  return goOn(state, { step: { step: done, data }, acknowledged: askKeys(id, ask) }, now);
}

/** IV-5, IV-11: an invocation that is out of time fails at once; whether something came in time others know (WE-12). */
export function askDue(state: RunState, step: WaitingStep, ask: Ask, now: number): Transition {
  if (ask.for !== 'run') {
    const keys = askKeys(step.id, ask);
    return {
      changes: { asked: keys, live: executing(state.live, now) },
      effects: keys.map((key) => ({ type: 'expire', key })),
    };
  }
  const message = `the invoked function "${ask.functionId}" did not end in time; its run goes on`;
  const error: SerializedError = { name: 'NonRetriableError', message, code: 'invokeTimeout' };
  return answerWith(state, step, { ok: false, data: JSON.stringify(error) }, now);
}

/** Everything that is asked for and may not have been heard, unless another input has seen to it. */
export function askAgain(state: RunState, now: number): Transition {
  if (state.live.phase !== 'unknown') return nothing;
  const keys = openAsks(state);
  return {
    changes: { asked: keys, live: executing(state.live, now) },
    effects: askEffects(state, keys, now),
  };
}

/** Of a run that goes on: an answer that comes before its alarm must not hide that it has asked for more. */
export function alsoAskAgain(state: RunState, { changes, effects }: Transition, now: number): Transition {
  const goesOn = changes.live !== undefined && changes.run?.end == null;
  const known = new Set([...(changes.acknowledged ?? []), ...(changes.asked ?? [])]);
  const keys = goesOn ? openAsks(state).filter((key) => !known.has(key)) : [];
  if (keys.length === 0) return { changes, effects };
  return {
    changes: { ...changes, asked: [...(changes.asked ?? []), ...keys], live: executing(state.live, now) },
    effects: [...effects, ...askEffects(state, keys, now)],
  };
}

export function openAsks(state: RunState): string[] {
  return [
    ...cancelKeys(state),
    ...[...state.waiting.keys()].flatMap((id) => askKeys(id, openAsk(state, id))),
  ];
}

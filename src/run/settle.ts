/** Steps on their way into the journal: what is written of one, and how the run goes on once one is settled. */
import { utf8Length } from '../lib/json.ts';
import type { SerializedError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import type { Op } from '../protocol/op.ts';
import { callHandler, executing, progress } from './entry.ts';
import { fail, finish } from './finish.ts';
import { stateTooLarge } from './handler.ts';
import type { Executing, Run, RunState, SettledStep, Step } from './state.ts';
import type { Changes, Transition } from './transition.ts';

/** Steps count once, whatever their attempts (LM-12); those that execute for the first time are not in the journal yet. */
export function isOneTooMany(state: RunState, id: string): boolean {
  if (state.steps.has(id) || state.live.steps.has(id)) return false;
  let fresh = 0;
  for (const executingId of state.live.steps.keys()) if (!state.steps.has(executingId)) fresh++;
  return state.steps.size + fresh >= state.config.maxSteps;
}

export function stepLimit(state: RunState, now: number): Transition {
  const message = `the run reached a step after its ${state.config.maxSteps}th, which is the limit`;
  return fail(state, state.run, { name: 'StepLimitExceeded', message }, now);
}

export function failedForGood(state: RunState, op: Op, error: SerializedError, now: number): Transition {
  const data = JSON.stringify(error);
  const settled = settle(state, op, false, utf8Length(data), now);
  const step = { ...settled, failures: [...settled.failures, { attempt: op.attempt, at: now, error }] };
  return goOn(state, { step: { step, data, ...given(state, op.id) }, stopped: op.id }, now);
}

/** The handler goes on with what was settled, unless the run is over: too large, or cancelled with nothing left executing. */
export function goOn(state: RunState, changes: Changes, now: number): Transition {
  const settled = changes.step?.step as SettledStep;
  const run = settled.ok ? firstAttempt(state.run) : state.run;
  const bytes = state.bytes + settled.size;
  if (bytes > limits.stateBytes) return fail(state, run, stateTooLarge(bytes), now, changes);
  if (isCancelDue(state, settled.id)) return finish(state, run, 'Cancelled', 'null', now, changes);
  const next = progress(run);
  const live = afterStep(state, settled.id, now);
  return { changes: { ...changes, ...changed(state, next), live }, effects: callHandler(next) };
}

/** HC-7: after a step that succeeded the attempt is 0 again, and a handler that was told another number is entered anew. */
function firstAttempt(run: Run): Run {
  return run.attempt === 0 || run.due !== null ? run : { ...run, attempt: 0, entry: run.entry + 1 };
}

/** The run's row is only written when it has changed. */
export function changed(state: RunState, run: Run): Pick<Changes, 'run'> {
  return run === state.run ? {} : { run };
}

/** With a retry of the handler ahead nothing goes on before it, except what still executes. */
export function afterStep(state: RunState, stopped: string, now: number): NonNullable<Changes['live']> {
  const idle = state.run.due !== null && othersExecuting(state, stopped) === 0;
  return idle ? { phase: 'parked' } : executing(state.live, now);
}

export function isCancelDue(state: RunState, stopped: string): boolean {
  return state.run.cancelAt !== null && othersExecuting(state, stopped) === 0;
}

function othersExecuting(state: RunState, id: string): number {
  return state.live.steps.size - (state.live.steps.has(id) ? 1 : 0);
}

/** What an executing step was given: written with its first outcome. */
export function given(state: RunState, id: string): { input?: string } {
  const input = state.live.steps.get(id)?.input;
  return input === undefined || input.length > limits.inputText ? {} : { input };
}

export type StepBase = Pick<
  Step,
  'id' | 'name' | 'op' | 'tool' | 'seq' | 'startedAt' | 'failures' | 'late' | 'planned' | 'race'
>;

export function stepBase(
  state: RunState,
  op: Pick<Op, 'id' | 'name' | 'op' | 'race'>,
  now: number,
): StepBase {
  const { id, name, race } = op;
  const known = state.steps.get(id);
  if (known !== undefined) {
    const { seq, startedAt, failures, late } = known;
    return { id, name, op: known.op, ...toolOf(known), ...waysOf(known), seq, startedAt, failures, late };
  }
  const begun = state.live.steps.get(id);
  return {
    id,
    name,
    op: op.op === 'StepError' || op.op === 'StepPlanned' ? 'StepRun' : op.op,
    ...toolOf(begun),
    ...(race === undefined ? {} : { race }),
    seq: state.steps.size,
    startedAt: begun?.since ?? now,
    failures: [],
    late: 0,
  };
}

export function toolOf(of: Pick<Executing, 'tool'> | undefined): Pick<Step, 'tool'> {
  return of?.tool === undefined ? {} : { tool: of.tool };
}

function waysOf({ planned, race }: Step): Pick<Step, 'planned' | 'race'> {
  return { ...(planned === undefined ? {} : { planned }), ...(race === undefined ? {} : { race }) };
}

export function settle(state: RunState, op: Op, ok: boolean, size: number, now: number): SettledStep {
  return { ...stepBase(state, op, now), ...settlement(state, ok, size, now) };
}

export function settlement(state: RunState, ok: boolean, size: number, now: number) {
  return { state: 'settled' as const, ok, order: state.settled, endedAt: now, size };
}

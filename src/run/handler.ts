/** What the handler itself does: return, throw, or wait. The entry number has been checked. */
import type { SerializedError } from '../protocol/error.ts';
import { utf8Length } from '../lib/json.ts';
import { limits } from '../protocol/limits.ts';
import type { When } from '../protocol/op.ts';
import { progress } from './entry.ts';
import { fail, finish } from './finish.ts';
import { retryAt } from './retry.ts';
import type { RunState } from './state.ts';
import { nothing, type Transition } from './transition.ts';

export function handlerReturned(state: RunState, output: string, now: number): Transition {
  const { run } = state;
  if (run.cancelAt !== null) return finish(state, run, 'Cancelled', output, now);
  const size = utf8Length(output);
  if (size > limits.outputBytes)
    return fail(state, run, tooLarge('FunctionOutputTooLarge', "the function's output", size), now);
  const bytes = state.bytes + size;
  if (bytes > limits.stateBytes) return fail(state, run, stateTooLarge(bytes), now);
  return finish(state, run, 'Completed', output, now);
}

export function tooLarge(name: string, what: string, size: number): SerializedError {
  return {
    name,
    message: `${what} is ${size} bytes of JSON, the limit is ${limits.outputBytes}`,
  };
}

/** Of all that a run holds: its events, the outputs of its steps, and its own (RN-6). */
export function stateTooLarge(bytes: number): SerializedError {
  return {
    name: 'RunStateTooLarge',
    message: `the run holds ${bytes} bytes of JSON, the limit is ${limits.stateBytes}`,
  };
}

interface Thrown {
  error: SerializedError;
  final: boolean;
  retryAfter?: When;
}

/** Fails the run when no attempt is left (ER-9, ER-19, RN-4); otherwise the handler is entered again later, as the next entry. */
export function handlerThrew(state: RunState, thrown: Thrown, now: number): Transition {
  const { run, config, live } = state;
  const attempt = run.attempt + 1;
  if (thrown.final || attempt >= config.maxAttempts || run.cancelAt !== null)
    return fail(state, run, thrown.error, now);
  const next = {
    ...run,
    entry: run.entry + 1,
    attempt,
    losses: 0,
    due: retryAt(config, '', run.attempt, now, thrown.retryAfter),
    failures: [...run.failures, { attempt: run.attempt, at: now, error: thrown.error }],
  };
  return {
    changes: { run: next, ...(live.steps.size + live.asks.size === 0 ? { live: { phase: 'parked' } } : {}) },
    effects: [],
  };
}

/** Only believed when something will wake the run: a handler that waits for nothing of ours is watched until it is overdue. */
export function parked(state: RunState): Transition {
  const { live, run } = state;
  if (live.steps.size > 0 || live.phase !== 'executing') return nothing;
  // While others have not heard what it asks for it is us who give no news: its host is not lost by its code.
  const known = run.losses === 0 ? {} : { run: progress(run) };
  if (live.asks.size > 0) return { changes: known, effects: [] };
  const idle = state.waiting.size > 0 || run.due !== null;
  return idle ? { changes: { ...known, live: { phase: 'parked' } }, effects: [] } : nothing;
}

export function spoke({ run }: RunState, version: number): Transition {
  return run.version === undefined ? { changes: { run: { ...run, version } }, effects: [] } : nothing;
}

/** Not while something is asked for: then it is us who give no news. */
export function entryOverdue(state: RunState, now: number): Transition {
  const { live, config } = state;
  if (live.phase !== 'executing' || live.steps.size + live.asks.size > 0) return nothing;
  if (now - live.since < config.stepRuntime) return nothing;
  return handlerThrew(state, { error: overdue('the function', config.stepRuntime), final: false }, now);
}

export function overdue(what: string, limit: number): SerializedError {
  return { name: 'TimeoutError', message: `${what} gave no news for ${limit} ms` };
}

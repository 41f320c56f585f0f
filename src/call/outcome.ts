/** What user code has come to, as an operation. */
import type { Op } from '../protocol/op.ts';
import type { StepOutcome } from '../sdk/execution.ts';

export function toOp(step: { id: string; name: string; attempt: number }, outcome: StepOutcome): Op {
  if (outcome.ok) return { op: 'StepRun', ...step, data: outcome.data };
  return { op: 'StepError', ...step, ...withoutOk(outcome) };
}

export function withoutOk({ error, final, retryAfter }: Extract<StepOutcome, { ok: false }>) {
  return { error, final, ...(retryAfter === undefined ? {} : { retryAfter }) };
}

/** Steps as the protocol reports them (ST-8, wire 3.6). */
import { never } from '../../lib/never.ts';
import type { SerializedError } from '../../protocol/error.ts';
import type { EventCondition, When } from '../../protocol/op.ts';
import type { ReachedStep, StepOutcome } from '../execution.ts';

export interface WireOp {
  op: string;
  id: string;
  name: string;
  displayName: string;
  opts: Record<string, unknown>;
  data?: unknown;
  error?: object;
}

/** A step that has no outcome yet: what the engine is to do about it. */
export function planned({ id, name, kind }: ReachedStep): WireOp {
  const base = { id, name, displayName: name };
  switch (kind.op) {
    case 'StepRun': {
      const { tool = 'step.run', input } = kind;
      const given = input === undefined ? {} : { input: JSON.parse(input) as unknown };
      return { ...base, op: 'StepPlanned', opts: { type: tool, ...given } };
    }
    case 'Sleep':
      return { ...base, op: kind.op, name: written(kind.until), opts: {} };
    case 'WaitForEvent': {
      const { event, timeout, lookBack, or } = kind;
      const more = or === undefined ? {} : { or: or.map(condition) };
      const opts = { timeout: written(timeout), ...condition(kind), lookBack, ...more };
      return { ...base, op: kind.op, name: event, opts };
    }
    case 'WaitForSignal': {
      const { signal, timeout, conflict } = kind;
      return { ...base, op: kind.op, name: signal, opts: { signal, timeout: written(timeout), conflict } };
    }
    case 'InvokeFunction': {
      const { functionId, payload, timeout } = kind;
      const opts = {
        function_id: functionId,
        payload: JSON.parse(payload) as unknown,
        timeout: written(timeout),
      };
      return { ...base, op: kind.op, opts };
    }
    case 'Gateway': {
      const { url, method, headers, body } = kind;
      return { ...base, op: kind.op, opts: { type: 'step.fetch', url, method, headers, body } };
    }
    case 'AIGateway': {
      const { url, headers, authKey, format, body } = kind;
      return {
        ...base,
        op: kind.op,
        opts: { type: 'step.ai.infer', url, headers, auth_key: authKey, format, body },
      };
    }
    default:
      return never(kind);
  }
}

/** A step that was run here. */
export function ran({ id, name, kind }: ReachedStep, outcome: StepOutcome): WireOp {
  const type = kind.op === 'StepRun' ? (kind.tool ?? 'step.run') : kind.op;
  const base = { id, name, displayName: name, opts: { type } };
  return outcome.ok
    ? { ...base, op: 'StepRun', data: JSON.parse(outcome.data) as unknown }
    : { ...base, op: 'StepError', error: wireError(outcome.error) };
}

/** SH-18. */
export function wireError(error: SerializedError): object {
  const { cause, ...rest } = error;
  const inner = cause === undefined ? {} : { cause: wireError(cause) };
  return { ...rest, stack: error.stack ?? '', ...inner, __serialized: true };
}

function condition({ event, expression }: EventCondition) {
  return { event, ...(expression === null ? {} : { if: expression }) };
}

/** A duration, or an instant. */
function written(when: When): string {
  return 'in' in when ? `${when.in}ms` : new Date(when.at).toISOString();
}

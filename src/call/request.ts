/** One call of an app as it goes over the wire (wire 3.1 to 3.4, 3.9). Pure. */
import canonicalize from 'canonicalize';
import { sha256Hex } from '../lib/hash.ts';
import { utf8Length, type Json } from '../lib/json.ts';
import type { ErrorCode, SerializedError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import type { Memo } from '../protocol/op.ts';
import type { Step } from '../run/state.ts';

/** `stepId` of a call that lets the handler go on; any other one is a step's id. */
export const DISCOVERY = 'step';

export interface CallFacts {
  runId: string;
  functionUuid: string;
  stepId: string;
  attempt: number;
  maxAttempts: number;
  /** Steps that are new may not be run, only planned. */
  planOnly: boolean;
  /** How the run's code wants to be called; -1 before it has said so. */
  version: number;
  requestId: string;
  /** Counts up when the same call is made again after a loss. */
  generation: number;
}

/** The parts of the body that are as large as the run: canonical JSON. */
export interface CallState {
  events: readonly string[];
  /** `"<id>":<memo>` of settled steps, in the order of their ids. */
  memos: readonly string[];
  /** In the order of their settling. */
  settled: readonly string[];
}

/** RFC 8785, which is what SDKs verify the signature of. It knows no lone surrogates: they become U+FFFD. */
export function canonical(value: unknown): string {
  try {
    return canonicalize(value) ?? 'null';
  } catch {
    return canonicalize(wellFormed(value as Json)) ?? 'null';
  }
}

function wellFormed(value: Json): Json {
  if (typeof value === 'string') return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key.toWellFormed(), wellFormed(inner)]),
  );
}

/** @param takesState the SDK cannot fetch what is too large for the body: then it gets all of it at once (XL-20). */
export function callBody(facts: CallFacts, state: CallState, takesState: boolean): string {
  const whole = body(facts, state, false);
  return takesState || isShort(whole) ? whole : body(facts, state, true);
}

/** Most are by far, and need not be counted. */
function isShort(text: string): boolean {
  return text.length * 3 <= limits.callBytes || utf8Length(text) <= limits.callBytes;
}

/** Keys in the order of RFC 8785; the parts are canonical already. What is done for each step here is native code's. */
function body(facts: CallFacts, { events, memos, settled }: CallState, useApi: boolean): string {
  const members = [
    `"ctx":${JSON.stringify(context(facts, settled, useApi))}`,
    `"event":${events[0] ?? 'null'}`,
    `"events":[${useApi ? '' : events.join(',')}]`,
    `"steps":{${useApi ? '' : memos.join(',')}}`,
    `"use_api":${String(useApi)}`,
    `"version":${facts.version}`,
  ];
  return `{${members.join(',')}}`;
}

/** Canonical as it is written: its keys are sorted, and its strings and numbers plain. */
function context(facts: CallFacts, settled: readonly string[], useApi: boolean): object {
  return {
    attempt: facts.attempt,
    disable_immediate_execution: facts.planOnly,
    env: '',
    fn_id: facts.functionUuid,
    generation_id: facts.generation,
    job_id: jobId(facts, settled.length),
    max_attempts: facts.maxAttempts,
    // Comes back with checkpoints: by it they are known to belong to this call.
    qi_id: facts.requestId,
    request_id: facts.requestId,
    run_id: facts.runId,
    stack: { current: settled.length, stack: settled },
    step_id: DISCOVERY,
    use_api: useApi,
  };
}

/** The same for each repetition of a call. */
function jobId({ runId, stepId }: CallFacts, settled: number): string {
  return `${runId}:${stepId === DISCOVERY ? settled : stepId}`;
}

/** Whatever query the app registered with: both are ours to set (XL-1). */
export function callUrl(appUrl: string, functionId: string, stepId: string): string {
  const url = new URL(appUrl);
  url.searchParams.set('fnId', functionId);
  url.searchParams.set('stepId', stepId);
  url.searchParams.sort();
  return url.href;
}

/** @param signature null where no key is set. */
export function callHeaders(
  facts: CallFacts,
  settled: number,
  signature: string | null,
  kind: 'dev' | 'cloud',
): Record<string, string> {
  const trace = sha256Hex(facts.runId).slice(0, 32);
  const span = sha256Hex(facts.requestId).slice(0, 16);
  return {
    'content-type': 'application/json',
    'user-agent': 'Inngest',
    'x-inngest-req-version': String(facts.version),
    'x-run-id': facts.runId,
    'x-inngest-step-id': headerText(facts.stepId),
    'x-request-id': facts.requestId,
    'x-inngest-generation-id': String(facts.generation),
    'x-inngest-job-id': headerText(jobId(facts, settled)),
    'x-inngest-server-kind': kind,
    traceparent: `00-${trace}-${span}-01`,
    ...(signature === null ? {} : { 'x-inngest-signature': signature }),
  };
}

/** The ids of steps are the app's own choice, and need not be what a header can hold. */
function headerText(text: string): string {
  return text.toWellFormed().replaceAll(/[^\x21-\x7e]/gu, encodeURIComponent);
}

/** What the protocol calls the engine's own errors (wire 5). */
const CODES: Record<ErrorCode, (message: string) => SerializedError & { error?: string }> = {
  invokeTimeout: () => ({
    name: 'InngestInvokeTimeoutError',
    message: INVOKE_TIMEOUT,
    error: `InngestInvokeTimeoutError: ${INVOKE_TIMEOUT}`,
  }),
  functionNotFound: (message) => ({ name: 'Error', message }),
  functionCancelled: (message) => ({ name: 'Error', message }),
};
const INVOKE_TIMEOUT = 'Timed out waiting for invoked function to complete';

/** XL-11 to XL-18: exactly one member, or a bare value. @param opened the event that a wait got. @param hasErrorData Go wants `data` in every error. */
export function memoText(step: Step, memo: Memo, hasErrorData: boolean): string {
  if ('error' in memo) {
    const { code, ...error } = memo.error;
    const named = code === undefined ? error : CODES[code](error.message);
    return canonical({ error: { ...(hasErrorData ? { data: null } : {}), ...named } });
  }
  const data = canonical(JSON.parse(memo.data));
  return isBare(step, data) ? data : `{"data":${data}}`;
}

/** A wait in vain, for a signal too, is a bare null (XL-14, XL-16). */
function isBare({ op }: Step, data: string): boolean {
  return op === 'Sleep' || op === 'WaitForEvent' || (op === 'WaitForSignal' && data === 'null');
}

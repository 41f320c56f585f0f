/** Stored things as API clients see them: snake_case, RFC 3339, UUIDs where the protocol has them (wire 9.2, RA-10, RA-12). */
import { unseal } from '../keys/unseal.ts';
import type { Json } from '../lib/json.ts';
import { eventView as sealedView, type StoredEvent } from '../protocol/event.ts';
import type { RunTrace, RunView, StepTrace, Waiting, Failure } from '../protocol/run.ts';
import type { LineState, SlotState } from '../protocol/slot.ts';
import { accountUuid, environmentUuid, functionUuid } from '../protocol/uuids.ts';
import type { EventRecord, RunRecord } from '../ports.ts';
import { rfc3339 } from './answer.ts';
import { tokensOf } from './tokens.ts';
import type { ApiDeps } from './deps.ts';

/** With what is sealed in it opened. A seal that cannot be opened hides what it seals and nothing else. */
export async function eventView(deps: Pick<ApiDeps, 'seal' | 'log'>, record: EventRecord) {
  const { event, duplicateOf, deadReason } = record;
  const { data, user } = await opened(deps, event);
  return {
    internal_id: event.internalId,
    account_id: accountUuid(),
    environment_id: environmentUuid(event.env),
    source: event.source?.kind ?? '',
    source_id: event.source?.id ?? null,
    received_at: rfc3339(event.receivedAt),
    /** EVT-28. */
    id: event.id ?? event.internalId,
    name: event.name,
    data,
    user,
    ts: event.ts,
    v: event.v ?? null,
    /** DD-6: of our own making; null for every event that could start runs. */
    duplicate_of: duplicateOf,
    /** Of our own making, like the former: why the event was given up; null for every other. */
    dead_reason: deadReason,
  };
}

/** `user` is null where the sender gave none. */
async function opened({ seal, log }: Pick<ApiDeps, 'seal' | 'log'>, event: StoredEvent) {
  try {
    const { data, user } = await unseal(sealedView(event), seal, event.env);
    return { data, user: event.user === undefined ? null : user };
  } catch (error) {
    log.error('api: the user of an event could not be opened', { internalId: event.internalId, error });
    return { data: event.data, user: null };
  }
}

/** What the views of a run have in common, whether it comes from its object or from the index. */
type RunFacts = Pick<
  RunRecord,
  'runId' | 'env' | 'functionId' | 'status' | 'queuedAt' | 'endedAt' | 'reason'
>;

export function runView(run: RunFacts, eventId: string, output: Json) {
  return {
    run_id: run.runId,
    /** RA-14: when it was scheduled, whatever the name says. */
    run_started_at: rfc3339(run.queuedAt),
    function_id: functionUuid(run.env, run.functionId),
    function_version: 0,
    environment_id: environmentUuid(run.env),
    event_id: eventId,
    batch_id: null,
    original_run_id: null,
    cron: null,
    status: run.status,
    ended_at: time(run.endedAt),
    output,
    /** FC-10: of our own making; only of what was skipped. */
    ...(run.reason === undefined ? {} : { reason: run.reason }),
  };
}

/** Why a function that the event matched made no run of its own for it (FC-10). */
export function skipView({ runId, env, functionId, endedAt, reason }: RunRecord) {
  return {
    run_id: runId,
    function_id: functionUuid(env, functionId),
    function_slug: functionId,
    reason: reason ?? '',
    at: time(endedAt),
  };
}

export function runViewOf(run: RunView) {
  return runView(run, run.eventIds[0] ?? '', run.output);
}

export function traceView(trace: RunTrace) {
  return {
    ...runViewOf(trace),
    /** `<app>-<function>`, where `function_id` is a UUID. */
    function_slug: trace.functionId,
    event_ids: trace.eventIds,
    entered_at: time(trace.startedAt),
    failures: trace.failures.map(failureView),
    waiting: trace.waiting.map(waitingView),
    steps: trace.steps.map(stepView),
  };
}

/** One for the run itself and for each step that waits; what waits under a limit has no time, and a place in its line. */
export function jobViews({ waiting, failures, steps }: RunTrace) {
  const ofSteps = steps.flatMap(({ waiting: one, attempts }) =>
    one === null ? [] : [{ one, attempt: Math.max(attempts - 1, 0) }],
  );
  // Those of the run itself come first (`RunTrace.waiting`).
  const own = waiting.slice(0, waiting.length - ofSteps.length);
  return [...own.map((one) => ({ one, attempt: failures.length })), ...ofSteps]
    .toSorted((a, b) => (a.one.until ?? Infinity) - (b.one.until ?? Infinity))
    .map(({ one: { until, reason, line }, attempt }) => ({
      at: time(until),
      position: line?.before ?? 0,
      kind: reason,
      attempt,
    }));
}

function stepView(step: StepTrace) {
  const { id, name, op, tool, status, attempts, late, input, output, error } = step;
  return {
    id,
    name,
    op,
    /** Of our own making, like `input` and `tokens`: which tool of the SDK, where it is not `step.run`. */
    tool,
    status,
    attempts,
    started_at: rfc3339(step.startedAt),
    ended_at: time(step.endedAt),
    failures: step.failures.map(failureView),
    late_answers: late,
    waiting: step.waiting && waitingView(step.waiting),
    input,
    tokens: isAi(tool) ? tokensOf(output) : null,
    output,
    error,
  };
}

/** AI-8, AIO-2. */
function isAi(tool: StepTrace['tool']): boolean {
  return tool === 'step.ai.infer' || tool === 'step.ai.wrap';
}

function failureView({ attempt, at, error }: Failure) {
  return { attempt, at: rfc3339(at), error };
}

function waitingView({ until, line, ...rest }: Waiting) {
  return { ...rest, until: time(until), ...(line && { line: slotView(line) }) };
}

function slotView({ limit, before, ...line }: SlotState) {
  return { ...lineView(line), limit, before };
}

export function lineView({ policy, key, inUse, holders, waiting, nextAt }: LineState) {
  return { policy, key, in_use: inUse, holders, waiting, next_at: time(nextAt) };
}

function time(ms: number | null): string | null {
  return ms === null ? null : rfc3339(ms);
}

/** A run's trace as the spans that clients of the protocol know (wire 9.9), and the opaque ids of what the spans have put out. */
import * as z from 'zod';
import { sha1Hex, sha256Hex } from '../../lib/hash.ts';
import type { Json } from '../../lib/json.ts';
import type { SerializedError } from '../../protocol/error.ts';
import type { Failure, RunStatus, RunTrace, StepTrace } from '../../protocol/run.ts';
import { rfc3339 } from '../answer.ts';

type SpanStatus = 'QUEUED' | 'RUNNING' | 'WAITING' | 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'SKIPPED';

const OPS = {
  StepPlanned: 'RUN',
  StepRun: 'RUN',
  Sleep: 'SLEEP',
  WaitForEvent: 'WAIT_FOR_EVENT',
  WaitForSignal: 'WAIT_FOR_SIGNAL',
  InvokeFunction: 'INVOKE',
} as const satisfies Record<StepTrace['op'], string>;

/** `QUEUED` as long as no code has been entered. */
export function graphStatus({ status, startedAt }: { status: RunStatus; startedAt: number | null }) {
  return status === 'Running' && startedAt === null ? 'QUEUED' : upperCase(status);
}

export function upperCase<Text extends string>(status: Text): Uppercase<Text> {
  return status.toUpperCase() as Uppercase<Text>;
}

/** As calls of apps carry it in `traceparent`. */
export function traceId(runId: string): string {
  return sha256Hex(runId).slice(0, 32);
}

/** What a span has put out: of the run, of one of its steps, or of a failed attempt of either. */
const outputOf = z.tuple([z.string(), z.string().nullable(), z.number().nullable()]);

function outputId(runId: string, stepId: string | null, attempt: number | null): string {
  return btoa(JSON.stringify([runId, stepId, attempt]));
}

/** Null for what is no such id. */
export function readOutputId(text: string) {
  try {
    const [runId, stepId, attempt] = outputOf.parse(JSON.parse(atob(text)));
    return { runId, stepId, attempt };
  } catch {
    return null;
  }
}

interface Facts {
  /** Tells the spans of a run apart. */
  key: string;
  parent: string | null;
  name: string;
  status: SpanStatus;
  queuedAt: number;
  startedAt: number | null;
  endedAt: number | null;
  /** From 0. */
  attempts: number;
}

function span(runId: string, { key, parent, queuedAt, startedAt, endedAt, ...facts }: Facts) {
  return {
    runID: runId,
    traceID: traceId(runId),
    spanID: spanId(runId, key),
    parentSpanID: parent === null ? null : spanId(runId, parent),
    isRoot: parent === null,
    stepID: null as string | null,
    stepType: '',
    stepOp: null as string | null,
    stepInfo: null as object | null,
    queuedAt: rfc3339(queuedAt),
    startedAt: time(startedAt),
    endedAt: time(endedAt),
    duration: endedAt === null ? null : endedAt - (startedAt ?? queuedAt),
    outputID: null as string | null,
    childrenSpans: [] as object[],
    metadata: [],
    ...facts,
  };
}

function time(ms: number | null | undefined): string | null {
  return ms == null ? null : rfc3339(ms);
}

function spanId(runId: string, key: string): string {
  return sha1Hex(`${runId}:${key}`).slice(0, 16);
}

const ROOT = 'run';

export function rootSpan(trace: RunTrace) {
  const { runId, queuedAt, startedAt, endedAt } = trace;
  const facts = { key: ROOT, parent: null, name: 'Run', queuedAt, startedAt, endedAt, attempts: 0 };
  return {
    ...span(runId, { ...facts, status: graphStatus(trace) }),
    outputID: endedAt === null ? null : outputId(runId, null, null),
    childrenSpans: [...trace.steps.map((step) => stepSpan(runId, step)), ...finalization(trace)],
  };
}

/** The code outside of steps: what came of its attempts. */
function finalization(trace: RunTrace): object[] {
  const { runId, status, failures, queuedAt, startedAt, endedAt } = trace;
  const isOver = status === 'Completed' || status === 'Failed';
  if (!isOver && failures.length === 0) return [];
  const last = trace.steps.reduce((at, step) => Math.max(at, step.endedAt ?? 0), startedAt ?? queuedAt);
  const key = 'finalization';
  const facts = { key, parent: ROOT, name: 'Finalization', queuedAt: last, startedAt: last, endedAt };
  const succeeded = status === 'Completed' ? endedAt : null;
  return [
    {
      ...span(runId, {
        ...facts,
        attempts: Math.max(failures.length - Number(succeeded === null), 0),
        status: isOver ? upperCase(status) : 'RUNNING',
      }),
      stepType: 'FINALIZATION',
      outputID: isOver ? outputId(runId, null, null) : null,
      childrenSpans: attempts(runId, { key, stepId: null, began: last, failures, succeeded }),
    },
  ];
}

function stepSpan(runId: string, step: StepTrace) {
  const { id, name, startedAt, endedAt, failures } = step;
  const op = step.tool === 'step.ai.infer' ? 'AI_GATEWAY' : OPS[step.op];
  const key = `step ${id}`;
  const facts = { key, parent: ROOT, name, queuedAt: startedAt, startedAt, endedAt };
  const isRun = step.op === 'StepRun' || step.op === 'StepPlanned';
  const succeeded = step.status === 'Completed' ? endedAt : null;
  return {
    ...span(runId, {
      ...facts,
      attempts: Math.max(step.attempts - 1, 0),
      status: upperCase(step.status),
    }),
    stepID: id,
    stepType: op,
    stepOp: op,
    stepInfo: stepInfo(step),
    outputID: endedAt === null ? null : outputId(runId, id, null),
    childrenSpans: isRun ? attempts(runId, { key, stepId: id, began: startedAt, failures, succeeded }) : [],
  };
}

interface Attempts {
  key: string;
  stepId: string | null;
  began: number;
  failures: readonly Failure[];
  succeeded: number | null;
}

function attempts(runId: string, { key, stepId, began, failures, succeeded }: Attempts): object[] {
  const one = (n: number, status: SpanStatus, startedAt: number, endedAt: number) =>
    span(runId, {
      key: `${key} attempt ${n}`,
      parent: key,
      name: `Attempt ${n}`,
      status,
      queuedAt: startedAt,
      startedAt,
      endedAt,
      attempts: n,
    });
  const failed = failures.map(({ attempt, at }, n) => ({
    ...one(attempt, 'FAILED', failures[n - 1]?.at ?? began, at),
    outputID: outputId(runId, stepId, attempt),
  }));
  if (succeeded === null) return failed;
  const last = one(failures.length, 'COMPLETED', failures.at(-1)?.at ?? began, succeeded);
  return [...failed, { ...last, outputID: outputId(runId, stepId, null) }];
}

/** Of what a step waited for, only what its outcome tells is known after its end. */
function stepInfo({ op, tool, waiting, endedAt, output }: StepTrace): object | null {
  const found = (output ?? {}) as { name?: string; signal?: string };
  const { what: named = found.name ?? found.signal ?? '', condition: expression = null } = waiting ?? {};
  const timeout = time(waiting?.until);
  const wait = { timeout, timedOut: endedAt === null ? null : output === null };
  const infos = {
    StepPlanned: { __typename: 'RunStepInfo', type: tool ?? 'step.run' },
    StepRun: { __typename: 'RunStepInfo', type: tool ?? 'step.run' },
    Sleep: { __typename: 'SleepStepInfo', sleepUntil: timeout ?? rfc3339(endedAt ?? 0) },
    InvokeFunction: { __typename: 'InvokeStepInfo', functionID: named, timeout },
    WaitForSignal: { __typename: 'WaitForSignalStepInfo', signal: named, ...wait },
    WaitForEvent: {
      __typename: 'WaitForEventStepInfo',
      eventName: named,
      expression,
      ...wait,
    },
  };
  return infos[op];
}

/** Null: there is no such output. */
export function outputOfSpan(trace: RunTrace, stepId: string | null, attempt: number | null) {
  const owner = stepId === null ? null : trace.steps.find(({ id }) => id === stepId);
  if (owner === undefined) return null;
  if (attempt !== null) {
    const failed = (owner ?? trace).failures.find((failure) => failure.attempt === attempt);
    return failed === undefined ? null : { input: null, data: null, error: stepError(failed.error) };
  }
  if (owner === null) {
    if (trace.endedAt === null) return null;
    const isError = trace.status === 'Failed';
    return {
      input: null,
      data: isError ? null : JSON.stringify(trace.output),
      error: isError ? stepError(trace.output) : null,
    };
  }
  if (owner.endedAt === null) return null;
  return {
    input: owner.input === null ? null : JSON.stringify(owner.input),
    data: owner.error === null ? JSON.stringify(owner.output) : null,
    error: owner.error && stepError(owner.error),
  };
}

function stepError(thrown: SerializedError | Json) {
  const { name, message, stack, cause } = (thrown ?? {}) as Partial<SerializedError>;
  return { name: name ?? 'Error', message: message ?? '', stack: stack ?? null, cause: cause ?? null };
}

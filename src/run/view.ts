/** A run as people and APIs see it. Outputs are JSON texts read by the owner of the rows. */
import type { Json } from '../lib/json.ts';
import type { SerializedError } from '../protocol/error.ts';
import type { EventCondition } from '../protocol/op.ts';
import type { RunSummary, RunTrace, RunView, StepTrace, Waiting } from '../protocol/run.ts';
import { limits } from '../protocol/limits.ts';
import { slotLimits } from './slots.ts';
import { isHeld, isQueued, type Executing, type RunState, type Step, type WaitingStep } from './state.ts';

/** Longest output that the index keeps, in UTF-16 units; a larger one is read from the object. */
const INDEXED_OUTPUT = 32 * 1024;

export function runView(state: RunState, output: string | null): RunView {
  const { config, run } = state;
  return {
    runId: config.runId,
    env: config.env,
    functionId: config.functionId,
    eventIds: config.eventIds,
    status: run.end?.status ?? 'Running',
    queuedAt: config.queuedAt,
    startedAt: run.startedAt,
    endedAt: run.end?.at ?? null,
    output: parse(output),
  };
}

/** Null while the run goes on. */
export function runSummary(state: RunState, output: string | null): RunSummary | null {
  const { config, run } = state;
  if (run.end === null) return null;
  return {
    runId: config.runId,
    env: config.env,
    functionId: config.functionId,
    eventId: config.eventIds[0] ?? '',
    status: run.end.status,
    queuedAt: config.queuedAt,
    endedAt: run.end.at,
    output: output === null || output.length > Math.min(INDEXED_OUTPUT, limits.rowText) ? null : output,
  };
}

/** Stored JSON texts: the run's output, and by row number a step's output or error and what it was given. */
interface Texts {
  output(): string | null;
  stepData(seq: number): string | null;
  stepInput(seq: number): string | null;
}

export function runTrace(state: RunState, texts: Texts): RunTrace {
  const { run, live } = state;
  const stored = [...state.steps.values()].toSorted((a, b) => a.seq - b.seq);
  const steps = stored.map((step) => stepTrace(state, step, texts));
  for (const executing of live.steps.values()) {
    if (!state.steps.has(executing.id)) steps.push(firstAttempt(executing));
  }
  return {
    ...runView(state, texts.output()),
    failures: run.failures,
    waiting: [...entryWaiting(state), ...steps.flatMap((step) => step.waiting ?? [])],
    steps,
  };
}

function entryWaiting({ config, run, live }: RunState): Waiting[] {
  if (run.end !== null) return [];
  if (isHeld(run)) return [{ reason: 'paused', until: run.hold?.until ?? null }];
  const limit = isQueued(live) ? slotLimits(config)[live.slots?.asked ?? 0] : undefined;
  if (limit !== undefined) return [{ reason: limit.policy, what: limit.key, until: null }];
  return run.due === null ? [] : [{ reason: run.startedAt === null ? 'start' : 'retry', until: run.due }];
}

function stepTrace(state: RunState, step: Step, texts: Texts): StepTrace {
  const { id, name, op, startedAt, failures, late } = step;
  const input = parse(texts.stepInput(step.seq));
  const tool = step.tool ?? null;
  const base = {
    id,
    name,
    op,
    tool,
    startedAt,
    failures,
    late,
    waiting: null,
    input,
    output: null,
    error: null,
  };
  if (step.state === 'settled') {
    const attempts = failures.length + (step.ok ? 1 : 0);
    const value = parse(texts.stepData(step.seq));
    return step.ok
      ? { ...base, attempts, status: 'Completed', endedAt: step.endedAt, output: value }
      : {
          ...base,
          attempts,
          status: 'Failed',
          endedAt: step.endedAt,
          error: value as unknown as SerializedError,
        };
  }
  if (state.live.steps.has(step.id))
    return { ...base, attempts: step.attempt + 1, status: 'Running', endedAt: null };
  const waiting = state.run.end === null ? waitingFor(step) : null;
  return {
    ...base,
    attempts: step.attempt + (op === 'StepRun' ? 0 : 1),
    status: 'Waiting',
    endedAt: null,
    waiting,
  };
}

function waitingFor({ op, due, ask }: WaitingStep): Waiting {
  if (ask?.for === 'run') return { reason: 'invoke', until: due, what: ask.functionId };
  if (ask?.for === 'signal') return { reason: 'signal', until: due, what: ask.signal };
  if (ask?.for === 'event') {
    const or = ask.or === undefined ? {} : { or: ask.or.map(awaited) };
    return { reason: 'event', until: due, ...awaited(ask), ...or };
  }
  return { reason: op === 'Sleep' ? 'sleep' : 'retry', until: due };
}

function awaited({ event, expression }: EventCondition): { what: string; condition?: string } {
  return { what: event, ...(expression === null ? {} : { condition: expression }) };
}

function firstAttempt({ id, name, since, tool, input }: Executing): StepTrace {
  const given = parse(input ?? null);
  const rest = { failures: [], late: 0, waiting: null, input: given, output: null, error: null };
  return {
    id,
    name,
    op: 'StepRun',
    tool: tool ?? null,
    status: 'Running',
    attempts: 1,
    startedAt: since,
    endedAt: null,
    ...rest,
  };
}

function parse(text: string | null): Json {
  return text === null ? null : (JSON.parse(text) as Json);
}

/** A run as its object is given it, and as it reports itself. */
import * as z from 'zod';
import { hashUlid } from '../lib/hash.ts';
import type { Json } from '../lib/json.ts';
import { ulidTime } from '../lib/ulid.ts';
import type { SerializedError } from './error.ts';
import type { Op, StepTool } from './op.ts';
import { storedEvent } from './event.ts';
import type { SlotLimit, SlotState } from './slot.ts';
import { runFlow } from './flow.ts';

/**
 * Title case as on the API (RN-3); everything that has not ended is `Running` (RA-13). `Skipped` is the record of a start that became no
 * run (PA-10): only the index has it.
 */
const runStatus = z.enum(['Running', 'Completed', 'Failed', 'Cancelled', 'Skipped']);
export type RunStatus = z.infer<typeof runStatus>;

/**
 * Derived, so that a redelivered event finds its runs there already. Its time is that of the event's internal id: `ts` may be any
 * moment, and differs when a sender repeats a request without one.
 */
export function runIdOf(
  { env, internalId }: { env: string; internalId: string },
  functionId: string,
): string {
  return hashUlid(ulidTime(internalId), `${env}:${internalId}:${functionId}`);
}

/** The step of another run that invoked this one. */
const runParent = z.object({ runId: z.string(), key: z.string() });
export type RunParent = z.infer<typeof runParent>;

/** What starts a run: sent by dispatch to the run's object; a repeat of it changes nothing. */
export const runStart = z.object({
  runId: z.string(),
  env: z.string(),
  /** Composite id, `<app>-<function>` (FN-7). */
  functionId: z.string(),
  /** The events that started it, one unless batched; HC-4: the first is `event`. */
  events: z.array(storedEvent).min(1),
  queuedAt: z.number(),
  /** When its first entry is due: the event's `ts` if that lies in the future (TR-17). */
  startAt: z.number(),
  parent: runParent.optional(),
  /** Version of the registry that it was planned with; absent as long as no app has registered. */
  registry: z.number().optional(),
  /** Only of functions that limit their starts or their concurrency. */
  flow: runFlow.optional(),
});
export type RunStart = z.infer<typeof runStart>;

/** One line of the runs index in D1, written when a run ends. `output` is JSON text, or null where it is too large for the index. */
const runSummary = z.object({
  runId: z.string(),
  env: z.string(),
  functionId: z.string(),
  /** Internal id of the (first) event that started it. */
  eventId: z.string(),
  status: runStatus,
  queuedAt: z.number(),
  endedAt: z.number(),
  output: z.string().nullable(),
  /** Why it was skipped (FC-10); only of such. */
  reason: z.string().optional(),
});
export type RunSummary = z.infer<typeof runSummary>;

/** How a step that waited for somebody else was answered: JSON text of its result, or of the error. */
const stepAnswer = z.object({ ok: z.boolean(), data: z.string() });
export type StepAnswer = z.infer<typeof stepAnswer>;

/** All that follows from the end of a run: the index, who invoked it, and the events that say so. May be told more than once. */
export const runEnding = z.object({
  summary: runSummary,
  parent: z.object({ to: runParent, answer: stepAnswer }).nullable(),
  events: z.array(storedEvent),
});
export type RunEnding = z.infer<typeof runEnding>;

/** PA-5. `until`: when it is cancelled if it is still held; null: it goes on. Of two words the one with the higher turn counts. */
export const hold = z.object({ turn: z.number(), until: z.number().nullable() });
export type Hold = z.infer<typeof hold>;

/** One run in full, read from its object. */
export interface RunView {
  runId: string;
  env: string;
  functionId: string;
  eventIds: string[];
  status: RunStatus;
  queuedAt: number;
  startedAt: number | null;
  endedAt: number | null;
  /** The function's output, or the error object of a failed run (RA-16). */
  output: Json;
}

/** One failed attempt (ER-5); times in milliseconds. */
export interface Failure {
  attempt: number;
  at: number;
  error: SerializedError;
}

/** What a step or a run waits for now, in words and in figures: the answer to "why has this not run?". */
export interface Waiting {
  reason: 'paused' | 'start' | 'sleep' | 'retry' | 'event' | 'signal' | 'invoke' | SlotLimit['policy'];
  /** Name of the awaited event and its condition, name of the signal, id of the invoked function, or key of the limit. */
  what?: string;
  condition?: string;
  /** Further events, any of which will do too. */
  or?: { what: string; condition?: string }[];
  /** When it ends by itself; null where that is not a matter of time. */
  until: number | null;
  /** How the line stands in which it waits, where its gate has answered. */
  line?: SlotState;
}

export interface StepTrace {
  id: string;
  name: string;
  op: Exclude<Op['op'], 'StepError'>;
  /** Null for `step.run`, and for what is not run. */
  tool: StepTool | null;
  status: 'Running' | 'Waiting' | 'Completed' | 'Failed';
  /** Attempts made or under way, from 1. */
  attempts: number;
  startedAt: number;
  endedAt: number | null;
  failures: Failure[];
  /** Answers of attempts that were no longer current, refused. */
  late: number;
  waiting: Waiting | null;
  /** What it was given, where that is kept: the request of an inference, the arguments of a wrapped call. */
  input: Json;
  output: Json;
  error: SerializedError | null;
}

export interface RunTrace extends RunView {
  /** Failed attempts of the code outside steps. */
  failures: Failure[];
  waiting: Waiting[];
  /** Steps in the order in which they were first reported. */
  steps: StepTrace[];
}

/** Steps that remote code has run in the course of one call. */
export interface Checkpoint {
  /** Of that call. */
  requestId: string;
  generation?: number;
  /** As the SDK sent them. */
  ops: unknown;
}

/** `stale`: that call is not wanted any more, and its code should stop. `bad`: with what is wrong. */
export type CheckpointResult = { is: 'saved' } | { is: 'stale' } | { is: 'bad'; problem: string };

/** JSON texts: the list of events, and the outcomes of steps by id. */
export interface RunSnapshot {
  events: string;
  steps: string;
}

/** How a run stands, as told to a sweep. `unknown`: never started here. */
export type RunCheck =
  | { state: 'unknown' }
  | { state: 'open'; nextAt: number | null; repaired?: StuckPart }
  | { state: 'ended'; ending: RunEnding; repaired?: StuckPart };

/** What of a run had stood still for minutes, and goes on because it was asked: its alarm, or what it asks of others. */
export type StuckPart = 'alarm' | 'ask';

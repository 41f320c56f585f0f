/** What user code reports of its steps, whatever way it is reached; and what the journal answers it with. */
import type { JsonObject } from '../lib/json.ts';
import type { SerializedError } from './error.ts';

/** A moment, relative to the engine's receipt of it (DU-8) or absolute; milliseconds. */
export type When = { in: number } | { at: number };

interface OpBase {
  /** Hashed step id, opaque to the engine (MX-14). */
  id: string;
  /** What people see in traces. */
  name: string;
  /** Which attempt of the step this is the outcome of, from 0: the fence against late answers. */
  attempt: number;
  /** The handler goes on as soon as this is settled, whatever else it waits for. */
  race?: true;
}

/** A step's callback is not run yet: it wants a call of its own. */
export interface StepPlanned extends OpBase {
  op: 'StepPlanned';
}

/** A step's callback returned; `data` is JSON text. */
export interface StepRun extends OpBase {
  op: 'StepRun';
  data: string;
}

/** A step's callback threw; `final` when no further attempt may be made (NonRetriableError). */
export interface StepError extends OpBase {
  op: 'StepError';
  error: SerializedError;
  final: boolean;
  retryAfter?: When;
}

export interface Sleep extends OpBase {
  op: 'Sleep';
  until: When;
}

/** Which events count. */
export interface EventCondition {
  /** Exact name. */
  event: string;
  /** CEL over `event` and `async`; null: any event of the name. */
  expression: string | null;
}

/** Resolves with the first matching event that is received before the deadline, or with null. */
export interface WaitForEvent extends OpBase, EventCondition {
  op: 'WaitForEvent';
  /** Further events, any of which will do too: the first one ends the whole wait. */
  or?: EventCondition[];
  timeout: When;
  /** How far before this moment events count too, in milliseconds; 'run': since the event that started the run was received. */
  lookBack: number | 'run';
}

/** Resolves with `{ signal, data }` when the signal is sent before the deadline, or with null. One run at most waits for a signal. */
export interface WaitForSignal extends OpBase {
  op: 'WaitForSignal';
  signal: string;
  timeout: When;
  /** When another run waits for it: this step fails, or takes over. */
  conflict: 'fail' | 'replace';
}

/** Starts another function and resolves with its result. */
export interface InvokeFunction extends OpBase {
  op: 'InvokeFunction';
  /** Composite id. */
  functionId: string;
  /** JSON text of `{ data, user?, v? }`. */
  payload: string;
  timeout: When;
}

/** What is asked of others, and answered by them. */
export type AskOp = WaitForEvent | WaitForSignal | InvokeFunction;

export type Op = StepPlanned | StepRun | StepError | Sleep | AskOp;

/** Which tool a step that is run comes from, where that is not `step.run`: for people to see (`opts.type`, wire 3.5). */
export type StepTool = 'step.sendEvent' | 'step.sendSignal' | 'step.fetch' | 'step.ai.infer' | 'step.ai.wrap';

/** An HTTP request that the engine makes as a step. It may hold keys: it is sent, and never stored. */
export interface Gateway {
  op: 'Gateway';
  url: string;
  method: string;
  headers: Record<string, string>;
  body: string | null;
}

/** The same for an inference; how `authKey` is sent depends on `format` (AI-6). */
export interface AIGateway {
  op: 'AIGateway';
  url: string;
  headers: Record<string, string>;
  authKey: string;
  format: string;
  body: JsonObject;
}

/** The stored outcome of a step; `data` is JSON text. */
export type Memo = { data: string } | { error: SerializedError };

/** What user code reports of its steps, whatever way it is reached; and what the journal answers it with. */
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

export type Op = StepRun | StepError | Sleep;

/** The stored outcome of a step; `data` is JSON text. */
export type Memo = { data: string } | { error: SerializedError };

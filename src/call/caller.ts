/** How user code is reached: the port that every kind of call implements, and what it needs of the run's object. */
import type { StoredEvent } from '../protocol/event.ts';
import type { Memo } from '../protocol/op.ts';
import type { Checkpoint, CheckpointResult, RunSnapshot } from '../protocol/run.ts';
import type { RunState } from '../run/state.ts';
import type { Effect, RunInput } from '../run/transition.ts';

export type Call = Extract<Effect, { type: 'call' }>;

/** One run, as its object shows it to the caller. */
export interface RunHandle {
  /** Read-only; null before the run has started. */
  readonly state: RunState | null;
  /** Ids of settled steps in the order of their settling; grows in place. */
  readonly settled: readonly string[];
  events(): StoredEvent[];
  /** The stored outcome of a settled step. */
  memo(id: string): Memo;
  /** Applies, writes in one transaction, and performs the effects. Durable before anything leaves the object. */
  feed(...inputs: RunInput[]): void;
}

/** A caller holds no state that a restart may not lose. */
export interface Caller {
  call(call: Call): void;
  /** Nothing of this run's user code is wanted any more. */
  stop(): void;
  /** Steps that a call under way has run meanwhile (wire 6.2). Only where the code is outside, as the next. */
  checkpoint?(checkpoint: Checkpoint): CheckpointResult;
  /** What calls tell of the run; for code that fetches it as it is too large for a call (wire 3.9). */
  snapshot?(): Promise<RunSnapshot>;
}

/** The vocabulary of the core: what can happen to a run, what changes by it, and what is then to be done in the world. */
import type { SerializedError } from '../protocol/error.ts';
import type { Op, When } from '../protocol/op.ts';
import type { Executing, Run, RunConfig, Step } from './state.ts';

export type RunInput =
  /** Dispatch starts the run; its handler is first entered at `startAt`. */
  | { type: 'started'; config: RunConfig; startAt: number }
  /**
   * A step's callback is about to be run. Refused (no change) when it may not be. `recorded`: its first beginning is written down,
   * for steps whose effect carries ids made from that moment.
   */
  | { type: 'began'; id: string; name: string; attempt: number; recorded?: boolean }
  | { type: 'reported'; op: Op }
  /** The handler's outcome. `output` is JSON text. */
  | { type: 'returned'; entry: number; output: string }
  | { type: 'threw'; entry: number; error: SerializedError; final: boolean; retryAfter?: When }
  /** No user code runs, and everything that the handler waits for is a timer of ours. */
  | { type: 'parked'; entry: number }
  | { type: 'cancelled' }
  /** Timers, listed by `dueInputs`. */
  | { type: 'entryDue' }
  | { type: 'stepDue'; id: string }
  | { type: 'stepOverdue'; id: string }
  | { type: 'entryOverdue' }
  | { type: 'watchdog' };

/** Each member is one row, or part of `live`. Absent means unchanged. */
export interface Changes {
  config?: RunConfig;
  run?: Run;
  /** The run's output or final error, JSON text. */
  output?: string;
  /** `data`: the step's output or error, JSON text. */
  step?: { step: Step; data?: string };
  /** A callback that now executes, or no longer does. */
  began?: Executing;
  stopped?: string;
  live?: { phase: 'parked' } | { phase: 'executing'; since: number; watchdog: number };
}

export type Effect =
  /**
   * User code has something to see: let the handler go on from the journal as it now stands (entered anew when `entry` is not the
   * one in progress), or, with `step`, run that step alone. Harmless when repeated.
   */
  | { type: 'call'; entry: number; attempt: number; step: { id: string; attempt: number } | null }
  /** Nothing of this run's user code is wanted any more. */
  | { type: 'stop' }
  /** The run has ended: tell the index. */
  | { type: 'report' };

export interface Transition {
  changes: Changes;
  effects: Effect[];
}

export const nothing: Transition = { changes: {}, effects: [] };

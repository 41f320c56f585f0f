/** The vocabulary of the core: what can happen to a run, what changes by it, and what is then to be done in the world. */
import type { SerializedError } from '../protocol/error.ts';
import type { Op, When } from '../protocol/op.ts';
import type { Hold, StepAnswer } from '../protocol/run.ts';
import type { SlotAnswer } from '../protocol/slot.ts';
import type { Executing, Run, RunConfig, Slots, Step } from './state.ts';

export type RunInput =
  /** Dispatch starts the run; its handler is first entered at `startAt`. */
  | { type: 'started'; config: RunConfig; startAt: number }
  /**
   * A step's callback is about to be run, or its request to be made. Refused (no change) when it may not be. `recorded`: its first
   * beginning is written down, for steps whose effect carries ids made from that moment.
   */
  | ({ type: 'began'; recorded?: boolean } & Omit<Executing, 'since'>)
  | { type: 'reported'; op: Op }
  /** Remote code has said how it wants to be called; the first word counts. */
  | { type: 'spoke'; version: number }
  /** The handler's outcome. `output` is JSON text. */
  | { type: 'returned'; entry: number; output: string }
  | { type: 'threw'; entry: number; error: SerializedError; final: boolean; retryAfter?: When }
  /** No user code runs, and everything that the handler waits for is a timer of ours. */
  | { type: 'parked'; entry: number }
  | { type: 'cancelled' }
  /** The function was paused, or resumed. */
  | { type: 'held'; hold: Hold }
  /** What was asked for under this key (a step's id, or `cancel:<n>`) is on its way. */
  | { type: 'acknowledged'; key: string }
  /** The answer to what a step asked for under this key: JSON text. `event`: internal id of the one that a wait got. */
  | { type: 'answered'; id: string; answer: StepAnswer; event?: string }
  /** Nothing has come in time for what was asked for under this key. */
  | { type: 'expired'; key: string }
  /** After a restart nobody knows what was acknowledged: everything is asked again. */
  | { type: 'askAgain' }
  /** What a gate answered for the n-th of the run's limits; and what it tells one that has waited. */
  | { type: 'slotAnswered'; n: number; turn: number; answer: SlotAnswer }
  | { type: 'slotGranted'; n: number; turn: number }
  /** Timers, listed by `dueInputs`. */
  | { type: 'slotsDue' }
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
  /** JSON texts: `data` is the step's output or error, `input` what it was given. */
  step?: { step: Step; data?: string; input?: string };
  /** A callback that now executes, or no longer does. */
  began?: Executing;
  stopped?: string;
  /** Keys of what is now asked for, and of what has been acknowledged or answered. */
  asked?: string[];
  acknowledged?: string[];
  live?: { phase: 'parked' } | { phase: 'executing'; since: number; watchdog: number };
  slots?: Slots;
}

/** Where a wait is registered. */
export type Registration = { key: string } & ({ event: string } | { signal: string });

export type Effect =
  /**
   * User code has something to see: let the handler go on from the journal as it now stands (entered anew when `entry` is not the
   * one in progress), or, with `step`, run that step alone. Harmless when repeated.
   */
  | { type: 'call'; entry: number; attempt: number; step: { id: string; attempt: number } | null }
  /**
   * Tell somebody else what the step of this key waits for (`Ask`), or which event would cancel the run; then feed `acknowledged`.
   * Harmless when repeated.
   */
  | { type: 'ask'; key: string }
  /** The deadline of a wait has passed: ask whether something came in time, and feed `answered` or `expired`. */
  | { type: 'expire'; key: string }
  /** These waits are not wanted any more. */
  | { type: 'drop'; waits: Registration[] }
  /** Ask for a slot under the n-th of the run's limits, then feed `slotAnswered`. Harmless when repeated: renews what is held. */
  | { type: 'acquire'; n: number; turn: number; wait: boolean }
  /** A slot, or a place in the line, is not wanted any more. */
  | { type: 'release'; n: number; turn: number }
  /** Nothing of this run's user code is wanted any more. */
  | { type: 'stop' }
  /** The run has ended: tell the index. */
  | { type: 'report' };

export interface Transition {
  changes: Changes;
  effects: Effect[];
}

export const nothing: Transition = { changes: {}, effects: [] };

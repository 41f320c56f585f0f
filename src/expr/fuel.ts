/**
 * What an evaluation may cost (EX-4). A unit is one visit of a node, some tens of nanoseconds; operations whose cost depends
 * on the data are charged before they run. Units are counted because the platform's clock stands still while code computes.
 */
import { Failure, type Value } from './values.ts';

/** One evaluation. Variables of macros live in numbered slots. */
export interface Frame {
  readonly event: Value;
  readonly async: Value;
  /** Milliseconds since 1970. */
  readonly now: number;
  fuel: number;
  readonly slots: Value[];
}

export const DEFAULT_FUEL = 10_000;

/** Depth of data that functions walk through by recursion; events may be this deep. */
export const MAX_DATA_DEPTH = 1_000;

/** Texts up to this length are free to read: a visit pays for them. */
export const FREE_TEXT = 512;

/** Whether the frame could pay. */
export function charge(frame: Frame, cost: number): boolean {
  frame.fuel -= Math.ceil(cost);
  return frame.fuel >= 0;
}

export function chargeText(frame: Frame, length: number): boolean {
  return length <= FREE_TEXT || charge(frame, length / FREE_TEXT);
}

/** For a list of a map's keys. Their number is known only when they are listed, so this is paid afterwards. */
export function chargeKeys(frame: Frame, keys: number): boolean {
  return charge(frame, keys / 16);
}

/** Once a frame is empty its evaluation ends as this error, whatever the rest of the expression says. */
export function exhausted(at: number): Failure {
  return new Failure('the evaluation costs too much', at);
}

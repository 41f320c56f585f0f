/** Batching (BA-5): events are gathered until there are enough of them, or for long enough. */
import { limits } from '../protocol/limits.ts';
import type { Addition, Window } from './window.ts';

export interface BatchPolicy {
  maxSize: number;
  /** Milliseconds from the first event (BA-6). */
  timeout: number;
}

/** Only to an open batch that is not full. */
export function addToBatch(
  batch: Window | null,
  { event, open }: Addition,
  policy: BatchPolicy,
  now: number,
) {
  const before = batch ?? { ...open(now + policy.timeout), maxSize: policy.maxSize };
  const events = [...before.events, event.eventId];
  const bytes = before.bytes + event.bytes;
  const isFull = events.length >= (before.maxSize ?? 1) || bytes > limits.batchBytes;
  const window: Window = { ...before, events, bytes, closesAt: isFull ? now : before.closesAt };
  // The first event is the one by which the run goes (BA-7).
  return { window, absorbed: batch === null ? null : event.eventId };
}

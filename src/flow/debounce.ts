/** Debounce (DB-5 to DB-8): one run, with the last event, when none has come for a while. */
import type { Addition, Window } from './window.ts';

export interface DebouncePolicy {
  /** Milliseconds without an event. */
  period: number;
  /** The longest that a debounce is put off from its first event on; null: for ever. */
  timeout: number | null;
}

/** Only to an open debounce. The last event is the last received (DB-9): one that comes late resets the period all the same. */
export function addToDebounce(
  debounce: Window | null,
  { event, open }: Addition,
  { period, timeout }: DebouncePolicy,
  now: number,
) {
  const before = debounce ?? open(now);
  const closesAt = Math.min(now + period, timeout === null ? Infinity : before.openedAt + timeout);
  const [last] = before.events;
  if (last !== undefined && isLater(before.lastAt, last, event.receivedAt, event.eventId))
    return { window: { ...before, closesAt }, absorbed: event.eventId };
  const { eventId, receivedAt, asks, bytes } = event;
  const window: Window = { ...before, events: [eventId], lastAt: receivedAt, asks, bytes, closesAt };
  return { window, absorbed: last ?? null };
}

function isLater(at: number, id: string, otherAt: number, otherId: string): boolean {
  return at === otherAt ? id > otherId : at > otherAt;
}

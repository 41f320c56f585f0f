/** Time as ranges of ids: what lets lists and expiry walk a primary key in place of an index on time. */
import { ulid } from '../lib/ulid.ts';
import { DAY } from '../lib/time.ts';

/** How far the time in an internal id may be from its receipt: it can come from the sender's clock (EA-25). */
const SKEW = DAY;
const LAST_MS = 2 ** 48 - 1;
const ZEROS = new Uint8Array(10);

/** The first ULID of a millisecond. */
function firstId(ms: number): string {
  return ulid(Math.min(Math.max(Math.floor(ms), 0), LAST_MS), ZEROS);
}

/** Ids from `from` on and before `to` hold all that was received after `after` and before `before`. */
export function idsReceived(after: number, before: number): { from: string; to: string } {
  return { from: firstId(after - SKEW), to: firstId(before + SKEW) };
}

/** Batches and debounces may become runs that much later than the event whose time is in their ids. */
const COLLECTED = 8 * DAY;

/** The same for ids of runs that were queued from `after` on and before `before`. */
export function idsQueued(after: number, before: number): { from: string; to: string } {
  return idsReceived(after - COLLECTED, before);
}

/**
 * A row expires `retention` after it was received (or queued) and not before the time in its own id is as old: both must be
 * `cutoff` or earlier, so that expired rows are found at the start of the primary key.
 */
export function expired(now: number, retention: number): { cutoff: number; beforeId: string } {
  const cutoff = now - retention;
  return { cutoff, beforeId: firstId(cutoff + 1) };
}

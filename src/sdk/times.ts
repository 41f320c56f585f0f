/** Lengths of time and moments, in the forms that the step tools take them (DU-1, ST-15, WE-3). */
import { parseDuration } from '../lib/duration.ts';
import type { When } from '../protocol/op.ts';

/** A length of time, as the Temporal proposal has it. */
interface TemporalDuration {
  total(unit: 'milliseconds'): number;
}

/** A `Temporal.Instant` or `Temporal.ZonedDateTime`. */
interface TemporalInstant {
  readonly epochMilliseconds: number;
}

/** Milliseconds, or a text such as `"30m"`. */
export type Duration = number | string | TemporalDuration;

/** A moment; a number could mean seconds or milliseconds and is none (SU-8). */
export type Moment = string | Date | TemporalInstant;

/** How long to wait: a length of time, or the moment at which it ends. */
export type Timeout = Duration | Date | TemporalInstant;

/** @param what the option that is read, for the error. */
export function milliseconds(time: Duration, what: string): number {
  const ms = typeof time === 'string' ? parseDuration(time) : totalOf(time);
  if (typeof ms !== 'number' || !Number.isFinite(ms))
    throw new TypeError(`${what}: expected milliseconds or a text such as "30m"`);
  return ms;
}

export function instant(time: Moment, what: string): number {
  const ms =
    typeof time === 'string'
      ? Date.parse(time)
      : time instanceof Date
        ? time.getTime()
        : time?.epochMilliseconds;
  if (typeof ms !== 'number' || !Number.isFinite(ms))
    throw new TypeError(`${what}: expected a Date or a date text such as "2027-01-01T00:00:00Z"`);
  return ms;
}

export function when(time: Timeout, what: string): When {
  return isMoment(time) ? { at: instant(time, what) } : { in: milliseconds(time, what) };
}

function isMoment(time: Timeout): time is Date | TemporalInstant {
  return time instanceof Date || (typeof time === 'object' && time !== null && 'epochMilliseconds' in time);
}

function totalOf(time: number | TemporalDuration): number | undefined {
  return typeof time === 'number' ? time : time?.total?.('milliseconds');
}

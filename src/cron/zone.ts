/** Time zones, by the rules that the runtime's Intl knows. */
import { DAY } from '../lib/time.ts';
import { bisect } from './bisect.ts';

export interface Zone {
  /** What a wall clock of the zone shows, minus UTC, in milliseconds. */
  offsetAt: (at: number) => number;
}

export const UTC: Zone = { offsetAt: () => 0 };

/** No zone puts its clocks twice within so short a time: Gaza does within seven days. */
const STRIDE = 3 * DAY;

/** `GMT`, `GMT+05:30`, and `GMT-00:44:30` as in Liberia until 1972. */
const OFFSET = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/;

/** The zones in use, by name in lower case: an Intl formatter takes 35 kB, and there may be a thousand schedules in one zone. */
const known = new Map([['utc', UTC]]);

/** Null if there is no such zone. A fixed offset such as `+01:00` is not a zone. */
export function findZone(name: string): Zone | null {
  const key = name.toLowerCase();
  const zone = known.get(key) ?? (/^[a-z]/.test(key) ? makeZone(key) : null);
  if (zone !== null) known.set(key, zone);
  return zone;
}

function makeZone(name: string): Zone | null {
  try {
    const format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' });
    return { offsetAt: (at) => parseOffset(format.format(at)) };
  } catch {
    return null;
  }
}

function parseOffset(text: string): number {
  const [, sign, hours = 0, minutes = 0, seconds = 0] = OFFSET.exec(text) ?? [];
  const size = (Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds);
  return (sign === '-' ? -size : size) * 1_000;
}

/** The first instant after `from`, and not after `to`, at which the clocks of the zone have been put forward or back. */
export function firstChange({ offsetAt }: Zone, from: number, to: number): number | null {
  const offset = offsetAt(from);
  for (let same = from; same < to;) {
    const next = Math.min(same + STRIDE, to);
    if (offsetAt(next) !== offset) return bisect(same, next, (at) => offsetAt(at) !== offset);
    same = next;
  }
  return null;
}

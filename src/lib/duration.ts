/** Duration texts (DU-3 to DU-5): one or more `<decimal><unit>` groups, e.g. `1h30m`, `2.5 days`, `18h 30m`. */
import { DAY, HOUR, MINUTE, SECOND } from './time.ts';

const UNITS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  msec: 1,
  msecs: 1,
  millisecond: 1,
  milliseconds: 1,
  ...named(SECOND, 's', 'sec', 'secs', 'second', 'seconds'),
  ...named(MINUTE, 'm', 'min', 'mins', 'minute', 'minutes'),
  ...named(HOUR, 'h', 'hr', 'hrs', 'hour', 'hours'),
  ...named(DAY, 'd', 'day', 'days'),
  ...named(7 * DAY, 'w', 'week', 'weeks'),
};

const GROUP = /(\d+(?:\.\d+)?|\.\d+)\s*([a-zµ]+)\s*/y;

function named(ms: number, ...names: string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, ms]));
}

/** Milliseconds, rounded; 0 for an empty text, milliseconds for a bare number; `null` for anything else, negative ones included. */
export function parseDuration(text: string): number | null {
  const source = text.trim().toLowerCase();
  if (source === '') return 0;
  if (/^\d+(\.\d+)?$/.test(source)) return Math.round(Number(source));
  let total = 0;
  let end = 0;
  GROUP.lastIndex = 0;
  for (let group = GROUP.exec(source); group !== null; group = GROUP.exec(source)) {
    const unit = Object.hasOwn(UNITS, group[2] ?? '') ? UNITS[group[2] ?? ''] : undefined;
    if (unit === undefined) return null;
    total += Number(group[1]) * unit;
    end = GROUP.lastIndex;
  }
  return end === source.length ? Math.round(total) : null;
}

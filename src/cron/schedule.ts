/** Schedule text -> schedule: `[TZ=<zone> ]<five fields or a descriptor>` (CR-1 to CR-3, CR-7, CR-8). */
import { type Calendar, firstMinute } from './calendar.ts';
import { type Field, type FieldRule, parseField } from './field.ts';
import { findZone, UTC, type Zone } from './zone.ts';

/** Parse once and keep it: finding the zone is what costs. Lives in memory; what is stored is the text. */
export interface Schedule {
  /** As it was written. */
  text: string;
  zone: Zone;
  calendar: Calendar;
  /** The hour is `*` or has a step, so that a wall-clock time that comes twice counts twice (CR-9). */
  everyPass: boolean;
}

export type ParsedSchedule = { ok: true; schedule: Schedule } | { ok: false; error: string };

const LONGEST = 255;

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

const RULES = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: MONTHS },
  { name: 'day of week', min: 0, max: 7, names: WEEKDAYS, wraps: true },
] as const satisfies FieldRule[];

const DESCRIPTORS: ReadonlyMap<string, string> = new Map([
  ['@yearly', '0 0 1 1 *'],
  ['@annually', '0 0 1 1 *'],
  ['@monthly', '0 0 1 * *'],
  ['@weekly', '0 0 * * 0'],
  ['@daily', '0 0 * * *'],
  ['@midnight', '0 0 * * *'],
  ['@hourly', '0 * * * *'],
]);

/** The error says what was expected and where, after the text that it is about. */
export function parseSchedule(text: string): ParsedSchedule {
  if (text.length > LONGEST) return { ok: false, error: `schedule is longer than ${LONGEST} characters` };
  const schedule = parse(text);
  return typeof schedule === 'string'
    ? { ok: false, error: `"${text}": ${schedule}` }
    : { ok: true, schedule };
}

function parse(text: string): Schedule | string {
  const [, zoneName, when = ''] = /^(?:TZ=(\S*)(?:\s+|$))?(.*)$/s.exec(text.trim()) ?? [];
  const zone = zoneName === undefined ? UTC : findZone(zoneName);
  if (zone === null) return `expected an IANA time zone such as Europe/Paris after TZ=, found "${zoneName}"`;
  const words = fieldsOf(when);
  if (typeof words === 'string') return words;
  const fields: Field[] = [];
  for (const [index, rule] of RULES.entries()) {
    const field = parseField(rule, words[index] ?? '');
    if (typeof field === 'string') return `field ${index + 1} (${rule.name}): ${field}`;
    fields.push(field);
  }
  const [minutes, hours, days, months, weekdays] = fields as [Field, Field, Field, Field, Field];
  const calendar: Calendar = {
    minutes: minutes.values,
    hours: hours.values,
    days: days.values,
    months: months.values,
    weekdays: weekdays.values,
    eitherDay: !days.any && !weekdays.any,
  };
  if (firstMinute(calendar, 0) === null) return 'never fires: no month that it names has such a day';
  return { text, zone, calendar, everyPass: hours.stepped };
}

function fieldsOf(when: string): string[] | string {
  if (when.startsWith('@')) {
    return (
      DESCRIPTORS.get(when.toLowerCase())?.split(' ') ??
      `expected five fields or one of ${[...DESCRIPTORS.keys()].join(' ')}, found "${when}"`
    );
  }
  const words = when.split(/\s+/).filter((word) => word !== '');
  if (words.length === RULES.length) return words;
  const expected = `expected five fields (${RULES.map(({ name }) => name).join(', ')})`;
  return `${expected}, found ${words.length}`;
}

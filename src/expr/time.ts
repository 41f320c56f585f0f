/** Timestamps and durations (EX-62): texts in and out, the calendar, all by arithmetic on nanoseconds. */
import { Duration, Timestamp } from './values.ts';

const SECOND = 1_000_000_000n;
const DAY_SECONDS = 86_400;
/** Years 1 to 9999, and ten thousand years of duration, as CEL has them. */
const MIN_NS = secondsOf(1, 1, 1) * SECOND;
const MAX_NS = secondsOf(10_000, 1, 1) * SECOND - 1n;
const MAX_DURATION = 315_576_000_000n * SECOND;

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;
const DATE_TIME =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d{2}:\d{2})?$/;
const GROUP = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w)/y;
const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: SECOND,
  m: 60n * SECOND,
  h: 3_600n * SECOND,
  d: 86_400n * SECOND,
  w: 604_800n * SECOND,
};
/** Longer texts are no dates or durations. */
const MAX_TEXT = 64;

export function timestamp(ns: bigint): Timestamp | undefined {
  return ns < MIN_NS || ns > MAX_NS ? undefined : new Timestamp(ns);
}

export function duration(ns: bigint): Duration | undefined {
  return ns < -MAX_DURATION || ns > MAX_DURATION ? undefined : new Duration(ns);
}

export function fromMilliseconds(ms: number): Timestamp | undefined {
  return Number.isFinite(ms) ? timestamp(BigInt(Math.trunc(ms)) * 1_000_000n) : undefined;
}

export function fromSeconds(seconds: number | bigint): Timestamp | undefined {
  return timestamp(BigInt(seconds) * SECOND);
}

/** RFC 3339 with its zone; `loose` also takes a date alone and a time without a zone, as UTC. */
export function parseTimestamp(text: string, loose: boolean): Timestamp | undefined {
  if (text.length > MAX_TEXT) return undefined;
  const date = loose ? DATE.exec(text) : null;
  if (date !== null) return compose(date.slice(1).map(Number), '', 'Z');
  const parts = DATE_TIME.exec(text);
  const zone = parts?.[8] ?? (loose ? 'Z' : undefined);
  if (parts === null || zone === undefined) return undefined;
  return compose(parts.slice(1, 7).map(Number), parts[7] ?? '', zone);
}

function compose(fields: readonly number[], fraction: string, zone: string): Timestamp | undefined {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = fields;
  const offset = parseOffset(zone);
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 59 || offset === undefined) return undefined;
  const seconds = secondsOf(year, month, day) + BigInt(hour * 3600 + minute * 60 + second - offset);
  return timestamp(seconds * SECOND + BigInt(fraction.padEnd(9, '0')));
}

/** Seconds east of Greenwich. */
function parseOffset(zone: string): number | undefined {
  if (zone === 'Z' || zone === 'z' || zone === 'UTC') return 0;
  const parts = /^([+-]?)(\d{2}):(\d{2})$/.exec(zone);
  if (parts === null || Number(parts[2]) > 23 || Number(parts[3]) > 59) return undefined;
  return (Number(parts[2]) * 3600 + Number(parts[3]) * 60) * (parts[1] === '-' ? -1 : 1);
}

/** A sign and groups of number and unit: `90m`, `1h30m`, `-1.5s`; also days and weeks. */
export function parseDuration(text: string): Duration | undefined {
  if (text.length > MAX_TEXT) return undefined;
  const sign = text.startsWith('-') ? -1n : 1n;
  const body = text.replace(/^[+-]/, '');
  if (body === '0') return new Duration(0n);
  let total = 0n;
  let end = 0;
  GROUP.lastIndex = 0;
  for (let group = GROUP.exec(body); group !== null; group = GROUP.exec(body)) {
    total += scale(group[1] ?? '', UNITS[group[2] ?? ''] ?? 0n);
    end = GROUP.lastIndex;
  }
  return end === body.length && end > 0 ? duration(sign * total) : undefined;
}

function scale(number: string, unit: bigint): bigint {
  const [whole = '', fraction = ''] = number.split('.');
  const digits = fraction.slice(0, 18);
  return BigInt(whole || '0') * unit + (BigInt(digits || '0') * unit) / 10n ** BigInt(digits.length);
}

/** Whole seconds before an instant, and the nanoseconds after them. */
function split(ns: bigint): { seconds: bigint; nanos: bigint } {
  const nanos = ((ns % SECOND) + SECOND) % SECOND;
  return { seconds: (ns - nanos) / SECOND, nanos };
}

export function toSeconds(value: Timestamp): bigint {
  return split(value.ns).seconds;
}

export function formatTimestamp({ ns }: Timestamp): string {
  const { nanos } = split(ns);
  const { year, month, day, hour, minute, second } = calendar(ns, 0);
  const date = `${pad(year, 4)}-${pad(month + 1)}-${pad(day)}`;
  return `${date}T${pad(hour)}:${pad(minute)}:${pad(second)}${fractionText(nanos)}Z`;
}

/** Seconds, as CEL prints durations. */
export function formatDuration({ ns }: Duration): string {
  const size = ns < 0n ? -ns : ns;
  return `${ns < 0n ? '-' : ''}${size / SECOND}${fractionText(size % SECOND)}s`;
}

function fractionText(nanos: bigint): string {
  return nanos === 0n ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`;
}

function pad(number: number, length = 2): string {
  return String(number).padStart(length, '0');
}

/** `month`, `weekday` (from Sunday) and `yearDay` count from 0, `day` from 1. */
export interface Calendar {
  year: number;
  month: number;
  day: number;
  weekday: number;
  yearDay: number;
  hour: number;
  minute: number;
  second: number;
  millisecond: number;
}

/** @param offset seconds east of Greenwich. */
function calendar(ns: bigint, offset: number): Calendar {
  const { seconds, nanos } = split(ns);
  const local = Number(seconds) + offset;
  const days = Math.floor(local / DAY_SECONDS);
  const rest = local - days * DAY_SECONDS;
  const { year, month, day } = civil(days);
  return {
    year,
    month: month - 1,
    day,
    weekday: (((days + 4) % 7) + 7) % 7,
    yearDay: days - dayNumber(year, 1, 1),
    hour: Math.floor(rest / 3600),
    minute: Math.floor(rest / 60) % 60,
    second: rest % 60,
    millisecond: Number(nanos / 1_000_000n),
  };
}

/** The calendar of an instant in a zone: `UTC`, an offset such as `+02:00`, or a name of the tz database. */
export function calendarIn({ ns }: Timestamp, zone: string): Calendar | undefined {
  const offset = parseOffset(zone) ?? namedOffset(ns, zone);
  return offset === undefined ? undefined : calendar(ns, offset);
}

function namedOffset(ns: bigint, zone: string): number | undefined {
  const seconds = Number(split(ns).seconds);
  try {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    const parts = new Map(format.formatToParts(seconds * 1000).map(({ type, value }) => [type, value]));
    const [year, month, day, hour, minute, second] = (
      ['year', 'month', 'day', 'hour', 'minute', 'second'] as const
    ).map((part) => Number(parts.get(part)));
    const days = dayNumber(year ?? 0, month ?? 0, day ?? 0);
    return days * DAY_SECONDS + (hour ?? 0) * 3600 + (minute ?? 0) * 60 + (second ?? 0) - seconds;
  } catch {
    return undefined;
  }
}

/** Days from 1970-01-01 in the proleptic Gregorian calendar; years are counted from March, so that leap days end them. */
function dayNumber(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const ofEra = shifted - era * 400;
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468;
}

function civil(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const ofEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * ofYear + 2) / 153);
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  const day = ofYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

function secondsOf(year: number, month: number, day: number): bigint {
  return BigInt(dayNumber(year, month, day)) * BigInt(DAY_SECONDS);
}

function daysInMonth(year: number, month: number): number {
  return month === 12 ? 31 : dayNumber(year, month + 1, 1) - dayNumber(year, month, 1);
}

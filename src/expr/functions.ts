/** The functions that expressions may call (EX-58 to EX-63). Macros are not among them: they bind names. */
import { convert, type Conversion } from './convert.ts';
import { charge, chargeKeys, chargeText, exhausted, type Frame } from './fuel.ts';
import { dynamicPattern, type Pattern } from './pattern.ts';
import { calendarIn, fromMilliseconds, parseDuration, timestamp, type Calendar } from './time.ts';
import {
  Duration,
  Failure,
  isList,
  keysOf,
  Timestamp,
  isMapValue,
  isObjectValue,
  typeName,
  type Outcome,
  type Value,
} from './values.ts';

/** One call in an expression. */
export interface Call {
  readonly name: string;
  readonly at: number;
  /** What the arguments are called in messages. */
  readonly labels: readonly string[];
  /** Of `matches` with a literal pattern. */
  readonly pattern?: Pattern | undefined;
}

export interface Definition {
  /** Least and most arguments, the receiver included. */
  readonly arity: readonly [number, number];
  readonly form: 'function' | 'method' | 'both';
  /** The result when an argument is null or missing (EX-52, EX-54); null if not given. */
  readonly ofNull?: Value;
  /** Reads the clock: refused in keys (EX-64). */
  readonly clock?: true;
  /** With a literal argument it is computed, and may fail, while the expression is compiled. */
  readonly fold?: true;
  /** Arguments that are not given are null; null that is given never comes here. */
  readonly run: (frame: Frame, call: Call, first: Value, second: Value) => Outcome;
}

function unfit(call: Call, index: number, value: Value): Failure {
  const label = call.labels[index] ?? 'its argument';
  return new Failure(`${call.name} does not take ${typeName(value)} (${label})`, call.at);
}

/** A function of two texts. */
function ofTexts(run: (text: string, other: string, frame: Frame, call: Call) => Outcome): Definition['run'] {
  return (frame, call, text, other) => {
    if (typeof text !== 'string') return unfit(call, 0, text);
    if (typeof other !== 'string') return unfit(call, 1, other);
    return chargeText(frame, other.length) ? run(text, other, frame, call) : exhausted(call.at);
  };
}

function ofText(run: (text: string, frame: Frame, call: Call) => Outcome): Definition['run'] {
  return (frame, call, text) => {
    if (typeof text !== 'string') return unfit(call, 0, text);
    return chargeText(frame, text.length) ? run(text, frame, call) : exhausted(call.at);
  };
}

/** Searching costs up to a fifth of a nanosecond for each pair of a character of the text and one of the part. */
function contains(text: string, part: string, frame: Frame, { at }: Call): Outcome {
  const free = text.length <= 64;
  return free || charge(frame, (text.length * (part.length + 5)) / 2_500)
    ? text.includes(part)
    : exhausted(at);
}

function matches(text: string, source: string, frame: Frame, call: Call): Outcome {
  const { at } = call;
  let { pattern } = call;
  if (pattern === undefined) {
    if (source.length > 256) return new Failure('matches: the pattern is too large', at);
    if (!charge(frame, 200 + source.length)) return exhausted(at);
    const compiled = dynamicPattern(source);
    if (!compiled.ok) return new Failure(`matches: ${compiled.reason}`, at);
    pattern = compiled.pattern;
  }
  return charge(frame, pattern.cost(text.length)) ? pattern.test(text) : exhausted(at);
}

/** Code points, items, or keys. */
function size(frame: Frame, call: Call, value: Value): Outcome {
  if (isList(value)) return value.length;
  if (typeof value === 'string') {
    return chargeText(frame, value.length) ? codePoints(value) : exhausted(call.at);
  }
  if (!isMapValue(value) && !isObjectValue(value)) return unfit(call, 0, value);
  const keys = keysOf(value).length;
  return chargeKeys(frame, keys) ? keys : exhausted(call.at);
}

function codePoints(text: string): number {
  let count = text.length;
  for (let i = 0; i + 1 < text.length; i++) {
    const [unit, next] = [text.charCodeAt(i), text.charCodeAt(i + 1)];
    if (unit >= 0xd800 && unit < 0xdc00 && next >= 0xdc00 && next < 0xe000) count--;
  }
  return count;
}

function decodeBase64(text: string, frame: Frame, call: Call): Outcome {
  if (!charge(frame, text.length / 16)) return exhausted(call.at);
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
  } catch {
    return new Failure(`b64decode: ${call.labels[0]} is not base64`, call.at);
  }
}

function parseJson(text: string, frame: Frame, call: Call): Outcome {
  if (!charge(frame, text.length / 64)) return exhausted(call.at);
  try {
    return JSON.parse(text) as Value;
  } catch {
    return new Failure(`json_parse: ${call.labels[0]} is not JSON`, call.at);
  }
}

function clock(sign: bigint): Definition['run'] {
  return (frame, call, by) => {
    const span = typeof by === 'string' ? parseDuration(by) : by;
    if (!(span instanceof Duration)) return unfit(call, 0, by);
    const now = fromMilliseconds(frame.now);
    const moved = now && timestamp(now.ns + sign * span.ns);
    return moved ?? new Failure(`${call.name}: the time lies outside the years 1 to 9999`, call.at);
  };
}

/** A part of a timestamp in a zone, UTC if none is given; of a duration where CEL has it. */
function partOf(ofTime: (calendar: Calendar) => number, ofSpan?: (ns: bigint) => bigint): Definition['run'] {
  return (frame, call, value, given) => {
    const zone = given ?? 'UTC';
    if (value instanceof Duration && ofSpan !== undefined) return Number(ofSpan(value.ns));
    if (!(value instanceof Timestamp)) return unfit(call, 0, value);
    if (typeof zone !== 'string') return unfit(call, 1, zone);
    // Named zones ask the platform, which takes its time.
    if (zone !== 'UTC' && !charge(frame, 100)) return exhausted(call.at);
    const calendar = calendarIn(value, zone);
    return calendar === undefined
      ? new Failure(`${call.name} does not know the time zone (${call.labels[1]})`, call.at)
      : ofTime(calendar);
  };
}

function conversion(to: Conversion): Definition {
  return {
    arity: [1, 1],
    form: 'function',
    run: (_, call, value) =>
      convert(to, value) ??
      new Failure(`${to}: cannot convert ${typeName(value)} (${call.labels[0]})`, call.at),
  };
}

const text = { arity: [1, 1], form: 'function' } as const;
const test = { arity: [2, 2], form: 'method', ofNull: false } as const;
const getter = { arity: [1, 2], form: 'method' } as const;

const definitions: Record<string, Definition> = {
  size: { arity: [1, 1], form: 'both', ofNull: 0, run: size },
  contains: { ...test, run: ofTexts(contains) },
  startsWith: { ...test, run: ofTexts((value, start) => value.startsWith(start)) },
  endsWith: { ...test, run: ofTexts((value, end) => value.endsWith(end)) },
  matches: { ...test, form: 'both', run: ofTexts(matches) },
  lowercase: { ...text, run: ofText((value) => value.toLowerCase()) },
  uppercase: { ...text, run: ofText((value) => value.toUpperCase()) },
  b64decode: { ...text, run: ofText(decodeBase64) },
  json_parse: { ...text, run: ofText(parseJson) },
  string: conversion('string'),
  int: conversion('int'),
  uint: conversion('uint'),
  double: conversion('double'),
  bool: conversion('bool'),
  dyn: { ...text, run: (_, __, value) => value },
  timestamp: { ...conversion('timestamp'), fold: true },
  duration: { ...conversion('duration'), fold: true },
  date: { ...conversion('date'), fold: true },
  now: {
    arity: [0, 0],
    form: 'function',
    clock: true,
    run: (frame, { at }) => fromMilliseconds(frame.now) ?? new Failure('now: no time was given', at),
  },
  now_plus: { ...text, clock: true, run: clock(1n) },
  now_minus: { ...text, clock: true, run: clock(-1n) },
  getFullYear: { ...getter, run: partOf(({ year }) => year) },
  getMonth: { ...getter, run: partOf(({ month }) => month) },
  getDate: { ...getter, run: partOf(({ day }) => day) },
  getDayOfMonth: { ...getter, run: partOf(({ day }) => day - 1) },
  getDayOfWeek: { ...getter, run: partOf(({ weekday }) => weekday) },
  getDayOfYear: { ...getter, run: partOf(({ yearDay }) => yearDay) },
  getHours: {
    ...getter,
    run: partOf(
      ({ hour }) => hour,
      (ns) => ns / 3_600_000_000_000n,
    ),
  },
  getMinutes: {
    ...getter,
    run: partOf(
      ({ minute }) => minute,
      (ns) => ns / 60_000_000_000n,
    ),
  },
  getSeconds: {
    ...getter,
    run: partOf(
      ({ second }) => second,
      (ns) => ns / 1_000_000_000n,
    ),
  },
  getMilliseconds: {
    ...getter,
    run: partOf(
      ({ millisecond }) => millisecond,
      (ns) => (ns / 1_000_000n) % 1_000n,
    ),
  },
};

/** By name; a map, so that names such as `constructor` find nothing. */
export const functions: ReadonlyMap<string, Definition> = new Map(Object.entries(definitions));

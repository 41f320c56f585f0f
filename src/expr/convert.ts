/** `string(x)`, `int(x)` and the like (EX-59, EX-62, EX-63). Nothing when the value cannot be converted. */
import { never } from '../lib/never.ts';
import { scalarText } from './text.ts';
import {
  fromMilliseconds,
  fromSeconds,
  parseDuration,
  parseTimestamp,
  timestamp,
  toSeconds,
} from './time.ts';
import { Duration, exact, isInt, numeric, Timestamp, toDouble, toInt, type Value } from './values.ts';

export type Conversion = 'string' | 'int' | 'uint' | 'double' | 'bool' | 'timestamp' | 'duration' | 'date';

const UINT_MAX = 2n ** 64n - 1n;
const WHOLE = /^[+-]?\d{1,40}$/;
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const SPECIAL = new Map([
  ['nan', Number.NaN],
  ['inf', Number.POSITIVE_INFINITY],
  ['+inf', Number.POSITIVE_INFINITY],
  ['-inf', Number.NEGATIVE_INFINITY],
  ['infinity', Number.POSITIVE_INFINITY],
  ['+infinity', Number.POSITIVE_INFINITY],
  ['-infinity', Number.NEGATIVE_INFINITY],
]);
const BOOLEANS = new Map([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((text) => [text, false] as const),
]);

export function convert(to: Conversion, value: Value): Value | undefined {
  switch (to) {
    case 'string':
      return scalarText(value);
    case 'int':
      return toWhole(value);
    case 'uint':
      return toUnsigned(value);
    case 'double':
      return toFraction(value);
    case 'bool':
      return typeof value === 'boolean' ? value : typeof value === 'string' ? BOOLEANS.get(value) : undefined;
    case 'timestamp':
      return toTimestamp(value);
    case 'duration':
      return value instanceof Duration ? value : typeof value === 'string' ? parseDuration(value) : undefined;
    case 'date':
      return toDate(value);
    default:
      return never(to);
  }
}

/** Doubles are cut toward zero, timestamps become seconds. */
function whole(value: Value): bigint | undefined {
  if (typeof value === 'string') return WHOLE.test(value) ? BigInt(value) : undefined;
  if (value instanceof Timestamp) return toSeconds(value);
  const number = numeric(value);
  if (typeof number === 'number') return Number.isFinite(number) ? BigInt(Math.trunc(number)) : undefined;
  return number;
}

function toWhole(value: Value): Value | undefined {
  if (isInt(value)) return value;
  // A double of -2^63 may stand for numbers below the range: CEL refuses it.
  if (numeric(value) === -(2 ** 63)) return undefined;
  const number = whole(value);
  return number === undefined ? undefined : toInt(number);
}

/** There is no type of its own for unsigned numbers: an int that is not negative. */
function toUnsigned(value: Value): Value | undefined {
  if (value instanceof Timestamp) return undefined;
  const number = whole(value);
  return number === undefined || number < 0n || number > UINT_MAX ? undefined : exact(number);
}

function toFraction(value: Value): Value | undefined {
  const number = numeric(value);
  if (number !== undefined) return toDouble(Number(number));
  if (typeof value !== 'string' || value.length > 400) return undefined;
  const parsed = DECIMAL.test(value) ? Number(value) : SPECIAL.get(value.toLowerCase());
  return parsed === undefined ? undefined : toDouble(parsed);
}

function toTimestamp(value: Value): Value | undefined {
  if (value instanceof Timestamp) return value;
  if (isInt(value)) return fromSeconds(value);
  return typeof value === 'string' ? parseTimestamp(value, false) : undefined;
}

/** Numbers are seconds, milliseconds or nanoseconds since 1970, by their size; none before 2000 is told apart. */
function toDate(value: Value): Value | undefined {
  if (value instanceof Timestamp) return value;
  if (typeof value === 'string') return parseTimestamp(value, true);
  const number = numeric(value);
  if (number === undefined || !(number >= 946_684_800)) return undefined;
  if (number < 9_999_999_999) return fromSeconds(BigInt(Math.trunc(Number(number))));
  if (number < 9_999_999_999_999) return fromMilliseconds(Number(number));
  return Number.isFinite(Number(number)) ? timestamp(BigInt(number)) : undefined;
}

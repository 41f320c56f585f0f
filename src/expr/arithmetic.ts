/** `+ - * / %` and negation (EX-31, EX-32, EX-40, EX-44, EX-45, EX-56). */
import { chargeText, exhausted, charge, type Frame } from './fuel.ts';
import { textOf } from './text.ts';
import { duration, timestamp } from './time.ts';
import {
  Duration,
  Failure,
  isInt,
  isIntNumber,
  isList,
  numeric,
  Timestamp,
  toDouble,
  toInt,
  typeName,
  type Outcome,
  type Value,
} from './values.ts';

export type Sum = '+' | '-' | '*' | '/' | '%';

/** Where an operator stands, and what its operands are called in messages. */
export interface Site {
  readonly at: number;
  readonly left: string;
  readonly right: string;
}

const EXACT = 2 ** 53;

export function arithmetic(op: Sum, a: Outcome, b: Outcome, site: Site, frame: Frame): Outcome {
  const small = typeof a === 'number' && typeof b === 'number' ? smallInts(op, a, b) : undefined;
  if (small !== undefined) return small;
  if (a instanceof Failure) return a;
  if (b instanceof Failure) return b;
  if (op === '+') return add(a, b, site, frame);
  return numbers(op, a, b, site) ?? times(op, a, b, site) ?? unfit(op, a, b, site);
}

/** Sums of ints below 2^53 are exact; all else takes the long way. */
function smallInts(op: Sum, a: number, b: number): number | undefined {
  if (op === '/' || op === '%' || !isIntNumber(a) || !isIntNumber(b)) return undefined;
  const sum = op === '+' ? a + b : op === '-' ? a - b : a * b;
  return sum < EXACT && sum > -EXACT ? sum + 0 : undefined;
}

function add(a: Value, b: Value, site: Site, frame: Frame): Outcome {
  if (typeof a === 'string' || typeof b === 'string') return concatenate(a, b, site, frame);
  if (isList(a) && isList(b)) {
    return charge(frame, a.length + b.length) ? [...a, ...b] : exhausted(site.at);
  }
  return numbers('+', a, b, site) ?? times('+', a, b, site) ?? unfit('+', a, b, site);
}

function concatenate(a: Value, b: Value, site: Site, frame: Frame): string | Failure {
  const left = textOf(a, frame, site.at);
  if (left instanceof Failure) return left;
  const right = textOf(b, frame, site.at);
  if (right instanceof Failure) return right;
  return chargeText(frame, left.length + right.length) ? left + right : exhausted(site.at);
}

function numbers(op: Sum, a: Value, b: Value, site: Site): Outcome | undefined {
  if (isInt(a) && isInt(b)) return ints(op, BigInt(a), BigInt(b), site);
  const [x, y] = [numeric(a), numeric(b)];
  return x === undefined || y === undefined ? undefined : doubles(op, Number(x), Number(y), site);
}

function ints(op: Sum, a: bigint, b: bigint, site: Site): Outcome {
  if ((op === '/' || op === '%') && b === 0n) return byZero(site);
  const result = toInt(wholeSum(op, a, b));
  return result ?? new Failure('the result of "' + op + '" is beyond 64 bits', site.at);
}

function wholeSum(op: Sum, a: bigint, b: bigint): bigint {
  if (op === '+') return a + b;
  if (op === '-') return a - b;
  if (op === '*') return a * b;
  return op === '/' ? a / b : a % b;
}

function doubles(op: Sum, a: number, b: number, site: Site): Outcome {
  if (op === '%') return new Failure('"%" needs whole numbers', site.at);
  if (op === '/' && b === 0) return byZero(site);
  if (op === '+') return toDouble(a + b);
  if (op === '-') return toDouble(a - b);
  return toDouble(op === '*' ? a * b : a / b);
}

function byZero({ at, right }: Site): Failure {
  return new Failure(`division by zero: ${right}`, at);
}

/** Sums and differences of times. */
function times(op: Sum, a: Value, b: Value, site: Site): Outcome | undefined {
  const minus = op === '-';
  if (!minus && op !== '+') return undefined;
  const [x, y] = [instant(a), instant(b)];
  if (x === undefined || y === undefined) return undefined;
  const [early, late] = [a instanceof Timestamp, b instanceof Timestamp];
  if (late && (minus ? !early : early)) return undefined;
  const ns = minus ? x - y : x + y;
  return (early === late ? duration(ns) : timestamp(ns)) ?? outOfTime(site);
}

function instant(value: Value): bigint | undefined {
  return value instanceof Timestamp || value instanceof Duration ? value.ns : undefined;
}

function outOfTime({ at }: Site): Failure {
  return new Failure('the time lies outside the years 1 to 9999', at);
}

function unfit(op: Sum, a: Value, b: Value, { at, left, right }: Site): Failure {
  return new Failure(`"${op}" does not take ${typeName(a)} (${left}) and ${typeName(b)} (${right})`, at);
}

export function negate(value: Outcome, site: Site): Outcome {
  if (value instanceof Failure) return value;
  if (isInt(value)) {
    return toInt(-BigInt(value)) ?? new Failure('the result of "-" is beyond 64 bits', site.at);
  }
  const number = numeric(value);
  if (number !== undefined) return toDouble(-Number(number));
  if (value instanceof Duration) return new Duration(-value.ns);
  return new Failure(`"-" does not take ${typeName(value)} (${site.right})`, site.at);
}

/** Values as texts that are the same for equal values, and different for all others (EX-67, EX-81). */
import { sha256Hex } from '../lib/hash.ts';
import { canonicalJson, scalarText } from './text.ts';
import { Duration, exact, numeric, Timestamp, type Value } from './values.ts';

/** Longer identities are replaced by their hash, so that they fit a column of an index. */
const MAX_LENGTH = 256;

/** Number 1 and text "1" differ, 1 and 1.0 do not. Nothing for null, and for data too deep to be written. */
export function identityOf(value: Value): string | null {
  if (value === null) return null;
  if (typeof value === 'string') return bounded('s', value);
  if (typeof value === 'boolean') return `b:${value}`;
  const number = numeric(value);
  if (number !== undefined) return `n:${numberText(number)}`;
  if (value instanceof Timestamp) return `t:${scalarText(value)}`;
  if (value instanceof Duration) return `d:${scalarText(value)}`;
  const json = canonicalJson(value);
  return json === undefined ? null : bounded('j', json);
}

/** Of values that an index can find: text, number, boolean. */
export function scalarIdentity(value: Value): string | null {
  const scalar = typeof value === 'string' || typeof value === 'boolean' || numeric(value) !== undefined;
  return scalar ? identityOf(value) : null;
}

function bounded(type: string, text: string): string {
  return text.length <= MAX_LENGTH ? `${type}:${text}` : `${type}#${sha256Hex(text)}`;
}

/** An int beyond 2^53 and the double of the same value are one number, and have one text. */
function numberText(number: number | bigint): string {
  if (typeof number === 'number') return String(number + 0);
  const double = Number(number);
  return exact(BigInt(double)) === number ? String(double) : `${number}i`;
}

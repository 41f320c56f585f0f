/** Equality, order and membership in the dialect of the engine (EX-40 to EX-43, EX-48 to EX-53). */
import { charge, chargeKeys, chargeText, exhausted, FREE_TEXT, MAX_DATA_DEPTH, type Frame } from './fuel.ts';
import {
  Duration,
  Failure,
  isList,
  isMapValue,
  isObjectValue,
  keysOf,
  mapKey,
  numeric,
  select,
  Timestamp,
  typeName,
  type MapValue,
  type ObjectValue,
  type Outcome,
  type Value,
} from './values.ts';

/** Unlike types are unequal, never an error (EX-41). */
export function equal(a: Outcome, b: Outcome, frame: Frame, at: number): boolean | Failure {
  if (typeof a === 'string' && typeof b === 'string') return sameText(a, b, frame, at);
  if (a instanceof Failure) return a;
  if (b instanceof Failure) return b;
  return deepEqual(a, b, frame, at, 0);
}

function sameText(a: string, b: string, frame: Frame, at: number): boolean | Failure {
  if (a.length !== b.length) return false;
  if (a.length > FREE_TEXT && !chargeText(frame, a.length)) return exhausted(at);
  return a === b;
}

function deepEqual(a: Value, b: Value, frame: Frame, at: number, depth: number): boolean | Failure {
  if (typeof a === 'string') return typeof b === 'string' && sameText(a, b, frame, at);
  if (typeof a !== 'object' || a === null || numeric(a) !== undefined) return sameScalar(a, b);
  if (a instanceof Timestamp) return b instanceof Timestamp && a.ns === b.ns;
  if (a instanceof Duration) return b instanceof Duration && a.ns === b.ns;
  if (depth > MAX_DATA_DEPTH) return new Failure('the compared data nests too deeply', at);
  if (isList(a)) return isList(b) && sameList(a, b, frame, at, depth);
  if (!isObjectValue(b) && !isMapValue(b)) return false;
  return sameMap(a as ObjectValue | MapValue, b, frame, at, depth);
}

function sameScalar(a: Value, b: Value): boolean {
  const [x, y] = [numeric(a), numeric(b)];
  // `==` compares a bigint and a number by their exact values.
  // oxlint-disable-next-line eqeqeq
  return x !== undefined && y !== undefined ? x == y : a === b;
}

function sameList(a: readonly Value[], b: readonly Value[], frame: Frame, at: number, depth: number) {
  if (a.length !== b.length) return false;
  for (const [i, item] of a.entries()) {
    if (!charge(frame, 1)) return exhausted(at);
    const same = deepEqual(item, b[i] ?? null, frame, at, depth + 1);
    if (same !== true) return same;
  }
  return true;
}

type AnyMap = ObjectValue | MapValue;

function sameMap(a: AnyMap, b: AnyMap, frame: Frame, at: number, depth: number): boolean | Failure {
  const keys = keysOf(a);
  const others = keysOf(b).length;
  if (!chargeKeys(frame, keys.length + others)) return exhausted(at);
  if (keys.length !== others) return false;
  for (const key of keys) {
    if (!charge(frame, 1)) return exhausted(at);
    if (!hasKey(b, key)) return false;
    const same = deepEqual(valueAt(a, key), valueAt(b, key), frame, at, depth + 1);
    if (same !== true) return same;
  }
  return true;
}

function hasKey(map: AnyMap, key: Value): boolean {
  if (!isMapValue(map)) return typeof key === 'string' && Object.hasOwn(map, key);
  const own = mapKey(key);
  return own !== undefined && map.has(own);
}

function valueAt(map: AnyMap, key: Value): Value {
  if (typeof key === 'string') return select(map, key) as Value;
  const own = mapKey(key);
  return own !== undefined && isMapValue(map) ? (map.get(own) ?? null) : null;
}

export type Relation = '<' | '<=' | '>' | '>=';

/**
 * False for unlike types (EX-42). Null lies below every number, but a comparison whose left side is null never holds (EX-51);
 * with `parity` it does, for numbers and texts.
 */
export function relate(
  op: Relation,
  a: Outcome,
  b: Outcome,
  frame: Frame,
  at: number,
  parity: boolean,
): boolean | Failure {
  if (a instanceof Failure) return a;
  if (b instanceof Failure) return b;
  if (typeof a === 'string' && typeof b === 'string') {
    if (!chargeText(frame, Math.min(a.length, b.length))) return exhausted(at);
    return holds(op, compareText(a, b));
  }
  if (b === null) return numeric(a) !== undefined && (op === '>' || op === '>=');
  if (a === null) {
    const ordered = numeric(b) !== undefined || typeof b === 'string';
    return parity && ordered && (op === '<' || op === '<=');
  }
  return holds(op, difference(a, b));
}

/** Negative, zero or positive; NaN where there is no order. */
function difference(a: Value, b: Value): number {
  const [x, y] = [instant(a), instant(b)];
  if (x === undefined || y === undefined || typeName(a) !== typeName(b)) return Number.NaN;
  if (x < y) return -1;
  if (x > y) return 1;
  // Equal, or one of them is no number.
  return x >= y ? 0 : Number.NaN;
}

/** What a value is ordered by. */
function instant(value: Value): number | bigint | undefined {
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (value instanceof Timestamp || value instanceof Duration) return value.ns;
  return numeric(value);
}

function holds(op: Relation, sign: number): boolean {
  if (op === '<') return sign < 0;
  if (op === '<=') return sign <= 0;
  return op === '>' ? sign > 0 : sign >= 0;
}

/** By code points, as CEL orders texts; JavaScript's own order is by UTF-16 units. */
function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above all other units. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** `value in list`, `key in map`; false over null (EX-53). */
export function member(value: Outcome, container: Outcome, frame: Frame, at: number): boolean | Failure {
  if (value instanceof Failure) return value;
  if (container instanceof Failure) return container;
  if (container === null) return false;
  if (isList(container)) {
    for (const item of container) {
      if (!charge(frame, 1)) return exhausted(at);
      const same = equal(value, item, frame, at);
      if (same !== false) return same;
    }
    return false;
  }
  if (isMapValue(container) || isObjectValue(container)) return hasKey(container, value);
  return new Failure(`"in" needs a list or a map on its right side, not ${typeName(container)}`, at);
}

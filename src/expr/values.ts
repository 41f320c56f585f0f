/**
 * The values of expressions (EX-39). Data of events is used as it is, without a copy:
 * a number without fraction within plus or minus 2^53 is an int, any other number a double.
 * What JSON cannot say has a class: a double that happens to be whole, a time, a duration; ints beyond 2^53 are `bigint`.
 */

/** Objects of JavaScript that have no fields for expressions. */
export abstract class Opaque {
  protected abstract readonly kind: string;
}

/** A double without fraction: `2.0`, or the sum of 1.5 and 0.5. `5.0 / 2` is 2.5 where `5 / 2` is 2. */
export class Double extends Opaque {
  protected readonly kind = 'double';
  readonly value: number;
  constructor(value: number) {
    super();
    this.value = value;
  }
}

export class Timestamp extends Opaque {
  protected readonly kind = 'timestamp';
  /** Nanoseconds since 1970. */
  readonly ns: bigint;
  constructor(ns: bigint) {
    super();
    this.ns = ns;
  }
}

export class Duration extends Opaque {
  protected readonly kind = 'duration';
  readonly ns: bigint;
  constructor(ns: bigint) {
    super();
    this.ns = ns;
  }
}

/** An error on its way up. `&&` and `||` may still decide without it (EX-33). Names paths and types, never values. */
export class Failure extends Opaque {
  protected readonly kind = 'failure';
  readonly message: string;
  /** Offset in the source. */
  readonly at: number;
  constructor(message: string, at: number) {
    super();
    this.message = message;
    this.at = at;
  }
}

/** A map literal. Its keys are strings, ints and booleans, which JavaScript's `Map` tells apart as CEL does. */
export type MapValue = ReadonlyMap<MapKey, Value>;
export type MapKey = string | number | bigint | boolean;
/** An object of the event's JSON: only its own properties exist. */
export type ObjectValue = { readonly [key: string]: Value };

export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly Value[]
  | ObjectValue
  | MapValue
  | Double
  | Timestamp
  | Duration;

export type Outcome = Value | Failure;

const MAX_EXACT = 2 ** 53;
const INT_MIN = -(2n ** 63n);
export const INT_MAX = 2n ** 63n - 1n;

export function isList(value: Outcome): value is readonly Value[] {
  return Array.isArray(value);
}

export function isMapValue(value: Outcome): value is MapValue {
  return value instanceof Map;
}

export function isObjectValue(value: Outcome): value is ObjectValue {
  return (
    typeof value === 'object' &&
    value !== null &&
    !(value instanceof Opaque) &&
    !Array.isArray(value) &&
    !(value instanceof Map)
  );
}

/** Whether a JavaScript number stands for an int. */
export function isIntNumber(value: number): boolean {
  return Number.isInteger(value) && value >= -MAX_EXACT && value <= MAX_EXACT;
}

export function isInt(value: Outcome): value is number | bigint {
  return typeof value === 'bigint' || (typeof value === 'number' && isIntNumber(value));
}

/** The number behind any numeric value. */
export function numeric(value: Outcome): number | bigint | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  return value instanceof Double ? value.value : undefined;
}

export function toDouble(value: number): number | Double {
  return isIntNumber(value) ? new Double(value) : value;
}

/** An int, or nothing beyond 64 bits (EX-45). */
export function toInt(value: bigint): number | bigint | undefined {
  if (value < INT_MIN || value > INT_MAX) return undefined;
  return exact(value);
}

/** The one form of a whole number: a JavaScript number as far as it is exact. */
export function exact(value: bigint): number | bigint {
  return value >= -BigInt(MAX_EXACT) && value <= BigInt(MAX_EXACT) ? Number(value) : value;
}

/** The key under which a map literal keeps a value; nothing for values that cannot be keys. */
export function mapKey(value: Value): MapKey | undefined {
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  const number = numeric(value);
  if (number === undefined) return undefined;
  // -0 and 0 are one key for `Map` as well.
  return typeof number === 'bigint' || isIntNumber(number) ? number : undefined;
}

/** For error messages: a type is no value. */
export function typeName(value: Value): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return 'a boolean';
  if (typeof value === 'string') return 'a string';
  if (numeric(value) !== undefined) return 'a number';
  if (value instanceof Timestamp) return 'a timestamp';
  if (value instanceof Duration) return 'a duration';
  return isList(value) ? 'a list' : 'a map';
}

/** Field or key of anything. What is not there, or cannot be there, is null (EX-47). */
export function select(object: Outcome, key: string): Outcome {
  if (typeof object !== 'object' || object === null) return null;
  if (object instanceof Opaque) return object instanceof Failure ? object : null;
  if (isList(object)) return null;
  if (isMapValue(object)) return object.get(key) ?? null;
  return Object.hasOwn(object, key) ? (object[key] ?? null) : null;
}

/** `object[key]` with any key. */
export function itemAt(object: Outcome, key: Outcome): Outcome {
  if (key instanceof Failure && !(object instanceof Failure)) return key;
  if (typeof key === 'string') return select(object, key);
  if (object instanceof Failure) return object;
  if (isList(object)) {
    const index = numeric(key);
    return typeof index === 'number' && Number.isInteger(index) ? (object[index] ?? null) : null;
  }
  if (!isMapValue(object)) return null;
  const own = mapKey(key as Value);
  return own === undefined ? null : (object.get(own) ?? null);
}

/** The keys of an object or map literal, in its order. */
export function keysOf(map: ObjectValue | MapValue): readonly MapKey[] {
  return isMapValue(map) ? [...map.keys()] : Object.keys(map);
}

/** Values as text: for `+` and `string()` (EX-44), and canonical JSON for keys (EX-67). */
import { charge, exhausted, MAX_DATA_DEPTH, type Frame } from './fuel.ts';
import { formatDuration, formatTimestamp } from './time.ts';
import {
  Double,
  Duration,
  Failure,
  isList,
  isMapValue,
  keysOf,
  numeric,
  Timestamp,
  type MapValue,
  type ObjectValue,
  type Value,
} from './values.ts';

/** Text of a value without parts; null is empty. Nothing for lists and maps. */
export function scalarText(value: Value): string | undefined {
  if (typeof value === 'string') return value;
  if (value === null) return '';
  if (typeof value === 'boolean') return String(value);
  const number = numeric(value);
  if (number !== undefined) return String(number);
  if (value instanceof Timestamp) return formatTimestamp(value);
  return value instanceof Duration ? formatDuration(value) : undefined;
}

/** For concatenation. Lists and maps look as they do in the hosted product: `[3 ok true]`, `map[name:x]`. */
export function textOf(value: Value, frame: Frame, at: number, depth = 0): string | Failure {
  const text = scalarText(value);
  if (text !== undefined) return depth > 0 && value === null ? '<nil>' : text;
  if (depth > MAX_DATA_DEPTH) return new Failure('the data nests too deeply to become text', at);
  const parts: string[] = [];
  for (const [key, item] of entriesOf(value)) {
    const part = textOf(item, frame, at, depth + 1);
    if (part instanceof Failure) return part;
    if (!charge(frame, 1 + part.length / 64)) return exhausted(at);
    parts.push(key === null ? part : `${key}:${part}`);
  }
  return isList(value) ? `[${parts.join(' ')}]` : `map[${parts.join(' ')}]`;
}

/** Items of a list, without keys; entries of a map by the order of their keys. */
function entriesOf(value: Value): (readonly [key: string | null, item: Value])[] {
  if (isList(value)) return value.map((item) => [null, item] as const);
  const map = value as ObjectValue | MapValue;
  return [...keysOf(map)]
    .map(
      (key) => [String(key), isMapValue(map) ? (map.get(key) ?? null) : (map[String(key)] ?? null)] as const,
    )
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** JSON with sorted keys and no white space; nothing for data that nests too deeply. Times are texts. */
export function canonicalJson(value: Value, depth = 0): string | undefined {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number' || value instanceof Double) return jsonNumber(numeric(value) as number);
  if (value instanceof Timestamp || value instanceof Duration) return JSON.stringify(scalarText(value));
  if (depth > MAX_DATA_DEPTH) return undefined;
  const parts: string[] = [];
  for (const [key, item] of entriesOf(value)) {
    const part = canonicalJson(item, depth + 1);
    if (part === undefined) return undefined;
    parts.push(key === null ? part : `${JSON.stringify(key)}:${part}`);
  }
  return isList(value) ? `[${parts.join(',')}]` : `{${parts.join(',')}}`;
}

function jsonNumber(value: number): string {
  return Number.isFinite(value) ? String(value) : JSON.stringify(String(value));
}

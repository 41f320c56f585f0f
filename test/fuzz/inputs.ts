/** Hostile inputs, made of good ones: their texts cut up and joined anew, and single members of them put in the place of others. */
import * as fc from 'fast-check';
import type { Json, JsonObject } from '../../src/lib/json.ts';

/** More runs of every property, e.g. `FUZZ=100 npm run test:core -- test/fuzz`. */
const TIMES = Number(process.env['FUZZ'] ?? 1);
export const runs = (count: number) => ({ numRuns: Math.ceil(count * TIMES) });
/** Of one test. */
export const TIMEOUT = 20_000 * Math.max(TIMES, 1);

/** Stands in the places of users' data and keys. */
export const PLANTED = 'planted-7c1f';

const NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'then',
  'toJSON',
  '',
  '0',
  'length',
];
const TEXTS = [
  ...NAMES,
  ' ',
  '\0',
  '\r\nx: y',
  '\ud800',
  '\udfff\ud800',
  '\u2028',
  '😀',
  '\ufeff',
  '9'.repeat(400),
  '-1',
  '1e999',
];
const LONG = 'x'.repeat(5_000);

const name = fc.oneof(fc.constantFrom(...NAMES), fc.string({ maxLength: 5 }));

/** Any JSON, with what is seldom thought of. Keys such as `__proto__` are own ones, as a parser makes them. */
export const anyJson: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom<Json>(null, true, false, 0, -0, -1, 1.5, 1e308, 2 ** 53, -(2 ** 63), LONG, [], {}),
    fc.oneof(fc.constantFrom(...TEXTS), fc.string({ maxLength: 12, unit: 'binary' })),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(name, tie('value')), { maxLength: 3 }).map((entries) => Object.fromEntries(entries)),
  ),
})).value;

/** Every place in it, itself included. */
function places(value: Json): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [[]];
  const members = Object.entries<Json>(value);
  return [[], ...members.flatMap(([key, inner]) => places(inner).map((path) => [key, ...path]))];
}

function put(value: Json, [key, ...rest]: (string | number)[], member: Json): Json {
  if (key === undefined) return member;
  if (Array.isArray(value))
    return value.map((item, at) => (at === Number(key) ? put(item, rest, member) : item));
  const entries = Object.entries(value as JsonObject);
  return Object.fromEntries(
    entries.map(([at, inner]) => [at, at === key ? put(inner, rest, member) : inner]),
  );
}

/** One of these with up to three of its members replaced, or with one more. */
export function reshaped(...seeds: Json[]): fc.Arbitrary<Json> {
  const change = fc.record({
    at: fc.nat(10_000),
    value: anyJson,
    more: fc.option(name, { nil: null, freq: 3 }),
  });
  return fc
    .tuple(fc.constantFrom(...seeds), fc.array(change, { minLength: 0, maxLength: 3 }))
    .map(([seed, changes]) =>
      changes.reduce((value, { at, value: member, more }) => {
        const all = places(value);
        const path = all[at % all.length] ?? [];
        const old = path.reduce<Json>((inner, key) => (inner as JsonObject)[key] ?? null, value);
        const isWhole = path.length === 0;
        if (more !== null && typeof old === 'object' && old !== null && !Array.isArray(old))
          return put(value, path, Object.fromEntries([...Object.entries(old), [more, member]]));
        return isWhole ? value : put(value, path, member);
      }, seed),
    );
}

/** One of these texts after up to six cuts, repetitions and insertions. */
export function mutated(seeds: readonly string[], tokens: readonly string[] = []): fc.Arbitrary<string> {
  const change = fc.record({
    how: fc.constantFrom('cut', 'repeat', 'insert', 'splice', 'many'),
    at: fc.nat(10_000),
    length: fc.nat(20),
    token: fc.constantFrom(...tokens, ...TEXTS),
    seed: fc.constantFrom(...seeds),
  });
  return fc.tuple(fc.constantFrom(...seeds), fc.array(change, { maxLength: 6 })).map(([text, changes]) =>
    changes.reduce((before, { how, at, length, token, seed }) => {
      const from = at % (before.length + 1);
      const [head, piece, tail] = [
        before.slice(0, from),
        before.slice(from, from + length),
        before.slice(from + length),
      ];
      if (how === 'cut') return head + tail;
      if (how === 'repeat') return head + piece + piece + tail;
      if (how === 'insert') return head + token + piece + tail;
      if (how === 'many') return head + piece.repeat(Math.min(200, 4_000 / (piece.length + 1))) + tail;
      return head + seed.slice(from % (seed.length + 1));
    }, text),
  );
}

/** Whether the objects of everybody are as they were. */
export function isUnpolluted(): boolean {
  return [Object.prototype, Array.prototype, Function.prototype].every(
    (shared) => Object.keys(shared).length === 0,
  );
}

/** Runs it, and complains of what takes long: processor time, so that a busy machine changes nothing. */
export async function inTime<Result>(work: () => Result | Promise<Result>): Promise<Result> {
  const before = process.cpuUsage();
  const result = await work();
  const { user } = process.cpuUsage(before);
  if (user > 2_000_000) throw new Error(`took ${user / 1_000} ms of the processor`);
  return result;
}

/**
 * The same expressions, in a second implementation of CEL. Where both are defined they must agree: on the value, or on that there is
 * none. What differs on purpose is listed at the end, each with its reason.
 */
import { celEnv, isCelError, isCelList, isCelMap, isCelUint, parse, plan } from '@bufbuild/cel';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { evaluate, plain } from './words.ts';

interface Data {
  i: number;
  j: number;
  d: number;
  s: string;
  t: string;
  b: boolean;
  l: number[];
  m: { [key: string]: number };
}

/** JSON as the other library wants it: ints are bigints there. */
function theirInput(value: unknown): unknown {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(theirInput);
  if (typeof value !== 'object' || value === null) return value;
  return new Map(Object.entries(value).map(([key, item]) => [key, theirInput(item)]));
}

function theirPlain(value: unknown): unknown {
  if (typeof value === 'bigint')
    return value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : `${value}n`;
  if (isCelUint(value)) return Number(value.value);
  if (isCelList(value)) return [...value].map(theirPlain);
  if (isCelMap(value))
    return Object.fromEntries([...value].map(([key, item]) => [String(theirPlain(key)), theirPlain(item)]));
  return value;
}

const env = celEnv();

function theirs(source: string, data: object): unknown {
  const run = plan(env, parse(source)) as (context: object) => unknown;
  const result = run({ event: new Map<string, unknown>([['data', theirInput(data)]]) });
  return isCelError(result) ? 'no value' : theirPlain(result);
}

function ours(source: string, data: object): unknown {
  const result = evaluate(source, { event: { data }, place: 'event', fuel: 1e9 });
  return result.ok ? plain(result.value) : 'no value';
}

const data: fc.Arbitrary<Data> = fc.record({
  i: fc.integer({ min: -9, max: 9 }),
  j: fc.constantFrom(0, 1, 7, -3, 2 ** 31, -(2 ** 52)),
  d: fc.constantFrom(0.5, -2.25, 1e-3, 3.75),
  s: fc.string({ unit: 'binary', maxLength: 4 }),
  t: fc.constantFrom('', 'a', 'ab', '5', 'true', '😀'),
  b: fc.boolean(),
  l: fc.array(fc.integer({ min: -2, max: 2 }), { maxLength: 4 }),
  m: fc.dictionary(fc.constantFrom('a', 'b', 'k'), fc.integer({ min: 0, max: 3 })),
});

type Kind = 'int' | 'double' | 'string' | 'bool' | 'list' | 'map';

/** Well-typed expressions: types that do not fit are where the dialect differs. */
const typed = fc.letrec<Record<Kind, string>>((tie) => {
  const [int, double, string, bool, list, map] = (
    ['int', 'double', 'string', 'bool', 'list', 'map'] as const
  ).map((kind) => tie(kind)) as [
    fc.Arbitrary<string>,
    fc.Arbitrary<string>,
    fc.Arbitrary<string>,
    fc.Arbitrary<string>,
    fc.Arbitrary<string>,
    fc.Arbitrary<string>,
  ];
  const text = (template: string, ...parts: fc.Arbitrary<string>[]) =>
    fc
      .tuple(...parts)
      .map((values) => values.reduce((done, part, i) => done.replaceAll(`$${i}`, () => part), template));
  const of = (leaves: string[], ...made: fc.Arbitrary<string>[]) =>
    fc.oneof(
      { depthIdentifier: 'expression', maxDepth: 4, withCrossShrink: true },
      fc.constantFrom(...leaves),
      ...made,
    );
  const choice = (kind: fc.Arbitrary<string>) => text('($0 ? $1 : $2)', bool, kind, kind);
  const order = fc.constantFrom('<', '<=', '>', '>=');
  const equality = fc.constantFrom('==', '!=');
  return {
    int: of(
      ['0', '1', '-2', '0x10', '4611686018427387904', 'event.data.i', 'event.data.j', 'event.data.l.size()'],
      text('($0 $1 $2)', int, fc.constantFrom('+', '-', '*', '/', '%'), int),
      text('-($0)', int),
      text('size($0)', fc.oneof(string, list, map)),
      text('int($0)', double),
      text('int(string($0))', int),
      text('$0[$1]', list, fc.constantFrom('0')).map(
        (source) => `(size(${source.slice(0, -3)}) > 0 ? ${source} : 0)`,
      ),
      choice(int),
    ),
    double: of(
      ['0.25', '-1.5', '2.0', '1e3', 'event.data.d'],
      text('($0 $1 $2)', double, fc.constantFrom('+', '-', '*'), double),
      text('($0 / $1)', double, fc.constantFrom('2.0', '-0.5')),
      text('-($0)', double),
      text('double($0)', int),
      choice(double),
    ),
    string: of(
      [`''`, `'a'`, `"b\\n\\u00e9"`, `r'\\d'`, `'''x'''`, `'5'`, 'event.data.s', 'event.data.t'],
      text('($0 + $1)', string, string),
      text('string($0)', fc.oneof(int, bool, string)),
      choice(string),
    ),
    bool: of(
      ['true', 'false', 'event.data.b', `has(event.data.m.k)`, `event.data.t.matches('^a?b*$')`],
      text('($0 && $1)', bool, bool),
      text('($0 || $1)', bool, bool),
      text('!($0)', bool),
      text('($0 $1 $2)', int, fc.oneof(order, equality), int),
      text('($0 $1 $2)', double, fc.oneof(order, equality), double),
      text('($0 $1 $2)', int, order, double),
      text('($0 $1 $2)', string, fc.oneof(order, equality), string),
      text('($0 $1 $2)', list, equality, list),
      text('($0 $1 $2)', map, equality, map),
      text('($0 in $1)', int, list),
      text('($0 in $1)', string, map),
      text('$0.$1($2)', string, fc.constantFrom('contains', 'startsWith', 'endsWith'), string),
      text('$0.$1(x, x $2 $3)', list, fc.constantFrom('all', 'exists', 'exists_one'), order, int),
      text('$0.exists(k, k == $1)', map, string),
      choice(bool),
    ),
    list: of(
      ['[]', '[1, 2]', '[0]', 'event.data.l'],
      text('[$0, $1]', int, int),
      text('($0 + $1)', list, list),
      text('$0.map(x, x + $1)', list, int),
      text('$0.map(x, x > $1, x * 2)', list, int),
      text('$0.filter(x, x != $1)', list, int),
      choice(list),
    ),
    map: of([`{}`, `{'a': 1}`, 'event.data.m'], text(`{'k': $0, 'a': $1}`, int, int), choice(map)),
  };
});

const source = fc.oneof(typed.int, typed.double, typed.string, typed.bool, typed.list, typed.map);

test('well-typed expressions have the same value, or none, in both (EX-1)', () => {
  let values = 0;
  fc.assert(
    fc.property(source, data, (text, given) => {
      const expected = theirs(text, given);
      if (expected !== 'no value') values++;
      expect(ours(text, given)).toEqual(expected);
    }),
    { numRuns: 6_000 },
  );
  expect(values).toBeGreaterThan(2_000);
});

/** The other library writes fractions of a second in groups of three digits. */
function padded(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  return value.replace(/\.(\d+)/, (_, digits: string) => `.${digits.padEnd(9, '0')}`);
}

// It also takes the years 1 to 99 for those of the last century.
test('times agree', () => {
  const instant = fc.date({
    min: new Date('0200-01-01T00:00:00Z'),
    max: new Date('9998-01-01T00:00:00Z'),
    noInvalidDate: true,
  });
  const getter = fc.constantFrom(
    'FullYear',
    'Month',
    'Date',
    'DayOfMonth',
    'DayOfWeek',
    'DayOfYear',
    'Hours',
    'Minutes',
    'Seconds',
    'Milliseconds',
  );
  const zone = fc.constantFrom('', `'UTC'`, `'+05:30'`, `'-08:00'`);
  const span = fc
    .tuple(fc.integer({ min: -100_000, max: 100_000 }), fc.constantFrom('s', 'm', 'h', 'ms'))
    .map(([n, unit]) => `${n}${unit}`);
  fc.assert(
    fc.property(instant, getter, zone, span, (at, get, where, by) => {
      const moment = `timestamp('${at.toISOString()}')`;
      for (const text of [
        `(${moment} + duration('${by}')).get${get}(${where})`,
        `int(${moment} - duration('${by}'))`,
        `string(${moment} + duration('${by}'))`,
        `string(duration('${by}'))`,
        `${moment} + duration('${by}') < ${moment}`,
        `${moment} - ${moment} == duration('0s')`,
        `duration('${by}').getMinutes()`,
      ]) {
        expect([text, padded(ours(text, {}))]).toEqual([text, padded(theirs(text, {}))]);
      }
    }),
    { numRuns: 500 },
  );
});

describe('what differs on purpose', () => {
  test.each([
    ['missing fields read as null (EX-47)', `event.data.x == 'a'`, 'no value', false],
    ['so do items beyond the end of a list (EX-47)', `[1][5] == 1`, 'no value', false],
    ['null counts as false (EX-13)', `null || true ? 1 : 2`, 1, 1],
    ['null counts as false (EX-13)', `!event.data.x`, 'no value', true],
    ['+ makes text (EX-44)', `'u-' + 1`, 'no value', 'u-1'],
    ['ints and doubles mix (EX-40)', `1 + 0.5`, 'no value', 1.5],
    ['unlike types are not ordered, without an error (EX-42)', `'5' > 3`, 'no value', false],
    [
      'division of doubles by zero is an error too (EX-45)',
      `1.0 / 0.0`,
      Number.POSITIVE_INFINITY,
      'no value',
    ],
    ['size of nothing is 0 (EX-52)', `size(null)`, 'no value', 0],
    ['methods of nothing are false (EX-54)', `null.startsWith('a')`, 'no value', false],
    ['macros over nothing (EX-55)', `null.all(x, false)`, 'no value', true],
    ['an unsigned number is an int', `1u - 2u`, 'no value', -1],
    ['and mixes with ints', `1u + 1`, 'no value', 2],
    ['an empty text is no number', `int('')`, 0, 'no value'],
    ['fractions of a second have no trailing zeros', `string(duration('1500ms'))`, '1.500s', '1.5s'],
    ['durations may have days', `duration('1d') == duration('24h')`, 'no value', true],
    ['a text literal as a condition is refused while compiling (EX-29)', `true || event.data.s`, true, true],
  ])('%s: %s', (_, text, their, our) => {
    expect([theirs(text, { s: 'text' }), ours(text, { s: 'text' })]).toEqual([their, our]);
  });
});

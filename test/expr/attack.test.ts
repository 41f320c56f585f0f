/** Hostile expressions and data. Bounds are counted in units of fuel, not in time. */
import { describe, expect, test } from 'vitest';
import { DEFAULT_FUEL } from '../../src/expr/fuel.ts';
import { patternSize } from '../../src/expr/pattern.ts';
import { evaluate, expression, problem, value } from './words.ts';

/** Units that an evaluation takes: the least fuel with which it ends by itself. */
function costOf(source: string, data: object): number {
  let [low, high] = [0, 1];
  const enough = (fuel: number) => {
    const result = evaluate(source, { data, fuel });
    return result.ok || result.error.kind !== 'cost';
  };
  while (!enough(high)) [low, high] = [high, high * 2];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (enough(middle)) high = middle;
    else low = middle;
  }
  return high;
}

const tooCostly = 'error: the evaluation costs too much';
const list300 = Array.from({ length: 300 }, (_, i) => i);

describe('cost (EX-3, EX-4)', () => {
  test.each([
    ['a condition costs its nodes', `event.data.a == 'x' && event.data.b > 1`, {}, 11],
    ['a turn of a macro costs its body', `event.data.l.all(x, x >= 0)`, { l: list300 }, 1_504],
    [
      'two nested macros multiply',
      `event.data.l.all(x, event.data.m.all(y, x + y >= 0))`,
      { l: [1, 2], m: [1, 2, 3] },
      50,
    ],
    ['equality costs the items it compares', `event.data.l == event.data.m`, { l: list300, m: list300 }, 307],
    ['membership costs the items before the one', `299 in event.data.l`, { l: list300 }, 305],
    ['short texts are free', `event.data.s + event.data.s`, { s: 'x'.repeat(256) }, 7],
    ['long ones cost by their length', `event.data.s + event.data.s`, { s: 'x'.repeat(51_200) }, 207],
  ])('%s', (_, source, data, most) => {
    const cost = costOf(source, data);
    expect(cost).toBeLessThanOrEqual(most);
    expect(cost).toBeGreaterThan(most / 2);
  });

  test('at most 10,000 units are spent', () => {
    const l = Array.from({ length: 4_000 }, (_, i) => i);
    expect(costOf(`event.data.l.all(x, x >= 0)`, { l })).toBeGreaterThan(DEFAULT_FUEL);
    expect(value(`event.data.l.all(x, x >= 0)`, { data: { l } })).toBe(tooCostly);
  });

  test('an empty tank is the last word: no other clause decides', () => {
    const data = { l: list300 };
    const bomb = `event.data.l.all(x, event.data.l.all(y, x + y >= 0))`;
    for (const source of [
      `${bomb} || true`,
      `true && ${bomb}`,
      `!(${bomb})`,
      `${bomb} ? 1 : 2`,
      `[${bomb}]`,
    ]) {
      expect(value(source, { data })).toBe(tooCostly);
    }
    expect(value(`true || ${bomb}`, { data })).toBe(true);
  });
});

describe('bombs end by their cost', () => {
  const long = 'x'.repeat(1_000_000);
  const nested = { l: list300 };
  const wide = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, i]));
  test.each([
    [
      'three nested macros over 300 items',
      `event.data.l.all(a, event.data.l.all(b, event.data.l.all(c, a + b + c >= 0)))`,
      nested,
    ],
    ['lists that multiply', `event.data.l.map(a, event.data.l.map(b, event.data.l))`, nested],
    ['lists that double', `event.data.l.map(a, event.data.l + event.data.l + event.data.l)`, nested],
    [
      'a text that doubles',
      `((event.data.s + event.data.s) + (event.data.s + event.data.s)) + ((event.data.s + event.data.s) + (event.data.s + event.data.s))`,
      { s: long },
    ],
    [
      'a long text in a loop',
      `event.data.l.exists(x, event.data.s == event.data.t)`,
      { ...nested, s: `${long}a`, t: `${long}b` },
    ],
    [
      'searches for a long text',
      `event.data.s.contains(event.data.t)`,
      { s: long, t: `b${'x'.repeat(10_000)}` },
    ],
    ['searches in a loop', `event.data.l.exists(x, event.data.s.contains('xxxy'))`, { ...nested, s: long }],
    [
      'a large text to lower case in a loop',
      `event.data.l.exists(x, lowercase(event.data.s) == 'a')`,
      { ...nested, s: long },
    ],
    [
      'JSON in a loop',
      `event.data.l.exists(x, json_parse(event.data.s) == 1)`,
      { ...nested, s: `[${'1,'.repeat(5_000)}1]` },
    ],
    ['a text made of a large list', `'' + event.data.m`, { m: Array.from({ length: 20_000 }, () => 1) }],
    [
      'a large comparison',
      `event.data.m == event.data.n`,
      { m: Array.from({ length: 20_000 }, () => 1), n: Array.from({ length: 20_000 }, () => 1) },
    ],
    [
      'keys of a large map in a loop',
      `event.data.l.exists(x, size(event.data.o) == 1)`,
      { ...nested, o: wide },
    ],
    [
      'macros over a large map in a loop',
      `event.data.l.all(x, event.data.o.exists(k, k == 'k0'))`,
      { ...nested, o: wide },
    ],
    [
      'comparisons of large maps in a loop',
      `event.data.l.exists(x, event.data.o == {})`,
      { ...nested, o: wide },
    ],
    [
      'base64 in a loop',
      `event.data.l.exists(x, b64decode(event.data.s) == 'a')`,
      { ...nested, s: 'QUJD'.repeat(10_000) },
    ],
    [
      'sizes of a long text in a loop',
      `event.data.l.exists(x, size(event.data.s) == 1)`,
      { ...nested, s: long },
    ],
    ['a regular expression over a long text', `event.data.s.matches('(x|y)*x(x|y){20}$')`, { s: long }],
    [
      'patterns from the data in a loop',
      `event.data.l.exists(x, 'a'.matches(event.data.p + x))`,
      { ...nested, p: '[a-z]{20}' },
    ],
    ['time zones in a loop', `event.data.l.exists(x, now().getHours('Europe/Berlin') == 99)`, nested],
  ])('%s', (_, source, data) => {
    expect(value(source, { data })).toBe(tooCostly);
  });

  test('(a+)+$ is linear', () => {
    expect(costOf(`event.data.s.matches('(a+)+$')`, { s: `${'a'.repeat(29)}!` })).toBeLessThan(20);
  });

  test.each([
    ['counted repetitions', '[a-z]{0,1000}[a-z]{0,1000}[a-z]{0,1000}'],
    ['nested repetitions', '((a{30}){30}){30}'],
    ['many of them', 'a{200}'.repeat(20)],
  ])('a pattern of %s is refused before it is built', (_, pattern) => {
    expect(problem(`event.data.s.matches('${pattern}')`).message).toBe('matches: the pattern is too large');
    expect(value(`'a'.matches(event.data.p)`, { data: { p: pattern } })).toBe(
      'error: matches: the pattern is too large',
    );
  });

  test.each([
    ['a', 2],
    ['ab*', 5],
    ['a{10}', 20],
    ['(ab){3}', 18],
    ['[a-z{5}]{4}', 8],
    ['\\{3}', 6],
    ['(((', 6],
    ['a{2,}', 6],
  ])('the size of %s is about %i', (pattern, size) => {
    expect(patternSize(pattern)).toBe(size);
  });

  test('a pattern from the data cannot ask for Unicode tables, one in the expression can', () => {
    expect(value(`'a'.matches(event.data.p)`, { data: { p: '\\p{L}' } })).toMatch(/^error: matches/);
    expect(value(String.raw`'é'.matches(r'^\p{L}$')`)).toBe(true);
  });

  test('one compiled pattern stays right over many texts', () => {
    const compiled = expression(`event.data.s.matches('^(a|b)*a(a|b){3}$')`);
    const of = (s: string) => compiled.evaluate({ event: { data: { s } } }, { now: 0 });
    for (let i = 0; i < 2_000; i++) {
      const s = (i + 16).toString(2).replaceAll('0', 'b').replaceAll('1', 'a');
      expect(of(s)).toEqual({ ok: true, value: s.at(-4) === 'a' });
    }
  });

  test.each([
    ['5,000 signs', `${'!'.repeat(4_090)}true`],
    ['20,000 terms', `1${'+1'.repeat(20_000)}`],
    ['2,000 braces', `${'('.repeat(2_000)}1${')'.repeat(2_000)}`],
    ['2,000 brackets', `${'['.repeat(2_000)}1${']'.repeat(2_000)}`],
    ['a text of 1 MB', `'${'x'.repeat(1_000_000)}'`],
    ['1,000 conditional branches', `${'true?1:'.repeat(580)}2`],
  ])('%s are an error, not a crash', (_, source) => {
    expect(problem(source).message).toMatch(/nests more than 64 levels|longer than 4096 bytes/);
  });

  test('data may nest as deep as events may, and deeper data is an error', () => {
    const nest = (depth: number) => JSON.parse('['.repeat(depth) + ']'.repeat(depth)) as unknown;
    expect(value(`event.data.a == event.data.b`, { data: { a: nest(900), b: nest(900) } })).toBe(true);
    expect(value(`event.data.a == event.data.b`, { data: { a: nest(5_000), b: nest(5_000) } })).toBe(
      'error: the compared data nests too deeply',
    );
    expect(value(`'' + event.data.a`, { data: { a: nest(5_000) } })).toBe(
      'error: the data nests too deeply to become text',
    );
  });
});

describe('own properties only', () => {
  const data = JSON.parse('{"list":[1],"text":"abc","o":{}}') as object;
  test.each([
    `event.data.constructor`,
    `event.data["constructor"]`,
    `event.constructor`,
    `event.__proto__`,
    `event.data["__proto__"]`,
    `event.data["__proto__"]["polluted"]`,
    `event.data.toString`,
    `event.data.hasOwnProperty`,
    `event.data.list.push`,
    `event.data.list["length"]`,
    `event.data.list.constructor`,
    `event.data.text.length`,
    `event.data.text["constructor"]`,
    `event.data.text[0]`,
    `event.data[event.data.text + "x"]["constructor"]`,
    `event.data.o["__defineGetter__"]`,
    `{"a": 1}["constructor"]`,
    `{"a": 1}.size`,
    `[1]["at"]`,
    `now().ns`,
    `json_parse("{}").constructor`,
    `2.0.value`,
  ])('%s is null', (source) => {
    const place = source.startsWith('2.0') ? `(2.0).value` : source;
    expect(value(place, { data })).toBe(null);
    expect(value(`(${place}) == null`, { data })).toBe(true);
  });

  test.each([
    `has(event.data.constructor)`,
    `"constructor" in event.data`,
    `"__proto__" in event.data`,
    `"length" in {"a": 1}`,
  ])('%s is false', (source) => {
    expect(value(source, { data })).toBe(false);
  });

  test('what the data itself has under such names is data', () => {
    const own = JSON.parse('{"__proto__":{"a":1},"constructor":"c","hasOwnProperty":1}') as object;
    expect(value(`event.data["__proto__"].a`, { data: own })).toBe(1);
    expect(value(`event.data.constructor + event.data.hasOwnProperty`, { data: own })).toBe('c1');
    expect(value(`event.data == event.data`, { data: own })).toBe(true);
  });

  test('what is inherited is not there, even from a polluted prototype', () => {
    const polluted = Object.create({ admin: true }) as object;
    expect(value(`event.data.admin`, { data: polluted })).toBe(null);
  });

  test.each([`constructor`, `__proto__`, `toString`, `globalThis`, `this`, `process`])(
    'the name %s is unknown',
    (source) => {
      expect(problem(source).message).toMatch(/undeclared reference|reserved word/);
    },
  );
});

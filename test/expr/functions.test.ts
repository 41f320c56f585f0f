/** Functions and macros (EX-58 to EX-66). */
import { describe, expect, test } from 'vitest';
import { NOW, compiles, problem, value } from './words.ts';

const data = {
  list: [1, 2, 3],
  words: ['a', 'b'],
  o: { k: 1, l: 2 },
  s: 'Text',
  code: '404',
  at: '2024-03-01T10:00:00',
};

describe('functions', () => {
  test.each([
    ['EX-59', `string(1) + string(1.5) + string(2.0) + string(true)`, '11.52true'],
    ['EX-59', `string(timestamp('2024-02-29T23:59:59.120Z'))`, '2024-02-29T23:59:59.12Z'],
    ['EX-59', `string(duration('1h30m'))`, '5400s'],
    ['EX-59', `string(event.data.list)`, 'error: string: cannot convert a list (event.data.list)'],
    ['EX-59', `int('42') + int(3.9) + int(-3.9) + int(7)`, 49],
    ['EX-59', `int('4x')`, 'error: int: cannot convert a string (a constant)'],
    ['EX-59', `int(1e30)`, 'error: int: cannot convert a number (a constant)'],
    ['EX-59', `double('2.5') + double(1)`, 3.5],
    ['EX-59', `double('1e3') == 1000.0 && double('-inf') < 0.0`, true],
    ['EX-59', `double('NaN') == double('NaN')`, false],
    ['EX-59', `uint('7') + uint(3)`, 10],
    ['EX-59', `uint(-1)`, 'error: uint: cannot convert a number (a part of the expression)'],
    ['EX-59', `uint('18446744073709551615')`, '18446744073709551615n'],
    ['EX-59', `bool('true') && bool('1') && !bool('f') && bool(true)`, true],
    ['EX-59', `bool('yes')`, 'error: bool: cannot convert a string (a constant)'],
    ['EX-59', `dyn(1) == 1`, true],
    ['EX-60', `'abc'.contains('b') && 'abc'.startsWith('a') && 'abc'.endsWith('c')`, true],
    ['EX-60', `'abc'.contains('B')`, false],
    ['EX-60', `size('abc') + 'abc'.size() + size([1]) + size({'a': 1}) + event.data.o.size()`, 10],
    ['EX-60', `size('😀é')`, 2],
    ['EX-60', `size(5)`, 'error: size does not take a number (a constant)'],
    ['EX-60', `event.data.list.contains(1)`, 'error: contains does not take a list (event.data.list)'],
    ['EX-60', `'abc'.matches('^a.c$') && matches('xaby', 'ab')`, true],
    ['EX-60', `'abc'.matches('b$')`, false],
    ['EX-61', `event.data.list.all(i, i > 0)`, true],
    ['EX-61', `event.data.list.exists(i, i == 3)`, true],
    ['EX-61', `event.data.list.exists_one(i, i > 2)`, true],
    ['EX-61', `event.data.list.exists_one(i, i > 1)`, false],
    ['EX-61', `event.data.list.map(i, i * 2)`, [2, 4, 6]],
    ['EX-61', `event.data.list.map(i, i > 1, i * 2)`, [4, 6]],
    ['EX-61', `event.data.list.filter(i, i != 2)`, [1, 3]],
    ['EX-61', `event.data.o.map(k, k)`, ['k', 'l']],
    [
      'EX-61',
      `event.data.list.map(a, event.data.words.map(b, b + a))`,
      [
        ['a1', 'b1'],
        ['a2', 'b2'],
        ['a3', 'b3'],
      ],
    ],
    [
      'EX-61',
      `event.data.list.map(a, event.data.words.map(a, a))`,
      [
        ['a', 'b'],
        ['a', 'b'],
        ['a', 'b'],
      ],
    ],
    ['EX-61', `event.data.list.exists(event, event == 2)`, true],
    ['EX-61', `event.data.s.all(i, true)`, 'error: all needs a list or a map, not a string (event.data.s)'],
    ['EX-33', `[0, 1].exists(i, 1 / i == 1)`, true],
    ['EX-33', `[0, 1].all(i, 1 / i == 2)`, false],
    ['EX-33', `[0, 1].all(i, 1 / i == 1)`, 'error: division by zero: i'],
    ['EX-33', `[0, 1].exists_one(i, 1 / i == 1)`, 'error: division by zero: i'],
    [
      'EX-62',
      `timestamp('2024-03-01T10:00:00Z') + duration('90m') == timestamp('2024-03-01T12:30:00+01:00')`,
      true,
    ],
    [
      'EX-62',
      `timestamp('2024-03-01T00:00:00Z') - timestamp('2024-02-29T00:00:00Z') == duration('24h')`,
      true,
    ],
    ['EX-62', `timestamp('2024-03-01T00:00:00Z') - duration('1s') < timestamp('2024-03-01T00:00:00Z')`, true],
    ['EX-62', `duration('1h') + duration('-30m') == duration('1800s')`, true],
    ['EX-62', `int(timestamp('1970-01-02T00:00:00Z'))`, 86_400],
    ['EX-62', `timestamp(86400) == timestamp('1970-01-02T00:00:00Z')`, true],
    ['EX-62', `duration('1.5s') == duration('1500ms')`, true],
    [
      'EX-62',
      `timestamp('9999-12-31T23:59:59Z') + duration('1s')`,
      'error: the time lies outside the years 1 to 9999',
    ],
    ['EX-62', `timestamp(event.data.s)`, 'error: timestamp: cannot convert a string (event.data.s)'],
    [
      'EX-62',
      `timestamp('2024-03-01T10:00:00Z') + 5`,
      'error: "+" does not take a timestamp (a constant) and a number (a constant)',
    ],
    ['EX-63', `lowercase('ÀB') + uppercase('àb')`, 'àbÀB'],
    ['EX-63', `b64decode('aMOp')`, 'hé'],
    ['EX-63', `b64decode('?')`, 'error: b64decode: a constant is not base64'],
    ['EX-63', `json_parse('{"a":[1,{"b":2}]}').a[1].b`, 2],
    ['EX-63', `json_parse(event.data.s)`, 'error: json_parse: event.data.s is not JSON'],
    ['EX-63', `date('2024-03-01') == timestamp('2024-03-01T00:00:00Z')`, true],
    ['EX-63', `date(1700000000) == date(1700000000000)`, true],
    ['EX-63', `date(event.ts) == now()`, true],
    ['EX-63', `now_plus('1h') - now() == duration('1h') && now_minus(duration('1d')) < now()`, true],
    ['EX-63', `string(now())`, new Date(NOW).toISOString().replace('.000', '')],
  ])('%s: %s is %j', (_, source, result) => {
    expect(value(source, { data })).toEqual(result);
  });

  test.each([
    ['getFullYear()', 2024],
    ['getMonth()', 1],
    ['getDate()', 29],
    ['getDayOfMonth()', 28],
    ['getDayOfWeek()', 4],
    ['getDayOfYear()', 59],
    ['getHours()', 23],
    ['getMinutes()', 30],
    ['getSeconds()', 15],
    ['getMilliseconds()', 250],
    [`getHours('+02:00')`, 1],
    [`getDate('Europe/Berlin')`, 1],
    [`getHours('America/New_York')`, 18],
    [`getHours('Nowhere')`, 'error: getHours does not know the time zone (a constant)'],
  ])('parts of 2024-02-29T23:30:15.250Z: %s is %j', (getter, result) => {
    expect(value(`timestamp('2024-02-29T23:30:15.250Z').${getter}`)).toBe(result);
  });

  test.each([
    ['0001-01-01T00:00:00Z'],
    ['1969-12-31T23:59:59.999999999Z'],
    ['2000-02-29T12:00:00Z'],
    ['1900-03-01T00:00:00Z'],
    ['9999-12-31T23:59:59.5Z'],
  ])('a timestamp is written as it was read: %s', (text) => {
    expect(value(`string(timestamp('${text}'))`)).toBe(text);
  });

  test.each([
    [`timestamp('2023-02-29T00:00:00Z')`],
    [`timestamp('2024-01-01T24:00:00Z')`],
    [`timestamp('2024-01-01')`],
    [`timestamp('2024-01-01T00:00:00')`],
    [`date('tomorrow')`],
    [`duration('90')`],
    [`duration('')`],
    [`duration('1x')`],
  ])('%s cannot be read, which is known at once', (source) => {
    expect(problem(source).message).toMatch(/cannot convert a string/);
  });
});

describe('what is found while compiling', () => {
  test.each([
    ['EX-66', `foo(1)`, 'unknown function foo', 1],
    ['EX-66', `1 + event.data.foo(1)`, 'unknown method foo', 16],
    ['EX-66', `constructor(1)`, 'unknown function constructor', 1],
    ['EX-66', `event.data.toString()`, 'unknown method toString', 12],
    ['EX-66', `contains('a', 'b')`, 'unknown function contains', 1],
    ['EX-66', `'a'.lowercase()`, 'unknown method lowercase', 5],
    ['EX-58', `size()`, 'wrong number of arguments for size', 1],
    ['EX-58', `'a'.contains()`, 'wrong number of arguments for contains', 5],
    ['EX-61', `has(event)`, 'has needs one field, such as has(event.data.x)', 1],
    [
      'EX-61',
      `event.data.all(1, true)`,
      'a macro needs a name as its first argument, such as list.all(x, …)',
      16,
    ],
    ['EX-61', `event.data.all(x)`, 'all needs a name and an expression, such as list.all(x, …)', 12],
    ['EX-61', `event.data.all(x, 'a')`, '"all" needs a boolean', 19],
    ['EX-65', `event.data.s.matches('(a')`, 'matches: the pattern is not a valid RE2 expression', 22],
    ['EX-65', `event.data.s.matches('(a)\\\\1')`, 'matches: the pattern is not a valid RE2 expression', 22],
    ['EX-65', `event.data.s.matches('a(?=b)')`, 'matches: the pattern is not a valid RE2 expression', 22],
    ['EX-38', `b'abc'`, 'bytes are not supported', 1],
    ['EX-38', `9223372036854775808`, 'the number is beyond 64 bits', 1],
    ['EX-29', `event.data.name || 'fallback'`, '"||" needs a boolean', 20],
    ['EX-30', `'a' ? 1 : 2`, '"?" needs a boolean', 1],
  ])('%s: %s: %s', (_, source, message, column) => {
    const error = problem(source);
    expect([error.message, error.position.column]).toEqual([message, column]);
  });

  test('EX-65: a pattern from the data that is not valid is a run-time error', () => {
    expect(value(`'a'.matches(event.data.p)`, { data: { p: '(' } })).toBe(
      'error: matches: the pattern is not a valid RE2 expression',
    );
    expect(value(`'aab'.matches(event.data.p)`, { data: { p: '^a+b$' } })).toBe(true);
  });

  test.each([
    'now() > timestamp("2024-01-01T00:00:00Z")',
    `string(now_plus('1h'))`,
    `string(now_minus('1h'))`,
  ])('EX-64: %s is refused in keys and allowed elsewhere', (source) => {
    expect(compiles(source, 'key')).toBe(false);
    expect(compiles(source, 'event')).toBe(true);
    expect(compiles(source, 'pair')).toBe(true);
    expect(problem(source, 'key').message).toMatch(/^now\w* is not allowed in a key/);
  });
});

/** Operators, literals and types (EX-1 to EX-7, EX-26 to EX-46). */
import { describe, expect, test } from 'vitest';
import { compile } from '../../src/expr/expression.ts';
import { evaluate, problem, value } from './words.ts';

describe('operators', () => {
  test.each([
    ['EX-26', `1 == 1`, true],
    ['EX-26', `1 != 1`, false],
    ['EX-27', `1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3`, true],
    ['EX-27', `'a' < 'b' && 'ab' > 'a' && 'b' >= 'b'`, true],
    ['EX-27', `'\\U0001F600' > '\\uFFFF'`, true],
    ['EX-27', `timestamp('2024-01-01T00:00:00Z') < timestamp('2024-01-01T00:00:01Z')`, true],
    ['EX-27', `duration('1h') > duration('59m')`, true],
    ['EX-28', `true && !false || false`, true],
    ['EX-29', `true || false`, true],
    ['EX-29', `false || false`, false],
    ['EX-30', `true ? 'text' : 5`, 'text'],
    ['EX-30', `false ? 'text' : 5`, 5],
    ['EX-31', `'a' + 'b' + 'c'`, 'abc'],
    ['EX-31', `1 + 2`, 3],
    ['EX-32', `7 - 2 * 3`, 1],
    ['EX-32', `7 / 2`, 3],
    ['EX-32', `-7 / 2`, -3],
    ['EX-32', `-7 % 3`, -1],
    ['EX-32', `-(2 + 3) * 2`, -10],
    ['EX-32', `[1, 2] + [3]`, [1, 2, 3]],
    ['EX-32', `{'a': 1, 'b': [2]}`, { a: 1, b: [2] }],
    ['EX-32', `{1: 'x', true: 'y'}[1]`, 'x'],
    ['EX-32', `2 in [1, 2]`, true],
    ['EX-32', `'k' in {'k': null}`, true],
    ['EX-34', `1 + 2 * 3 == 7 && 2 < 3 || false ? 'yes' : 'no'`, 'yes'],
    ['EX-34', `true || false && false`, true],
    ['EX-34', `!true == false`, true],
    ['EX-34', `-1 + 2`, 1],
    ['EX-34', `false ? 1 : true ? 2 : 3`, 2],
    ['EX-36', `event.data.x in ['a']`, false],
  ])('%s: %s is %j', (_, source, result) => {
    expect(value(source)).toEqual(result);
  });

  test.each([
    [`false && 1 / 0 == 1`, false],
    [`1 / 0 == 1 && false`, false],
    [`true || 1 / 0 == 1`, true],
    [`1 / 0 == 1 || true`, true],
    [`true && 1 / 0 == 1`, 'error: division by zero: a constant'],
    [`1 / 0 == 1 && true`, 'error: division by zero: a constant'],
    [`1 / 0 == 1 || false`, 'error: division by zero: a constant'],
    [`false ? 1 / 0 : 2`, 2],
  ])('EX-33: %s is %j', (source, result) => {
    expect(value(source)).toBe(result);
  });

  test.each([
    [`event.data.s || true`, true],
    [`event.data.s || false`, 'error: "||" needs a boolean, not a string (event.data.s)'],
    [`true && event.data.n`, 'error: "&&" needs a boolean, not a number (event.data.n)'],
    [`!event.data.l`, 'error: "!" needs a boolean, not a list (event.data.l)'],
    [`event.data.s ? 1 : 2`, 'error: "?" needs a boolean, not a string (event.data.s)'],
  ])('EX-13, EX-29: only booleans are conditions: %s', (source, result) => {
    expect(value(source, { data: { s: 'text', n: 1, l: [1] } })).toBe(result);
  });

  test.each([
    ['a === b', '='],
    ['event.data.a !== 1', '='],
    ['event.data.a ?? 1', '?'],
    ['event.data?.a', '.'],
    ['true and false', 'and'],
    ['true or false', 'or'],
    ['not true', 'true'],
    ['event.data.a = 1', '='],
    ['{{ event.data.a }}', '}'],
    ['true & false', '&'],
    ['event.data.a == 1 @@@', '@'],
  ])('EX-35: %s is a compile error', (source, found) => {
    expect(problem(source).message).toBe(`unexpected ${found}`);
  });
});

describe('literals and types', () => {
  test.each([
    ['EX-7', `\n  1 \t +\r\n 2 // a comment\n`, 3],
    ['EX-37', `'a' == "a"`, true],
    ['EX-37', `"it's" + 'a "b"'`, `it'sa "b"`],
    ['EX-38', `"""a "quoted" text"""`, 'a "quoted" text'],
    ['EX-38', `'''a\nb'''`, 'a\nb'],
    ['EX-38', `r'\\d\\n'`, '\\d\\n'],
    ['EX-38', `'\\n\\t\\\\\\'\\"\\u00e9'`, `\n\t\\'"é`],
    ['EX-38', `0x1F`, 31],
    ['EX-38', `-9223372036854775808`, '-9223372036854775808n'],
    ['EX-38', `9223372036854775807`, '9223372036854775807n'],
    ['EX-38', `1.5e3`, 1500],
    ['EX-38', `3u`, 3],
    ['EX-38', `[true, false, null]`, [true, false, null]],
    ['EX-40', `2 < 2.5`, true],
    ['EX-40', `1 == 1.0`, true],
    ['EX-40', `1 + 0.5`, 1.5],
    ['EX-40', `5 / 2.0`, 2.5],
    ['EX-40', `5.0 / 2`, 2.5],
    ['EX-40', `(1.5 + 0.5) / 4`, 0.5],
    ['EX-40', `9007199254740993 == 9007199254740992.0`, false],
    ['EX-41', `"200" == 200`, false],
    ['EX-41', `"200" != 200`, true],
    ['EX-42', `'5' > 3`, false],
    ['EX-42', `'5' < 3 || '5' <= 3 || '5' >= 3`, false],
    ['EX-42', `true > 0 || [1] > 0 || {} < 1 || timestamp('2024-01-01T00:00:00Z') > 0`, false],
    ['EX-42', `[1] < [2]`, false],
    ['EX-43', `{'a': [1, {'b': null}]} == {'a': [1, {'b': null}]}`, true],
    ['EX-43', `{'a': 1} == {'a': 1, 'b': 2}`, false],
    ['EX-43', `[1, 2] == [2, 1]`, false],
    ['EX-43', `[1] == [1.0]`, true],
    ['EX-44', `'n' + 1`, 'n1'],
    ['EX-44', `2.50 + 'n'`, '2.5n'],
    ['EX-44', `3.0 + 'n'`, '3n'],
    ['EX-44', `true + '!' + false`, 'true!false'],
    ['EX-44', `'a' + null`, 'a'],
    ['EX-44', `event.data.x + 'a'`, 'a'],
    ['EX-45', `1 / 0`, 'error: division by zero: a constant'],
    ['EX-45', `1 % 0`, 'error: division by zero: a constant'],
    ['EX-45', `1.5 / 0`, 'error: division by zero: a constant'],
    ['EX-45', `9223372036854775807 + 1`, 'error: the result of "+" is beyond 64 bits'],
    ['EX-45', `-9223372036854775808 - 1`, 'error: the result of "-" is beyond 64 bits'],
    ['EX-45', `4611686018427387904 * 2`, 'error: the result of "*" is beyond 64 bits'],
    ['EX-45', `-(-9223372036854775808)`, 'error: the result of "-" is beyond 64 bits'],
    ['EX-45', `9007199254740992 + 1`, '9007199254740993n'],
    ['EX-45', `94906267 * 94906267`, '9007199515875289n'],
    ['EX-32', `2.5 % 2`, 'error: "%" needs whole numbers'],
    ['EX-32', `1 - 'a'`, 'error: "-" does not take a number (a constant) and a string (a constant)'],
  ])('%s: %s is %j', (_, source, result) => {
    expect(value(source)).toEqual(result);
  });

  test.each([
    ['a number without fraction is an int', `event.data.n / 2`, { n: 5 }, 2],
    ['a number with one is a double', `event.data.n / 2`, { n: 5.5 }, 2.75],
    ['2^53 is the last int', `event.data.n / 2`, { n: 2 ** 53 }, 2 ** 52],
    ['what is larger is a double', `event.data.n % 2`, { n: 2 ** 54 }, 'error: "%" needs whole numbers'],
    [
      'objects are maps',
      `event.data.o == {'a': [1, true, null, 's']}`,
      { o: { a: [1, true, null, 's'] } },
      true,
    ],
    [
      'EX-46: what JSON has rounded is rounded',
      `event.data.n == 9007199254740993`,
      JSON.parse('{"n":9007199254740993}') as object,
      false,
    ],
  ])('EX-39: %s', (_, source, data, result) => {
    expect(value(source, { data })).toEqual(result);
  });
});

describe('limits of a source', () => {
  test.each([
    ['4,096 bytes', `'${'x'.repeat(4_094)}'`, true],
    ['4,097 bytes', `'${'x'.repeat(4_095)}'`, false],
    ['4,098 bytes in fewer characters', `'${'é'.repeat(2_048)}'`, false],
    ['64 levels', `${'('.repeat(63)}1${')'.repeat(63)}`, true],
    ['65 levels', `${'('.repeat(64)}1${')'.repeat(64)}`, false],
    ['64 signs', `${'!'.repeat(64)}true`, true],
    ['65 signs', `${'!'.repeat(65)}true`, false],
    ['2,000 terms, which are no nesting', `1${'+1'.repeat(2_000)}`, true],
    ['a list of 2,000 items', `[1${',1'.repeat(2_000)}]`, true],
    ['700 conditions', `true${'&&true'.repeat(680)}`, true],
    ['65 signs of minus', `${'-'.repeat(65)}1`, false],
    ['64 fields', `event${'.a'.repeat(63)}`, true],
    ['nothing', '  ', false],
  ])('EX-4: %s', (_, source, ok) => {
    expect(compile(source, { place: 'pair' }).ok).toBe(ok);
    if (ok) expect(evaluate(source).ok).toBe(true);
  });

  test('EX-5: an expression is compiled once and evaluated any number of times', () => {
    const compiled = compile(`event.data.n + 1`, { place: 'key' });
    if (!compiled.ok) throw new Error('does not compile');
    const results = [1, 2, 3].map((n) =>
      compiled.expression.evaluate({ event: { data: { n } } }, { now: 0 }),
    );
    expect(results).toEqual([2, 3, 4].map((n) => ({ ok: true, value: n })));
  });
});

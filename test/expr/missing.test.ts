/** Null and missing fields (EX-47 to EX-57), and the dialect of the hosted product with what differs on purpose. */
import { describe, expect, test } from 'vitest';
import { value } from './words.ts';

const data = {
  name: 'inngest',
  five: 5,
  f: 9.1,
  yes: true,
  no: null,
  list: [3, 'ok?', true],
  o: { name: 'inngest' },
};

describe('what is missing reads as null', () => {
  test.each([
    ['EX-47', `event.data.x`, null],
    ['EX-47', `event.data.x.y.z`, null],
    ['EX-47', `event.data.no.y`, null],
    ['EX-47', `event.data.five.y`, null],
    ['EX-47', `event.data.list.length`, null],
    ['EX-47', `event.data.list[9]`, null],
    ['EX-47', `event.data.list[-1]`, null],
    ['EX-47', `event.data.list['0']`, null],
    ['EX-47', `event.data[event.data.x]`, null],
    ['EX-47', `event.data['na' + 'me']`, 'inngest'],
    ['EX-47', `{'a': 1}.b`, null],
    ['EX-47', `event.type`, null],
    ['EX-48', `event.data.x == null`, true],
    ['EX-48', `event.data.no == null`, true],
    ['EX-48', `event.data.name == null`, false],
    ['EX-48', `event.data.x != null`, false],
    ['EX-48', `event.data.name != null`, true],
    ['EX-49', `event.data.x == 'a'`, false],
    ['EX-49', `event.data.x == 0 || event.data.x == '' || event.data.x == false`, false],
    ['EX-49', `event.data.x != 'a'`, true],
    ['EX-49', `event.data.x != 0 && event.data.x != '' && event.data.x != false`, true],
    ['EX-50', `null == null`, true],
    ['EX-50', `event.data.x == event.data.y`, true],
    ['EX-50', `event.data.x == async.data.y`, true],
    ['EX-51', `5 > event.data.x`, true],
    ['EX-51', `-5 > event.data.x`, true],
    ['EX-51', `5 >= event.data.x`, true],
    ['EX-51', `event.data.x > 0`, false],
    ['EX-51', `event.data.x >= 0`, false],
    ['EX-51', `5 < event.data.x`, false],
    ['EX-51', `5 <= event.data.x`, false],
    ['EX-51', `event.data.x < 5`, false],
    ['EX-51', `event.data.x <= 5`, false],
    ['EX-52', `size(event.data.x)`, 0],
    ['EX-52', `event.data.x.size()`, 0],
    ['EX-53', `'a' in event.data.x`, false],
    ['EX-53', `event.data.x in ['a']`, false],
    ['EX-53', `event.data.x in ['a', null]`, true],
    ['EX-54', `event.data.x.contains('a')`, false],
    ['EX-54', `event.data.x.startsWith('a')`, false],
    ['EX-54', `event.data.x.endsWith('')`, false],
    ['EX-54', `event.data.x.matches('.*')`, false],
    ['EX-54', `'a'.contains(event.data.x)`, false],
    ['EX-55', `event.data.x.exists(i, true)`, false],
    ['EX-55', `event.data.x.all(i, false)`, true],
    ['EX-55', `event.data.x.exists_one(i, true)`, false],
    ['EX-55', `event.data.x.filter(i, true)`, []],
    ['EX-55', `event.data.x.map(i, i)`, []],
    ['EX-56', `event.data.x + 1`, 'error: "+" does not take null (event.data.x) and a number (a constant)'],
    ['EX-56', `1 - event.data.x`, 'error: "-" does not take a number (a constant) and null (event.data.x)'],
    [
      'EX-56',
      `event.data.x * event.data.y`,
      'error: "*" does not take null (event.data.x) and null (event.data.y)',
    ],
    ['EX-56', `-event.data.x`, 'error: "-" does not take null (event.data.x)'],
    ['EX-57', `has(event.data.name)`, true],
    ['EX-57', `has(event.data.no)`, false],
    ['EX-57', `has(event.data.x)`, false],
    ['EX-57', `has(event.data.x.y.z)`, false],
    ['EX-57', `has(event.data['name'])`, true],
    ['EX-13', `event.data.x && true`, false],
    ['EX-13', `event.data.x || true`, true],
    ['EX-13', `!event.data.x`, true],
    ['EX-13', `event.data.x ? 1 : 2`, 2],
    ['EX-59', `int(event.data.x)`, null],
    ['EX-63', `lowercase(event.data.x) == 'a'`, false],
  ])('%s: %s is %j', (_, source, result) => {
    expect(value(source, { data })).toEqual(result);
  });
});

describe('event.x == async.x, which is what match stands for', () => {
  const both = (a: object, b: object, source = `event.data.p == async.data.p`, parity = false) =>
    value(source, { event: { data: a }, async: { data: b }, parity });

  test.each([
    ['the same text', { p: 'a' }, { p: 'a' }, true],
    ['another text', { p: 'a' }, { p: 'b' }, false],
    ['absent in both (XV-22)', {}, {}, false],
    ['null in both', { p: null }, { p: null }, false],
    ['absent in one', { p: 'a' }, {}, false],
    ['false in both', { p: false }, { p: false }, true],
    ['an empty text in both', { p: '' }, { p: '' }, true],
  ])('EX-50: %s', (_, a, b, result) => {
    expect(both(a, b)).toBe(result);
    expect(both(a, b, `async.data.p == event.data.p`)).toBe(result);
    expect(both(a, b, `event.data['p'] == async.data.p`)).toBe(result);
  });

  test('EX-50: a further condition lets no more events through', () => {
    expect(both({}, {}, `event.data.p == async.data.p && async.data.q == null`)).toBe(false);
  });

  test('EX-50: != stays the reverse of ==, so neither holds when both lack the field', () => {
    expect(both({}, {}, `event.data.p != async.data.p`)).toBe(false);
  });

  test('EX-50: with parity two absent fields are equal', () => {
    expect(both({}, {}, undefined, true)).toBe(true);
  });
});

/** Expression, result in the hosted product, and ours where it is another one on purpose. */
type Result = string | boolean | number | null;
const dialect: readonly (readonly [source: string, theirs: Result, ours?: Result])[] = [
  [`event.data.x == 'foo'`, false],
  [`event.data.x == 0`, false],
  // Theirs differs between the whole expression and one filled in for a wait; ours has one meaning (EX-50).
  [`event.data.x == event.data.y`, false, true],
  [`event.data.x == null`, true],
  [`event.data.x != null`, false],
  [`event.data.x != 'foo'`, true],
  [`event.data.x != 0`, true],
  [`event.data.x != ''`, true],
  // A comparison whose left side is missing never holds, but for parity (EX-51).
  [`event.data.x < 5`, true, false],
  [`event.data.x <= 5`, true, false],
  [`5 < event.data.x`, false],
  [`5 <= event.data.x`, false],
  [`event.data.x > 5`, false],
  [`event.data.x >= 5`, false],
  [`5 > event.data.x`, true],
  [`5 >= event.data.x`, true],
  [`event.data.five > event.data.x`, true],
  [`event.data.name + event.data.x`, 'inngest'],
  [`event.data.x + event.data.name`, 'inngest'],
  // Arithmetic with nothing is an error (EX-56).
  [
    `event.data.x + event.data.y`,
    false,
    'error: "+" does not take null (event.data.x) and null (event.data.y)',
  ],
  [`size(event.data.x)`, 0],
  [`event.data.x in ['a']`, false],
  [`event.data.x.contains('x')`, false],
  [`event.data.x.exists(i, i == 1)`, false],
  [`null == 'foo'`, false],
  [`null != 'foo'`, true],
  [`null < 5`, true, false],
  [`null <= 0`, true, false],
  [`null < 'foo'`, true, false],
  [`null > 0`, false],
  [`5 < null`, false],
  [`'foo' < null`, false],
  [`5 > null`, true],
  [`event.data.f > null`, true],
  // Conditions are booleans and give booleans (EX-13, EX-29).
  [
    `event.data.name || event.data.five`,
    'inngest',
    'error: "||" needs a boolean, not a string (event.data.name)',
  ],
  [`event.data.x || event.data.y`, false],
  [`event.data.x && event.data.name`, false],
  [`event.data.name ? 1 : 2`, 1, 'error: "?" needs a boolean, not a string (event.data.name)'],
  [`event.data.x ? 1 : 2`, 2],
  [
    `"hi" + "-" + event.data.f + "-" + event.data.yes + "-" + event.data.list + "-" + event.data.o + "-" + event.data.x`,
    'hi-9.1-true-[3 ok? true]-map[name:inngest]-',
  ],
  // The result is null; only in a boolean place it counts as false.
  [`event.data.x`, false, null],
];

describe('the dialect of the hosted product', () => {
  test.each(dialect.map(([source, theirs, ours = theirs]) => ({ source, theirs, ours })))(
    '$source is $theirs there and $ours here',
    ({ source, ours }) => {
      expect(value(source, { data })).toEqual(ours);
    },
  );

  test('EX-51: parity brings back comparisons with a missing left side, and nothing else', () => {
    const changed = dialect.filter(
      ([source]) => value(source, { data }) !== value(source, { data, parity: true }),
    );
    expect(changed.map(([source]) => source)).toEqual([
      `event.data.x < 5`,
      `event.data.x <= 5`,
      `null < 5`,
      `null <= 0`,
      `null < 'foo'`,
    ]);
    for (const [source, theirs] of changed) expect(value(source, { data, parity: true })).toBe(theirs);
  });
});

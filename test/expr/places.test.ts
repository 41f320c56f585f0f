/** Where expressions stand, what they may name, and what results mean there (EX-8 to EX-25, EX-67 to EX-77, the vectors). */
import { describe, expect, test } from 'vitest';
import { compile, type Place } from '../../src/expr/expression.ts';
import { keyOf, priorityOf, verdict } from '../../src/expr/results.ts';
import { matchExpression } from '../../src/expr/wait.ts';
import { compiles, evaluate, problem, value } from './words.ts';

const key = (source: string, data: object, falseIsMissing = false) =>
  keyOf(evaluate(source, { data, place: 'key' }), { falseIsMissing });
const id = (source: string, data: object = {}) => {
  const result = key(source, data);
  return result.kind === 'key' ? result.id : result.kind;
};
const text = (source: string, data: object = {}) => {
  const result = key(source, data);
  return result.kind === 'key' ? result.text : result.kind;
};

describe('names', () => {
  test.each<[string, Place, boolean]>([
    ['event.data.a', 'event', true],
    ['event.data.a', 'key', true],
    ['event.data.a == async.data.a', 'pair', true],
    ['async.data.a', 'event', false],
    ['async.data.a', 'key', false],
    ['steps.a', 'pair', false],
    ['actions.a', 'pair', false],
    ['response.a', 'pair', false],
    ['user.a', 'pair', false],
    ['data.a', 'pair', false],
    ['constructor', 'pair', false],
    ['event.data.l.exists(i, i == 1) && i', 'pair', false],
  ])('EX-14, EX-15, EX-22: %s in %s: %s', (source, place, ok) => {
    expect(compiles(source, place)).toBe(ok);
  });

  test('EX-22: an undeclared name is named', () => {
    expect(problem('async.data.a == 1', 'event').message).toBe('undeclared reference to async');
    expect(problem('event.data.a == u', 'event').message).toBe('undeclared reference to u');
  });

  test('EX-24, XV-19: a text without quotes is an undeclared name, and the hint suggests quotes', () => {
    const error = problem('u-17 == async.data.userId');
    expect(error.message).toBe('undeclared reference to u');
    expect(error.hint).toContain('quotes: "u"');
  });

  const event = {
    name: 'a/b',
    data: { a: { 'some-key': 1 }, rows: [{ sku: 's1' }], in: 2 },
    user: { email: 'e@example.com' },
    ts: 5,
    id: 'i',
    v: '1',
  };
  test.each([
    ['EX-16', `event.name + event.id + event.v + event.ts`, 'a/bi15'],
    ['EX-16', `event.ts + 1`, 6],
    ['EX-17', `event.data.a`, { 'some-key': 1 }],
    ['EX-18', `event.data.a["some-key"]`, 1],
    ['EX-18', `event["data"]['a']["some-key"]`, 1],
    ['EX-18', `event.data.rows[0].sku`, 's1'],
    ['EX-18', `event.data['in']`, 2],
    ['EX-19', `event.user.email`, 'e@example.com'],
    ['EX-23', `event.type`, null],
  ])('%s: %s', (_, source, result) => {
    expect(value(source, { event })).toEqual(result);
  });

  test.each([
    ['data.orderId', 'event.data.orderId == async.data.orderId'],
    ['user.id', 'event.user.id == async.user.id'],
    ['data.rows[0].id', 'event.data.rows[0].id == async.data.rows[0].id'],
    ['data["a b"]', 'event.data["a b"] == async.data["a b"]'],
    ['data.order-id', 'event["data"]["order-id"] == async["data"]["order-id"]'],
    ['data.x || true', 'event["data"]["x || true"] == async["data"]["x || true"]'],
  ])('EX-25, WE-4: match %s is %s', (path, source) => {
    expect(matchExpression(path)).toBe(source);
    expect(compiles(source, 'pair')).toBe(true);
  });
});

describe('conditions', () => {
  test.each([
    ['true', true, null],
    ['false', false, null],
    ['1', false, 'the condition gave a number instead of a boolean'],
    [`'true'`, false, 'the condition gave a string instead of a boolean'],
    ['event.data.x', false, 'the condition gave null instead of a boolean'],
    ['[true]', false, 'the condition gave a list instead of a boolean'],
    ['1 / 0 == 1', false, 'division by zero: a constant'],
  ])('EX-11, EX-12, EX-13: %s matches: %s', (source, matched, warning) => {
    expect(verdict(evaluate(source))).toEqual({ matched, warning });
  });

  test('EX-76, EX-77: an error is a result like any other', () => {
    const sources = ['1 / 0 == 1', 'event.data.n.contains("a")', 'event.data.n == 1'];
    const data = { n: 1 };
    expect(sources.map((source) => verdict(evaluate(source, { data })).matched)).toEqual([
      false,
      false,
      true,
    ]);
  });
});

describe('keys', () => {
  test.each([
    [`'1'`, 's:1'],
    [`1`, 'n:1'],
    [`1.0`, 'n:1'],
    [`-0.0`, 'n:0'],
    [`1.5`, 'n:1.5'],
    [`1e21`, 'n:1e+21'],
    [`true`, 'b:true'],
    [`false`, 'b:false'],
    [`''`, 's:'],
    [`timestamp('2024-01-01T00:00:00Z')`, 't:2024-01-01T00:00:00Z'],
    [`[1, 'a', null]`, 'j:[1,"a",null]'],
    [`{'b': 1, 'a': {'d': 1, 'c': 2.5}}`, 'j:{"a":{"c":2.5,"d":1},"b":1}'],
    [`9223372036854775807`, 'n:9223372036854775807i'],
    [`null`, 'missing'],
    [`event.data.x`, 'missing'],
    [`1 / 0`, 'missing'],
  ])('EX-67, EX-69, EX-70: %s is %s', (source, result) => {
    expect(id(source)).toBe(result);
  });

  test('EX-68: any difference separates keys', () => {
    const texts = ['a', 'A', ' a', 'a ', ''];
    expect(new Set(texts.map((k) => id('event.data.k', { k }))).size).toBe(texts.length);
  });

  test('EX-67: objects with the same contents are one key, whatever the order', () => {
    const keys = ['{"k":{"a":1,"b":2}}', '{"k":{"b":2,"a":1}}'].map((json) =>
      id('event.data.k', JSON.parse(json)),
    );
    expect(keys[0]).toBe(keys[1]);
  });

  test('EX-71: false counts as missing where a rate limit or idempotency asks for it', () => {
    expect(key('event.data.k', { k: false }, true).kind).toBe('missing');
    expect(key('event.data.k', { k: false }).kind).toBe('key');
    expect(key('string(event.data.k)', { k: false }, true)).toEqual({
      kind: 'key',
      id: 's:false',
      text: 'false',
    });
  });

  test('EX-72, XV-7: a literal text is one fixed key', () => {
    expect(key(`"shared"`, {})).toEqual({ kind: 'key', id: 's:shared', text: 'shared' });
  });

  test('EX-73: long keys are cut for people and hashed for comparison', () => {
    const long = (end: string) => key('event.data.k', { k: 'x'.repeat(400) + end });
    const [a, b] = [long('a'), long('b')];
    if (a.kind !== 'key' || b.kind !== 'key') throw new Error('no key');
    expect([a.text.length, a.id.length < 100]).toEqual([256, true]);
    expect(a.id).not.toBe(b.id);
    expect(a.text).not.toBe(b.text);
    expect(id('event.data.k', { k: 'x'.repeat(256) })).toBe(`s:${'x'.repeat(256)}`);
  });
});

describe('priority (EX-10, EX-74)', () => {
  const priority = (source: string, data: object = {}) => priorityOf(evaluate(source, { data })).seconds;
  test.each([
    [{ p: 900 }, 600],
    [{ p: -900 }, -600],
    [{ p: 1.9 }, 1],
    [{ p: -0.5 }, 0],
    [{ p: 'x' }, 0],
    [{ p: true }, 0],
    [{}, 0],
  ])('XV-9: %j is %i', (data, seconds) => {
    expect(priority('event.data.p', data)).toBe(seconds);
  });

  test('XV-8: by a condition', () => {
    const source = `event.data.plan == 'gold' ? 90 : 0`;
    expect([priority(source, { plan: 'gold' }), priority(source)]).toEqual([90, 0]);
  });

  test('XV-10: an expression that does not compile is known at once', () => {
    expect(compiles(`event.data.plan === 'gold' ? 1 : 0`, 'event')).toBe(false);
  });

  test('what is no number says so', () => {
    expect(priorityOf(evaluate(`'x'`)).warning).toBe('the priority is a string instead of a number');
    expect(priorityOf(evaluate(`double('NaN')`)).seconds).toBe(0);
    expect(priorityOf(evaluate(`double('inf')`)).seconds).toBe(600);
  });
});

describe('vectors', () => {
  const d = (source: string, data: object) => value(source.replaceAll('d.', 'event.data.'), { data });
  test.each([
    ['XV-1', `d.plan == 'gold'`, { plan: 'gold' }, true],
    ['XV-1', `d.plan == 'gold'`, {}, false],
    ['XV-2', `d.total > 250`, { total: 251 }, true],
    ['XV-2', `d.total > 250`, { total: '251' }, false],
    ['XV-2', `d.total > 250`, {}, false],
    ['XV-3', `d.plan == 'gold' && d.total > 250`, { plan: 'gold', total: 1 }, false],
    ['XV-4', `d.plan != 'free' || d.total < 10`, {}, true],
    ['XV-12', `d.a.b.c == 'x'`, { a: null }, false],
    ['XV-12', `d.a.b.c != 'x'`, { a: null }, true],
    ['XV-12', `d.a == null`, {}, true],
    ['XV-13', `d.tags.exists(t, t == 'a')`, { tags: ['a', 'b'] }, true],
    ['XV-13', `d.tags.exists(t, t == 'a')`, {}, false],
    ['XV-14', `d.kind in ['bug', 'task']`, { kind: 'bug' }, true],
    ['XV-14', `d.kind in ['bug', 'task']`, {}, false],
    ['XV-15', `lowercase(d.state) == 'open'`, { state: 'OPEN' }, true],
    ['XV-16', `int(d.code) >= 400`, { code: '404' }, true],
    [
      'XV-17',
      `date(d.at) + duration('90m') == date('2024-03-01T11:30:00')`,
      { at: '2024-03-01T10:00:00' },
      true,
    ],
  ])('%s: %s of %j is %s', (_, source, data, result) => {
    expect(d(source, data)).toBe(result);
  });

  test.each([
    ['o-7', 'o-7', true],
    ['o-7', 'o-8', false],
    [7, '7', false],
    [7, 7, true],
  ])('XV-5: %j and %j: %s', (a, b, result) => {
    const roots = { event: { data: { orderRef: a } }, async: { data: { orderRef: b } } };
    expect(value(`event.data.orderRef == async.data.orderRef`, roots)).toBe(result);
  });

  test.each([
    [{ userId: 'u1', orgId: 'g2' }, 'u1-g2'],
    [{ userId: 5, orgId: 'g2' }, '5-g2'],
    [{ orgId: 'g2' }, '-g2'],
  ])('XV-6: the key of %j is %s', (data, result) => {
    expect(text(`event.data.userId + "-" + event.data.orgId`, data)).toBe(result);
  });

  test('XV-11: one below a time', () => {
    const at = (ts: number) => value(`event.ts < 1700000000000`, { event: { ts } });
    expect([at(1_699_999_999_999), at(1_700_000_000_000)]).toEqual([true, false]);
  });

  test('XV-18: no default value by ||', () => {
    expect(compile(`event.data.name || 'fallback'`, { place: 'key' }).ok).toBe(false);
    expect(key(`event.data.a || event.data.b`, { a: 'text' }).kind).toBe('missing');
  });

  test('XV-20: no clause is dropped', () => {
    const source = `async.data.fn in ["a","b"] && async.data.ref == "r1"`;
    const at = (fn: string) => value(source, { async: { data: { fn, ref: 'r1' } } });
    expect([at('a'), at('c')]).toEqual([true, false]);
  });

  test('XV-21: a trigger cannot name async', () => {
    expect(compiles(`async.data.a == 1`, 'event')).toBe(false);
  });
});

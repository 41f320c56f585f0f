/** Waits are found by lookup (EX-78 to EX-82, WE-24): the index never loses one that the expression would match. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { identityAt, index } from '../../src/expr/equalities.ts';
import { verdict } from '../../src/expr/results.ts';
import { bind } from '../../src/expr/wait.ts';
import { expression, NOW } from './words.ts';

const context = { now: NOW };
const found = (source: string, event: object, parity = false) => {
  const { equalities, never } = bind(expression(source, { parity }), event);
  return never
    ? 'never'
    : equalities.map(({ path, identity }) => `${path.join('.')} = ${identity}`).join(', ');
};

describe('what is indexed', () => {
  const event = { name: 'a/b', data: { id: 'o-7', n: 5, f: 1.5, yes: true, o: { a: 1 }, no: null }, ts: NOW };
  test.each([
    [`event.data.id == async.data.id`, 'data.id = s:o-7'],
    [`async.data.id == event.data.id`, 'data.id = s:o-7'],
    [`async.data.id == 'x'`, 'data.id = s:x'],
    [`async.data.a == event.data.n && async.data.b == event.data.yes`, 'data.a = n:5, data.b = b:true'],
    [`async.data.a == 1.0`, 'data.a = n:1'],
    [`async.data["a b"][0] == event.data.id + '!'`, 'data.a b.0 = s:o-7!'],
    [`async.data.a == lowercase('X') && async.data.n > 3`, 'data.a = s:x'],
    [
      `(async.data.a == 1 && async.data.b == 2) && (async.data.c == 3 && true)`,
      'data.a = n:1, data.b = n:2, data.c = n:3',
    ],
    [`async.data.a == (event.data.n > 3 ? 'big' : 'small')`, 'data.a = s:big'],
    [`event.data.id == 'o-7' && async.data.a == 1`, 'data.a = n:1'],
    [`async.name == 'a/b'`, 'name = s:a/b'],
  ])('EX-79: %s: %s', (source, equalities) => {
    expect(found(source, event)).toBe(equalities);
  });

  test.each([
    ['null is never indexed', `async.data.a == null`],
    ['nor is what is missing', `async.data.a == event.data.x`],
    ['nor lists and maps', `async.data.a == event.data.o`],
    ['a part of an or', `async.data.a == 1 || async.data.b == 2`],
    ['a negated equality', `!(async.data.a == 1)`],
    ['an inequality', `async.data.a != 1 && async.data.b > 2`],
    ['membership', `async.data.a in ['x']`],
    ['two unknown sides', `async.data.a == async.data.b`],
    ['a computed path', `async.data[async.data.k] == 1`],
    ['a function of the incoming event', `lowercase(async.data.a) == 'x'`],
    ['the clock', `async.data.a == string(now())`],
    ['a chain', `async.data.a == 1 == true`],
  ])('EX-79: %s', (_, source) => {
    expect(found(source, event)).toBe('');
  });

  test.each([
    ['a match on a field that the run lacks', `event.data.x == async.data.x`],
    ['a condition on the run that is false', `event.data.id == 'other' && async.data.a == 1`],
    ['one that is null', `event.data.x && async.data.a == 1`],
    ['one that is an error', `event.data.n / 0 == 1 && async.data.a == 1`],
    ['an equality with an error', `async.data.a == event.data.id - 1`],
    ['an equality with a time', `async.data.a == timestamp('2024-01-01T00:00:00Z')`],
    ['false', `false`],
  ])('%s can never match', (_, source) => {
    expect(found(source, event)).toBe('never');
    const bound = bind(expression(source), event);
    for (const async of [{}, { data: { a: 1, x: null, id: 'other' } }]) {
      expect(verdict(expression(source).evaluate({ event: bound.event, async }, context)).matched).toBe(
        false,
      );
    }
  });

  test('with parity two absent fields match, so nothing is ruled out', () => {
    expect(found(`event.data.x == async.data.x`, event, true)).toBe('');
  });

  test('what costs too much to know rules nothing out', () => {
    const many = { data: { l: Array.from({ length: 5_000 }, () => 1) } };
    expect(found(`event.data.l.all(x, x == 2 || x == 1)`, many)).toBe('');
    expect(found(`async.data.a == event.data.l.map(x, x + 1)[0]`, many)).toBe('');
  });

  test('triggers are indexed over their own event', () => {
    const equalities = index(
      expression(`event.data.plan == 'gold' && event.data.n > 1`, { place: 'event' }),
      'event',
    );
    expect(equalities).toMatchObject({
      never: false,
      equalities: [{ pathText: '["data","plan"]', identity: 's:gold' }],
    });
  });
});

describe('identities (EX-81)', () => {
  const at = (value: unknown) => identityAt({ data: { value } }, ['data', 'value']);
  test.each([
    [1, 'n:1'],
    ['1', 's:1'],
    [1.5, 'n:1.5'],
    [-0, 'n:0'],
    [true, 'b:true'],
    ['', 's:'],
    [null, null],
    [undefined, null],
    [[1], null],
    [{ a: 1 }, null],
  ])('%j is %s', (value, identity) => {
    expect(at(value)).toBe(identity);
  });

  test('long texts have short identities that differ', () => {
    const [a, b] = ['a', 'b'].map((end) => at('x'.repeat(1_000) + end));
    expect(a).not.toBe(b);
    expect(a?.length).toBeLessThan(100);
    expect(at('x'.repeat(256))).not.toBe(at('x'.repeat(257)));
  });

  test('numbers meet exactly where they are equal', () => {
    const equal = expression(`event.data.a == async.data.b`);
    const number = fc.oneof(
      fc.double(),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.constantFrom(2 ** 53, 2 ** 63, 1e21, -0, 0),
    );
    fc.assert(
      fc.property(number, number, fc.boolean(), (a, other, same) => {
        const b = same ? a : other;
        const result = verdict(equal.evaluate({ event: { data: { a } }, async: { data: { b } } }, context));
        if (result.matched) expect(at(a)).toBe(at(b));
        else if (!Number.isNaN(a) && !Number.isNaN(b)) expect(at(a)).not.toBe(at(b));
      }),
    );
  });

  test.each([
    ['9223372036854775807', 2 ** 63, false],
    ['9223372036854774784', 9223372036854774784, true],
    ['9007199254740993', 9007199254740992, false],
    ['9007199254740992', 9007199254740992, true],
  ])('the int %s and the double %d: %s', (literal, number, same) => {
    const source = `async.data.a == ${literal}`;
    const async = { data: { a: number } };
    const [equality] = bind(expression(source), {}).equalities;
    expect(verdict(expression(source).evaluate({ async }, context)).matched).toBe(same);
    expect(identityAt(async, ['data', 'a']) === equality?.identity).toBe(same);
  });
});

describe('the part of the event that a wait keeps', () => {
  const event = {
    name: 'n',
    data: { a: 1, b: { c: 2, d: 3 }, l: [{ x: 1 }, { x: 2 }], big: 'x'.repeat(1_000) },
    ts: 5,
  };
  test.each([
    [`async.data.a == event.data.a`, { data: { a: 1 } }],
    [`async.data.a == event.data.b.c && event.data.b.d == 3`, { data: { b: { c: 2, d: 3 } } }],
    [`async.data.a == event.data.b.c && has(event.data.b)`, { data: { b: { c: 2, d: 3 } } }],
    [`async.data.a == event.data.l[1].x`, { data: { l: [{ x: 1 }, { x: 2 }] } }],
    [`event.data.l.exists(i, i.x == async.data.x)`, { data: { l: [{ x: 1 }, { x: 2 }] } }],
    [`async.data.a == event.data.missing`, { data: undefined }],
    [`async.data.a == event.ts`, { ts: 5 }],
    [`async.data.a == 1`, {}],
    [`event.data[async.data.k] == 1`, { data: event.data }],
    [`async == event`, event],
  ])('%s', (source, part) => {
    expect(JSON.parse(JSON.stringify(bind(expression(source), event).event))).toEqual(
      JSON.parse(JSON.stringify(part)),
    );
  });

  test('keys such as __proto__ are kept as data', () => {
    const hostile = JSON.parse('{"data":{"__proto__":{"a":7}}}') as object;
    const source = `async.data.a == event.data["__proto__"].a`;
    expect(found(source, hostile)).toBe('data.a = n:7');
    const stored = JSON.parse(JSON.stringify(bind(expression(source), hostile).event)) as object;
    expect(found(source, stored)).toBe('data.a = n:7');
  });
});

const scalar = fc.constantFrom<unknown>('a', '1', 1, 1.5, true, null);
const payload = fc.record(
  { p: scalar, q: scalar, r: fc.oneof(scalar, fc.array(scalar, { maxLength: 2 }), fc.record({ p: scalar })) },
  { requiredKeys: ['p'] },
);
const anEvent = fc.record({ name: fc.constant('n'), data: payload });

const incoming = fc.constantFrom('async.data.p', 'async.data.q', 'async.data.r.p', 'async.data.r[0]');
const known = fc.constantFrom(
  'event.data.p',
  'event.data.q',
  'event.data.r.p',
  `'a'`,
  `'1'`,
  '1',
  '1.0',
  '1.5',
  'true',
  'null',
);
const odd = fc.constantFrom(
  'event.data.p + event.data.q',
  'size(async.data.r)',
  '[1]',
  '9007199254740992',
  '1 / 0',
);
const leaf = fc.oneof({ weight: 3, arbitrary: incoming }, { weight: 3, arbitrary: known }, odd);
const lookup = fc.oneof(
  fc.tuple(incoming, known).map((sides) => sides.join(' == ')),
  fc.tuple(known, incoming).map((sides) => sides.join(' == ')),
);
const comparison = fc
  .tuple(leaf, fc.constantFrom('==', '==', '==', '==', '!=', '<', '>='), leaf)
  .map((all) => all.join(' '));
const condition = fc.oneof(
  { weight: 8, arbitrary: lookup },
  { weight: 2, arbitrary: comparison },
  fc.tuple(comparison, comparison).map((all) => `(${all.join(' || ')})`),
  comparison.map((text) => `!(${text})`),
  fc.constantFrom('event.data.p', 'async.data.q', 'true', `event.data.p in [1, 'a']`, 'has(async.data.p)'),
);
const whole = fc.array(condition, { minLength: 1, maxLength: 3 }).map((all) => all.join(' && '));

describe('for every expression and every pair of events', () => {
  test('what matches is found by each of its equalities, with the part of the event that was kept', () => {
    let matches = 0;
    let indexed = 0;
    fc.assert(
      fc.property(whole, anEvent, anEvent, fc.boolean(), (source, event, async, parity) => {
        const compiled = expression(source, { parity });
        const { matched } = verdict(compiled.evaluate({ event, async }, context));
        const bound = bind(compiled, event);
        const stored = JSON.parse(JSON.stringify(bound.event)) as object;
        expect(verdict(compiled.evaluate({ event: stored, async }, context)).matched).toBe(matched);
        expect(bind(compiled, stored)).toEqual({ ...bound, event: bind(compiled, stored).event });
        if (!matched) return;
        matches++;
        expect(bound.never).toBe(false);
        for (const { path, identity } of bound.equalities) {
          indexed++;
          expect(identityAt(async, path)).toBe(identity);
        }
      }),
      { numRuns: 8_000 },
    );
    // The property says nothing about what never happens.
    expect(Math.min(matches, indexed)).toBeGreaterThan(100);
  });
});

test('EX-78, EX-82, WE-24: an event among 100,000 waits of its name is tested against one', () => {
  const compiled = expression(`event.data.id == async.data.id && async.data.n > 1`);
  const waits = new Map<string, object[]>();
  for (let n = 0; n < 100_000; n++) {
    const { equalities, event } = bind(compiled, { data: { id: `o-${n}`, other: n } });
    const [equality] = equalities;
    const row = `${equality?.pathText} ${equality?.identity}`;
    waits.set(row, [...(waits.get(row) ?? []), event]);
  }
  const async = { data: { id: 'o-77777', n: 2 } };
  const candidates = waits.get(`["data","id"] ${identityAt(async, ['data', 'id'])}`) ?? [];
  const matching = candidates.filter(
    (event) => verdict(compiled.evaluate({ event, async }, context)).matched,
  );
  expect([candidates.length, matching.length]).toEqual([1, 1]);
});

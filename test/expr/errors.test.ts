/** Bad expressions name the position (EX-75); errors of an evaluation name paths and types, never values. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describe as tell } from '../../src/expr/errors.ts';
import { compile } from '../../src/expr/expression.ts';
import { evaluate, problem } from './words.ts';

describe('compile errors', () => {
  test.each([
    [`event.data.a === 1`, 1, 16],
    [`event.data.a ==\n  foo`, 2, 3],
    [`event.data.a ==\r\n  event.data.b &&\n\n  nope.x`, 4, 3],
    [`event.data.a == 'text`, 1, 17],
    [`event.data.a ==`, 1, 16],
    [`'é😀' + foo`, 1, 9],
    [``, 1, 1],
  ])('%j: line %i, column %i', (source, line, column) => {
    const { position } = problem(source);
    expect([position.line, position.column]).toEqual([line, column]);
  });

  test('EX-75: line, column, an excerpt with a caret, and a hint', () => {
    expect(tell(problem(`event.data.n > 1 &&\n  event.data.plan === 'gold'`))).toBe(
      [
        'unexpected = (line 2, column 21)',
        `  event.data.plan === 'gold'`,
        '                    ^',
        'Write == for equality.',
      ].join('\n'),
    );
  });

  test.each([
    ['event.data.a === 1', 'Write == for equality.'],
    ['event.data.a !== 1', 'Write != for inequality.'],
    ['event.data.a = 1', 'Write == to compare; there is no assignment.'],
    ['user-{{ event.data.id }}', 'An expression is no template: write the path itself, without braces.'],
    ['{{event.data.id}}', 'An expression is no template: write the path itself, without braces.'],
    ['true and true', 'Write && for "and".'],
    ['true or true', 'Write || for "or".'],
    ['not true', 'Write ! for "not".'],
    ['event.data.a ?? 1', 'Write x != null ? x : y for a default.'],
    ['event?.data', 'Write a plain dot: what is missing reads as null.'],
    ['gold == event.data.plan', 'Only event and async can be named here. A text needs quotes: "gold".'],
    [`event.data.a || 'b'`, 'For a default value write x != null ? x : y.'],
    [`lowercase(event.data.a).contains('b') && contains('a', 'b')`, 'Write x.contains(…).'],
    [`all(event.data.a, x)`, 'Write list.all(x, …).'],
  ])('%s: %s', (source, hint) => {
    expect(problem(source).hint).toBe(hint);
  });

  test('a long line is shown around the place', () => {
    const source = `${'true && '.repeat(100)}nope`;
    const [line = '', caret = ''] = problem(source).excerpt.split('\n');
    expect([line.length, line.slice(caret.length - 1)]).toEqual([64, 'nope']);
  });

  test('whatever the text, compiling gives a value and a place within the text', () => {
    const piece = fc.constantFrom(
      ...`event async .data ["k"] == != && || ! ( ) [ ] { } , : ? + - * / % < in 1 2.5 0x "a" ' \\ size( .all( has( x \n true null`.split(
        ' ',
      ),
      ' ',
      '\n',
    );
    const source = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.array(piece, { maxLength: 15 }).map((all) => all.join('')),
    );
    fc.assert(
      fc.property(source, (text) => {
        const compiled = compile(text, { place: 'pair' });
        if (compiled.ok) {
          const result = compiled.expression.evaluate({ event: { data: { k: [1] } }, async: {} }, { now: 0 });
          expect(typeof result.ok).toBe('boolean');
        } else {
          const { offset, line, column } = compiled.error.position;
          expect(offset >= 0 && offset <= text.length && line >= 1 && column >= 1).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('errors of an evaluation', () => {
  const secret = 'SECRET-7731';
  const data = { s: secret, n: 77_310_000, l: [secret], o: { k: secret }, b: true, z: 0 };
  test.each([
    [`event.data.s - 1`, '"-" does not take a string (event.data.s) and a number (a constant)', 1],
    [`1 +\n event.data.b`, '"+" does not take a number (a constant) and a boolean (event.data.b)', 1],
    [`event.data.s && true`, '"&&" needs a boolean, not a string (event.data.s)', 1],
    [`int(event.data.s)`, 'int: cannot convert a string (event.data.s)', 1],
    [`true && size(event.data.n) == 1`, 'size does not take a number (event.data.n)', 9],
    [`json_parse(event.data.s)`, 'json_parse: event.data.s is not JSON', 1],
    [`b64decode(event.data.l[0])`, 'b64decode: event.data.l[0] is not base64', 1],
    [`event.data.n / event.data.z`, 'division by zero: event.data.z', 1],
    [`1 in event.data.s`, '"in" needs a list or a map on its right side, not a string', 1],
    [`event.data.s.map(x, x)`, 'map needs a list or a map, not a string (event.data.s)', 14],
    [`event.data.l.all(x, x)`, '"all" needs a boolean, not a string (its condition)', 14],
    [`event.data.o["k"] * 2`, '"*" does not take a string (event.data.o[…]) and a number (a constant)', 1],
    [`{event.data.l: 1}`, 'a map cannot have a list as a key', 1],
    [`{event.data.s: 1, event.data.s: 2}`, 'a map has the same key twice', 1],
    [`'a'.matches(event.data.s + '(')`, 'matches: the pattern is not a valid RE2 expression', 5],
    [`date(event.data.s)`, 'date: cannot convert a string (event.data.s)', 1],
  ])('%s', (source, message, column) => {
    const result = evaluate(source, { data });
    if (result.ok) throw new Error('has a value');
    expect(result.error).toMatchObject({ kind: 'data', message, position: { line: 1, column } });
    expect(JSON.stringify(result)).not.toMatch(/7731/);
  });
});

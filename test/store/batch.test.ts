import { expect, test } from 'vitest';
import { utf8Length } from '../../src/lib/json.ts';
import { limits } from '../../src/protocol/limits.ts';
import { jsonChunks } from '../../src/store/batch.ts';

/** What D1 takes as one bound parameter; the local one takes more. */
const PARAMETER_BYTES = 2_000_000;

test('chunks hold all rows in their order, each chunk within one parameter of D1', () => {
  const rows = Array.from({ length: 4_000 }, (_, n) => ({ n, text: '汉"\\'.repeat(n % 200) }));
  const chunks = jsonChunks(rows);
  expect(chunks.length).toBeGreaterThan(1);
  expect(Math.max(...chunks.map(utf8Length))).toBeLessThan(PARAMETER_BYTES);
  expect(chunks.flatMap((chunk) => JSON.parse(chunk) as unknown[])).toEqual(rows);
});

test.for(['汉', '"', '\u0000', '👩', 'x'])(
  'a row with the longest text of %j fits, whatever stands beside it',
  (unit) => {
    const inner = JSON.stringify(unit.repeat(limits.rowText)).slice(0, limits.rowText);
    const chunks = jsonChunks([{ text: inner }, { small: true }, { text: inner }]);
    expect(Math.max(...chunks.map(utf8Length))).toBeLessThan(PARAMETER_BYTES);
  },
);

test('few rows are one chunk, none are none', () => {
  expect(jsonChunks([1, 'a', null])).toEqual(['[1,"a",null]']);
  expect(jsonChunks([])).toEqual([]);
});

import { afterEach, expect, test, vi } from 'vitest';
import { consoleLog } from '../../src/log.ts';

const lines: string[] = [];
const spy = vi.spyOn(console, 'error').mockImplementation((line: string) => void lines.push(line));
afterEach(() => void (lines.length = 0));

function logged(fields: Record<string, unknown>): Record<string, unknown> {
  consoleLog.error('it failed', fields);
  expect(spy).toHaveBeenCalled();
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>;
}

test('a line is one JSON object with its fields', () => {
  expect(logged({ runId: 'x', events: 3 })).toEqual({
    level: 'error',
    message: 'it failed',
    runId: 'x',
    events: 3,
  });
});

test('an error is name, flags and place: its text may quote anything', () => {
  const error = Object.assign(new TypeError('secret-value\nsecret-value'), {
    overloaded: true,
    retryable: false,
  });
  const line = logged({ error });
  expect(line['error']).toMatchObject({ name: 'TypeError', overloaded: true, retryable: false });
  expect((line['error'] as { at: string[] }).at[0]).toMatch(/^at .*log\.test/);
  expect(lines[0]).not.toContain('secret-value');
});

test.each([
  ['itself', new Error('D1_ERROR: no such table: event: SQLITE_ERROR')],
  [
    'as the cause of a failed query',
    new Error('params: secret-value', { cause: new Error('D1_ERROR: no such table: event: SQLITE_ERROR') }),
  ],
])('what the database says about its tables is kept: %s', (_, error) => {
  expect(logged({ error })['error']).toMatchObject({
    database: 'D1_ERROR: no such table: event: SQLITE_ERROR',
  });
  expect(lines[0]).not.toContain('secret-value');
});

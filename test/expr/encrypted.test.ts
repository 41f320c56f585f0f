import { expect, test } from 'vitest';
import { compileWait } from '../../src/expr/wait.ts';

test.each([
  'event.data.id == async.data.id',
  'async.data.user == "u"',
  'event.name == "user"',
  'event["data"]["user"] == async.data.user',
])('a wait may compare %s', (source) => {
  expect(compileWait(source).ok).toBe(true);
});

test.each([
  'event.user.id == async.user.id',
  'async["user"].id == "u"',
  'async.data.id == "x" && size(event.user) > 0',
  'event[async.data.member] == 1',
])('a wait may not read the encrypted user, as %s does (EVT-10)', (source) => {
  const compiled = compileWait(source);
  expect(compiled.ok ? null : compiled.error.message).toMatch(/`user` is encrypted/);
});

test('what does not compile at all keeps its own error, with its position (WE-20)', () => {
  const compiled = compileWait('event.data.id = 1');
  expect(compiled.ok ? null : compiled.error).toMatchObject({ position: { line: 1 } });
});

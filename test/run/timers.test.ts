/** Which inputs the clock brings, and when the object wakes (invariant 4). */
import { describe, expect, test } from 'vitest';
import { nextAlarm } from '../../src/run/state.ts';
import { dueInputs } from '../../src/run/timers.ts';
import { given, NOW } from './words.ts';

function due(words: string, after = 0): string {
  return dueInputs(given(words), NOW + after)
    .map((input) => ('id' in input ? `${input.type} ${input.id}` : input.type))
    .join(', ');
}

function alarm(words: string): number | null {
  const at = nextAlarm(given(words));
  return at === null ? null : at - NOW;
}

const HOURS_2 = 7_200_000;

describe('what is due', () => {
  test.each([
    ['executing', 9_999, ''],
    ['executing', 10_000, 'watchdog'],
    ['executing, a running', 10_000, 'watchdog'],
    ['executing', HOURS_2 - 1, 'watchdog'],
    ['executing', HOURS_2, 'entryOverdue, watchdog'],
    ['executing, a running', HOURS_2, 'stepOverdue a, watchdog'],
    ['executing, a running, b running', HOURS_2, 'stepOverdue a, stepOverdue b, watchdog'],
    ['executing, a retrying 1 -1 running', 0, ''],
    ['parked, s sleeping +5', 4, ''],
    ['parked, s sleeping +5', 5, 'stepDue s'],
    ['parked, s sleeping +5', 99_999_999, 'stepDue s'],
    ['parked, s sleeping +5, r retrying 1 +3', 9, 'stepDue r, stepDue s'],
    ['parked, due +5, s sleeping +3', 9, 'entryDue, stepDue s'],
    ['parked, due +5, unstarted', 4, ''],
    ['unknown', 0, 'watchdog'],
    ['unknown, s sleeping +5', 0, 'watchdog'],
    ['unknown, s sleeping +5', 5, 'stepDue s'],
    ['unknown, due +5', 5, 'entryDue'],
    ['executing, cancelling, s sleeping -1, r retrying 1 -1, a running', 0, ''],
    ['executing, entry 2, attempt 1, due -1, cancelling, a running', 0, ''],
    ['unknown, cancelling, s sleeping -1, r retrying 1 -1', 0, 'watchdog'],
  ])('%s, %i ms later: %s', (words, after, inputs) => {
    expect(due(words, after)).toBe(inputs);
  });
});

describe('when the object wakes', () => {
  test.each([
    ['executing', 10_000],
    ['executing, a running', 10_000],
    ['executing, s sleeping +5, t sleeping +3', 3],
    ['executing, s sleeping +99999', 10_000],
    ['executing, due +7, s sleeping +9', 7],
    ['executing, r retrying 1 -1 running', 10_000],
    ['executing, cancelling, s sleeping +5, a running', 10_000],
    ['parked, s sleeping +99999', 99_999],
    ['parked, due +5, unstarted', 5],
    ['parked', null],
    ['Completed, s sleeping +5', null],
    ['Failed, due +5', null],
  ])('%s: after %s ms', (words, at) => {
    expect(alarm(words)).toBe(at);
  });

  test('at once after a restart', () => {
    expect(nextAlarm(given('unknown, s sleeping +5'))).toBe(0);
  });
});

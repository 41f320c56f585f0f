/** Every input in every state that matters: `from` + input -> `to`: effects. The words are explained in words.ts. */
import { describe, expect, test } from 'vitest';
import { limits } from '../../src/protocol/limits.ts';
import { apply } from '../../src/run/apply.ts';
import { commit } from '../../src/run/commit.ts';
import type { RunInput } from '../../src/run/transition.ts';
import * as w from './words.ts';
import { given, NOW, RETRY, seen, seenEffects, take } from './words.ts';

const HOURS_2 = limits.stepRuntime;

interface Row {
  from: string;
  input: RunInput;
  to: string;
  effects?: string;
  /** Milliseconds after NOW at which the input comes. */
  at?: number;
  why: string;
}

function table(title: string, rows: Row[]) {
  describe(title, () => {
    for (const { from, input, to, effects = '', at = 0, why } of rows) {
      test(`${from} + ${inWords(input)} -> ${to}: ${effects || 'nothing'} (${why})`, () => {
        const { state, transition } = take(given(from), input, NOW + at);
        expect({ state: seen(state), effects: seenEffects(transition.effects) }).toEqual({
          state: to,
          effects,
        });
      });
    }
  });
}

function inWords(input: RunInput): string {
  if (input.type !== 'reported') return 'id' in input ? `${input.type} ${input.id}` : input.type;
  const { op } = input;
  return `${op.op} ${op.id}${op.attempt > 0 ? `#${op.attempt}` : ''}${op.op === 'StepError' && op.final ? ' final' : ''}`;
}

/** The same state, and nothing to do. */
function unchanged(from: string, input: RunInput, why: string, at?: number): Row {
  return { from, input, to: from, why, ...(at === undefined ? {} : { at }) };
}

table('a step is planned', [
  {
    from: 'executing',
    input: w.planned('a'),
    to: 'executing, a retrying 0 +0 running',
    effects: 'call a#0',
    why: 'wire 3.8: it is in the journal before it is called',
  },
  {
    from: 'executing, a ok, b retrying 0 +0 running',
    input: w.planned('c'),
    to: 'executing, a ok, b retrying 0 +0 running, c retrying 0 +0 running',
    effects: 'call c#0',
    why: 'wire 3.8: side by side',
    at: 0,
  },
  unchanged(
    'executing, a retrying 0 +0 running',
    w.planned('a'),
    'wire 3.8: planned again, it is called once',
  ),
  unchanged('executing, a retrying 1 +99', w.planned('a'), 'it waits for its retry'),
  unchanged('executing, a ok', w.planned('a'), 'invariant 2'),
  unchanged('executing, cancelling, a running', w.planned('b'), 'invariant 5'),
  {
    from: 'executing, a ok, b ok, c ok, d ok, e ok',
    input: w.planned('f'),
    to: 'Failed(StepLimitExceeded), a ok, b ok, c ok, d ok, e ok',
    effects: 'stop, report',
    why: 'LM-5',
  },
]);

table('a step is reported that nobody saw begin', [
  {
    from: 'executing',
    input: w.ok('a'),
    to: 'executing, a ok',
    effects: 'call',
    why: 'wire 3.8: run in the course of a call',
  },
  {
    from: 'executing',
    input: w.err('a'),
    to: 'executing, a retrying 1 +1000',
    effects: 'call',
    why: 'wire 3.6',
  },
  {
    from: 'executing, a ok, b ok, c ok, d ok, e ok',
    input: w.ok('f'),
    to: 'Failed(StepLimitExceeded), a ok, b ok, c ok, d ok, e ok',
    effects: 'stop, report',
    why: 'LM-5',
  },
]);

test('how remote code wants to be called: its first word counts (wire 3.8)', () => {
  const { state } = take(given('executing'), { type: 'spoke', version: 2 }, NOW);
  expect(state.run.version).toBe(2);
  expect(take(state, { type: 'spoke', version: 1 }, NOW).transition).toEqual({ changes: {}, effects: [] });
});

test('a step in a race stays one (wire 3.8)', () => {
  const { state } = take(given('executing'), w.planned('a', true), NOW);
  expect(take(state, w.ok('a'), NOW).state.steps.get('a')).toMatchObject({
    state: 'settled',
    planned: true,
    race: true,
  });
});

table('a step begins', [
  { from: 'executing', input: w.began('a'), to: 'executing, a running', why: 'MX-3' },
  { from: 'executing, a running', input: w.began('b'), to: 'executing, a running, b running', why: 'PA-1' },
  { from: 'executing, a ok', input: w.began('b'), to: 'executing, a ok, b running', why: 'OI-1' },
  {
    from: 'parked, a sleeping +99',
    input: w.began('b'),
    to: 'executing, a sleeping +99, b running',
    why: 'PA-9',
  },
  unchanged('executing, a ok', w.began('a'), 'invariant 2: it has its outcome, MX-7'),
  unchanged('executing, a failed', w.began('a'), 'invariant 2, ER-1'),
  unchanged('executing, a retrying 1 +99', w.began('a'), 'that attempt is over'),
  unchanged('executing, a retrying 1 +99', w.began('a', 2), 'that attempt is not due yet'),
  unchanged('executing, cancelling, a running', w.began('b'), 'invariant 5, CX-26'),
  unchanged('executing, a running', w.began('a'), 'it executes already, PA-12', 5),
  {
    from: 'executing, a ok, b ok, c failed, d retrying 1 +99, e running',
    input: w.began('f'),
    to: 'Failed(StepLimitExceeded), a ok, b ok, c failed, d retrying 1 +99, e running',
    effects: 'stop, report',
    why: 'LM-5, LM-11: the sixth of five',
  },
  {
    from: 'executing, a ok, b ok, c ok, d sleeping +99',
    input: w.began('e'),
    to: 'executing, a ok, b ok, c ok, d sleeping +99, e running',
    why: 'LM-5: the fifth of five',
  },
]);

table('a step is reported to have succeeded', [
  { from: 'executing, a running', input: w.ok('a'), to: 'executing, a ok', effects: 'call', why: 'SR-4' },
  {
    from: 'executing, a running, b running',
    input: w.ok('b'),
    to: 'executing, b ok, a running',
    effects: 'call',
    why: 'PA-4',
  },
  {
    from: 'executing, a retrying 1 -1 running',
    input: w.ok('a', 1, 1),
    to: 'executing, a ok',
    effects: 'call',
    why: 'MX-23',
  },
  {
    from: 'executing, entry 2, attempt 1, a running',
    input: w.ok('a'),
    to: 'executing, entry 3, a ok',
    effects: 'call entry 3',
    why: 'HC-7, RT-9: the attempt is 0 again',
  },
  {
    from: 'executing, entry 2, attempt 1, due +50, a running',
    input: w.ok('a'),
    to: 'parked, entry 2, attempt 1, due +50, a ok',
    why: 'the handler is only entered when its retry is due',
  },
  {
    from: 'executing, entry 2, attempt 1, due +50, a running, b running',
    input: w.ok('a'),
    to: 'executing, entry 2, attempt 1, due +50, a ok, b running',
    why: 'b executes on, so the object keeps looking',
  },
  {
    from: 'executing, losses 4, a running',
    input: w.ok('a'),
    to: 'executing, a ok',
    effects: 'call',
    why: 'progress',
  },
  unchanged('executing', { type: 'parked', entry: 1 }, 'nothing would wake it'),
  {
    from: 'executing, a ok',
    input: w.ok('a', 2),
    to: 'executing, a ok late 1',
    why: 'invariants 2 and 3, MX-19, AT-8: the first outcome stands',
  },
  {
    from: 'executing, a failed',
    input: w.ok('a'),
    to: 'executing, a failed late 1',
    why: 'invariants 2 and 3, ER-1',
  },
  {
    from: 'executing, a retrying 1 +99',
    input: w.ok('a'),
    to: 'executing, a retrying 1 +99 late 1',
    why: 'invariant 3: an answer of attempt 0 after it was given up',
  },
  {
    from: 'executing, a retrying 2 -1 running',
    input: w.ok('a', 1, 1),
    to: 'executing, a retrying 2 -1 running late 1',
    why: 'invariant 3',
  },
  unchanged('executing', w.ok('a', 1, 1), 'invariant 3: nothing is known of attempt 0'),
]);

table('a step is reported to have failed', [
  {
    from: 'executing, a running',
    input: w.err('a'),
    to: `executing, a retrying 1 +${RETRY}`,
    effects: 'call',
    why: 'SR-3, MX-23',
  },
  {
    from: 'executing, a retrying 1 -1 running',
    input: w.err('a', 1),
    to: `executing, a retrying 2 +${RETRY}`,
    effects: 'call',
    why: 'RT-7',
  },
  {
    from: 'executing, a retrying 2 -1 running',
    input: w.err('a', 2),
    to: 'executing, a failed',
    effects: 'call',
    why: 'MX-24: no attempt is left',
  },
  {
    from: 'executing, a running',
    input: w.err('a', 0, { final: true }),
    to: 'executing, a failed',
    effects: 'call',
    why: 'ER-9',
  },
  {
    from: 'executing, entry 2, attempt 1, a running',
    input: w.err('a', 0, { final: true }),
    to: 'executing, entry 2, attempt 1, a failed',
    effects: 'call entry 2 attempt 1',
    why: 'RT-9: only a step that succeeds sets the attempt back',
  },
  {
    from: 'executing, a running',
    input: w.err('a', 0, { retryAfter: { in: 77 } }),
    to: 'executing, a retrying 1 +77',
    effects: 'call',
    why: 'ER-13',
  },
  {
    from: 'executing, a retrying 2 -1 running',
    input: w.err('a', 2, { retryAfter: { in: 77 } }),
    to: 'executing, a failed',
    effects: 'call',
    why: 'ER-14: it adds no attempt',
  },
  {
    from: 'executing, entry 2, attempt 1, due +50, a running',
    input: w.err('a'),
    to: `parked, entry 2, attempt 1, due +50, a retrying 1 +${RETRY}`,
    why: 'both wait',
  },
  {
    from: 'executing, a retrying 1 +99',
    input: w.err('a'),
    to: 'executing, a retrying 1 +99 late 1',
    why: 'invariant 3',
  },
  { from: 'executing, a ok', input: w.err('a'), to: 'executing, a ok late 1', why: 'invariant 2' },
  {
    from: 'executing, losses 4, a running',
    input: w.err('a'),
    to: `executing, a retrying 1 +${RETRY}`,
    effects: 'call',
    why: 'an answer is progress: the host was not lost',
  },
]);

table('a sleep is reported', [
  { from: 'executing', input: w.sleep('s', 50), to: 'executing, s sleeping +50', why: 'SL-2' },
  {
    from: 'executing',
    input: w.sleepUntil('s', { at: NOW + 50 }),
    to: 'executing, s sleeping +50',
    why: 'SU-1',
  },
  { from: 'executing', input: w.sleep('s', 0), to: 'executing, s ok', effects: 'call', why: 'SL-8' },
  { from: 'executing', input: w.sleep('s', -5), to: 'executing, s ok', effects: 'call', why: 'SL-8' },
  {
    from: 'executing',
    input: w.sleepUntil('s', { at: 0 }),
    to: 'executing, s ok',
    effects: 'call',
    why: 'SU-4',
  },
  unchanged(
    'executing, s sleeping +50',
    w.sleep('s', 99),
    'MX-20, SU-6, AT-11: the first registration stands',
  ),
  unchanged('executing, s ok', w.sleep('s', 99), 'MX-20: not even late'),
  unchanged('executing, s running', w.sleep('s', 99), 'invariant 2: one id, one step'),
  unchanged('executing, cancelling, a running', w.sleep('s', 99), 'invariant 5'),
  {
    from: 'executing, a ok, b ok, c ok, d ok, e ok',
    input: w.sleep('s', 99),
    to: 'Failed(StepLimitExceeded), a ok, b ok, c ok, d ok, e ok',
    effects: 'stop, report',
    why: 'LM-12: sleeps count',
  },
  {
    from: 'executing',
    input: w.sleep('s', limits.sleep),
    to: `executing, s sleeping +${limits.sleep}`,
    why: 'SL-4',
  },
  {
    from: 'executing',
    input: w.sleep('s', limits.sleep + 1),
    to: 'executing, s failed',
    effects: 'call',
    why: 'SL-4',
  },
  {
    from: 'executing',
    input: w.sleepUntil('s', { at: NOW + limits.sleep + 1 }),
    to: 'executing, s failed',
    effects: 'call',
    why: 'SU-5',
  },
]);

table('the handler returns', [
  { from: 'executing', input: w.returned(), to: 'Completed', effects: 'stop, report', why: 'HC-12' },
  {
    from: 'executing, a ok',
    input: w.returned(),
    to: 'Completed, a ok',
    effects: 'stop, report',
    why: 'HC-12',
  },
  {
    from: 'parked, s sleeping +50',
    input: w.returned(),
    to: 'Completed, s sleeping +50',
    effects: 'stop, report',
    why: 'ST-8: it has not waited for its sleep',
  },
  unchanged('executing, entry 2', w.returned('late', 1), 'invariant 3'),
  unchanged('parked, entry 2, attempt 1, due +50', w.returned('late', 1), 'invariant 3'),
  {
    from: 'executing, cancelling, a running',
    input: w.returned(),
    to: 'Cancelled, cancelling, a running',
    effects: 'stop, report',
    why: 'CX-25',
  },
]);

table('the handler throws', [
  {
    from: 'executing, losses 5',
    input: w.threw(),
    to: `parked, entry 2, attempt 1, due +${RETRY}`,
    why: 'an answer is progress',
  },
  { from: 'executing', input: w.threw(), to: `parked, entry 2, attempt 1, due +${RETRY}`, why: 'RT-7' },
  {
    from: 'executing, entry 2, attempt 1',
    input: w.threw(2),
    to: `parked, entry 3, attempt 2, due +${RETRY}`,
    why: 'RT-7',
  },
  {
    from: 'executing, entry 3, attempt 2',
    input: w.threw(3),
    to: 'Failed(Error), entry 3, attempt 2',
    effects: 'stop, report',
    why: 'RN-4, RT-3',
  },
  {
    from: 'executing',
    input: w.threw(1, { final: true }),
    to: 'Failed(Error)',
    effects: 'stop, report',
    why: 'ER-9, ER-19',
  },
  {
    from: 'executing',
    input: w.threw(1, { retryAfter: { at: NOW + 9 } }),
    to: 'parked, entry 2, attempt 1, due +9',
    why: 'ER-13',
  },
  {
    from: 'executing, a running',
    input: w.threw(),
    to: `executing, entry 2, attempt 1, due +${RETRY}, a running`,
    why: 'PA-13: a finishes, so the object keeps looking',
  },
  {
    from: 'executing, a running',
    input: w.threw(1, { final: true }),
    to: 'Failed(Error), a running',
    effects: 'stop, report',
    why: 'RN-4',
  },
  unchanged('executing, entry 2, attempt 1', w.threw(1), 'invariant 3'),
  {
    from: 'executing, cancelling, a running',
    input: w.threw(),
    to: 'Cancelled, cancelling, a running',
    effects: 'stop, report',
    why: 'CX-25: not retried',
  },
]);

table('the handler waits', [
  { from: 'executing, s sleeping +50', input: w.parked(), to: 'parked, s sleeping +50', why: 'MX-26' },
  { from: 'executing, a retrying 1 +50', input: w.parked(), to: 'parked, a retrying 1 +50', why: 'MX-26' },
  {
    from: 'executing, losses 3, s sleeping +50',
    input: w.parked(),
    to: 'parked, s sleeping +50',
    why: 'code that waits for us has not taken its host down',
  },
  unchanged('executing', w.parked(), 'invariant 4: nothing would wake it'),
  unchanged('executing, a ok', w.parked(), 'invariant 4'),
  unchanged('executing, s sleeping +50, a running', w.parked(), 'invariant 4: a executes'),
  unchanged('executing, entry 2, s sleeping +50', w.parked(1), 'invariant 3'),
  unchanged('unknown, s sleeping +50', w.parked(), 'nobody can know'),
  unchanged('parked, s sleeping +50', w.parked(), 'it does already'),
]);

table('a cancellation is asked for', [
  {
    from: 'executing',
    input: w.cancelled,
    to: 'Cancelled',
    effects: 'stop, report',
    why: 'CX-22: between steps',
  },
  {
    from: 'parked, due +50, unstarted',
    input: w.cancelled,
    to: 'Cancelled, unstarted',
    effects: 'stop, report',
    why: 'CX-22',
  },
  {
    from: 'parked, s sleeping +50',
    input: w.cancelled,
    to: 'Cancelled, s sleeping +50',
    effects: 'stop, report',
    why: 'CX-22, CX-24, SL-10',
  },
  {
    from: 'parked, a retrying 1 +50',
    input: w.cancelled,
    to: 'Cancelled, a retrying 1 +50',
    effects: 'stop, report',
    why: 'CX-22',
  },
  {
    from: 'parked, entry 2, attempt 1, due +50',
    input: w.cancelled,
    to: 'Cancelled, entry 2, attempt 1',
    effects: 'stop, report',
    why: 'CX-22',
  },
  {
    from: 'unknown, a ok',
    input: w.cancelled,
    to: 'Cancelled, a ok',
    effects: 'stop, report',
    why: 'what ran is lost',
  },
  { from: 'executing, a running', input: w.cancelled, to: 'executing, cancelling, a running', why: 'CX-23' },
  unchanged('executing, cancelling, a running', w.cancelled, 'CX-30', 5),
  {
    from: 'executing, cancelling, a running',
    input: w.ok('a'),
    to: 'Cancelled, cancelling, a ok',
    effects: 'stop, report',
    why: 'CX-24, CX-25',
  },
  {
    from: 'executing, cancelling, a running',
    input: w.err('a'),
    to: `Cancelled, cancelling, a retrying 1 +${RETRY}`,
    effects: 'stop, report',
    why: 'CX-25: not retried',
  },
  {
    from: 'executing, cancelling, a running',
    input: w.err('a', 0, { final: true }),
    to: 'Cancelled, cancelling, a failed',
    effects: 'stop, report',
    why: 'CX-25',
  },
  {
    from: 'executing, cancelling, a running, b running',
    input: w.ok('a'),
    to: 'executing, cancelling, a ok, b running',
    why: 'CX-26: b finishes first, and the handler does not go on',
  },
  {
    from: 'executing, cancelling, a running, b running',
    input: w.err('a'),
    to: `executing, cancelling, a retrying 1 +${RETRY}, b running`,
    why: 'CX-26',
  },
  unchanged('executing, cancelling, b retrying 1 -1, a running', w.stepDue('b'), 'invariant 5, CX-26'),
  unchanged('executing, cancelling, s sleeping -1, a running', w.stepDue('s'), 'CX-27'),
  unchanged(
    'executing, entry 2, attempt 1, due -1, cancelling, a running',
    w.entryDue,
    'CX-22: nothing further runs',
  ),
  {
    from: 'unknown, cancelling, b retrying 1 +50',
    input: w.watchdog,
    to: 'Cancelled, cancelling, b retrying 1 +50',
    effects: 'stop, report',
    why: 'CX-26: what executed is lost',
  },
  {
    from: 'executing, cancelling, a running',
    input: w.stepOverdue('a'),
    at: HOURS_2,
    to: `Cancelled, cancelling, a retrying 1 +${HOURS_2 + RETRY}`,
    effects: 'stop, report',
    why: 'CX-26: its time is over',
  },
]);

table('the entry is due', [
  { from: 'parked, due -1, unstarted', input: w.entryDue, to: 'executing', effects: 'call', why: 'TR-17' },
  {
    from: 'parked, entry 2, attempt 1, due +0',
    input: w.entryDue,
    to: 'executing, entry 2, attempt 1',
    effects: 'call entry 2 attempt 1',
    why: 'RT-7',
  },
  {
    from: 'unknown, entry 2, attempt 1, due -9',
    input: w.entryDue,
    to: 'executing, entry 2, attempt 1',
    effects: 'call entry 2 attempt 1',
    why: 'RN-5',
  },
  {
    from: 'executing, entry 2, attempt 1, due -9, a running',
    input: w.entryDue,
    to: 'executing, entry 2, attempt 1, a running',
    effects: 'call entry 2 attempt 1',
    why: 'a of the entry before goes on',
  },
  unchanged('parked, due +1, unstarted', w.entryDue, 'too early'),
  unchanged('executing', w.entryDue, 'none is due'),
]);

table('a step is due', [
  {
    from: 'parked, s sleeping +0',
    input: w.stepDue('s'),
    to: 'executing, s ok',
    effects: 'call',
    why: 'SL-2',
  },
  {
    from: 'unknown, s sleeping -9',
    input: w.stepDue('s'),
    to: 'executing, s ok',
    effects: 'call',
    why: 'RN-5',
  },
  {
    from: 'executing, s sleeping -9, t sleeping +50',
    input: w.stepDue('s'),
    to: 'executing, s ok, t sleeping +50',
    effects: 'call',
    why: 'SL-12',
  },
  {
    from: 'parked, entry 2, attempt 1, due +50, s sleeping -9',
    input: w.stepDue('s'),
    to: 'parked, entry 2, attempt 1, due +50, s ok',
    why: 'the handler sees it at its retry',
  },
  {
    from: 'parked, entry 2, attempt 1, s sleeping -9',
    input: w.stepDue('s'),
    to: 'executing, entry 3, s ok',
    effects: 'call entry 3',
    why: 'RT-9: a sleep is a step that succeeds',
  },
  unchanged('parked, s sleeping +1', w.stepDue('s'), 'SL-5: never less'),
  {
    from: 'parked, a retrying 1 -1',
    input: w.stepDue('a'),
    to: 'executing, a retrying 1 -1 running',
    effects: 'call a#1',
    why: 'PA-3, RT-8',
  },
  unchanged('parked, a retrying 1 +1', w.stepDue('a'), 'RT-10: too early'),
  unchanged('executing, a retrying 1 -1 running', w.stepDue('a'), 'it executes'),
  unchanged('executing, a ok', w.stepDue('a'), 'invariant 2'),
  unchanged('executing', w.stepDue('a'), 'unknown'),
]);

table('user code takes too long', [
  unchanged('executing, a running', w.stepOverdue('a'), 'LM-2', HOURS_2 - 1),
  {
    from: 'executing, a running',
    input: w.stepOverdue('a'),
    at: HOURS_2,
    to: `executing, a retrying 1 +${HOURS_2 + RETRY}`,
    effects: 'call',
    why: 'ST-11',
  },
  {
    from: 'executing, a retrying 2 -1 running',
    input: w.stepOverdue('a'),
    at: HOURS_2,
    to: 'executing, a failed',
    effects: 'call',
    why: 'ST-11: the last attempt',
  },
  unchanged('executing, a ok', w.stepOverdue('a'), 'it has answered', HOURS_2),
  unchanged('executing', w.entryOverdue, 'LM-2', HOURS_2 - 1),
  {
    from: 'executing',
    input: w.entryOverdue,
    at: HOURS_2,
    to: `parked, entry 2, attempt 1, due +${HOURS_2 + RETRY}`,
    why: 'ST-11',
  },
  unchanged('executing, a running', w.entryOverdue, 'the step has its own time', HOURS_2),
  unchanged('parked, s sleeping +9', w.entryOverdue, 'MX-26: waiting takes as long as it takes', HOURS_2),
  {
    from: 'executing, entry 3, attempt 2',
    input: w.entryOverdue,
    at: HOURS_2,
    to: 'Failed(TimeoutError), entry 3, attempt 2',
    effects: 'stop, report',
    why: 'ST-11, RN-4',
  },
]);

table('a look at user code', [
  {
    from: 'executing',
    input: w.watchdog,
    to: 'executing',
    effects: 'call',
    at: 10_000,
    why: 'invariant 4: look again',
  },
  {
    from: 'executing, a running',
    input: w.watchdog,
    to: 'executing, a running',
    effects: 'call',
    at: 10_000,
    why: 'invariant 4',
  },
  unchanged('parked, s sleeping +50', w.watchdog, 'no user code runs'),
  {
    from: 'unknown, a ok',
    input: w.watchdog,
    to: 'executing, losses 1, a ok',
    effects: 'call',
    why: 'RN-5: entered again at once',
  },
  {
    from: 'unknown, losses 1',
    input: w.watchdog,
    to: 'parked, due +1000, losses 2',
    why: 'lost twice: later',
  },
  { from: 'unknown, losses 2', input: w.watchdog, to: 'parked, due +2000, losses 3', why: 'and later' },
  {
    from: 'unknown, losses 18',
    input: w.watchdog,
    to: 'parked, due +60000, losses 19',
    why: 'but at most a minute',
  },
  {
    from: 'unknown, losses 19',
    input: w.watchdog,
    to: 'Failed(RunLost), losses 19',
    effects: 'stop, report',
    why: 'the 20th loss in a row',
  },
  {
    from: 'unknown, due +50, unstarted, losses 19',
    input: w.watchdog,
    to: 'parked, due +50, unstarted, losses 19',
    why: 'no code of it was running',
  },
]);

table('a step is due after the object was lost', [
  {
    from: 'unknown, a retrying 1 -9999',
    input: w.stepDue('a'),
    to: 'executing, a retrying 1 -9999 running',
    effects: 'call, call a#1',
    why: 'woken by its timer; only the handler knows what else there was',
  },
  {
    from: 'unknown, entry 2, attempt 1, due +50, a retrying 1 -1',
    input: w.stepDue('a'),
    to: 'executing, entry 2, attempt 1, due +50, a retrying 1 -1 running',
    effects: 'call a#1',
    why: 'the handler has a retry of its own ahead',
  },
  {
    from: 'unknown, a retrying 1 -10000',
    input: w.stepDue('a'),
    to: 'executing, losses 1, a retrying 1 -10000 running',
    effects: 'call, call a#1',
    why: 'woken by the watchdog: this attempt was under way',
  },
  {
    from: 'unknown, losses 1, a retrying 1 -10000',
    input: w.stepDue('a'),
    to: 'parked, due +1000, losses 2, a retrying 1 +1000',
    why: 'it may be what takes its host down: later',
  },
  {
    from: 'unknown, entry 2, attempt 1, due +50, losses 3, a retrying 1 -10000',
    input: w.stepDue('a'),
    to: 'parked, entry 2, attempt 1, due +50, losses 4, a retrying 1 +4000',
    why: 'and later',
  },
  {
    from: 'unknown, losses 19, a retrying 1 -10000',
    input: w.stepDue('a'),
    to: 'Failed(RunLost), losses 19, a retrying 1 -10000',
    effects: 'stop, report',
    why: 'and not for ever',
  },
]);

const inputs: RunInput[] = [
  w.started(),
  w.began('a'),
  w.began('new'),
  w.ok('a'),
  w.ok('new'),
  w.err('a'),
  w.sleep('new', 5),
  w.sleep('new', 0),
  w.returned(),
  w.threw(),
  w.threw(1, { final: true }),
  w.parked(),
  w.cancelled,
  w.entryDue,
  w.stepDue('a'),
  w.stepDue('s'),
  w.stepDue('r'),
  w.stepOverdue('a'),
  w.entryOverdue,
  w.watchdog,
];

describe('invariant 1: a run that has ended never changes again (RN-3, CX-30)', () => {
  const ends = ['Completed', 'Failed', 'Cancelled'].flatMap((end) => [
    end,
    `${end}, a ok, s sleeping -1, r retrying 1 -1`,
    `${end}, a running`,
  ]);
  test.each(ends)('%s + anything -> the same', (from) => {
    for (const input of inputs) {
      const { changes, effects } = apply(given(from), input, NOW + HOURS_2);
      expect({ input, changes, effects }).toEqual({ input, changes: {}, effects: [] });
    }
  });
});

describe('before the start', () => {
  test('nothing but a start does anything', () => {
    for (const input of inputs.slice(1))
      expect(apply(null, input, NOW)).toEqual({ changes: {}, effects: [] });
  });

  test('a start now enters the handler, with an alarm ahead (invariant 4)', () => {
    const { changes, effects } = apply(null, w.started(NOW), NOW);
    const state = commit(null, changes);
    expect(seen(state)).toBe('executing');
    expect(seenEffects(effects)).toBe('call');
    expect(state.run.startedAt).toBe(NOW);
    expect(state.live.watchdog).toBe(NOW + 10_000);
  });

  test('a start in the future waits for it (TR-17)', () => {
    const { changes, effects } = apply(null, w.started(NOW + 1), NOW);
    expect(seen(commit(null, changes))).toBe('parked, due +1, unstarted');
    expect(effects).toEqual([]);
  });

  test('a second start changes nothing', () => {
    expect(apply(given('executing'), w.started(), NOW)).toEqual({ changes: {}, effects: [] });
  });
});

describe('what is kept of a step', () => {
  test('each failed attempt, with number, error and time (ER-5)', () => {
    let { state } = take(given('executing, a running'), w.err('a'), NOW + 1);
    ({ state } = take(state, w.stepDue('a'), NOW + 1 + RETRY));
    ({ state } = take(state, w.err('a', 1), NOW + 2_000));
    expect(state.steps.get('a')?.failures).toEqual([
      { attempt: 0, at: NOW + 1, error: w.boom },
      { attempt: 1, at: NOW + 2_000, error: w.boom },
    ]);
  });

  test('its start is when its first attempt began', () => {
    let { state } = take(given('executing'), w.began('a'), NOW + 5);
    ({ state } = take(state, w.err('a'), NOW + 9));
    ({ state } = take(state, w.stepDue('a'), NOW + 9 + RETRY));
    ({ state } = take(state, w.ok('a', 1, 1), NOW + 2_000));
    expect(state.steps.get('a')).toMatchObject({ startedAt: NOW + 5, endedAt: NOW + 2_000, ok: true });
  });

  test('completion order is the order of settling, row order that of first report (MX-27, OI-3)', () => {
    let state = given('executing, a running, b running, c running');
    for (const input of [w.err('a'), w.ok('c'), w.ok('b')]) ({ state } = take(state, input));
    ({ state } = take(state, w.stepDue('a'), NOW + RETRY));
    ({ state } = take(state, w.ok('a', 1, 1), NOW + RETRY));
    const order = [...state.steps.values()].map((step) => [
      step.id,
      step.seq,
      step.state === 'settled' && step.order,
    ]);
    expect(order).toEqual([
      ['a', 0, 2],
      ['c', 1, 0],
      ['b', 2, 1],
    ]);
  });

  test('a finished sleep is memoized as null (SL-9)', () => {
    const { transition } = take(given('parked, s sleeping -1'), w.stepDue('s'));
    expect(transition.changes.step?.data).toBe('null');
  });

  test('a sleep that is too long is a failed sleep, and its error gives the limit (SL-4)', () => {
    const { state, transition } = take(given('executing'), w.sleep('s', limits.sleep + 1));
    expect(state.steps.get('s')).toMatchObject({ op: 'Sleep', ok: false });
    expect(transition.changes.step?.data).toContain('366 days');
  });

  test('the error of a step that failed for good is its data (MX-24)', () => {
    const { transition } = take(given('executing, a running'), w.err('a', 0, { final: true }));
    expect(JSON.parse(transition.changes.step?.data ?? '')).toEqual(w.boom);
  });
});

describe('the watchdog', () => {
  test.each([w.began('b'), w.ok('a'), w.err('a'), w.stepDue('s')])(
    'stays where it is while code runs: %o',
    (input) => {
      const { state } = take(given('executing, a running, s sleeping +1'), input, NOW + 5);
      expect([state.live.watchdog, state.live.since]).toEqual([NOW + 10_000, NOW + 5]);
    },
  );

  test('is set anew when code runs again (invariant 4)', () => {
    const { state } = take(given('parked, s sleeping +1'), w.stepDue('s'), NOW + 5);
    expect(state.live.watchdog).toBe(NOW + 10_005);
  });

  test('is no news itself (ST-11)', () => {
    const { state } = take(given('executing'), w.watchdog, NOW + 10_000);
    expect([state.live.watchdog, state.live.since]).toEqual([NOW + 20_000, NOW]);
  });
});

describe('what is kept of a run', () => {
  test('its output (HC-12)', () => {
    expect(take(given('executing'), w.returned({ n: 1 })).transition.changes.output).toBe('{"n":1}');
  });

  test('the error that it failed with, and every failed attempt (ER-5, RA-16)', () => {
    let { state, transition } = take(given('executing'), w.threw());
    ({ state } = take(state, w.entryDue, NOW + RETRY));
    ({ state, transition } = take(state, w.threw(2, { final: true }), NOW + 2_000));
    expect(state.run.failures).toEqual([
      { attempt: 0, at: NOW, error: w.boom },
      { attempt: 1, at: NOW + 2_000, error: w.boom },
    ]);
    expect(transition.changes.output).toBe(JSON.stringify(w.boom));
  });

  test('a return after the cancellation was asked for: for display only (CX-25)', () => {
    expect(take(given('executing, cancelling, a running'), w.returned(7)).transition.changes.output).toBe(
      '7',
    );
  });

  test('the end and its moment', () => {
    expect(take(given('executing'), w.returned(), NOW + 3).state.run.end).toEqual({
      status: 'Completed',
      at: NOW + 3,
    });
  });
});

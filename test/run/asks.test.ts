import { describe, expect, test } from 'vitest';
import type { Op } from '../../src/protocol/op.ts';
import type { StepAnswer } from '../../src/protocol/run.ts';
import { apply } from '../../src/run/apply.ts';
import { commit, load } from '../../src/run/commit.ts';
import { runEnding } from '../../src/run/ending.ts';
import { nextAlarm, type RunConfig, type RunState } from '../../src/run/state.ts';
import { dueInputs } from '../../src/run/timers.ts';
import type { Effect, RunInput } from '../../src/run/transition.ts';
import { limits } from '../../src/protocol/limits.ts';
import { runTrace } from '../../src/run/view.ts';
import { config, NOW } from './words.ts';

const wait: Op = {
  op: 'WaitForEvent',
  id: 'w',
  name: 'wait for payment',
  attempt: 0,
  event: 'shop/paid',
  expression: 'event.data.id == async.data.id',
  timeout: { in: 1_000 },
  lookBack: 'run',
};
const invoke: Op = {
  op: 'InvokeFunction',
  id: 'i',
  name: 'invoke',
  attempt: 0,
  functionId: 'app-other',
  payload: '{"data":{"n":1}}',
  timeout: { in: 5_000 },
};
const noTexts = { output: () => null, stepData: () => null, stepInput: () => null };
const paid: StepAnswer = { ok: true, data: '{"name":"shop/paid"}' };

/** Feeds a run from its start, and keeps what it asked of the world. */
class Fed {
  state: RunState;
  now = NOW;
  readonly effects: Effect[] = [];

  constructor(over: Partial<RunConfig> = {}, startAt = NOW) {
    const { changes, effects } = apply(
      null,
      { type: 'started', config: { ...config, ...over }, startAt },
      NOW,
    );
    this.state = commit(null, changes);
    this.effects.push(...effects);
  }

  feed(...inputs: RunInput[]): Effect[] {
    const all = inputs.flatMap((input) => {
      const { changes, effects } = apply(this.state, input, this.now);
      commit(this.state, changes);
      return effects;
    });
    this.effects.push(...all);
    return all;
  }

  report(op: Op): Effect[] {
    return this.feed({ type: 'reported', op });
  }

  /** Memory is lost; the rows and the alarm are left. */
  crash(): this {
    this.state = load(this.state.config, this.state.run, [...this.state.steps.values()]);
    return this;
  }

  alarm(after: number): Effect[] {
    this.now = NOW + after;
    return this.feed(...dueInputs(this.state, this.now));
  }
}

const kinds = (effects: Effect[]): string[] =>
  effects.map((effect) => ('key' in effect ? `${effect.type} ${effect.key}` : effect.type));

describe('a step that waits for an event', () => {
  test('is written down before anybody is asked, and keeps the run awake until that is acknowledged (WE-10)', () => {
    const run = new Fed();
    expect(kinds(run.report(wait))).toEqual(['ask w']);
    expect(run.state.steps.get('w')).toMatchObject({ state: 'waiting', due: NOW + 1_000 });
    run.feed({ type: 'parked', entry: 1 });
    expect(run.state.live.phase).toBe('executing');
    expect(kinds(run.feed({ type: 'acknowledged', key: 'w' }))).toEqual(['call']);
    run.feed({ type: 'parked', entry: 1 });
    expect(run.state.live.phase).toBe('parked');
    expect(nextAlarm(run.state)).toBe(NOW + 1_000);
  });

  test.each([
    ['to the event that started the run, by default', 'run' as const, null],
    ['for a given time', 300, NOW + 700 - 300],
  ])('looks back %s', (_, lookBack, since) => {
    const run = new Fed();
    run.now = NOW + 700;
    run.report({ ...wait, lookBack });
    expect(run.state.steps.get('w')).toMatchObject({ ask: { since } });
  });

  test('an event settles it, once: the first answer stands (WE-12, MX-19)', () => {
    const run = new Fed();
    run.report(wait);
    expect(kinds(run.feed({ type: 'answered', id: 'w', answer: paid }))).toEqual(['call']);
    const before = structuredClone(run.state.steps.get('w'));
    expect(run.feed({ type: 'answered', id: 'w', answer: { ok: true, data: 'null' } })).toEqual([]);
    expect(run.state.steps.get('w')).toEqual(before);
    expect(run.state.live.asks.size).toBe(0);
  });

  test('is asked for once, however often it is reported (MX-20)', () => {
    const run = new Fed();
    run.report(wait);
    run.now += 500;
    expect(run.report(wait)).toEqual([]);
    expect(run.state.steps.get('w')).toMatchObject({ due: NOW + 1_000 });
  });

  test('at its deadline others decide whether an event came in time (WE-12)', () => {
    const run = new Fed();
    run.report(wait);
    run.feed({ type: 'acknowledged', key: 'w' }, { type: 'parked', entry: 1 });
    expect(kinds(run.alarm(1_000))).toEqual(['expire w']);
    expect(nextAlarm(run.state)).toBe(NOW + 1_000 + 10_000);
    run.feed({ type: 'answered', id: 'w', answer: { ok: true, data: 'null' } });
    expect(run.state.steps.get('w')).toMatchObject({ state: 'settled', ok: true });
  });

  test('what is not acknowledged is asked again when the watchdog looks', () => {
    const run = new Fed();
    run.report({ ...wait, timeout: { in: 60_000 } });
    expect(kinds(run.alarm(10_000))).toEqual(['ask w', 'call']);
  });

  test('after a crash it is asked for again, whatever was acknowledged', () => {
    const run = new Fed();
    run.report({ ...wait, timeout: { in: 60_000 } });
    run.feed({ type: 'acknowledged', key: 'w' });
    expect(kinds(run.crash().alarm(10_000))).toEqual(['call', 'ask w']);
  });

  test('after a crash it is asked for again, also when an answer to something else comes first', () => {
    const run = new Fed({ cancelOn: [{ event: 'a/stop', expression: null, until: NOW + 90_000 }] });
    run.report({ ...wait, timeout: { in: 60_000 } });
    const effects = run.crash().feed({ type: 'answered', id: 'w', answer: { ok: true, data: '1' } });
    expect(kinds(effects)).toEqual(['call', 'ask cancel:0']);
  });

  test('after a crash past its deadline it expires', () => {
    const run = new Fed();
    run.report(wait);
    expect(kinds(run.crash().alarm(1_000))).toContain('expire w');
  });

  test.each([
    ['the longest timeout is taken', limits.sleep, 'waiting'],
    ['a longer one fails the step for good (WE-19)', limits.sleep + 1, 'settled'],
  ])('%s', (_, ms, state) => {
    const run = new Fed();
    run.report({ ...wait, timeout: { in: ms } });
    expect(run.state.steps.get('w')).toMatchObject({ state, ...(state === 'settled' ? { ok: false } : {}) });
  });

  test('its wait is dropped when the run ends without it', () => {
    const run = new Fed();
    run.report(wait);
    const effects = run.feed({ type: 'returned', entry: 1, output: '1' });
    expect(effects).toEqual([
      { type: 'stop' },
      { type: 'drop', waits: [{ key: 'w', event: 'shop/paid' }] },
      { type: 'report' },
    ]);
  });

  test('is never asked for once the run is to be cancelled (CX-22)', () => {
    const run = new Fed();
    run.feed({ type: 'began', id: 'a', name: 'a', attempt: 0 }, { type: 'cancelled' });
    expect(run.report(wait)).toEqual([]);
  });

  test('the trace says what it waits for and until when', () => {
    const run = new Fed();
    run.report(wait);
    expect(runTrace(run.state, noTexts).waiting).toEqual([
      {
        reason: 'event',
        what: 'shop/paid',
        condition: 'event.data.id == async.data.id',
        until: NOW + 1_000,
      },
    ]);
  });
});

describe('a step that waits for any of several events', () => {
  const any: Op = {
    ...wait,
    or: [
      { event: 'shop/refused', expression: null },
      { event: 'shop/paid', expression: 'async.data.n > 1' },
    ],
  };
  const keys = ['w', 'w.1', 'w.2'];
  const acknowledge = (key: string): RunInput => ({ type: 'acknowledged', key });
  const expire = (key: string): RunInput => ({ type: 'expired', key });

  test('is one step, asked for under a key for each event, and parked when all are acknowledged', () => {
    const run = new Fed();
    expect(kinds(run.report(any))).toEqual(keys.map((key) => `ask ${key}`));
    for (const key of keys) {
      run.feed({ type: 'parked', entry: 1 });
      expect(run.state.live.phase).toBe('executing');
      run.feed(acknowledge(key));
    }
    run.feed({ type: 'parked', entry: 1 });
    expect([run.state.live.phase, run.state.steps.size]).toEqual(['parked', 1]);
  });

  test.each(keys)('is settled by the first event, for key %s, and the others are dropped', (key) => {
    const run = new Fed();
    run.report(any);
    const others = keys.filter((other) => other !== key);
    const dropped = run.feed({ type: 'answered', id: key, answer: paid }).at(-1);
    expect(dropped).toMatchObject({ type: 'drop', waits: others.map((other) => ({ key: other })) });
    expect(run.state.live.asks.size).toBe(0);
    const before = structuredClone(run.state.steps.get('w'));
    for (const other of others) {
      expect(run.feed({ type: 'answered', id: other, answer: paid }, expire(other))).toEqual([]);
    }
    expect(run.state.steps.get('w')).toEqual(before);
  });

  test('is out of time only when nothing has come for any of them (WE-12)', () => {
    const run = new Fed();
    run.report(any);
    run.feed(...keys.map(acknowledge), { type: 'parked', entry: 1 });
    expect(kinds(run.alarm(1_000))).toEqual(keys.map((key) => `expire ${key}`));
    expect(run.feed(expire('w.1'), expire('w'), expire('w'))).toEqual([]);
    expect(run.state.steps.get('w')?.state).toBe('waiting');
    run.feed(expire('w.2'));
    expect(run.state.steps.get('w')).toMatchObject({ state: 'settled', ok: true, size: 4 });
  });

  test('an event that came in time wins, whatever the others had to say', () => {
    const run = new Fed();
    run.report(any);
    run.feed(...keys.map(acknowledge), { type: 'parked', entry: 1 });
    run.alarm(1_000);
    run.feed(expire('w'), expire('w.1'), { type: 'answered', id: 'w.2', answer: paid });
    expect(run.state.steps.get('w')).toMatchObject({ state: 'settled', size: paid.data.length });
  });

  test('an acknowledgement after the deadline asks about all of them anew', () => {
    const run = new Fed();
    run.report(any);
    run.feed(acknowledge('w'), acknowledge('w.1'));
    run.now = NOW + 1_000;
    expect(kinds(run.feed(acknowledge('w.2')))).toEqual(keys.map((key) => `expire ${key}`));
  });

  test('after a crash everything is asked again, before the deadline and after it', () => {
    const run = new Fed();
    run.report({ ...any, timeout: { in: 60_000 } });
    run.feed(...keys.map(acknowledge));
    expect(kinds(run.crash().alarm(10_000))).toEqual(['call', ...keys.map((key) => `ask ${key}`)]);
    run.feed(expire('w'));
    expect(kinds(run.crash().alarm(60_000))).toEqual(
      expect.arrayContaining(keys.map((key) => `expire ${key}`)),
    );
  });

  test('all of its waits are dropped with the run', () => {
    const run = new Fed();
    run.report(any);
    const effects = run.feed({ type: 'cancelled' });
    const events = ['shop/paid', 'shop/refused', 'shop/paid'];
    expect(effects).toContainEqual({
      type: 'drop',
      waits: keys.map((key, n) => ({ key, event: events[n] })),
    });
  });

  test('the trace says all that it waits for', () => {
    const run = new Fed();
    run.report(any);
    expect(runTrace(run.state, noTexts).waiting).toMatchObject([
      {
        reason: 'event',
        what: 'shop/paid',
        or: [{ what: 'shop/refused' }, { what: 'shop/paid', condition: 'async.data.n > 1' }],
      },
    ]);
  });
});

describe('a step that waits for a signal', () => {
  const signal: Op = {
    op: 'WaitForSignal',
    id: 's',
    name: 'approval',
    attempt: 0,
    signal: 'task/1',
    timeout: { in: 1_000 },
    conflict: 'fail',
  };

  test('is written down, asked for, and settled by its signal (WS-1)', () => {
    const run = new Fed();
    expect(kinds(run.report(signal))).toEqual(['ask s']);
    expect(run.state.steps.get('s')).toMatchObject({
      op: 'WaitForSignal',
      due: NOW + 1_000,
      ask: { signal: 'task/1' },
    });
    run.feed({ type: 'answered', id: 's', answer: { ok: true, data: '{"signal":"task/1","data":5}' } });
    expect(run.state.steps.get('s')).toMatchObject({ state: 'settled', ok: true });
  });

  test('fails without a retry where another run waits for it (WS-1)', () => {
    const run = new Fed();
    run.report(signal);
    run.feed({
      type: 'answered',
      id: 's',
      answer: { ok: false, data: '{"name":"SignalTaken","message":"x"}' },
    });
    expect(run.state.steps.get('s')).toMatchObject({
      state: 'settled',
      ok: false,
      failures: [{ error: { name: 'SignalTaken' } }],
    });
  });

  test('at its deadline others decide whether the signal came in time, and it is null then (WS-1)', () => {
    const run = new Fed();
    run.report(signal);
    run.feed({ type: 'acknowledged', key: 's' }, { type: 'parked', entry: 1 });
    expect(kinds(run.alarm(1_000))).toEqual(['expire s']);
    expect(kinds(run.feed({ type: 'expired', key: 's' }))).toEqual(['call']);
    expect(run.state.steps.get('s')).toMatchObject({ state: 'settled', ok: true, size: 4 });
  });

  test('waits no longer than a sleep may', () => {
    const run = new Fed();
    run.report({ ...signal, timeout: { in: limits.sleep + 1 } });
    expect(run.state.steps.get('s')).toMatchObject({
      ok: false,
      failures: [{ error: { name: 'TimeoutTooLong' } }],
    });
  });

  test('is dropped with the run, and told in the trace', () => {
    const run = new Fed();
    run.report(signal);
    expect(runTrace(run.state, noTexts).waiting).toEqual([
      { reason: 'signal', what: 'task/1', until: NOW + 1_000 },
    ]);
    expect(run.feed({ type: 'cancelled' })).toContainEqual({
      type: 'drop',
      waits: [{ key: 's', signal: 'task/1' }],
    });
  });
});

describe('a step that invokes a function', () => {
  test('its result is the result of the step (IV-1), its error an error that is not retried (IV-11, IV-13)', () => {
    for (const ok of [true, false]) {
      const run = new Fed();
      run.report(invoke);
      const data = ok ? '{"n":2}' : '{"name":"Error","message":"no"}';
      run.feed({ type: 'answered', id: 'i', answer: { ok, data } });
      expect(run.state.steps.get('i')).toMatchObject({
        state: 'settled',
        ok,
        failures: ok ? [] : [{ attempt: 0 }],
      });
    }
  });

  test('out of time it fails at once, and the child is left alone (IV-5)', () => {
    const run = new Fed();
    run.report(invoke);
    run.feed({ type: 'acknowledged', key: 'i' }, { type: 'parked', entry: 1 });
    expect(kinds(run.alarm(5_000))).toEqual(['call']);
    expect(run.state.steps.get('i')).toMatchObject({ state: 'settled', ok: false });
  });

  test('an answer that is too large fails the step (LM-11)', () => {
    const run = new Fed();
    run.report(invoke);
    run.feed({
      type: 'answered',
      id: 'i',
      answer: { ok: true, data: `"${'x'.repeat(limits.outputBytes)}"` },
    });
    expect(run.state.steps.get('i')).toMatchObject({
      ok: false,
      failures: [{ error: { name: 'StepOutputTooLarge' } }],
    });
  });
});

describe('events that cancel a run', () => {
  const cancelOn = [{ event: 'shop/cancelled', expression: null, until: NOW + 9_000 }];

  test('are asked for at its start, also when it starts later (CX group)', () => {
    expect(kinds(new Fed({ cancelOn }).effects)).toEqual(['ask cancel:0', 'call']);
    const later = new Fed({ cancelOn }, NOW + 60_000);
    expect(kinds(later.effects)).toEqual(['ask cancel:0']);
    later.feed({ type: 'acknowledged', key: 'cancel:0' });
    expect(later.state.live.phase).toBe('parked');
    expect(nextAlarm(later.state)).toBe(NOW + 60_000);
  });

  test('are asked for again after a crash, and dropped at the end', () => {
    const run = new Fed({ cancelOn });
    run.feed({ type: 'acknowledged', key: 'cancel:0' });
    expect(kinds(run.crash().alarm(10_000))).toEqual(['call', 'ask cancel:0']);
    expect(run.feed({ type: 'cancelled' })).toContainEqual({
      type: 'drop',
      waits: [{ key: 'cancel:0', event: 'shop/cancelled' }],
    });
  });
});

describe('a limit on the wait for a start', () => {
  test.each([
    [3_000, null],
    [3_001, 'Cancelled'],
  ])('a start %i ms after it was due (TO-3, TO-9)', (late, status) => {
    const run = new Fed({ startWithin: 3_000 }, NOW - late);
    expect(run.state.run.end?.status ?? null).toBe(status);
    expect(kinds(run.effects)).toEqual([status === null ? 'call' : 'report']);
  });
});

describe('a limit on the whole run', () => {
  test('cancels it when it is reached, to the millisecond, asleep or not (TO-5, TO-8, TO-11)', () => {
    const run = new Fed({ finishWithin: 3_000 });
    run.report({ op: 'Sleep', id: 's', name: 's', attempt: 0, until: { in: 60_000 } });
    run.feed({ type: 'parked', entry: 1 });
    expect(nextAlarm(run.state)).toBe(NOW + 3_000);
    run.alarm(2_999);
    expect(run.state.run.end).toBeNull();
    run.alarm(3_000);
    expect(run.state.run.end).toMatchObject({ status: 'Cancelled' });
  });

  test('lets code that runs come to its end, and what it returns counts (TO-10, FA-14)', () => {
    const run = new Fed({ finishWithin: 3_000 });
    expect(nextAlarm(run.state)).toBe(NOW + 10_000);
    run.alarm(10_000);
    expect(run.state.run.end).toBeNull();
    run.feed({ type: 'returned', entry: 1, output: '1' });
    expect(run.state.run.end).toMatchObject({ status: 'Completed', at: NOW + 10_000 });
  });

  test.each<[string, RunInput]>([
    ['a step', { type: 'began', id: 'a', name: 'a', attempt: 0 }],
    ['a sleep', { type: 'reported', op: { op: 'Sleep', id: 's', name: 's', attempt: 0, until: { in: 1 } } }],
    ['a wait', { type: 'reported', op: wait }],
    ['another attempt', { type: 'threw', entry: 1, error: { name: 'E', message: 'm' }, final: false }],
    ['a rest', { type: 'parked', entry: 1 }],
    ['another two hours', { type: 'entryOverdue' }],
  ])('lets nothing begin after it: %s (TO-5, TO-10)', (_, news) => {
    const run = new Fed({ finishWithin: 3_000 });
    run.now = NOW + 3_000;
    expect(kinds(run.feed(news))).toEqual(['stop', 'report']);
    expect(run.state.run.end).toMatchObject({ status: 'Cancelled' });
    expect(run.state.steps.size).toBe(0);
  });

  test('a step that executes then is the last, and is kept (CX-23, TO-10)', () => {
    const run = new Fed({ finishWithin: 3_000 });
    run.feed({ type: 'began', id: 'a', name: 'a', attempt: 0 });
    expect(nextAlarm(run.state)).toBe(NOW + 3_000);
    run.alarm(3_000);
    expect(run.state.run.end).toBeNull();
    run.report({ op: 'StepRun', id: 'a', name: 'a', attempt: 0, data: '1' });
    expect(run.state.run.end).toMatchObject({ status: 'Cancelled' });
    expect(run.state.steps.get('a')).toMatchObject({ state: 'settled', ok: true });
  });

  test('what is lost after it does not run again', () => {
    const run = new Fed({ finishWithin: 3_000 }).crash();
    expect(kinds(run.alarm(10_000))).toEqual(['stop', 'report']);
    expect(run.state.run.end).toMatchObject({ status: 'Cancelled' });
  });

  test('begins where the wait for a start ends, which a failed attempt does not bring back (TO-4, TO-6)', () => {
    const run = new Fed({ startWithin: 500, finishWithin: 60_000 }, NOW - 500);
    run.feed({ type: 'threw', entry: 1, error: { name: 'E', message: 'm' }, final: false });
    const due = (run.state.run.due ?? 0) - NOW;
    expect(due).toBeGreaterThan(500);
    expect(kinds(run.alarm(due))).toEqual(['call']);
    run.report({ op: 'Sleep', id: 's', name: 's', attempt: 0, until: { in: 90_000 } });
    run.feed({ type: 'parked', entry: 2 });
    expect([run.state.run.startedAt, nextAlarm(run.state)]).toEqual([NOW, NOW + 60_000]);
  });
});

describe('what the end of a run leads to', () => {
  const cause = { internalId: 'E', env: 'main', name: 'a/b', data: { n: 1 }, ts: 1, receivedAt: 1 };
  const ended = (over: Partial<RunConfig>, input: RunInput, event = cause) => {
    const run = new Fed(over);
    run.feed(input);
    const output =
      input.type === 'returned'
        ? input.output
        : input.type === 'threw'
          ? JSON.stringify(input.error)
          : 'null';
    return runEnding(run.state, output, [event]);
  };
  const returned: RunInput = { type: 'returned', entry: 1, output: '{"x":1}' };
  const threw: RunInput = { type: 'threw', entry: 1, error: { name: 'Bad', message: 'no' }, final: true };
  const parent = { runId: 'P', key: 'k' };

  test('is nothing while it goes on', () => {
    expect(runEnding(new Fed().state, null, [cause])).toBeNull();
  });

  test('completed: one finished event, with result (SY-10, SY-11)', () => {
    const events = ended({}, returned)?.events;
    expect(events?.map((event) => event.name)).toEqual(['inngest/function.finished']);
    expect(events?.[0]?.data).toMatchObject({
      result: { x: 1 },
      run_id: config.runId,
      event: { name: 'a/b' },
    });
  });

  test('failed: exactly one failed and one finished event (SY-1, SY-2, SY-16)', () => {
    const [failed, finished, ...rest] = ended({}, threw)?.events ?? [];
    expect(rest).toEqual([]);
    expect(failed).toMatchObject({
      name: 'inngest/function.failed',
      id: config.runId,
      data: { error: { name: 'Bad', message: 'no', __serialized: true }, events: [{ name: 'a/b' }] },
    });
    expect(finished?.name).toBe('inngest/function.finished');
  });

  test('cancelled: the documented error (SY-5, SYS-9)', () => {
    const [event] = ended({}, { type: 'cancelled' })?.events ?? [];
    expect(event).toMatchObject({
      name: 'inngest/function.cancelled',
      data: { error: { error: 'function cancelled', message: 'function cancelled', name: 'Error' } },
    });
  });

  test('told twice, it is the same to the letter', () => {
    expect(ended({}, threw)).toEqual(ended({}, threw));
  });

  test.each([
    ['its result (IV-7)', returned, { ok: true, data: '{"x":1}' }],
    ['its error (IV-13, IV-14)', threw, { ok: false, data: '{"name":"Bad","message":"no"}' }],
  ])('who invoked it gets %s', (_, input, answer) => {
    expect(ended({ parent }, input)?.parent).toEqual({ to: parent, answer });
  });

  test('who invoked it is told of a cancellation (CX-34)', () => {
    const told = ended({ parent }, { type: 'cancelled' })?.parent?.answer;
    expect(told?.ok).toBe(false);
    expect(JSON.parse(told?.data ?? '')).toMatchObject({ name: 'NonRetriableError' });
  });

  test('a run that the end of another started does not announce its own end for ever (OF-13)', () => {
    const finished = { ...cause, name: 'inngest/function.finished' };
    expect(ended({}, threw, finished)?.events).toEqual([]);
    const failed = {
      ...cause,
      name: 'inngest/function.failed',
      data: { _inngest: { chain: ['app-first'] } } as never,
    };
    const events = ended({}, threw, failed)?.events ?? [];
    expect(events.map((event) => event.name)).toEqual(['inngest/function.failed']);
    expect(events[0]?.data).toMatchObject({ _inngest: { chain: ['app-first', config.functionId] } });
  });
});

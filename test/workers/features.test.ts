/** What functions can do besides steps and sleeps, from the front door to the index: in real objects, with D1 and the queues. */
import { evictDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { describe, expect, test, vi } from 'vitest';
import { traceView } from '../../src/api/views.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/lib/time.ts';
import { NonRetriableError, referenceFunction } from '../../src/sdk/index.ts';
import {
  anEvent,
  calm,
  crash,
  dispatched,
  emptyTables,
  ended,
  endedRunsOf,
  endEvent,
  endEvents,
  finish,
  Gate,
  launch,
  named,
  NOW,
  recording,
  runsOf,
  send,
  sendThrough,
  storedText,
  stubOf,
  timeStandsStill,
  traceOf,
  unique,
  until,
  waiting,
  wake,
} from './world.ts';
import type { Program } from './worker.ts';

timeStandsStill();

const child = referenceFunction({ functionId: 'child', schemas: {} });

emptyTables();

const waitsObject = (event: string) => env.WAITS.get(env.WAITS.idFromName(`dev:${event}`));

describe('waiting for an event', () => {
  /** AT-12. */
  const signUp: Program = async ({ step }) => {
    await step.run('welcome', () => 'sent');
    const first = await step.waitForEvent('first order', {
      event: 'test/order',
      timeout: '1d',
      match: 'data.userId',
    });
    return step.run('mail', () => (first === null ? 'tips' : (first.data as { item: string }).item));
  };

  test('an event that matches resumes the run, one of another user does not (AT-12, WE-4)', async () => {
    const { eventId, runId } = await launch(signUp, { data: { userId: 'u1' } });
    await waiting(runId, 'event');
    await sendThrough({ name: 'test/order', data: { userId: 'u2', item: 'tea' } });
    expect((await calm(runId)).status).toBe('Running');
    await sendThrough({ name: 'test/order', data: { userId: 'u1', item: 'coffee' } });
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Completed', output: 'coffee' }]);
  });

  test('without one in time it goes on with null, and not before (AT-12, WE-2)', async () => {
    const { eventId, runId } = await launch(signUp, { data: { userId: 'u3' } });
    await waiting(runId, 'event');
    await sendThrough({ name: 'test/order', data: { userId: 'u4', item: 'tea' } });
    await wake(runId);
    expect(Date.now()).toBe(NOW + DAY);
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Completed', output: 'tips' }]);
    // What comes later is nobody's.
    await sendThrough({ name: 'test/order', data: { userId: 'u3', item: 'coffee' } });
  });

  test('an event just before the deadline counts, whose run has slept over both (WE-12)', async () => {
    const { runId } = await launch(signUp, { data: { userId: 'u5' } });
    await waiting(runId, 'event');
    vi.setSystemTime(NOW + DAY - 1);
    await sendThrough({ name: 'test/order', data: { userId: 'u5', item: 'cake' } });
    vi.setSystemTime(NOW + 2 * DAY);
    expect(await finish(runId)).toMatchObject({ output: 'cake' });
  });

  test('an event that came after the run began and before it waited resumes it; without look-back it does not (AT-12, WE-9)', async () => {
    await sendThrough({ name: 'test/early', data: { at: 'before the run' } });
    vi.setSystemTime(NOW + SECOND);
    const gate = new Gate();
    const { runId } = await launch(async ({ step }) => {
      await step.run('slow', () => gate.passed());
      const seen = await step.waitForEvent('seen', { event: 'test/early', timeout: '1h' });
      const missed = await step.waitForEvent('missed', { event: 'test/early', timeout: '1h', lookBack: 0 });
      return [seen?.data, missed];
    });
    await until(async () => ((await traceOf(runId).catch(() => null))?.steps.length === 1 ? true : null));
    vi.setSystemTime(NOW + 2 * SECOND);
    await sendThrough({ name: 'test/early', data: { at: 'during the run' } });
    vi.setSystemTime(NOW + 3 * SECOND);
    gate.open();
    expect(await waiting(runId, 'event')).toMatchObject({
      steps: [{}, { name: 'seen', status: 'Completed' }, { name: 'missed', status: 'Waiting' }],
    });
    expect(await finish(runId)).toMatchObject({
      status: 'Completed',
      output: [{ at: 'during the run' }, null],
    });
    expect(Date.now()).toBe(NOW + 3 * SECOND + HOUR);
  });

  test('waits in a loop get every event, each once, those too that come in between (WE-9, ST-4)', async () => {
    const { eventId, runId } = await launch(async ({ step }) => {
      const heard: unknown[] = [];
      for (;;) {
        const message = await step.waitForEvent('message', { event: 'test/message', timeout: '1h' });
        if (message === null) return heard;
        heard.push(message.data['text']);
        await step.sleep('read it', '1m');
      }
    });
    await waiting(runId, 'event');
    await sendThrough({ name: 'test/message', data: { text: 'one' } });
    await waiting(runId, 'sleep');
    vi.setSystemTime(NOW + SECOND);
    await sendThrough({ name: 'test/message', data: { text: 'two' } });
    await wake(runId);
    await waiting(runId, 'sleep');
    await wake(runId);
    await waiting(runId, 'event');
    await finish(runId);
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Completed', output: ['one', 'two'] }]);
  });

  test('a timeout of zero is over at once, and only an exact name counts (WE-18, WE-19)', async () => {
    const { eventId, runId } = await launch(async ({ step }) => {
      const none = await step.waitForEvent('none', { event: 'test/zero', timeout: 0 });
      const pattern = await step.waitForEvent('pattern', { event: 'test/*', timeout: '1h' });
      return [none, pattern];
    });
    await until(async () => {
      const trace = await traceOf(runId).catch(() => null);
      return trace?.waiting[0]?.what === 'test/*' ? true : null;
    }, 'the second wait');
    await calm(runId);
    expect(Date.now()).toBe(NOW);
    await sendThrough({ name: 'test/zero' });
    await finish(runId);
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Completed', output: [null, null] }]);
  });

  test('an event whose ts lies in the future resumes it at once (WE-14)', async () => {
    const { eventId, runId } = await launch(({ step }) =>
      step.waitForEvent('it', { event: 'test/later', timeout: '1h' }),
    );
    await waiting(runId, 'event');
    const ts = NOW + 12 * HOUR;
    await sendThrough({ name: 'test/later', ts });
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Completed', output: { ts } }]);
    expect(Date.now()).toBe(NOW);
  });

  test('`if` compares both events, and an event for which it has no value is no match (EX-9, WE-5, WE-21)', async () => {
    const { eventId, runId } = await launch(
      async ({ step }) =>
        step.waitForEvent('payment', {
          event: 'test/paid',
          timeout: '1h',
          if: 'async.data.order == event.data.order && async.data.amount >= 10',
        }),
      { data: { order: 7 } },
    );
    await waiting(runId, 'event');
    await sendThrough([
      { name: 'test/paid', data: { order: 7, amount: 9 } },
      { name: 'test/paid', data: { order: 7 } },
      { name: 'test/paid', data: { order: 8, amount: 10 } },
    ]);
    expect((await calm(runId)).status).toBe('Running');
    const [id = ''] = await sendThrough({
      name: 'test/paid',
      data: { order: 7, amount: 10 },
      user: { name: 'x' },
      v: '2',
    });
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Completed' }]);
    // WE-2: the whole event.
    expect((await ended(runId)).output).toEqual({
      name: 'test/paid',
      data: { order: 7, amount: 10 },
      user: { name: 'x' },
      id,
      ts: NOW,
      v: '2',
    });
  });

  test('an expression that is none fails the run at once, with the name of the step (WE-20)', async () => {
    let begun = 0;
    const { eventId, runId } = await launch(async ({ step }) => {
      begun++;
      await step
        .waitForEvent('the bad wait', { event: 'test/any', timeout: '1h', if: 'async.data.x ==' })
        .catch(() => undefined);
    });
    const [run] = await endedRunsOf(eventId);
    expect(run).toMatchObject({
      status: 'Failed',
      output: { name: 'InvalidExpression', message: expect.stringContaining('"the bad wait"') },
    });
    expect(begun).toBe(1);
    await endEvent('inngest/function.failed', runId);
  });

  test('one event resumes the runs of all who wait for it (WE-11), and starts its own functions (WE-15)', async () => {
    const program: Program = ({ step }) => step.waitForEvent('both', { event: 'test/both', timeout: '1h' });
    const [one, two] = [await launch(program), await launch(program)];
    await waiting(one.runId, 'event');
    await waiting(two.runId, 'event');
    const [id = ''] = await sendThrough({ name: 'test/both' });
    for (const { eventId } of [one, two])
      expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Completed', output: { id } }]);
    expect(await endedRunsOf(id, 2)).toHaveLength(2);
  });

  test('the event that started the run is none that it waits for, nor is a duplicate of another (WE-17)', async () => {
    const { eventId, runId } = await launch(({ step }) =>
      step.waitForEvent('own', { event: 'test/program', timeout: '1h' }),
    );
    await waiting(runId, 'event');
    expect((await calm(runId)).status).toBe('Running');
    const other = { name: 'test/program', id: unique('id'), data: { program: named(() => 'other') } };
    const [id = ''] = await sendThrough(other);
    expect(await endedRunsOf(eventId)).toMatchObject([{ output: { id: other.id } }]);
    expect(await endedRunsOf(id)).toMatchObject([{ output: 'other' }]);
    vi.setSystemTime(NOW + SECOND);
    const again = await launch(({ step }) =>
      step.waitForEvent('own', { event: 'test/program', timeout: '1h', lookBack: 0 }),
    );
    await waiting(again.runId, 'event');
    await sendThrough(other);
    expect((await calm(again.runId)).status).toBe('Running');
  });

  test('a run that was evicted or lost while it waited is resumed, and runs only what comes after', async () => {
    const ran: string[] = [];
    const { eventId, runId } = await launch(async ({ step }) => {
      await step.run('before', () => void ran.push('before'));
      const event = await step.waitForEvent('go', { event: 'test/go', timeout: '1h' });
      return step.run('after', () => {
        ran.push('after');
        return event?.name;
      });
    });
    await waiting(runId, 'event');
    await evictDurableObject(stubOf(runId));
    await evictDurableObject(waitsObject('test/go'));
    await crash(runId);
    await sendThrough({ name: 'test/go' });
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Completed', output: 'test/go' }]);
    expect(ran).toEqual(['before', 'after']);
  });

  test('a run that was lost while it waited finds out by its alarm alone that nothing came (WE-2)', async () => {
    const { eventId, runId } = await launch(async ({ step }) => {
      return step.waitForEvent('go', { event: 'test/nothing', timeout: '1h' });
    });
    await waiting(runId, 'event');
    await crash(runId);
    await evictDurableObject(waitsObject('test/nothing'));
    await wake(runId);
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Completed', output: null }]);
    expect((await ended(runId)).endedAt).toBe(NOW + HOUR);
  });

  test('what a run waits for and until when is in its trace; an invocation has a year (IV-6)', async () => {
    const { runId } = await launch(async ({ step }) => {
      await Promise.all([
        step.waitForEvent('event', { event: 'test/never', timeout: '2h', if: 'async.data.a == 1' }),
        step.invoke('call', {
          function: child,
          data: { program: named(() => new Promise(() => undefined)) },
        }),
        step.sleep('nap', '1h'),
      ]);
    });
    await waiting(runId, 'sleep');
    await waiting(runId, 'invoke');
    // As the front door tells it, which cannot be asked here: see `traceOf`.
    expect(traceView(await traceOf(runId)).waiting).toEqual([
      {
        reason: 'event',
        what: 'test/never',
        condition: 'async.data.a == 1',
        until: new Date(NOW + 2 * HOUR).toISOString(),
      },
      { reason: 'invoke', what: 'test-child', until: new Date(NOW + 365 * DAY).toISOString() },
      { reason: 'sleep', until: new Date(NOW + HOUR).toISOString() },
    ]);
  });
});

describe('invoking', () => {
  test('resolves with the result; the invoked run sees its own event (IV-1, IV-3, SY-13)', async () => {
    const seen = new Map<number, unknown>();
    const program = named(async ({ event, events, step }) => {
      const { n } = event.data as { n: number };
      seen.set(n, [event, events.length]);
      return step.run('double', () => n * 2);
    });
    const { eventId } = await launch(async ({ step }) => {
      const double = async (n: number) =>
        step.invoke(`double ${n}`, { function: child, data: { program, n }, user: { name: 'x' } });
      return Promise.all([double(1), double(2)]);
    });
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Completed', output: [2, 4] }]);
    for (const n of [1, 2]) {
      expect(seen.get(n)).toMatchObject([
        { name: 'inngest/function.invoked', data: { n }, user: { name: 'x' }, ts: NOW },
        1,
      ]);
    }
  });

  test('a function that fails: its error can be caught, and it is not invoked again (IV-11, IV-13 to IV-15)', async () => {
    let entered = 0;
    const program = named(() => {
      entered++;
      throw new RangeError('no such thing');
    });
    const { eventId, runId } = await launch(({ step }) =>
      step
        .invoke('call', { function: child, data: { program } })
        .catch((error: Error) => [error.name, error.message, error.stack?.includes('no such thing')]),
    );
    expect(await endedRunsOf(eventId)).toMatchObject([{ output: ['RangeError', 'no such thing', true] }]);
    expect(entered).toBe(1);
    expect((await traceOf(runId)).steps).toMatchObject([{ name: 'call', status: 'Failed', attempts: 1 }]);
  });

  test('a run of its own: another id, its own steps and attempts, its own event to match (IV-10, IV-25, EX-21)', async () => {
    const entered = new Gate<string>();
    let attempts = 0;
    const program = named(async ({ runId, step }) => {
      entered.open(runId);
      await step.run('unsteady', () => {
        if (++attempts === 1) throw new Error('once');
      });
      const paid = await step.waitForEvent('paid', {
        event: 'test/paid',
        timeout: '1h',
        match: 'data.order',
      });
      return paid?.data['amount'];
    });
    const fragile = referenceFunction({ functionId: 'fragile', schemas: {} });
    const caller = await launch(({ step }) =>
      step.invoke('call', { function: fragile, data: { program, order: 7 } }),
    );
    const childRun = await entered.passed();
    expect(childRun).not.toBe(caller.runId);
    await waiting(childRun, 'retry');
    await wake(childRun);
    await waiting(childRun, 'event');
    await sendThrough({ name: 'test/paid', data: { order: 8, amount: 1 } });
    await sendThrough({ name: 'test/paid', data: { order: 7, amount: 2 } });
    expect(await endedRunsOf(caller.eventId)).toMatchObject([{ status: 'Completed', output: 2 }]);
    expect((await traceOf(childRun)).steps).toMatchObject([
      { name: 'unsteady', attempts: 2 },
      { name: 'paid' },
    ]);
    expect((await traceOf(caller.runId)).steps).toMatchObject([{ name: 'call', attempts: 1 }]);
    expect(attempts).toBe(2);
  });

  test('one whose caller is cancelled goes on (IV-22, CX-34)', async () => {
    const entered = new Gate<string>();
    const program = named(async ({ runId, step }) => {
      entered.open(runId);
      await step.sleep('nap', '2h');
      return 'for nobody';
    });
    const caller = await launch(({ step }) => step.invoke('call', { function: child, data: { program } }));
    const childRun = await entered.passed();
    await waiting(caller.runId, 'invoke');
    await exports.default.fetch(`https://stepwell.test/v1/runs/${caller.runId}`, { method: 'DELETE' });
    expect(await endedRunsOf(caller.eventId)).toMatchObject([{ status: 'Cancelled' }]);
    expect(await finish(childRun)).toMatchObject({ status: 'Completed', output: 'for nobody' });
  });

  test('an error that is not caught fails the run after its own retries', async () => {
    const program = named(() => {
      throw new Error('from the child');
    });
    const { runId } = await launch(({ step }) => step.invoke('call', { function: child, data: { program } }));
    await until(async () => ((await traceOf(runId).catch(() => null))?.failures.length ? true : null));
    expect(await finish(runId)).toMatchObject({
      status: 'Failed',
      output: { name: 'Error', message: 'from the child' },
    });
  });

  test('a function that there is not fails the step, by its name (IV-12, IV-14)', async () => {
    const { eventId } = await launch(({ step }) =>
      step
        .invoke('call', { function: referenceFunction({ functionId: 'nobody', schemas: {} }) })
        .catch((error: Error) => [error.name, error.message]),
    );
    expect(await endedRunsOf(eventId)).toMatchObject([
      { output: ['NonRetriableError', 'could not find function with ID: test-nobody'] },
    ]);
  });

  test('one that takes too long fails the step; its run goes on (IV-5)', async () => {
    const entered = new Gate<string>();
    const program = named(async ({ runId, step }) => {
      entered.open(runId);
      await step.sleep('nap', '2h');
      return 'late';
    });
    const { runId } = await launch(({ step }) =>
      step
        .invoke('call', { function: child, data: { program }, timeout: '1h' })
        .catch((error: Error) => [error.name, error.message.includes('test-child')]),
    );
    const childRun = await entered.passed();
    await waiting(runId, 'invoke');
    expect(await finish(runId)).toMatchObject({ status: 'Completed', output: ['NonRetriableError', true] });
    expect(Date.now()).toBe(NOW + HOUR);
    expect(await traceOf(childRun)).toMatchObject({ status: 'Running' });
    expect(await finish(childRun)).toMatchObject({ status: 'Completed', output: 'late' });
  });

  test('one that is cancelled fails the step; both were lost in between (CX-34, IV-17)', async () => {
    const entered = new Gate<string>();
    const program = named(async ({ runId, step }) => {
      entered.open(runId);
      await step.sleep('nap', '2h');
    });
    const { eventId, runId } = await launch(({ step }) =>
      step.invoke('call', { function: child, data: { program } }).catch((error: Error) => error.message),
    );
    const childRun = await entered.passed();
    await waiting(runId, 'invoke');
    await waiting(childRun, 'sleep');
    await crash(runId);
    await crash(childRun);
    const answer = await exports.default.fetch(`https://stepwell.test/v1/runs/${childRun}`, {
      method: 'DELETE',
    });
    expect(answer.status).toBe(200);
    const [run] = await endedRunsOf(eventId);
    expect(run?.output).toBe(`the invoked function "test-child" was cancelled, run ${childRun}`);
  });
});

describe('the end of a run', () => {
  test('that has failed calls onFailure once, with the event and the error (AT-3, OF-3, OF-7, SY-2, SY-6 to SY-8)', async () => {
    const { sequel, seen } = recording(({ step }) => step.run('tell', () => 'told'));
    let entered = 0;
    const { eventId, runId } = await launch(
      () => {
        entered++;
        throw new RangeError('all is lost');
      },
      { name: 'test/fragile', data: { sequel }, user: { email: 'somebody' } },
    );
    await until(async () => ((await traceOf(runId).catch(() => null))?.failures.length ? true : null));
    expect(seen).toEqual([]);
    expect(await finish(runId)).toMatchObject({ status: 'Failed', output: { name: 'RangeError' } });
    const failed = await endEvent('inngest/function.failed', runId);
    expect(await endedRunsOf(failed.internalId)).toMatchObject([{ status: 'Completed', output: 'told' }]);
    expect(entered).toBe(2);
    // The handler was entered once, or once more for what comes after its step.
    const [context] = seen;
    expect(new Set(seen.map((one) => one.runId)).size).toBe(1);
    expect(context?.runId).not.toBe(runId);
    expect(context?.error).toBeInstanceOf(Error);
    expect(context?.error).toMatchObject({ name: 'RangeError', message: 'all is lost' });
    expect(context?.event).toMatchObject({
      name: 'inngest/function.failed',
      id: runId,
      ts: Date.now(),
      data: {
        function_id: 'test-fragile',
        run_id: runId,
        error: { name: 'RangeError', message: 'all is lost', error: 'RangeError', __serialized: true },
        event: { name: 'test/fragile', id: eventId, data: { sequel }, user: { email: 'somebody' }, ts: NOW },
        events: [{ name: 'test/fragile', user: { email: 'somebody' } }],
      },
    });
    expect(context?.event.data.error.stack).toContain('all is lost');
    expect(await endEvents('inngest/function.failed', runId)).toHaveLength(1);
    expect(await endEvents('inngest/function.finished', runId)).toHaveLength(1);
    expect(await endEvents('inngest/function.cancelled', runId)).toEqual([]);
  });

  test.each<[string, Program]>([
    [
      'an error that is not retried',
      () => {
        throw new NonRetriableError('no use');
      },
    ],
    ['an output that is too large', () => 'x'.repeat(5_000_000)],
    ['an expression that is none', ({ step }) => step.waitForEvent('w', { event: 'a', timeout: 1, if: '=' })],
  ])('that fails without a retry, by %s, calls onFailure too (OF-4)', async (_, program) => {
    const { sequel, seen } = recording();
    const { eventId, runId } = await launch(program, { name: 'test/fragile', data: { sequel } });
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Failed' }]);
    const failed = await endEvent('inngest/function.failed', runId);
    expect(await endedRunsOf(failed.internalId)).toMatchObject([{ status: 'Completed' }]);
    expect(seen).toHaveLength(1);
  });

  test('a failure handler that fails is retried as it says and ends there (OF-13)', async () => {
    const { sequel, seen } = recording(() => {
      throw new Error('and so am I');
    });
    const { runId } = await launch(
      () => {
        throw new NonRetriableError('lost');
      },
      { name: 'test/fragile', data: { sequel } },
    );
    const failed = await endEvent('inngest/function.failed', runId);
    const handler = await until(async () => (await runsOf(failed.internalId))[0]?.run_id ?? null);
    await until(async () => ((await traceOf(handler).catch(() => null))?.failures.length ? true : null));
    expect(await finish(handler)).toMatchObject({ status: 'Failed', output: { message: 'and so am I' } });
    expect(seen).toHaveLength(2);
    const own = await endEvent('inngest/function.failed', handler);
    await dispatched(own.internalId);
    expect(own.data).toMatchObject({ function_id: 'test-fragile-failure' });
    expect(await runsOf(own.internalId)).toEqual([]);
  });

  test('a function for the failures of all, its own included, is not started by those (OF-11, OF-13)', async () => {
    const { sequel, seen } = recording(() => {
      throw new Error('I fail too');
    });
    const { runId } = await launch(
      () => {
        throw new Error('lost');
      },
      { name: 'test/child', data: { sequel } },
    );
    const failed = await endEvent('inngest/function.failed', runId);
    const [mourner] = await endedRunsOf(failed.internalId);
    expect(mourner).toMatchObject({ status: 'Failed' });
    const own = await endEvent('inngest/function.failed', mourner?.run_id ?? '');
    await dispatched(own.internalId);
    expect(await runsOf(own.internalId)).toEqual([]);
    expect(seen.filter((one) => one.event.name === 'inngest/function.failed')).toHaveLength(1);
  });

  test('starts functions on inngest/function.finished, which say nothing of their own end (SY-10 to SY-12)', async () => {
    const { sequel, seen } = recording();
    const { runId } = await launch(() => 42, { name: 'test/child', data: { sequel } });
    const finished = await endEvent('inngest/function.finished', runId);
    const [onlooker] = await endedRunsOf(finished.internalId);
    expect(onlooker).toMatchObject({ status: 'Completed' });
    expect(seen.map((one) => one.event)).toMatchObject([
      {
        name: 'inngest/function.finished',
        data: { function_id: 'test-child', run_id: runId, result: 42, event: { name: 'test/child' } },
      },
    ]);
    await until(async () =>
      (await env.DB.prepare('select ended_at from run where run_id = ?')
        .bind(onlooker?.run_id)
        .first('ended_at')) === null
        ? null
        : true,
    );
    expect(await endEvents('inngest/function.finished', onlooker?.run_id ?? '')).toEqual([]);
  });

  test('of an invoked run carries what links it to the step (IV-8), and another run may wait for it (WE-18)', async () => {
    const { eventId, runId } = await launch(({ step }) =>
      step.waitForEvent('end', {
        event: 'inngest/function.finished',
        timeout: '1h',
        if: "async.data.function_id == 'test-child'",
      }),
    );
    await waiting(runId, 'event');
    const program = named(() => 'by invocation');
    const caller = await launch(({ step }) => step.invoke('call', { function: child, data: { program } }));
    const [run] = await endedRunsOf(eventId);
    expect(run?.output).toMatchObject({
      data: { result: 'by invocation', correlation_id: expect.stringContaining(caller.runId) },
    });
  });
});

describe('sending from a step', () => {
  test('starts, resumes and cancels, and the events know the run that they come from (SV-8, SV-10, SV-4)', async () => {
    const started = named(() => 'started');
    const waiter = await launch(({ step }) =>
      step.waitForEvent('go', { event: 'test/go.on', timeout: '1h' }),
    );
    const mortal = await launch(({ step }) => step.sleep('nap', '1h'), {
      name: 'test/mortal',
      data: { order: 'sent' },
    });
    await waiting(waiter.runId, 'event');
    await waiting(mortal.runId, 'sleep');
    const sender = await launch(async ({ step }) => {
      const { ids } = await step.sendEvent('three', [
        { name: 'test/program', data: { program: started } },
        { name: 'test/go.on' },
        { name: 'test/cancel', data: { order: 'sent' } },
      ]);
      return ids;
    });
    const [run] = await endedRunsOf(sender.eventId);
    const [first = '', second = ''] = (run?.output ?? []) as string[];
    expect(await endedRunsOf(first)).toMatchObject([{ output: 'started' }]);
    expect(await endedRunsOf(waiter.eventId)).toMatchObject([{ output: { id: second, name: 'test/go.on' } }]);
    expect(await endedRunsOf(mortal.eventId)).toMatchObject([{ status: 'Cancelled' }]);
    const answer = await exports.default.fetch(`https://stepwell.test/v1/events/${second}`);
    expect(await answer.json()).toMatchObject({ data: { source: 'run', source_id: sender.runId } });
  });
});

describe('cancelling', () => {
  const napping: Program = async ({ step }) => {
    await step.sleep('nap', '12h');
    return 'rested';
  };

  test('by an event: the run that it matches, and no other (CX-3, CX-6, CX-12, CX-16, CX-29, EX-9, FN-24)', async () => {
    const { sequel, seen } = recording();
    const mine = await launch(napping, { name: 'test/mortal', data: { order: 'a', sequel } });
    const other = await launch(napping, { name: 'test/mortal', data: { order: 'b' } });
    await waiting(mine.runId, 'sleep');
    await waiting(other.runId, 'sleep');
    await crash(mine.runId);
    await sendThrough({ name: 'test/cancel', data: { order: 'a' } });
    expect(await endedRunsOf(mine.eventId)).toMatchObject([{ status: 'Cancelled', output: null }]);
    const event = await endEvent('inngest/function.cancelled', mine.runId);
    expect(event).toMatchObject({
      id: mine.runId,
      ts: NOW,
      data: {
        function_id: 'test-mortal',
        error: { error: 'function cancelled', message: 'function cancelled', name: 'Error' },
        event: { name: 'test/mortal', data: { order: 'a' } },
        events: [{ name: 'test/mortal' }],
      },
    });
    // CX-32.
    expect(await endedRunsOf(event.internalId)).toMatchObject([{ status: 'Completed' }]);
    expect(seen).toHaveLength(1);
    expect(await endEvents('inngest/function.failed', mine.runId)).toEqual([]);
    expect(await traceOf(other.runId)).toMatchObject({ status: 'Running' });
    expect(await finish(other.runId)).toMatchObject({ status: 'Completed', output: 'rested' });
  });

  test('any event of the name, where nothing more is said: every run, whoever waits for it, and its own functions (CX-9, CX-15, CX-17)', async () => {
    const runs = [
      await launch(napping, { name: 'test/mortal' }),
      await launch(napping, { name: 'test/mortal' }),
    ];
    for (const { runId } of runs) await waiting(runId, 'sleep');
    const waiter = await launch(({ step }) =>
      step.waitForEvent('it', { event: 'test/cancel.soon', timeout: '1h' }),
    );
    await waiting(waiter.runId, 'event');
    const [id = ''] = await sendThrough({ name: 'test/cancel.soon' });
    for (const { eventId } of runs)
      expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Cancelled' }]);
    expect(await endedRunsOf(waiter.eventId)).toMatchObject([{ status: 'Completed', output: { id } }]);
    expect(await endedRunsOf(id)).toMatchObject([{ output: 'started' }]);
  });

  test('by an event that comes almost a year later, where no time is set (CX-11)', async () => {
    const { eventId, runId } = await launch(({ step }) => step.sleep('long', '300d'), {
      name: 'test/lasting',
      data: { order: 'z' },
    });
    await waiting(runId, 'sleep');
    vi.setSystemTime(NOW + 299 * DAY);
    await sendThrough({ name: 'test/cancel', data: { order: 'z' } });
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Cancelled' }]);
  });

  test('by an event, only as long as it may (CX-10)', async () => {
    const { runId } = await launch(napping, { name: 'test/mortal', data: { order: 'c' } });
    await waiting(runId, 'sleep');
    vi.setSystemTime(NOW + HOUR + MINUTE);
    await sendThrough({ name: 'test/cancel.soon' });
    expect(await calm(runId)).toMatchObject({ status: 'Running' });
    vi.setSystemTime(NOW + HOUR + 2 * MINUTE);
    const next = await launch(napping, { name: 'test/mortal', data: { order: 'd' } });
    await waiting(next.runId, 'sleep');
    vi.setSystemTime(NOW + 2 * HOUR);
    await sendThrough({ name: 'test/cancel.soon' });
    expect(await endedRunsOf(next.eventId)).toMatchObject([{ status: 'Cancelled' }]);
    expect(await finish(runId)).toMatchObject({ status: 'Completed' });
  });

  test('an event that came before the one that started the run does not (CX-14, FA-13)', async () => {
    const [, start = ''] = await sendThrough([
      { name: 'test/cancel', data: { order: 'e' } },
      { name: 'test/mortal', data: { order: 'e', program: named(napping) } },
    ]);
    const [run] = await runsOf(start);
    await waiting(run?.run_id ?? '', 'sleep');
    expect(await finish(run?.run_id ?? '')).toMatchObject({ status: 'Completed' });
  });

  test('an event that came right after the one that started the run does, in the same request too (CX-13, FA-13)', async () => {
    const [start = ''] = await sendThrough([
      { name: 'test/mortal', data: { order: 'f', program: named(napping) } },
      { name: 'test/cancel', data: { order: 'f' } },
    ]);
    expect(await endedRunsOf(start)).toMatchObject([{ status: 'Cancelled' }]);
  });

  test('an event that came while the one that started the run was still on its way does (CX-13)', async () => {
    const start = anEvent({ name: 'test/mortal', data: { order: 'h', program: named(napping) } });
    vi.setSystemTime(NOW + SECOND);
    await sendThrough({ name: 'test/cancel', data: { order: 'h' } });
    vi.setSystemTime(NOW + 2 * SECOND);
    await env.EVENTS.send({ events: [start] });
    expect(await endedRunsOf(start.internalId)).toMatchObject([{ status: 'Cancelled' }]);
  });

  test('by an event, before it has begun; nobody waits any more then (CX-22, CX-27)', async () => {
    let begun = 0;
    const program = named(() => void begun++);
    const [eventId = ''] = await send({
      name: 'test/mortal',
      ts: NOW + 12 * HOUR,
      data: { order: 'i', program },
    });
    const runId = await until(async () => (await runsOf(eventId))[0]?.run_id ?? null);
    await waiting(runId, 'start');
    expect(await storedText(waitsObject('test/cancel'))).toContain(runId);
    await sendThrough({ name: 'test/cancel', data: { order: 'i' } });
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Cancelled' }]);
    for (const event of ['test/cancel', 'test/cancel.soon']) {
      await until(
        async () => ((await storedText(waitsObject(event))).includes(runId) ? null : true),
        'the end of the wait',
      );
    }
    expect(begun).toBe(0);
  });

  test('by the time that it may take (FN-25, TO-1, TO-5)', async () => {
    const { runId } = await launch(
      async ({ step }) => {
        await step.sleep('too long', '2d');
      },
      { name: 'test/mortal', data: { order: 'g' } },
    );
    await waiting(runId, 'sleep');
    expect(await finish(runId)).toMatchObject({ status: 'Cancelled' });
    expect(Date.now()).toBe(NOW + DAY);
    await endEvent('inngest/function.cancelled', runId);
  });
});

describe('triggers', () => {
  test('with a condition, also on the user, who is sealed by then (TR-3, EX-19)', async () => {
    const user = { plan: 'pro', name: 'x' };
    const [yes = '', few = '', free = '', nobody = ''] = await sendThrough([
      { name: 'test/picky', data: { n: 6 }, user },
      { name: 'test/picky', data: { n: 5 }, user },
      { name: 'test/picky', data: { n: 6 }, user: { plan: 'free' } },
      { name: 'test/picky', data: { n: 6 } },
    ]);
    expect(await endedRunsOf(yes)).toMatchObject([{ status: 'Completed', output: user }]);
    for (const id of [few, free, nobody]) expect(await runsOf(id)).toEqual([]);
  });

  test('with a wildcard and a condition (TR-9)', async () => {
    const [yes = '', no = '', bare = ''] = await sendThrough([
      { name: 'wild/horse.seen', data: { go: true } },
      { name: 'wild/horse.seen', data: { go: false } },
      { name: 'wild', data: { go: true } },
    ]);
    expect(await endedRunsOf(yes)).toMatchObject([{ output: 'wild/horse.seen' }]);
    for (const id of [no, bare]) expect(await runsOf(id)).toEqual([]);
  });
});

test('middleware has the last word on what is stored of steps and of the function (MW-32)', async () => {
  const [id = ''] = await send({ name: 'test/dressed' });
  const [run] = await endedRunsOf(id);
  expect(run).toMatchObject({
    status: 'Completed',
    output: { dressed: 'the function', was: { dressed: 'inside', was: 'plain' } },
  });
});

describe('sizes', () => {
  test('what is too large for a message gets there all the same: results of 4 MB, events of 3 MB', async () => {
    const result = 'x'.repeat(4 * 1024 * 1024 - 2);
    const program = named(() => result);
    const { runId } = await launch(async ({ step }) => {
      const { length } = String(await step.invoke('call', { function: child, data: { program } }));
      const event = await step.waitForEvent('large', { event: 'test/large', timeout: '1h' });
      return [length, String(event?.data.blob).length];
    });
    await waiting(runId, 'event');
    const blob = 'y'.repeat(3_000_000);
    await sendThrough({ name: 'test/large', data: { blob } });
    expect((await ended(runId)).output).toEqual([result.length, blob.length]);
  });

  test('a run that was started by an event of 3 MB, fails, and is handled', async () => {
    const { sequel, seen } = recording(({ event }) => String(event.data.event.data.blob).length);
    const blob = 'z'.repeat(3_000_000);
    const { runId } = await launch(
      () => {
        throw new NonRetriableError('lost');
      },
      { name: 'test/fragile', data: { sequel, blob } },
    );
    const query = env.DB.prepare(`select * from event where name = 'inngest/function.failed' and id = ?`);
    const failed = await until(() => query.bind(runId).first<{ internal_id: string }>(), 'the failure');
    expect(await endedRunsOf(failed.internal_id)).toMatchObject([{ output: blob.length }]);
    expect(seen).toHaveLength(1);
  });
});

describe('event.user', () => {
  const secret = 'nobody@example.com';

  async function expectSealed(...runIds: string[]): Promise<void> {
    const tables = await Promise.all(
      ['event', 'event_part', 'run'].map((table) => env.DB.prepare(`select * from ${table}`).all()),
    );
    const texts = [JSON.stringify(tables.map(({ results }) => results))];
    for (const runId of runIds) texts.push(await storedText(stubOf(runId)));
    for (const text of texts) {
      expect(text).toContain('v1.');
      expect(text).not.toContain(secret);
      expect(text).not.toContain('email');
    }
  }

  test('stays sealed in the events about the end of a run, and is open in the handlers of those', async () => {
    const users: unknown[] = [];
    const { sequel } = recording(({ event }) => {
      users.push(event.data.event.user, event.data.events[0]?.user);
      throw new Error('this too');
    });
    const { runId } = await launch(
      () => {
        throw new NonRetriableError('lost');
      },
      { name: 'test/fragile', data: { sequel }, user: { email: secret } },
    );
    const failed = await endEvent('inngest/function.failed', runId);
    const handler = await until(async () => (await runsOf(failed.internalId))[0]?.run_id ?? null);
    await until(async () => ((await traceOf(handler).catch(() => null))?.failures.length ? true : null));
    await finish(handler);
    await endEvent('inngest/function.failed', handler);
    expect(users).toEqual(Array.from({ length: 4 }, () => ({ email: secret })));
    await expectSealed(runId, handler);
  });

  test('of an invocation stays sealed on its way, and is open in the invoked function', async () => {
    const entered = new Gate<[string, unknown]>();
    const program = named(async ({ event, runId, step }) => {
      entered.open([runId, event.user]);
      await step.sleep('nap', '1h');
    });
    const { eventId, runId } = await launch(async ({ step }) => {
      await step.invoke('call', { function: child, data: { program }, user: { email: secret } });
    });
    const [childRun, user] = await entered.passed();
    expect(user).toEqual({ email: secret });
    await waiting(runId, 'invoke');
    await waiting(childRun, 'sleep');
    await expectSealed(runId, childRun);
    await finish(childRun);
    await endedRunsOf(eventId);
    await endEvent('inngest/function.finished', childRun);
    await expectSealed(childRun);
    expect(await storedText(stubOf(runId))).not.toContain('email');
  });

  test('of an awaited event stays sealed in the run and in what waits for it, and is open in the handler', async () => {
    const seen: unknown[] = [];
    const { eventId, runId } = await launch(async ({ step }) => {
      const event = await step.waitForEvent('it', { event: 'test/person', timeout: '1h' });
      seen.push(event?.user);
      await step.sleep('nap', '1h');
    });
    await waiting(runId, 'event');
    await sendThrough({ name: 'test/person', user: { email: secret } });
    await waiting(runId, 'sleep');
    await evictDurableObject(stubOf(runId));
    await finish(runId);
    await endedRunsOf(eventId);
    expect(seen).toEqual([{ email: secret }, { email: secret }]);
    await expectSealed(runId);
    expect(await storedText(waitsObject('test/person'))).not.toContain('email');
  });
});

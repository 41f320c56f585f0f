/** Runs in their real objects: how they begin, what their code may do to them, how they sleep and how they are cancelled. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, test, vi } from 'vitest';
import { limits } from '../../src/protocol/limits.ts';
import { HOUR, MINUTE } from '../../src/lib/time.ts';
import type { RunRpc } from '../../src/protocol/rpc.ts';
import {
  alarmOf,
  anEvent,
  begin,
  calm,
  crash,
  endedRunsOf,
  finish,
  Gate,
  NOW,
  objectOf,
  runRow,
  runsOf,
  send,
  startOf,
  storedText,
  stubOf,
  timeStandsStill,
  traceOf,
  turn,
  unique,
  until,
  wake,
} from './world.ts';
import { programs } from './worker.ts';

timeStandsStill();

describe('beginning', () => {
  test('an event that comes in at the front door is a finished run in the index soon after (EVT-32, RA-11)', async () => {
    const program = unique('front');
    programs.set(program, async ({ event, step }) => {
      const doubled = await step.run('double', () => (event.data as { n: number }).n * 2);
      return { doubled };
    });
    const [id = ''] = await send({ name: 'test/program', data: { program, n: 21 } });
    expect(await endedRunsOf(id)).toMatchObject([{ status: 'Completed', output: { doubled: 42 } }]);
  });

  test('the sender has its answer while the function still runs (FN-31)', async () => {
    const program = unique('slow');
    const slow = new Gate<string>();
    programs.set(program, () => slow.passed());
    const [id = ''] = await send({ name: 'test/program', data: { program } });
    expect(await until(async () => (await runsOf(id))[0] ?? null)).toMatchObject({ status: 'Running' });
    slow.open('done');
    expect(await endedRunsOf(id)).toMatchObject([{ status: 'Completed', output: 'done' }]);
  });

  test('the function sees the event as it was sent, whole, and its run by the id that others know (FN-36, HC-2, HC-5, HC-6)', async () => {
    const program = unique('whole');
    programs.set(program, ({ event, events, runId }) => ({ event, events, runId }));
    const sent = {
      name: 'test/program',
      id: unique('id'),
      data: { program, deep: { list: [1, { nothing: null }], text: '\u0000 ж 😀' } },
      user: { name: 'somebody' },
      v: '2',
      ts: NOW - 5,
    };
    const [id = ''] = await send(sent);
    const [run] = await endedRunsOf(id);
    expect(run?.output).toEqual({ event: sent, events: [sent], runId: run?.run_id });
    expect(run?.run_id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
  });

  test('one event starts every function that listens to it (EVT-33, FN-35)', async () => {
    const [id = ''] = await send({ name: 'test/both' });
    const runs = await endedRunsOf(id, 2);
    expect(runs.map(({ output }) => String(output)).toSorted()).toEqual(['left', 'right']);
  });

  test('a run that is started again and again, at the same time and later, runs once', async () => {
    let entered = 0;
    const start = startOf(() => ++entered);
    const object = objectOf(start.runId);
    await Promise.all([object.start(start), object.start(start), object.start(start)]);
    expect(await finish(start.runId)).toMatchObject({ status: 'Completed', output: 1 });
    await objectOf(start.runId).start(start);
    await crash(start.runId);
    await objectOf(start.runId).start({ ...start, events: [anEvent({ data: { program: 'another' } })] });
    expect(await finish(start.runId)).toMatchObject({ status: 'Completed', output: 1 });
    expect(entered).toBe(1);
  });

  test('who starts a run that ends at once is told of its end, and so is who starts it again (RN-3)', async () => {
    const start = startOf(async ({ step }) => step.run('one', () => 1));
    const ends = await Promise.all([objectOf(start.runId).start(start), objectOf(start.runId).start(start)]);
    expect(ends.map((end) => end?.summary)).toMatchObject([
      { status: 'Completed', output: '1' },
      { status: 'Completed', output: '1' },
    ]);
    await crash(start.runId);
    expect((await objectOf(start.runId).start(start))?.summary).toMatchObject({ status: 'Completed' });
    // Nobody else is.
    expect(await runRow(start.runId)).toBeNull();
  });

  test('who starts a run that goes on is told nothing, and the run reports its end itself (RN-3)', async () => {
    const gate = new Gate<null>();
    const start = startOf(async ({ step }) => step.run('one', () => gate.passed()));
    expect(await objectOf(start.runId).start(start)).toBeNull();
    gate.open(null);
    await until(async () => ((await runRow(start.runId))?.['status'] === 'Completed' ? true : null));
  });

  test('a run whose event lies in the future begins then, also after its object was lost (TR-17, EVT-19)', async () => {
    let enteredAt = 0;
    const start = startOf(() => (enteredAt = Date.now()), {}, { startAt: NOW + HOUR });
    await objectOf(start.runId).start(start);
    expect(await calm(start.runId)).toMatchObject({
      status: 'Running',
      startedAt: null,
      waiting: [{ reason: 'start', until: NOW + HOUR }],
    });
    await crash(start.runId);
    expect(enteredAt).toBe(0);
    expect(await finish(start.runId)).toMatchObject({ status: 'Completed' });
    expect(enteredAt).toBe(NOW + HOUR);
  });

  test('what is no start of a run is refused by the object, and nothing is stored', async () => {
    const start = startOf(() => 1);
    // From inside: the test runner reports what an object throws as its own trouble.
    const refused = await runInDurableObject(stubOf(start.runId), async (run) => {
      const object = run as unknown as RunRpc;
      return object.start({ ...start, events: [] }).then(
        () => false,
        () => true,
      );
    });
    expect(refused).toBe(true);
    expect(await objectOf(start.runId).read()).toBeNull();
    expect(await alarmOf(stubOf(start.runId))).toBeNull();
  });
});

describe('code that misbehaves', () => {
  test.each([
    ['a text', 'just a text', 'just a text'],
    ['nothing', undefined, 'undefined'],
    ['null', null, 'null'],
    ['a number', 7, '7'],
    ['an object', { code: 'E7' }, '{"code":"E7"}'],
  ])('a handler that throws %s fails with an error made of it (ER-6)', async (_, thrown, message) => {
    const runId = await begin(() => {
      throw thrown;
    });
    expect(await finish(runId)).toMatchObject({ status: 'Failed', output: { name: 'Error', message } });
    expect((await traceOf(runId)).failures).toHaveLength(4);
  });

  test('a step that throws a thing that cannot be looked at fails, and its run goes on (ER-15)', async () => {
    const thrown = new Proxy(
      {},
      {
        get: () => {
          throw new Error('do not look');
        },
      },
    );
    const runId = await begin(async ({ step }) => {
      return step
        .run('throws', () => {
          throw thrown;
        })
        .catch((error: Error) => error.message);
    });
    expect(await finish(runId)).toMatchObject({ status: 'Completed', output: 'Unknown error' });
  });

  test.each([
    ['a BigInt', () => 1n, 'a BigInt'],
    [
      'a circle',
      () => {
        const circle: Record<string, unknown> = {};
        circle['self'] = circle;
        return circle;
      },
      'a circular reference',
    ],
  ])(
    'a step that returns %s fails at once, with the reason (MX-16)',
    async (_, callback: () => unknown, reason) => {
      let ran = 0;
      const runId = await begin(async ({ step }) =>
        step
          .run('returns', () => {
            ran++;
            return callback();
          })
          .catch((error: Error) => error.message),
      );
      const { output } = await finish(runId);
      expect(output).toContain(reason);
      expect(ran).toBe(1);
    },
  );

  test('what a handler does to its event and to results is gone when it is entered anew (MX-10)', async () => {
    const seen: unknown[] = [];
    const runId = await begin(
      async ({ event, step }) => {
        const data = event.data as { list: number[] };
        const result = await step.run('list', () => ({ list: [1] }));
        seen.push(structuredClone({ event: data.list, result: result.list }));
        data.list.push(99);
        result.list.push(99);
        await step.sleep('nap', '1h');
        return [data.list, result.list];
      },
      { list: [1] },
    );
    await calm(runId);
    await evictDurableObject(stubOf(runId));
    expect(await finish(runId)).toMatchObject({
      output: [
        [1, 99],
        [1, 99],
      ],
    });
    expect(seen).toEqual([
      { event: [1], result: [1] },
      { event: [1], result: [1] },
    ]);
  });

  test('a handler that never returns is given up after the longest time and tried again, then the run fails (ST-11)', async () => {
    let entered = 0;
    const runId = await begin(async () => {
      entered++;
      await new Promise(() => undefined);
    });
    for (let attempt = 1; attempt <= 4; attempt++) {
      await calm(runId);
      expect(entered).toBe(attempt);
      vi.setSystemTime(Date.now() + limits.stepRuntime);
      await runDurableObjectAlarm(stubOf(runId));
      if (attempt < 4) await wake(runId);
    }
    expect(await calm(runId)).toMatchObject({ status: 'Failed', output: { name: 'TimeoutError' } });
  });

  test('a step that never ends is given up after two hours, and its late answer is refused (AT-8, LM-2, ST-10, ST-11, MX-19)', async () => {
    const late = new Gate<string>();
    let attempts = 0;
    const runId = await begin(({ step }) =>
      step.run('hangs', () => (++attempts === 1 ? late.passed() : 'second')),
    );
    await calm(runId);
    vi.setSystemTime(NOW + 2 * HOUR - 1);
    await runDurableObjectAlarm(stubOf(runId));
    expect((await calm(runId)).steps).toMatchObject([{ status: 'Running' }]);
    vi.setSystemTime(NOW + 2 * HOUR);
    await runDurableObjectAlarm(stubOf(runId));
    expect((await calm(runId)).steps).toMatchObject([
      { status: 'Waiting', failures: [{ error: { name: 'TimeoutError' } }] },
    ]);
    late.open('first');
    await turn(5);
    expect(await finish(runId)).toMatchObject({ status: 'Completed', output: 'second' });
    expect((await traceOf(runId)).steps).toMatchObject([{ output: 'second', late: 1 }]);
  });

  test('the watchdog looks after code that runs, and does not disturb it', async () => {
    const slow = new Gate<string>();
    let entered = 0;
    const runId = await begin(async ({ step }) => {
      entered++;
      return step.run('slow', () => slow.passed());
    });
    for (let looks = 0; looks < 5; looks++) await wake(runId);
    expect(Date.now()).toBeGreaterThanOrEqual(NOW + 5 * 10_000);
    slow.open('done');
    expect(await finish(runId)).toMatchObject({ status: 'Completed', output: 'done' });
    expect(entered).toBe(1);
  });

  test('alarm() never throws, even when the journal cannot be written: it sets the next alarm instead', async () => {
    const runId = await begin(async ({ step }) => {
      await step.sleep('nap', '1h');
      return 'woke';
    });
    await calm(runId);
    await runInDurableObject(
      stubOf(runId),
      (_, { storage }) => void storage.sql.exec('alter table journal rename to hidden'),
    );
    vi.setSystemTime(NOW + HOUR);
    await runDurableObjectAlarm(stubOf(runId)).catch(() => undefined);
    await runInDurableObject(
      stubOf(runId),
      (_, { storage }) => void storage.sql.exec('alter table hidden rename to journal'),
    ).catch(() => undefined);
    await crash(runId);
    expect(await finish(runId)).toMatchObject({ status: 'Completed', output: 'woke' });
  });
});

describe('sleeping', () => {
  test('a sleeping run that was evicted wakes on time and runs only what comes after (SL-2, SL-5, MX-26)', async () => {
    const ran: string[] = [];
    const runId = await begin(async ({ step }) => {
      await step.run('before', () => void ran.push('before'));
      await step.sleep('nap', '2h');
      return step.run('after', () => {
        ran.push('after');
        return Date.now();
      });
    });
    await calm(runId);
    expect(await alarmOf(stubOf(runId))).toBe(NOW + 2 * HOUR);
    await evictDurableObject(stubOf(runId));
    vi.setSystemTime(NOW + 2 * HOUR - 1);
    await runDurableObjectAlarm(stubOf(runId));
    expect((await calm(runId)).steps).toMatchObject([{ name: 'before' }, { name: 'nap', status: 'Waiting' }]);
    expect(await finish(runId)).toMatchObject({ status: 'Completed', output: NOW + 2 * HOUR });
    expect(ran).toEqual(['before', 'after']);
  });

  test('sleeps side by side end one after the other, each with its own timer (SL-12)', async () => {
    const woke: [string, number][] = [];
    const runId = await begin(async ({ step }) => {
      const nap = async (time: string) => {
        await step.sleep(`for ${time}`, time);
        woke.push([time, Date.now() - NOW]);
      };
      await Promise.all([nap('30m'), nap('10m'), nap('20m')]);
    });
    await finish(runId);
    expect(woke).toEqual([
      ['10m', 10 * MINUTE],
      ['20m', 20 * MINUTE],
      ['30m', 30 * MINUTE],
    ]);
  });

  test('a run that has ended keeps no alarm', async () => {
    const runId = await begin(async ({ step }) => {
      await Promise.race([step.sleep('long', '1h'), step.sleep('short', '1m')]);
      return 'raced';
    });
    expect(await finish(runId)).toMatchObject({ status: 'Completed', output: 'raced' });
    expect(await alarmOf(stubOf(runId))).toBeNull();
  });
});

describe('cancelling', () => {
  test('a sleeping run is cancelled at once, and nothing of it runs any more (CX-22, SL-10)', async () => {
    let after = 0;
    const runId = await begin(async ({ step }) => {
      await step.sleep('nap', '1h');
      after++;
    });
    await calm(runId);
    expect(await objectOf(runId).cancel()).toBe('cancelled');
    expect(await objectOf(runId).read()).toMatchObject({ status: 'Cancelled', output: null });
    expect(await alarmOf(stubOf(runId))).toBeNull();
    expect(after).toBe(0);
  });

  test('a step that executes runs to its end, is kept, and is the last (CX-23, CX-25)', async () => {
    const slow = new Gate<string>();
    let after = 0;
    const runId = await begin(async ({ step }) => {
      await step.run('slow', () => slow.passed());
      await step.run('after', () => ++after);
    });
    await calm(runId);
    expect(await objectOf(runId).cancel()).toBe('cancelled');
    expect(await calm(runId)).toMatchObject({ status: 'Running' });
    slow.open('kept');
    expect(await finish(runId)).toMatchObject({ status: 'Cancelled' });
    expect((await traceOf(runId)).steps).toMatchObject([
      { name: 'slow', status: 'Completed', output: 'kept' },
    ]);
    expect(after).toBe(0);
  });

  test('a cancellation that waits for a step survives the loss of its object (CX-26)', async () => {
    const runId = await begin(({ step }) => step.run('lost', () => new Promise(() => undefined)));
    await calm(runId);
    await objectOf(runId).cancel();
    await crash(runId);
    expect(await finish(runId)).toMatchObject({ status: 'Cancelled' });
  });

  test('a run that has ended is not cancelled, nor one that there is not (CX-30)', async () => {
    const runId = await begin(() => 'done');
    await finish(runId);
    expect(await objectOf(runId).cancel()).toBe('ended');
    expect(await objectOf(runId).read()).toMatchObject({ status: 'Completed', output: 'done' });
    expect(await objectOf(unique('nobody')).cancel()).toBe('unknown');
  });
});

describe('sizes', () => {
  test('a step of 4 MB survives eviction; one byte more fails that step for good (AT-17, LM-3, LM-11, ST-12)', async () => {
    const most = limits.outputBytes - 2;
    const runId = await begin(async ({ step }) => {
      const big = await step.run('big', () => 'é'.repeat(most / 2));
      await step.sleep('nap', '1h');
      const problem = await step
        .run('too big', () => 'x'.repeat(most + 1))
        .catch((error: Error) => error.name);
      return [big.length, problem];
    });
    await calm(runId);
    await evictDurableObject(stubOf(runId));
    expect(await finish(runId)).toMatchObject({
      status: 'Completed',
      output: [most / 2, 'StepOutputTooLarge'],
    });
  });

  test('an event of 3 MB comes in at the front door and reaches its handler after a crash, as it was sent (EVT-6, LM-7)', async () => {
    const program = unique('large');
    const blob = 'ж'.repeat(1_400_000);
    const reached = new Gate<string>();
    programs.set(program, async ({ event, runId, step }) => {
      reached.open(runId);
      await step.sleep('nap', '1h');
      return (event.data as { blob: string }).blob === blob;
    });
    const [id = ''] = await send({ name: 'test/program', data: { program, blob } });
    const runId = await reached.passed();
    await calm(runId);
    await crash(runId);
    expect(await finish(runId)).toMatchObject({ status: 'Completed', output: true });
    expect(await endedRunsOf(id)).toMatchObject([{ run_id: runId, output: true }]);
  });

  test('a thousand steps are a run; the step after them fails it (AT-17, LM-5, LM-11)', async () => {
    const steps =
      (count: number) =>
      async ({ step }: Parameters<Parameters<typeof begin>[0]>[0]) => {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += await step.run('same id', () => 1);
        return sum;
      };
    expect(await finish(await begin(steps(limits.stepsPerRun)))).toMatchObject({
      status: 'Completed',
      output: 1_000,
    });
    const failed = await finish(await begin(steps(limits.stepsPerRun + 1)));
    expect(failed).toMatchObject({ status: 'Failed', output: { name: 'StepLimitExceeded' } });
  });

  test('a step costs one row to write, a run three and its alarms', async () => {
    const cost = async (steps: number) => {
      const runId = await begin(async ({ step }) => {
        for (let i = 0; i < steps; i++) await step.run('step', () => i);
      });
      await finish(runId);
      return runInDurableObject(stubOf(runId), (_, { storage }) =>
        Number(storage.sql.exec('select total_changes() as n').one()['n']),
      );
    };
    const [none, ten, thirty] = [await cost(0), await cost(10), await cost(30)];
    console.log(`rows written: ${none} by a run without steps, ${ten} with ten, ${thirty} with thirty`);
    expect((thirty - ten) / 20).toBeLessThanOrEqual(1);
    expect(none).toBeLessThanOrEqual(5);
  });
});

describe('event.user', () => {
  test('is nowhere to be read in D1 or in the journal, and open in the handler (EVT-10, EVT-11)', async () => {
    const program = unique('user');
    const secret = 'nobody@example.com';
    const seen: unknown[] = [];
    const entered = new Gate<string>();
    programs.set(program, async ({ event, events, runId, step }) => {
      seen.push(event.user, events[0].user);
      entered.open(runId);
      await step.sleep('nap', '1h');
    });
    const [id = ''] = await send({ name: 'test/program', data: { program }, user: { email: secret } });
    const runId = await entered.passed();
    await calm(runId);
    await crash(runId);
    await finish(runId);
    expect(seen).toEqual(Array.from({ length: 4 }, () => ({ email: secret })));
    await until(async () =>
      (await env.DB.prepare('select ended_at from run where run_id = ?').bind(runId).first('ended_at')) ===
      null
        ? null
        : true,
    );
    const { results } = await env.DB.prepare('select * from event where internal_id = ?').bind(id).all();
    expect(results).toHaveLength(1);
    for (const text of [JSON.stringify(results), await storedText(stubOf(runId))]) {
      expect(text).toContain('v1.');
      expect(text).not.toContain(secret);
      expect(text).not.toContain('email');
    }
  });
});

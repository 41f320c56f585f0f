/** The acceptance scenarios, from the front door to the index: events are sent, time is moved, and what a user would see is looked at. */
import { evictDurableObject } from 'cloudflare:test';
import { exports } from 'cloudflare:workers';
import { describe, expect, test, vi } from 'vitest';
import { HOUR, MINUTE, SECOND } from '../../src/lib/time.ts';
import type { Waiting } from '../../src/protocol/run.ts';
import { NonRetriableError, referenceFunction, RetryAfterError } from '../../src/sdk/index.ts';
import {
  calm,
  crash,
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
  sendThrough,
  stubOf,
  timeStandsStill,
  traceOf,
  turn,
  until,
  waiting,
  wake,
} from './world.ts';
import { type Program, type ProgramContext, programs } from './worker.ts';

timeStandsStill();
emptyTables();

const plain = (program: Program, data: object = {}) => launch(program, { name: 'test/plain', data });

async function outcome({ eventId, runId }: { eventId: string; runId: string }) {
  await finish(runId);
  return (await endedRunsOf(eventId))[0];
}

/** The third of three steps fails so often; says what ran. */
function threeSteps(failures: number) {
  const ran: string[] = [];
  const attempts: number[] = [];
  const program: Program = async ({ step, attempt }) => {
    const a = await step.run('one', () => (ran.push('one'), 1));
    const b = await step.run('two', () => (ran.push('two'), a + 1));
    return step.run('three', () => {
      attempts.push(attempt);
      if (attempts.length <= failures) throw new RangeError(`failure ${attempts.length}`);
      return b + 1;
    });
  };
  return { program, ran, attempts };
}

describe('three steps', () => {
  test('each once, results passed on, output stored (AT-1)', async () => {
    const { program, ran, attempts } = threeSteps(0);
    expect(await outcome(await plain(program))).toMatchObject({ status: 'Completed', output: 3 });
    expect([ran, attempts]).toEqual([['one', 'two'], [0]]);
  });

  test('of which the third succeeds at its fifth attempt (AT-2, HC-8, RT-1)', async () => {
    const { program, ran, attempts } = threeSteps(4);
    const run = await plain(program);
    expect(await outcome(run)).toMatchObject({ status: 'Completed', output: 3 });
    expect([ran, attempts]).toEqual([
      ['one', 'two'],
      [0, 1, 2, 3, 4],
    ]);
    const failures = [0, 1, 2, 3].map((n) => ({ attempt: n, at: NOW + n * MINUTE }));
    expect((await traceOf(run.runId)).steps[2]).toMatchObject({ attempts: 5, failures });
  });

  test('of which the third fails five times: the run fails, once, and is handled, once (AT-3, OF-3)', async () => {
    const { sequel, seen } = recording();
    const { program, ran, attempts } = threeSteps(5);
    const run = await plain(program, { sequel });
    const error = { name: 'RangeError', message: 'failure 5' };
    expect(await outcome(run)).toMatchObject({ status: 'Failed', output: error });
    expect([ran, attempts.length]).toEqual([['one', 'two'], 5]);
    const event = await endEvent('inngest/function.failed', run.runId);
    expect(event).toMatchObject({
      ts: NOW + 4 * MINUTE,
      data: { error: { ...error, __serialized: true }, function_id: 'test-plain', run_id: run.runId },
    });
    expect(await endedRunsOf(event.internalId)).toMatchObject([{ status: 'Completed' }]);
    expect(seen).toHaveLength(1);
    expect(await endEvents('inngest/function.failed', run.runId)).toHaveLength(1);
  });

  test('of which the third is caught and made up for, by a step with five attempts of its own (AT-4, RB-1)', async () => {
    const { program, attempts } = threeSteps(5);
    let fallbacks = 0;
    const run = await plain((context) =>
      (program(context) as Promise<number>).catch(() =>
        context.step.run('instead', () => {
          if (++fallbacks < 5) throw new Error('this too');
          return 'made up';
        }),
      ),
    );
    expect(await outcome(run)).toMatchObject({ status: 'Completed', output: 'made up' });
    expect([attempts.length, fallbacks]).toEqual([5, 5]);
    expect(await endEvents('inngest/function.failed', run.runId)).toEqual([]);
  });
});

describe('errors that say what is next', () => {
  test('NonRetriableError in a step: one attempt, and it can be caught; in the handler: one entry (AT-5)', async () => {
    let attempts = 0;
    const caught = await plain(({ step }) =>
      step
        .run('once', () => {
          attempts++;
          throw new NonRetriableError('no use');
        })
        .catch((error: Error) => error.message),
    );
    expect([(await outcome(caught))?.output, attempts]).toEqual(['no use', 1]);
    let entries = 0;
    const thrown = await plain(() => {
      entries++;
      throw new NonRetriableError('no use');
    });
    expect([(await outcome(thrown))?.status, entries]).toEqual(['Failed', 1]);
  });

  test.each<[string, () => number | string | Date, number]>([
    ['2000', () => 2_000, 2 * SECOND],
    ['"90s"', () => '90s', 90 * SECOND],
    ['a Date', () => new Date(NOW + HOUR), HOUR],
  ])('RetryAfterError with %s: the next attempt is then (AT-6)', async (_, after, ms) => {
    const times: number[] = [];
    const run = await plain(({ step }) =>
      step.run('later', () => {
        times.push(Date.now() - NOW);
        if (times.length === 1) throw new RetryAfterError('not yet', after());
      }),
    );
    expect(await outcome(run)).toMatchObject({ status: 'Completed' });
    expect(times).toEqual([0, ms]);
  });
});

describe('what is lost', () => {
  test('after the code of a step ran and before that was written: the step runs again, and only that one (AT-7, MX-21)', async () => {
    const ran: string[] = [];
    const lost = new Gate();
    const run = await plain(async ({ step }) => {
      await step.run('before', () => void ran.push('before'));
      await step.run('charge', async () => {
        ran.push('charge');
        if (ran.length === 2) await lost.passed();
      });
      return step.run('after', () => ran.push('after'));
    });
    await until(() => (ran.length === 2 ? true : null));
    await crash(run.runId);
    expect(await outcome(run)).toMatchObject({ status: 'Completed', output: 4 });
    expect(ran).toEqual(['before', 'charge', 'charge', 'after']);
  });

  test('in a loop of 25 pages with one id, which another deployment resumes at page 13 (AT-9, LP-2)', async () => {
    const pages: string[] = [];
    const loop =
      (deployment: string) =>
      async ({ step }: ProgramContext) => {
        const items: number[] = [];
        for (let page = 0; page < 25; page++) {
          items.push(await step.run('page', () => (pages.push(`${deployment} ${page}`), page * page)));
          if (page === 12) await step.sleep('rest', '1h');
        }
        return items;
      };
    const program = named(loop('old'));
    const [eventId = ''] = await sendThrough({ name: 'test/plain', data: { program } });
    const runId = (await runsOf(eventId))[0]?.run_id ?? '';
    await waiting(runId, 'sleep');
    programs.set(program, loop('new'));
    await evictDurableObject(stubOf(runId));
    const run = await outcome({ eventId, runId });
    expect(run?.output).toEqual(Array.from({ length: 25 }, (_, page) => page * page));
    expect(pages).toEqual(Array.from({ length: 25 }, (_, page) => `${page < 13 ? 'old' : 'new'} ${page}`));
  });

  test('while it sleeps, and its code has a new step and a renamed one when it wakes (AT-16, VR-2, VR-4, ST-3)', async () => {
    const ran: string[] = [];
    const steps =
      (...names: string[]) =>
      async ({ step }: ProgramContext) => {
        for (const name of names) {
          if (name === 'pause') await step.sleep('pause', '1h');
          else await step.run(name, () => void ran.push(name));
        }
      };
    const program = named(steps('a', 'b', 'pause', 'c'));
    const [eventId = ''] = await sendThrough({ name: 'test/plain', data: { program } });
    const runId = (await runsOf(eventId))[0]?.run_id ?? '';
    await waiting(runId, 'sleep');
    expect(ran.splice(0)).toEqual(['a', 'b']);
    programs.set(program, steps('a', 'z', 'b2', 'pause', 'c'));
    await evictDurableObject(stubOf(runId));
    expect(await outcome({ eventId, runId })).toMatchObject({ status: 'Completed' });
    expect(ran).toEqual(['z', 'b2', 'c']);
  });
});

test('a hundred steps at once: each once, every result in its place (AT-10)', async () => {
  const ran: number[] = [];
  const run = await plain(async ({ step }) =>
    Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        step.run('same id', async () => {
          await turn(n % 3);
          ran.push(n);
          return n;
        }),
      ),
    ),
  );
  expect((await outcome(run))?.output).toEqual(Array.from({ length: 100 }, (_, n) => n));
  expect(ran.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, n) => n));
});

test('a date that moves with every entry: the first one stands (AT-11, SU-6)', async () => {
  const woke: number[] = [];
  const run = await plain(async ({ step }) => {
    await Promise.all([
      step.sleep('short', '20s'),
      step.sleepUntil('moving', new Date(Date.now() + MINUTE)).then(() => woke.push(Date.now())),
    ]);
  });
  await waiting(run.runId, 'sleep', 2);
  await evictDurableObject(stubOf(run.runId));
  await outcome(run);
  expect(woke).toEqual([NOW + MINUTE]);
});

describe('a cancellation (FA-12)', () => {
  const child = referenceFunction({ functionId: 'child', schemas: {} });
  const cancel = (runId: string) =>
    exports.default.fetch(`https://stepwell.test/v1/runs/${runId}`, { method: 'DELETE' });

  test.each<[Waiting['reason'], Program]>([
    ['sleep', ({ step }) => step.sleep('nap', '1h')],
    ['event', ({ step }) => step.waitForEvent('it', { event: 'test/never', timeout: '1h' })],
    [
      'invoke',
      ({ step }) =>
        step.invoke('call', {
          function: child,
          data: { program: named((context) => context.step.sleep('nap', '1h')) },
        }),
    ],
    [
      'retry',
      ({ step }) =>
        step.run('fails', () => {
          throw new Error('once');
        }),
    ],
  ])(
    'while it waits (%s): at once, told once, and not handled as a failure (CX-1, CX-22, CX-28 to CX-31, SY-4)',
    async (reason, program) => {
      const { sequel, seen } = recording();
      const { eventId, runId } = await plain(program, { sequel });
      await waiting(runId, reason);
      for (let times = 0; times < 3; times++)
        expect((await cancel(runId)).status).toBe(times === 0 ? 200 : 400);
      expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Cancelled' }]);
      await endEvent('inngest/function.finished', runId);
      expect(await endEvents('inngest/function.cancelled', runId)).toMatchObject([
        { ts: NOW, data: { function_id: 'test-plain' } },
      ]);
      expect(await endEvents('inngest/function.failed', runId)).toEqual([]);
      expect(seen).toEqual([]);
      // Others begin as ever.
      expect(await outcome(await plain(() => 'next'))).toMatchObject({ output: 'next' });
    },
  );

  test('before it begins: nothing of it ever runs (CX-22)', async () => {
    let begun = 0;
    const program = named(() => void begun++);
    const [eventId = ''] = await sendThrough({ name: 'test/plain', ts: NOW + HOUR, data: { program } });
    const runId = (await runsOf(eventId))[0]?.run_id ?? '';
    await waiting(runId, 'start');
    await cancel(runId);
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Cancelled' }]);
    vi.setSystemTime(NOW + 2 * HOUR);
    await calm(runId);
    expect(begun).toBe(0);
    expect(await endEvents('inngest/function.cancelled', runId)).toHaveLength(1);
  });

  test('while steps execute: they end, nothing begins, and it is told once (CX-23 to CX-26)', async () => {
    const slow = new Gate<string>();
    let after = 0;
    const { eventId, runId } = await plain(async ({ step }) => {
      await Promise.all([step.run('one', () => slow.passed()), step.run('two', () => slow.passed())]);
      await step.run('after', () => ++after);
    });
    await until(async () => ((await traceOf(runId).catch(() => null))?.steps.length === 2 ? true : null));
    await cancel(runId);
    expect((await calm(runId)).status).toBe('Running');
    slow.open('kept');
    expect(await ended(runId)).toMatchObject({
      status: 'Cancelled',
      steps: [{ output: 'kept' }, { output: 'kept' }],
    });
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Cancelled' }]);
    await endEvent('inngest/function.finished', runId);
    expect(await endEvents('inngest/function.cancelled', runId)).toHaveLength(1);
    expect(after).toBe(0);
  });
});

describe('a time limit of 30 s', () => {
  const hasty = (program: Program) => launch(program, { name: 'test/hasty' });

  test('ends what sleeps for an hour, then (FA-14, TO-5, TO-7, TO-8)', async () => {
    const { eventId, runId } = await hasty(({ step }) => step.sleep('nap', '1h'));
    await waiting(runId, 'sleep');
    await finish(runId);
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Cancelled' }]);
    expect((await endEvent('inngest/function.cancelled', runId)).ts).toBe(NOW + 30 * SECOND);
  });

  test('does not interrupt the handler, whose last word counts (FA-14, TO-10)', async () => {
    const slow = new Gate<string>();
    let entered = 0;
    const { eventId, runId } = await hasty(() => {
      entered++;
      return slow.passed();
    });
    await until(() => (entered === 1 ? true : null));
    for (let looks = 0; looks < 4; looks++) await wake(runId);
    expect(Date.now()).toBeGreaterThan(NOW + 30 * SECOND);
    slow.open('late');
    expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Completed', output: 'late' }]);
    expect(entered).toBe(1);
  });
});

/** User code inside the run's object: what a function author may rely on. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { NonRetriableError, RetryAfterError, StepError } from '../../src/sdk/errors.ts';
import { gate, NOW, World, type Code, type Context } from './world.ts';

/** Runs it to its end. */
const run = (code: Code, options?: ConstructorParameters<typeof World>[1]) => new World(code, options).run();

describe('sequential steps', () => {
  test('run once each, their results are passed on, the output is stored (AT-1, OI-1, SR-4)', async () => {
    const ran: string[] = [];
    const world = await run(async ({ step }) => {
      const a = await step.run('a', () => (ran.push('a'), 1));
      const b = await step.run('b', async () => (ran.push('b'), (a as number) + 1));
      return await step.run('c', () => (ran.push('c'), (b as number) + 1));
    });
    expect(ran).toEqual(['a', 'b', 'c']);
    expect([world.status, world.output]).toEqual(['Completed', 3]);
    expect(world.entries).toBe(1);
    expect(world.reported).toMatchObject([{ status: 'Completed', output: '3' }]);
  });

  test.each([
    ['in the turn of its start', () => 7],
    [
      'in the turn of its start, by an error',
      () => {
        throw new NonRetriableError('lost');
      },
    ],
    ['a moment later', async () => Promise.resolve(7)],
  ])('a run that ends %s tells who started it, and nobody else (RN-3)', async (_, code: Code) => {
    const world = await new World(code, { isAwaited: true }).start();
    expect([world.reported.length, world.reports]).toEqual([1, 0]);
  });

  test('may be synchronous, and so may the handler (HC-12, HC-13, SR-2)', async () => {
    expect((await run(() => 7)).output).toBe(7);
    expect((await run(() => undefined)).output).toBeNull();
  });

  test('are written down before what comes after them begins (MX-5, MX-28)', async () => {
    let stored: unknown;
    const world: World = new World(async ({ step }) => {
      await step.run('a', () => 'first');
      await step.run('b', () => {
        const { head = '', data } = world.rows.table.get(2) ?? {};
        stored = { ...(JSON.parse(head) as object), data };
      });
    });
    await world.run();
    expect(stored).toMatchObject({ name: 'a', state: 'settled', ok: true, order: 0, data: '"first"' });
  });

  test('get further arguments (SR-8)', async () => {
    const world = await run(({ step }) =>
      step.run('add', (...n) => (n[0] as number) + (n[1] as number), 2, 3),
    );
    expect(world.output).toBe(5);
  });

  test('in branches: what is not reached is not run (ST-9)', async () => {
    const ran: string[] = [];
    await run(async ({ step, event }) => {
      if (event.data['n'] === 1) await step.run('yes', () => ran.push('yes'));
      else await step.run('no', () => ran.push('no'));
    });
    expect(ran).toEqual(['yes']);
  });

  test('cost two row writes at most, and no alarm write (budget)', async () => {
    const world = await run(async ({ step }) => {
      for (let n = 0; n < 100; n++) await step.run('page', () => n);
    });
    // One to begin and one to store each; started and returned.
    expect(world.transactions).toBe(202);
  });
});

describe('the handler is given', () => {
  test('its events, its run and its attempt (HC-1, HC-3, HC-9)', async () => {
    let seen: Partial<Context> = {};
    await run((context) => void (seen = context));
    expect(seen.event).toEqual({ name: 'shop/order.placed', data: { n: 1 }, ts: NOW });
    expect(seen.events).toEqual([seen.event]);
    expect(seen).toMatchObject({ runId: 'run', attempt: 0, maxAttempts: 5 });
  });

  test('fresh copies at every entry: what it does to its event is not seen again', async () => {
    const seen: unknown[] = [];
    const world = await run(async ({ event, step, attempt }) => {
      seen.push(event.data['n']);
      event.data['n'] = 'changed';
      await step.run('a', () => 1);
      if (attempt < 2) throw new Error('again');
    });
    expect(world.status).toBe('Completed');
    expect(new Set(seen)).toEqual(new Set([1]));
  });

  test('results that are copies: what it does to them is not seen in a replay (MX-16)', async () => {
    const seen: unknown[] = [];
    const given = { list: [1] };
    await run(async ({ step, attempt }) => {
      const result = (await step.run('a', () => given)) as { list: number[] };
      seen.push(structuredClone(result));
      result.list.push(2);
      if (attempt === 0) throw new Error('again');
    });
    expect(seen).toEqual([{ list: [1] }, { list: [1] }]);
    expect(given).toEqual({ list: [1] });
  });
});

describe('the same id', () => {
  test('in a loop: each use is a step of its own (ST-4, AT-9)', async () => {
    const world = new World(async ({ step }) => {
      const pages: unknown[] = [];
      for (let page = 0; page < 25; page++) {
        pages.push(await step.run('page', () => page));
        if (page === 12) await step.sleep('rest', '1h');
      }
      return pages;
    });
    await world.start();
    expect(world.owner.state?.settled).toBe(13);
    await world.crash().toEnd();
    expect(world.output).toEqual(Array.from({ length: 25 }, (_, n) => n));
  });

  test('in parallel: the n-th promise keeps the n-th result, whichever ends first (ST-6)', async () => {
    const gates = [gate(), gate(), gate()];
    const world = new World(({ step }) =>
      Promise.all(gates.map((one) => step.run('chunk', () => one.promise))),
    );
    await world.start();
    for (const n of [2, 0, 1]) {
      gates[n]?.open(`result ${n}`);
      await world.quiet();
    }
    expect(world.output).toEqual(['result 0', 'result 1', 'result 2']);
  });

  test('as another one with a counter does no harm (MX-13)', async () => {
    const world = await run(async ({ step }) => [
      await step.run('a:1', () => 'literal'),
      await step.run('a', () => 'first'),
      await step.run('a', () => 'second'),
    ]);
    expect(world.output).toEqual(['literal', 'first', 'second']);
  });

  test('has a name of its own for people (ST-2, MX-14)', async () => {
    const world = await run(({ step }) => step.run({ id: 'a', name: 'Charge the card' }, () => 1));
    const trace = await world.trace();
    expect(trace?.steps).toMatchObject([
      { name: 'Charge the card', id: '86f7e437faa5a7fce15d1ddcb9eaeaea377667b8' },
    ]);
  });
});

describe('parallel steps', () => {
  test('run at the same time (PA-1, PA-2)', async () => {
    const [a, b] = [gate(), gate()];
    const world = new World(({ step }) =>
      Promise.all([step.run('a', () => a.promise), step.run('b', () => b.promise)]),
    );
    await world.start();
    expect(world.owner.state?.live.steps.size).toBe(2);
    b.open('b');
    a.open('a');
    await world.quiet();
    expect(world.output).toEqual(['a', 'b']);
  });

  test('100 of them: each once, every result in its place (AT-10, PA-12)', async () => {
    let ran = 0;
    const numbers = Array.from({ length: 100 }, (_, n) => n);
    const world = await run(({ step }) => Promise.all(numbers.map((n) => step.run('n', () => (ran++, n)))));
    expect(world.output).toEqual(numbers);
    expect(ran).toBe(100);
  });

  test('may return 4 MB each, whatever that is together (PA-16)', async () => {
    const large = 'x'.repeat(3 * 1024 * 1024);
    const world = await run(async ({ step }) => {
      const all = await Promise.all(['a', 'b', 'c'].map((id) => step.run(id, () => large)));
      return all.length;
    });
    expect([world.status, world.output]).toEqual(['Completed', 3]);
  });

  test('are retried alone (PA-3, RT-8)', async () => {
    const ran: string[] = [];
    const world = await run(({ step, attempt }) =>
      Promise.all([
        step.run('a', () => (ran.push('a'), 'a')),
        step.run('b', () => {
          ran.push(`b${attempt}`);
          if (attempt < 2) throw new Error('no');
          return 'b';
        }),
      ]),
    );
    expect(ran).toEqual(['a', 'b0', 'b1', 'b2']);
    expect(world.output).toEqual(['a', 'b']);
  });

  test('one that fails for good fails the function, and the executing ones finish (PA-13)', async () => {
    const slow = gate();
    let finished = false;
    const world = new World(({ step }) =>
      Promise.all([
        step.run('bad', () => Promise.reject(new NonRetriableError('no'))),
        step.run('slow', async () => {
          await slow.promise;
          finished = true;
        }),
      ]),
    );
    await world.start();
    expect(world.status).toBe('Failed');
    slow.open(1);
    await world.quiet();
    expect(finished).toBe(true);
  });

  test('allSettled: failures are values (SR-6)', async () => {
    const world = await run(
      async ({ step }) => {
        const results = await Promise.allSettled([
          step.run('good', () => 1),
          step.run('bad', () => Promise.reject(new Error('no'))),
        ]);
        return results.map((result) => result.status);
      },
      { maxAttempts: 2 },
    );
    expect(world.output).toEqual(['fulfilled', 'rejected']);
  });

  test('that are not awaited: the function completes without them (ST-8)', async () => {
    const never = gate();
    const world = await run(({ step }) => {
      void step.run('left behind', () => never.promise);
      return 'done';
    });
    expect([world.status, world.output]).toEqual(['Completed', 'done']);
    never.open(1);
    await world.quiet();
    expect(world.reported).toHaveLength(1);
  });

  test('steps and sleeps mixed (PA-9, OI-2)', async () => {
    const order: string[] = [];
    const world = await run(async ({ step }) => {
      await Promise.all([
        step.sleep('long', '2h').then(() => order.push('long')),
        step.sleep('short', '1h').then(() => order.push('short')),
        step.run('a', () => 1).then(() => order.push('a')),
      ]);
    });
    expect(order.slice(-3)).toEqual(['a', 'short', 'long']);
    expect(world.now).toBe(NOW + 7_200_000);
    expect(world.status).toBe('Completed');
  });
});

describe('races', () => {
  /** Runs it in place; then the object is lost, and the code says again who won. */
  async function twice(race: (step: Context['step']) => Promise<unknown>): Promise<unknown[]> {
    const winners: unknown[] = [];
    const world = new World(async ({ step }) => {
      winners.push(await race(step));
      await step.sleep('a while', '1d');
    });
    await world.start();
    await world.crash().pass(86_400_000);
    await world.quiet();
    expect(world.status).toBe('Completed');
    return winners;
  }
  const after = (turns: number, value: string) => async () => {
    for (let n = 0; n < turns; n++) await new Promise<void>((resolve) => void setTimeout(resolve, 0));
    return value;
  };

  test.each([
    ['a', 1, 3],
    ['b', 3, 1],
  ])('%s wins in every replay (MX-27)', async (winner, turnsA, turnsB) => {
    const winners = await twice((step) =>
      Promise.race([step.run('a', after(turnsA, 'a')), step.run('b', after(turnsB, 'b'))]),
    );
    expect(winners).toEqual([winner, winner]);
  });

  test.each([
    ['a', 1, 3],
    ['b', 3, 1],
  ])(
    '%s wins in every replay, asked for after the other and raced before it',
    async (winner, turnsA, turnsB) => {
      const winners = await twice(async (step) => {
        const b = step.run('b', after(turnsB, 'b'));
        const a = step.run('a', after(turnsA, 'a'));
        return await Promise.race([b, a]);
      });
      expect(winners).toEqual([winner, winner]);
      const mirrored = await twice(async (step) => {
        const a = step.run('a', after(turnsA, 'a'));
        const b = step.run('b', after(turnsB, 'b'));
        return await Promise.race([b, a]);
      });
      expect(mirrored).toEqual([winner, winner]);
    },
  );

  test('a chain that was ahead stays ahead, however many turns it takes', async () => {
    const winners = await twice((step) => {
      const chain = step
        .run('a', after(1, 'a'))
        .then((value) => value)
        .then((value) => value)
        .then((value) => value);
      return Promise.race([step.run('b', after(4, 'b')), chain]);
    });
    expect(winners).toEqual(['a', 'a']);
  });

  test('chains of steps: the one that got through first stays first', async () => {
    const winners = await twice((step) => {
      const chain = (async () => {
        await step.run('a1', after(1, ''));
        await step.run('a2', after(1, ''));
        return 'a';
      })();
      return Promise.race([step.run('b', after(6, 'b')), chain]);
    });
    expect(winners).toEqual(['a', 'a']);
  });

  test('a sleep and a step', async () => {
    const slow = gate();
    const winners: unknown[] = [];
    const world = new World(async ({ step }) => {
      winners.push(
        await Promise.race([
          step.sleep('patience', '1m').then(() => 'sleep'),
          step.run('slow', () => slow.promise),
        ]),
      );
      await step.sleep('a while', '1d');
    });
    await world.start();
    await world.pass(60_000);
    slow.open('slow');
    await world.quiet();
    await world.crash().toEnd();
    expect(winners).toEqual(['sleep', 'sleep']);
  });

  test('two sleeps that end at the same alarm', async () => {
    const winners: unknown[] = [];
    const world = await run(async ({ step }) => {
      winners.push(
        await Promise.race([step.sleep('b', 2_000).then(() => 'b'), step.sleep('a', 1_000).then(() => 'a')]),
      );
      await step.run('after', () => 1);
      await step.sleep('a while', '1d');
    });
    expect(new Set(winners)).toEqual(new Set(['a']));
    expect(world.status).toBe('Completed');
  });
});

describe('a step called inside another one', () => {
  test('is refused for good, with an explanation (MX-31)', async () => {
    const world = await run(({ step }) => step.run('outer', () => step.run('inner', () => 1)));
    expect(world.status).toBe('Failed');
    expect(world.output).toMatchObject({
      name: 'NonRetriableError',
      message: expect.stringContaining('inner') as unknown,
    });
    expect((await world.trace())?.steps).toMatchObject([{ name: 'outer', attempts: 1 }]);
  });

  test('not by its own promise: a step after a step is no step inside it', async () => {
    const world = await run(({ step }) => step.run('a', () => 1).then(() => step.run('b', () => 2)));
    expect(world.output).toBe(2);
  });
});

describe('retries', () => {
  const failing = (until: number, seen: number[]): Code => {
    return async ({ step, attempt }) => {
      await step.run('one', () => 1);
      await step.run('two', () => 2);
      return await step.run('three', () => {
        seen.push(attempt);
        if (attempt < until) throw new TypeError(`no ${attempt}`);
        return 3;
      });
    };
  };

  test('the step sees attempts 0 to 4, at the documented times (AT-2, HC-8, RT-11)', async () => {
    const seen: number[] = [];
    const times: number[] = [];
    const world = new World(failing(4, seen), { retryInterval: null });
    const { code } = world;
    world.code = (context) => (times.push(world.now), code(context));
    await world.run();
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(world.output).toBe(3);
    const waits = times.slice(1).map((time, n) => time - (times[n] ?? 0));
    for (const [n, [from, to]] of (
      [
        [15, 45],
        [30, 60],
        [60, 90],
        [120, 150],
      ] as const
    ).entries()) {
      expect(waits[n]).toBeGreaterThanOrEqual(from * 1_000);
      expect(waits[n]).toBeLessThanOrEqual(to * 1_000);
    }
    expect((await world.trace())?.steps.map((step) => step.attempts)).toEqual([1, 1, 5]);
  });

  test('in a world that is lost before each of them, it is the same', async () => {
    const seen: number[] = [];
    const world = await new World(failing(4, seen)).start();
    for (let n = 0; !world.ended && n < 50; n++) await world.crash().ring();
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(world.output).toBe(3);
  });

  test('after all five the handler gets a StepError; uncaught, the run fails at once (AT-3, ER-19)', async () => {
    const seen: number[] = [];
    const world = await run(failing(9, seen));
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(world.status).toBe('Failed');
    expect(world.output).toMatchObject({ name: 'TypeError', message: 'no 4' });
    expect(world.reported).toHaveLength(1);
  });

  test('caught, a fallback step runs with attempts of its own (AT-4, ER-15, ER-16, ER-18)', async () => {
    const seen: number[] = [];
    let caught: unknown;
    const world = await run(async ({ step, attempt }) => {
      try {
        await step.run('bad', () => Promise.reject(new RangeError('no', { cause: new Error('why') })));
      } catch (error) {
        caught = error;
      }
      return await step.run('fallback', () => {
        seen.push(attempt);
        if (attempt < 4) throw new Error('not yet');
        return 'saved';
      });
    });
    expect([world.status, world.output]).toEqual(['Completed', 'saved']);
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(caught).toBeInstanceOf(StepError);
    expect(caught).toMatchObject({ name: 'RangeError', message: 'no', cause: { message: 'why' } });
  });

  test('the handler sees attempts 0 to 4 of its own, then the run fails (RT-7, RN-4)', async () => {
    const seen: number[] = [];
    const world = await run(({ attempt }) => {
      seen.push(attempt);
      throw new Error('no');
    });
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(world.status).toBe('Failed');
    expect((await world.trace())?.failures.map((failure) => failure.attempt)).toEqual([0, 1, 2, 3, 4]);
  });

  test('the attempt is 0 again after a step that succeeded (HC-7, RT-9)', async () => {
    const seen: string[] = [];
    const world = await run(async ({ step, attempt }) => {
      seen.push(`start ${attempt}`);
      if (seen.length < 3) throw new Error('no');
      await step.run('a', () => 1);
      seen.push(`after ${attempt}`);
    });
    expect(world.status).toBe('Completed');
    expect(seen.slice(0, 3)).toEqual(['start 0', 'start 1', 'start 2']);
    expect(seen.at(-1)).toBe('after 0');
  });

  test('and after a sleep (RT-9)', async () => {
    const seen: number[] = [];
    const world = await run(async ({ step, attempt }) => {
      if (attempt === 0 && seen.length === 0) {
        seen.push(-1);
        throw new Error('no');
      }
      await step.sleep('s', 1_000);
      seen.push(attempt);
    });
    expect(world.status).toBe('Completed');
    expect(seen).toEqual([-1, 0]);
  });

  test('a catch that throws a new error starts retries of the handler; a NonRetriableError ends it (ER-20)', async () => {
    const failed = (make: () => Error): Code => {
      return async ({ step }) => {
        try {
          await step.run('bad', () => Promise.reject(new NonRetriableError('no')));
        } catch {
          throw make();
        }
      };
    };
    const again = await run(failed(() => new Error('new')));
    expect((await again.trace())?.failures).toHaveLength(5);
    const once = await run(failed(() => new NonRetriableError('new')));
    expect((await once.trace())?.failures).toHaveLength(1);
  });

  test('NonRetriableError in a step: one attempt, and it can be caught (AT-5, ER-9)', async () => {
    let attempts = 0;
    const world = await run(({ step }) =>
      step
        .run('bad', () => (attempts++, Promise.reject(new NonRetriableError('no'))))
        .catch((error: Error) => error.name),
    );
    expect(attempts).toBe(1);
    expect([world.status, world.output]).toEqual(['Completed', 'NonRetriableError']);
  });

  test('NonRetriableError in the handler: one entry (AT-5)', async () => {
    const world = await run(() => Promise.reject(new NonRetriableError('no')));
    expect([world.status, world.entries]).toEqual(['Failed', 1]);
  });

  test.each([
    ['milliseconds', () => 2_000, 2_000],
    ['a text', () => '90s', 90_000],
    ['a date', () => new Date(NOW + 86_400_000), 86_400_000],
    ['a date in the past', () => new Date(NOW - 1), 0],
  ])('RetryAfterError with %s says when (AT-6, ER-13)', async (_what, when, wait) => {
    const times: number[] = [];
    let world = new World(({ step, attempt }) =>
      step.run('a', () => {
        times.push(world.now);
        if (attempt === 0) throw new RetryAfterError('later', when());
      }),
    );
    await world.run();
    expect((times[1] ?? 0) - NOW).toBeGreaterThanOrEqual(wait);
    expect((times[1] ?? 0) - NOW).toBeLessThanOrEqual(wait + 2_000);
    world = new World(({ attempt }) => {
      if (attempt === 0) throw new RetryAfterError('later', when());
    });
    await world.run();
    expect(world.now - NOW).toBeGreaterThanOrEqual(wait);
    expect(world.now - NOW).toBeLessThanOrEqual(wait + 2_000);
  });

  test('RetryAfterError adds no attempt (ER-14)', async () => {
    let attempts = 0;
    const world = await run(
      ({ step }) => step.run('a', () => (attempts++, Promise.reject(new RetryAfterError('x', 1)))),
      {
        maxAttempts: 3,
      },
    );
    expect([attempts, world.status]).toEqual([3, 'Failed']);
  });

  test('a handler that throws while a step executes does not run that step again', async () => {
    const slow = gate();
    let ran = 0;
    let entered = 0;
    const world = new World(async ({ step }) => {
      const promise = step.run('slow', () => (ran++, slow.promise));
      if (entered++ === 0) throw new Error('no');
      return await promise;
    });
    await world.start();
    await world.pass(5_000);
    expect(world.entries).toBe(2);
    slow.open('result');
    await world.quiet();
    expect([ran, world.status, world.output]).toEqual([1, 'Completed', 'result']);
  });
});

describe('what may be thrown', () => {
  const hostile = {
    get name(): string {
      throw new Error('name');
    },
    get message(): string {
      throw new Error('message');
    },
  };
  const badRetry = {
    name: 'RetryAfterError',
    get retryAfter(): string {
      throw new Error('retryAfter');
    },
  };
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();

  test.each<[string, unknown, string]>([
    ['a text', 'oops', 'oops'],
    ['a number', 5, '5'],
    ['nothing', undefined, 'undefined'],
    ['null', null, 'null'],
    ['an object', { code: 7 }, '{"code":7}'],
    ['an object with a message', { message: 'hello' }, 'hello'],
    ['a symbol', Symbol('s'), 'Symbol(s)'],
    ['an object whose getters throw', hostile, 'Unknown error'],
    ['one that says RetryAfterError and throws', badRetry, '{"name"'],
    ['a revoked proxy', revoked.proxy, 'Unknown error'],
  ])('%s, by a step and by a handler (ER-4)', async (_what, thrown, message) => {
    const raise = () => {
      throw thrown;
    };
    for (const code of [raise, ({ step }: Context) => step.run('a', raise)]) {
      const world = await run(code, { maxAttempts: 2 });
      expect(world.status).toBe('Failed');
      const error = world.output as { message: string };
      if (!message.startsWith('{"name"')) expect(error.message).toBe(message);
      const trace = await world.trace();
      const failures = trace?.steps[0]?.failures ?? trace?.failures;
      expect(failures).toHaveLength(2);
    }
  });
});

describe('errors', () => {
  class OutOfTea extends Error {
    override readonly name = 'OutOfTea';
  }

  test.each<[string, Error]>([
    ['TypeError', new TypeError('not a kettle')],
    ['OutOfTea', new OutOfTea('not a leaf')],
  ])('of any class count, in a step and in the handler: %s (ER-3, MX-22)', async (name, thrown) => {
    const raise = () => {
      throw thrown;
    };
    const error = { name, message: thrown.message, stack: thrown.stack };
    const failures = [0, 1].map((attempt) => ({ attempt, error }));
    const inHandler = await run(raise, { maxAttempts: 2 });
    expect(await inHandler.trace()).toMatchObject({ status: 'Failed', output: error, failures });
    const inStep = await run(({ step }) => step.run('a', raise), { maxAttempts: 2 });
    expect((await inStep.trace())?.steps).toMatchObject([{ status: 'Failed', error, failures }]);
  });

  test('that are very long are cut, with a mark (ER-7)', async () => {
    const most = 64 * 1024;
    const long = Object.assign(new Error('m'.repeat(most + 1)), { stack: 's'.repeat(most) });
    const { output } = await run(
      () => {
        throw long;
      },
      { maxAttempts: 1 },
    );
    const { message, stack } = output as Error;
    expect(message).toBe(`${'m'.repeat(most)}… (cut)`);
    expect(stack).toBe('s'.repeat(most));
  });
});

describe('what may be returned', () => {
  class Money {
    readonly cents = 5;
  }
  test.each<[string, unknown, unknown]>([
    ['undefined', undefined, null],
    ['null', null, null],
    ['a date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['an invalid date', new Date(Number.NaN), null],
    ['NaN', Number.NaN, null],
    ['a function', () => 1, null],
    ['a class instance', new Money(), { cents: 5 }],
    ['a map', new Map([[1, 2]]), {}],
    ['holes', [undefined, 1], [null, 1]],
    ['__proto__ as data', JSON.parse('{"__proto__":{"x":1}}'), JSON.parse('{"__proto__":{"x":1}}')],
    ['lone surrogates', '\ud800', '\ud800'],
  ])('%s (MX-15, MX-16, SR-5)', async (_what, value, result) => {
    const seen: unknown[] = [];
    const world = await run(async ({ step, attempt }) => {
      seen.push(await step.run('a', () => value));
      if (attempt === 0) throw new Error('and in a replay');
      return value;
    });
    expect(seen).toEqual([result, result]);
    expect(world.output).toEqual(result);
  });

  const circle: { self?: unknown } = {};
  circle.self = circle;
  const angry = {
    toJSON() {
      throw new Error('no');
    },
  };
  test.each<[string, unknown]>([
    ['a BigInt', 5n],
    ['a circular reference', circle],
    ['a toJSON that throws', angry],
  ])('%s cannot: it fails for good, without another attempt', async (_what, value) => {
    let ran = 0;
    const caught = await run(({ step }) =>
      step.run('a', () => (ran++, value)).catch((error: Error) => error.name),
    );
    expect([ran, caught.output]).toEqual([1, 'OutputNotSerializable']);
    const failed = await run(() => value);
    expect([failed.status, failed.entries]).toEqual(['Failed', 1]);
  });

  test('more than 4 MB fails the step for good, and can be caught (LM-11)', async () => {
    const huge = 'x'.repeat(4 * 1024 * 1024);
    let ran = 0;
    const world = await run(({ step }) =>
      step.run('a', () => (ran++, huge)).catch((error: Error) => error.name),
    );
    expect([ran, world.output]).toEqual([1, 'StepOutputTooLarge']);
  });
});

describe('sleeps', () => {
  test.each<[string, number | string | { total(unit: string): number }, number]>([
    ['0', 0, 0],
    ['a negative number', -5, 0],
    ['an empty text', '', 0],
    ['milliseconds', 1_500, 1_500],
    ['a text', '1h30m', 5_400_000],
    ['a Temporal.Duration', { total: (unit) => (unit === 'milliseconds' ? 250 : Number.NaN) }, 250],
    ['366 days', '366d', 366 * 86_400_000],
  ])('%s (SL-1, SL-3, SL-5, SL-8, SL-9, LM-1)', async (_what, time, ms) => {
    let result: unknown = 'unset';
    const world = await run(async ({ step }) => {
      result = await step.sleep('s', time);
    });
    expect([world.status, world.now - NOW, result]).toEqual(['Completed', ms, undefined]);
    expect((await world.trace())?.steps).toMatchObject([
      { op: 'Sleep', status: 'Completed', attempts: 1, output: null },
    ]);
  });

  test.each<[string, string | Date | { epochMilliseconds: number }, number]>([
    ['a date', new Date(NOW + 5), 5],
    ['a date in the past', new Date(0), 0],
    ['an ISO text', new Date(NOW + 7_000).toISOString(), 7_000],
    ['a Temporal.Instant', { epochMilliseconds: NOW + 9 }, 9],
    ['a text without a zone', '2027-01-16T18:00:00', new Date(2027, 0, 16, 18).getTime() - NOW],
  ])('until %s (SU-1, SU-2, SU-4)', async (_what, time, ms) => {
    const world = await run(({ step }) => step.sleepUntil('s', time));
    expect([world.status, world.now - NOW]).toEqual(['Completed', ms]);
  });

  test.each<[string, (step: Context['step']) => Promise<void>]>([
    ['a text that is no duration', (step) => step.sleep('s', 'soon')],
    ['a negative text', (step) => step.sleep('s', '-5m')],
    ['NaN', (step) => step.sleep('s', Number.NaN)],
    ['nothing', (step) => step.sleep('s', null as never)],
    ['until an invalid date', (step) => step.sleepUntil('s', new Date(Number.NaN))],
    ['until a text that is no date', (step) => step.sleepUntil('s', 'tomorrow')],
    ['until a number', (step) => step.sleepUntil('s', NOW as never)],
    ['until nothing', (step) => step.sleepUntil('s', undefined as never)],
  ])('%s: the handler throws (SU-3, SU-8, DU-4)', async (_what, sleep) => {
    const world = await run(({ step }) => sleep(step), { maxAttempts: 1 });
    expect(world.status).toBe('Failed');
    expect((world.output as Error).name).toBe('TypeError');
    expect((await world.trace())?.steps).toEqual([]);
  });

  test.each<[string, (step: Context['step']) => Promise<void>]>([
    ['longer than 366 days', (step) => step.sleep('s', 366 * 86_400_000 + 1)],
    ['until a date after that', (step) => step.sleepUntil('s', new Date(NOW + 366 * 86_400_000 + 1))],
  ])('%s: the step fails for good (SL-4, SU-5)', async (_what, sleep) => {
    const world = await run(({ step }) => sleep(step).catch((error: Error) => [error.name, error.message]));
    expect(world.output).toEqual(['SleepTooLong', expect.stringContaining('366 days')]);
    expect(world.now).toBe(NOW);
  });

  test('count from the moment at which the run comes to them (DU-8)', async () => {
    const world: World = new World(async ({ step }) => {
      await step.run('slow', () => void (world.now += 5_000));
      await step.sleep('s', 1_000);
    });
    await world.run();
    expect(world.now).toBe(NOW + 6_000);
  });

  test('until a moving date: the first one stands (MX-20, SU-6, AT-11)', async () => {
    const world: World = new World(async ({ step }) => {
      await Promise.all([
        step.sleepUntil('moving', new Date(world.now + 60_000)),
        step.sleep('short', 20_000),
      ]);
    });
    await world.start();
    await world.crash().toEnd();
    expect(world.now).toBe(NOW + 60_000);
  });

  test('a run that sleeps has nothing but its alarm, once its turn is over (MX-26)', async () => {
    const world = await new World(({ step }) => step.sleep('s', '30d')).start();
    expect(world.owner.state?.live.phase).toBe('parked');
    expect(world.rows.alarm).toBe(NOW + 30 * 86_400_000);
  });

  test('and so after a replay (MX-26)', async () => {
    const world = await new World(async ({ step }) => {
      await Promise.all([
        step.run('a', () => 1),
        step.run('b', () => 1),
        step.sleep('s', '30d'),
        step.sleep('t', '1d'),
      ]);
    }).start();
    await world.crash().ring();
    expect(world.owner.state?.live.phase).toBe('parked');
    expect(world.rows.alarm).toBe(NOW + 30 * 86_400_000);
  });
});

describe('a run with limits', () => {
  test('whose code goes on by itself after its burst goes on where it is, with another slot (CC-17, CC-18)', async () => {
    const elsewhere = Promise.withResolvers<void>();
    let entered = 0;
    const world = new World(
      ({ step }) => {
        entered++;
        const quick = elsewhere.promise.then(() => step.run('a', () => 'quick'));
        return Promise.race([step.sleep('long', 3_600_000), quick]);
      },
      { flow: { score: NOW, concurrency: [{ n: 0, scope: 'fn', key: '' }] } },
    );
    await world.start();
    expect([world.gates.asked.length, world.gates.released.length]).toEqual([1, 1]);
    elsewhere.resolve();
    await world.quiet();
    expect([entered, world.status, world.output]).toEqual([1, 'Completed', 'quick']);
    expect(world.gates.asked).toHaveLength(2);
  });
});

describe('what one alarm brings', () => {
  test('a retry of the handler and a sleep that ends: it is entered once', async () => {
    let entered = 0;
    const world = await new World(async ({ step }) => {
      const sleep = step.sleep('s', 1_000);
      if (entered++ === 0) throw new Error('no');
      await sleep;
    }).run();
    expect([world.status, world.now, entered]).toEqual(['Completed', NOW + 1_000, 2]);
  });

  test('late, a retry of a step and a sleep that begins a new entry: the step runs (PA-3)', async () => {
    let entered = 0;
    let ran = 0;
    const code: Code = ({ step }) => {
      if (entered++ === 0) throw new Error('no');
      const retried = step.run('retried', () => {
        if (ran++ === 0) throw new Error('no');
      });
      return Promise.all([retried, step.sleep('s', 5_000)]);
    };
    const world = await new World(code, { retryInterval: 1_000 }).start();
    await world.ring();
    world.now += 60_000;
    await world.ring();
    expect([world.status, ran]).toEqual(['Completed', 2]);
  });

  test('a run is not taken for idle while the handler has an outcome still to see (invariant 4)', async () => {
    const world = await new World(async ({ step }) => {
      await step.run('removed', () => 1);
      await Promise.all([step.run('a', () => 1), step.sleep('s', '30d'), step.sleep('soon', 1_000)]);
    }).start();
    world.code = ({ step }) => {
      const chain = step.run('a', () => 1).then(() => step.run('b', () => new Promise(() => {})));
      return Promise.all([chain, step.sleep('s', '30d'), step.sleep('soon', 1_000)]);
    };
    world.crash();
    world.now += 1_000;
    await world.owner.alarm();
    for (let n = 0; n < 500; n++) await Promise.resolve();
    expect(world.owner.state?.live.phase).toBe('executing');
    await world.quiet();
    expect(world.owner.state?.live.steps.size).toBe(1);
  });
});

describe('a handler that never returns', () => {
  test('is given up after the longest time without news, and tried again (ST-11)', async () => {
    const world = new World(() => new Promise(() => {}), { maxAttempts: 2, stepRuntime: 60_000 });
    await world.run();
    expect([world.status, world.entries]).toEqual(['Failed', 2]);
    expect(world.output).toMatchObject({ name: 'TimeoutError' });
    expect(world.now - NOW).toBeGreaterThanOrEqual(120_000);
  });

  test('a step that never answers: each attempt is given up, a late answer is refused and counted (LM-2, ST-11)', async () => {
    const gates = [gate(), gate()];
    const world = new World(({ step, attempt }) => step.run('a', () => gates[attempt]?.promise), {
      maxAttempts: 2,
      stepRuntime: 60_000,
    });
    await world.start();
    await world.pass(75_000);
    gates[0]?.open('late');
    await world.quiet();
    expect((await world.trace())?.steps).toMatchObject([{ status: 'Running', attempts: 2, late: 1 }]);
    gates[1]?.open('in time');
    await world.quiet();
    expect(world.output).toBe('in time');
  });
});

describe('a cancellation', () => {
  test('while it sleeps: at once, the next step does not run (CX-22, CX-24)', async () => {
    let ran = false;
    const world = await new World(async ({ step }) => {
      await step.sleep('week', '7d');
      await step.run('after', () => (ran = true));
    }).start();
    await world.pass(3 * 86_400_000);
    expect(await world.owner.cancel()).toBe('cancelled');
    await world.quiet();
    expect([world.status, world.rows.alarm, ran]).toEqual(['Cancelled', null, false]);
    expect(await world.owner.cancel()).toBe('ended');
  });

  test('while a step executes: it finishes, its result is kept, nothing more runs (CX-23, CX-25)', async () => {
    const slow = gate();
    let ran = false;
    const world = await new World(async ({ step }) => {
      await step.run('slow', () => slow.promise);
      ran = true;
      await step.run('after', () => (ran = true));
    }).start();
    await world.owner.cancel();
    expect(world.status).toBe('Running');
    slow.open('kept');
    await world.quiet();
    expect([world.status, ran]).toEqual(['Cancelled', false]);
    expect((await world.trace())?.steps).toMatchObject([{ status: 'Completed', output: 'kept' }]);
    expect(world.reported).toMatchObject([{ status: 'Cancelled' }]);
  });

  test('while several execute: all finish (CX-26)', async () => {
    const [a, b] = [gate(), gate()];
    const ran: string[] = [];
    const world = await new World(async ({ step }) => {
      await Promise.all([
        step.run('a', () => a.promise).then(() => step.run('a2', () => ran.push('a2'))),
        step.run('b', () => b.promise),
      ]);
    }).start();
    await world.owner.cancel();
    a.open(1);
    await world.quiet();
    expect(world.status).toBe('Running');
    b.open(2);
    await world.quiet();
    expect([world.status, ran]).toEqual(['Cancelled', []]);
    expect((await world.trace())?.steps.map((step) => step.output)).toEqual([1, 2]);
  });

  test('and the object is lost: the run is cancelled when that is noticed (CX-26)', async () => {
    const world = await new World(({ step }) => step.run('slow', () => new Promise(() => {}))).start();
    await world.owner.cancel();
    await world.crash().ring();
    expect(world.status).toBe('Cancelled');
    expect(world.now - NOW).toBeLessThanOrEqual(10_000);
  });

  test('before it starts (CX-22)', async () => {
    const world = await new World(() => 1, { startAt: NOW + 5_000 }).start();
    await world.owner.cancel();
    expect([world.status, world.entries]).toEqual(['Cancelled', 0]);
  });
});

describe('the code changes while a run is in progress', () => {
  const steps = (...names: string[]) => {
    const ran: string[] = [];
    const code: Code = async ({ step }) => {
      for (const name of names) {
        if (name === 'pause') await step.sleep('pause', '1d');
        else await step.run(name, () => void ran.push(name));
      }
      return names;
    };
    return { ran, code };
  };

  async function deployed(before: string[], after: string[]): Promise<string[]> {
    const [one, two] = [steps(...before), steps(...after)];
    const world = await new World(one.code).start();
    world.code = two.code;
    await world.crash().toEnd();
    expect(world.status).toBe('Completed');
    return two.ran;
  }

  test('a new step runs when it is first met, the others do not (VR-2)', async () => {
    expect(await deployed(['a', 'b', 'pause', 'c'], ['a', 'z', 'b', 'pause', 'c'])).toEqual(['z', 'c']);
  });

  test('a removed step does no harm (VR-5)', async () => {
    expect(await deployed(['a', 'b', 'pause', 'c'], ['b', 'pause', 'c'])).toEqual(['c']);
    expect(await deployed(['a', 'b', 'pause', 'c'], ['a', 'pause', 'c'])).toEqual(['c']);
    expect(await deployed(['a', 'b', 'c', 'd', 'pause'], ['pause', 'e'])).toEqual(['e']);
  });

  test('a renamed step runs again (VR-4, AT-16)', async () => {
    expect(await deployed(['a', 'b', 'pause', 'c'], ['a', 'b2', 'pause', 'c'])).toEqual(['b2', 'c']);
  });

  test('another order: nothing runs again (VR-3)', async () => {
    expect(await deployed(['a', 'b', 'pause', 'c'], ['b', 'a', 'pause', 'c'])).toEqual(['c']);
  });

  test('the sleep itself is gone', async () => {
    expect(await deployed(['a', 'pause', 'c'], ['a', 'c'])).toEqual(['c']);
  });

  test('a function that is not there any more: its attempts are used up (FN-12)', async () => {
    const world = await new World(({ step }) => step.sleep('s', 1_000), { maxAttempts: 2 }).start();
    world.isListed = false;
    await world.crash().toEnd();
    expect(world.status).toBe('Failed');
    expect(world.output).toMatchObject({ message: 'function "app-fn" is not part of this deployment' });
    expect((await world.trace())?.failures).toHaveLength(2);
  });

  test('what it was frozen with stays (FN-11, RT-16)', async () => {
    const options = { maxAttempts: 2 };
    let attempts = 0;
    const world = await new World(({ step }) => {
      return step.run('a', () => {
        attempts++;
        throw new Error('no');
      });
    }, options).start();
    options.maxAttempts = 9;
    await world.crash().toEnd();
    expect([world.status, attempts]).toEqual(['Failed', 2]);
  });
});

describe('a step that is to be retried and is not there any more (VR-10)', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout'] }));
  afterEach(() => void vi.useRealTimers());
  const turns = async () => {
    for (let n = 0; n < 60; n++) await vi.advanceTimersByTimeAsync(1);
  };

  async function renamed(code: Code): Promise<World> {
    const world = new World(({ step }) => step.run('old', () => Promise.reject(new Error('no'))), {
      maxAttempts: 2,
    });
    const started = world.start();
    await turns();
    await started;
    world.code = code;
    world.crash();
    return world;
  }

  test('the code ends without it: that attempt has failed, and the handler sees the failure', async () => {
    const world = await renamed(() => 'new');
    const rung = world.ring();
    await turns();
    await rung;
    expect([world.status, world.output]).toEqual(['Completed', 'new']);
  });

  test('the code goes on without it: the attempt fails after 10 s of search', async () => {
    const world = await renamed(() => new Promise(() => {}));
    const rung = world.ring();
    await turns();
    await rung;
    expect((await world.trace())?.steps).toMatchObject([{ status: 'Running' }]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect((await world.trace())?.steps).toMatchObject([
      {
        status: 'Failed',
        error: { name: 'StepNotFound', message: expect.stringContaining('old') as unknown },
      },
    ]);
  });
});

describe('sends inside a run', () => {
  test('a step that sends again sends with the same seed and moment (SV-3, SV-9)', async () => {
    const world = await new World(async ({ step }) => {
      await step.sendEvent('first', { name: 'a' });
      await step.sendEvent('second', [{ name: 'b' }, { name: 'c' }]);
      return 1;
    }).start();
    expect(world.sent.map(({ events }) => events.length)).toEqual([1, 2]);
    expect(new Set(world.sent.map(({ seed }) => seed)).size).toBe(2);
    const [, second] = world.sent;
    // Lost after the second was sent and before that was stored.
    const again = await new World(world.code, { lostAt: { transaction: 5, written: false } }).start();
    await again.toEnd();
    expect(again.sent).toHaveLength(3);
    expect(again.sent[2]?.seed).toBe(again.sent[1]?.seed);
    expect(again.sent[2]?.at).toBe(again.sent[1]?.at);
    expect(again.sent[1]?.seed).toBe(second?.seed);
  });

  test('its result is the ids (SV-1)', async () => {
    const world = await run(({ step }) => step.sendEvent('s', [{ name: 'a' }, { name: 'b' }]));
    expect((world.output as { ids: string[] }).ids).toHaveLength(2);
  });
});

describe('the start', () => {
  test('weighs its events, which are part of what the run holds (RN-6)', async () => {
    const world = await run(() => 1);
    const { data = '' } = world.rows.table.get(0) ?? {};
    expect(world.owner.state?.config.eventBytes).toBe(Buffer.byteLength(data ?? ''));
  });

  test('in the future: not before (TR-17)', async () => {
    const world = await new World(() => 1, { startAt: NOW + 5_000 }).start();
    expect(world.entries).toBe(0);
    await world.toEnd();
    expect([world.now, world.entries]).toEqual([NOW + 5_000, 1]);
  });

  test('an object that was lost before anything was written knows nothing of it', async () => {
    const world = await new World(() => 1, { lostAt: { transaction: 1, written: false } }).start();
    expect([world.status, world.output]).toEqual(['Completed', 1]);
  });

  test('user code that always takes its host down is entered 20 times at most', async () => {
    let entries = 0;
    const world: World = new World(() => {
      entries++;
      return new Promise(() => {});
    });
    await world.start();
    for (let n = 0; !world.ended && n < 100; n++) await world.crash().ring();
    expect([world.status, entries]).toEqual(['Failed', 20]);
  });

  test('and so is a step that is retried', async () => {
    let attempts = 0;
    const world: World = new World(({ step, attempt }) =>
      step.run('a', () => {
        if (attempt === 0) throw new Error('no');
        attempts++;
        return new Promise(() => {});
      }),
    );
    await world.start();
    for (let n = 0; !world.ended && n < 100; n++) await world.crash().ring();
    expect(world.status).toBe('Failed');
    expect(attempts).toBeLessThanOrEqual(21);
  });
});

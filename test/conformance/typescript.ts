/** What holds for each of the official TypeScript SDKs, unmodified: whole runs, and the calls that they took. */
import { describe, expect, test } from 'vitest';
import { api } from '../../src/api/app.ts';
import type { ApiDeps } from '../../src/api/deps.ts';
import { apiWorld } from '../api/world.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import { NOW } from '../call/world.ts';
import type { Sdk, Tools } from './sdks.ts';
import { hash } from './stub.ts';
import { RemoteWorld, type Handler, type RemoteOptions } from './world.ts';

type Code = (context: Tools) => unknown;

const unexpected: Handler = ({ url }) => {
  throw new Error(`nothing is expected to be sent to ${url}`);
};

/** @param outside what an SDK sends to the engine by itself; `elsewhere`: what the engine sends, but not to the app. */
export function runner(sdk: Sdk) {
  return (
    code: Code,
    options: RemoteOptions & {
      client?: object;
      fn?: object;
      serve?: object;
      outside?: Handler;
      elsewhere?: Handler;
    } = {},
  ) => {
    const { client: ofClient, fn: ofFn, serve: ofServe, outside, elsewhere, ...rest } = options;
    const fetch = async (url: string | URL | Request, init?: RequestInit) => {
      return (outside ?? unexpected)(new Request(url, init));
    };
    const client = sdk.client({ checkpointing: false, fetch, ...ofClient });
    const handler = sdk.handler(client, [sdk.fn(client, ofFn ?? {}, code)], ofServe);
    const route: Handler = (request) =>
      new URL(request.url).host === 'app.test' ? handler(request) : (elsewhere ?? unexpected)(request);
    return RemoteWorld.of(route, { sdk: sdk.sdk, ...rest });
  };
}

/** The engine's API with this run behind it. */
export function apiOf(world: () => RemoteWorld): Handler {
  const { deps } = apiWorld({ dev: true });
  const remoteRuns: ApiDeps['remoteRuns'] = {
    checkpoint: (_, _env, checkpoint) => world().owner.checkpoint('main', checkpoint),
    snapshot: () => world().owner.snapshot('main'),
  };
  const app = api({ ...deps, remoteRuns });
  return (request) => app.fetch(request);
}

export function typescriptSuite(sdk: Sdk): void {
  const world = runner(sdk);

  describe(`${sdk.name}: steps`, () => {
    test('in sequence, one call each and one for the end', async () => {
      const run = await world(async ({ step }) => {
        const a = await step.run('a', () => ({ x: 1 }));
        const u = await step.run('undef', () => undefined);
        await step.sleep('nap', '1s');
        const b = await step.run('a', () => 'second-a');
        return { a, u: u ?? null, b };
      }).run();
      expect(run.output).toEqual({ a: { x: 1 }, u: null, b: 'second-a' });
      expect(run.story).toEqual([
        'step 206 StepRun a',
        'step 206 StepRun undef',
        'step 206 Sleep nap',
        'step 206 StepRun a',
        'step 200 {"a":{"x":1},"u":null,"b":"second-a"}',
      ]);
      expect(run.calls.at(-1)?.body.steps).toMatchObject({
        [hash('a')]: { data: { x: 1 } },
        [hash('a:1')]: { data: 'second-a' },
      });
      expect(run.now - NOW).toBe(1_000);
    });

    test('sleepUntil', async () => {
      const until = new Date(NOW + 5_000);
      const run = await world(async ({ step }) => step.sleepUntil('dawn', until)).run();
      expect([run.status, run.now]).toEqual(['Completed', until.getTime()]);
    });

    test('in parallel: each is run once', async () => {
      const began: string[] = [];
      const run = await world(async ({ step }) => {
        const one = (name: string) => step.run(name, () => began.push(name) && name);
        const all = await Promise.all([one('p1'), one('p2'), step.sleep('ps', '1s'), one('p3')]);
        return [all, await one('after')];
      }).run();
      expect(run.output).toEqual([['p1', 'p2', null, 'p3'], 'after']);
      expect(began.toSorted()).toEqual(['after', 'p1', 'p2', 'p3']);
    });

    test('two branches of different length', async () => {
      const began: string[] = [];
      const run = await world(async ({ step }) => {
        const one = (name: string) => step.run(name, () => began.push(name) && name);
        const chain = async () => [await one('a1'), await one('a2'), await one('a3')];
        return Promise.all([chain(), one('b')]);
      }).run();
      expect(run.output).toEqual([['a1', 'a2', 'a3'], 'b']);
      expect(began.toSorted()).toEqual(['a1', 'a2', 'a3', 'b']);
    });

    test('100 in parallel', async () => {
      const run = await world(async ({ step }) => {
        const steps = Array.from({ length: 100 }, (_, n) => step.run(`s${n}`, () => n));
        const all: number[] = await Promise.all(steps);
        return all.reduce((sum, n) => sum + n, 0);
      }).run();
      expect(run.output).toBe(4_950);
      expect(run.calls.filter(({ stepId }) => stepId !== 'step')).toHaveLength(100);
    });

    test('a wait, with what it matches', async () => {
      const run = world(async ({ step }) => {
        const found = await step.waitForEvent('wait', {
          event: 'demo/wake',
          timeout: '10s',
          match: 'data.n',
        });
        return { found: found?.data.n ?? null };
      });
      await run.start();
      expect(run.waits.listening).toMatchObject([
        { event: 'demo/wake', expression: 'event.data.n == async.data.n' },
      ]);
      const event = { name: 'demo/wake', data: { n: 1 }, id: 'e', ts: NOW, user: {} };
      await run.owner.answer(hash('wait'), { ok: true, data: JSON.stringify(event) });
      await run.toEnd();
      expect(run.output).toEqual({ found: 1 });
    });

    test('a wait in vain', async () => {
      const run = await world(({ step }) =>
        step.waitForEvent('wait', { event: 'demo/wake', timeout: '10s' }),
      ).run();
      expect([run.output, run.now - NOW]).toEqual([null, 10_000]);
    });

    test('an invocation, and one that fails', async () => {
      const other = sdk.reference({ appId: 'app', functionId: 'other' });
      const code: Code = async ({ step }) => {
        try {
          return await step.invoke('call', { function: other, data: { x: 1 } });
        } catch (error) {
          return `caught ${(error as Error).message}`;
        }
      };
      const good = world(code);
      await good.start();
      expect(good.emitted).toMatchObject([{ data: { x: 1 }, target: { functionId: 'app-other' } }]);
      await good.owner.answer(hash('call'), { ok: true, data: '"fine"' });
      await good.toEnd();
      const bad = world(code);
      await bad.start();
      await bad.owner.answer(hash('call'), { ok: false, data: '{"name":"Error","message":"oh no"}' });
      await bad.toEnd();
      expect([good.output, bad.output]).toEqual(['fine', 'caught oh no']);
    });

    test('sendEvent', async () => {
      const sent: unknown[] = [];
      const outside: Handler = async (request) => {
        sent.push(new URL(request.url).pathname, await request.json());
        return Response.json({ ids: ['01M7WKF47EZXJJJEJ5ZFBSTYGF'], status: 200 });
      };
      const run = await world(({ step }) => step.sendEvent('send', { name: 'demo/sent', data: { a: 1 } }), {
        outside,
      }).run();
      expect(run.output).toEqual({ ids: ['01M7WKF47EZXJJJEJ5ZFBSTYGF'] });
      expect(sent).toMatchObject(['/e/NO_EVENT_KEY_SET', [{ name: 'demo/sent', data: { a: 1 } }]]);
    });
  });

  describe(`${sdk.name}: errors`, () => {
    test('a step is tried as often as the function says, then its error reaches the handler', async () => {
      const attempts: number[] = [];
      const run = await world(
        async ({ step, attempt }) => {
          const broken = step.run('broken', () => {
            attempts.push(attempt);
            throw new TypeError('not today');
          });
          return broken.catch((error: Error) => `${error.name}: ${error.message}`);
        },
        { maxAttempts: 3 },
      ).run();
      expect(attempts).toEqual([0, 1, 2]);
      expect(run.output).toMatch(/: not today$/);
      expect((await run.trace())?.steps).toMatchObject([{ status: 'Failed', attempts: 3 }]);
    });

    test('planned steps are tried again by themselves', async () => {
      const attempts: Record<string, number> = {};
      const run = await world(async ({ step }) => {
        const flaky = (name: string, failures: number) =>
          step.run(name, () => {
            attempts[name] = (attempts[name] ?? 0) + 1;
            if (attempts[name] <= failures) throw new Error('not yet');
            return name;
          });
        return Promise.all([flaky('a', 0), flaky('b', 2), flaky('c', 1)]);
      }).run();
      expect([run.output, attempts]).toEqual([['a', 'b', 'c'], { a: 1, b: 3, c: 2 }]);
    });

    test('the function itself', async () => {
      const seen: number[] = [];
      const run = await world(
        async ({ step, attempt }) => {
          await step.run('a', () => 1);
          seen.push(attempt);
          throw new Error('boom');
        },
        { maxAttempts: 2 },
      ).run();
      expect(seen).toEqual([0, 1]);
      expect([run.status, run.output]).toMatchObject(['Failed', { message: 'boom' }]);
    });

    test.each(['in a step', 'outside of steps'])('NonRetriableError %s', async (where) => {
      let entered = 0;
      const run = await world(async ({ step }) => {
        const fail = () => {
          entered++;
          throw new sdk.errors.NonRetriableError('never');
        };
        return where === 'in a step' ? step.run('a', fail) : fail();
      }).run();
      expect([run.status, entered]).toEqual(['Failed', 1]);
      expect(run.output).toMatchObject({ message: 'never' });
    });

    test('RetryAfterError', async () => {
      const run = await world(async ({ step, attempt }) =>
        step.run('a', () => {
          if (attempt === 0) throw new sdk.errors.RetryAfterError('busy', '30s');
          return 'then';
        }),
      ).run();
      expect([run.output, run.now - NOW]).toEqual(['then', 30_000]);
    });

    test('a function that the app does not have', async () => {
      const run = await world(() => 1, { functionId: 'app-other', maxAttempts: 2 }).run();
      expect([run.status, run.calls.length]).toEqual(['Failed', 2]);
    });
  });

  describe(`${sdk.name}: in the cloud`, () => {
    const KEY = 'signkey-test-12345678';
    // Where the key is given differs.
    const cloud = { client: { isDev: false, signingKey: KEY }, serve: { signingKey: KEY } };

    test('34: it takes our signatures, whatever the body holds', async () => {
      const run = await world(
        async ({ step }) => {
          await step.run('a', () => ({ ü: 'ß€😀', b: 1e21, a: [1.5, { z: 1, y: 2 }] }));
          return 'signed';
        },
        { signingKeys: [KEY], ...cloud },
      ).run();
      expect(run.output).toBe('signed');
    });

    test('53: it refuses others, and the run fails in the end', async () => {
      const signed = { signingKeys: ['signkey-test-87654321'], ...cloud, maxAttempts: 2 };
      const run = await world(() => 1, signed).run();
      expect([run.status, run.calls.map(({ status }) => status)]).toEqual(['Failed', [401, 401]]);
    });
  });

  describe(`${sdk.name}: large state`, () => {
    test('62: what is too large for a call is fetched', async () => {
      const run: RemoteWorld = world(
        async ({ step, events }) => {
          const text = 'x'.repeat(2_500_000);
          const a: string = await step.run('a', () => text);
          const b: string = await step.run('b', () => text);
          return [a.length, b.length, events.length];
        },
        { outside: apiOf(() => run) },
      );
      await run.run();
      expect(run.output).toEqual([2_500_000, 2_500_000, 1]);
      expect(run.calls.map(({ body }) => body.use_api)).toEqual([false, false, true]);
    });
  });

  describe(`${sdk.name}: when the run's object is lost`, () => {
    /** A program with a bit of everything; counts how often each step was run, and after it was settled. */
    const program = (began: Map<string, number>, isSettled: (name: string) => boolean): Code => {
      return async ({ step }) => {
        const one = (name: string, fails = 0) =>
          step.run(name, () => {
            if (isSettled(name)) throw new Error(`${name} is run again`);
            const nth = (began.get(name) ?? 0) + 1;
            began.set(name, nth);
            if (nth <= fails) throw new Error('not yet');
            return name;
          });
        const first = [await one('a'), await one('b', 1)];
        const chain = async () => [await one('c1'), await one('c2', 1)];
        const all = await Promise.all([chain(), one('d'), step.sleep('nap', '2s')]);
        return [first, all, await one('e')];
      };
    };
    const expected = [['a', 'b'], [['c1', 'c2'], 'd', null], 'e'];

    function straight(options: RemoteOptions = {}) {
      const began = new Map<string, number>();
      const run: RemoteWorld = world(
        program(began, (name) => run.owner.state?.steps.get(hash(name))?.state === 'settled'),
        { maxAttempts: 10, ...options },
      );
      return { run, began };
    }

    test('at any transaction, written or not: it comes to the same, and what is settled is not run again', async () => {
      const { run, began } = straight();
      await run.run();
      expect(run.output).toEqual(expected);
      expect([...began.values()]).toEqual([1, 2, 1, 1, 2, 1]);
      for (let transaction = 1; transaction <= run.transactions; transaction++) {
        for (const written of [false, true]) {
          const { run: again } = straight({ lostAt: { transaction, written } });
          await again.run();
          expect({ transaction, written, output: again.output }).toEqual({
            transaction,
            written,
            output: expected,
          });
        }
      }
    });
  });

  describe(`${sdk.name}: a failure handler`, () => {
    test('68: its companion gets the error', async () => {
      const client = sdk.client({ checkpointing: false });
      const onFailure: Code = ({ error, event }) => ({ message: error.message, run: event.data.run_id });
      const handler = sdk.handler(client, [sdk.fn(client, { onFailure }, () => 1)]);
      const data = {
        function_id: 'app-fn',
        run_id: 'r',
        error: { name: 'Error', message: 'boom', stack: '', __serialized: true },
        event: { name: 'e', data: {}, id: 'i', ts: NOW, user: {} },
      };
      const event = { name: 'inngest/function.failed', data: data as JsonObject };
      const run = await RemoteWorld.of(handler, { sdk: sdk.sdk, functionId: 'app-fn-failure', event }).run();
      expect(run.output).toEqual({ message: 'boom', run: 'r' });
    });
  });

  describe(`${sdk.name}: streaming`, () => {
    test('64: answers in pieces', async () => {
      const client = sdk.client({ checkpointing: false });
      const fn = sdk.fn(client, {}, async ({ step }) => step.run('a', () => 'streamed'));
      const run = await RemoteWorld.of(sdk.handler(client, [fn], { streaming: sdk.streaming }), {
        sdk: sdk.sdk,
      }).run();
      expect([run.output, run.calls.map(({ status }) => status)]).toEqual(['streamed', [201, 201]]);
    });
  });
}

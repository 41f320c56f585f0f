/** Middleware around real executions and real sends. */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { executionContext } from '../../src/sdk/context.ts';
import { enterFunction } from '../../src/sdk/entry.ts';
import {
  dependencyInjectionMiddleware,
  type ClientOptions,
  Inngest,
  InngestMiddleware,
  isInngestMiddleware,
  type MiddlewareOptions,
  NonRetriableError,
  RetryAfterError,
} from '../../src/sdk/index.ts';
import type { RunHooks } from '../../src/sdk/middleware.ts';
import { host, runOf, turn, value } from './host.ts';

const logger = { info: vi.fn(), warn: vi.fn(), error: vi.fn(), debug: vi.fn() };
const trigger = { event: 'a/b' };

beforeEach(() => void vi.resetAllMocks());

function clientWith(...middleware: InngestMiddleware.Any[]) {
  return new Inngest({ id: 'app', logger, middleware });
}

/** Middleware of which every run has these hooks. */
function hooking(hooks: RunHooks, name = 'm') {
  return new InngestMiddleware({ name, init: () => ({ onFunctionRun: () => hooks }) });
}

/** Says when each of its hooks is called. With `slow` all of them take a turn. */
function telling(name: string, log: string[], slow = false) {
  const say = (what: string) => {
    log.push(`${what} ${name}`);
    return slow ? turn() : undefined;
  };
  return new InngestMiddleware({
    name,
    init: async () => {
      await say('init');
      return {
        onFunctionRun: async () => {
          await say('onFunctionRun');
          return {
            transformInput: () => say('transformInput'),
            beforeMemoization: () => say('beforeMemoization'),
            afterMemoization: () => say('afterMemoization'),
            beforeExecution: () => say('beforeExecution'),
            afterExecution: () => say('afterExecution'),
            transformOutput: ({ step }) => say(`transformOutput(${step?.name ?? ''})`),
            finished: () => say('finished'),
            beforeResponse: () => say('beforeResponse'),
          };
        },
      };
    },
  });
}

/** The same as `telling`, without a promise anywhere. */
function tellingAtOnce(name: string, log: string[]) {
  const say = (what: string) => () => void log.push(`${what} ${name}`);
  return hooking(
    {
      transformInput: say('transformInput'),
      beforeMemoization: say('beforeMemoization'),
      afterMemoization: say('afterMemoization'),
      beforeExecution: say('beforeExecution'),
      afterExecution: say('afterExecution'),
      transformOutput: say('transformOutput'),
      finished: say('finished'),
      beforeResponse: say('beforeResponse'),
    },
    name,
  );
}

describe('the order of the hooks', () => {
  const bothWays = (what: string) => [`${what} 1`, `${what} 2`, `${what} 3`];
  const back = (what: string) => bothWays(what).toReversed();

  test.each([[false], [true]])(
    'client first, then function; those called "after" and transformOutput in reverse (MW-10, MW-12; slow: %j)',
    async (slow) => {
      const log: string[] = [];
      const app = clientWith(telling('1', log, slow), telling('2', log, slow));
      const options = { id: 'f', middleware: [telling('3', log, slow)] };
      const fn = app.createFunction(options, trigger, async ({ step }) => {
        log.push('handler');
        await step.run('a', () => void log.push('a'));
      });
      const run = await runOf(fn).enter();
      for (let n = 0; n < 80; n++) await run.goOn();
      // Once more for the outcome of the step that ran meanwhile.
      const again = log.lastIndexOf('transformInput 1');
      expect([...log.slice(0, again), ...log.slice(again + 3)]).toEqual([
        ...bothWays('init'),
        ...bothWays('onFunctionRun'),
        ...bothWays('transformInput'),
        ...bothWays('beforeMemoization'),
        ...back('afterMemoization'),
        ...bothWays('beforeExecution'),
        'handler',
        'a',
        ...back('transformOutput(a)'),
        ...back('afterExecution'),
        ...back('transformOutput()'),
        ...bothWays('finished'),
        ...bothWays('beforeResponse'),
      ]);
      expect(run.output).toBeNull();
    },
  );

  test('execution begins when the last stored outcome is given to the handler (MW-27 to MW-30)', async () => {
    const log: string[] = [];
    const fn = clientWith(tellingAtOnce('m', log)).createFunction({ id: 'f' }, trigger, async ({ step }) => {
      log.push('handler');
      await step.run('a', () => 1);
      log.push('after a');
      await step.run('b', () => 1);
      log.push('after b');
    });
    await runOf(fn, [
      ['a', value(1)],
      ['b', value(1)],
    ]).enter();
    expect(log).toEqual([
      'transformInput m',
      'beforeMemoization m',
      'handler',
      'after a',
      'afterMemoization m',
      'beforeExecution m',
      'after b',
      'afterExecution m',
      'transformOutput m',
      'finished m',
      'beforeResponse m',
    ]);
  });

  test('it begins with the first new step too, when a stored one is not asked for any more', async () => {
    const log: string[] = [];
    const fn = clientWith(tellingAtOnce('m', log)).createFunction({ id: 'f' }, trigger, ({ step }) =>
      step.run('new', () => void log.push('new')),
    );
    await runOf(fn, [['gone', value(1)]]).enter();
    expect(log.slice(0, 5)).toEqual([
      'transformInput m',
      'beforeMemoization m',
      'afterMemoization m',
      'beforeExecution m',
      'new',
    ]);
  });

  test('an entry without new code still calls all of them once (MW-31)', async () => {
    const log: string[] = [];
    const fn = clientWith(tellingAtOnce('m', log)).createFunction({ id: 'f' }, trigger, () => 1);
    await runOf(fn, [['gone', value(1)]]).enter();
    expect(log).toHaveLength(8);
    expect(new Set(log).size).toBe(8);
  });

  test('an entry for one step ends with it: afterExecution, transformOutput, beforeResponse', async () => {
    const log: string[] = [];
    const fn = clientWith(tellingAtOnce('m', log)).createFunction({ id: 'f' }, trigger, ({ step }) =>
      step.run('a', () => void log.push('a')),
    );
    const { execution, reached } = host();
    enterFunction(execution, fn, {
      appId: 'app',
      events: [{ name: 'a/b' }],
      runId: 'r',
      attempt: 1,
      maxAttempts: 5,
    });
    await execution.run(reached[0]?.id ?? '', true);
    execution.stop();
    expect(log.slice(-4)).toEqual(['a', 'afterExecution m', 'transformOutput m', 'beforeResponse m']);
  });

  test('a rest ends the execution until the run goes on', async () => {
    const log: string[] = [];
    const fn = clientWith(tellingAtOnce('m', log)).createFunction({ id: 'f' }, trigger, async ({ step }) => {
      await step.sleep('nap', 1_000);
      log.push('awake');
    });
    const run = await runOf(fn).enter();
    run.execution.rest();
    run.execution.rest();
    log.push('resting');
    run.store('nap', value(null));
    await run.goOn();
    expect(log.filter((line) => line !== 'transformInput m')).toEqual([
      'beforeMemoization m',
      'afterMemoization m',
      'beforeExecution m',
      'afterExecution m',
      'beforeResponse m',
      'resting',
      'beforeExecution m',
      'awake',
      'afterExecution m',
      'transformOutput m',
      'finished m',
      'beforeResponse m',
    ]);
  });

  test('without middleware the handler is entered, and a step reached, in the same turn (invariant 4)', () => {
    const fn = clientWith().createFunction({ id: 'f' }, trigger, ({ step }) => step.run('a', () => 1));
    const { execution, names } = host();
    enterFunction(execution, fn, {
      appId: 'app',
      events: [{ name: 'a/b' }],
      runId: 'r',
      attempt: 0,
      maxAttempts: 5,
    });
    expect(names()).toEqual(['a']);
  });

  test('nor does synchronous middleware take a turn', () => {
    const log: string[] = [];
    const fn = clientWith(tellingAtOnce('m', log)).createFunction({ id: 'f' }, trigger, ({ step }) =>
      step.run('a', () => 1),
    );
    const { execution, names } = host();
    enterFunction(execution, fn, {
      appId: 'app',
      events: [{ name: 'a/b' }],
      runId: 'r',
      attempt: 0,
      maxAttempts: 5,
    });
    expect(names()).toEqual(['a']);
  });

  test('without middleware as many microtasks pass as for a bare handler', async () => {
    const fn = clientWith().createFunction({ id: 'f' }, trigger, () => 'done');
    const count = async (start: (execution: ReturnType<typeof host>['execution']) => void) => {
      const { execution, ended } = host();
      start(execution);
      let microtasks = 0;
      for (; ended.length === 0; microtasks++) await Promise.resolve();
      return microtasks;
    };
    const input = { appId: 'app', events: [{ name: 'a/b' }], runId: 'r', attempt: 0, maxAttempts: 5 };
    const bare = await count((execution) => execution.start(() => 'done'));
    expect(await count((execution) => enterFunction(execution, fn, input))).toBe(bare);
  });
});

describe('transformInput', () => {
  test('sees what the ones before have added; the later one wins (MW-14, MW-24, MW-26)', async () => {
    const seen: unknown[] = [];
    const add = (ctx: object) =>
      hooking({
        transformInput: (args) => {
          seen.push((args.ctx as unknown as { who?: string }).who);
          return { ctx };
        },
      });
    const app = clientWith(add({ who: 'first', runId: 'changed' }), add({ who: 'second' }));
    let given: unknown;
    const fn = app.createFunction(
      { id: 'f', middleware: [add({ event: 'replaced' })] },
      trigger,
      (context) => {
        given = context;
      },
    );
    await runOf(fn).enter();
    expect(seen).toEqual([undefined, 'first', 'second']);
    expect(given).toMatchObject({ who: 'second', runId: 'changed', event: 'replaced', attempt: 0 });
  });

  test('gets event, run, function, stored steps and what the platform was called with (MW-18 to MW-23)', async () => {
    const seen: Record<string, unknown>[] = [];
    const watching = new InngestMiddleware({
      name: 'm',
      init: () => ({
        onFunctionRun: (start) => {
          seen.push({ ...start });
          return { transformInput: (args) => void seen.push({ ...args }) };
        },
      }),
    });
    const fn = clientWith(watching).createFunction({ id: 'f', name: 'Named' }, trigger, () => 1);
    const error = { name: 'E', message: 'no' };
    await runOf(fn, [
      ['a', value({ n: 1 })],
      ['b', { error }],
    ]).enter({ reqArgs: ['request', 'env'] });
    const common = { fn, reqArgs: ['request', 'env'], steps: [{ data: { n: 1 } }, { error }] };
    expect(seen).toEqual([
      { ...common, ctx: { event: expect.objectContaining({ name: 'a/b' }), runId: 'run' } },
      { ...common, ctx: expect.objectContaining({ step: expect.anything(), attempt: 0, maxAttempts: 5 }) },
    ]);
    expect([fn.name, fn.id('x'), fn.opts.name]).toEqual(['Named', 'x-f', 'Named']);
  });

  test('replaces the data of stored steps, and of those that come in later (MW-24, EN-12)', async () => {
    const open = (data: unknown) => (typeof data === 'string' ? data.replace('sealed ', '') : data);
    const opening = hooking({
      transformInput: ({ steps }) => ({
        steps: steps.map(({ data, ...rest }) => ({ ...rest, data: open(data) })),
      }),
      transformOutput: ({ result, step }) =>
        step ? { result: { data: `sealed ${String(result.data)}` } } : {},
    });
    const fn = clientWith(opening).createFunction({ id: 'f' }, trigger, async ({ step }) => [
      await step.run('stored', () => ''),
      await step.run('fresh', () => 'fresh'),
      await step.waitForEvent('event', { event: 'x', timeout: 1 }),
      await step.run('failed', () => '').catch((error: Error) => error.message),
    ]);
    const run = runOf(fn, [
      ['stored', value('sealed stored')],
      ['failed', { error: { name: 'E', message: 'sealed but an error' } }],
    ]);
    await run.enter();
    await run.goOn();
    run.store('event', value('sealed event'));
    for (let n = 0; n < 5; n++) await run.goOn();
    expect(run.outcomes).toEqual([['fresh', { ok: true, data: '"sealed fresh"' }]]);
    expect(run.output).toEqual(['stored', 'fresh', 'event', 'sealed but an error']);
  });

  test('reads stored steps only for middleware that looks at them', async () => {
    const reads = async (hooks: RunHooks) => {
      const fn = clientWith(hooking(hooks)).createFunction({ id: 'f' }, trigger, ({ step }) =>
        step.run('a', () => 1),
      );
      const run = runOf(fn, [['a', value('stored')]]);
      const read = vi.spyOn(run.execution, 'memo');
      await run.enter();
      return [read.mock.calls.length, run.output];
    };
    expect(await reads({ transformInput: () => ({ ctx: {} }) })).toEqual([0, 'stored']);
    expect(await reads({ transformInput: ({ steps }) => void steps.length })).toEqual([1, 'stored']);
  });

  test('may replace the logger (MW-56, LG-8)', async () => {
    const mine = { info: vi.fn() };
    const fn = clientWith(hooking({ transformInput: () => ({ ctx: { logger: mine } }) })).createFunction(
      { id: 'f' },
      trigger,
      ({ logger: given }) => given.info('text'),
    );
    await runOf(fn).enter();
    expect(mine.info).toHaveBeenCalledWith('text');
  });

  test('can offer steps as actions of its own (MW-55)', async () => {
    const actions = new InngestMiddleware({
      name: 'actions',
      init: () => ({
        onFunctionRun: () => ({
          transformInput: ({ ctx: { step } }) => ({
            ctx: { action: { add: (id: string, a: number, b: number) => step.run(id, () => a + b) } },
          }),
        }),
      }),
    });
    const app = new Inngest({ id: 'app', logger, middleware: [actions] });
    const fn = app.createFunction({ id: 'f' }, trigger, ({ action }) => action.add('sum', 1, 2));
    const run = await runOf(fn).enter();
    expect([run.names(), run.output]).toEqual([['sum'], 3]);
  });
});

describe('transformOutput and finished', () => {
  test('change what is stored of steps and of the function, one after the other (MW-32, MW-33, MW-36)', async () => {
    const finished = vi.fn();
    const wrap = (name: string) =>
      hooking({ transformOutput: ({ result }) => ({ result: { data: [name, result.data] } }), finished });
    const fn = clientWith(wrap('outer'), wrap('inner')).createFunction(
      { id: 'f' },
      trigger,
      async ({ step }) => {
        await step.run('a', () => 1);
        return 2;
      },
    );
    const run = await runOf(fn).enter();
    expect(run.outcomes).toEqual([['a', { ok: true, data: '["outer",["inner",1]]' }]]);
    expect(run.output).toEqual(['outer', ['inner', 2]]);
    // Not for steps, and with what was made of the result (MW-36, MW-38).
    expect(finished.mock.calls).toEqual([
      [{ result: { data: ['outer', ['inner', 2]] } }],
      [{ result: { data: ['outer', ['inner', 2]] } }],
    ]);
  });

  test.each<[string, unknown, object]>([
    ['NonRetriableError', new NonRetriableError('given up'), { final: true }],
    ['RetryAfterError', new RetryAfterError('later', '30s'), { final: false, retryAfter: { in: 30_000 } }],
  ])('can turn an error into a %s (MW-34)', async (_name, error, expected) => {
    const seen: unknown[] = [];
    const turning = hooking({
      transformOutput: ({ result }) => {
        seen.push(result.error);
        return { result: { error } };
      },
    });
    const thrown = new Error('no');
    const fn = clientWith(turning).createFunction({ id: 'f' }, trigger, () => {
      throw thrown;
    });
    const run = await runOf(fn).enter();
    expect(run.ended).toMatchObject([{ ok: false, ...expected }]);
    // As it was thrown, not serialised (MW-32).
    expect(seen[0]).toBe(thrown);
  });

  test('can make a result of an error, also of a thrown undefined', async () => {
    const saving = hooking({
      transformOutput: ({ result }) =>
        result.error === undefined ? {} : { result: { error: undefined, data: 'saved' } },
    });
    const fn = clientWith(saving).createFunction({ id: 'f' }, trigger, () =>
      Promise.reject(undefined as never),
    );
    expect((await runOf(fn).enter()).output).toBe('saved');
    const kept = clientWith(hooking({})).createFunction({ id: 'f' }, trigger, () =>
      Promise.reject(undefined as never),
    );
    expect((await runOf(kept).enter()).output).toMatchObject({ ok: false });
  });
});

describe('a hook that throws fails the entry like the function itself (MW-15)', () => {
  const broken = () => {
    throw new Error('broken hook');
  };
  const names = [
    'transformInput',
    'beforeMemoization',
    'afterMemoization',
    'beforeExecution',
    'afterExecution',
    'finished',
    'beforeResponse',
  ] as const;
  const cases = names.flatMap((name) => [
    [name, 'throws', broken] as const,
    [name, 'rejects', async () => broken()] as const,
  ]);

  test.each(cases)('%s that %s', async (name, _how, hook) => {
    const fn = clientWith(hooking({ [name]: hook })).createFunction({ id: 'f' }, trigger, ({ step }) =>
      step.run('a', () => 1),
    );
    const run = await runOf(fn, [['gone', value(1)]]).enter();
    await run.goOn();
    expect(run.ended).toMatchObject([{ ok: false, final: false, error: { message: 'broken hook' } }]);
  });

  test('transformOutput of a step fails the attempt of that step', async () => {
    const failing = hooking({ transformOutput: ({ step }) => (step ? broken() : undefined) });
    const fn = clientWith(failing).createFunction({ id: 'f' }, trigger, ({ step }) => step.run('a', () => 1));
    const run = await runOf(fn).enter();
    expect(run.outcomes).toMatchObject([['a', { ok: false, error: { message: 'broken hook' } }]]);
    expect(run.ended).toEqual([]);
  });

  test('onFunctionRun', async () => {
    const failing = new InngestMiddleware({ name: 'm', init: () => ({ onFunctionRun: broken }) });
    const fn = clientWith(failing).createFunction({ id: 'f' }, trigger, () => 1);
    expect((await runOf(fn).enter()).ended).toMatchObject([{ ok: false, error: { message: 'broken hook' } }]);
  });

  test('before a rest there is nothing left to fail: it is logged', async () => {
    const fn = clientWith(hooking({ beforeResponse: broken })).createFunction(
      { id: 'f' },
      trigger,
      ({ step }) => step.sleep('nap', 1),
    );
    const run = await runOf(fn).enter();
    run.execution.rest();
    expect(run.ended).toEqual([]);
    expect(logger.error).toHaveBeenCalledWith(expect.stringContaining('rest'), expect.any(Error));
  });
});

describe('init', () => {
  test('runs once, for the client or for the function that has it (MW-2, MW-8)', async () => {
    const init = vi.fn<MiddlewareOptions['init']>(() => ({}));
    const app = clientWith(new InngestMiddleware({ name: 'm', init }));
    const one = app.createFunction({ id: 'one' }, trigger, () => 1);
    const own = [new InngestMiddleware({ name: 'own', init })];
    const two = app.createFunction({ id: 'two', middleware: own }, trigger, () => 1);
    await runOf(one).enter();
    await runOf(two).enter();
    expect(init.mock.calls).toEqual([[{ client: app }], [{ client: app, fn: two }]]);
  });

  test('is waited for by runs and sends, one after the other (MW-3, CL-23)', async () => {
    const log: string[] = [];
    const slow = (name: string) =>
      new InngestMiddleware({
        name,
        init: async () => {
          log.push(`${name} begins`);
          await turn();
          log.push(`${name} ends`);
          return {};
        },
      });
    const app = clientWith(slow('1'), slow('2'));
    const fn = app.createFunction({ id: 'f' }, trigger, () => void log.push('handler'));
    await Promise.all([runOf(fn).enter(), app.ready.then(() => log.push('ready'))]);
    await turn();
    expect(log.slice(0, 4)).toEqual(['1 begins', '1 ends', '2 begins', '2 ends']);
    expect(log.slice(4).toSorted()).toEqual(['handler', 'ready']);
  });

  test.each([
    [
      'throws',
      (): never => {
        throw new Error('no database');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no database'))],
  ])('that %s fails ready, every send and every run with that error (MW-15)', async (_how, init) => {
    const app = clientWith(new InngestMiddleware({ name: 'm', init }));
    const fn = app.createFunction({ id: 'f' }, trigger, () => 1);
    await expect(app.ready).rejects.toThrow('no database');
    await expect(app.send({ name: 'a/b' })).rejects.toThrow('no database');
    expect((await runOf(fn).enter()).ended).toMatchObject([{ ok: false, error: { message: 'no database' } }]);
  });

  test('that answers nothing registers nothing (MW-4)', async () => {
    const nothing = new InngestMiddleware({ name: 'm', init: (() => undefined) as never });
    const fn = clientWith(nothing).createFunction({ id: 'f' }, trigger, () => 'fine');
    expect((await runOf(fn).enter()).output).toBe('fine');
  });
});

describe('hooks of one run share what their onFunctionRun has; those of several do not (MW-6, MW-7, MW-17)', () => {
  test('and each may be left out, such as by the name of the event', async () => {
    const counts: number[] = [];
    const counting = new InngestMiddleware({
      name: 'm',
      init: () => ({
        onFunctionRun: ({ ctx }) => {
          if (ctx.event.name !== 'a/b') return {};
          let outputs = 0;
          return { transformOutput: () => void outputs++, beforeResponse: () => void counts.push(outputs) };
        },
      }),
    });
    const fn = clientWith(counting).createFunction({ id: 'f' }, trigger, async ({ step }) => {
      await step.run('a', () => 1);
    });
    await runOf(fn).enter();
    await runOf(fn).enter();
    await runOf(fn).enter({ events: [{ name: 'other' }] });
    expect(counts).toEqual([2, 2]);
  });
});

describe('dependencyInjectionMiddleware', () => {
  test('adds its members to every handler, the same objects, over those that were there (DI-1, DI-3, DI-4)', async () => {
    const db = { query: () => 1 };
    const app = clientWith(dependencyInjectionMiddleware({ db, runId: 'mine' }));
    const seen: unknown[] = [];
    const fn = app.createFunction({ id: 'f' }, trigger, (context) => void seen.push(context));
    await runOf(fn).enter();
    await runOf(fn).enter();
    const [one, two] = seen as { db: unknown; runId: string; attempt: number }[];
    expect([one?.db, two?.db]).toEqual([db, db]);
    expect(one?.db).toBe(db);
    expect(one).toMatchObject({ runId: 'mine', attempt: 0 });
  });
});

describe('sending', () => {
  const sending = (name: string, log: string[] = []) =>
    new InngestMiddleware({
      name,
      init: () => ({
        onSendEvent: () => ({
          transformInput: ({ payloads }) => {
            log.push(`in ${name}`);
            return { payloads: payloads.map((event) => ({ ...event, name: `${event.name} ${name}` })) };
          },
          transformOutput: ({ result }) => {
            log.push(`out ${name}`);
            return { result: { [name]: true, ids: result.ids.map((id) => `${id} ${name}`) } };
          },
        }),
      }),
    });

  /** What leaves when the client sends inside of a run. */
  async function sent(app: Inngest.Any, payload: object) {
    const events: object[][] = [];
    const context = {
      insideStep: false,
      tools: null,
      sendSignal: async () => ({}),
      idempotencyKey: () => null,
      send: async (given: object[]) => {
        events.push(given);
        return { ids: given.map((_, n) => `id${n}`) };
      },
    };
    const result = await executionContext.run(context, () => app.send(payload as { name: string }));
    return { events, result };
  }

  test('goes through transformInput forwards and transformOutput backwards (MW-12, MW-41 to MW-44)', async () => {
    const log: string[] = [];
    const { events, result } = await sent(clientWith(sending('1', log), sending('2', log)), { name: 'x' });
    expect(events).toEqual([[expect.objectContaining({ name: 'x 1 2', data: {} })]]);
    expect(result).toEqual({ ids: ['id0 2 1'], 1: true, 2: true });
    expect(log).toEqual(['in 1', 'in 2', 'out 2', 'out 1']);
  });

  test('of nothing that is left is an empty send (MW-47)', async () => {
    const none = new InngestMiddleware({
      name: 'm',
      init: () => ({ onSendEvent: () => ({ transformInput: () => ({ payloads: [] }) }) }),
    });
    const { events, result } = await sent(clientWith(none), { name: 'x' });
    expect([events, result]).toEqual([[], { ids: [] }]);
    expect(logger.warn).toHaveBeenCalledTimes(1);
  });

  test('by step.sendEvent runs the hooks of the client only; by step.invoke those of the function too (MW-45, MW-46)', async () => {
    const options = { id: 'f', middleware: [sending('own')] };
    const adding = new InngestMiddleware({
      name: 'm',
      init: () => ({
        onSendEvent: async () => ({
          transformInput: async ({ payloads: [event] }) => ({
            payloads: [{ ...event, name: 'ignored', v: '2', data: { was: event?.name, ...event?.data } }],
          }),
        }),
      }),
    });
    const app = clientWith(adding);
    const fn = app.createFunction({ ...options, middleware: [sending('own'), adding] }, trigger, ({ step }) =>
      Promise.all([
        step.sendEvent('send', { name: 'x' }),
        step.invoke('call', { function: 'a-b', data: { n: 1 } }),
      ]),
    );
    const run = await runOf(fn).enter();
    await run.goOn();
    expect(run.sends.map(({ events }) => events)).toEqual([
      [expect.objectContaining({ name: 'ignored', data: { was: 'x' }, v: '2' })],
    ]);
    expect(run.reached.find(({ name }) => name === 'call')?.kind).toMatchObject({
      payload: '{"data":{"was":"inngest/function.invoked","n":1},"v":"2"}',
    });
  });

  test('steps keep their ids however long the hooks of an invocation take', async () => {
    const slow = new InngestMiddleware({
      name: 'm',
      init: () => ({ onSendEvent: async () => (await turn(), {}) }),
    });
    const fn = clientWith(slow).createFunction({ id: 'f' }, trigger, ({ step }) =>
      Promise.all([step.invoke('same', { function: 'a-b' }), step.run('same', () => 1)]),
    );
    const run = await runOf(fn).enter();
    await run.goOn();
    const bare = host();
    await bare.run(() => Promise.all([bare.step.sleep('same', 1), bare.step.sleep('same', 1)]));
    const [first, second] = bare.reached.map(({ id }) => id);
    expect(run.reached.map(({ id, kind }) => [kind.op, id])).toEqual([
      ['StepRun', second],
      ['InvokeFunction', first],
    ]);
  });
});

describe('middleware', () => {
  test('is recognised by its tag, also when another copy of the package made it (PK-12)', () => {
    expect(isInngestMiddleware(hooking({}))).toBe(true);
    expect(isInngestMiddleware({ [Symbol.toStringTag]: 'Inngest.Middleware' })).toBe(true);
    expect([null, {}, 'Inngest.Middleware'].some(isInngestMiddleware)).toBe(false);
  });

  test('of several clients is apart (CL-24)', async () => {
    const one = new Inngest({ id: 'one', logger, middleware: [dependencyInjectionMiddleware({ who: 1 })] });
    const two = new Inngest({ id: 'two', logger } satisfies ClientOptions);
    const seen: unknown[] = [];
    const look = (context: object) => void seen.push('who' in context);
    await runOf(one.createFunction({ id: 'f' }, trigger, look)).enter();
    await runOf(two.createFunction({ id: 'f' }, trigger, look)).enter();
    expect(seen).toEqual([true, false]);
  });
});

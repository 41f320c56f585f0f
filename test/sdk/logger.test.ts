/** What is logged, when, and by whom. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Inngest, type Logger, ProxyLogger } from '../../src/sdk/index.ts';
import { runOf, turn, value } from './host.ts';

const trigger = { event: 'a/b' };

function recording() {
  return { info: vi.fn(), warn: vi.fn(), error: vi.fn(), debug: vi.fn() };
}

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

describe('the logger of a handler', () => {
  test('is silent while stored steps are replayed, so that no line appears twice (LG-3, LG-4)', async () => {
    const logger = recording();
    const fn = new Inngest({ id: 'app', logger }).createFunction({ id: 'f' }, trigger, async (context) => {
      context.logger.info('before');
      await context.step.run('a', () => 1);
      context.logger.info('between');
      await context.step.run('b', () => 1);
      context.logger.info('after');
    });
    await runOf(fn).enter();
    expect(logger.info.mock.calls).toEqual([['before'], ['between'], ['after']]);
    logger.info.mockClear();
    await runOf(fn, [['a', value(1)]]).enter();
    expect(logger.info.mock.calls).toEqual([['between'], ['after']]);
    logger.info.mockClear();
    await runOf(fn, [
      ['a', value(1)],
      ['b', value(1)],
    ]).enter();
    expect(logger.info.mock.calls).toEqual([['after']]);
  });

  test('is told once when the order of steps has changed, and the run goes on (VR-1, VR-3)', async () => {
    const logger = recording();
    const inOrder = (ids: string[]) =>
      new Inngest({ id: 'app', logger }).createFunction({ id: 'f' }, trigger, async ({ step }) => {
        for (const id of ids) await step.run(id, () => id);
        return ids;
      });
    const stored = (id: string): [string, ReturnType<typeof value>] => [id, value(id)];
    const enter = async (ids: string[], before: string[]) => {
      const run = await runOf(inOrder(ids), before.map(stored)).enter();
      for (let n = 0; n < 5; n++) await run.goOn();
      return run.ended;
    };
    expect(await enter(['a', 'b', 'c'], ['a', 'b'])).toMatchObject([{ ok: true }]);
    expect(logger.warn.mock.calls).toEqual([]);
    expect(await enter(['c', 'b', 'a', 'd'], ['a', 'b', 'c'])).toMatchObject([{ ok: true }]);
    expect(logger.warn.mock.calls).toEqual([[expect.stringContaining('step "c"')]]);
    logger.warn.mockClear();
    expect(await enter(['a', 'z', 'b'], ['a', 'b'])).toMatchObject([{ ok: true }]);
    expect(logger.warn.mock.calls).toEqual([[expect.stringContaining('step "z"')]]);
  });

  test('gets the error of a step or of the function, as it was thrown (LG-7)', async () => {
    const logger = recording();
    const [ofStep, ofFunction] = [new Error('step'), new Error('function')];
    const fn = new Inngest({ id: 'app', logger }).createFunction({ id: 'f' }, trigger, ({ step }) => {
      void step.run('a', () => Promise.reject(ofStep));
      throw ofFunction;
    });
    await runOf(fn).enter();
    expect(logger.error.mock.calls).toEqual([[ofFunction], [ofStep]]);
  });

  test('is a child with run, event and function where the given one makes children (LG-6)', async () => {
    const child = recording();
    const logger = { ...recording(), child: vi.fn(() => child) };
    const fn = new Inngest({ id: 'app', logger }).createFunction(
      { id: 'f', name: 'Named' },
      trigger,
      (context) => context.logger.info('text'),
    );
    await runOf(fn).enter();
    expect(logger.child).toHaveBeenCalledWith({ runID: 'run', eventName: 'a/b', functionName: 'Named' });
    expect([child.info.mock.calls, logger.info.mock.calls]).toEqual([[['text']], []]);
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('no child');
      },
    ],
    ['makes nothing', () => undefined],
  ])('is the given one where its child() %s (LG-6)', async (_how, child) => {
    const logger = { ...recording(), child };
    const fn = new Inngest({ id: 'app', logger }).createFunction({ id: 'f' }, trigger, (context) =>
      context.logger.info('text'),
    );
    await runOf(fn).enter();
    expect(logger.info).toHaveBeenCalledWith('text');
  });

  test('that can flush is flushed before the engine is told (LG-5)', async () => {
    const log: string[] = [];
    const flush = async () => {
      await turn();
      log.push('flushed');
    };
    const logger = { ...recording(), flush };
    const fn = new Inngest({ id: 'app', logger }).createFunction({ id: 'f' }, trigger, ({ step }) =>
      step.sleep('nap', 1),
    );
    const run = await runOf(fn).enter();
    run.execution.rest();
    await run.goOn();
    expect([log, run.ended]).toEqual([['flushed'], []]);
    run.store('nap', value(null));
    await run.goOn();
    await run.goOn();
    expect([log, run.ended.length]).toEqual([['flushed', 'flushed'], 1]);
  });
});

describe('ProxyLogger', () => {
  test('passes lines on only while it is on', () => {
    const logger = recording();
    const proxy = new ProxyLogger(logger);
    proxy.info('dropped');
    proxy.enable();
    proxy.warn('kept', { n: 1 });
    proxy.disable();
    proxy.error('dropped');
    expect([logger.info.mock.calls, logger.warn.mock.calls, logger.error.mock.calls]).toEqual([
      [],
      [['kept', { n: 1 }]],
      [],
    ]);
  });

  test('drops debug lines where the logger has no such level (LG-9)', () => {
    const { debug: _debug, ...rest } = recording();
    const proxy = new ProxyLogger(rest as unknown as Logger);
    proxy.enable();
    expect(() => proxy.debug('text')).not.toThrow();
  });

  test('lets other members through, with the logger as their `this` (LG-10)', () => {
    class Winston {
      level = 'info';
      readonly lines: unknown[] = [];
      info(...args: unknown[]) {
        this.lines.push(args);
      }
      warn() {}
      error() {}
      debug() {}
      silly(text: string) {
        this.lines.push([this.level, text]);
      }
    }
    const logger = new Winston();
    const proxy = new ProxyLogger(logger) as ProxyLogger & Winston;
    proxy.silly('text');
    proxy.enable();
    const rebound = { info: proxy.info };
    rebound.info('rebound');
    expect(logger.lines).toEqual([['info', 'text'], ['rebound']]);
    expect(proxy.level).toBe('info');
  });

  test('without a flush of the logger takes one turn; for the console none (LG-5)', async () => {
    const log: string[] = [];
    setTimeout(() => log.push('turn'), 0);
    await new ProxyLogger(console).flush();
    log.push('console');
    await new ProxyLogger(recording()).flush();
    log.push('other');
    expect(log).toEqual(['console', 'turn', 'other']);
  });
});

describe('INNGEST_LOG_LEVEL (EV-21)', () => {
  const methods = ['error', 'warn', 'info', 'debug'] as const;

  beforeEach(() => {
    for (const method of methods) vi.spyOn(console, method).mockImplementation(() => {});
  });

  /** What of a line of each level reaches the console. */
  function heard(client: Inngest.Any): string[] {
    for (const method of methods) client.logger[method]('text');
    return methods.filter((method) =>
      vi.mocked(console[method]).mock.calls.some(([text]) => text === 'text'),
    );
  }

  test.each([
    [undefined, ['error', 'warn', 'info']],
    ['info', ['error', 'warn', 'info']],
    ['DEBUG', ['error', 'warn', 'info', 'debug']],
    ['warn', ['error', 'warn']],
    ['error', ['error']],
    ['fatal', []],
    ['silent', []],
  ])('%s lets %j through', (level, expected) => {
    vi.stubEnv('INNGEST_LOG_LEVEL', level);
    expect(heard(new Inngest({ id: 'app' }))).toEqual(expected);
  });

  test('of no known level is reported once and taken as info', () => {
    vi.stubEnv('INNGEST_LOG_LEVEL', 'loud');
    const client = new Inngest({ id: 'app' });
    expect(heard(client)).toEqual(['error', 'warn', 'info']);
    expect(vi.mocked(console.warn).mock.calls.filter(([text]) => text !== 'text')).toHaveLength(1);
  });

  test('comes with setEnvVars too, and does not bind a logger that was given (CL-13, CL-20)', () => {
    const client = new Inngest({ id: 'app' }).setEnvVars({ INNGEST_LOG_LEVEL: 'silent' });
    expect(heard(client)).toEqual([]);
    const logger = recording();
    const given = new Inngest({ id: 'app', logger }).setEnvVars({ INNGEST_LOG_LEVEL: 'silent' });
    given.logger.debug('text');
    expect(logger.debug).toHaveBeenCalledWith('text');
  });
});

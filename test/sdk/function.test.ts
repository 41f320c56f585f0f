/** What the engine is told of a function, and its failure handler. */
import { describe, expect, test, vi } from 'vitest';
import { functionConfig } from '../../src/protocol/function.ts';
import { headerKeys, Inngest, type InngestFunction, queryKeys, slugify } from '../../src/sdk/index.ts';
import { runOf } from './host.ts';

const client = new Inngest({
  id: 'app',
  logger: { info: vi.fn(), warn: vi.fn(), error: vi.fn(), debug: vi.fn() },
});
const handler = () => {};

/** Also what no compiler would let through. */
function written(options: object, triggers: unknown = { event: 'a/b' }): InngestFunction.Any {
  return client.createFunction({ id: 'f', ...options }, triggers as { event: string }, handler);
}

describe('the configuration', () => {
  test.each([
    [{ event: 'a/b', if: 'event.data.n > 1' }, [{ event: 'a/b', expression: 'event.data.n > 1' }]],
    [{ event: 'a/b', if: undefined }, [{ event: 'a/b' }]],
    [{ cron: 'TZ=UTC 0 * * * *' }, [{ cron: 'TZ=UTC 0 * * * *' }]],
    [
      [{ event: 'a/*', if: 'true' }, { cron: '0 * * * *' }],
      [{ event: 'a/*', expression: 'true' }, { cron: '0 * * * *' }],
    ],
  ])('of the triggers %j (FN-22, FN-37, FN-40a)', (triggers, expected) => {
    const config = written({}, triggers).config();
    expect(config).toMatchObject({ triggers: expected });
    expect(functionConfig.parse(config)).toMatchObject({ triggers: expected });
  });

  test.each<[object, object]>([
    [{ event: 'x' }, { event: 'x' }],
    [
      { event: 'x', match: 'data.id' },
      { event: 'x', if: 'event.data.id == async.data.id' },
    ],
    [
      { event: 'x', if: 'async.data.n > 1' },
      { event: 'x', if: 'async.data.n > 1' },
    ],
    [
      { event: 'x', match: 'data.id', if: 'true' },
      { event: 'x', if: 'event.data.id == async.data.id' },
    ],
    [
      { event: 'x', timeout: '1h30m' },
      { event: 'x', timeout: '1h30m' },
    ],
    [
      { event: 'x', timeout: 5_000 },
      { event: 'x', timeout: '5000ms' },
    ],
    [
      { event: 'x', timeout: { total: () => 90 } },
      { event: 'x', timeout: '90ms' },
    ],
    [
      { event: 'x', timeout: new Date(0) },
      { event: 'x', timeout: '1970-01-01T00:00:00.000Z' },
    ],
    [
      { event: 'x', timeout: { epochMilliseconds: 0 } },
      { event: 'x', timeout: '1970-01-01T00:00:00.000Z' },
    ],
  ])('of cancelOn %j (FN-14, FN-36, CX-6 to CX-8)', (cancelOn, expected) => {
    const config = written({ cancelOn: [cancelOn] }).config();
    expect(config).toMatchObject({ cancel: [expected] });
    expect(config).not.toHaveProperty('cancelOn');
    expect(functionConfig.parse(config)).toMatchObject({ cancel: [expected] });
  });

  test('passes timeouts on as they were written (FN-15, DU-2)', () => {
    const config = written({ timeouts: { start: '10s', finish: '18h30m' } }).config();
    expect(functionConfig.parse(config)).toMatchObject({ timeouts: { start: '10s', finish: '18h30m' } });
  });

  test('says nothing of what is for this side only (FN-28)', () => {
    const own = { description: 'x', middleware: [], onFailure: handler, optimizeParallelism: true };
    expect(written(own).config()).toEqual({ id: 'app-f', name: 'f', triggers: [{ event: 'a/b' }] });
  });

  test.each([
    [{ cancelOn: 'x' }, 'cancel'],
    [{ cancelOn: [{ event: 'x', timeout: 'soon' }] }, 'cancel'],
    [{ cancelOn: [{ event: 'x', timeout: new Date(Number.NaN) }] }, 'cancel'],
    [{ timeouts: { start: 5 } }, 'timeouts'],
  ])('leaves %j to the check, which names it (FN-39)', (options, place) => {
    const parsed = functionConfig.safeParse(written(options).config());
    expect(parsed.error?.issues[0]?.path[0]).toBe(place);
  });
});

describe('onFailure', () => {
  const failed = (error: unknown) => ({
    name: 'inngest/function.failed',
    data: { error, event: { name: 'a/b', data: { n: 1 } }, function_id: 'app-f', run_id: 'run' },
    id: 'e',
    ts: 1,
  });

  test('is a function of its own beside the one that has it (FN-38, OF-1, OF-2)', () => {
    const all = written({ name: 'Main', retries: 0, cancelOn: [{ event: 'x' }], onFailure: handler }).all();
    expect(all.map((fn) => fn.config())).toEqual([
      expect.objectContaining({ id: 'app-f', name: 'Main' }),
      {
        id: 'app-f-failure',
        name: 'Main (failure)',
        retries: 1,
        triggers: [{ event: 'inngest/function.failed', expression: "event.data.function_id == 'app-f'" }],
      },
    ]);
    expect(written({}).all()).toHaveLength(1);
  });

  test('listens to the id that the function has in the app that serves it', () => {
    const [, failure] = written({ id: "f's", onFailure: handler }).all();
    const config = functionConfig.parse(failure?.config('other'));
    expect(config).toMatchObject({
      id: "other-f's-failure",
      triggers: [{ expression: String.raw`event.data.function_id == 'other-f\'s'` }],
    });
  });

  test('gets the error as it was, and the failed event; it may use steps (OF-5 to OF-10, XT-7)', async () => {
    const seen: unknown[] = [];
    const fn = client.createFunction(
      {
        id: 'f',
        onFailure: async ({ error, event, step, runId }) => {
          seen.push(error, await step.run('tell', () => event.data.event.data.n), runId);
        },
      },
      { event: 'a/b' },
      handler,
    );
    const [, failure = fn] = fn.all();
    const cause = { name: 'Error', message: 'why' };
    const told = failed({ name: 'RangeError', message: 'no', stack: 'RangeError: no\n  at x', cause });
    await runOf(failure).enter({ events: [told], runId: 'handler' });
    const [error, n, runId] = seen;
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'RangeError',
      message: 'no',
      stack: 'RangeError: no\n  at x',
      cause,
    });
    expect([n, runId]).toEqual([1, 'handler']);
  });

  test.each([[undefined], ['text'], [{ message: 'only' }], [{ error: 'summary' }]])(
    'makes an error of %j too (SY-3)',
    async (told) => {
      let error: unknown;
      const fn = client.createFunction(
        { id: 'f', onFailure: (context) => void (error = context.error) },
        { event: 'a/b' },
        handler,
      );
      await runOf(fn.all()[1] ?? fn).enter({ events: [failed(told)] });
      expect(error).toBeInstanceOf(Error);
      expect(error).toMatchObject({ name: 'Error' });
    },
  );
});

describe('keys', () => {
  test.each([
    ['My Function', 'my-function'],
    ['  Send — an E-Mail!! ', 'send-an-e-mail'],
    ['already-fine-1', 'already-fine-1'],
    ['a--b', 'a-b'],
    ['Ünï', 'n'],
    ['!!!', ''],
  ])('slugify(%j) is %j (PK-10)', (name, id) => {
    expect(slugify(name)).toBe(id);
  });

  test('queryKeys and headerKeys name what the protocol uses (PK-14, PK-15)', () => {
    expect(Object.values(queryKeys).toSorted()).toEqual(['deployId', 'fnId', 'probe', 'stepId']);
    expect(Object.values(headerKeys)).toEqual(
      expect.arrayContaining(['x-inngest-signature', 'x-inngest-event-id-seed', 'retry-after', 'x-run-id']),
    );
  });
});

/** What the step tools ask of the engine. */
import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { matchExpression as engineForm } from '../../src/expr/wait.ts';
import { sha1Hex } from '../../src/lib/hash.ts';
import {
  Inngest,
  InngestFunctionReference,
  referenceFunction,
  stepIdempotencyKey,
} from '../../src/sdk/index.ts';
import { matchExpression } from '../../src/sdk/match.ts';
import { host, runOf, value } from './host.ts';

const silent = () => ({ info: vi.fn(), warn: vi.fn(), error: vi.fn(), debug: vi.fn() });

/** What the tool asks for, or what it throws. */
async function asked(use: (step: ReturnType<typeof host>['step']) => unknown): Promise<unknown> {
  const { run, step, reached, ended } = host();
  await run(() => use(step));
  const [outcome] = ended;
  return outcome?.ok === false ? outcome.error.message : reached.map(({ kind }) => kind);
}

const DAY = 86_400_000;

describe('step.waitForEvent', () => {
  const wait = (options: object) => asked((step) => step.waitForEvent('a', options as never));
  const plain = {
    op: 'WaitForEvent',
    event: 'a/b',
    expression: null,
    timeout: { in: 1_000 },
    lookBack: 'run',
  };

  test('asks for any event of the name, from the start of the run on (ST-16, WE-1, WE-7)', async () => {
    expect(await wait({ event: 'a/b', timeout: '1s' })).toEqual([plain]);
  });

  test.each([
    [{ match: 'data.id' }, 'event.data.id == async.data.id'],
    [{ if: 'async.data.n > 1' }, 'async.data.n > 1'],
    [{ match: 'data.id', if: 'true' }, 'event.data.id == async.data.id'],
    [{ match: 'data.order-id' }, 'event["data"]["order-id"] == async["data"]["order-id"]'],
  ])('%j becomes %s (WE-4 to WE-6)', async (condition, expression) => {
    expect(await wait({ event: 'a/b', timeout: '1s', ...condition })).toEqual([{ ...plain, expression }]);
  });

  test.each<[unknown, object]>([
    [5_000, { in: 5_000 }],
    ['3 days', { in: 3 * DAY }],
    ['1h30m', { in: 5_400_000 }],
    [{ total: () => 7_000 }, { in: 7_000 }],
    [new Date(9_000), { at: 9_000 }],
    [{ epochMilliseconds: 9_000 }, { at: 9_000 }],
  ])('timeout %j is %j (WE-3, DU-1)', async (timeout, expected) => {
    expect(await wait({ event: 'a/b', timeout })).toEqual([{ ...plain, timeout: expected }]);
  });

  test.each([['soon'], [Number.NaN], [new Date(Number.NaN)], [{}], [{ epochMilliseconds: 'x' }], [true]])(
    'timeout %j is refused (SU-3)',
    async (timeout) => {
      expect(await wait({ event: 'a/b', timeout })).toMatch(/^step\.waitForEvent: timeout: expected/);
    },
  );

  test.each([
    ['1h', 3_600_000],
    [0, 0],
    ['run', 'run'],
  ])('looks back %j', async (lookBack, expected) => {
    expect(await wait({ event: 'a/b', timeout: 1_000, lookBack })).toEqual([
      { ...plain, lookBack: expected },
    ]);
  });

  test.each([[{ timeout: '1h' }], [{ event: 'a/b' }], [{ event: 5, timeout: '1h' }], [undefined], ['a/b']])(
    'refuses %j, such as a form of version 2 (ST-17)',
    async (options) => {
      expect(await wait(options as object)).toContain('expected { event, timeout }');
    },
  );

  test('resolves to the event, or to null (WE-2)', async () => {
    const event = { name: 'a/b', data: { n: 1 }, id: 'e', ts: 1 };
    const stored: Parameters<typeof host>[0] = [
      ['one', value(event)],
      ['two', value(null)],
    ];
    const { run, step, ended } = host(stored);
    await run(async () => [
      await step.waitForEvent('one', { event: 'a/b', timeout: 1 }),
      await step.waitForEvent('two', { event: 'a/b', timeout: 1 }),
    ]);
    expect(ended).toEqual([{ ok: true, data: JSON.stringify([event, null]) }]);
  });
});

describe('match', () => {
  test.each([
    'data.id',
    'data.order-id',
    'data.in',
    'data.true',
    'data.null',
    'data.information',
    'data.if',
    'data.items[0].id',
    'data["a b"].c',
    "data['x']",
    'data.items[-1]',
    'data.$x',
    'data.é',
    'data..a',
    'data.a == 1',
    'data.a.size()',
    'data[event.x]',
    'data.`a-b`',
    'data.items[0',
    'data',
    '',
  ])('%j is the same expression here and in the engine', (path) => {
    expect(matchExpression(path)).toBe(engineForm(path));
  });

  test('of any path of names, numbers and quoted names is the same here and in the engine', () => {
    const name = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_-]{0,6}$/);
    const rest = fc.constantFrom('', '', '', '[0]', '[12]', '["x y"]', "['z']", '[-1]', '[');
    const path = fc.array(
      fc.tuple(name, rest).map((parts) => parts.join('')),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(path, (segments) => {
        const text = segments.join('.');
        expect(matchExpression(text)).toBe(engineForm(text));
      }),
    );
  });
});

describe('step.invoke', () => {
  const client = new Inngest({ id: 'owner', logger: silent() });
  const target = client.createFunction({ id: 'target' }, { event: 'a/b' }, () => 1);

  /** What a function of the app `app` asks for by invoking. */
  async function invoked(options: object, logger = silent()) {
    const caller = new Inngest({ id: 'caller', logger });
    const fn = caller.createFunction({ id: 'f' }, { event: 'a/b' }, ({ step }) =>
      step.invoke('call', options as never),
    );
    const { reached, ended } = await runOf(fn).enter();
    const [outcome] = ended;
    return outcome?.ok === false ? outcome.error.message : reached[0]?.kind;
  }

  test.each<[string, object | string, string]>([
    ['a function', target, 'owner-target'],
    ['a reference', referenceFunction({ functionId: 'far' }), 'app-far'],
    ['one to another app', referenceFunction({ functionId: 'far', appId: 'other' }), 'other-far'],
    [
      'one of another copy',
      { [Symbol.toStringTag]: 'Inngest.FunctionReference', opts: { functionId: 'x' } },
      'app-x',
    ],
    ['an id', 'other-far', 'other-far'],
  ])('of %s names it by its composite id (ST-19, RF-2 to RF-4)', async (_what, fn, functionId) => {
    expect(await invoked({ function: fn, data: { n: 1 } })).toEqual({
      op: 'InvokeFunction',
      functionId,
      payload: '{"data":{"n":1}}',
      timeout: { in: 365 * DAY },
    });
  });

  test('passes data, user and version on, as JSON; data is {} by default (ST-18, IV-3)', async () => {
    const options = { function: target, data: { at: new Date(0), big: 1n }, user: { id: 1 }, v: '2' };
    expect(await invoked(options)).toMatchObject({
      payload: '{"data":{"at":"1970-01-01T00:00:00.000Z"},"user":{"id":1},"v":"2"}',
    });
    expect(await invoked({ function: target })).toMatchObject({ payload: '{"data":{}}' });
  });

  test('takes a timeout of any form (IV-4)', async () => {
    expect(await invoked({ function: target, timeout: '1h' })).toMatchObject({ timeout: { in: 3_600_000 } });
    expect(await invoked({ function: target, timeout: new Date(5) })).toMatchObject({ timeout: { at: 5 } });
  });

  test.each([[{}], [{ function: undefined }], [{ function: { id: 'x' } }], [{ function: '' }]])(
    'refuses %j (ST-19)',
    async (options) => {
      expect(await invoked(options)).toContain('`function` must be');
    },
  );

  test('of a plain id warns, once for all runs of a client (IV-2)', async () => {
    const logger = silent();
    const caller = new Inngest({ id: 'caller', logger });
    const fn = caller.createFunction({ id: 'f' }, { event: 'a/b' }, ({ step }) =>
      Promise.all([step.invoke('one', { function: 'a-b' }), step.invoke('two', { function: 'a-b' })]),
    );
    await runOf(fn).enter();
    await runOf(fn).enter();
    expect(logger.warn.mock.calls).toEqual([[expect.stringContaining('referenceFunction')]]);
  });

  test('gives the stored result, or fails with the stored error (IV-9, IV-15)', async () => {
    const fn = client.createFunction({ id: 'f' }, { event: 'a/b' }, async ({ step }) => [
      await step.invoke('one', { function: target }),
      await step.invoke('two', { function: target }).catch((error: Error) => error.message),
    ]);
    const error = { name: 'NonRetriableError', message: 'took too long' };
    const stored: Parameters<typeof runOf>[1] = [
      ['one', value(1)],
      ['two', { error }],
    ];
    const run = await runOf(fn, stored).enter();
    await run.goOn();
    expect(run.output).toEqual([1, 'took too long']);
  });
});

describe('step.waitForAny and step.waitForAll', () => {
  const two = [
    { event: 'a/b', match: 'data.id' },
    { event: 'c/d', if: 'async.data.n > 1' },
  ];
  const limits = { timeout: '1h', lookBack: '5m' };
  const [first, second] = [
    { event: 'a/b', expression: 'event.data.id == async.data.id' },
    { event: 'c/d', expression: 'async.data.n > 1' },
  ];
  const common = { op: 'WaitForEvent', timeout: { in: 3_600_000 }, lookBack: 300_000 };

  test('any is one step with all the events, all is one for each', async () => {
    expect(await asked((step) => step.waitForAny('w', { events: two, ...limits }))).toEqual([
      { ...common, ...first, or: [second] },
    ]);
    expect(await asked((step) => step.waitForAll('w', { events: two, ...limits }))).toEqual([
      { ...common, ...first },
      { ...common, ...second },
    ]);
  });

  test('one event is an ordinary wait', async () => {
    expect(await asked((step) => step.waitForAny('w', { events: two.slice(0, 1), ...limits }))).toEqual([
      { ...common, ...first },
    ]);
  });

  test.each([
    [
      [{ n: 1 }, { n: 2 }],
      [{ n: 1 }, { n: 2 }],
    ],
    [[{ n: 1 }, null], null],
  ])('all of %j is %j', async (events, output) => {
    const client = new Inngest({ id: 'app', logger: silent() });
    const fn = client.createFunction({ id: 'f' }, { event: 'a/b' }, ({ step }) =>
      step.waitForAll('w', { events: [{ event: 'a/b' }, { event: 'c/d' }], timeout: '1h' }),
    );
    const run = await runOf(fn, [
      ['w.1', value(events[1])],
      ['w.0', value(events[0])],
    ]).enter();
    expect(run.output).toEqual(output);
  });

  test.each([
    [undefined],
    [{ events: [], timeout: '1h' }],
    [{ events: [{}], timeout: '1h' }],
    [{ events: [{ event: 'a/b' }] }],
    [{ events: 'a/b', timeout: '1h' }],
  ])('refuse %j, and wait for nothing', async (options) => {
    for (const tool of ['waitForAny', 'waitForAll'] as const)
      expect(await asked((step) => step[tool]('w', options as never))).toMatch(
        new RegExp(`^step\\.${tool}: expected`),
      );
  });
});

describe('step.waitForSignal and step.sendSignal', () => {
  test.each([
    [undefined, 'fail'],
    ['fail', 'fail'],
    ['replace', 'replace'],
  ] as const)('onConflict %j is %j (ST-29, WS-1)', async (onConflict, conflict) => {
    const options = { signal: 'task/1', timeout: '1d', onConflict };
    expect(await asked((step) => step.waitForSignal('w', options))).toEqual([
      { op: 'WaitForSignal', signal: 'task/1', timeout: { in: DAY }, conflict },
    ]);
  });

  test.each([
    [undefined],
    [{ timeout: '1h' }],
    [{ signal: 'x' }],
    [{ signal: '', timeout: '1h' }],
    [{ signal: 'x', timeout: '1h', onConflict: 'no' }],
  ])('refuses %j (ST-29)', async (options) => {
    expect(await asked((step) => step.waitForSignal('w', options as never))).toMatch(
      /^step\.waitForSignal: /,
    );
  });

  test('a send is a step whose answer is who got it (ST-29, WS-2)', async () => {
    const client = new Inngest({ id: 'app', logger: silent() });
    const fn = client.createFunction({ id: 'f' }, { event: 'a/b' }, ({ step }) =>
      step.sendSignal('s', { signal: 'task/1', data: { at: new Date(0) } }),
    );
    const run = await runOf(fn).enter();
    expect(run.output).toEqual({ runId: 'receiver' });
    expect(run.signals).toEqual([
      {
        signal: { signal: 'task/1', data: { at: '1970-01-01T00:00:00.000Z' } },
        stepId: sha1Hex('s'),
        nth: 0,
      },
    ]);
    expect(run.reached[0]?.kind).toEqual({ op: 'StepRun', tool: 'step.sendSignal' });
  });

  test.each([[undefined], [{}], [{ signal: 5 }], [{ signal: '' }]])(
    'a send of %j is refused',
    async (options) => {
      expect(await asked((step) => step.sendSignal('s', options as never))).toMatch(
        /^step\.sendSignal: expected/,
      );
    },
  );
});

describe('referenceFunction', () => {
  test('keeps the ids only; schemas check nothing (RF-1, RF-6)', () => {
    const reference = referenceFunction({ functionId: 'f', schemas: { data: 'no schema' } });
    expect(reference).toBeInstanceOf(InngestFunctionReference);
    expect(reference.opts).toEqual({ functionId: 'f' });
    expect(reference[Symbol.toStringTag]).toBe('Inngest.FunctionReference');
  });
});

describe('stepIdempotencyKey', () => {
  const client = new Inngest({ id: 'app', logger: silent() });

  /** The keys of two steps in one attempt of each. */
  async function keys(runId: string): Promise<unknown[]> {
    const fn = client.createFunction({ id: 'f' }, { event: 'a/b' }, ({ step }) =>
      Promise.all([step.run('one', stepIdempotencyKey), step.run('two', async () => stepIdempotencyKey())]),
    );
    const run = await runOf(fn).enter({ runId });
    return run.output as unknown[];
  }

  test('is the same in every attempt of a step, and another one for every other step and run', async () => {
    const [one, two] = await keys('a');
    expect(one).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(await keys('a')).toEqual([one, two]);
    expect(new Set([one, two, ...(await keys('b'))]).size).toBe(4);
  });

  test('does not exist outside of steps', async () => {
    expect(() => stepIdempotencyKey()).toThrow('inside the callback of step.run()');
    const fn = client.createFunction({ id: 'f' }, { event: 'a/b' }, () => stepIdempotencyKey());
    expect((await runOf(fn).enter()).output).toMatchObject({ ok: false });
  });
});

test('a step id is hashed as ever for the new tools (ST-4)', async () => {
  const { run, step, reached } = host();
  await run(() => step.waitForEvent({ id: 'a', name: 'Wait' }, { event: 'a/b', timeout: 1 }));
  expect(reached).toMatchObject([{ id: sha1Hex('a'), name: 'Wait' }]);
});

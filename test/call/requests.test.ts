/** Requests that the engine makes as steps, in the run's own object. */
import { describe, expect, test } from 'vitest';
import type { StepOutcome } from '../../src/sdk/execution.ts';
import { openai } from '../../src/sdk/index.ts';
import { gate, World, type Context } from './world.ts';

const KEY = 'sk-test-0123456789';

const fetching = async ({ step }: Context) => {
  const response = await step.fetch('get', 'https://a.example/x', {
    headers: { authorization: `Bearer ${KEY}` },
  });
  return [response.status, await response.text()];
};
const inferring = ({ step }: Context) =>
  step.ai.infer('ask', {
    model: openai({ model: 'm', apiKey: KEY }),
    body: { messages: [{ role: 'user', content: 'hi' }] },
  });

const answered = (body = 'hello'): StepOutcome => ({
  ok: true,
  data: JSON.stringify({ status_code: 200, headers: {}, body }),
});
const failed = (final = false): StepOutcome => ({
  ok: false,
  final,
  error: { name: 'GatewayError', message: 'no' },
});

/** A world whose requests are answered one after the other. */
function answering(code: (context: Context) => unknown, outcomes: StepOutcome[], options = {}) {
  const world = new World(code, options);
  world.respond = async () => outcomes.shift() ?? answered();
  return world;
}

describe('a request as a step', () => {
  test('is made once, and its answer kept (SF-2, SF-3)', async () => {
    const world = answering(
      async (context) => {
        const first = await fetching(context);
        await context.step.sleep('wait', '1h');
        return first;
      },
      [answered()],
    );
    await world.start();
    await world.crash().run();
    expect([world.output, world.requests.length]).toEqual([[200, 'hello'], 1]);
    expect((await world.trace())?.steps[0]).toMatchObject({
      op: 'StepRun',
      tool: 'step.fetch',
      status: 'Completed',
    });
  });

  test('is tried again alone after a failed attempt, by the function’s retries (SF-4, SF-8)', async () => {
    const world = await answering(fetching, [failed(), failed()]).run();
    expect(world.output).toEqual([200, 'hello']);
    expect(world.requests.map(({ isLast }) => isLast)).toEqual([false, false, false]);
    const [step] = (await world.trace())?.steps ?? [];
    expect(step).toMatchObject({
      attempts: 3,
      tool: 'step.fetch',
      failures: [{ attempt: 0 }, { attempt: 1 }],
    });
  });

  test('knows its last attempt, and fails the step when that fails', async () => {
    const world = await answering(fetching, [failed(), failed()], { maxAttempts: 2 }).run();
    expect(world.requests.map(({ isLast }) => isLast)).toEqual([false, true]);
    expect([world.status, world.output]).toMatchObject(['Failed', { message: 'no' }]);
  });

  test('is not tried again when a repeat would come to the same', async () => {
    const world = await answering(fetching, [failed(true)]).run();
    expect([world.status, world.requests.length]).toEqual(['Failed', 1]);
  });

  test('that was lost under way is made again from the handler, which has what was never stored (AI-7)', async () => {
    const world = answering(inferring, []);
    world.respond = () => gate<StepOutcome>().promise;
    await world.start();
    world.respond = async () => answered();
    await world.crash().toEnd();
    expect([world.status, world.requests.length]).toEqual(['Completed', 2]);
    expect(world.requests.map(({ request }) => (request as { authKey?: string }).authKey)).toEqual([
      KEY,
      KEY,
    ]);
  });

  test('runs beside others (SF-12)', async () => {
    const world = answering(
      ({ step }) =>
        Promise.all([
          step.fetch('https://a.example/1'),
          step.run('b', () => 2),
          step.fetch('https://a.example/2'),
        ]),
      [],
    );
    const open = gate<StepOutcome>();
    world.respond = () => open.promise;
    await world.start();
    expect(world.requests).toHaveLength(2);
    open.open(answered());
    await world.quiet();
    expect(world.status).toBe('Completed');
  });

  test('that is under way is shown as running, with what it was given', async () => {
    const world = answering(inferring, []);
    world.respond = () => gate<StepOutcome>().promise;
    await world.start();
    expect((await world.trace())?.steps).toMatchObject([
      { tool: 'step.ai.infer', status: 'Running', input: { body: { messages: [{ content: 'hi' }] } } },
    ]);
  });
});

describe('an inference', () => {
  test.each<[string, StepOutcome[]]>([
    ['succeeds', []],
    ['fails at first', [failed()]],
    ['fails for good', [failed(true)]],
  ])(
    'that %s leaves its prompt in the trace, and its key nowhere (AI-7, AI-8, AT-19)',
    async (_, outcomes) => {
      const world = await answering(inferring, outcomes).run();
      const trace = await world.trace();
      expect(trace?.steps).toMatchObject([
        {
          tool: 'step.ai.infer',
          input: { format: 'openai-chat', body: { model: 'm', messages: [{ content: 'hi' }] } },
        },
      ]);
      const stored = JSON.stringify([...world.rows.table.values(), trace, world.endings, world.errors]);
      expect(stored).not.toContain(KEY);
    },
  );
});

test('the arguments of a wrapped call are shown; too many are left out, and the step is the same (AIO-2)', async () => {
  const world = await new World(async ({ step }) => {
    const long = 'x'.repeat(300_000);
    return [
      await step.ai.wrap('short', (n: unknown) => n, 1),
      ((await step.ai.wrap('long', (text: unknown) => text, long)) as string).length,
    ];
  }).run();
  expect(world.output).toEqual([1, 300_000]);
  expect((await world.trace())?.steps).toMatchObject([
    { tool: 'step.ai.wrap', input: [1] },
    { tool: 'step.ai.wrap', input: null },
  ]);
});

/** Requests that the engine makes as steps, in real objects; the world outside is a handler in the test. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { fetch as durableFetch, openai, step as ambient } from '../../src/sdk/index.ts';
import { begin, calm, crash, finish, Gate, storedText, stubOf, timeStandsStill, wake } from './world.ts';

timeStandsStill();

const KEY = 'sk-workers-0123456789';

/** What arrives outside, and what comes of it. */
let outside: (request: Request) => Promise<Response>;
const arrived: { url: string; authorization: string | null; body: string }[] = [];

beforeEach(() => {
  arrived.length = 0;
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    const { url, headers } = request;
    arrived.push({ url, authorization: headers.get('authorization'), body: await request.clone().text() });
    return outside(request);
  });
});
afterEach(() => void vi.restoreAllMocks());

describe('step.fetch', () => {
  test('is made by the engine, memoised, and a Response to the handler (SF-2, SF-3, SF-6)', async () => {
    outside = async () => Response.json({ n: 1 }, { status: 201 });
    const runId = await begin(async ({ step }) => {
      const response = await step.fetch('https://api.example/items', { method: 'POST', body: '{"a":1}' });
      const { n } = await response.json<{ n: number }>();
      await step.sleep('pause', '1h');
      return [response.status, n];
    });
    await calm(runId);
    await crash(runId);
    expect(await finish(runId)).toMatchObject({ status: 'Completed', output: [201, 1] });
    expect(arrived).toMatchObject([{ url: 'https://api.example/items', body: '{"a":1}' }]);
  });

  test('a 503 is tried again when Retry-After says so, a 404 is an answer (SF-8)', async () => {
    outside = async () =>
      arrived.length === 1
        ? new Response('', { status: 503, headers: { 'retry-after': '90' } })
        : new Response('', { status: 404 });
    const runId = await begin(async ({ step }) => (await step.fetch('https://api.example')).status);
    await calm(runId);
    const before = Date.now();
    await wake(runId);
    expect(Date.now() - before).toBe(90_000);
    expect(await finish(runId)).toMatchObject({ status: 'Completed', output: 404 });
  });

  test('when no attempt is left the last answer is the result; without one the step fails (SF-8, wire 47)', async () => {
    outside = async () => new Response('busy', { status: 503 });
    const program = async ({ step }: Parameters<Parameters<typeof begin>[0]>[0]) =>
      (await step.fetch('https://api.example')).text();
    expect(await finish(await begin(program))).toMatchObject({ status: 'Completed', output: 'busy' });
    expect(arrived).toHaveLength(4);
    outside = () => Promise.reject(new Error('unreachable'));
    expect(await finish(await begin(program))).toMatchObject({
      status: 'Failed',
      output: { name: 'GatewayError' },
    });
  });

  test('under way when the object is lost, it is made again (SF-3)', async () => {
    const first = new Gate();
    outside = async () =>
      arrived.length === 1 ? (first.open(), new Promise<Response>(() => {})) : new Response('ok');
    const runId = await begin(async ({ step }) => (await step.fetch('https://api.example')).text());
    await first.passed();
    await crash(runId);
    await wake(runId);
    expect(await finish(runId)).toMatchObject({ status: 'Completed', output: 'ok' });
  });

  test('fetch and step of the package are the run’s own, several at a time (SF-12, ST-26, ST-31)', async () => {
    outside = async (request) => new Response(new URL(request.url).pathname);
    const runId = await begin(async () => {
      const text = async (path: string) => (await durableFetch(`https://api.example${path}`)).text();
      const all = await Promise.all([text('/1'), text('/2'), ambient.run('c', () => 3)]);
      const inside = await ambient.run('d', () => text('/plain'));
      return [...all, inside];
    });
    expect(await finish(runId)).toMatchObject({ output: ['/1', '/2', 3, '/plain'] });
    const { steps } = await calm(runId);
    expect(steps.filter(({ tool }) => tool === 'step.fetch')).toHaveLength(2);
  });
});

describe('step.ai.infer', () => {
  const program = ({ step }: Parameters<Parameters<typeof begin>[0]>[0]) =>
    step.ai.infer('ask', {
      model: openai({ model: 'm', apiKey: KEY }),
      body: { messages: [{ role: 'user', content: 'hello' }] },
    });

  test('the key is sent with every attempt and kept nowhere, prompt and tokens are (AI-2, AI-5 to AI-9, AT-19)', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {});
    outside = async (request) =>
      arrived.length === 1
        ? Response.json(
            { error: { message: `slow down, ${request.headers.get('authorization')}` } },
            { status: 429 },
          )
        : Response.json({ id: 'answer', usage: { prompt_tokens: 1, completion_tokens: 2 } });
    const runId = await begin(program);
    await calm(runId);
    const whileWaiting = await storedText(stubOf(runId));
    expect(await finish(runId)).toMatchObject({ status: 'Completed', output: { id: 'answer' } });
    expect(arrived.map(({ authorization }) => authorization)).toEqual([`Bearer ${KEY}`, `Bearer ${KEY}`]);
    const trace = await calm(runId);
    expect(trace.steps).toMatchObject([
      {
        tool: 'step.ai.infer',
        attempts: 2,
        input: { body: { model: 'm', messages: [{ content: 'hello' }] } },
      },
    ]);
    const stored = [whileWaiting, await storedText(stubOf(runId)), JSON.stringify([trace, log.mock.calls])];
    for (const text of stored) expect(text).not.toContain(KEY);
  });

  test('a refusal fails the step at once, with what the provider says (AI-9)', async () => {
    outside = async () => Response.json({ error: { message: 'no such model' } }, { status: 404 });
    const runId = await begin(async (context) => {
      try {
        return await program(context);
      } catch (error) {
        return (error as Error).message;
      }
    });
    expect(await finish(runId)).toMatchObject({ output: 'api.openai.com answered 404: no such model' });
    expect(arrived).toHaveLength(1);
  });
});

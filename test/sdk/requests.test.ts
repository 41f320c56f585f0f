/** Requests that the engine makes for a handler, and the tools without a context at hand. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { sha1Hex } from '../../src/lib/hash.ts';
import { fetch, Inngest, InngestMiddleware, step as ambient } from '../../src/sdk/index.ts';
import { models } from '../../src/sdk/models.ts';
import { host, runOf, turn, value } from './host.ts';

const client = new Inngest({
  id: 'app',
  logger: { info: vi.fn(), warn: vi.fn(), error: vi.fn(), debug: vi.fn() },
});
const fnOf = (handler: (context: { step: typeof ambient }) => unknown) =>
  client.createFunction({ id: 'f' }, { event: 'a/b' }, handler);

const answer = (over: object = {}) => value({ status_code: 200, headers: {}, body: 'hello', ...over });

/** What the tool asks for, or what it throws. */
async function asked(use: (step: ReturnType<typeof host>['step']) => unknown): Promise<unknown> {
  const { run, step, reached, ended } = host();
  await run(() => use(step));
  await turn();
  const [outcome] = ended;
  return outcome?.ok === false ? outcome.error.message : reached;
}

afterEach(() => {
  fetch.config({ fallback: (input, init) => globalThis.fetch(input, init) });
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

describe('step.fetch', () => {
  const plain = { op: 'Gateway', url: 'https://a.example/x', method: 'GET', headers: {}, body: null };

  test.each<[unknown[], object]>([
    [['https://a.example/x'], plain],
    [[new URL('https://a.example/x')], plain],
    [[new Request('https://a.example/x')], plain],
    [
      ['https://a.example/x', { method: 'head', headers: { a: 'b' } }],
      { ...plain, method: 'HEAD', headers: { a: 'b' } },
    ],
    [
      [
        'https://a.example/x',
        { method: 'POST', body: '{"n":1}', headers: { 'Content-Type': 'application/json' } },
      ],
      { ...plain, method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"n":1}' },
    ],
    [
      ['https://a.example/x', { method: 'POST', body: new URLSearchParams({ q: 'ü' }) }],
      {
        ...plain,
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' },
        body: 'q=%C3%BC',
      },
    ],
    [
      [new Request('https://a.example/x', { method: 'PUT', body: 'text' })],
      { ...plain, method: 'PUT', headers: { 'content-type': 'text/plain;charset=UTF-8' }, body: 'text' },
    ],
  ])('%j asks for %j (ST-24, ST-25)', async (given, kind) => {
    expect(await asked((step) => step.fetch(...(given as [string])))).toEqual([
      { id: sha1Hex('step.fetch: a.example'), name: 'step.fetch: a.example', kind },
    ]);
  });

  test('takes an id of its own before the address (C-8)', async () => {
    expect(await asked((step) => step.fetch('mine', 'https://a.example/x', { method: 'DELETE' }))).toEqual([
      { id: sha1Hex('mine'), name: 'mine', kind: { ...plain, method: 'DELETE' } },
    ]);
  });

  test('ids of parallel requests to one host are counted in the order of the calls, bodies or not (SF-7, ST-5)', async () => {
    const reached = await asked((step) =>
      Promise.all([
        step.fetch('https://a.example/1', { method: 'POST', body: 'x' }),
        step.fetch('https://a.example/2'),
      ]),
    );
    const ids = (reached as { id: string; kind: { url: string } }[]).map(({ id, kind }) => [kind.url, id]);
    expect(Object.fromEntries(ids)).toEqual({
      'https://a.example/1': sha1Hex('step.fetch: a.example'),
      'https://a.example/2': sha1Hex('step.fetch: a.example:1'),
    });
  });

  test.each([
    [{ method: 'POST', body: new FormData() }],
    [{ method: 'POST', body: new ReadableStream() }],
    [{ method: 'POST', body: new Uint8Array(3) }],
    [{ method: 'POST', body: new Blob(['x']) }],
  ])('a body of another kind is refused (ST-27)', async (init) => {
    expect(await asked((step) => step.fetch('https://a.example/x', init))).toMatch(
      /^step\.fetch: expected a body that is a text/,
    );
  });

  test('its outcome is a Response (SF-6)', async () => {
    const fn = fnOf(async ({ step }) => {
      const response = await step.fetch('get', 'https://a.example/x');
      return [
        response instanceof Response,
        response.status,
        response.ok,
        response.headers.get('a'),
        await response.text(),
        response.url,
      ];
    });
    const memo = answer({ status_code: 404, headers: { a: 'b' }, url: 'https://a.example/y' });
    const run = await runOf(fn, [['get', memo]]).enter();
    expect(run.output).toEqual([true, 404, false, 'b', 'hello', 'https://a.example/y']);
  });

  test.each([
    [{ status_code: 204, body: '' }, []],
    [{ body: '/wAB', encoding: 'base64' }, [0xff, 0, 1]],
  ])('%j has the bytes %j (SF-9)', async (over, bytes) => {
    const fn = fnOf(async ({ step }) => {
      const response = await step.fetch('get', 'https://a.example/x');
      return [...new Uint8Array(await response.arrayBuffer())];
    });
    expect((await runOf(fn, [['get', answer(over)]]).enter()).output).toEqual(bytes);
  });
});

describe('fetch of the package', () => {
  const outside = vi.fn(async () => new Response('outside'));

  test('is durable in a handler, plain inside of a step (SF-11, ST-26)', async () => {
    vi.stubGlobal('fetch', outside);
    const fn = fnOf(async ({ step }) => {
      const inside = await step.run('in', async () => (await fetch('https://a.example/x')).text());
      const stepped = await step.run('step', async () => (await step.fetch('https://a.example/x')).text());
      return [inside, stepped, await (await fetch('https://a.example/x')).text()];
    });
    const run = runOf(fn, [['step.fetch: a.example', answer()]]);
    expect((await run.enter()).output).toEqual(['outside', 'outside', 'hello']);
  });

  test('is plain outside of functions, by the fallback or not at all (ST-26)', async () => {
    vi.stubGlobal('fetch', outside);
    expect(await (await fetch('https://a.example/x')).text()).toBe('outside');
    const other = fetch.config({ fallback: async () => new Response('other') });
    expect(await (await other('https://a.example/x')).text()).toBe('other');
    await expect(fetch.config({ fallback: undefined })('https://a.example/x')).rejects.toThrow(
      'no fallback is set',
    );
  });
});

describe('step.ai.infer', () => {
  const infer = (model: ReturnType<typeof models.openai>, body: object = { messages: [] }) =>
    asked((step) => step.ai.infer('ask', { model, body }));

  test.each([
    ['openai', 'OPENAI_API_KEY', 'https://api.openai.com/v1/chat/completions', 'openai-chat'],
    ['openaiResponses', 'OPENAI_API_KEY', 'https://api.openai.com/v1/responses', 'openai-responses'],
    ['deepseek', 'DEEPSEEK_API_KEY', 'https://api.deepseek.com/v1/chat/completions', 'openai-chat'],
    ['grok', 'XAI_API_KEY', 'https://api.x.ai/v1/chat/completions', 'grok'],
  ] as const)('%s with %s posts to %s as %s (AI-3, AI-4, ST-20)', async (name, variable, url, format) => {
    vi.stubEnv(variable, 'from-env');
    const expected = {
      op: 'AIGateway',
      url,
      format,
      headers: {},
      authKey: 'from-env',
      body: { model: 'm', messages: [] },
    };
    expect(await infer(models[name]({ model: 'm' }) as never)).toMatchObject([{ kind: expected }]);
    const own = models[name]({ model: 'm', apiKey: 'own', baseUrl: 'https://proxy.example/base' });
    const path = url.slice(url.indexOf('/v1/') + 4);
    expect(await infer(own as never)).toMatchObject([
      { kind: { ...expected, authKey: 'own', url: `https://proxy.example/base/${path}` } },
    ]);
  });

  test('anthropic has its version, its beta headers and its limit (AI-4)', async () => {
    const model = models.anthropic({
      model: 'm',
      apiKey: 'k',
      betaHeaders: ['a', 'b'],
      defaultParameters: { max_tokens: 5 },
    });
    expect(await infer(model as never)).toMatchObject([
      {
        kind: {
          url: 'https://api.anthropic.com/v1/messages',
          format: 'anthropic',
          headers: { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'a,b' },
          body: { model: 'm', max_tokens: 5 },
        },
      },
    ]);
  });

  test('gemini has the model in its address, and merges generationConfig (AI-4)', async () => {
    const model = models.gemini({
      model: 'm',
      apiKey: 'k',
      defaultParameters: { contents: [], generationConfig: { temperature: 1, topK: 2 } },
    });
    expect(
      await infer(model as never, { contents: [{ parts: [] }], generationConfig: { topK: 3 } }),
    ).toMatchObject([
      {
        kind: {
          url: 'https://generativelanguage.googleapis.com/v1beta/models/m:generateContent',
          authKey: 'k',
          body: { contents: [{ parts: [] }], generationConfig: { temperature: 1, topK: 3 } },
        },
      },
    ]);
  });

  test('azureOpenai names endpoint, deployment and version, and has a key header of its own (AI-4)', async () => {
    const model = models.azureOpenai({
      model: 'm',
      apiKey: 'k',
      endpoint: 'https://x.openai.azure.com',
      deployment: 'd',
      apiVersion: '2026-01-01',
    });
    expect(await infer(model as never)).toMatchObject([
      {
        kind: {
          url: 'https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2026-01-01',
          format: 'azure-openai',
          headers: { 'api-key': 'k' },
        },
      },
    ]);
  });

  test('leaves the body that it was given as it is; what it says itself wins over the defaults', async () => {
    const body = { messages: [], temperature: 0 };
    const model = models.openai({ model: 'm', apiKey: 'k', defaultParameters: { temperature: 1, n: 2 } });
    expect(await infer(model, body)).toMatchObject([
      { kind: { body: { model: 'm', temperature: 0, n: 2 } } },
    ]);
    expect(body).toEqual({ messages: [], temperature: 0 });
  });

  test('takes models of other packages as they are: they complete themselves and the body (AI-16)', async () => {
    const model = {
      url: 'https://ai.example/chat',
      authKey: 'k',
      format: 'openai-chat' as const,
      options: { model: 'm' },
      onCall(self: { url: string }, body: { model?: string }) {
        self.url += '/v2';
        body.model ||= this.options.model;
      },
    };
    expect(await infer(model as never)).toMatchObject([
      { kind: { url: 'https://ai.example/chat/v2', authKey: 'k', headers: {}, body: { model: 'm' } } },
    ]);
    expect(model.url).toBe('https://ai.example/chat');
  });

  test.each([[undefined], [{}], [{ model: {} }], [{ body: {} }]])('refuses %j', async (options) => {
    expect(await asked((step) => step.ai.infer('ask', options as never))).toMatch(
      /^step\.ai\.infer: expected \{ model, body \}/,
    );
  });

  test('resolves with the provider’s answer (AI-1)', async () => {
    const fn = fnOf(({ step }) =>
      step.ai.infer('ask', { model: models.openai({ model: 'm', apiKey: 'k' }), body: { messages: [] } }),
    );
    expect((await runOf(fn, [['ask', value({ id: 'x' })]]).enter()).output).toEqual({ id: 'x' });
  });
});

describe('step.ai.wrap', () => {
  test('runs the call as a step, marked, with its arguments but for keys (AI-11, ST-21, AIO-2)', async () => {
    const generate = (options: { prompt: string; apiKey: string }, big: bigint) =>
      `${options.prompt}${options.apiKey}${big}`;
    const fn = fnOf(({ step }) => step.ai.wrap('ask', generate, { prompt: 'hi', apiKey: 'secret' }, 5n));
    const run = await runOf(fn).enter();
    expect(run.output).toBe('hisecret5');
    expect(run.reached[0]?.kind).toEqual({
      op: 'StepRun',
      tool: 'step.ai.wrap',
      input: '[{"prompt":"hi","apiKey":"[hidden]"},null]',
    });
  });

  test('arguments without a JSON form are no reason not to make the call (AI-14)', async () => {
    const stubborn = {
      toJSON: () => {
        throw new Error('no');
      },
    };
    const run = await runOf(
      fnOf(({ step }) => step.ai.wrap('ask', (one) => one === stubborn, stubborn)),
    ).enter();
    expect([run.output, run.reached[0]?.kind]).toEqual([true, { op: 'StepRun', tool: 'step.ai.wrap' }]);
  });

  test('a method without its instance fails as a step (AI-12)', async () => {
    class Model {
      readonly name = 'm';
      ask() {
        return this.name;
      }
    }
    const fn = fnOf(({ step }) => step.ai.wrap('ask', new Model().ask.bind(undefined)));
    const run = await runOf(fn).enter();
    expect(run.outcomes).toMatchObject([['ask', { ok: false, error: { name: 'TypeError' } }]]);
  });
});

describe('middleware', () => {
  test('sees and changes the outcomes of requests as of other steps, and those of wrapped calls as they end (MW-24, MW-33)', async () => {
    const seen: unknown[] = [];
    const spy = new InngestMiddleware({
      name: 'spy',
      init: () => ({
        onFunctionRun: () => ({
          transformInput: ({ steps }) => ({
            steps: steps.map((step) =>
              'data' in step ? { data: { ...(step.data as object), body: 'changed' } } : step,
            ),
          }),
          transformOutput: ({ result, step }) => {
            seen.push([step?.displayName, result.data]);
          },
        }),
      }),
    });
    const fn = client.createFunction({ id: 'f', middleware: [spy] }, { event: 'a/b' }, async ({ step }) => {
      const text = await (await step.fetch('get', 'https://a.example/x')).text();
      return [text, await step.ai.wrap('ask', (n: number) => n + 1, 1)];
    });
    const run = await runOf(fn, [['get', answer()]]).enter();
    expect(seen[0]).toEqual(['ask', 2]);
    expect(seen.at(-1)).toEqual([undefined, ['changed', expect.anything()]]);
    expect(run.reached).toHaveLength(1);
  });
});

describe('step of the package', () => {
  test('is that of the function that runs, its ids in the order of the calls (ST-31, PK-6)', async () => {
    const fn = fnOf(async () => {
      const both = [ambient.run('a', () => 1), ambient.run('b', () => 2)];
      const inner = ambient.ai.wrap('w', (n: number) => n, 3);
      return Promise.all([...both, inner]);
    });
    const run = await runOf(fn).enter();
    expect(run.output).toEqual([1, 2, 3]);
    expect(run.reached.map(({ id }) => id)).toEqual([sha1Hex('a'), sha1Hex('b'), sha1Hex('w')]);
  });

  test('cannot be used inside of a step (ST-7)', async () => {
    const fn = fnOf(() => ambient.run('outer', () => ambient.run('inner', () => 1)));
    expect((await runOf(fn).enter()).outcomes).toMatchObject([['outer', { ok: false, final: true }]]);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['run', () => ambient.run('a', () => 1)],
    ['sleep', () => ambient.sleep('a', 1)],
    ['fetch', () => ambient.fetch('https://a.example')],
    ['ai.wrap', () => ambient.ai.wrap('a', () => 1)],
  ])('%s rejects elsewhere, and says why (ST-31)', async (_, use) => {
    await expect(use()).rejects.toThrow('works inside of a running function only');
  });
});

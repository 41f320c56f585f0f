/** The endpoint of an app (SV, SH, SM and AD groups), as an engine finds it. Whole runs: test/conformance/stepwell.test.ts. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { sha1Hex } from '../../src/lib/hash.ts';
import { hashedKey, isSigned, sign } from '../../src/protocol/signature.ts';
import { readAnswer, readRegistration } from '../../src/registry/registration.ts';
import { Inngest, NonRetriableError, RetryAfterError } from '../../src/sdk/index.ts';
import { serve as cloudflare } from '../../src/sdk/serve/cloudflare.ts';
import { serve as edge, type ServeOptions } from '../../src/sdk/serve/edge.ts';
import { serve as hono } from '../../src/sdk/serve/hono.ts';
import { serve as node } from '../../src/sdk/serve/node.ts';

const KEY = 'signkey-test-12345678';
const URL_OF_APP = 'https://shop.test/api/inngest';
const RUN = '01M7WKR1YGMGMB767BZMNTVN3F';
const quiet = { info() {}, warn() {}, error() {}, debug() {} };

beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('INNGEST_')) vi.stubEnv(name, undefined);
  vi.stubEnv('NODE_ENV', 'test');
});
afterEach(() => void vi.unstubAllEnvs());

type Handler = Parameters<Inngest['createFunction']>[2];

/** An app with one function, `shop-pay`. @param sent what goes to the engine. */
function anApp(code: Handler = () => 'done', options: Partial<ServeOptions> & { isDev?: boolean } = {}) {
  const { isDev = true, ...rest } = options;
  const requests: Request[] = [];
  const engine = { answer: (_: Request): Response => Response.json({ ok: true, modified: true }) };
  const client = new Inngest({
    id: 'shop',
    isDev,
    logger: quiet,
    appVersion: '1.2',
    baseUrl: 'https://engine.test',
    eventKey: 'event-key',
    fetch: async (url, init) => {
      const request = new Request(url, init);
      requests.push(request.clone());
      return engine.answer(request);
    },
  });
  const pay = client.createFunction(
    { id: 'pay', name: 'Pay', retries: 2, concurrency: 3, onFailure: () => {} },
    [{ event: 'order/placed', if: 'event.data.n > 1' }, { cron: '0 0 * * *' }],
    code,
  );
  const settings = isDev ? {} : { signingKey: KEY };
  const handle = edge({ client, functions: [pay], ...settings, ...rest });
  return { client, pay, handle, requests, engine };
}

function ask(handle: (request: Request) => Promise<Response>, init: RequestInit = {}, query = '') {
  return handle(new Request(`${URL_OF_APP}${query}`, init));
}

interface Signed {
  method: string;
  headers: Record<string, string>;
  body?: string;
}

function signed(body: string, method = 'POST', key = KEY, at = Date.now()): Signed {
  return {
    method,
    headers: { 'x-inngest-signature': sign(key, body, at) },
    ...(body === '' ? {} : { body }),
  };
}

/** In the order of RFC 8785 already. */
function callText(change: { ctx?: object; steps?: object } = {}): string {
  const ctx = {
    attempt: 0,
    disable_immediate_execution: false,
    run_id: RUN,
    stack: { stack: [] },
    use_api: false,
  };
  return JSON.stringify({
    ctx: { ...ctx, ...change.ctx },
    event: { data: {}, id: 'e', name: 'order/placed', ts: 1 },
    steps: change.steps ?? {},
  });
}

function call(app: ReturnType<typeof anApp>, change: Parameters<typeof callText>[0] = {}, stepId = 'step') {
  return ask(app.handle, { method: 'POST', body: callText(change) }, `?fnId=shop-pay&stepId=${stepId}`);
}

describe('GET', () => {
  test('in development everybody is told a little (SH-3)', async () => {
    const response = await ask(anApp().handle);
    expect([response.status, await response.json()]).toEqual([
      200,
      {
        schema_version: '2024-05-24',
        mode: 'dev',
        function_count: 2,
        has_event_key: true,
        has_signing_key: false,
        extra: { is_mode_explicit: true },
      },
    ]);
    expect(response.headers.get('x-inngest-sdk')).toMatch(/^stepwell-js:v/);
  });

  test('in the cloud strangers are told nothing (SH-5, SH-36)', async () => {
    const response = await ask(anApp(undefined, { isDev: false }).handle);
    expect([response.status, await response.json()]).toEqual([401, { message: 'Unauthorized' }]);
    const names = [...response.headers.keys()].filter((name) => name.startsWith('x-inngest-'));
    expect(names).toEqual(['x-inngest-sdk-handled']);
  });

  test('who has the key is told more, and the answer is signed (SH-4, SH-34)', async () => {
    const { handle } = anApp(undefined, { isDev: false, signingKeyFallback: 'signkey-test-aaaa' });
    const response = await ask(handle, signed('', 'GET'));
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({
      authentication_succeeded: true,
      app_id: 'shop',
      mode: 'cloud',
      api_origin: 'https://engine.test',
      serve_origin: 'https://shop.test',
      serve_path: '/api/inngest',
      sdk_language: 'js',
      signing_key_hash: hashedKey(KEY).slice('signkey-test-'.length, 'signkey-test-'.length + 12),
    });
    expect(text).not.toContain('12345678');
    expect(isSigned([KEY], response.headers.get('x-inngest-signature'), text, Date.now())).toBe(true);
  });
});

describe('signatures', () => {
  test.each<[string, RequestInit, number]>([
    ['the key', signed('{}'), 200],
    ['the second key, during a rotation', signed('{}', 'POST', 'signkey-test-bbbb'), 200],
    ['another key', signed('{}', 'POST', 'signkey-test-cccc'), 401],
    ['no signature', { method: 'POST', body: '{}' }, 401],
    ['an old one (SH-33)', signed('{}', 'POST', KEY, Date.now() - 6 * 60_000), 401],
    ['that of another body', { ...signed('{}'), body: '{"a":1}' }, 401],
    ['a body in another order (SH-32)', { ...signed('{"a":1,"b":2}'), body: '{ "b": 2, "a": 1.0 }' }, 200],
    ['what is no JSON', { ...signed('x'), body: 'x' }, 401],
  ])('%s', async (_, init, status) => {
    const { handle } = anApp(undefined, { isDev: false, signingKeyFallback: 'signkey-test-bbbb' });
    expect((await ask(handle, init, '?probe=trust')).status).toBe(status);
  });

  test('without a signing key every call is refused, and said why once (SH-38)', async () => {
    const { handle, client } = anApp(undefined, { isDev: false, signingKey: '' });
    const warn = vi.spyOn(client, 'warnOnce');
    expect((await ask(handle, { method: 'POST', body: '{}' })).status).toBe(401);
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('INNGEST_SIGNING_KEY'));
  });

  test('the trust probe, and one that is not known (SH-24)', async () => {
    const { handle } = anApp(undefined, { isDev: false });
    const trust = await ask(handle, signed('{}'), '?probe=trust');
    expect([trust.status, await trust.text()]).toEqual([200, '']);
    expect(isSigned([KEY], trust.headers.get('x-inngest-signature'), '', Date.now())).toBe(true);
    expect((await ask(handle, signed('{}'), '?probe=other')).status).toBe(400);
  });

  test('other methods (SH-23)', async () => {
    expect((await ask(anApp().handle, { method: 'DELETE' })).status).toBe(405);
  });
});

describe('PUT', () => {
  test('registers with the engine, which takes it (SH-26, SH-27, SH-31)', async () => {
    const { handle, requests } = anApp(undefined, {
      isDev: false,
      servePath: '/api/other',
      serveHost: 'https://real.test',
    });
    const response = await ask(handle, { method: 'PUT' }, '?deployId=d1');
    expect([response.status, await response.json()]).toEqual([
      200,
      { message: 'Successfully registered', modified: true },
    ]);
    expect(response.headers.get('x-inngest-sync-kind')).toBe('out_of_band');
    const [request] = requests;
    expect(request?.url).toBe('https://engine.test/fn/register?deployId=d1');
    expect(request?.headers.get('authorization')).toBe(`Bearer ${hashedKey(KEY)}`);
    const { app, functions } = readRegistration((await request?.text()) ?? '');
    expect(app).toMatchObject({
      id: 'shop',
      url: 'https://real.test/api/other',
      framework: 'edge',
      appVersion: '1.2',
    });
    expect(functions).toMatchObject([
      {
        id: 'shop-pay',
        name: 'Pay',
        retries: 2,
        triggers: [{ event: 'order/placed', expression: 'event.data.n > 1' }, { cron: '0 0 * * *' }],
      },
      { id: 'shop-pay-failure', retries: 1, triggers: [{ event: 'inngest/function.failed' }] },
    ]);
  });

  test('the engine has the last word, and is asked again with the second key (wire 10.2)', async () => {
    const { handle, requests, engine } = anApp(undefined, {
      isDev: false,
      signingKeyFallback: 'signkey-test-bbbb',
    });
    engine.answer = (request) =>
      request.headers.get('authorization')?.endsWith(hashedKey('signkey-test-bbbb')) === true
        ? Response.json({ error: 'At least one function is invalid', status: 400 }, { status: 400 })
        : Response.json({ error: 'Unauthorized' }, { status: 401 });
    const response = await ask(handle, { method: 'PUT' });
    expect([response.status, await response.json(), requests.length]).toMatchObject([
      400,
      { message: 'At least one function is invalid', modified: false },
      2,
    ]);
  });

  test('an engine that cannot be reached', async () => {
    const { handle, engine } = anApp();
    engine.answer = () => {
      throw new Error('refused');
    };
    const response = await ask(handle, { method: 'PUT' });
    expect([response.status, await response.json()]).toMatchObject([
      500,
      { message: 'Failed to register: refused' },
    ]);
  });

  test('in-band: all that the app is, for who has the key (SH-29)', async () => {
    const { handle, requests } = anApp(undefined, { isDev: false });
    const body = JSON.stringify({ url: URL_OF_APP });
    const headers = { 'x-inngest-sync-kind': 'in_band' };
    const own = signed(body, 'PUT');
    const inBand = { ...own, headers: { ...own.headers, ...headers } };
    const response = await ask(handle, inBand);
    expect([response.status, response.headers.get('x-inngest-sync-kind'), requests.length]).toEqual([
      200,
      'in_band',
      0,
    ]);
    const { app, functions } = readAnswer(await response.text());
    expect([app.id, app.url, functions.map(({ id }) => id)]).toEqual([
      'shop',
      URL_OF_APP,
      ['shop-pay', 'shop-pay-failure'],
    ]);
    const stranger = await ask(handle, { method: 'PUT', body, headers });
    expect([stranger.status, await stranger.json()]).toEqual([401, { code: 'sig_verification_failed' }]);
    const more = JSON.stringify({ more: 1, url: URL_OF_APP });
    const bad = signed(more, 'PUT');
    const refused = await ask(handle, { ...bad, headers: { ...bad.headers, ...headers } });
    expect([refused.status, await refused.json()]).toMatchObject([400, { code: 'invalid_request' }]);
  });

  test('a server of the other kind is refused (wire 2.2)', async () => {
    const headers = { 'x-inngest-server-kind': 'cloud' };
    const response = await ask(anApp().handle, { method: 'PUT', headers });
    expect([response.status, await response.json()]).toMatchObject([400, { code: 'server_kind_mismatch' }]);
  });
});

describe('calls', () => {
  const a = sha1Hex('a');
  const told = async (response: Response) => [
    response.status,
    await response.json(),
    response.headers.get('x-inngest-no-retry'),
    response.headers.get('retry-after'),
  ];

  test('a step alone is run at once, and planned where that is asked for (SH-14, wire 3.8)', async () => {
    const app = anApp(({ step }) => step.run('a', () => 1));
    const op = { id: a, name: 'a', displayName: 'a', opts: { type: 'step.run' } };
    const response = await call(app);
    expect(response.headers.get('x-inngest-req-version')).toBe('1');
    expect(await told(response)).toEqual([206, [{ ...op, op: 'StepRun', data: 1 }], 'false', null]);
    const plan = await call(app, { ctx: { disable_immediate_execution: true } });
    expect(await told(plan)).toEqual([206, [{ ...op, op: 'StepPlanned' }], 'false', null]);
    expect(await told(await call(app, {}, a))).toEqual([
      206,
      [{ ...op, op: 'StepRun', data: 1 }],
      'false',
      null,
    ]);
  });

  test('stored outcomes in all of their forms (SH-12)', async () => {
    const app = anApp(async ({ step }) => {
      const failed = await step.run('b', () => 0).catch((error: Error) => `${error.name}: ${error.message}`);
      return [
        await step.run('a', () => 0),
        failed,
        await step.run('c', () => 0),
        await step.run('d', () => 0),
      ];
    });
    const error = { name: 'TypeError', message: 'no' };
    const ids = ['a', 'b', 'c', 'd'].map((name) => sha1Hex(name));
    const [first, second, third, fourth] = ids as [string, string, string, string];
    const steps = {
      [first]: { data: { data: 1 } },
      [second]: { error },
      [third]: null,
      [fourth]: { data: 1, x: 2 },
    };
    const response = await call(app, { ctx: { stack: { stack: [second, first, third, fourth] } }, steps });
    expect([response.status, await response.json()]).toEqual([
      200,
      [{ data: 1 }, 'TypeError: no', null, { data: 1, x: 2 }],
    ]);
  });

  test('all other tools, as the engine is to carry them out (ST-8)', async () => {
    const app = anApp(async ({ step }) => {
      await Promise.all([
        step.sleep('sleep', '1m'),
        step.waitForEvent('wait', { event: 'a/b', timeout: '1h', match: 'data.id' }),
        step.waitForSignal('signal', { signal: 's', timeout: new Date(0) }),
        step.invoke('call', { function: app.pay, data: { n: 1 } } as never),
        step.fetch('https://api.test/x', { method: 'POST', body: 'text' }),
      ]);
    });
    const [status, ops] = await told(await call(app));
    expect(status).toBe(206);
    expect(ops).toMatchObject([
      { op: 'Sleep', name: '60000ms', displayName: 'sleep' },
      {
        op: 'WaitForEvent',
        name: 'a/b',
        opts: { event: 'a/b', timeout: '3600000ms', if: 'event.data.id == async.data.id', lookBack: 'run' },
      },
      { op: 'WaitForSignal', opts: { signal: 's', timeout: '1970-01-01T00:00:00.000Z', conflict: 'fail' } },
      { op: 'InvokeFunction', opts: { function_id: 'shop-pay', payload: { data: { n: 1 } } } },
      { op: 'Gateway', opts: { url: 'https://api.test/x', method: 'POST', body: 'text' } },
    ]);
  });

  test('what is thrown, in a step and outside (SH-15 to SH-18)', async () => {
    const cause = new Error('because');
    const plain = anApp(() => {
      throw new TypeError('boom', { cause });
    });
    expect(await told(await call(plain))).toMatchObject([
      500,
      {
        name: 'TypeError',
        message: 'boom',
        cause: { message: 'because', __serialized: true },
        __serialized: true,
      },
      'false',
      null,
    ]);
    const never = anApp(({ step }) =>
      step.run('a', () => {
        throw new NonRetriableError('never');
      }),
    );
    expect(await told(await call(never))).toMatchObject([
      206,
      [{ op: 'StepError', error: { message: 'never' } }],
      'true',
      null,
    ]);
    const later = anApp(() => {
      throw new RetryAfterError('busy', '30s');
    });
    expect(await told(await call(later))).toMatchObject([500, { message: 'busy' }, 'false', '30']);
    const final = anApp(() => {
      throw new NonRetriableError('never');
    });
    expect((await call(final)).status).toBe(400);
  });

  test('a function, a step and a body that are not there (SH-21, SH-22)', async () => {
    const app = anApp(() => 'over');
    const unknown = await ask(
      app.handle,
      { method: 'POST', body: callText() },
      '?fnId=shop-none&stepId=step',
    );
    expect(await told(unknown)).toMatchObject([500, { type: 'internal', __serialized: true }, 'false', null]);
    expect(await told(await call(app, {}, a))).toMatchObject([
      500,
      { requestedStep: a, foundSteps: [], totalFoundSteps: 0 },
      'false',
      null,
    ]);
    const bad = await ask(app.handle, { method: 'POST', body: '{"ctx":{}}' }, '?fnId=shop-pay&stepId=step');
    expect(await told(bad)).toMatchObject([
      500,
      { message: expect.stringContaining('run_id') },
      'false',
      null,
    ]);
  });

  test('what is sent from inside goes to the engine, the same in every attempt (SV-3, RA-22)', async () => {
    const app = anApp(async ({ step }) => {
      const { ids } = await step.sendEvent('a', { name: 'x/y', data: {} });
      return ids;
    });
    app.engine.answer = () => Response.json({ ids: ['1'], status: 200 });
    for (let attempt = 0; attempt < 2; attempt++) await call(app);
    const seeds = app.requests.map(({ headers }) => headers.get('x-inngest-event-id-seed'));
    expect(app.requests.map(({ url }) => url)).toEqual(Array(2).fill('https://engine.test/e/event-key'));
    expect(seeds[0]).toBe(seeds[1]);
    const signals = anApp(({ step }) => step.sendSignal('a', { signal: 's', data: 1 }));
    signals.engine.answer = () => Response.json({ data: { run_id: RUN } });
    expect(await (await call(signals)).json()).toMatchObject([{ op: 'StepRun', data: { runId: RUN } }]);
    signals.engine.answer = () => Response.json({ error: 'No signal found' }, { status: 404 });
    expect(await (await call(signals)).json()).toMatchObject([{ op: 'StepRun', data: {} }]);
  });

  test('an answer in pieces (SM-6)', async () => {
    const app = anApp(({ step }) => step.run('a', () => 1), { isDev: false, streaming: 'force' });
    const response = await ask(app.handle, signed(callText()), '?fnId=shop-pay&stepId=step');
    expect([response.status, response.headers.get('x-inngest-sdk')]).toEqual([201, expect.any(String)]);
    const { status, headers, body } = JSON.parse((await response.text()).trim()) as {
      status: number;
      headers: Record<string, string>;
      body: string;
    };
    expect([status, JSON.parse(body)]).toMatchObject([206, [{ op: 'StepRun' }]]);
    expect(isSigned([KEY], headers['x-inngest-signature'] ?? null, body, Date.now())).toBe(true);
    // Probes and strangers are not (SM-5).
    expect((await ask(app.handle, signed('{}'), '?probe=trust')).status).toBe(200);
    expect((await ask(app.handle, { method: 'POST', body: '{}' })).status).toBe(401);
  });
});

describe('options and adapters', () => {
  test('what cannot be served is refused at set-up (SV-1, FN-32)', () => {
    const { client, pay } = anApp();
    expect(() => edge(client as never)).toThrow('serve: expected { client, functions }');
    expect(() => edge({ client, functions: [pay, pay] })).toThrow('two functions have the id "shop-pay"');
  });

  test('Workers, with variables of the request, and Pages (AD-12, EV-12)', async () => {
    const { client, pay } = anApp(undefined, { isDev: false });
    const handle = cloudflare({ client, functions: [pay] });
    const probe = () => new Request(`${URL_OF_APP}?probe=trust`, signed('{}'));
    const env = { INNGEST_SIGNING_KEY: KEY };
    expect((await handle(probe(), env)).status).toBe(200);
    expect((await handle({ request: probe(), env })).status).toBe(200);
    expect((await handle(probe(), {})).status).toBe(401);
    expect(() => handle({} as never)).toThrow('as a Worker is called');
  });

  test('Hono (AD-11)', async () => {
    const { client, pay } = anApp(undefined, { isDev: false });
    const handle = hono({ client, functions: [pay] });
    const raw = new Request(`${URL_OF_APP}?probe=trust`, signed('{}'));
    const response = await handle({ req: { raw }, env: { INNGEST_SIGNING_KEY: KEY } });
    expect([response.status, response.headers.get('x-inngest-framework')]).toEqual([200, 'hono']);
  });

  test("Node's own server (AD-21)", async () => {
    const { client, pay } = anApp(({ step }) => step.run('a', () => 'ü'));
    const server = createServer(node({ client, functions: [pay] }) as never);
    await new Promise<void>((go) => void server.listen(0, '127.0.0.1', go));
    const { port } = server.address() as AddressInfo;
    try {
      const url = `http://127.0.0.1:${port}/api/inngest?fnId=shop-pay&stepId=step`;
      const response = await fetch(url, { method: 'POST', body: callText() });
      expect([response.status, await response.json()]).toMatchObject([206, [{ op: 'StepRun', data: 'ü' }]]);
      expect(response.headers.get('x-inngest-framework')).toBe('nodejs');
      expect((await fetch(url)).status).toBe(200);
    } finally {
      server.close();
    }
  });
});

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import * as z from 'zod';
import { z as z3 } from 'zod/v3';
import { executionContext } from '../../src/sdk/context.ts';
import {
  EventSchemas,
  Inngest,
  InngestFunction,
  internalEvents,
  isInngest,
  isInngestFunction,
  version,
  type ClientOptions,
} from '../../src/sdk/index.ts';

interface Request {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  events: { [member: string]: unknown }[];
}
interface Reply {
  status?: number;
  body?: string | object;
}

/** An engine that answers each request with the next reply, and with success when there is none left. */
async function startEngine(...replies: Reply[]) {
  const requests: Request[] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const text = (await request.toArray()).join('');
    const events = text === '' ? [] : (JSON.parse(text) as Request['events']);
    requests.push({
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      events,
    });
    const success = { ids: events.map((_, index) => `id-${index}`), status: 200 };
    const { status = 200, body = success } = replies.shift() ?? {};
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function silentLogger() {
  return { info: vi.fn(), warn: vi.fn(), error: vi.fn(), debug: vi.fn() };
}

function client(options: Partial<ClientOptions> = {}) {
  return new Inngest({ id: 'app', eventKey: 'key', logger: silentLogger(), ...options });
}

const event = { name: 'a/b', data: { n: 1 } };

beforeEach(() => {
  // What the machine that runs the tests has set must not matter.
  for (const name of [
    'INNGEST_DEV',
    'INNGEST_BASE_URL',
    'INNGEST_EVENT_KEY',
    'INNGEST_ENV',
    'BRANCH',
    'BRANCH_NAME',
  ]) {
    vi.stubEnv(name, undefined);
  }
  vi.stubEnv('NODE_ENV', 'test');
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

describe('new Inngest()', () => {
  test('without an id throws an error that names it (CL-2, CL-4)', () => {
    expect(() => new Inngest({} as ClientOptions)).toThrow(/`id`/);
    expect(() => new Inngest({ id: '' })).toThrow(/`id`/);
    expect(() => new Inngest({ name: 'My App' } as unknown as ClientOptions)).toThrow(/`id`/);
  });

  test('keeps the id as it is (CL-3)', () => {
    expect(new Inngest({ id: 'My App' }).id).toBe('My App');
  });

  test('ignores options that it does not know (CL-19)', () => {
    expect(new Inngest({ id: 'app', shoeSize: 42 } as ClientOptions).id).toBe('app');
  });

  test('shows no key however it is printed or serialised (CL-27)', () => {
    vi.stubEnv('INNGEST_EVENT_KEY', 'secret-from-process');
    const made = new Inngest({ id: 'app', eventKey: 'secret-option' }).setEnvVars({
      INNGEST_EVENT_KEY: 'secret-given',
    });
    made.setEventKey('secret-set');
    const fn = made.createFunction({ id: 'f' }, { event: 'a/b' }, () => {});
    expect(JSON.stringify({ made, fn })).not.toContain('secret');
    expect(inspect({ made, fn }, { depth: 9, showHidden: true })).not.toContain('secret');
    expect(JSON.stringify(made)).toBe('{"id":"app"}');
  });

  test('is recognised by its tag, also when another copy of the package made it (PK-12)', () => {
    expect(isInngest(client())).toBe(true);
    expect(isInngest({ [Symbol.toStringTag]: 'Inngest.App' })).toBe(true);
    expect([null, undefined, 'Inngest.App', {}, new Map()].some(isInngest)).toBe(false);
  });
});

describe('send', () => {
  test('posts an array of events to /e/<key> and answers their ids (SE-1, SE-13, SE-18)', async () => {
    await using engine = await startEngine();
    const sender = client({ baseUrl: engine.url });
    await expect(sender.send(event)).resolves.toEqual({ ids: ['id-0'] });
    await expect(sender.send([event, { ...event, name: 'a/c' }])).resolves.toEqual({ ids: ['id-0', 'id-1'] });
    expect(engine.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /e/key',
      'POST /e/key',
    ]);
    expect(engine.requests.map(({ events }) => events.map(({ name }) => name))).toEqual([
      ['a/b'],
      ['a/b', 'a/c'],
    ]);
  });

  test('keeps the path of a base URL, and a key is one path segment', async () => {
    await using engine = await startEngine();
    await client({ baseUrl: `${engine.url}/engine/`, eventKey: 'a/b?c' }).send(event);
    expect(engine.requests[0]?.path).toBe('/engine/e/a%2Fb%3Fc');
  });

  test('passes every member on, and fills in data and the time (SE-3 to SE-10)', async () => {
    await using engine = await startEngine();
    const full = {
      name: 'a/b',
      data: { n: 1 },
      user: { external_id: 'u' },
      id: 'once',
      ts: 1_700_000_000_000,
      v: '2',
    };
    const before = Date.now();
    await client({ baseUrl: engine.url }).send([full, { name: 'a/c' }]);
    const [first, second] = engine.requests[0]?.events ?? [];
    expect(first).toEqual(full);
    expect(second).toEqual({ name: 'a/c', data: {}, ts: expect.any(Number) as number });
    expect(second?.['ts']).toBeGreaterThanOrEqual(before);
    expect(second?.['ts']).toBeLessThanOrEqual(Date.now());
  });

  test('does not change the payload that it was given', async () => {
    await using engine = await startEngine();
    const payload = Object.freeze({ name: 'a/b' });
    await client({ baseUrl: engine.url }).send(payload);
    expect(payload).toEqual({ name: 'a/b' });
  });

  test('says in its headers who sends what (SE-19)', async () => {
    await using engine = await startEngine();
    await client({ baseUrl: engine.url }).setEnvVars({ INNGEST_ENV: 'branch', RENDER: 'true' }).send(event);
    expect(engine.requests[0]?.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': `stepwell-js:v${version}`,
      'x-inngest-sdk': `stepwell-js:v${version}`,
      'x-inngest-env': 'branch',
      'x-inngest-platform': 'render',
    });
  });

  test('without a known environment or platform leaves these headers out (SE-19)', async () => {
    await using engine = await startEngine();
    await client({ baseUrl: engine.url }).setEnvVars({}).send(event);
    expect(Object.keys(engine.requests[0]?.headers ?? {})).not.toContain('x-inngest-env');
    expect(Object.keys(engine.requests[0]?.headers ?? {})).not.toContain('x-inngest-platform');
  });

  test('to an environment given with the call wins over the client’s, for that call (SE-11)', async () => {
    await using engine = await startEngine();
    const sender = client({ baseUrl: engine.url, env: 'own' });
    await sender.send(event, { env: 'other' });
    await sender.send(event);
    expect(engine.requests.map(({ headers }) => headers['x-inngest-env'])).toEqual(['other', 'own']);
  });

  test('retries with the same seed until it succeeds (SE-20, SE-21)', async () => {
    await using engine = await startEngine({ status: 500, body: '' }, { status: 503, body: 'busy' });
    await expect(client({ baseUrl: engine.url }).send(event)).resolves.toEqual({ ids: ['id-0'] });
    const seeds = engine.requests.map(({ headers }) => headers['x-inngest-event-id-seed']);
    expect(seeds).toHaveLength(3);
    expect(new Set(seeds).size).toBe(1);
    const [ms, entropy] = String(seeds[0]).split(',');
    expect(Math.abs(Number(ms) - Date.now())).toBeLessThan(60_000);
    expect(Buffer.from(entropy ?? '', 'base64')).toHaveLength(10);
  });

  test('draws a new seed for each call (SE-20)', async () => {
    await using engine = await startEngine();
    const sender = client({ baseUrl: engine.url });
    await Promise.all([sender.send(event), sender.send(event)]);
    expect(new Set(engine.requests.map(({ headers }) => headers['x-inngest-event-id-seed'])).size).toBe(2);
  });

  test('gives up after five attempts with the last answer (SE-21)', async () => {
    await using engine = await startEngine(...Array.from({ length: 9 }, () => ({ status: 500, body: '' })));
    await expect(client({ baseUrl: engine.url }).send(event)).rejects.toThrow('500 internal server error');
    expect(engine.requests).toHaveLength(5);
  });

  test('without random bytes makes one attempt and sends no seed (SE-21)', async () => {
    await using engine = await startEngine({ status: 500, body: '' });
    vi.stubGlobal('crypto', undefined);
    await expect(client({ baseUrl: engine.url }).send(event)).rejects.toThrow('500');
    expect(engine.requests).toHaveLength(1);
    expect(engine.requests[0]?.headers).not.toHaveProperty('x-inngest-event-id-seed');
  });

  test.each([
    [400, '', 'cannot process event payload'],
    [401, '', 'event key not found'],
    [403, '', 'forbidden'],
    [404, '<html>', 'event key not found'],
    [406, 'transform says no', 'transform says no'],
    [409, '', 'event transformation failed'],
    [412, '', 'event transformation failed'],
    [413, '', 'event payload too large'],
    [418, 'teapot', 'teapot'],
    [400, { error: 'event 3: name is empty', status: 400 }, 'event 3: name is empty'],
  ])('refused with %i %j fails at once and says why (SE-25)', async (status, body, reason) => {
    await using engine = await startEngine({ status, body });
    await expect(client({ baseUrl: engine.url }).send(event)).rejects.toThrow(`${status} ${reason}`);
    expect(engine.requests).toHaveLength(1);
  });

  test('an answer that is not quite a success is none, and is asked for again (SE-24)', async () => {
    const answers = [
      { ids: ['x'] },
      { ids: ['x'], status: '200' },
      { ids: ['x'], status: 200, error: 'no' },
      { ids: [1], status: 200 },
      { status: 200 },
      'not JSON',
      'null',
    ];
    const sends = answers.map(async (body) => {
      await using engine = await startEngine({ body });
      const output = await client({ baseUrl: engine.url }).send(event);
      return [output, engine.requests.length];
    });
    expect(await Promise.all(sends)).toEqual(answers.map(() => [{ ids: ['id-0'] }, 2]));
  });

  test('of an empty array warns and sends nothing (SE-26)', async () => {
    await using engine = await startEngine();
    const logger = silentLogger();
    await expect(client({ baseUrl: engine.url, logger }).send([])).resolves.toEqual({ ids: [] });
    expect(logger.warn).toHaveBeenCalledOnce();
    expect(engine.requests).toEqual([]);
  });

  test('drops BigInts and members that lead back to an object around them (SE-27)', async () => {
    await using engine = await startEngine();
    const shared = { kept: true };
    const data: Record<string, unknown> = {
      n: 1,
      big: 10n,
      list: [1n, 2],
      twice: [shared, shared],
      at: new Date(0),
    };
    data['self'] = data;
    data['deep'] = { up: data, list: [data] };
    await client({ baseUrl: engine.url }).send({ name: 'a/b', data });
    expect(engine.requests[0]?.events[0]?.['data']).toEqual({
      n: 1,
      list: [null, 2],
      twice: [shared, shared],
      at: '1970-01-01T00:00:00.000Z',
      deep: { list: [null] },
    });
  });

  test('of a name and a payload, as version 1 had it, names the form of today (SE-14, MG-11)', async () => {
    const old = client() as unknown as { send(name: string, payload: object): Promise<unknown> };
    await expect(old.send('a/b', { data: {} })).rejects.toThrow('{ name: "...", data: { ... } }');
  });
});

describe('inside a run', () => {
  test('send goes to the host, as plain data, and asks for neither key nor address', async () => {
    const sent: object[][] = [];
    const host = {
      insideStep: false,
      tools: null,
      sendSignal: async () => ({}),
      idempotencyKey: () => null,
      send: (events: object[]) => {
        sent.push(events);
        return Promise.resolve({ ids: ['from-host'] });
      },
    };
    const sender = new Inngest({ id: 'app', isDev: false });
    const data = { at: new Date(0), big: 1n };
    const ids = await executionContext.run(host, () => sender.send({ name: 'a/b', data, ts: 5 }));
    expect(ids).toEqual({ ids: ['from-host'] });
    expect(sent).toEqual([[{ name: 'a/b', data: { at: '1970-01-01T00:00:00.000Z' }, ts: 5 }]]);
  });

  test('send to another environment goes over HTTP (SE-11)', async () => {
    await using engine = await startEngine();
    const host = {
      insideStep: false,
      tools: null,
      sendSignal: async () => ({}),
      idempotencyKey: () => null,
      send: () => Promise.reject(new Error('not the host')),
    };
    const sender = client({ baseUrl: engine.url });
    await executionContext.run(host, () => sender.send(event, { env: 'other' }));
    expect(engine.requests[0]?.headers['x-inngest-env']).toBe('other');
  });
});

describe('mode, address and key', () => {
  test('cloud without a key throws before any request and says how to set it (SE-22)', async () => {
    await using engine = await startEngine();
    const sender = new Inngest({ id: 'app', isDev: false, baseUrl: engine.url });
    await expect(sender.send(event)).rejects.toThrow(/INNGEST_EVENT_KEY.*eventKey/);
    expect(engine.requests).toEqual([]);
  });

  test('cloud without an address throws and names INNGEST_BASE_URL: there is no host to fall back to (C-1)', async () => {
    await expect(client({ isDev: false }).send(event)).rejects.toThrow(/INNGEST_BASE_URL/);
  });

  test('an address that is none throws without showing the key', async () => {
    const failure = client({ baseUrl: 'localhost:8288', eventKey: 'secret' }).send(event);
    await expect(failure).rejects.toThrow(/must begin with http/);
    await expect(failure).rejects.not.toThrow(/secret/);
  });

  test('dev without a key sends to NO_EVENT_KEY_SET (SE-23)', async () => {
    await using engine = await startEngine();
    await new Inngest({ id: 'app', isDev: true, baseUrl: engine.url }).send(event);
    expect(engine.requests[0]?.path).toBe('/e/NO_EVENT_KEY_SET');
  });

  /** Which address and key a send goes to: the custom `fetch` sees every request, and nothing listens. */
  async function target(
    options: Partial<ClientOptions>,
    variables: Record<string, string> = {},
    probe = false,
  ) {
    const urls: string[] = [];
    const seen = (url: string) => {
      urls.push(url);
      if (url.endsWith('/dev')) return Promise.resolve(new Response(probe ? '{}' : 'not JSON'));
      return Promise.resolve(Response.json({ status: 200, ids: ['1'] }));
    };
    const sender = new Inngest({ id: 'app', logger: silentLogger(), ...options, fetch: seen }).setEnvVars(
      variables,
    );
    const outcome = await sender.send(event).then(() => null, String);
    return { urls, outcome };
  }

  test.each([
    [
      'option over variable',
      { baseUrl: 'http://o' },
      { INNGEST_BASE_URL: 'http://v', INNGEST_DEV: '1' },
      'http://o/e/NO_EVENT_KEY_SET',
    ],
    [
      'event URL over base URL',
      {},
      { INNGEST_BASE_URL: 'http://b', INNGEST_EVENT_API_BASE_URL: 'http://e', INNGEST_DEV: '1' },
      'http://e/e/NO_EVENT_KEY_SET',
    ],
    [
      'base URL over local engine',
      {},
      { INNGEST_BASE_URL: 'http://b', INNGEST_DEV: '1' },
      'http://b/e/NO_EVENT_KEY_SET',
    ],
    ['INNGEST_DEV=1', {}, { INNGEST_DEV: '1' }, 'http://localhost:8288/e/NO_EVENT_KEY_SET'],
    ['INNGEST_DEV= TRUE ', {}, { INNGEST_DEV: ' TRUE ' }, 'http://localhost:8288/e/NO_EVENT_KEY_SET'],
    ['INNGEST_DEV=<URL>', {}, { INNGEST_DEV: 'http://d:1' }, 'http://d:1/e/NO_EVENT_KEY_SET'],
    [
      'isDev over INNGEST_DEV=0',
      { isDev: true },
      { INNGEST_DEV: '0' },
      'http://localhost:8288/e/NO_EVENT_KEY_SET',
    ],
    [
      'isDev with the URL of INNGEST_DEV',
      { isDev: true },
      { INNGEST_DEV: 'http://d:1' },
      'http://d:1/e/NO_EVENT_KEY_SET',
    ],
    [
      'key option over variable',
      { eventKey: 'o', isDev: true },
      { INNGEST_EVENT_KEY: 'v' },
      'http://localhost:8288/e/o',
    ],
    ['key variable', { isDev: true }, { INNGEST_EVENT_KEY: 'v' }, 'http://localhost:8288/e/v'],
    [
      'an empty variable counts as unset',
      {},
      { INNGEST_BASE_URL: '', INNGEST_DEV: '1' },
      'http://localhost:8288/e/NO_EVENT_KEY_SET',
    ],
  ])(
    '%s (EV-2 to EV-5, EV-9, EV-14, EV-16, CL-6, CL-9, CL-12, CL-21)',
    async (_what, options, variables, url) => {
      expect(await target(options, variables)).toEqual({ urls: [url], outcome: null });
    },
  );

  test.each([
    [{ isDev: false }, { INNGEST_DEV: '1' }],
    [{}, { INNGEST_DEV: '0' }],
    [{}, { INNGEST_DEV: 'no' }],
    [{}, { NODE_ENV: 'production' }],
    [{}, { ENVIRONMENT: 'Prod' }],
    [{}, { CONTEXT: 'production' }],
    [{}, { VERCEL_ENV: 'preview' }],
    [{}, { CF_PAGES: '1' }],
    [{}, { DENO_DEPLOYMENT_ID: 'x' }],
    [{}, { NETLIFY: 'true' }],
    [{}, { RENDER: 'true' }],
    [{}, { RAILWAY_GIT_BRANCH: 'main' }],
  ])('%j with %j is cloud (EV-2, EV-3, EV-5, EV-7)', async (options, variables) => {
    const { urls, outcome } = await target(options, variables);
    expect(urls).toEqual([]);
    expect(outcome).toMatch(/without an event key/);
  });

  test('a Worker without settings is cloud (EV-13)', async () => {
    vi.stubGlobal('navigator', { userAgent: 'Cloudflare-Workers' });
    expect((await target({})).outcome).toMatch(/without an event key/);
    expect((await target({}, { INNGEST_DEV: '1' })).outcome).toBeNull();
  });

  test.each([[{}], [{ INNGEST_DEV: 'undefined' }], [{ VERCEL_ENV: 'development' }]])(
    '%j is dev, and asks whether a local engine is there (EV-5, EV-7, EV-10)',
    async (variables) => {
      expect(await target({}, variables, true)).toEqual({
        urls: ['http://localhost:8288/dev', 'http://localhost:8288/e/NO_EVENT_KEY_SET'],
        outcome: null,
      });
      const without = await target({}, variables, false);
      expect(without.urls).toEqual(['http://localhost:8288/dev']);
      expect(without.outcome).toMatch(/no local engine answers.*INNGEST_BASE_URL/);
    },
  );

  test('inferred dev with an address asks nobody (EV-10)', async () => {
    expect((await target({}, { INNGEST_BASE_URL: 'http://b' })).urls).toEqual([
      'http://b/e/NO_EVENT_KEY_SET',
    ]);
  });

  test('setEnvVars replaces what was read before; without argument the process is read again (CL-20)', async () => {
    await using engine = await startEngine();
    const sender = new Inngest({ id: 'app', baseUrl: engine.url, isDev: false });
    await sender.setEnvVars({ INNGEST_EVENT_KEY: 'given', DB: { binding: true } }).send(event);
    vi.stubEnv('INNGEST_EVENT_KEY', 'process');
    await sender.send(event);
    await sender.setEnvVars().send(event);
    expect(engine.requests.map(({ path }) => path)).toEqual(['/e/given', '/e/given', '/e/process']);
  });

  test('setEventKey replaces the key and stays (CL-22)', async () => {
    await using engine = await startEngine();
    const sender = client({ baseUrl: engine.url, isDev: false });
    sender.setEventKey('set');
    await sender.setEnvVars({ INNGEST_EVENT_KEY: 'variable' }).send(event);
    expect(engine.requests[0]?.path).toBe('/e/set');
  });

  test.each([
    [{ env: 'option' }, { INNGEST_ENV: 'variable' }, 'option'],
    [{}, { INNGEST_ENV: 'variable', BRANCH_NAME: 'branch' }, 'variable'],
    [{}, { VERCEL_GIT_COMMIT_REF: 'vercel', BRANCH: 'netlify' }, 'vercel'],
    [{}, { RAILWAY_GIT_BRANCH: 'railway' }, 'railway'],
    [{}, {}, null],
  ])('the environment of %j with %j is %j (CL-8, EV-18, EV-19)', (options, variables, environment) => {
    expect(client(options).setEnvVars(variables).env).toBe(environment);
  });

  test('runtimes without `process` are read by their own means, or not at all (PK-4, EV-32)', () => {
    const read = (globals: object) => {
      for (const [name, value] of Object.entries({ process: undefined, ...globals }))
        vi.stubGlobal(name, value);
      try {
        return client().env;
      } finally {
        // The test runner itself cannot do without `process`.
        vi.unstubAllGlobals();
      }
    };
    const allowed = (value: string) => ({
      env: {
        get(name: string) {
          if (name !== 'INNGEST_ENV') throw new Error('permission denied');
          return value;
        },
      },
    });
    expect(read({})).toBeNull();
    expect(read({ Netlify: allowed('netlify') })).toBe('netlify');
    expect(read({ Netlify: allowed('netlify'), Deno: allowed('deno') })).toBe('deno');
  });
});

describe('the fetch option', () => {
  test('is used in place of the runtime’s own (CL-10)', async () => {
    await using engine = await startEngine();
    const custom = vi.fn((url: string, init?: RequestInit) => fetch(url, init));
    await client({ baseUrl: engine.url, fetch: custom }).send(event);
    expect(custom).toHaveBeenCalledOnce();
    expect(engine.requests).toHaveLength(1);
  });

  test('that throws is reported as possibly unbound, and its error comes through (CL-11)', async () => {
    vi.stubGlobal('crypto', undefined); // One attempt only.
    const illegal = new TypeError('Illegal invocation');
    const logger = silentLogger();
    const sender = client({ baseUrl: 'http://nowhere.test', logger, fetch: () => Promise.reject(illegal) });
    await expect(sender.send(event)).rejects.toBe(illegal);
    await expect(sender.send(event)).rejects.toBe(illegal);
    expect(logger.warn).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('bound'));
    expect(logger.error).toHaveBeenCalledExactlyOnceWith(illegal);
  });

  test('that finds nobody is an ordinary failure (CL-11)', async () => {
    vi.stubGlobal('crypto', undefined); // One attempt only.
    const logger = silentLogger();
    const failed = new TypeError('fetch failed');
    const sender = client({ baseUrl: 'http://nowhere.test', logger, fetch: () => Promise.reject(failed) });
    await expect(sender.send(event)).rejects.toBe(failed);
    expect(logger.warn).not.toHaveBeenCalled();
  });
});

describe('createFunction', () => {
  const handler = () => 'done';

  test('makes a function that keeps client, options, triggers and handler (FN-1, FN-30)', () => {
    const app = client();
    const made = app.createFunction({ id: 'f', retries: 2 }, [{ event: 'a/b' }, { event: 'a/c' }], handler);
    expect(made).toBeInstanceOf(InngestFunction);
    expect(made.client).toBe(app);
    expect(made.handler).toBe(handler);
    expect(made.triggers).toEqual([{ event: 'a/b' }, { event: 'a/c' }]);
    expect(isInngestFunction(made)).toBe(true);
    expect(isInngestFunction({ [Symbol.toStringTag]: 'Inngest.Function' })).toBe(true);
    expect([null, app, handler].some(isInngestFunction)).toBe(false);
  });

  test('its id is its own, or composite with an app’s (FN-31)', () => {
    const made = client().createFunction({ id: 'f' }, { event: 'a/b' }, handler);
    expect([made.id(), made.id('app')]).toEqual(['f', 'app-f']);
  });

  test('its config is what the engine is told: composite id, name, triggers and all else that was written', () => {
    const made = client().createFunction({ id: 'f', retries: 2 }, { event: 'a/b' }, handler);
    expect(made.config()).toEqual({ id: 'app-f', name: 'f', triggers: [{ event: 'a/b' }], retries: 2 });
    expect(made.config('other')).toMatchObject({ id: 'other-f' });
    const named = { id: 'f', name: 'Named', description: 'text', concurrency: 5, retries: undefined };
    expect(client().createFunction(named, { event: 'a/b' }, handler).config()).toEqual({
      id: 'app-f',
      name: 'Named',
      triggers: [{ event: 'a/b' }],
      concurrency: 5,
    });
  });

  test('the name is the id unless given (FN-4)', () => {
    expect(client().createFunction({ id: 'f' }, { event: 'a/b' }, handler).name).toBe('f');
    expect(client().createFunction({ id: 'f', name: 'N' }, { event: 'a/b' }, handler).name).toBe('N');
  });

  test('strings of version 2 are read with a warning (FN-2)', () => {
    const logger = silentLogger();
    const app = client({ logger });
    const old = app.createFunction.bind(app) as (...input: unknown[]) => InngestFunction.Any;
    expect(old('f', 'a/b', handler).config()).toMatchObject({ id: 'app-f', triggers: [{ event: 'a/b' }] });
    expect(logger.warn).toHaveBeenCalledTimes(2);
  });

  test('`fns` of version 2 is dropped with a warning that points to middleware (FN-20)', () => {
    const logger = silentLogger();
    const options = { id: 'f', fns: {} };
    const made = client({ logger }).createFunction(options, { event: 'a/b' }, handler);
    expect(made.config()).not.toHaveProperty('fns');
    expect(logger.warn).toHaveBeenCalledWith(expect.stringContaining('middleware'));
  });
});

describe('EventSchemas', () => {
  test('keeps the schemas given at run time, by event, a later one in place of an earlier (ES-2, ES-18)', () => {
    const [data, user, other] = [z.object({ n: z.number() }), z.object({}), z.object({ s: z.string() })];
    const literal = z.object({ name: z.literal('a/literal'), data });
    const either = z.object({ name: z.literal(['a/x', 'a/y']), data: other });
    const old = z3.object({ name: z3.literal('a/old'), data: z3.object({}) });
    const first = new EventSchemas()
      .fromZod({ 'a/b': { data, user }, 'a/c': { data } })
      .fromRecord<{ 'a/d': object }>();
    const all = first.fromSchema({ 'a/c': other }).fromZod([literal, either]).fromZod([old]);
    expect(Object.fromEntries(all.runtime)).toEqual({
      'a/b': { data, user },
      'a/c': { data: other },
      'a/literal': { data },
      'a/old': { data: old.shape.data },
      'a/x': { data: other },
      'a/y': { data: other },
    });
    expect(first.runtime.get('a/c')).toEqual({ data });
    expect(new Inngest({ id: 'app', schemas: all }).schemas).toBe(all);
  });

  test('checks nothing at run time (ES-18)', async () => {
    await using engine = await startEngine();
    const schemas = new EventSchemas().fromSchema({ 'a/b': z.object({ n: z.number() }) });
    const sender = new Inngest({ id: 'app', isDev: true, baseUrl: engine.url, schemas });
    await sender.send({ name: 'a/b', data: { n: 'text' as unknown as number } });
    expect(engine.requests[0]?.events[0]?.['data']).toEqual({ n: 'text' });
  });
});

describe('the package', () => {
  test('internalEvents holds the names of the engine’s own events (PK-13)', () => {
    expect(Object.values(internalEvents).toSorted()).toEqual([
      'inngest/function.cancelled',
      'inngest/function.failed',
      'inngest/function.finished',
      'inngest/function.invoked',
      'inngest/http.request',
      'inngest/scheduled.timer',
    ]);
  });

  test('version is that of package.json', () => {
    const manifest = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8');
    expect(JSON.parse(manifest)).toMatchObject({ version });
  });
});

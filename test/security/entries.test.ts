/** What comes in from outside, by every entry: nothing is read without end, nothing reaches past what it names, nothing secret comes out. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { callHeaders, callUrl } from '../../src/call/request.ts';
import { checkpointOps } from '../../src/call/wire-ops.ts';
import { isOneOf } from '../../src/lib/compare.ts';
import { objectSignals, objectWaits } from '../../src/objects.ts';
import { consoleLog } from '../../src/log.ts';
import type { Env } from '../../src/env.ts';
import { limits } from '../../src/protocol/limits.ts';
import { api } from '../../src/api/app.ts';
import { apiWorld, AUTH } from '../api/world.ts';
import { idAt } from '../ingest/world.ts';

const SDK = { ...AUTH, 'x-inngest-sdk': 'js:v3.54.2' };

/** Everything that reads a body, and how much of it. */
const ENTRIES: [string, number][] = [
  ['/v1/functions/app-f/flow', limits.requestBytes],
  ['/v1/functions/app-f/pause', limits.requestBytes],
  ['/e/event-key', limits.requestBytes],
  ['/fn/register', limits.registrationBytes],
  ['/v2/apps/app/syncs', limits.registrationBytes],
  ['/api/v2/apps/app/syncs', limits.registrationBytes],
  ['/v1/signals', limits.requestBytes],
  ['/v1/cancellations', limits.requestBytes],
  ['/v0/gql', limits.requestBytes],
  ['/v2/apps/app/functions/app-f/invoke', limits.requestBytes],
  ['/api/v2/apps/app/functions/app-f/invoke', limits.requestBytes],
  [`/v1/checkpoint/${idAt(1)}/async`, limits.answerBytes],
  [`/v1/http/runs/${idAt(1)}/async`, limits.answerBytes],
];
/** `/invoke` is of development only; what `/traces` and telemetry take is not looked at. */
const BODILESS = /\/(?:un)?archive$|\/resume$|^\/invoke\/|\/traces\b|\/telemetry$/;

/** The front as it is composed, over a run that takes checkpoints. */
function world() {
  const w = apiWorld();
  w.deps.remoteRuns.checkpoint = async (_run, _env, { ops }) => {
    const parsed = checkpointOps(ops, () => 0);
    return parsed.ok ? { is: 'saved' } : { is: 'bad', problem: parsed.problem };
  };
  return w;
}

const methodOf = (path: string) => (path.endsWith('/flow') ? 'PUT' : 'POST');

test('every entry that reads a body is tried here', () => {
  const posts = apiWorld()
    .routes.filter(
      ({ method, path }) =>
        /^(?:POST|PUT)$/.test(method) && !BODILESS.test(path) && !/^\/e\/?$|\/$/.test(path),
    )
    .map(({ path }) =>
      path
        .replace('functions/:id', 'functions/app-f')
        .replace(':id', idAt(1))
        .replace(':app', 'app')
        .replace(':fn', 'app-f')
        .replace(':key', 'event-key'),
    );
  expect([...new Set(posts)].toSorted()).toEqual(ENTRIES.map(([path]) => path).toSorted());
});

describe.each(ENTRIES)('%s', (path, limit) => {
  test.each(['nothing', 'too little'])(
    'reads no more than it may of a body of which the length says %s (EA-11)',
    async (says) => {
      const chunk = new TextEncoder().encode(' '.repeat(256 * 1024));
      let read = 0;
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          read += chunk.byteLength;
          controller.enqueue(chunk);
        },
      });
      const headers = { ...SDK, ...(says === 'nothing' ? {} : { 'content-length': '10' }) };
      const response = await world().call(methodOf(path), path, {
        headers,
        body,
        duplex: 'half',
      } as RequestInit);
      expect([response.status, read < limit + 4 * chunk.byteLength]).toEqual([413, true]);
    },
  );

  test.each([
    ['no JSON', '{"planted-text'],
    ['no UTF-8', new Uint8Array([0x22, 0xff, 0x22])],
    ['a number', '1'],
    ['null', 'null'],
    ['a list that is deep', '['.repeat(200_000)],
    ['a value that is deep', `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`],
    [
      'an operation that is deep',
      `{"qi_id":"q","signal":"s","name":"n","steps":[{"op":"StepRun","id":"a","data":${'['.repeat(50_000)}${']'.repeat(50_000)}}]}`,
    ],
    [
      'members that cannot be compared',
      '{"n":L,"signal":L,"qi_id":L,"url":"https://a.example/","appName":"a","functions":[{"id":L,"triggers":L,"cancel":L,"concurrency":L,"name":"f","steps":{}}]}'.replaceAll(
        'L',
        '{"length":{"toString":1}}',
      ),
    ],
    ['an operation without a name', '{"qi_id":"q","steps":[{"op":"StepRun"}]}'],
    ['an operation of an inherited name', '{"qi_id":"q","steps":[{"op":"constructor","id":"a"}]}'],
  ])('refuses %s, and does not repeat it', async (_, body) => {
    const w = world();
    const response = await w.call(methodOf(path), path, { headers: SDK, body });
    const text = await response.text();
    // An app may be synced with any object, or none: it is looked for then. A function may be invoked with any.
    const mayPass = path.endsWith('/invoke') && typeof body === 'string' && body.startsWith('{"');
    expect([400, 404, 422, ...(mayPass ? [202] : [])], text).toContain(response.status);
    expect(text).not.toContain('planted');
    expect(w.log.lines).toEqual([]);
  });

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'takes a member %s for data, whatever is in it',
    async (name) => {
      const evil = `{"isAdmin":true,"url":"https://planted.example/","prototype":{"isAdmin":true}}`;
      const body = `{"${name}":${evil},"name":"a/b","data":{"${name}":${evil}},"signal":"s","qi_id":"q","appName":"app","sdk":"js:v3.54.2",
        "functions":[{"${name}":${evil},"id":"f","name":"f","triggers":[{"event":"a","${name}":${evil}}],"steps":{"${name}":${evil}}}],
        "steps":[{"op":"StepRun","id":"${name}","${name}":${evil},"opts":{"${name}":${evil}}}]}`;
      const w = world();
      const response = await w.call(methodOf(path), path, { headers: SDK, body });
      expect(response.status).toBeLessThan(500);
      expect(w.log.lines).toEqual([]);
      expect(({} as Record<string, unknown>)['isAdmin']).toBeUndefined();
      expect(Object.keys(Object.prototype)).toEqual([]);
    },
  );
});

describe('paths', () => {
  test.each([
    'a&fnId=other&stepId=x',
    'a#b',
    'a?b',
    '../../other',
    '..%2f..%2fother',
    'a\r\nb',
    'a b',
    'ä/😀',
    '__proto__',
  ])('a function id %j stays one parameter of the call', (id) => {
    const url = new URL(callUrl('https://app.example/api/x?keep=1&fnId=old&stepId=old', id, id));
    expect([url.origin, url.pathname, url.hash]).toEqual(['https://app.example', '/api/x', '']);
    const parameters = url.searchParams;
    expect([...parameters.keys()]).toEqual(['fnId', 'keep', 'stepId']);
    expect([parameters.get('fnId'), parameters.get('stepId')]).toEqual([id, id]);
  });

  test.each(['a\r\nx-injected: 1', 'a\0', 'ä/😀', ''])('a step id %j injects no header', (stepId) => {
    const facts = {
      runId: idAt(1),
      functionUuid: 'f',
      stepId,
      attempt: 0,
      maxAttempts: 1,
      planOnly: false,
      version: 1,
      requestId: idAt(2),
      generation: 1,
    };
    const headers = new Headers(callHeaders(facts, 0, 't=1&s=0', 'cloud'));
    expect(headers.has('x-injected')).toBe(false);
    expect(headers.get('x-request-id')).toBe(idAt(2));
  });

  test.each([
    '/v1/events/%2e%2e%2fapps',
    '/v1/events/..%2f..%2fhealth',
    '/v1/runs/%00',
    '/v1/runs/%ff',
    '/v1/runs/%',
    `/v1/runs/${idAt(1)}%2ftrace`,
    '/v1/apps/%2e%2e/functions',
    '/v1/apps/__proto__/functions',
    '/v2/apps/constructor',
    '/v2/apps/__proto__/check',
    '/v2/apps/app/functions/__proto__',
    '/e/../v1/events',
    '/e/%2e%2e/v1/events',
    '//v1//events',
    '/V1/EVENTS',
    '/v1/events;x',
    '/v1/events%3Fx',
    '/fn/../v1/runs',
  ])('%s leads nowhere else: closed without a key, no fault with one', async (path) => {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH']) {
      const open = await apiWorld().call(method, path, {});
      expect([401, 404, 405]).toContain(open.status);
      const w = apiWorld();
      expect((await w.call(method, path, { headers: AUTH })).status).toBeLessThan(500);
      expect(w.log.lines).toEqual([]);
    }
  });

  test('the method of a request is what it was sent with, whatever a header says', async () => {
    const w = apiWorld();
    const headers = { ...AUTH, 'x-http-method-override': 'DELETE' };
    await w.call('GET', `/v1/runs/${idAt(1)}?_method=DELETE`, { headers });
    expect(w.runs.cancelled).toEqual([]);
  });
});

describe('environments', () => {
  /** Names of the objects that were asked. */
  function names() {
    const seen: string[] = [];
    const namespace = {
      idFromName: (name: string) => seen.push(name),
      get: () => ({ deliver: async () => undefined, send: async () => null }),
    } as unknown as DurableObjectNamespace;
    return { seen, env: { WAITS: namespace, SIGNALS: namespace } as unknown as Env };
  }

  test.each([
    [
      ['branch/a', 'b:c'],
      ['branch/a:b', 'c'],
    ],
    [
      ['branch/a', ':b'],
      ['branch/a:', 'b'],
    ],
    [
      ['branch/a%3Ab', 'c'],
      ['branch/a:b', 'c'],
    ],
  ] as const)('%j and %j are two objects, whatever is in their names (ENV-3)', async (one, other) => {
    const { seen, env } = names();
    const event = { internalId: idAt(1), data: {}, ts: 0, receivedAt: 0 };
    for (const [environment, name] of [one, other]) {
      await objectWaits(env).deliver(environment, name, [{ ...event, env: environment, name }]);
      await objectSignals(env).send(environment, name, { id: 'i', answer: '{}' });
    }
    expect(new Set(seen).size).toBe(2);
  });
});

describe('what is compared with a secret', () => {
  test('is compared with all that it could be, whichever it is', () => {
    const candidates = ['one', 'two', 'three'];
    for (const presented of [...candidates, 'none']) {
      const looked: string[] = [];
      const watched = new Proxy(candidates, {
        get(target, name, receiver) {
          if (/^\d+$/.test(String(name))) looked.push(String(name));
          return Reflect.get(target, name, receiver) as unknown;
        },
      });
      expect(isOneOf(watched, presented)).toBe(presented !== 'none');
      expect(looked).toEqual(['0', '1', '2']);
    }
  });

  /** Against nothing but emptiness: names of keys and what they make, left or right of a comparison, or looked for among others. */
  const NAMES = String.raw`(?:signingKeys?|eventKeys?|presented|signature|secret|authKey|encryptionKey)(?:\[\w+\])?`;
  const COMPARED = new RegExp(
    String.raw`\b${NAMES}\s*(?:[!=]==(?!\s*(?:''|null|undefined))|\.(?:includes|indexOf|lastIndexOf|has|startsWith|endsWith|localeCompare|match)\()|[!=]==\s*${NAMES}\b`,
  );

  test('is compared nowhere but where that takes the same time (SK-15)', () => {
    const src = join(import.meta.dirname, '../../src');
    const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
      (file) => file.endsWith('.ts') && !file.startsWith('sdk/'),
    );
    const found = files.flatMap((file) =>
      readFileSync(join(src, file), 'utf8')
        .split('\n')
        .flatMap((line) => (COMPARED.test(line) ? [`${file}: ${line.trim()}`] : [])),
    );
    expect(files).toContain('keys/access.ts');
    expect(found).toEqual([]);
    expect(COMPARED.test('if (keys.signingKeys.includes(presented))')).toBe(true);
    expect(COMPARED.test('if (expected === presented)')).toBe(true);
  });
});

describe('nothing secret is told', () => {
  const PLANTED = 'planted-7c1f';
  let lines: string[] = [];
  beforeEach(() => {
    lines = [];
    vi.spyOn(console, 'error').mockImplementation((...args) => void lines.push(args.map(String).join(' ')));
  });
  afterEach(() => vi.restoreAllMocks());

  /** Every port fails, with an error that quotes all that it was given. */
  function failing() {
    const w = apiWorld({ signingKeys: ['signkey-prod-abcd'], eventKeys: [PLANTED] });
    const fails = (...given: unknown[]) =>
      Promise.reject(
        Object.assign(new Error(JSON.stringify([PLANTED, given])), { cause: new Error(PLANTED) }),
      );
    const broken = <Port extends object>(port: Port) => new Proxy(port, { get: () => fails });
    const deps = {
      ...w.deps,
      store: broken(w.deps.store),
      apps: broken(w.deps.apps),
      runs: broken(w.deps.runs),
      signals: broken(w.deps.signals),
      remoteRuns: broken(w.deps.remoteRuns),
      functions: broken(w.deps.functions),
      intake: { ...w.deps.intake, store: broken(w.store), events: broken(w.events) },
      log: consoleLog,
    };
    return api({ ...deps, intake: { ...deps.intake, log: consoleLog } });
  }

  const routes = [...new Set(apiWorld().routes.map(({ method, path }) => `${method} ${path}`))].filter(
    (route) => !route.startsWith('ALL'),
  );

  test.each(routes)('%s: neither in the answer nor in the log, whatever fails', async (route) => {
    const [method = '', path = ''] = route.split(' ');
    const at = path
      .replace(':id', idAt(1))
      .replace(':app', 'app')
      .replace(':fn', 'f')
      .replace(':key', PLANTED);
    const body =
      method === 'POST'
        ? JSON.stringify({
            name: 'a/b',
            data: { secret: PLANTED },
            signal: 's',
            qi_id: PLANTED,
            url: `https://a.example/?key=${PLANTED}`,
            appName: 'app',
            sdk: 'js:v3.54.2',
            functions: [],
          })
        : null;
    const headers = { authorization: 'Bearer abcd', 'x-inngest-sdk': 'js:v3.54.2', cookie: PLANTED };
    const response = await failing().request(at, { method, headers, body });
    expect(await response.text()).not.toContain(PLANTED);
    expect(lines.join('\n')).not.toContain(PLANTED);
    expect(JSON.stringify([...response.headers])).not.toContain(PLANTED);
  });
});

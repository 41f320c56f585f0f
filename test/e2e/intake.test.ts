/** Bad requests of every kind over real HTTP: each gets its documented error, nothing of it is accepted, and the server stays well. */
import { request as httpRequest } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { limits } from '../../src/protocol/limits.ts';
import { Api } from './api.ts';
import { LocalServer } from './server.ts';

let server: LocalServer;
let api: Api;

/** The names of all events of these tests begin with this, so that what was accepted can be counted. */
const NAME = 'intake/test';

interface Answer {
  status: number;
  headers: Headers;
  body: { ids?: string[]; error?: string; status?: number };
}

async function post(
  body: BodyInit | null,
  headers: Record<string, string> = {},
  path = '/e/key',
): Promise<Answer> {
  const answer = await fetch(server.url + path, { method: 'POST', headers, body });
  return { status: answer.status, headers: answer.headers, body: await answer.json<Answer['body']>() };
}

function postJson(body: unknown): Promise<Answer> {
  return post(JSON.stringify(body));
}

async function accepted(): Promise<number> {
  return (await api.events(`?name=${NAME}&limit=100`)).length;
}

/** Every refusal has the same form (EA-16), and names nothing of what was sent. */
function expectRefusal({ status, body }: Answer, expected: number, error: string | RegExp): void {
  expect({ status, inBody: body.status, ids: body.ids }).toEqual({
    status: expected,
    inBody: expected,
    ids: [],
  });
  expect(body.error).toMatch(error);
}

describe('in development', () => {
  beforeAll(async () => {
    server = await LocalServer.start();
    api = new Api(server.url);
  });

  afterAll(() => server?.dispose());

  afterEach(async () => {
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
  });

  describe('a body that is no event is refused as a whole (EA-14, EA-18)', () => {
    const good = { name: NAME, data: {} };

    test.each([
      ['nothing', '', /not valid JSON/],
      ['half of an object', '{"name":"x"', /not valid JSON/],
      ['a comma too many', '{"name":"x",}', /not valid JSON/],
      ['a text', '"event"', /expected an event object/],
      ['a number', '7', /expected an event object/],
      ['null', 'null', /expected an event object/],
      ['two documents', '{"name":"x"}{"name":"y"}', /not valid JSON/],
      ['NaN', '{"name":"x","ts":NaN}', /not valid JSON/],
      ['a form', 'name=x&data=y', /not valid JSON/],
    ])('%s', async (_, body, error) => {
      expectRefusal(await post(body), 400, error);
    });

    test.each([
      ['no name', {}, /name is empty/],
      ['an empty name', { name: '  ' }, /name is empty/],
      ['a number as name', { name: 7 }, /name is empty/],
      ['a name of 257 characters', { name: '🙂'.repeat(257) }, /longer than 256/],
      ['a reserved name', { name: 'inngest/function.failed' }, /reserved/],
      ['half a surrogate pair in the name', { name: `${NAME}\ud800` }, /well-formed/],
      ['a list as data', { ...good, data: [] }, /data: expected an object/],
      ['a text as data', { ...good, data: 'x' }, /data: expected an object/],
      ['a text as user', { ...good, user: 'x' }, /user: expected an object/],
      ['a number as id', { ...good, id: 7 }, /id: expected a string/],
      ['an id of 257 characters', { ...good, id: 'x'.repeat(257) }, /id: longer than 256/],
      ['a text as time', { ...good, ts: '2026-01-01' }, /ts: expected an integer/],
      ['a fraction as time', { ...good, ts: 1_700_000_000_000.5 }, /ts: expected an integer/],
      ['seconds as time', { ...good, ts: 1_700_000_000 }, /milliseconds/],
      ['a time after 2100', { ...good, ts: 4_102_444_800_001 }, /milliseconds/],
      ['a number as version', { ...good, v: 2 }, /v: expected a string/],
      ['a list in the list', [], /expected an object/],
      ['null in the list', null, /expected an object/],
    ])('%s, as the last of three', async (_, bad, error) => {
      const answer = await postJson([good, good, bad]);
      expectRefusal(answer, 400, error);
      expect(answer.body.error).toContain('events[2]');
    });

    test('5,001 events (EA-12)', async () => {
      expectRefusal(await postJson(Array.from({ length: 5_001 }, () => good)), 400, /more than 5000/);
    });

    test('objects in objects, a hundred thousand deep', async () => {
      const depth = 100_000;
      const nested = `{"name":"${NAME}","data":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}`;
      expectRefusal(await post(nested), 400, /nests deeper/);
      expectRefusal(await post('['.repeat(depth)), 400, /nests deeper/);
    });

    test('bytes that are no UTF-8', async () => {
      const bytes = Buffer.concat([
        Buffer.from(`{"name":"${NAME}","data":{"a":"`),
        Buffer.from([0xff, 0xc3]),
        Buffer.from('"}}'),
      ]);
      expectRefusal(await post(bytes), 400, /not valid UTF-8/);
    });

    test('10 MB, whether the length is told or not (EA-11)', async () => {
      const large = JSON.stringify({ ...good, data: { blob: 'x'.repeat(10_000_000) } });
      expectRefusal(await post(large), 413, /larger than 3145728 bytes/);
      expect(await postInChunks(large)).toBe(413);
    });

    test('a byte more than 3 MB (EA-11)', async () => {
      const empty = JSON.stringify({ ...good, data: { blob: '' } });
      const body = JSON.stringify({
        ...good,
        data: { blob: 'x'.repeat(limits.requestBytes + 1 - empty.length) },
      });
      expectRefusal(await post(body), 413, /larger than/);
    });

    test('and of all this nothing was accepted', async () => {
      expect(await accepted()).toBe(0);
    });
  });

  test('a request that breaks off in the middle leaves nothing behind', async () => {
    await new Promise<void>((resolve) => {
      const request = httpRequest(`${server.url}/e/key`, {
        method: 'POST',
        headers: { 'content-length': '1000' },
      });
      request.on('error', () => resolve());
      request.write(`[{"name":"${NAME}"},`);
      setTimeout(() => request.destroy(), 200);
    });
    expect(await accepted()).toBe(0);
  });

  describe('what looks odd and is right', () => {
    test('keys such as __proto__ are data like any other (EVT-26)', async () => {
      const body = `{"name":"intake/keys","data":{"__proto__":{"polluted":1},"constructor":{"prototype":2},"toString":3}}`;
      const { ids = [] } = (await post(body)).body;
      const { data } = await api.event(ids[0] ?? '');
      expect(JSON.stringify(data)).toBe(
        '{"__proto__":{"polluted":1},"constructor":{"prototype":2},"toString":3}',
      );
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    });

    test('any content type, a byte order mark, null for what is absent, a name of 256 characters (EA-3, EVT-4, EVT-7)', async () => {
      const event = { name: '🙂'.repeat(256), data: null, user: null, id: '', ts: 0, v: null };
      const answer = await post(`\ufeff${JSON.stringify(event)}`, {
        'content-type': 'application/x-www-form-urlencoded',
      });
      expect(answer).toMatchObject({ status: 200, body: { status: 200 } });
      expect(await api.event(answer.body.ids?.[0] ?? '')).toMatchObject({ name: event.name, data: {} });
    });

    test('an empty list (EA-13), and the most that a request may hold (EA-6, EA-12)', async () => {
      expect((await postJson([])).body).toEqual({ ids: [], status: 200 });
      const { ids = [] } = (
        await postJson(Array.from({ length: 5_000 }, (_, n) => ({ name: 'intake/many', data: { n } })))
      ).body;
      expect(new Set(ids).size).toBe(5_000);
      expect(await api.event(ids[4_999] ?? '')).toMatchObject({ data: { n: 4_999 } });
    });

    test('the same request again, with the seed that SDKs send, is one request (EA-25)', async () => {
      const headers = {
        'x-inngest-event-id-seed': `${Date.now()},${Buffer.from('0123456789').toString('base64')}`,
      };
      const body = JSON.stringify([{ name: 'intake/again' }, { name: 'intake/again' }]);
      const [first, again] = [await post(body, headers), await post(body, headers)];
      expect(again.body).toEqual(first.body);
      expect(await api.events('?name=intake/again')).toHaveLength(2);
    });
  });

  describe('routes', () => {
    test.each([
      ['GET', '/e/key', 405],
      ['PUT', '/e/key', 405],
      ['DELETE', '/e/key', 405],
      ['POST', '/e/', 401],
      ['POST', '/e', 401],
      ['GET', '/nowhere', 404],
      ['POST', '/v1/events', 404],
      ['GET', '/e/key/more', 404],
      ['GET', '/v1/events/not-a-ulid', 400],
      ['GET', '/v1/events/not-a-ulid/runs', 400],
      ['GET', '/v1/events/01ARZ3NDEKTSV4RRFFQ69G5FAV', 404],
      ['GET', '/v1/runs/not-a-ulid', 400],
      ['GET', '/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV', 404],
      ['GET', '/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV/trace', 404],
      ['DELETE', '/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV', 404],
      ['GET', '/v1/events?limit=0', 400],
      ['GET', '/v1/events?limit=101', 400],
      ['GET', '/v1/events?received_after=yesterday', 400],
      ['GET', '/v1/events?cursor=x', 400],
    ])('%s %s answers %i, in JSON that says so (EA-16, RA-4)', async (method, path, status) => {
      const answer = await fetch(server.url + path, { method });
      expect(answer.status).toBe(status);
      expect(await answer.json()).toMatchObject({ status, error: expect.any(String) as string });
      expect(answer.headers.get('allow')).toBe(status === 405 ? 'POST, OPTIONS' : null);
    });

    test('a preflight is answered (EA-19)', async () => {
      const answer = await fetch(`${server.url}/e/key`, { method: 'OPTIONS' });
      expect(answer.status).toBe(204);
      expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    });
  });
});

describe('without development mode', () => {
  afterEach(() => server?.dispose());

  const CLOSED = [
    ['POST', '/e/key'],
    ['POST', '/e/'],
    ['GET', '/v1/events'],
    ['GET', '/v1/events/01ARZ3NDEKTSV4RRFFQ69G5FAV'],
    ['GET', '/v1/events/01ARZ3NDEKTSV4RRFFQ69G5FAV/runs'],
    ['GET', '/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV'],
    ['GET', '/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV/trace'],
    ['DELETE', '/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV'],
    ['GET', '/nowhere'],
  ] as const;

  function ask(method: string, path: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(server.url + path, {
      method,
      headers,
      ...(method === 'POST' ? { body: '{"name":"x/y"}' } : {}),
    });
  }

  test('and without keys everything but health and the greeting answers 401, whatever is presented (EK-14, SK-13)', async () => {
    server = await LocalServer.start({ vars: { STEPWELL_DEV: '0' } });
    for (const [method, path] of CLOSED) {
      for (const authorization of ['', 'Bearer', 'Bearer undefined', 'Bearer signkey-prod-']) {
        const answer = await ask(method, path, authorization === '' ? {} : { authorization });
        expect([method, path, answer.status]).toEqual([method, path, 401]);
      }
    }
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    const greeting = await (await fetch(server.url)).text();
    expect(greeting).not.toMatch(/development/i);
  });

  test('the keys that are set open what they are for, and nothing else (EK-14, RA-2)', async () => {
    server = await LocalServer.start({
      vars: {
        STEPWELL_DEV: '0',
        STEPWELL_EVENT_KEYS: 'first-key, second-key',
        STEPWELL_SIGNING_KEY: 'signkey-prod-0123456789abcdef',
      },
    });
    const authorization = 'Bearer signkey-prod-0123456789abcdef';
    expect((await ask('POST', '/e/second-key')).status).toBe(200);
    expect((await ask('POST', '/e/third-key')).status).toBe(401);
    expect((await ask('POST', '/e/signkey-prod-0123456789abcdef')).status).toBe(401);
    expect((await ask('GET', '/v1/events', { authorization })).status).toBe(200);
    expect((await ask('GET', '/v1/events', { authorization: 'Bearer first-key' })).status).toBe(401);
    expect((await ask('GET', '/v1/events')).status).toBe(401);
  });

  test('a setting that cannot be is named, its value is not', async () => {
    server = await LocalServer.start({ vars: { STEPWELL_MAX_STEPS: 'secret-number' }, isBroken: true });
    const answer = await ask('POST', '/e/key');
    expect(answer.status).toBe(500);
    const { error }: { error: string } = await answer.json();
    expect(error).toContain('STEPWELL_MAX_STEPS');
    expect(error).not.toContain('secret-number');
  });
});

/** Without a content length. */
function postInChunks(body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${server.url}/e/key`, { method: 'POST' }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    request.on('error', reject);
    for (let from = 0; from < body.length; from += 100_000) request.write(body.slice(from, from + 100_000));
    request.end();
  });
}

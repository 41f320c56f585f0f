/** Who may use which route: every route of the front is listed here with its decision, and each decision is tried with every kind of key. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { apiWorld } from '../api/world.ts';
import { idAt } from '../ingest/world.ts';

const KEYS = {
  current: 'signkey-prod-00112233445566778899aabbccddeeff',
  old: 'signkey-prod-ffeeddccbbaa99887766554433221100',
  retired: 'signkey-prod-abababababababababababababababab',
  branch: 'signkey-branch-0123456789abcdef0123456789abcdef',
  branchOld: 'signkey-branch-fedcba9876543210fedcba9876543210',
  event: 'event-key-of-production',
  branchEvent: 'event-key-of-branches',
};

/** During a rotation. */
const rotating = {
  eventKeys: [KEYS.event],
  signingKeys: [KEYS.current, KEYS.old],
  branch: { eventKeys: [KEYS.branchEvent], signingKeys: [KEYS.branch, KEYS.branchOld] },
};

type Decision = 'open' | 'event key' | 'signing key';

/** A route that is new needs a line here before any test of this file passes. */
const DECISIONS: Record<string, Decision> = {
  'GET /': 'open',
  'GET /health': 'open',
  'GET /dev': 'open',
  // Of development only: not found in a deployment.
  'POST /invoke/:slug': 'open',
  'POST /e': 'event key',
  'POST /e/': 'event key',
  'POST /e/:key': 'event key',
  'POST /e/:key/': 'event key',
  'ALL /e': 'open',
  'ALL /e/': 'open',
  'ALL /e/:key': 'open',
  'ALL /e/:key/': 'open',
  'POST /fn/register': 'signing key',
  'ALL /fn/register': 'signing key',
  'GET /v1/apps': 'signing key',
  'GET /v1/apps/:app/functions': 'signing key',
  'GET /v1/events': 'signing key',
  'GET /v1/events/:id': 'signing key',
  'GET /v1/events/:id/runs': 'signing key',
  'GET /v1/runs/:id': 'signing key',
  'GET /v1/runs/:id/trace': 'signing key',
  'DELETE /v1/runs/:id': 'signing key',
  'GET /v1/runs/:id/jobs': 'signing key',
  'DELETE /v0/runs/:id': 'signing key',
  'POST /v1/cancellations': 'signing key',
  'GET /v1/cancellations': 'signing key',
  'DELETE /v1/cancellations/:id': 'signing key',
  'POST /v0/gql': 'signing key',
  'POST /v0/telemetry': 'signing key',
  'POST /v1/traces/userland': 'signing key',
  'POST /dev/traces': 'signing key',
  'POST /v1/signals': 'signing key',
  'GET /v1/health': 'signing key',
  'GET /v1/functions/:id/flow': 'signing key',
  'PUT /v1/functions/:id/flow': 'signing key',
  'DELETE /v1/functions/:id/flow': 'signing key',
  'POST /v1/functions/:id/pause': 'signing key',
  'POST /v1/functions/:id/resume': 'signing key',
  'GET /v0/runs/:id/actions': 'signing key',
  'GET /v0/runs/:id/batch': 'signing key',
  'POST /v1/checkpoint/:id/async': 'signing key',
  'POST /v1/http/runs/:id/async': 'signing key',
  ...Object.fromEntries(
    ['/v2', '/api/v2'].flatMap((base) =>
      [
        'GET /apps',
        'GET /apps/:app/functions',
        'GET /apps/:app/functions/:fn',
        'GET /apps/:app/check',
        'POST /apps/:app/syncs',
        'POST /apps/:app/archive',
        'POST /apps/:app/unarchive',
        'POST /apps/:app/functions/:fn/invoke',
        'GET /runs/:id',
        'GET /runs/:id/trace',
        'GET /events/:id/runs',
        'ALL /*',
      ].map((route): [string, Decision] => [route.replace('/', `${base}/`), 'signing key']),
    ),
  ),
};

/** Middleware has no method and a path that takes everything. */
const routes = [
  ...new Set(
    apiWorld()
      .routes.filter(({ method, path }) => !(method === 'ALL' && path === '/*'))
      .map(({ method, path }) => `${method} ${path}`),
  ),
];

const withDecision = (decision: Decision) => routes.filter((route) => DECISIONS[route] === decision);

/** @param key in the place of `:key`. */
async function ask(route: string, headers: Record<string, string>, key = 'none', keys = rotating) {
  const [written = '', path = ''] = route.split(' ');
  const method = written === 'ALL' ? 'PUT' : written;
  const at = path.replace(':id', idAt(1)).replace(':app', 'app').replace(':fn', 'app-f').replace(':key', key);
  const w = apiWorld(keys);
  const body = method === 'POST' ? JSON.stringify({ name: 'a/b' }) : null;
  const response = await w.call(method, at, { headers, body });
  return { status: response.status, text: await response.text(), touched: w.log.lines.length };
}

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const hashed = (key: string) => {
  const secret = key.replace(/^signkey-\w+-/, '');
  return createHash('sha256').update(Buffer.from(secret, 'hex')).digest('hex');
};

test('every route has a decision, and every decision a route', () => {
  expect(routes.toSorted()).toEqual(Object.keys(DECISIONS).toSorted());
});

describe.each(withDecision('signing key'))('%s', (route) => {
  test.each<[string, Record<string, string>]>([
    ['no key', {}],
    ['an empty one', bearer('')],
    ['a wrong one', bearer('signkey-prod-00112233445566778899aabbccddee00')],
    ['the start of one', bearer(KEYS.current.slice(0, -2))],
    ['one that is retired', bearer(KEYS.retired)],
    ['an event key', bearer(KEYS.event)],
    ['an event key of the branches', { ...bearer(KEYS.branchEvent), 'x-inngest-env': 'b' }],
    ['the key without its scheme', { authorization: KEYS.current }],
    ['another scheme', { authorization: `Basic ${btoa(`:${KEYS.current}`)}` }],
    ['two keys', bearer(`${KEYS.retired}, ${KEYS.current}`)],
    ['the key in another header', { 'x-api-key': KEYS.current, cookie: `authorization=${KEYS.current}` }],
    ['the hash of the hash', bearer(hashed(hashed(KEYS.current)))],
  ])('is closed to %s (SK-13)', async (_, headers) => {
    const { status, text, touched } = await ask(route, headers);
    expect([status, JSON.parse(text), touched]).toEqual([
      401,
      { error: 'Unauthorized', data: null, status: 401 },
      0,
    ]);
  });

  test('is closed to the branch key that names no branch (ENV-11)', async () => {
    expect((await ask(route, bearer(KEYS.branch))).status).toBe(400);
  });

  test('is closed to every key where none is set, whatever is set for branches', async () => {
    const none = { eventKeys: [], signingKeys: [], branch: { eventKeys: [], signingKeys: [] } };
    for (const key of ['', 'undefined', ...Object.values(KEYS)]) {
      const { status } = await ask(route, { ...bearer(key), 'x-inngest-env': 'b' }, 'none', none);
      expect(status).toBe(401);
    }
  });

  test('is open to the current key and, during a rotation, to the old one, as they are and hashed (SK-19)', async () => {
    for (const key of [KEYS.current, KEYS.old]) {
      for (const form of [key, hashed(key)]) expect((await ask(route, bearer(form))).status).not.toBe(401);
    }
  });
});

describe.each(withDecision('event key'))('%s', (route) => {
  const isNamed = route.includes(':key');

  test.each([
    ['no key', ''],
    ['a wrong one', 'event-key-of-nobody'],
    ['the start of one', KEYS.event.slice(0, -1)],
    ['a signing key', KEYS.current],
    ['a hashed signing key', hashed(KEYS.current)],
    ['the name of a member of all objects', '__proto__'],
    ['an escaped slash', `${encodeURIComponent('/')}${KEYS.event}`],
    ['a dot segment', `x/%2e%2e/${KEYS.event}x`],
  ])('is closed to %s (EK-14)', async (_, key) => {
    const { status, text } = await ask(route, bearer(KEYS.current), key);
    expect([401, 404]).toContain(status);
    expect(text).not.toContain(KEYS.event);
  });

  test.runIf(isNamed)('is open to the key, and to those of branches', async () => {
    expect((await ask(route, {}, KEYS.event)).status).toBe(200);
    expect((await ask(route, { 'x-inngest-env': 'b' }, KEYS.branchEvent)).status).toBe(200);
  });

  test('is closed where no key is set', async () => {
    const none = { eventKeys: [], signingKeys: [], branch: { eventKeys: [], signingKeys: [] } };
    expect((await ask(route, {}, KEYS.event, none)).status).toBe(401);
  });
});

describe.each(withDecision('open'))('%s', (route) => {
  test('tells nobody anything of keys, and stores nothing', async () => {
    const { status, text } = await ask(route, {}, 'x');
    expect(status).toBeLessThan(500);
    for (const key of Object.values(KEYS)) expect(text).not.toContain(key);
  });
});

describe('what one environment holds', () => {
  test('the keys of another do not show: neither its events, nor its runs', async () => {
    const w = apiWorld(rotating);
    const body = JSON.stringify({ name: 'a/b', data: { planted: 'of-production' } });
    const sent = await w.call('POST', `/e/${KEYS.event}`, { body });
    const { ids } = await sent.json<{ ids: string[] }>();
    w.runs.views.set(idAt(5), {
      runId: idAt(5),
      env: 'production',
      functionId: 'app-f',
      eventIds: ids,
      status: 'Running',
      queuedAt: 0,
      startedAt: 0,
      endedAt: null,
      output: null,
    });
    const paths = [
      `/v1/events/${ids[0]}`,
      `/v1/events/${ids[0]}/runs`,
      '/v1/events',
      `/v1/runs/${idAt(5)}`,
      `/v1/runs/${idAt(5)}/trace`,
    ];
    for (const path of paths) {
      const headers = { ...bearer(KEYS.branch), 'x-inngest-env': 'production' };
      expect(await (await w.call('GET', path, { headers })).text()).not.toContain('of-production');
    }
    const headers = { ...bearer(KEYS.branch), 'x-inngest-env': 'production' };
    expect((await w.call('DELETE', `/v1/runs/${idAt(5)}`, { headers })).status).toBe(404);
    expect(w.runs.cancelled).toEqual([]);
    const own = await w.call('GET', '/v1/events', { headers: bearer(KEYS.current) });
    expect(await own.text()).toContain('of-production');
  });
});

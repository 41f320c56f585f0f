import { describe, expect, test } from 'vitest';
import { idAt } from '../ingest/world.ts';
import { apiWorld, AUTH } from './world.ts';

const CLOSED = [
  ['GET', '/v1/events'],
  ['GET', `/v1/events/${idAt(1)}`],
  ['GET', `/v1/events/${idAt(1)}/runs`],
  ['GET', `/v1/runs/${idAt(1)}`],
  ['GET', `/v1/runs/${idAt(1)}/trace`],
  ['DELETE', `/v1/runs/${idAt(1)}`],
  ['GET', '/v1/nothing'],
  ['POST', '/fn/register'],
  ['GET', '/nothing'],
] as const;

describe('what is open to everybody', () => {
  test('GET / names the server and answers 200 (wire 1.3)', async () => {
    const response = await apiWorld().call('GET', '/');
    expect([response.status, await response.text()]).toEqual([200, 'Stepwell 1.2.3\n']);
  });

  test('GET / says so when everything is open', async () => {
    expect(await (await apiWorld({ dev: true }).call('GET', '/')).text()).toContain('open to everyone');
  });

  test('GET /health (wire 1.3)', async () => {
    const response = await apiWorld({ eventKeys: [], signingKeys: [] }).call('GET', '/health');
    expect([response.status, await response.json()]).toEqual([200, { status: 200, message: 'OK' }]);
  });

  test.each(CLOSED)('OPTIONS before %s %s', async (method, path) => {
    const response = await apiWorld().call('OPTIONS', path, {
      headers: { 'access-control-request-method': method },
    });
    expect([response.status, response.headers.get('access-control-allow-methods')]).toEqual([
      204,
      'GET, POST, PUT, DELETE, OPTIONS',
    ]);
    expect(response.headers.get('access-control-allow-headers')).toContain('authorization');
  });
});

describe('closed by default', () => {
  test.each(CLOSED)(
    '%s %s gets 401 without a key, with a wrong one, and where none is configured',
    async (method, path) => {
      const answers = [
        await apiWorld().call(method, path),
        await apiWorld().call(method, path, { headers: { authorization: 'Bearer signkey-prod-00' } }),
        await apiWorld().call(method, path, { headers: { authorization: 'Bearer event-key' } }),
        await apiWorld({ signingKeys: [] }).call(method, path, { headers: AUTH }),
      ];
      for (const answer of answers) {
        expect([answer.status, await answer.json()]).toEqual([
          401,
          { error: 'Unauthorized', data: null, status: 401 },
        ]);
      }
    },
  );

  test('the fallback key opens as the current one does (wire 10.2)', async () => {
    const w = apiWorld({ signingKeys: ['signkey-prod-ab', 'signkey-prod-cd'] });
    for (const key of ['signkey-prod-ab', 'signkey-prod-cd']) {
      const answer = await w.call('GET', '/v1/events', { headers: { authorization: `Bearer ${key}` } });
      expect(answer.status).toBe(200);
    }
  });

  test.each(['Bearer undefined', 'Bearer', ''])(
    'development asks for no key: "%s" (RA-6, wire 1.6)',
    async (authorization) => {
      const w = apiWorld({ dev: true, signingKeys: [] });
      expect((await w.call('GET', '/v1/events', { headers: { authorization } })).status).toBe(200);
    },
  );
});

describe('what is not there', () => {
  test.each(['/v1/nothing', '/nothing', '/v1/events/', `/v1/runs/${idAt(1)}/`])(
    '%s gets 404 as JSON (RA-5)',
    async (path) => {
      const { status, body } = await apiWorld().get(path);
      expect([status, body]).toEqual([404, { error: 'not found', data: null, status: 404 }]);
    },
  );

  test('GET /dev is no JSON in the cloud, or an SDK takes it for a development server (wire 1.3)', async () => {
    const response = await apiWorld().call('GET', '/dev');
    expect(response.status).toBe(404);
    await expect(response.json()).rejects.toThrow();
  });
});

describe('every answer', () => {
  const paths = [
    ['GET', '/', 200],
    ['GET', '/health', 200],
    ['OPTIONS', '/v1/events', 204],
    ['GET', '/v1/events', 200],
    ['GET', '/v1/events?limit=0', 400],
    ['GET', '/v1/nothing', 404],
    ['GET', '/dev', 404],
    ['GET', '/e/x', 405],
    ['POST', '/e/x', 401],
  ] as const;

  test.each(paths)(
    '%s %s carries kind, CORS and no-store (wire 1.4, RA-19)',
    async (method, path, status) => {
      for (const dev of [false, true]) {
        const response = await apiWorld({ dev }).call(method, path, { headers: AUTH });
        if (!dev) expect(response.status).toBe(status);
        expect(response.headers.get('x-inngest-server-kind')).toBe(dev ? 'dev' : 'cloud');
        expect(response.headers.get('access-control-allow-origin')).toBe('*');
        expect(response.headers.get('cache-control')).toBe('no-store');
      }
    },
  );

  test('to an unforeseen error is 500 without its text, logged once', async () => {
    const w = apiWorld();
    w.faults.set('listEvents', () => Promise.reject(new Error('secret-value')));
    const response = await w.call('GET', '/v1/events', { headers: AUTH });
    expect([response.status, await response.json()]).toEqual([500, { error: 'internal error', status: 500 }]);
    expect(response.headers.get('x-inngest-server-kind')).toBe('cloud');
    expect(w.log.lines).toHaveLength(1);
  });
});

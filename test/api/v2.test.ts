/** Version 2 of the API, and what development has beside it (wire 4.5, 9.3, 9.6 to 9.8). */
import { describe, expect, test } from 'vitest';
import { planAll } from '../../src/dispatch/starts.ts';
import { closeRuns } from '../contracts/stored.ts';
import { idAt, NOW } from '../ingest/world.ts';
import { apiWorld, AUTH, type Answer, view } from './world.ts';

const iso = (ms: number): string => new Date(ms).toISOString();
const RUN = idAt(7);

async function post(w: ReturnType<typeof apiWorld>, path: string, body: unknown, headers = AUTH) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await w.call('POST', path, { headers, body: text });
  return { status: response.status, body: (await response.json()) as Answer };
}

describe('POST /v2/apps/:app/functions/:fn/invoke', () => {
  test.each(['/v2/apps/app/functions/f/invoke', '/api/v2/apps/app/functions/app-f/invoke'])(
    '%s starts it, and answers the run that dispatch will start (wire 9.7)',
    async (path) => {
      const w = apiWorld();
      const { status, body } = await post(w, path, { data: { n: 1 }, user: { id: 5 } });
      expect([status, body.data]).toMatchObject([202, { queuedAt: iso(NOW), result: null, error: null }]);
      const [record] = await w.store.listEvents({
        env: 'production',
        name: 'inngest/function.invoked',
        receivedAfter: 0,
        limit: 2,
      });
      expect(record?.event).toMatchObject({ data: { n: 1 }, target: { functionId: 'app-f' } });
      expect(JSON.stringify(record?.event.user)).not.toContain('5}');
      const [planned] = await planAll(w, record === undefined ? [] : [record.event]);
      expect(planned?.starts).toMatchObject([{ runId: body.data.runId, functionId: 'app-f' }]);
    },
  );

  test('the same idempotency key is the same run', async () => {
    const w = apiWorld();
    const path = '/v2/apps/app/functions/f/invoke';
    const ids: string[] = [];
    for (const idempotencyKey of ['a', 'a', 'b'])
      ids.push((await post(w, path, { data: {}, idempotencyKey })).body.data.runId);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  test.each([
    ['/v2/apps/app/functions/g/invoke', {}, 404, 'There is no such function'],
    ['/v2/apps/app/functions/f/invoke', { data: 5 }, 400, 'data: expected an object'],
    ['/v2/apps/app/functions/f/invoke', '{', 400, 'the body is not valid JSON'],
    ['/v2/apps/app/functions/f/invoke', { idempotencyKey: 'x'.repeat(300) }, 400, 'idempotencyKey: too long'],
    ['/v2/sandboxes', {}, 404, 'There is no such resource'],
  ])('%s with %.40j is answered %i', async (path, sent, status, message) => {
    const { status: got, body } = await post(apiWorld(), path, sent);
    expect([got, body]).toEqual([status, { errors: [{ code: expect.any(String), message }] }]);
  });

  test('is closed without a key', async () => {
    expect((await post(apiWorld(), '/v2/apps/app/functions/f/invoke', {}, {} as typeof AUTH)).status).toBe(
      401,
    );
  });
});

describe('GET /v2/runs/:id', () => {
  const ended = { status: 'Completed' as const, endedAt: NOW + 9, output: [1] };

  test('from its object, with its output where that is asked for', async () => {
    const w = apiWorld();
    w.runs.views.set(RUN, view(RUN, ended));
    expect((await w.get(`/v2/runs/${RUN}`)).body.data).toEqual({
      id: RUN,
      function: { id: expect.any(String), name: 'app-f' },
      status: 'COMPLETED',
      queuedAt: iso(NOW),
      startedAt: iso(NOW + 1),
      endedAt: iso(NOW + 9),
      durationMs: '8',
      trigger: { eventIds: [idAt(1)] },
    });
    expect((await w.get(`/v2/runs/${RUN}?includeOutput=true`)).body.data.output).toEqual({ data: [1] });
  });

  test('from the index, by itself and by its event', async () => {
    const w = apiWorld();
    const ids = { runId: RUN, env: 'production', functionId: 'app-f', eventId: idAt(1) };
    const output = '{"message":"x"}';
    await closeRuns(w.store, [{ ...ids, status: 'Failed', queuedAt: NOW, endedAt: NOW + 9, output }]);
    const one = (await w.get(`/v2/runs/${RUN}?includeOutput=true`)).body.data;
    expect(one).toMatchObject({ id: RUN, status: 'FAILED', output: { error: { message: 'x' } } });
    const { data, page } = (await w.get(`/v2/events/${idAt(1)}/runs`)).body;
    expect([data, page]).toMatchObject([[{ id: RUN, status: 'FAILED' }], { hasMore: false }]);
  });

  test('its trace', async () => {
    const w = apiWorld();
    w.runs.traces.set(RUN, { ...view(RUN, ended), failures: [], waiting: [], steps: [] });
    expect((await w.get(`/v2/runs/${RUN}/trace`)).body.data).toMatchObject({
      runId: RUN,
      rootSpan: { name: 'Run', status: 'COMPLETED', durationMs: '8', children: [{ name: 'Finalization' }] },
    });
  });

  test('404 for an unknown one and one of another environment, 400 for what is no id', async () => {
    const w = apiWorld();
    w.runs.views.set(RUN, view(RUN, { env: 'other' }));
    const paths = [
      `/v2/runs/${RUN}`,
      `/v2/runs/${idAt(8)}`,
      `/v2/runs/${RUN}/trace`,
      '/v2/runs/x',
      '/v2/events/x/runs',
    ];
    const statuses = [];
    for (const path of paths) statuses.push((await w.get(path)).status);
    expect(statuses).toEqual([404, 404, 404, 400, 400]);
  });
});

describe('POST /invoke/:slug', () => {
  test('in development it starts a function (wire 4.5)', async () => {
    const w = apiWorld({ dev: true });
    // The functions of this world belong to the environment of production.
    const { status, body } = await post(w, '/invoke/app-f', { name: 'ignored', data: { n: 1 } });
    expect([status, body]).toEqual([200, { ids: [expect.any(String)], status: 200 }]);
    expect((await w.get(`/v1/events/${body.ids[0]}`)).body.data).toMatchObject({ data: { n: 1 } });
    expect((await post(w, '/invoke/app-g', {})).status).toBe(400);
    expect((await post(w, '/invoke/app-f', { data: [] })).body.error).toBe('data: expected an object');
  });

  test('deployed there is none', async () => {
    expect((await apiWorld().call('POST', '/invoke/app-f', { headers: AUTH, body: '{}' })).status).toBe(404);
  });
});

test.each(['/v0/telemetry', '/v1/traces/userland', '/dev/traces'])(
  'POST %s is taken (wire 9.6)',
  async (path) => {
    expect(await post(apiWorld(), path, 'anything')).toEqual({ status: 200, body: {} });
    const large = await post(apiWorld(), path, 'x'.repeat(8 * 1024 * 1024 + 1));
    expect(large).toMatchObject({ status: 413, body: { status: 413 } });
    expect((await post(apiWorld(), path, '', {} as typeof AUTH)).status).toBe(401);
  },
);

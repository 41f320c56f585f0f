import { describe, expect, test } from 'vitest';
import { HOUR } from '../../src/lib/time.ts';
import { idAt, NOW, stored } from '../ingest/world.ts';
import { apiWorld, view } from './world.ts';
import { closeRuns } from '../contracts/stored.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const iso = (ms: number): string => new Date(ms).toISOString();

async function withEvents(count: number, over: (n: number) => object = () => ({})) {
  const w = apiWorld();
  const events = Array.from({ length: count }, (_, n) => stored(idAt(n), over(n)));
  await w.store.insertEvents(events, NOW);
  return w;
}

const names = (body: { data: { internal_id: string }[] }): string[] =>
  body.data.map((event) => event.internal_id);

describe('GET /v1/events/:id', () => {
  test('answers the event in the shape of the protocol (wire 9.2, RA-10)', async () => {
    const w = await withEvents(1, () => ({ data: { x: [1] }, ts: NOW - 5, v: '2' }));
    const { status, body } = await w.get(`/v1/events/${idAt(0)}`);
    expect(status).toBe(200);
    expect(body).toEqual({
      data: {
        internal_id: idAt(0),
        account_id: expect.stringMatching(UUID),
        environment_id: expect.stringMatching(UUID),
        source: '',
        source_id: null,
        received_at: iso(NOW),
        id: idAt(0),
        name: 'a/b',
        data: { x: [1] },
        user: null,
        ts: NOW - 5,
        v: '2',
        duplicate_of: null,
        dead_reason: null,
      },
      metadata: { fetched_at: iso(NOW), cached_until: null },
    });
  });

  test('shows the sender id as id (EVT-28), and whose duplicate it is (DD-6)', async () => {
    const w = await withEvents(2, () => ({ id: 'mine' }));
    expect((await w.get(`/v1/events/${idAt(1)}`)).body.data).toMatchObject({
      id: 'mine',
      duplicate_of: idAt(0),
      v: null,
    });
  });

  test('says why it was given up', async () => {
    const w = await withEvents(1, () => ({}));
    await w.store.markDead([idAt(0)], 'start of app-f: Error', NOW);
    expect((await w.get(`/v1/events/${idAt(0)}`)).body.data).toMatchObject({
      dead_reason: 'start of app-f: Error',
      duplicate_of: null,
    });
  });

  test('says how it came in, and tells keys apart without showing them (EVT-39)', async () => {
    const w = apiWorld({ eventKeys: ['key-one', 'key-two'] });
    const sent = await Promise.all(
      ['key-one', 'key-two'].map((key) => w.call('POST', `/e/${key}`, { body: '{"name":"a"}' })),
    );
    const sources = await Promise.all(
      sent.map(async (answer) => {
        const { ids } = await answer.json<{ ids: string[] }>();
        return (await w.get(`/v1/events/${ids[0]}`)).body.data;
      }),
    );
    expect(sources.map((event) => event.source)).toEqual(['key', 'key']);
    expect(sources[0].source_id).toMatch(UUID);
    expect(sources[1].source_id).not.toBe(sources[0].source_id);
  });

  test('opens user (EVT-11)', async () => {
    const w = apiWorld();
    const user = await w.seal.seal({ external_id: 'u' }, 'production');
    await w.store.insertEvents([stored(idAt(1), { user })], NOW);
    expect((await w.get(`/v1/events/${idAt(1)}`)).body.data.user).toEqual({ external_id: 'u' });
    expect((await w.get('/v1/events')).body.data[0].user).toEqual({ external_id: 'u' });
  });

  test('hides a user that cannot be opened, and nothing else', async () => {
    const w = await withEvents(1, () => ({ user: 'v1.AAAA' }));
    expect((await w.get(`/v1/events/${idAt(0)}`)).body.data).toMatchObject({ name: 'a/b', user: null });
    expect(w.log.lines).toHaveLength(1);
    w.deps.seal = null;
    expect((await w.get(`/v1/events/${idAt(0)}`)).status).toBe(200);
  });

  test('400 for what is no id, 404 for an unknown one and for one of another environment (RA-9)', async () => {
    const w = apiWorld();
    await w.store.insertEvents([stored(idAt(1), { env: 'other' })], NOW);
    expect(await w.get('/v1/events/bad')).toEqual({
      status: 400,
      body: { error: 'Invalid event ID: bad', data: null, status: 400 },
    });
    const missing = { status: 404, body: { error: 'Event not found', data: null, status: 404 } };
    expect(await w.get(`/v1/events/${idAt(1)}`)).toEqual(missing);
    expect(await w.get(`/v1/events/${idAt(2)}`)).toEqual(missing);
  });
});

describe('GET /v1/events', () => {
  test('answers the newest first, 50 of them (RA-8)', async () => {
    const { body } = await (await withEvents(51)).get('/v1/events');
    expect(names(body)).toEqual(Array.from({ length: 50 }, (_, n) => idAt(50 - n)));
  });

  test('goes on after a cursor (RA-8)', async () => {
    const { body } = await (await withEvents(5)).get(`/v1/events?limit=2&cursor=${idAt(3)}`);
    expect(names(body)).toEqual([idAt(2), idAt(1)]);
  });

  test('takes a name (RA-8)', async () => {
    const w = await withEvents(3, (n) => ({ name: n === 1 ? 'x/y z' : 'a/b' }));
    expect(names((await w.get('/v1/events?name=x%2Fy%20z')).body)).toEqual([idAt(1)]);
    expect(names((await w.get('/v1/events?name=')).body)).toHaveLength(3);
  });

  test('reaches back one hour when nothing else is said (RA-8)', async () => {
    const ages = [HOUR - 1, HOUR + 1];
    const w = await withEvents(2, (n) => ({ receivedAt: NOW - (ages[n] ?? 0) }));
    expect(names((await w.get('/v1/events')).body)).toEqual([idAt(0)]);
    const after = encodeURIComponent(iso(NOW - 2 * HOUR));
    expect(names((await w.get(`/v1/events?received_after=${after}`)).body)).toEqual([idAt(1), idAt(0)]);
    const before = encodeURIComponent(iso(NOW - HOUR));
    const path = `/v1/events?received_after=${after}&received_before=${before}`;
    expect(names((await w.get(path)).body)).toEqual([idAt(1)]);
  });

  test.each([
    '2026-11-20T11:00:00Z',
    '2026-11-20T11:00:00.123456Z',
    '2026-11-20t11:00:00z',
    '2026-11-20T12:00:00%2B01:00',
    '2026-11-20T12:00:00+01:00',
    '2026-11-20T06:00:00-05:00',
  ])('received_after=%s is a time', async (text) => {
    expect((await apiWorld().get(`/v1/events?received_after=${text}`)).status).toBe(200);
  });

  test.each([
    ['limit=0', 'limit: expected a whole number from 1 to 100'],
    ['limit=101', 'limit: expected a whole number from 1 to 100'],
    ['limit=-1', 'limit: expected a whole number from 1 to 100'],
    ['limit=1.5', 'limit: expected a whole number from 1 to 100'],
    ['limit=ten', 'limit: expected a whole number from 1 to 100'],
    ['limit=', 'limit: expected a whole number from 1 to 100'],
    ['cursor=x', 'cursor: expected the internal id of an event'],
    ['received_after=yesterday', 'received_after: expected an RFC 3339 time'],
    ['received_after=2026-11-20', 'received_after: expected an RFC 3339 time'],
    ['received_after=1700000000000', 'received_after: expected an RFC 3339 time'],
    ['received_after=2026-13-20T11:00:00Z', 'received_after: expected an RFC 3339 time'],
    ['received_before=', 'received_before: expected an RFC 3339 time'],
  ])('?%s gets 400 (RA-8)', async (query, error) => {
    expect(await apiWorld().get(`/v1/events?${query}`)).toEqual({
      status: 400,
      body: { error, data: null, status: 400 },
    });
  });

  test.each(['limit=1', 'limit=100', 'unknown=1'])('?%s is fine', async (query) => {
    expect((await apiWorld().get(`/v1/events?${query}`)).status).toBe(200);
  });
});

describe('GET /v1/events/:id/runs', () => {
  const summary = (runId: string, output: string | null) => ({
    runId,
    env: 'production',
    functionId: 'app-f',
    eventId: idAt(1),
    status: 'Completed' as const,
    queuedAt: NOW,
    endedAt: NOW + 1_234,
    output,
  });

  test('answers its runs in the shape of the protocol (RA-11, RA-12)', async () => {
    const w = apiWorld();
    await closeRuns(w.store, [summary(idAt(7), '{"ok":true}')]);
    const { body } = await w.get(`/v1/events/${idAt(1)}/runs`);
    expect(body.data).toEqual([
      {
        run_id: idAt(7),
        run_started_at: iso(NOW),
        function_id: expect.stringMatching(UUID),
        function_version: 0,
        environment_id: expect.stringMatching(UUID),
        event_id: idAt(1),
        batch_id: null,
        original_run_id: null,
        cron: null,
        status: 'Completed',
        ended_at: iso(NOW + 1_234),
        output: { ok: true },
      },
    ]);
  });

  test('reads an output that the index does not hold from the run', async () => {
    const w = apiWorld();
    await closeRuns(w.store, [summary(idAt(7), null)]);
    w.runs.views.set(idAt(7), view(idAt(7), { output: 'large' }));
    expect((await w.get(`/v1/events/${idAt(1)}/runs`)).body.data[0].output).toBe('large');
  });

  test('is empty for an event that is not known (yet), 400 for what is no id', async () => {
    expect((await apiWorld().get(`/v1/events/${idAt(1)}/runs`)).body.data).toEqual([]);
    expect((await apiWorld().get('/v1/events/bad/runs')).status).toBe(400);
  });
});

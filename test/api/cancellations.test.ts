import { describe, expect, test } from 'vitest';
import { NOW } from '../ingest/world.ts';
import { apiWorld, AUTH, type Answer } from './world.ts';

const iso = (ms: number): string => new Date(ms).toISOString();
const ASKED = { app_id: 'app', function_id: 'f', started_before: iso(NOW) };

function world() {
  const w = apiWorld();
  const post = async (body: unknown, headers: Record<string, string> = AUTH) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await w.call('POST', '/v1/cancellations', { headers, body: text });
    return { status: response.status, body: (await response.json()) as Answer };
  };
  return { ...w, post };
}

describe('/v1/cancellations', () => {
  test('one is made, listed and taken back, and a sweep is sure to come (BC-1, BC-3, BC-10)', async () => {
    const w = world();
    const asked = { ...ASKED, started_after: iso(NOW - 9), if: "event.data.team == 'a'" };
    const { status, body } = await w.post(asked);
    expect([status, w.sweeps.armed]).toEqual([200, 1]);
    expect(body.data).toMatchObject({
      id: expect.stringMatching(/^[0-9A-Z]{26}$/),
      function_id: 'app-f',
      started_after: iso(NOW - 9),
      started_before: iso(NOW),
      if: asked.if,
      created_at: iso(NOW),
      kind: 'api',
      name: null,
      status: 'Running',
      ended_at: null,
      matched: 0,
      cancelled: 0,
    });
    // BC-4.
    expect(body).toMatchObject(body.data);
    expect((await w.get('/v1/cancellations')).body.data).toEqual([body.data]);
    const path = `/v1/cancellations/${body.data.id}`;
    expect((await w.get(path, 'DELETE')).body.data).toEqual({ ok: true });
    expect((await w.get(path, 'DELETE')).status).toBe(404);
    expect((await w.get('/v1/cancellations')).body.data).toEqual([]);
  });

  test('no lower bound is none, and the id of the function may have that of its app before it (BC-2)', async () => {
    const { body } = await world().post({ ...ASKED, function_id: 'app-f', started_after: null, if: null });
    expect(body.data).toMatchObject({ function_id: 'app-f', started_after: null });
    expect(body.data).not.toHaveProperty('if');
  });

  test('lists are bounded', async () => {
    const w = world();
    for (let n = 0; n < 3; n++) await w.post(ASKED);
    const all = (await w.get('/v1/cancellations')).body.data.map(({ id }: { id: string }) => id);
    const page = (await w.get(`/v1/cancellations?limit=1&cursor=${all[0]}`)).body.data;
    expect(page.map(({ id }: { id: string }) => id)).toEqual([all[1]]);
    expect((await w.get('/v1/cancellations?limit=101')).body.error).toMatch(/^limit: expected a whole/);
    expect((await w.get('/v1/cancellations?cursor=x')).status).toBe(400);
    expect((await w.get('/v1/cancellations/x', 'DELETE')).status).toBe(400);
  });

  test.each([
    ['{', 400, 'the body is not valid JSON'],
    ['[]', 400, 'the body: expected an object'],
    [{}, 400, /app_id: expected a text; function_id: expected a text; started_before: expected a text/],
    [{ ...ASKED, started_before: 'today' }, 400, 'started_before: expected an RFC 3339 time'],
    [{ ...ASKED, started_after: 5 }, 400, 'started_after: expected a text'],
    [{ ...ASKED, started_after: iso(NOW) }, 400, /^started_after: expected a time before started_before/],
    [{ ...ASKED, if: 'event.data ==' }, 400, /^if: /],
    [{ ...ASKED, if: 5 }, 400, 'if: expected an expression'],
    [{ ...ASKED, function_id: 'g' }, 404, 'Function not found'],
    [{ ...ASKED, app_id: 'other' }, 404, 'Function not found'],
  ])('refuses %j (BC-6)', async (body, status, error) => {
    const w = world();
    const answer = await w.post(body);
    const expected = typeof error === 'string' ? error : expect.stringMatching(error);
    expect(answer).toEqual({ status, body: { error: expected, data: null, status } });
    expect(await w.cancellations.open(9)).toEqual([]);
  });

  test('is closed without a key', async () => {
    expect((await world().post(ASKED, {})).status).toBe(401);
  });
});

import { describe, expect, test } from 'vitest';
import { idAt, NOW } from '../ingest/world.ts';
import { apiWorld } from './world.ts';

const EVENT = JSON.stringify({ name: 'a/b' });

async function post(w: ReturnType<typeof apiWorld>, path: string, body: string = EVENT, headers = {}) {
  const response = await w.call('POST', path, { body, headers });
  return { status: response.status, headers: response.headers, body: await response.json<unknown>() };
}

describe('POST /e/:key', () => {
  test('answers 200 with ids and status (EA-4, EA-5)', async () => {
    const w = apiWorld();
    const { status, body } = await post(w, '/e/event-key', JSON.stringify([{ name: 'a' }, { name: 'b' }]));
    expect(status).toBe(200);
    expect(body).toEqual({ ids: [expect.stringMatching(/^[0-9A-Z]{26}$/), expect.any(String)], status: 200 });
  });

  test.each([
    ['a trailing slash (EA-29)', '/e/event-key/'],
    ['doubled slashes (wire 1.2)', '//e//event-key'],
    ['escapes in the path', '/e/event%2Dkey'],
  ])('takes %s', async (_, path) => {
    expect(await post(apiWorld(), path)).toMatchObject({ status: 200 });
  });

  test.each(['application/json', 'application/x-www-form-urlencoded', 'text/plain', 'nonsense'])(
    'reads JSON whatever the content type: %s (EA-3)',
    async (type) => {
      expect(await post(apiWorld(), '/e/event-key', EVENT, { 'content-type': type })).toMatchObject({
        status: 200,
      });
    },
  );

  test.each([
    ['an unknown key (EA-15)', '/e/other'],
    ['no key (EA-29)', '/e/'],
    ['not even a slash (EA-29)', '/e'],
  ])('%s gets 401 in these words', async (_, path) => {
    const w = apiWorld();
    const { status, body } = await post(w, path);
    expect([status, body]).toEqual([401, { error: 'Event key not found', status: 401 }]);
    expect(w.events.sent).toEqual([]);
  });

  test('without configured keys everything is refused (EK-14)', async () => {
    expect(await post(apiWorld({ eventKeys: [] }), '/e/event-key')).toMatchObject({ status: 401 });
  });

  test('development takes any key (EA-27, EA-28), but needs one', async () => {
    const w = apiWorld({ dev: true, eventKeys: [] });
    expect(await post(w, '/e/NO_EVENT_KEY_SET')).toMatchObject({ status: 200 });
    expect(await post(w, '/e/')).toMatchObject({ status: 401 });
  });

  test('the signing key is no event key', async () => {
    expect(await post(apiWorld(), '/e/signkey-prod-0123456789abcdef')).toMatchObject({ status: 401 });
  });

  test.each(['x-inngest-env: feature/x'])(
    'a key stays with its environment, whatever the header says: %s (EA-21)',
    async () => {
      const w = apiWorld();
      await post(w, '/e/event-key', EVENT, { 'x-inngest-env': 'feature/x' });
      expect(w.events.sent).toMatchObject([{ events: [{ env: 'production' }] }]);
    },
  );

  test('takes the seed from its header (EA-25)', async () => {
    const headers = { 'x-inngest-event-id-seed': `${NOW},AAAAAAAAAAAAAA==` };
    const { body } = await post(apiWorld(), '/e/event-key', EVENT, headers);
    expect(body).toEqual({ ids: [idAt(1)], status: 200 });
  });

  test.each([
    ['one event', EVENT.replace('a/b', '')],
    ['several', `[{"name":""}]`],
  ])('a bad event gets 400, with its index: %s (EA-14, EA-16)', async (_, text) => {
    const { status, body } = await post(apiWorld(), '/e/event-key', text);
    expect([status, body]).toEqual([
      400,
      { ids: [], error: 'events[0].name: event name is empty', status: 400 },
    ]);
  });

  test('too large a body gets 413', async () => {
    const { status, body } = await post(apiWorld(), '/e/event-key', ' '.repeat(3 * 1024 * 1024 + 1));
    expect([status, body]).toMatchObject([413, { status: 413, error: expect.any(String) }]);
  });

  test('neither place has it: 503 with Retry-After', async () => {
    const w = apiWorld();
    w.faults.set('insertEvents', () => Promise.reject(new Error('down')));
    w.events.behaviour = 'refuses';
    const { status, headers, body } = await post(w, '/e/event-key');
    expect([status, headers.get('retry-after'), body]).toMatchObject([503, '5', { status: 503 }]);
  });

  test('an accepted event is found at once by its id (EA-9)', async () => {
    const w = apiWorld();
    const { body } = await post(w, '/e/event-key', '{"name":"a/b","id":"mine"}');
    const [id] = (body as { ids: string[] }).ids;
    expect((await w.get(`/v1/events/${id}`)).body.data).toMatchObject({ internal_id: id, id: 'mine' });
    expect((await w.get(`/v1/events/${id}/runs`)).body.data).toEqual([]);
  });

  test.each(['GET', 'PUT', 'DELETE', 'PATCH', 'HEAD'])('%s gets 405 with Allow (EA-19)', async (method) => {
    for (const path of ['/e/event-key', '/e/event-key/', '/e/', '/e']) {
      const response = await apiWorld().call(method, path);
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST, OPTIONS']);
    }
  });

  test('OPTIONS gets permissive CORS (EA-19)', async () => {
    const response = await apiWorld().call('OPTIONS', '/e/event-key', {
      headers: {
        origin: 'https://x.example',
        'access-control-request-headers': 'content-type,x-inngest-env',
      },
    });
    expect(response.ok).toBe(true);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': expect.stringContaining('POST'),
      'access-control-allow-headers': 'content-type,x-inngest-env',
      'access-control-max-age': '3600',
    });
    expect(response.headers.has('access-control-allow-credentials')).toBe(false);
  });
});

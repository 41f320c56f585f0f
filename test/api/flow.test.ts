import { describe, expect, test } from 'vitest';
import { functionConfig } from '../../src/protocol/function.ts';
import { NOW } from '../ingest/world.ts';
import { type Answer, apiWorld, AUTH } from './world.ts';
import { registryOf } from '../fakes/registry.ts';

const PATH = '/v1/functions/app-limited/flow';
const limited = functionConfig.parse({
  id: 'app-limited',
  name: 'limited',
  triggers: [{ event: 'a/b' }],
  throttle: { limit: 10, period: '60s' },
  concurrency: [
    { limit: 5, key: 'event.data.tenant' },
    { limit: 50, key: '"llm"', scope: 'env' },
  ],
});

function flowWorld() {
  const w = apiWorld();
  w.deps.functions = registryOf((env) => (env === 'production' ? [limited] : []));
  const send = async (method: string, body: unknown): Promise<{ status: number; body: Answer }> => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await w.call(method, PATH, { headers: AUTH, body: text });
    return { status: response.status, body: (await response.json()) as Answer };
  };
  return { ...w, send };
}

describe('GET /v1/functions/:id/flow', () => {
  test('shows what is configured and how each line stands', async () => {
    const w = flowWorld();
    const line = { policy: 'concurrency' as const, key: 's:acme', inUse: 5, holders: ['R1'], waiting: 7 };
    w.limits.state = [{ ...line, nextAt: null }];
    const { status, body } = await w.get(PATH);
    expect(status).toBe(200);
    expect(body.data.limits).toEqual([
      { policy: 'throttle', scope: 'fn', n: 0, limit: 10, period: '60s', burst: 1 },
      { policy: 'concurrency', scope: 'fn', n: 0, limit: 5, key: 'event.data.tenant' },
      { policy: 'concurrency', scope: 'env', n: 1, limit: 50, key: '"llm"' },
    ]);
    expect(w.limits.asked.map(({ scope }) => scope)).toEqual(['fn', 'env']);
    expect(body.data.lines[0]).toEqual({
      scope: 'fn',
      policy: 'concurrency',
      key: 's:acme',
      in_use: 5,
      holders: ['R1'],
      waiting: 7,
      next_at: null,
    });
  });

  test('says when the next start of a throttled line is', async () => {
    const w = flowWorld();
    w.limits.state = [
      { policy: 'throttle', key: '', inUse: 0, holders: [], waiting: 3, nextAt: NOW + 6_000 },
    ];
    const { body } = await w.get(PATH);
    expect(body.data.lines[0].next_at).toBe(new Date(NOW + 6_000).toISOString());
  });

  test.each(['GET', 'PUT', 'DELETE'])('%s of a function that is not there is 404', async (method) => {
    const { status, body } = await apiWorld().get('/v1/functions/app-none/flow', method);
    expect([status, body]).toEqual([404, { error: 'Function not found', data: null, status: 404 }]);
  });

  test('is closed without a key', async () => {
    const w = flowWorld();
    for (const method of ['GET', 'PUT', 'DELETE']) expect((await w.call(method, PATH)).status).toBe(401);
    expect(w.limits.changed).toEqual([]);
  });
});

describe('PUT and DELETE', () => {
  test('change one key, all keys, or take a change back', async () => {
    const w = flowWorld();
    const of = { env: 'production', functionId: 'app-limited' };
    await w.send('PUT', { policy: 'concurrency', key: 's:acme', limit: 1 });
    await w.send('PUT', { policy: 'concurrency', n: 1, paused: true });
    await w.send('PUT', { policy: 'throttle', limit: 2, period: '1m', burst: 3 });
    await w.send('DELETE', { policy: 'concurrency', key: 's:acme' });
    expect(w.limits.changed).toEqual([
      [{ ...of, policy: 'concurrency', scope: 'fn', n: 0, key: 's:acme' }, { limit: 1 }],
      [{ ...of, policy: 'concurrency', scope: 'env', n: 1, key: null }, { isPaused: true }],
      [
        { ...of, policy: 'throttle', scope: 'fn', n: 0, key: null },
        { limit: 2, period: 60_000, burst: 3 },
      ],
      [{ ...of, policy: 'concurrency', scope: 'fn', n: 0, key: 's:acme' }, null],
    ]);
  });

  test.each([
    ['no JSON', '{', 'the body is not valid JSON'],
    ['another policy', { policy: 'rateLimit', limit: 1 }, 'policy: expected "throttle" or "concurrency"'],
    ['a limit of 0', { policy: 'concurrency', limit: 0 }, 'limit: expected a whole number, 1 or more'],
    ['a fraction', { policy: 'throttle', limit: 1.5 }, 'limit: expected a whole number, 1 or more'],
    [
      'a short period',
      { policy: 'throttle', period: '1ms' },
      'period: expected a duration from 1 second to 7 days',
    ],
    ['nothing to change', { policy: 'throttle' }, 'expected at least one of limit, period, burst and paused'],
    [
      'a limit that the function has not',
      { policy: 'concurrency', n: 4, limit: 1 },
      'no concurrency limit number 4',
    ],
    ['a period of concurrency', { policy: 'concurrency', period: '1m' }, 'only a throttle has them'],
    ['an unknown field', { policy: 'throttle', limit: 1, rate: 2 }, 'rate'],
  ])('answer 400 to %s, and change nothing', async (_, body, error) => {
    const w = flowWorld();
    const answer = await w.send('PUT', body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toContain(error);
    expect(w.limits.changed).toEqual([]);
  });
});

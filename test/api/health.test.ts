import { describe, expect, test } from 'vitest';
import { settle } from '../ingest/world.ts';
import { apiWorld, AUTH, type Answer } from './world.ts';

const ZERO = { alarms: 0, asks: 0, reports: 0, events: 0 };

describe('GET /v1/health', () => {
  test('says that all answer, how much waits, and that nothing had to be repaired', async () => {
    expect(await apiWorld().get('/v1/health')).toEqual({
      status: 200,
      body: {
        status: 200,
        version: '1.2.3',
        database: 'ok',
        queue: 'ok',
        sweeper: 'ok',
        backlog: 3,
        repairs: ZERO,
      },
    });
  });

  test('counts what was repaired, which is nothing that must be mended now', async () => {
    const w = apiWorld();
    w.deps.sweeps.repairs = async () => ({ ...ZERO, alarms: 2 });
    const { status, body } = await w.get('/v1/health');
    expect([status, body.repairs]).toEqual([200, { ...ZERO, alarms: 2 }]);
  });

  test.each([
    ['database', 'nextCheck', { repairs: ZERO, backlog: 3 }],
    ['queue', 'backlog', { repairs: ZERO, backlog: null }],
    ['sweeper', 'repairs', { repairs: null, backlog: 3 }],
  ])('is 503 where the %s fails, and says which (HOST-17)', async (who, method, others) => {
    const w = apiWorld();
    const fails = () => Promise.reject(new Error('secret-value'));
    if (method === 'nextCheck') w.faults.set('nextCheck', fails);
    if (method === 'backlog') w.deps.eventQueue.backlog = fails;
    if (method === 'repairs') w.deps.sweeps.repairs = fails;
    const { status, body } = await w.get('/v1/health');
    expect([status, body]).toMatchObject([503, { status: 503, [who]: 'no answer', ...others }]);
    expect(JSON.stringify(body)).not.toContain('secret');
    expect(w.log.lines).toHaveLength(1);
  });

  test('is 503 where one does not answer in time', async () => {
    const w = apiWorld();
    w.deps.eventQueue.backlog = () => new Promise<number>(() => undefined);
    const asked = w.call('GET', '/v1/health', { headers: AUTH });
    await settle();
    await w.timers.fire();
    const answer = await asked;
    const body: Answer = await answer.json();
    expect([answer.status, body.queue, body.database]).toEqual([503, 'no answer', 'ok']);
  });
});

/** Bulk cancellations on D1, and from the front door to the runs. */
import { runDurableObjectAlarm } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { describe, expect, test, vi } from 'vitest';
import { d1Cancellations } from '../../src/store/cancellations.ts';
import { cancellationsContract } from '../contracts/cancellations.ts';
import { programs } from './worker.ts';
import { endedRunsOf, NOW, runsOf, send, timeStandsStill, until } from './world.ts';

cancellationsContract('D1', async () => {
  await env.DB.prepare('delete from cancellation').run();
  return d1Cancellations(env.DB);
});

describe('over the API', () => {
  timeStandsStill();

  const ask = async (method: string, path: string, body?: object) => {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const response = await exports.default.fetch(`https://stepwell.test${path}`, init);
    return { status: response.status, body: await response.json<{ data: Record<string, unknown> }>() };
  };

  test('the runs that fit are cancelled, others go on, and the history tells how many (BC-1, BC-5, BC-7, BC-12)', async () => {
    await env.DB.prepare('delete from cancellation').run();
    programs.set('sleepy', ({ step }) => step.sleep('long', '1h'));
    const events = await send(
      ['a', 'a', 'b'].map((team) => ({ name: 'test/program', data: { program: 'sleepy', team } })),
    );
    for (const id of events)
      await until(async () => ((await runsOf(id)).length === 1 ? true : null), 'the start of the run');
    const made = await ask('POST', '/v1/cancellations', {
      app_id: 'test',
      function_id: 'program',
      started_before: new Date(NOW + 1).toISOString(),
      if: "event.data.team == 'a'",
    });
    expect(made).toMatchObject({
      status: 200,
      body: { data: { function_id: 'test-program', cancelled: 0 } },
    });
    await runDurableObjectAlarm(env.SWEEPER.get(env.SWEEPER.idFromName('sweeper')));
    for (const id of events.slice(0, 2))
      expect(await endedRunsOf(id)).toMatchObject([{ status: 'Cancelled' }]);
    expect(await runsOf(events[2] ?? '')).toMatchObject([{ status: 'Running' }]);
    const listed = async () => (await ask('GET', '/v1/cancellations')).body.data;
    expect(await listed()).toMatchObject([{ status: 'Running', matched: 2, cancelled: 2 }]);
    // Once nothing that was queued in its range can be missing from the index.
    vi.setSystemTime(NOW + 61_001);
    await runDurableObjectAlarm(env.SWEEPER.get(env.SWEEPER.idFromName('sweeper')));
    expect(await listed()).toMatchObject([{ status: 'Completed', matched: 2, cancelled: 2 }]);
  });
});

/** The sweeper in its object: it stays armed, and it closes every gap that a crash can leave. */
import { createExecutionContext, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createWorker } from '../../src/engine.ts';
import { objectSweeps } from '../../src/objects.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/lib/time.ts';
import { d1Store } from '../../src/store/d1.ts';
import {
  alarmOf,
  anEvent,
  calm,
  endedRunsOf,
  finish,
  Gate,
  newId,
  NOW,
  objectOf,
  runRow,
  runsOf,
  send,
  sendThrough,
  stubOf,
  timeStandsStill,
  unique,
  until,
} from './world.ts';
import { apps, programs } from './worker.ts';

timeStandsStill();

const store = d1Store(env.DB, { retention: 30 * DAY });

function sweeper(): DurableObjectStub {
  return env.SWEEPER.get(env.SWEEPER.idFromName('sweeper'));
}

/** Lets so much time pass, and sweeps. */
async function sweepAfter(ms: number): Promise<void> {
  vi.setSystemTime(Date.now() + ms);
  await objectSweeps(env).arm();
  await runDurableObjectAlarm(sweeper());
}

/** What other tests left behind is none of a test's business. */
afterEach(async () => {
  await runInDurableObject(sweeper(), (_, { storage }) => storage.deleteAlarm());
  for (const table of ['event', 'event_part', 'event_key', 'run'])
    await env.DB.prepare(`delete from ${table}`).run();
});

describe('being armed', () => {
  test('the first event does it, and so does every cron; again changes nothing', async () => {
    const worker = createWorker({ apps });
    await worker.fetch(
      new Request('https://stepwell.test/e/key', { method: 'POST', body: '{"name":"x"}' }),
      env,
      createExecutionContext(),
    );
    expect(await alarmOf(sweeper())).toBe(NOW + 5 * SECOND);
    vi.setSystemTime(NOW + SECOND);
    await worker.scheduled({} as ScheduledController, env);
    expect(await alarmOf(sweeper())).toBe(NOW + 5 * SECOND);
    await runInDurableObject(sweeper(), (_, { storage }) => storage.deleteAlarm());
    await worker.scheduled({} as ScheduledController, env);
    expect(await alarmOf(sweeper())).toBe(NOW + 6 * SECOND);
  });

  test('a sweep sets the next one: soon while there is something to do, in a minute otherwise', async () => {
    await sweepAfter(MINUTE);
    expect(await alarmOf(sweeper())).toBe(Date.now() + MINUTE);
    await store.insertEvents(
      [anEvent({ name: 'nobody/listens', receivedAt: Date.now() - MINUTE })],
      Date.now(),
    );
    await runDurableObjectAlarm(sweeper());
    expect(await alarmOf(sweeper())).toBe(Date.now() + 5 * SECOND);
  });

  test('a sweep that fails, or is killed half-way, is followed by another; alarm() does not throw', async () => {
    await env.DB.prepare('alter table event rename to event_away').run();
    try {
      await sweepAfter(MINUTE);
      expect(await alarmOf(sweeper())).toBe(Date.now() + 5 * SECOND);
    } finally {
      await env.DB.prepare('alter table event_away rename to event').run();
    }
    const sweeping = runDurableObjectAlarm(sweeper()).catch(() => undefined);
    await runInDurableObject(sweeper(), (_, state) => state.abort('crash')).catch(() => undefined);
    await sweeping;
    expect(await alarmOf(sweeper())).toBeGreaterThan(Date.now());
  });
});

describe('gaps', () => {
  test('an event that is stored and was never dispatched gets its runs (EA-10)', async () => {
    const event = anEvent({ name: 'test/both' });
    await store.insertEvents([event], Date.now());
    await sweepAfter(4 * SECOND);
    expect(await runsOf(event.internalId)).toEqual([]);
    await sweepAfter(2 * SECOND);
    expect(await endedRunsOf(event.internalId, 2)).toHaveLength(2);
  });

  test('an event that is being retried is not sent at every sweep', async () => {
    const event = anEvent({ name: 'test/both' });
    await store.insertEvents([event], Date.now());
    await sweepAfter(6 * SECOND);
    await endedRunsOf(event.internalId, 2);
    await env.DB.prepare('update event set dispatched_at = null where internal_id = ?')
      .bind(event.internalId)
      .run();
    await sweepAfter(6 * SECOND);
    expect(await env.DB.prepare('select dispatched_at from event').first('dispatched_at')).toBeNull();
    await sweepAfter(30 * SECOND);
    await until(async () => await env.DB.prepare('select dispatched_at from event').first('dispatched_at'));
  });

  test('a run whose alarm was lost is woken (SL-6)', async () => {
    const program = unique('unarmed');
    const entered = new Gate<string>();
    programs.set(program, async ({ runId, step }) => {
      entered.open(runId);
      await step.sleep('nap', '1h');
      return 'woke';
    });
    const [id = ''] = await send({ name: 'test/program', data: { program } });
    const runId = await entered.passed();
    await calm(runId);
    await until(async () => (await runsOf(id))[0] ?? null, "the run's row");
    const repaired = async () => {
      const health = await exports.default.fetch('https://stepwell.test/v1/health');
      const body = await health.json<{ status: number; repairs: { alarms: number } }>();
      expect(body).toMatchObject({ status: 200, database: 'ok', queue: 'ok', sweeper: 'ok' });
      return body.repairs.alarms;
    };
    const before = await repaired();
    await runInDurableObject(stubOf(runId), (_, { storage }) => storage.deleteAlarm());
    // Asked before its time, it sets the alarm again; asked after it, it wakes.
    await sweepAfter(40 * SECOND);
    expect(await alarmOf(stubOf(runId))).toBe(NOW + HOUR);
    await runInDurableObject(stubOf(runId), (_, { storage }) => storage.deleteAlarm());
    await sweepAfter(2 * HOUR);
    expect(await endedRunsOf(id)).toMatchObject([{ status: 'Completed', output: 'woke' }]);
    expect((await repaired()) - before).toBe(2);
  });

  test('a run whose end the index was not told of is asked (RN-3)', async () => {
    const program = unique('untold');
    programs.set(program, () => 'told');
    const [id = ''] = await send({ name: 'test/program', data: { program } });
    const [run] = await endedRunsOf(id);
    await env.DB.prepare(`update run set status = 'Running', ended_at = null, output = null, check_at = ?`)
      .bind(NOW + 30 * SECOND)
      .run();
    await sweepAfter(31 * SECOND);
    expect(await runRow(run?.run_id ?? '')).toMatchObject({ status: 'Completed', output: '"told"' });
  });

  test('a run that its object does not know, or that cannot be asked, is asked again later', async () => {
    const runId = newId();
    await env.DB.prepare(
      `insert into run values (?, 'dev', 'test-program', ?, 'Running', ?, null, ?, null, null)`,
    )
      .bind(runId, newId(), NOW, NOW)
      .run();
    await sweepAfter(MINUTE);
    expect(await runRow(runId)).toMatchObject({ status: 'Running', check_at: Date.now() + MINUTE });
  });

  test('what is older than it is kept for goes, and its object is emptied (EVT-38)', async () => {
    const program = unique('old');
    programs.set(program, () => 'old');
    const [id = ''] = await send({ name: 'test/program', data: { program } });
    const [run] = await endedRunsOf(id);
    const runId = run?.run_id ?? '';
    await sweepAfter(29 * DAY);
    expect(await objectOf(runId).read()).not.toBeNull();
    await sweepAfter(2 * DAY);
    expect(await runRow(runId)).toBeNull();
    expect(await env.DB.prepare('select * from event where internal_id = ?').bind(id).first()).toBeNull();
    expect(await objectOf(runId).read()).toBeNull();
    expect(
      await runInDurableObject(stubOf(runId), (_, { storage }) => storage.sql.databaseSize),
    ).toBeLessThan(20_000);
  });

  test('a run that sleeps for longer than anything is kept can be found by its id, and wakes on time (RN-8)', async () => {
    const program = unique('hibernating');
    const entered = new Gate<string>();
    programs.set(program, async ({ event, runId, step }) => {
      entered.open(runId);
      await step.sleep('winter', '60d');
      return (event.data as { food: string }).food;
    });
    const [id = ''] = await sendThrough({ name: 'test/program', data: { program, food: 'nuts' } });
    const runId = await entered.passed();
    await calm(runId);
    await sweepAfter(40 * DAY);
    expect(await env.DB.prepare('select * from event where internal_id = ?').bind(id).first()).toBeNull();
    const found = async () => (await exports.default.fetch(`https://stepwell.test/v1/runs/${runId}`)).json();
    expect(await found()).toMatchObject({ data: { status: 'Running' } });
    expect(await alarmOf(stubOf(runId))).toBe(NOW + 60 * DAY);
    expect(await finish(runId)).toMatchObject({ status: 'Completed', output: 'nuts' });
    expect(await found()).toMatchObject({ data: { status: 'Completed', output: 'nuts' } });
  });
});

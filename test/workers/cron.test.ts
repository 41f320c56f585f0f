/** The timers of cron functions in their object: real rows, a real alarm, and the way from a tick to the end of its run. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createWorker } from '../../src/engine.ts';
import { objectCrons } from '../../src/objects.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/lib/time.ts';
import { d1Store } from '../../src/store/d1.ts';
import { alarmOf, endedRunsOf, NOW, send, timeStandsStill, turn, until } from './world.ts';
import { apps } from './worker.ts';

timeStandsStill();

/** Each test has an hour of its own: a tick's run has the same id wherever it is planned, and its object remembers. */
let start = NOW;
beforeEach(() => void vi.setSystemTime((start += HOUR)));

const PERIOD = 5 * MINUTE;
const CRON = 'TZ=Europe/Paris */5 * * * *';
const store = d1Store(env.DB, { retention: 30 * DAY });

function timers(): DurableObjectStub {
  return env.CRON.get(env.CRON.idFromName('dev'));
}

async function everyMinute(): Promise<void> {
  await createWorker({ apps }).scheduled({} as ScheduledController, env);
}

async function crash(): Promise<void> {
  await runInDurableObject(timers(), (_, state) => state.abort('crash')).catch(() => undefined);
}

/** Lets time pass until so long after the alarm, and fires it. */
async function fire(late = 0): Promise<void> {
  const at = await alarmOf(timers());
  if (at === null) throw new Error('no tick is planned');
  vi.setSystemTime(at + late);
  await runDurableObjectAlarm(timers());
}

async function ticks(): Promise<{ id: string; ts: number }[]> {
  const events = await store.listEvents({
    env: 'dev',
    name: 'inngest/scheduled.timer',
    receivedAfter: 0,
    limit: 100,
  });
  return events.map(({ event }) => ({ id: event.internalId, ts: event.ts })).toReversed();
}

async function storedTicks(count: number): Promise<{ id: string; ts: number }[]> {
  return until(async () => {
    const stored = await ticks();
    return stored.length === count ? stored : null;
  }, `${count} ticks`);
}

/** What other tests left behind is none of a test's business: the memory of what was planned neither. */
afterEach(async () => {
  await runInDurableObject(timers(), (_, { storage }) => storage.deleteAll());
  await evictDurableObject(timers());
  for (const table of ['event', 'event_part', 'event_key', 'run'])
    await env.DB.prepare(`delete from ${table}`).run();
});

describe('planning', () => {
  test('is done every minute, and puts right an alarm that is lost (CR-14)', async () => {
    await everyMinute();
    expect(await alarmOf(timers())).toBe(start + PERIOD);
    await runInDurableObject(timers(), (_, { storage }) => storage.deleteAlarm());
    await everyMinute();
    expect(await alarmOf(timers())).toBe(start + PERIOD);
  });

  test('is done by the first event of an isolate too', async () => {
    await send({ name: 'nobody/listens' });
    await until(async () => ((await alarmOf(timers())) === start + PERIOD ? true : null), 'the plan');
  });
});

describe('a tick', () => {
  test('starts its function on time, which sees the scheduled event (CR-10, CR-11, CR-12, SY-15)', async () => {
    await everyMinute();
    await fire();
    const [tick] = await storedTicks(1);
    expect(tick?.ts).toBe(start + PERIOD);
    const [run] = await endedRunsOf(tick?.id ?? '');
    expect(run).toMatchObject({
      status: 'Completed',
      output: { name: 'inngest/scheduled.timer', data: { cron: CRON }, ts: start + PERIOD, id: tick?.id },
    });
    expect(await alarmOf(timers())).toBe(start + 2 * PERIOD);
  });

  test('is stored with the function that it is for, so that a sweep may send it again', async () => {
    await everyMinute();
    await fire();
    const [tick] = await storedTicks(1);
    const [event] = await store.loadEvents([tick?.id ?? '']);
    expect(event?.target).toEqual({ functionId: 'test-timer' });
    await endedRunsOf(tick?.id ?? '');
  });

  test('whose object is evicted or killed before, and killed in the middle, starts one run (CR-12)', async () => {
    await everyMinute();
    await evictDurableObject(timers());
    await crash();
    vi.setSystemTime(start + PERIOD);
    const firing = runDurableObjectAlarm(timers()).catch(() => undefined);
    await crash();
    await firing;
    for (let minutes = 0; minutes < 4; minutes++) {
      await everyMinute();
      vi.setSystemTime(Date.now() + SECOND);
      await runDurableObjectAlarm(timers());
    }
    const [tick] = await storedTicks(1);
    expect(await endedRunsOf(tick?.id ?? '')).toHaveLength(1);
    await turn(50);
    expect(await ticks()).toHaveLength(1);
  });

  test('that was missed starts late, the ones before it are skipped (CR-13)', async () => {
    await everyMinute();
    await fire(3 * PERIOD);
    const [tick] = await storedTicks(1);
    expect(tick?.ts).toBe(start + 4 * PERIOD);
    const skipped = [1, 2, 3].map((n) => ({ at: start + n * PERIOD, cron: CRON }));
    expect(await objectCrons(env).skipped('dev')).toEqual([
      { functionId: 'test-timer', ticks: skipped, more: false },
    ]);
    await endedRunsOf(tick?.id ?? '');
  });
});

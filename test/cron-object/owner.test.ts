import { describe, expect, test } from 'vitest';
import { isUlid, ulidTime } from '../../src/lib/ulid.ts';
import { storedEvent } from '../../src/protocol/event.ts';
import { CronWorld, HOUR, MINUTE, NOW, ticksOf } from './world.ts';

/** The next full minute. */
const FIRST = NOW + 30_000;
const DAY = 24 * HOUR;

/** Time has come to the first tick, and its alarm is about to fire. */
async function atFirst(crons: ConstructorParameters<typeof CronWorld>[0]): Promise<CronWorld> {
  const w = new CronWorld(crons);
  await w.sync();
  w.now = FIRST;
  return w;
}

describe('a tick', () => {
  test('starts its function alone, with the scheduled event (CR-10, CR-11)', async () => {
    const w = new CronWorld({ 'app-f': ['TZ=Europe/Paris * * * * *'], 'app-g': ['0 0 1 1 *'] });
    await w.sync();
    expect(w.alarm).toBe(FIRST);
    w.now = FIRST + 7;
    await w.fire();
    expect(w.taken).toEqual([
      {
        internalId: expect.stringMatching(/./),
        env: 'production',
        name: 'inngest/scheduled.timer',
        data: { cron: 'TZ=Europe/Paris * * * * *' },
        ts: FIRST,
        receivedAt: FIRST + 7,
        target: { functionId: 'app-f' },
      },
    ]);
    expect(storedEvent.parse(w.taken[0])).toEqual(w.taken[0]);
    expect(isUlid(w.taken[0]?.internalId ?? '')).toBe(true);
    expect(ulidTime(w.taken[0]?.internalId ?? '')).toBe(FIRST);
  });

  test('is followed by the next one, for as long as the object lives', async () => {
    const w = new CronWorld({ 'app-f': ['*/15 * * * *'] });
    await w.sync();
    await w.until(NOW + 3 * HOUR);
    expect(w.started()).toEqual(ticksOf(['*/15 * * * *'], NOW, w.now));
    expect(w.taken).toHaveLength(12);
    expect(await w.skipped()).toEqual([]);
    expect(w.errors).toEqual([]);
  });

  test('costs few writes: the plan, the start and its end', async () => {
    const w = await atFirst({ 'app-f': ['* * * * *'] });
    w.writes = 0;
    await w.fire();
    expect(w.writes).toBe(3);
  });

  test('that several schedules of a function name starts one run, by the first of them (CR-5, CR-6)', async () => {
    const crons = ['0 * * * *', 'TZ=Europe/Paris */30 * * * *', 'TZ=UTC 0 * * * *'];
    const w = new CronWorld({ 'app-f': crons });
    await w.sync();
    await w.until(NOW + 2 * HOUR);
    expect(w.taken.map(({ ts, data }) => [ts - FIRST, data['cron']])).toEqual([
      [29 * MINUTE, crons[1]],
      [59 * MINUTE, crons[0]],
      [89 * MINUTE, crons[1]],
      [119 * MINUTE, crons[0]],
    ]);
  });

  test('of many functions starts each of them', async () => {
    const ids = Array.from({ length: 1_200 }, (_, n) => `app-${n}`);
    const w = await atFirst(Object.fromEntries(ids.map((id) => [id, ['* * * * *']])));
    await w.fire();
    expect(new Set(w.taken.map((event) => event.target?.functionId))).toEqual(new Set(ids));
    expect(w.started()).toHaveLength(1_200);
  });

  test('has another id in each function, tick and environment', async () => {
    const w = new CronWorld({ 'app-f': ['* * * * *'], 'app-g': ['* * * * *'] });
    await w.sync();
    await w.until(FIRST + MINUTE);
    expect(new Set(w.taken.map((event) => event.internalId)).size).toBe(4);
  });

  test('with a jitter starts once inside its window, always at the same moment (CR-18)', async () => {
    const w = new CronWorld({ 'app-f': [{ cron: '*/10 * * * *', jitter: '5m' }] });
    await w.sync();
    await w.until(NOW + 10 * HOUR);
    const delays = w.taken.map((event) => event.receivedAt - event.ts);
    expect(w.started()).toEqual(ticksOf(['*/10 * * * *'], NOW, w.now).slice(0, w.taken.length));
    expect(delays).toHaveLength(60);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...delays)).toBeLessThan(5 * MINUTE);
    expect(new Set(delays).size).toBeGreaterThan(50);
    const again = new CronWorld({ 'app-f': [{ cron: '*/10 * * * *', jitter: '5m' }] });
    await again.sync();
    await again.until(NOW + 10 * HOUR);
    expect(again.taken).toEqual(w.taken);
  });

  test('whose windows overlap are none of them skipped (CR-18)', async () => {
    const w = new CronWorld({ 'app-f': [{ cron: '* * * * *', jitter: '5m' }] });
    await w.sync();
    await w.until(NOW + 5 * HOUR);
    expect(await w.skipped()).toEqual([]);
    expect(new Set(w.started()).size).toBe(w.taken.length);
    expect(w.taken.length).toBeGreaterThanOrEqual(295);
  });
});

describe('after an outage', () => {
  test('only the most recent missed tick starts, the older ones are recorded as skipped (CR-13)', async () => {
    const w = new CronWorld({ 'app-f': ['0 * * * *'], 'app-g': ['30 6 * * *'] });
    await w.sync();
    w.now = NOW + 5 * HOUR;
    w.restart();
    await w.fire();
    const missed = ticksOf(['0 * * * *'], NOW, w.now);
    expect(missed).toHaveLength(5);
    expect(w.started()).toEqual(missed.slice(-1));
    expect(await w.skipped()).toEqual([
      {
        functionId: 'app-f',
        ticks: missed.slice(0, -1).map((at) => ({ at, cron: '0 * * * *' })),
        more: false,
      },
    ]);
  });

  test('of any length the latest hundred skipped ticks are kept', async () => {
    const w = new CronWorld({ 'app-f': ['* * * * *'] });
    await w.sync();
    for (const days of [30, 31]) {
      w.now = NOW + days * DAY;
      await w.fire();
      const [skipped] = await w.skipped();
      expect(skipped?.more).toBe(true);
      expect(skipped?.ticks.map(({ at }) => at)).toEqual(
        ticksOf(['* * * * *'], w.now - 101 * MINUTE, w.now - MINUTE),
      );
    }
    expect(w.started()).toHaveLength(2);
  });

  test('a tick missed long ago gets an id of about now: the store looks for ids there', async () => {
    const w = new CronWorld({ 'app-f': ['0 0 1 12 *'] });
    await w.sync();
    const tick = Date.UTC(2026, 11, 1);
    w.now = tick + 200 * DAY;
    await w.fire();
    expect(w.started()).toEqual([tick]);
    expect(w.now - ulidTime(w.taken[0]?.internalId ?? '')).toBe(DAY);
  });

  test('a lost alarm is made up for by the next sync, and one that is there is left alone', async () => {
    const w = new CronWorld({ 'app-f': ['0 * * * *'] });
    await w.sync();
    const planned = w.alarm;
    for (const alarm of [null, (planned ?? 0) + HOUR, NOW - MINUTE]) {
      w.alarm = alarm;
      await w.sync();
      expect(w.alarm).toBe(planned);
    }
    w.now = (planned ?? 0) + 5;
    await w.sync();
    expect(w.alarm).toBe(planned);
    w.now = (planned ?? 0) + MINUTE;
    await w.sync();
    expect(w.alarm).toBe(w.now + 1);
  });

  test('a clock that was put back starts nothing twice', async () => {
    const w = await atFirst({ 'app-f': ['* * * * *'] });
    await w.fire();
    w.now = NOW - HOUR;
    w.restart();
    await w.sync();
    w.alarm = w.now;
    await w.fire();
    await w.until(FIRST + MINUTE);
    expect(w.started()).toEqual([FIRST, FIRST + MINUTE]);
  });
});

describe('an intake', () => {
  test('that takes nothing is asked again soon, and alarm() does not throw', async () => {
    const w = await atFirst({ 'app-f': ['* * * * *'] });
    w.intake = 'refuses';
    await w.fire();
    expect(w.alarm).toBe(FIRST + 5_000);
    expect(w.errors).toHaveLength(1);
    w.intake = 'takes';
    await w.until(FIRST + 30_000);
    expect(w.started()).toEqual([FIRST]);
  });

  test('that took them and gave no answer gets the same events again (CR-12)', async () => {
    const w = await atFirst({ 'app-f': ['* * * * *'] });
    w.intake = 'late';
    await w.fire();
    w.intake = 'takes';
    await w.until(FIRST + 30_000);
    expect(w.taken).toHaveLength(2);
    expect(w.started()).toEqual([FIRST]);
  });

  test('that is down for long gets what it may have had already and the most recent tick (CR-13)', async () => {
    const w = await atFirst({ 'app-f': ['* * * * *'] });
    w.intake = 'refuses';
    await w.until(FIRST + 30 * MINUTE + 1_000);
    w.intake = 'takes';
    await w.until(FIRST + 30 * MINUTE + 30_000);
    expect(w.started()).toEqual([FIRST, FIRST + 30 * MINUTE]);
    const [skipped] = await w.skipped();
    expect(skipped?.ticks.map(({ at }) => at)).toEqual(ticksOf(['* * * * *'], FIRST, FIRST + 29 * MINUTE));
    await w.until(FIRST + 31 * MINUTE);
    expect(w.started()).toHaveLength(3);
  });
});

describe('a deployment', () => {
  test('without crons writes nothing, and sets no alarm', async () => {
    const w = new CronWorld({});
    await w.sync();
    expect(w.writes).toBe(0);
    expect(w.alarm).toBeNull();
    w.alarm = NOW;
    await w.fire();
    expect(await w.skipped()).toEqual([]);
  });

  test('with the same schedules keeps what is planned, and writes nothing (CR-14)', async () => {
    const w = new CronWorld({ 'app-f': ['0 * * * *'] });
    await w.sync();
    w.writes = 0;
    w.now = NOW + 10 * HOUR;
    w.deploy({ 'app-f': ['0 * * * *'] });
    await w.sync();
    expect(w.writes).toBe(0);
    await w.until(w.now + 1_000);
    expect(w.started()).toEqual(ticksOf(['0 * * * *'], NOW, w.now).slice(-1));
    expect((await w.skipped())[0]?.ticks).toHaveLength(9);
  });

  test('with another schedule plans it from now; ticks of the former one are over (CR-14)', async () => {
    const w = new CronWorld({ 'app-f': ['0 * * * *'] });
    await w.sync();
    w.now = NOW + 3 * HOUR;
    w.deploy({ 'app-f': ['15 * * * *'] });
    await w.fire();
    expect(w.taken).toEqual([]);
    expect(w.alarm).toBe(ticksOf(['15 * * * *'], w.now, w.now + HOUR)[0]);
    expect(await w.skipped()).toEqual([]);
  });

  test('that adds a schedule loses no tick of those that stay, though it is noticed only then (CR-12, CR-14)', async () => {
    const w = new CronWorld({ 'app-f': ['0 * * * *'] });
    await w.sync();
    const tick = w.alarm ?? 0;
    w.now = tick;
    w.deploy({ 'app-f': ['*/30 * * * *', '0 * * * *'] });
    await w.until(tick + 31 * MINUTE);
    expect(w.started()).toEqual([tick, tick + 30 * MINUTE]);
  });

  test('of new functions plans them from now', async () => {
    const w = new CronWorld({ 'app-f': ['0 * * * *'] });
    await w.sync();
    w.now = NOW + 2 * HOUR;
    w.deploy({ 'app-f': ['0 * * * *'], 'app-g': ['0 * * * *'] });
    await w.until(w.now + 1_000);
    expect(w.started('app-g')).toEqual([]);
    expect(w.started('app-f')).toHaveLength(1);
    await w.until(NOW + 3 * HOUR);
    expect(w.started('app-g')).toHaveLength(1);
  });

  test('without a function, or without its crons, drops its plan and all that it has (CR-14)', async () => {
    const w = new CronWorld({ 'app-f': [{ cron: '* * * * *', jitter: '5m' }], 'app-g': ['* * * * *'] });
    await w.sync();
    w.now = NOW + HOUR;
    await w.fire();
    expect(await w.skipped()).toHaveLength(2);
    const before = w.taken.length;
    w.deploy({});
    await w.sync();
    await w.until(w.now + HOUR);
    expect(w.taken).toHaveLength(before);
    expect(await w.skipped()).toEqual([]);
    expect(w.alarm).toBeNull();
  });

  test('of another environment leaves none behind in this one', async () => {
    const w = new CronWorld({ 'app-f': ['* * * * *'] });
    await w.sync('dev');
    expect(w.alarm).toBeNull();
  });
});

describe('killed at any await or write', () => {
  const crons = { 'app-f': ['* * * * *'], 'app-g': ['*/2 * * * *', { cron: '* * * * *', jitter: '20s' }] };

  /** What the platform and the minute do for an object that was killed. */
  async function recover(w: CronWorld): Promise<void> {
    w.now += 1_000;
    await w.sync();
    await w.until(FIRST + 55_000);
  }

  async function killEverywhere(prepare: () => Promise<CronWorld>, work: (w: CronWorld) => Promise<unknown>) {
    const worlds: CronWorld[] = [];
    for (let n = 1; ; n++) {
      const w = await prepare();
      const killed = await w.killed(n, async () => void (await work(w)));
      await recover(w);
      worlds.push(w);
      if (!killed) return worlds;
    }
  }

  test('an alarm loses no tick and starts none twice (CR-12)', async () => {
    const worlds = await killEverywhere(
      () => atFirst(crons),
      (w) => w.fire(),
    );
    expect(worlds.length).toBeGreaterThan(8);
    for (const w of worlds) {
      expect(w.started('app-f')).toEqual([FIRST]);
      expect(w.started('app-g')).toEqual([FIRST]);
      expect(await w.skipped()).toEqual([]);
    }
  });

  test('the first sync plans in full, whenever it comes through', async () => {
    const worlds = await killEverywhere(
      async () => new CronWorld(crons),
      (w) => w.sync(),
    );
    expect(worlds.length).toBeGreaterThan(6);
    for (const w of worlds) expect([w.started('app-f'), w.started('app-g')]).toEqual([[FIRST], [FIRST]]);
  });

  test('the first sync of a deployment that changes, adds and removes does all of it or nothing', async () => {
    const worlds = await killEverywhere(
      async () => {
        const w = await atFirst(crons);
        w.deploy({ 'app-g': ['*/2 * * * *'], 'app-h': ['* * * * *'] });
        return w;
      },
      (w) => w.sync(),
    );
    expect(worlds.length).toBeGreaterThan(5);
    for (const w of worlds) {
      expect([w.started('app-f'), w.started('app-h')]).toEqual([[], []]);
      expect(w.started('app-g')).toEqual(ticksOf(['*/2 * * * *'], NOW, FIRST));
    }
  });
});

describe('a registration', () => {
  test('is noticed by the next sync: its schedules tick, those that are gone do not (CR-14, FN-12)', async () => {
    const w = new CronWorld({ 'app-f': ['* * * * *'] });
    await w.sync();
    w.register({ 'app-f': ['* * * * *'], 'far-a': ['*/2 * * * *'] });
    await w.sync();
    await w.until(NOW + 10 * MINUTE);
    expect(w.started('app-f')).toHaveLength(10);
    expect(w.started('far-a')).toEqual(ticksOf(['*/2 * * * *'], NOW, w.now));
    w.register({ 'app-f': ['* * * * *'] });
    await w.sync();
    await w.until(NOW + 20 * MINUTE);
    expect(w.started('app-f')).toHaveLength(20);
    expect(w.started('far-a')).toHaveLength(5);
  });

  test('sets the alarm where there was nothing to wait for', async () => {
    const w = new CronWorld({});
    await w.sync();
    expect(w.alarm).toBeNull();
    w.register({ 'far-a': ['* * * * *'] });
    await w.sync();
    expect(w.alarm).toBe(FIRST);
  });

  test('that changes no schedule writes nothing', async () => {
    const w = new CronWorld({ 'app-f': ['* * * * *'] });
    await w.sync();
    w.writes = 0;
    w.register({ 'app-f': ['* * * * *'] });
    await w.sync();
    expect(w.writes).toBe(0);
  });

  test('is not undone by an older reading that comes back late', async () => {
    const w = new CronWorld({ 'app-f': ['* * * * *'] });
    const late = Promise.withResolvers<void>();
    w.reading = late.promise;
    const first = w.sync();
    w.reading = null;
    w.register({ 'far-a': ['* * * * *'] });
    await w.sync();
    late.resolve();
    await first;
    await w.until(NOW + 3 * MINUTE);
    expect(w.started('app-f')).toEqual([]);
    expect(w.started('far-a')).toHaveLength(3);
  });
});

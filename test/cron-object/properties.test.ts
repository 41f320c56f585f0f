/** Whatever happens to the object of the timers: every tick is started exactly once, or recorded as skipped. */
import * as fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { CronWorld, HOUR, MINUTE, NOW, ticksOf } from './world.ts';

vi.setConfig({ testTimeout: 60_000 });

const crons = {
  'app-often': ['* * * * *'],
  'app-two': ['*/20 * * * *', 'TZ=Asia/Kathmandu 0 * * * *'],
  'app-jitter': [{ cron: '*/7 * * * *', jitter: '5m' }],
};
const texts = { 'app-often': crons['app-often'], 'app-two': crons['app-two'], 'app-jitter': ['*/7 * * * *'] };

type Happening =
  | { does: 'pass'; ms: number }
  | { does: 'fire' | 'sync'; killedAt: number }
  | { does: 'live'; ms: number }
  | { does: 'restart' }
  | { does: 'intake'; behaviour: CronWorld['intake'] };

const killedAt = fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 14 }));
const span = fc.oneof(
  fc.integer({ min: 1, max: 2 * MINUTE }),
  fc.integer({ min: 1, max: 20 * MINUTE }),
  fc.integer({ min: 1, max: 4 * HOUR }),
);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ does: fc.constant('pass'), ms: span }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constantFrom('fire', 'sync'), killedAt }) },
  {
    weight: 2,
    arbitrary: fc.record({ does: fc.constant('live'), ms: fc.integer({ min: 1, max: 15 * MINUTE }) }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('restart') }) },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('intake'),
      behaviour: fc.constantFrom('takes', 'refuses', 'late'),
    }),
  },
);

async function happen(w: CronWorld, what: Happening): Promise<void> {
  switch (what.does) {
    case 'pass':
      w.now += what.ms;
      return;
    case 'live':
      return w.until(w.now + what.ms);
    case 'restart':
      return w.restart();
    case 'intake':
      w.intake = what.behaviour;
      return;
    case 'fire':
      await w.killed(what.killedAt, async () => void (await w.fire()));
      return;
    case 'sync':
      await w.killed(what.killedAt, () => w.sync());
      return;
  }
}

/** Nothing is in the way any more, for longer than the longest jitter. */
async function recover(w: CronWorld): Promise<void> {
  w.intake = 'takes';
  await w.sync();
  await w.until(w.now + 7 * MINUTE);
}

test('every tick starts exactly one run or is skipped, through kills, outages and late wakes (CR-12, CR-13)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 40 }), async (happenings) => {
      const w = new CronWorld(crons);
      await w.sync();
      for (const what of happenings) await happen(w, what);
      await recover(w);
      const skipped = new Map((await w.skipped()).map((row) => [row.functionId, row]));
      for (const [functionId, own] of Object.entries(texts)) {
        const started = w.started(functionId);
        const { ticks = [], more = false } = skipped.get(functionId) ?? {};
        const passed = ticks.map(({ at }) => at);
        const from = more ? (passed[0] ?? NOW) - 1 : NOW;
        // What is in its window still is neither.
        const until = functionId === 'app-jitter' ? w.now - 5 * MINUTE : w.now;
        const settled = [...started, ...passed].filter((at) => at > from && at <= until);
        expect(settled.toSorted((a, b) => a - b)).toEqual(ticksOf(own, from, until));
        expect(new Set(started).size).toBe(started.length);
      }
      for (const event of w.taken) expect(event.receivedAt).toBeGreaterThanOrEqual(event.ts);
    }),
    { numRuns: 150 },
  );
});

const versions = fc.subarray(['* * * * *', '*/3 * * * *', 'TZ=Asia/Kathmandu */30 * * * *', '10 * * * *']);

test('through deployments no tick starts twice, and none that the code has never named (CR-12, CR-14)', async () => {
  const step = fc.oneof(happening, fc.record({ does: fc.constant('deploy' as const), own: versions }));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const w = new CronWorld({ 'app-f': ['* * * * *'] });
      await w.sync();
      const named = new Set(['* * * * *']);
      for (const what of steps) {
        if (what.does === 'deploy') {
          w.deploy(what.own.length === 0 ? {} : { 'app-f': what.own });
          for (const text of what.own) named.add(text);
        } else await happen(w, what);
      }
      w.deploy({ 'app-f': ['*/3 * * * *'] });
      await recover(w);
      const started = w.started();
      expect(new Set(started).size).toBe(started.length);
      const possible = new Set(ticksOf([...named, '*/3 * * * *'], NOW, w.now));
      expect(started.filter((tick) => !possible.has(tick))).toEqual([]);
      // Whatever came before, the last deployment's schedule goes on.
      const last = ticksOf(['*/3 * * * *'], w.now - 6 * MINUTE, w.now);
      expect(started).toEqual(expect.arrayContaining(last));
    }),
    { numRuns: 100 },
  );
});

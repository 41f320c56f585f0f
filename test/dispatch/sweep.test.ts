import { describe, expect, test } from 'vitest';
import { consumeEvents } from '../../src/dispatch/consume.ts';
import { sweep } from '../../src/dispatch/sweep.ts';
import { DAY, HOUR } from '../../src/lib/time.ts';
import type { RunSummary } from '../../src/protocol/run.ts';
import { idAt, NOW, stored } from '../ingest/world.ts';
import { dispatchWorld, ending, TestMessage } from './world.ts';
import { admit, closeRuns, markDispatched } from '../contracts/stored.ts';

type World = ReturnType<typeof dispatchWorld>;

const down = async (): Promise<never> => {
  throw new Error('store down');
};

/**
 * One run, open in the index, whose first check is due now. Its row is opened for a check at `NOW`.
 * @param deadReason null where its event was dispatched.
 */
async function withRun(w: World, queuedAgo = 30_000, deadReason: string | null = null): Promise<string> {
  const queuedAt = NOW - queuedAgo;
  const runId = idAt(77);
  const row = { runId, env: 'production', functionId: 'app-f', eventId: idAt(1), queuedAt, checkAt: NOW };
  await admit(w.store, [stored(idAt(1), { receivedAt: queuedAt })], [row], queuedAt);
  if (deadReason === null) await markDispatched(w.store, [idAt(1)], queuedAt);
  else await w.store.markDead([idAt(1)], deadReason, queuedAt);
  return runId;
}

const summary = (runId: string): RunSummary => ({
  runId,
  env: 'production',
  functionId: 'app-f',
  eventId: idAt(1),
  status: 'Failed' as const,
  queuedAt: NOW,
  endedAt: NOW + 1,
  output: '{"name":"Error"}',
});

/** When the index would have this run asked next. */
async function nextCheck(w: World, runId: string): Promise<number> {
  let [low, high] = [NOW, NOW + 400 * DAY];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const due = await w.store.runsToCheck(middle, 10);
    if (due.some((run) => run.runId === runId)) high = middle;
    else low = middle + 1;
  }
  return low - NOW;
}

test('nothing to do: the next sweep is in a minute', async () => {
  expect(await sweep(dispatchWorld())).toEqual({ nextIn: 60_000 });
});

describe('events that were stored and not dispatched', () => {
  test('go to the queue by id when they are older than five seconds', async () => {
    const w = dispatchWorld();
    const young = stored(idAt(2), { receivedAt: NOW - 5_000 });
    await w.store.insertEvents([stored(idAt(1), { receivedAt: NOW - 5_001 }), young], NOW);
    expect(await sweep(w)).toEqual({ nextIn: 5_000 });
    expect(w.events.sent).toEqual([{ ids: [idAt(1)] }]);
  });

  test('are dispatched by what the sweep sent', async () => {
    const w = dispatchWorld();
    await w.store.insertEvents([stored(idAt(1), { receivedAt: NOW - 60_000 })], NOW);
    await sweep(w);
    await consumeEvents(
      w.events.sent.map((body) => new TestMessage(body)),
      w,
    );
    expect(w.runs.started.size).toBe(1);
    w.events.sent = [];
    expect(await sweep(w)).toEqual({ nextIn: 30_000 });
    expect(w.events.sent).toEqual([]);
    expect(w.resent.size).toBe(0);
  });

  test('go ten to a message, and at most 1,000 in a sweep', async () => {
    const w = dispatchWorld();
    const events = Array.from({ length: 1_001 }, (_, n) => stored(idAt(n), { receivedAt: NOW - 60_000 }));
    await w.store.insertEvents(events, NOW);
    await sweep(w);
    expect(w.events.sent).toHaveLength(100);
    expect(w.events.sent[0]?.ids).toHaveLength(10);
  });

  test('are sent again at growing intervals while nothing comes of it', async () => {
    const w = dispatchWorld();
    await w.store.insertEvents([stored(idAt(1), { receivedAt: NOW - 60_000 })], NOW);
    const sentAt: number[] = [];
    for (; w.clock.time < NOW + 600_000; w.clock.time += 5_000) {
      const before = w.events.sent.length;
      await sweep(w);
      if (w.events.sent.length > before) sentAt.push((w.clock.time - NOW) / 1_000);
    }
    expect(sentAt).toEqual([0, 30, 90, 210, 450]);
  });

  test('that are not dispatched for minutes count as repaired, once each', async () => {
    const w = dispatchWorld();
    await w.store.insertEvents([stored(idAt(1), { receivedAt: NOW - 60_000 })], NOW);
    for (; w.clock.time <= NOW + 450_000; w.clock.time += 30_000) await sweep(w);
    expect(w.repairs).toEqual([]);
    for (; w.clock.time < NOW + 3_600_000; w.clock.time += 30_000) await sweep(w);
    expect(w.repairs).toEqual(['events']);
  });

  test('that the queue did not take are sent with the next sweep', async () => {
    const w = dispatchWorld();
    await w.store.insertEvents([stored(idAt(1), { receivedAt: NOW - 60_000 })], NOW);
    w.events.behaviour = 'refuses';
    expect(await sweep(w)).toEqual({ nextIn: 5_000 });
    w.events.behaviour = 'takes';
    await sweep(w);
    expect(w.events.sent).toEqual([{ ids: [idAt(1)] }]);
  });

  test('that are duplicates or dead are left alone (DD-6)', async () => {
    const w = dispatchWorld();
    const receivedAt = NOW - 60_000;
    const events = [1, 2].map((n) => stored(idAt(n), { receivedAt, id: 'k' }));
    await w.store.insertEvents([...events, stored(idAt(3), { receivedAt })], NOW);
    await w.store.markDead([idAt(3)], 'why', NOW);
    await sweep(w);
    expect(w.events.sent).toEqual([{ ids: [idAt(1)] }]);
  });
});

describe('open runs', () => {
  test('that are not due are not asked', async () => {
    const w = dispatchWorld();
    await withRun(w);
    w.clock.time = NOW - 1;
    expect(await sweep(w)).toEqual({ nextIn: 5_000 });
    expect(w.runs.asked).toEqual([]);
  });

  test.each([
    [1_000, 5_000],
    [20_000, 20_000],
    [90_000, 60_000],
  ])('due in %i ms: the next sweep is in %i ms', async (due, nextIn) => {
    const w = dispatchWorld();
    await withRun(w);
    w.clock.time = NOW - due;
    expect(await sweep(w)).toEqual({ nextIn });
  });

  test('that ended are closed in the index', async () => {
    const w = dispatchWorld();
    const runId = await withRun(w);
    w.runs.checks.set(runId, { state: 'ended', ending: ending(summary(runId)) });
    expect(await sweep(w)).toEqual({ nextIn: 5_000 });
    expect(await w.store.findRun('production', runId)).toMatchObject({ status: 'Failed', endedAt: NOW + 1 });
    w.runs.asked = [];
    expect(await sweep(w)).toEqual({ nextIn: 60_000 });
    expect(w.runs.asked).toEqual([]);
  });

  test.each([
    ['whose alarm was lost', { state: 'open', nextAt: NOW, repaired: 'alarm' }, ['alarms']],
    ['whose wait nobody had heard of', { state: 'open', nextAt: NOW, repaired: 'ask' }, ['asks']],
    ['that are well', { state: 'open', nextAt: NOW }, []],
  ] as const)('%s are counted as that', async (_, check, expected) => {
    const w = dispatchWorld();
    w.runs.checks.set(await withRun(w), check);
    await sweep(w);
    expect(w.repairs).toEqual(expected);
  });

  test.each([
    ['just now', 0, undefined, []],
    ['nine minutes ago', 9 * 60_000, undefined, []],
    ['ten minutes ago, unknown to the index', 10 * 60_000, undefined, ['reports']],
    ['because they were woken', 0, 'alarm' as const, ['alarms']],
  ])('that ended %s', async (_, ago, repaired, expected) => {
    const w = dispatchWorld();
    const runId = await withRun(w, 3_600_000);
    const end = ending({ ...summary(runId), endedAt: NOW - ago });
    w.runs.checks.set(runId, {
      state: 'ended',
      ending: end,
      ...(repaired === undefined ? {} : { repaired }),
    });
    await sweep(w);
    expect(w.repairs).toEqual(expected);
  });

  test.each([
    ['that sleep are asked half their age after they wake', 10_000, 25_000],
    ['that should have woken are asked half their age later', -10_000, 15_000],
    ['that sleep for a year are asked within a day all the same', 365 * DAY, DAY],
  ])('%s', async (_, wakes, expected) => {
    const w = dispatchWorld();
    const runId = await withRun(w);
    w.runs.checks.set(runId, { state: 'open', nextAt: NOW + wakes });
    await sweep(w);
    expect(await nextCheck(w, runId)).toBe(expected);
  });

  test.each([
    ['queued just now', 0, 30_000],
    ['queued 30 s ago', 30_000, 30_000],
    ['queued ten minutes ago', 600_000, 600_000],
    ['queued two hours ago', 2 * HOUR, HOUR],
  ])('%s and without a timer are asked at twice that age, between 30 s and 1 h', async (_, age, expected) => {
    const w = dispatchWorld();
    const runId = await withRun(w, age);
    w.runs.checks.set(runId, { state: 'open', nextAt: null });
    await sweep(w);
    expect(await nextCheck(w, runId)).toBe(expected);
  });

  test.each([
    ['unknown to their object', undefined],
    ['that cannot be asked', new Error('overloaded')],
  ])('%s are asked later, and nothing is closed', async (_, check) => {
    const w = dispatchWorld();
    const runId = await withRun(w, 600_000);
    if (check !== undefined) w.runs.checks.set(runId, check);
    await sweep(w);
    expect(await nextCheck(w, runId)).toBe(600_000);
    expect(await w.store.findRun('production', runId)).toMatchObject({ status: 'Running' });
  });
});

describe('open runs of an event that was given up', () => {
  const REASON = 'start of app-f: Error';

  test('that their object does not know are closed as failed, with the reason', async () => {
    const w = dispatchWorld();
    const runId = await withRun(w, 600_000, REASON);
    expect(await sweep(w)).toEqual({ nextIn: 5_000 });
    expect(await w.store.findRun('production', runId)).toEqual({
      runId,
      env: 'production',
      functionId: 'app-f',
      eventId: idAt(1),
      status: 'Failed',
      queuedAt: NOW - 600_000,
      endedAt: NOW,
      output: JSON.stringify({ name: 'NotStarted', message: `the event was given up: ${REASON}` }),
      outputInObject: false,
    });
    expect(await sweep(w)).toEqual({ nextIn: 60_000 });
  });

  test('are answered for to the step that invoked them (IV-17)', async () => {
    const w = dispatchWorld();
    const parent = { runId: 'PARENT', key: 'step' };
    const target = { functionId: 'app-f', parent };
    const event = stored(idAt(1), { name: 'inngest/function.invoked', target });
    const runId = idAt(77);
    const queued = {
      runId,
      env: 'production',
      functionId: 'app-f',
      eventId: idAt(1),
      queuedAt: NOW,
      checkAt: NOW,
    };
    await admit(w.store, [event], [queued], NOW);
    await w.store.markDead([idAt(1)], REASON, NOW);
    await sweep(w);
    expect(w.runs.answers).toMatchObject([{ ...parent, answer: { ok: false } }]);
  });

  test('that were started all the same go on', async () => {
    const w = dispatchWorld();
    const runId = await withRun(w, 600_000, REASON);
    w.runs.checks.set(runId, { state: 'open', nextAt: NOW + 10_000 });
    await sweep(w);
    expect(await nextCheck(w, runId)).toBe(70_000);
    expect(await w.store.findRun('production', runId)).toMatchObject({ status: 'Running' });
  });

  test('that cannot be asked stay open', async () => {
    const w = dispatchWorld();
    const runId = await withRun(w, 600_000, REASON);
    w.runs.checks.set(runId, new Error('overloaded'));
    await sweep(w);
    expect(await nextCheck(w, runId)).toBe(600_000);
  });

  test('that was given up while they were asked are asked once more first', async () => {
    const w = dispatchWorld();
    const row = { runId: idAt(78), env: 'production', functionId: 'app-f', eventId: idAt(2) };
    await admit(w.store, [stored(idAt(2))], [{ ...row, queuedAt: NOW, checkAt: NOW }], NOW);
    w.runs.check = async () => {
      await w.store.markDead([idAt(2)], REASON, NOW);
      return { state: 'unknown' };
    };
    await sweep(w);
    expect(await w.store.findRun('production', row.runId)).toMatchObject({ status: 'Running' });
    w.clock.time += 30_000;
    await sweep(w);
    expect(await w.store.findRun('production', row.runId)).toMatchObject({ status: 'Failed' });
  });
});

describe('what has expired', () => {
  test('is deleted in pieces, and the objects of the runs are emptied', async () => {
    const w = dispatchWorld();
    const runId = idAt(77, NOW - 31 * DAY);
    const old = { queuedAt: NOW - 31 * DAY, endedAt: NOW - 31 * DAY };
    await closeRuns(w.store, [{ ...summary(runId), ...old }]);
    await sweep(w);
    expect(w.runs.purged).toEqual([runId]);
    expect(await w.store.findRun('production', runId)).toBeNull();
  });

  test('an object that cannot be emptied does not keep the others', async () => {
    const w = dispatchWorld();
    const ids = [1, 2, 3].map((n) => idAt(n, NOW - 31 * DAY));
    const old = { queuedAt: NOW - 31 * DAY, endedAt: NOW - 31 * DAY };
    await closeRuns(
      w.store,
      ids.map((runId) => ({ ...summary(runId), ...old })),
    );
    w.runs.checks.set(ids[0] ?? '', new Error('overloaded'));
    await sweep(w);
    expect(w.runs.purged).toEqual(ids);
    expect(w.log.lines).toHaveLength(1);
    const rows = await Promise.all(ids.map((runId) => w.store.findRun('production', runId)));
    expect(rows.map((row) => row?.runId ?? null)).toEqual([ids[0], null, null]);
  });

  test('more than a piece: the sweep comes back soon', async () => {
    const w = dispatchWorld();
    w.faults.set('expire', async () => ({ runIds: [], more: true }));
    expect(await sweep(w)).toEqual({ nextIn: 5_000 });
  });
});

test.each(['undispatched', 'runsToCheck', 'settle', 'expire'] as const)(
  'a failure of %s keeps the other pieces from nothing, and the next sweep is soon',
  async (method) => {
    const w = dispatchWorld();
    const runId = await withRun(w);
    w.runs.checks.set(runId, { state: 'ended', ending: ending(summary(runId)) });
    await w.store.insertEvents([stored(idAt(2), { receivedAt: NOW - 60_000 })], NOW);
    w.faults.set(method, down);
    expect(await sweep(w)).toEqual({ nextIn: 5_000 });
    expect(w.events.sent).toEqual(method === 'undispatched' ? [] : [{ ids: [idAt(2)] }]);
    const closed = (await w.store.findRun('production', runId))?.endedAt !== null;
    expect(closed).toBe(method === 'undispatched' || method === 'expire');
    expect(w.log.lines.map((line) => line.message)).toEqual([expect.stringMatching(/^sweep: .* failed$/)]);
  },
);

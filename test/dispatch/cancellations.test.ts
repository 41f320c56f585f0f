import { expect, test } from 'vitest';
import { cancelRun } from '../../src/dispatch/cancel.ts';
import { cancelMany } from '../../src/dispatch/cancellations.ts';
import { sweep } from '../../src/dispatch/sweep.ts';
import { DAY, MINUTE } from '../../src/lib/time.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import type { Cancellation, QueuedRun } from '../../src/ports.ts';
import { view } from '../api/world.ts';
import { admit, closeRuns, markDispatched } from '../contracts/stored.ts';
import { idAt, NOW, stored } from '../ingest/world.ts';
import { dispatchWorld } from './world.ts';

type World = ReturnType<typeof dispatchWorld>;

/** A run that goes on: in the index, and in its object. */
async function aRun(
  w: World,
  n: number,
  change: Partial<QueuedRun> = {},
  event: Partial<StoredEvent> = {},
): Promise<string> {
  const runId = idAt(1_000 + n, change.queuedAt ?? NOW);
  const eventId = idAt(n);
  const row = {
    runId,
    env: 'production',
    functionId: 'app-f',
    eventId,
    queuedAt: NOW,
    checkAt: NOW,
    ...change,
  };
  await admit(w.store, [stored(eventId, event)], [row], NOW);
  await markDispatched(w.store, [eventId], NOW);
  w.runs.views.set(runId, view(runId, { env: row.env, functionId: row.functionId }));
  return runId;
}

async function ask(w: World, change: Partial<Cancellation> = {}): Promise<void> {
  const range = { startedAfter: null, startedBefore: NOW + 1, expression: null, createdAt: NOW };
  const of = { id: idAt(99), env: 'production', appId: 'app', functionId: 'app-f' };
  await w.cancellations.create({ ...of, ...range, ...change });
}

async function state(w: World) {
  const [found] = await w.cancellations.list('production', 1);
  return found;
}

test('cancels the open runs of the one function, queued in the range (BC-6, BC-7)', async () => {
  const w = dispatchWorld();
  const wanted = await aRun(w, 1, { queuedAt: NOW - 10 });
  await aRun(w, 2, { functionId: 'app-g' });
  await aRun(w, 3, { env: 'other' });
  await aRun(w, 4, { queuedAt: NOW - 11 });
  await aRun(w, 5, { queuedAt: NOW });
  const ended = await aRun(w, 6, { queuedAt: NOW - 5 });
  const ids = { runId: ended, env: 'production', functionId: 'app-f', eventId: idAt(6) };
  await closeRuns(w.store, [{ ...ids, status: 'Completed', queuedAt: NOW - 5, endedAt: NOW, output: null }]);
  await ask(w, { startedAfter: NOW - 10, startedBefore: NOW });
  await cancelMany(w);
  expect(w.runs.cancelled).toEqual([wanted]);
  expect(await state(w)).toMatchObject({ matched: 1, cancelled: 1 });
});

test('only true of the expression cancels, and what has no value does not; `user` can be read (BC-5, EX-9)', async () => {
  const w = dispatchWorld();
  const wanted = await aRun(w, 1, {}, { data: { n: 5 } });
  await aRun(w, 2, {}, { data: { n: 4 } });
  await aRun(w, 3);
  await ask(w, { expression: 'event.data.n > 4' });
  await cancelMany(w);
  expect(w.runs.cancelled).toEqual([wanted]);
  const user = await w.seal.seal({ plan: 'pro' }, 'production');
  const pro = await aRun(w, 4, {}, { user });
  await aRun(w, 5, {}, { user: 'broken' });
  await ask(w, { id: idAt(98), expression: "event.user.plan == 'pro'" });
  await cancelMany(w);
  expect(w.runs.cancelled).toEqual([wanted, pro]);
});

test('has ended when no event of its range is undispatched any more, and a minute has passed (BC-12)', async () => {
  const w = dispatchWorld();
  await ask(w);
  await cancelMany(w);
  expect(await state(w)).toMatchObject({ endedAt: null });
  await w.store.insertEvents([stored(idAt(1), { receivedAt: NOW - 5 })], NOW);
  w.clock.time = NOW + MINUTE + 1;
  await cancelMany(w);
  expect(await state(w)).toMatchObject({ endedAt: null });
  // It was on its way when the cancellation was made.
  await markDispatched(w.store, [idAt(1)], NOW);
  const late = await aRun(w, 2);
  await cancelMany(w);
  expect(w.runs.cancelled).toEqual([late]);
  expect(await state(w)).toMatchObject({ endedAt: w.clock.time, cancelled: 1 });
});

test('a bound in the future keeps cancelling runs until then (BC-6)', async () => {
  const w = dispatchWorld();
  await ask(w, { startedBefore: NOW + DAY });
  await cancelMany(w);
  w.clock.time = NOW + DAY / 2;
  const later = await aRun(w, 1, { queuedAt: w.clock.time });
  await cancelMany(w);
  expect(w.runs.cancelled).toEqual([later]);
  w.clock.time = NOW + DAY + MINUTE;
  await cancelMany(w);
  expect(await state(w)).toMatchObject({ endedAt: w.clock.time });
  await aRun(w, 2, { queuedAt: NOW + 1 });
  await cancelMany(w);
  expect(w.runs.cancelled).toEqual([later]);
});

test('a run that cannot be told is told by a later sweep, others at once', async () => {
  const w = dispatchWorld();
  const broken = await aRun(w, 1);
  const whole = await aRun(w, 2);
  w.runs.views.set(broken, new Error('secret-value'));
  await ask(w, { startedBefore: NOW });
  await aRun(w, 3, { queuedAt: NOW });
  await ask(w, { id: idAt(98) });
  await cancelMany(w);
  expect(w.runs.cancelled).toContain(whole);
  w.clock.time += 2 * MINUTE;
  await cancelMany(w);
  expect((await w.cancellations.open(9)).map(({ id }) => id)).toEqual([idAt(98)]);
  w.runs.views.set(broken, view(broken));
  await cancelMany(w);
  expect(w.runs.cancelled).toContain(broken);
  expect(await w.cancellations.open(9)).toEqual([]);
});

test('a piece is bounded, and the next one goes on where it was', async () => {
  const w = dispatchWorld();
  const count = 10_050;
  const rows = Array.from({ length: count }, (_, n) => ({
    runId: idAt(20_000 + n),
    env: 'production',
    functionId: n % 1_000 === 0 ? 'app-f' : 'app-g',
    eventId: idAt(1),
    queuedAt: NOW,
    checkAt: NOW,
  }));
  await admit(w.store, [stored(idAt(1))], rows, NOW);
  await markDispatched(w.store, [idAt(1)], NOW);
  for (const { runId } of rows) w.runs.views.set(runId, view(runId));
  await ask(w);
  expect(await cancelMany(w)).toBe(true);
  expect(await state(w)).toMatchObject({ cancelled: 10, pass: { cursor: idAt(20_000 + 9_999) } });
  expect(await cancelMany(w)).toBe(false);
  expect(await state(w)).toMatchObject({ cancelled: 11, pass: null });
});

test('what has ended is forgotten after 30 days, by the sweep', async () => {
  const w = dispatchWorld();
  await ask(w);
  w.clock.time += 2 * MINUTE;
  await sweep(w);
  w.clock.time += 30 * DAY;
  await sweep(w);
  expect(await state(w)).toBeDefined();
  w.clock.time += 1;
  await sweep(w);
  expect(await state(w)).toBeUndefined();
});

test('a run whose start has failed so far is started for its end: dispatch finds that it is over (BC-11)', async () => {
  const w = dispatchWorld();
  const runId = await aRun(w, 1);
  w.runs.views.delete(runId);
  const start = w.runs.start.bind(w.runs);
  w.runs.start = async (run) => {
    w.runs.views.set(run.runId, view(run.runId));
    return start(run);
  };
  expect(await cancelRun(w, 'other', runId)).toBe('unknown');
  expect(await cancelRun(w, 'production', runId)).toBe('cancelled');
  const [begun] = w.runs.calls;
  expect(begun).toMatchObject({ runId, functionId: 'app-f', queuedAt: NOW, startAt: NOW + MINUTE });
  expect(await cancelRun(w, 'production', runId)).toBe('ended');
});

/** Batches, debounces, rate limits and singletons, as the gate of a function decides them. */
import { describe, expect, test } from 'vitest';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/lib/time.ts';
import { limits } from '../../src/protocol/limits.ts';
import type { Asks } from '../../src/protocol/flow.ts';
import type { Collectable } from '../../src/protocol/gate.ts';
import { idOf, START, StartWorld } from './world.ts';

function anEvent(n: number, change: Partial<Collectable> = {}): Collectable {
  return { key: 'k', eventId: idOf(n), receivedAt: START + n, bytes: 100, asks: {}, ...change };
}

function someEvents(from: number, to: number, change: Partial<Collectable> = {}): Collectable[] {
  return Array.from({ length: to - from + 1 }, (_, n) => anEvent(from + n, change));
}

const ids = (events: Collectable[]) => events.map(({ eventId }) => eventId);

describe('batching', () => {
  const policy = { by: 'batch', maxSize: 100, timeout: 5 * SECOND } as const;

  test('250 events in one request give 100, 100, and 50 after the timeout (FA-9, BA-5, BA-6, BA-10)', async () => {
    const w = new StartWorld();
    const events = someEvents(1, 250);
    await w.collect(policy, ...events.toReversed());
    expect(w.launched.map((batch) => batch.events)).toEqual([
      ids(events.slice(0, 100)),
      ids(events.slice(100, 200)),
    ]);
    await w.until(START + 5 * SECOND - 1);
    expect(w.launched).toHaveLength(2);
    await w.until(START + 5 * SECOND);
    expect(w.launched[2]).toMatchObject({ events: ids(events.slice(200)), closedAt: START + 5 * SECOND });
  });

  test('the timeout counts from the first event, not from the last (BA-5)', async () => {
    const w = new StartWorld();
    await w.collect(policy, anEvent(1));
    w.now += 4 * SECOND;
    await w.collect(policy, anEvent(2));
    await w.until(START + 5 * SECOND);
    expect(w.launched).toMatchObject([{ events: ids(someEvents(1, 2)) }]);
  });

  test('each key has a batch of its own (BA-4)', async () => {
    const w = new StartWorld();
    const [a, b] = [someEvents(1, 3, { key: 'a' }), someEvents(4, 5, { key: 'b' })];
    await w.collect(policy, ...a, ...b);
    await w.until(START + MINUTE);
    expect(new Set(w.launched.map((batch) => batch.events))).toEqual(new Set([ids(a), ids(b)]));
  });

  test('what is asked for a batch is what its first event asks (BA-23)', async () => {
    const w = new StartWorld();
    const asks = (throttle: string): Asks => ({ throttle });
    await w.collect(policy, anEvent(2, { asks: asks('second') }), anEvent(1, { asks: asks('first') }));
    await w.until(START + MINUTE);
    expect(w.launched).toMatchObject([{ asks: asks('first') }]);
  });

  test('a batch is closed when its events are more than 10 MiB (BA-12)', async () => {
    const w = new StartWorld();
    const bytes = limits.batchBytes / 4;
    await w.collect(policy, ...someEvents(1, 6, { bytes }));
    expect(w.launched).toMatchObject([{ events: ids(someEvents(1, 5)) }]);
  });

  test('an event that comes again is in no second batch, and told the same (BA-10)', async () => {
    const w = new StartWorld();
    const events = someEvents(1, 100);
    const first = await w.collect(policy, ...events);
    w.crash();
    expect(await w.collect(policy, ...events)).toEqual(first);
    await w.until(START + DAY);
    expect(await w.collect(policy, anEvent(1))).toEqual(first.slice(0, 1));
    expect(w.launched).toHaveLength(1);
  });

  test('every event but the first is absorbed by the batch, and told which run it is in (FC-10)', async () => {
    const w = new StartWorld();
    const [first, second] = await w.collect(policy, anEvent(1), anEvent(2));
    expect(first?.absorbed).toBeNull();
    expect(second).toEqual({ eventId: idOf(2), runId: first?.runId, absorbed: idOf(2) });
  });

  test('an event that comes when the time is over, before the alarm, opens the next batch', async () => {
    const w = new StartWorld();
    await w.collect(policy, anEvent(1));
    w.now = START + 5 * SECOND;
    await w.collect(policy, anEvent(2));
    expect(w.launched).toMatchObject([{ events: [idOf(1)] }]);
    await w.until(w.now + 5 * SECOND);
    expect(w.launched).toMatchObject([{ events: [idOf(1)] }, { events: [idOf(2)] }]);
  });

  test('a changed size counts for the next batch (BA-24)', async () => {
    const w = new StartWorld();
    await w.collect({ ...policy, maxSize: 4 }, anEvent(1));
    await w.collect({ ...policy, maxSize: 2 }, ...someEvents(2, 7));
    expect(w.launched.map(({ events }) => events)).toEqual([ids(someEvents(1, 4)), ids(someEvents(5, 6))]);
  });

  test.each(['fails', 'late', 'dies', 'late death'] as const)(
    'a start that %s is tried again, with the same run and events (BA-14)',
    async (fate) => {
      const w = new StartWorld();
      w.fates = [fate, fate];
      const [one] = await w.collect(policy, ...someEvents(1, 100));
      await w.until(START + HOUR);
      expect(w.launched.length).toBeGreaterThanOrEqual(1);
      for (const batch of w.launched) {
        expect(batch).toMatchObject({ runId: one?.runId, closedAt: START, events: ids(someEvents(1, 100)) });
      }
      expect(w.rows('window')).toBe(0);
    },
  );

  test('what serves repeats alone is forgotten after days', async () => {
    const w = new StartWorld();
    await w.collect(policy, ...someEvents(1, 2_500));
    await w.until(START + DAY);
    expect(w.rows('collected')).toBe(2_500);
    await w.until(START + 8 * DAY);
    expect(w.rows('collected')).toBe(0);
    expect(w.disk.alarm).toBeNull();
  });
});

describe('debounce', () => {
  const policy = { by: 'debounce', period: 5 * SECOND, timeout: null } as const;

  test('one run with the last event when a period has passed without one (DB-5, DB-6, RL-13)', async () => {
    const w = new StartWorld();
    for (const n of [1, 2, 3]) {
      await w.collect(policy, anEvent(n));
      w.now += 4 * SECOND;
    }
    expect(w.launched).toEqual([]);
    await w.until(START + 13 * SECOND);
    expect(w.launched).toMatchObject([{ events: [idOf(3)], closedAt: START + 13 * SECOND }]);
  });

  test('with a timeout the run starts at the latest that long after the first event (FA-7, DB-7, DB-8)', async () => {
    const w = new StartWorld();
    const limited = { ...policy, timeout: 12 * SECOND };
    for (let n = 0; n <= 5; n++) {
      await w.until(START + 3 * n * SECOND);
      await w.collect(limited, anEvent(n));
    }
    expect(w.launched).toMatchObject([{ events: [idOf(3)], closedAt: START + 12 * SECOND }]);
    await w.until(START + HOUR);
    // The event of 12 s has opened the next one.
    expect(w.launched).toMatchObject([{}, { events: [idOf(5)], closedAt: START + 20 * SECOND }]);
  });

  test('the last is the last received, not the last that comes (DB-9)', async () => {
    const w = new StartWorld();
    const [newer] = await w.collect(policy, anEvent(9));
    expect(await w.collect(policy, anEvent(4))).toEqual([
      { eventId: idOf(4), runId: newer?.runId, absorbed: idOf(4) },
    ]);
    await w.until(START + MINUTE);
    expect(w.launched).toMatchObject([{ events: [idOf(9)] }]);
  });

  test('each event but the last is absorbed by the one that follows it (FC-10)', async () => {
    const w = new StartWorld();
    const collected = await w.collect(policy, ...someEvents(1, 3));
    const again = await w.collect(policy, anEvent(3));
    expect(collected.map(({ absorbed }) => absorbed)).toEqual([null, idOf(1), idOf(2)]);
    expect(again).toEqual(collected.slice(2));
  });

  test('keys do not disturb one another, and what is asked is what the last event asks (DB-3)', async () => {
    const w = new StartWorld();
    await w.collect(policy, anEvent(1, { asks: { idempotency: 'old' } }), anEvent(2, { key: 'other' }));
    w.now += SECOND;
    await w.collect(policy, anEvent(3, { asks: { idempotency: 'new' } }));
    await w.until(START + HOUR);
    expect(w.launched.map(({ events, asks, closedAt }) => ({ events, asks, closedAt }))).toEqual([
      { events: [idOf(2)], asks: {}, closedAt: START + 5 * SECOND },
      { events: [idOf(3)], asks: { idempotency: 'new' }, closedAt: START + 6 * SECOND },
    ]);
  });

  test('an event after the run opens another debounce (DB-10)', async () => {
    const w = new StartWorld();
    const [first] = await w.collect(policy, anEvent(1));
    await w.until(START + 5 * SECOND);
    const [second] = await w.collect(policy, anEvent(2));
    expect(second?.runId).not.toBe(first?.runId);
    await w.until(START + HOUR);
    expect(w.launched.map(({ events }) => events)).toEqual([[idOf(1)], [idOf(2)]]);
  });
});

describe('the rate limit', () => {
  const entrant = (n: number, at: number, key = 'k') => ({ key, runId: idOf(n), at: START + at });

  test('1 in 4 hours: of events at 0, 1 min, 3 h 59 min and 4 h 1 min the first and the fourth (FA-6, RL-11)', () => {
    const w = new StartWorld();
    const passed = [0, MINUTE, 4 * HOUR - MINUTE, 4 * HOUR + MINUTE].flatMap((at, n) =>
      w.rate(4 * HOUR, entrant(n, at)),
    );
    expect(passed).toEqual([idOf(0), idOf(3)]);
  });

  test('10 in 60 minutes is one in 6 (FA-6, RL-8)', () => {
    const w = new StartWorld();
    const minutes = Array.from({ length: 60 }, (_, n) => entrant(n, n * MINUTE));
    expect(w.rate(6 * MINUTE, ...minutes)).toEqual(Array.from({ length: 10 }, (_, n) => idOf(6 * n)));
  });

  test('each key has its own (RL-4)', () => {
    const w = new StartWorld();
    expect(w.rate(HOUR, entrant(1, 0, 'a'), entrant(2, 0, 'b'), entrant(3, 1, 'a'))).toEqual([
      idOf(1),
      idOf(2),
    ]);
  });

  test('a repeat is answered as before: refused even when there would be room by now (RL-16)', () => {
    const w = new StartWorld();
    w.rate(HOUR, entrant(1, 0), entrant(2, MINUTE));
    w.now += 3 * HOUR;
    w.crash();
    expect(w.rate(HOUR, entrant(2, MINUTE), entrant(1, 0))).toEqual([idOf(1)]);
    expect(w.rate(HOUR, entrant(3, HOUR))).toEqual([idOf(3)]);
  });

  test('who comes late, and asked earlier than another that has passed, is refused if they are too close', () => {
    const w = new StartWorld();
    expect(w.rate(HOUR, entrant(1, HOUR))).toEqual([idOf(1)]);
    expect(w.rate(HOUR, entrant(2, MINUTE), entrant(3, 0))).toEqual([idOf(3)]);
  });

  test('passes are forgotten after days', async () => {
    const w = new StartWorld();
    w.rate(SECOND, entrant(1, 0));
    await w.until(START + 8 * DAY);
    expect(w.rows('pass')).toBe(0);
    expect(w.disk.alarm).toBeNull();
  });
});

describe('a singleton', () => {
  const entrant = (n: number, key = 'k') => ({ key, runId: idOf(n), at: START });

  test('skip: while one is active no other is let in; then one is again (SG-1, SG-2)', async () => {
    const w = new StartWorld();
    expect(await w.single('skip', entrant(1), entrant(2), entrant(3, 'other'))).toEqual([idOf(1), idOf(3)]);
    w.start(idOf(1));
    expect(await w.single('skip', entrant(4), entrant(5))).toEqual([]);
    expect(w.asked).toBe(1);
    w.active.delete(idOf(1));
    expect(await w.single('skip', entrant(6), entrant(7))).toEqual([idOf(6)]);
  });

  test('skip: one that was let in and has not come yet is active', async () => {
    const w = new StartWorld();
    await w.single('skip', entrant(1));
    expect(await w.single('skip', entrant(2))).toEqual([]);
  });

  test('skip: a repeat is answered as before, whatever has become of the other (SG-2)', async () => {
    const w = new StartWorld();
    await w.single('skip', entrant(1));
    await w.single('skip', entrant(2));
    w.start(idOf(1));
    w.active.delete(idOf(1));
    w.crash();
    expect(await w.single('skip', entrant(2), entrant(1))).toEqual([idOf(1)]);
  });

  test('skip: of two that ask at once while the end of the former holder is found out, one is let in', async () => {
    const w = new StartWorld();
    await w.single('skip', entrant(1));
    w.start(idOf(1));
    w.active.delete(idOf(1));
    const { promise, resolve } = Promise.withResolvers<void>();
    w.holding = promise;
    const both = [w.single('skip', entrant(2)), w.single('skip', entrant(3))];
    await w.settled();
    w.holding = null;
    resolve();
    expect((await Promise.all(both)).flat()).toEqual([idOf(2)]);
  });

  test('cancel: the active run is cancelled, the new one let in (SG-3)', async () => {
    const w = new StartWorld();
    await w.single('cancel', entrant(1));
    w.start(idOf(1));
    expect(await w.single('cancel', entrant(2))).toEqual([idOf(2)]);
    expect(w.cancelled).toEqual([idOf(1)]);
  });

  test('cancel: of those that come together the last is let in, the others are skipped (SG-3)', async () => {
    const w = new StartWorld();
    expect(await w.single('cancel', entrant(1), entrant(2), entrant(3))).toEqual([idOf(3)]);
    expect(await w.single('cancel', entrant(1), entrant(2))).toEqual([]);
  });

  test('cancel: one that was let in and comes late is cancelled when it has come', async () => {
    const w = new StartWorld();
    await w.single('cancel', entrant(1));
    await w.single('cancel', entrant(2));
    w.start(idOf(2));
    expect(await w.single('cancel', entrant(1))).toEqual([idOf(1)]);
    w.start(idOf(1));
    await w.until(START + MINUTE);
    expect(w.cancelled).toEqual([idOf(1)]);
    expect([...w.active]).toEqual([idOf(2)]);
  });

  test('what is held by runs that have ended is forgotten after days; what is held stays', async () => {
    const w = new StartWorld();
    await w.single('skip', entrant(1), entrant(2, 'other'), entrant(3));
    w.start(idOf(1));
    w.start(idOf(2));
    w.active.delete(idOf(2));
    await w.until(START + 8 * DAY);
    expect(w.rows('holder')).toBe(1);
    expect(await w.single('skip', entrant(4))).toEqual([]);
  });
});

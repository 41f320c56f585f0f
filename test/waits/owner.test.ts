import { describe, expect, it } from 'vitest';
import { limits } from '../../src/protocol/limits.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/lib/time.ts';
import { event, START, waitFor, WaitsWorld, type Told } from './world.ts';

const told = (key: string, n: number): Told => ({
  runId: `RUN-${key}`,
  key,
  eventId: event(n, START).internalId,
});

describe('an event finds its waits', () => {
  it('resumes the run whose expression matches, no other, and keeps nothing of it (WE-10, AT-12)', async () => {
    const world = new WaitsWorld();
    await world.owner.listen([waitFor('a'), waitFor('b')]);
    await world.owner.deliver([event(1, START + 5, { id: 'a' })]);
    expect(world.told).toEqual([told('a', 1)]);
    expect(world.rows()).toEqual([{ path: '["data","id"]', value: 's:b' }]);
  });

  it('resumes the one of 10,000 that it is for, by lookup (AT-13, EX-78, WE-24)', async () => {
    const world = new WaitsWorld();
    const waits = Array.from({ length: 10_000 }, (_, n) => waitFor(`k${n}`));
    for (let n = 0; n < waits.length; n += 1_000) await world.owner.listen(waits.slice(n, n + 1_000));
    await world.owner.deliver([event(1, START + 5, { id: 'k7654' })]);
    expect(world.told).toEqual([told('k7654', 1)]);
    expect(world.count('wait')).toBe(9_999);
  });

  it('resumes every run that waits for it, and stores the event once for all of them (WE-11)', async () => {
    const world = new WaitsWorld({ tell: () => Promise.reject(new Error('no')) });
    await world.owner.listen(['x', 'y', 'z'].map((key) => waitFor(key, { expression: null })));
    await world.owner.deliver([event(1, START + 5, { long: 'x'.repeat(limits.rowText + 10) })]);
    expect([world.count('wait'), world.count('piece')]).toEqual([3, 2]);
    world.doings.tell = async () => 'taken';
    await world.nextAlarm();
    expect(world.told.slice(3)).toEqual([told('x', 1), told('y', 1), told('z', 1)]);
    expect([world.count('wait'), world.count('piece')]).toEqual([0, 0]);
  });

  it('cancels the run when that is what the wait is for', async () => {
    const world = new WaitsWorld();
    await world.owner.listen([waitFor('cancel:0', { kind: 'cancel', expression: null })]);
    await world.owner.deliver([event(1, START + 5)]);
    expect(world.told).toEqual([{ runId: 'RUN-cancel:0', key: null, eventId: null }]);
    expect(world.count('wait')).toBe(0);
  });

  it('gives a wait the earliest received event of a batch, whatever its order (WE-13)', async () => {
    const world = new WaitsWorld();
    await world.owner.listen([waitFor('a')]);
    await world.owner.deliver([event(1, START + 9, { id: 'a' }), event(2, START + 5, { id: 'a' })]);
    expect(world.told).toEqual([told('a', 2)]);
  });

  it('is not disturbed by an expression that errors (WE-21)', async () => {
    const world = new WaitsWorld();
    const bad = waitFor('bad', { expression: 'async.data.id.size().nothing > int("x")' });
    await world.owner.listen([bad, waitFor('a')]);
    await world.owner.deliver([event(1, START + 5, { id: 'a' })]);
    expect(world.told).toEqual([told('a', 1)]);
  });

  it('takes the moment of receipt from `since` on and before `until`, and never the events that started the run (WE-17)', async () => {
    const world = new WaitsWorld();
    const own = event(3, START + 5, { id: 'a' });
    await world.owner.listen([waitFor('a', { until: START + 10, except: [own.internalId] })]);
    await world.owner.deliver([event(1, START - 1, { id: 'a' }), event(2, START + 10, { id: 'a' }), own]);
    expect(world.told).toEqual([]);
    await world.owner.deliver([event(4, START, { id: 'a' })]);
    expect(world.told).toEqual([told('a', 4)]);
  });

  it('writes nothing for events of a name that nobody ever waited for', async () => {
    const world = new WaitsWorld();
    await world.owner.deliver([event(1, START)]);
    expect(world.disk.database.prepare('SELECT * FROM sqlite_master').all()).toEqual([]);
    expect(world.disk.alarm).toBeNull();
  });

  it('resumes a run again and again until it answers, with growing pauses', async () => {
    const world = new WaitsWorld({ tell: () => Promise.reject(new Error('no')) });
    await world.owner.listen([waitFor('a', { until: START + DAY })]);
    await world.owner.deliver([event(1, START + 5, { id: 'a' })]);
    const pauses: number[] = [];
    for (let i = 0; i < 12; i++) {
      pauses.push((world.disk.alarm ?? 0) - world.now);
      world.crash();
      await world.nextAlarm();
    }
    expect(pauses.slice(0, 4)).toEqual([5, 5, 10, 20].map((seconds) => seconds * SECOND));
    expect(pauses.at(-1)).toBe(HOUR);
    world.doings.tell = async () => 'gone';
    await world.nextAlarm();
    expect(world.count('wait')).toBe(0);
  });

  it('does not wait long for a run that does not answer', async () => {
    const world = new WaitsWorld({ tell: () => new Promise(() => undefined) });
    await world.owner.listen([waitFor('a')]);
    const delivered = world.owner.deliver([event(1, START + 5, { id: 'a' })]);
    while (world.timers.length === 0) await Promise.resolve();
    world.advance(20 * SECOND);
    await delivered;
    expect(world.disk.alarm).toBe(world.now + 5 * SECOND);
  });

  it('is not lost with the delivery that was telling the run, when another one of the same event was done before (WE-10)', async () => {
    const world = new WaitsWorld({ tell: () => new Promise(() => undefined) });
    await world.owner.listen([waitFor('a')]);
    void world.owner.deliver([event(1, START + 5, { id: 'a' })]);
    while (world.told.length === 0) await Promise.resolve();
    await world.owner.deliver([event(1, START + 5, { id: 'a' })]);
    world.crash();
    delete world.doings.tell;
    await world.nextAlarm();
    expect(world.told).toEqual([told('a', 1), told('a', 1)]);
    expect(world.now).toBeLessThan(START + 10 * SECOND);
  });
});

describe('looking back', () => {
  it('finds the oldest match over many pages, and no duplicate by id (WE-13, WE-17)', async () => {
    const world = new WaitsWorld();
    world.storeDuplicate(event(1, START + 1, { id: 'a' }));
    world.store(event(2, START + 2, { id: 'a' }));
    for (let n = 3; n < 200; n++) world.store(event(n, START + n, { id: n % 2 === 0 ? 'a' : 'b' }));
    world.now += 300;
    await world.owner.listen([waitFor('a'), waitFor('b')]);
    expect(world.told).toEqual([told('a', 2), told('b', 3)]);
  });

  it('prefers what it finds to a later event that is delivered meanwhile', async () => {
    const page = Promise.withResolvers<void>();
    const world = new WaitsWorld({ page: (read) => page.promise.then(read) });
    world.store(event(1, START + 1, { id: 'a' }));
    const listened = world.owner.listen([waitFor('a')]);
    await world.owner.deliver([event(2, START + 2, { id: 'a' })]);
    expect(world.told).toEqual([]);
    page.resolve();
    await listened;
    expect(world.told).toEqual([told('a', 1)]);
  });

  it('does not miss an event that comes after the page was read and before it is here (WE-10)', async () => {
    const gate = Promise.withResolvers<void>();
    const world = new WaitsWorld({
      page: (read) => {
        const page = read();
        return gate.promise.then(() => page);
      },
    });
    const listened = world.owner.listen([waitFor('a')]);
    while (world.pages === 0) await Promise.resolve();
    world.store(event(1, START + 1, { id: 'a' }));
    await world.owner.deliver([event(1, START + 1, { id: 'a' })]);
    gate.resolve();
    await listened;
    expect(world.told).toEqual([told('a', 1)]);
  });

  it('is made up for by the alarm when the history cannot be read; until then nothing is decided', async () => {
    const world = new WaitsWorld({ page: () => Promise.reject(new Error('down')) });
    world.store(event(1, START + 1, { id: 'a' }), event(2, START + 2, { id: 'a' }));
    await world.owner.listen([waitFor('a')]);
    await world.owner.deliver([event(2, START + 2, { id: 'a' })]);
    world.crash();
    await world.nextAlarm();
    expect(world.told).toEqual([]);
    delete world.doings.page;
    await world.nextAlarm();
    expect(world.told).toEqual([told('a', 1)]);
    expect([world.count('wait'), world.count('debt')]).toEqual([0, 0]);
  });

  it('is made up for when dispatch could not be told that the name is awaited: what it says before that counts for nothing', async () => {
    const world = new WaitsWorld({ expect: () => Promise.reject(new Error('down')) });
    await world.owner.listen([waitFor('a')]);
    expect([world.pages, world.count('debt')]).toEqual([0, 1]);
    world.store(event(1, START + 1, { id: 'a' }));
    delete world.doings.expect;
    await world.nextAlarm();
    expect(world.told).toEqual([told('a', 1)]);
  });

  it('a repeat changes nothing', async () => {
    const world = new WaitsWorld();
    await Promise.all([world.owner.listen([waitFor('a')]), world.owner.listen([waitFor('a'), waitFor('a')])]);
    await world.owner.listen([waitFor('a')]);
    expect(world.count('wait')).toBe(1);
  });
});

describe('the end of a wait', () => {
  it('takes an event that was received in time and is not dispatched yet (WE-12)', async () => {
    const world = new WaitsWorld();
    await world.owner.listen([waitFor('a')]);
    world.store(event(1, START + 5, { id: 'a' }));
    world.now += 2 * HOUR;
    expect(await world.owner.expire('RUN-a', 'a')).toMatchObject({ internalId: event(1, 0).internalId });
  });

  it('answers the same again, until the run took it', async () => {
    const world = new WaitsWorld({ tell: () => Promise.reject(new Error('no')) });
    await world.owner.listen([waitFor('a'), waitFor('b')]);
    await world.owner.deliver([event(1, START + 5, { id: 'a' })]);
    world.now += 2 * HOUR;
    expect(await world.owner.expire('RUN-a', 'a')).toMatchObject({ internalId: event(1, 0).internalId });
    expect(await world.owner.expire('RUN-b', 'b')).toBeNull();
    world.crash();
    world.store(event(2, START + 6, { id: 'b' }));
    await world.owner.deliver([event(2, START + 6, { id: 'b' })]);
    expect(await world.owner.expire('RUN-a', 'a')).toMatchObject({ internalId: event(1, 0).internalId });
    expect(await world.owner.expire('RUN-b', 'b')).toBeNull();
    expect(world.count('wait')).toBe(1);
  });

  it('decides nothing when the history cannot be read, and loses nothing that was delivered meanwhile', async () => {
    const world = new WaitsWorld();
    await world.owner.listen([waitFor('a')]);
    world.now += 2 * HOUR;
    const page = Promise.withResolvers<void>();
    world.doings.page = () => page.promise.then(() => Promise.reject(new Error('down')));
    const answer = world.owner.expire('RUN-a', 'a');
    await Promise.resolve();
    world.store(event(1, START + 5, { id: 'a' }));
    await world.owner.deliver([event(1, START + 5, { id: 'a' })]);
    world.markDispatched(event(1, 0).internalId);
    page.resolve();
    await expect(answer).rejects.toThrow('down');
    delete world.doings.page;
    expect(await world.owner.expire('RUN-a', 'a')).toMatchObject({ internalId: event(1, 0).internalId });
  });

  it('comes by `drop` too, in the middle of a look-back as well', async () => {
    const page = Promise.withResolvers<void>();
    const world = new WaitsWorld({ page: (read) => page.promise.then(read) });
    const listened = world.owner.listen([waitFor('a'), waitFor('b')]);
    await Promise.resolve();
    await Promise.resolve();
    await world.owner.drop('RUN-a', ['a']);
    page.resolve();
    await listened;
    await world.owner.drop('RUN-b', ['b', 'no such']);
    expect(world.count('wait')).toBe(0);
  });

  it('is not swept up under a run that comes late, and gets what came in time (WE-12)', async () => {
    const world = new WaitsWorld();
    await world.owner.listen([waitFor('a')]);
    world.store(event(1, START + 5, { id: 'a' }));
    world.advance(5 * DAY);
    await world.owner.listen([waitFor('a')]);
    await world.fireAlarm();
    expect(await world.owner.expire('RUN-a', 'a')).toMatchObject({ internalId: event(1, 0).internalId });
  });

  it('is swept up a day after the deadline when the run never came', async () => {
    const world = new WaitsWorld();
    await world.owner.listen([waitFor('a'), waitFor('b', { until: START + 3 * DAY })]);
    await world.nextAlarm();
    expect(world.count('wait')).toBe(2);
    await world.nextAlarm();
    expect(world.count('wait')).toBe(1);
    for (let i = 0; i < 3; i++) await world.nextAlarm();
    expect(world.count('wait')).toBe(0);
    expect(world.disk.alarm).toBeNull();
  });
});

describe('after a crash', () => {
  it('a match that was written and not sent is sent by the alarm that the next call sets', async () => {
    const world = new WaitsWorld({ tell: () => new Promise(() => undefined) });
    await world.owner.listen([waitFor('a')]);
    void world.owner.deliver([event(1, START + 5, { id: 'a' })]);
    while (world.told.length === 0) await Promise.resolve();
    world.crash();
    world.doings.tell = async () => 'taken';
    await world.owner.deliver([event(1, START + 5, { id: 'a' })]);
    world.advance(MINUTE);
    expect(world.isAlarmDue).toBe(true);
    await world.fireAlarm();
    expect(world.told).toEqual([told('a', 1), told('a', 1)]);
    expect(world.count('wait')).toBe(0);
  });
});

import { describe, expect, test } from 'vitest';
import { DAY, HOUR, SECOND } from '../../src/lib/time.ts';
import { sentOf, SignalsWorld, START, waitOf } from './world.ts';

describe('a signal', () => {
  test('is for the run that waits, which is answered to the sender (WS-1, RA-22)', async () => {
    const { owner, outcomes } = new SignalsWorld();
    expect(await owner.listen(waitOf('A'))).toBe('listening');
    expect(await owner.send(sentOf('1'))).toBe('A');
    expect(outcomes.get('A')).toBe('1');
  });

  test('that nobody waits for is nobody’s, also when somebody waits later (WS-1, RA-22)', async () => {
    const { owner, outcomes } = new SignalsWorld();
    expect(await owner.send(sentOf('1'))).toBeNull();
    await owner.listen(waitOf('A'));
    expect(outcomes.has('A')).toBe(false);
  });

  test('is for one run only: the next one is nobody’s', async () => {
    const { owner } = new SignalsWorld();
    await owner.listen(waitOf('A'));
    expect([await owner.send(sentOf('1')), await owner.send(sentOf('2'))]).toEqual(['A', null]);
  });

  test('sent twice is sent once, and has the same answer, also after a crash', async () => {
    const world = new SignalsWorld();
    await world.owner.listen(waitOf('A'));
    await world.owner.send(sentOf('1'));
    await world.owner.listen(waitOf('B'));
    world.crash();
    expect(await world.owner.send(sentOf('1'))).toBe('A');
    expect(world.outcomes.has('B')).toBe(false);
    expect(await world.owner.send(sentOf('2'))).toBe('B');
  });

  test.each([
    [HOUR - 1, 'A'],
    [HOUR, null],
  ])('%i ms after the wait began, with an hour to wait, it is for %j', async (after, runId) => {
    const world = new SignalsWorld();
    await world.owner.listen(waitOf('A'));
    world.advance(after);
    expect(await world.owner.send(sentOf('1'))).toBe(runId);
  });

  test('is not for a run that is over and could not say so: it is for who waits now', async () => {
    const world = new SignalsWorld();
    await world.owner.listen(waitOf('A'));
    world.outcomes.set('A', null);
    expect(await world.owner.send(sentOf('1'))).toBeNull();
    await world.owner.listen(waitOf('B'));
    expect(await world.owner.send(sentOf('1'))).toBe('B');
  });
});

describe('a wait', () => {
  test('registered twice is one', async () => {
    const { owner } = new SignalsWorld();
    expect([await owner.listen(waitOf('A')), await owner.listen(waitOf('A'))]).toEqual([
      'listening',
      'listening',
    ]);
    expect([await owner.send(sentOf('1')), await owner.send(sentOf('2'))]).toEqual(['A', null]);
  });

  test('fails while another run waits, and the other one goes on waiting (WS-1)', async () => {
    const { owner } = new SignalsWorld();
    await owner.listen(waitOf('A'));
    expect(await owner.listen(waitOf('B'))).toBe('taken');
    expect(await owner.send(sentOf('1'))).toBe('A');
    expect(await owner.listen(waitOf('B'))).toBe('listening');
  });

  test('may take over: the other one gets nothing any more, and runs out of time (WS-1)', async () => {
    const world = new SignalsWorld();
    const { owner } = world;
    await owner.listen(waitOf('A'));
    expect(await owner.listen(waitOf('B', { conflict: 'replace' }))).toBe('listening');
    // After a restart the former run asks again: that changes nothing.
    expect(await owner.listen(waitOf('A'))).toBe('listening');
    expect([await owner.send(sentOf('1')), await owner.send(sentOf('2'))]).toEqual(['B', null]);
    expect(await owner.expire('A', 'k')).toBeNull();
    expect(world.outcomes.has('A')).toBe(false);
  });

  test('is in nobody’s way once its run is over, or its time (WS-1)', async () => {
    const world = new SignalsWorld();
    await world.owner.listen(waitOf('A'));
    world.outcomes.set('A', null);
    expect(await world.owner.listen(waitOf('B', { until: START + SECOND }))).toBe('listening');
    world.advance(SECOND);
    expect(await world.owner.listen(waitOf('C'))).toBe('listening');
    expect(await world.owner.send(sentOf('1'))).toBe('C');
  });

  test('that is not wanted any more takes nothing over', async () => {
    const world = new SignalsWorld();
    await world.owner.listen(waitOf('A'));
    world.outcomes.set('B', null);
    await world.owner.listen(waitOf('B', { conflict: 'replace' }));
    expect(await world.owner.send(sentOf('1'))).toBe('A');
  });

  test('rejects where the run in its way cannot be asked: it is repeated then', async () => {
    let fails = false;
    const world = new SignalsWorld({
      way: async (call) => {
        if (fails) throw new Error('down');
        return call();
      },
    });
    await world.owner.listen(waitOf('A'));
    fails = true;
    await expect(world.owner.listen(waitOf('B'))).rejects.toThrow('down');
    fails = false;
    expect(await world.owner.listen(waitOf('B'))).toBe('taken');
  });

  test('that is dropped is not there', async () => {
    const { owner } = new SignalsWorld();
    await owner.listen(waitOf('A'));
    await owner.drop('A', 'k');
    expect(await owner.send(sentOf('1'))).toBeNull();
  });

  test('is over at its deadline, unless it was matched before (WE-12)', async () => {
    const { owner } = new SignalsWorld();
    await owner.listen(waitOf('A'));
    expect([
      await owner.expire('A', 'k'),
      await owner.send(sentOf('1')),
      await owner.expire('A', 'k'),
    ]).toEqual([null, null, null]);
  });
});

describe('a run that cannot be told', () => {
  test('is told again by the alarm, until it took the signal or wants it no more', async () => {
    let fails = 3;
    const world = new SignalsWorld({
      way: async (call) => {
        if (fails-- > 0) throw new Error('down');
        return call();
      },
    });
    await world.owner.listen(waitOf('A'));
    expect(await world.owner.send(sentOf('1'))).toBe('A');
    world.crash();
    for (let alarms = 0; alarms < 3; alarms++) await world.nextAlarm();
    expect(world.outcomes.get('A')).toBe('1');
    expect(world.errors).toHaveLength(3);
  });

  test('gets it at its deadline when it asks, and nobody else gets it too', async () => {
    let telling: (() => void) | null = null;
    const world = new SignalsWorld({
      way: async (call) => {
        await new Promise<void>((resolve) => (telling = resolve));
        return call();
      },
    });
    await world.owner.listen(waitOf('A'));
    const sending = world.owner.send(sentOf('1'));
    await Promise.resolve();
    const answer = await world.owner.expire('A', 'k');
    expect(answer).toEqual({ ok: true, data: sentOf('1').answer });
    world.outcomes.set('A', '1');
    void world.owner.listen(waitOf('B'));
    (telling as (() => void) | null)?.();
    expect(await sending).toBe('A');
    expect(world.outcomes.has('B')).toBe(false);
  });
});

test('nothing is left of a signal once everybody has gone and no sender asks again', async () => {
  const world = new SignalsWorld();
  await world.owner.listen(waitOf('A'));
  await world.owner.send(sentOf('1'));
  await world.owner.listen(waitOf('B'));
  world.outcomes.set('B', null);
  for (let alarms = 0; world.disk.alarm !== null; alarms++) {
    expect(alarms).toBeLessThan(10);
    await world.nextAlarm();
  }
  expect(world.isEmpty).toBe(true);
  expect(world.now).toBeLessThanOrEqual(START + HOUR + DAY);
  expect(await world.owner.send(sentOf('2'))).toBeNull();
  expect(await world.owner.listen(waitOf('C'))).toBe('listening');
});

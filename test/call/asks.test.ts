import { describe, expect, test } from 'vitest';
import { sha1Hex } from '../../src/lib/hash.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import { NOW, World, type Context } from './world.ts';

const waiting = (options: object) => (context: Context) =>
  (
    context.step as unknown as { waitForEvent: (id: string, options: object) => Promise<unknown> }
  ).waitForEvent('w', {
    event: 'shop/paid',
    timeout: '1h',
    ...options,
  });
const invoking = (options: object) => (context: Context) =>
  (context.step as unknown as { invoke: (id: string, options: object) => Promise<unknown> }).invoke(
    'i',
    options,
  );

const paid: StoredEvent = {
  internalId: '01J0000000000000000000PA1D',
  env: 'main',
  name: 'shop/paid',
  data: { n: 1 },
  ts: NOW,
  receivedAt: NOW,
};

describe('step.waitForEvent in the run’s own object', () => {
  test('asks, is parked, and goes on with the event (WE-2)', async () => {
    const world = new World(waiting({ match: 'data.n' }));
    await world.start();
    expect(world.waits.listening).toMatchObject([
      {
        event: 'shop/paid',
        expression: 'event.data.n == async.data.n',
        given: { data: { n: 1 } },
        since: NOW,
      },
    ]);
    const key = world.waits.listening[0]?.key ?? '';
    expect(await world.owner.resume(key, paid)).toBe('taken');
    await world.quiet();
    expect(JSON.parse(world.reported[0]?.output ?? 'null')).toMatchObject({
      name: 'shop/paid',
      data: { n: 1 },
    });
  });

  test('what earlier waits of the run got does not count, what others get at the same time does (WE-11)', async () => {
    const world = new World(async ({ step }) => {
      const wait = (id: string) => step.waitForEvent(id, { event: 'shop/paid', timeout: '1h' });
      await Promise.all([wait('first'), wait('beside it')]);
      return wait('next');
    });
    await world.start();
    for (const { key } of world.waits.listening.slice(0, 2)) await world.owner.resume(key, paid);
    await world.quiet();
    const own = world.owner.state?.config.eventIds ?? [];
    expect(world.waits.listening.map((one) => one.except)).toEqual([
      own,
      own,
      [...own, paid.internalId, paid.internalId],
    ]);
  });

  test('an expression that does not compile fails the run and names the step (WE-20)', async () => {
    const world = new World(waiting({ if: 'async.data.n = 1' }));
    await world.start();
    expect(world.reported).toMatchObject([{ status: 'Failed' }]);
    expect(world.reported[0]?.output).toContain('step \\"w\\"');
  });

  test('is asked for again until it is acknowledged', async () => {
    const world = new World(waiting({}));
    world.waits.fails = true;
    await world.start();
    expect(world.waits.listening).toEqual([]);
    world.waits.fails = false;
    expect(world.errors.splice(0)).toHaveLength(1);
    await world.pass(10_000);
    expect(world.waits.listening).toHaveLength(1);
  });
});

describe('step.waitForAny in the run’s own object', () => {
  const any = ({ step }: Context) =>
    step.waitForAny('w', {
      events: [
        { event: 'shop/paid', match: 'data.n' },
        { event: 'shop/refused' },
        { event: 'shop/paid', if: 'async.data.all' },
      ],
      timeout: '1h',
    });

  test('listens for all of them, takes the first, and drops the others', async () => {
    const world = await new World(any).start();
    expect(world.waits.listening).toMatchObject([
      { event: 'shop/paid', expression: 'event.data.n == async.data.n', given: { data: { n: 1 } } },
      { event: 'shop/refused', expression: null },
      { event: 'shop/paid', expression: 'async.data.all' },
    ]);
    const [first, second, third] = world.waits.listening.map(({ key }) => key);
    const refused = { ...paid, name: 'shop/refused' };
    expect(await world.owner.resume(second ?? '', refused)).toBe('taken');
    expect(await world.owner.resume(first ?? '', paid)).toBe('gone');
    await world.quiet();
    expect(world.output).toMatchObject({ name: 'shop/refused' });
    expect(world.waits.droppedKeys).toEqual([first, third]);
  });

  test('asks about all of them at its deadline, and is null when none came (WE-12)', async () => {
    const world = await new World(any).run();
    expect([world.waits.expired.length, world.output]).toEqual([3, null]);
  });

  test('one that came in time wins at the deadline', async () => {
    const world = await new World(any).start();
    world.waits.inTime.set(world.waits.listening[2]?.key ?? '', paid);
    await world.toEnd();
    expect(world.output).toMatchObject({ name: 'shop/paid' });
  });

  test('lost at any transaction it ends the same way', async () => {
    for (let transaction = 1; transaction <= 8; transaction++) {
      for (const written of [false, true]) {
        const world = new World(any, { lostAt: { transaction, written } });
        world.waits.inTime.set(`${sha1Hex('w')}.1`, { ...paid, name: 'shop/refused' });
        await world.run();
        expect(world.output).toMatchObject({ name: 'shop/refused' });
      }
    }
  });

  test('an expression that does not compile fails the run, wherever it is (WE-20)', async () => {
    const events = [{ event: 'a' }, { event: 'b', if: 'async.data.n = 1' }];
    const world = await new World(({ step }) => step.waitForAny('w', { events, timeout: '1h' })).start();
    expect(world.reported).toMatchObject([{ status: 'Failed' }]);
  });
});

describe('step.waitForSignal in the run’s own object', () => {
  const waitFor =
    (onConflict?: 'replace') =>
    async ({ step }: Context) => {
      try {
        return await step.waitForSignal('w', { signal: 'task/1', timeout: '1h', onConflict });
      } catch (error) {
        return (error as Error).message;
      }
    };

  test('registers, and goes on with what was sent (WS-1)', async () => {
    const world = await new World(waitFor('replace')).start();
    const [wait] = world.signals.listening;
    expect(wait).toMatchObject({
      env: 'main',
      signal: 'task/1',
      runId: 'run',
      conflict: 'replace',
      until: NOW + 3_600_000,
    });
    expect(await world.owner.awaits(wait?.key ?? '')).toBe(true);
    const answer = { ok: true, data: '{"signal":"task/1","data":[1]}' };
    expect(await world.owner.answer(wait?.key ?? '', answer)).toBe('taken');
    expect(await world.owner.answer(wait?.key ?? '', answer)).toBe('gone');
    await world.quiet();
    expect(world.output).toEqual({ signal: 'task/1', data: [1] });
    expect(await world.owner.awaits(wait?.key ?? '')).toBe(false);
  });

  test('fails, catchable, where another run waits (WS-1)', async () => {
    const world = new World(waitFor());
    world.signals.isTaken = true;
    await world.run();
    expect(world.output).toBe('another run waits for the signal "task/1"');
  });

  test.each([
    [null, null],
    [
      { ok: true, data: '{"signal":"task/1","data":1}' },
      { signal: 'task/1', data: 1 },
    ],
  ])('at its deadline asks whether %j came in time (WS-1)', async (inTime, output) => {
    const world = new World(waitFor());
    world.signals.inTime = inTime;
    await world.run();
    expect([world.signals.expired, world.output]).toEqual([['task/1'], output]);
  });

  test('is dropped when the run is cancelled', async () => {
    const world = await new World(waitFor()).start();
    await world.owner.cancel();
    await world.quiet();
    expect(world.signals.dropped).toEqual(['task/1']);
  });
});

describe('step.sendSignal in the run’s own object', () => {
  const send =
    (signal: string, data?: unknown) =>
    ({ step }: Context) =>
      step.sendSignal('s', { signal, data });

  test('names itself by run and step, so that a repeat is the same act; tells who got it (WS-2)', async () => {
    const world = new World(send('task/1', { at: new Date(0) }));
    world.signals.receiver = 'other-run';
    await world.run();
    expect(world.output).toEqual({ runId: 'other-run' });
    expect(world.signals.sent).toMatchObject([
      {
        id: expect.stringMatching(/^run:\w{40}:0$/),
        answer: '{"signal":"task/1","data":{"at":"1970-01-01T00:00:00.000Z"}}',
      },
    ]);
    expect((await world.trace())?.steps).toMatchObject([{ tool: 'step.sendSignal' }]);
  });

  test('that nobody waits for has no receiver, and is no failure (WS-2)', async () => {
    expect((await new World(send('task/1')).run()).output).toEqual({});
  });

  test('that is too long fails at once', async () => {
    const world = await new World(send('x'.repeat(1_025))).run();
    expect([world.status, world.signals.sent]).toEqual(['Failed', []]);
    expect(world.output).toMatchObject({ message: 'step.sendSignal: signal: longer than 1024 characters' });
  });
});

describe('step.invoke in the run’s own object', () => {
  test('has its event accepted, with the user sealed and the step as its parent (IV-3, IV-7)', async () => {
    const world = new World(invoking({ function: 'app-other', data: { x: 1 }, user: { id: 'u' } }));
    await world.start();
    expect(world.emitted).toMatchObject([
      {
        name: 'inngest/function.invoked',
        data: { x: 1 },
        user: '{"id":"u"}',
        target: { functionId: 'app-other', parent: { runId: expect.any(String) } },
      },
    ]);
  });

  test('its answer is the step’s result (IV-1)', async () => {
    const world = new World(invoking({ function: 'app-other', data: {} }));
    await world.start();
    const key = world.emitted[0]?.target?.parent?.key ?? '';
    expect(await world.owner.answer(key, { ok: true, data: '{"y":2}' })).toBe('taken');
    await world.quiet();
    expect(world.reported).toMatchObject([{ status: 'Completed', output: '{"y":2}' }]);
  });
});

describe('a run that a sweep asks how it stands', () => {
  test('has nothing to tell while all goes its way, late by less than minutes or not', async () => {
    const world = new World(waiting({}));
    await world.start();
    const due = NOW + 3_600_000;
    expect(await world.owner.check()).toEqual({ state: 'open', nextAt: due });
    world.now = due + 119_000;
    await world.owner.check();
    await world.quiet();
    expect(await world.owner.check()).toMatchObject({ state: 'ended' });
    expect(await world.owner.check()).not.toHaveProperty('repaired');
  });

  test('gets back an alarm that was lost, and says so once (SL-6)', async () => {
    const world = new World(waiting({}));
    await world.start();
    world.loseAlarm();
    const { state } = await world.owner.check();
    expect(state).toBe('open');
    world.loseAlarm();
    expect(await world.owner.check()).toMatchObject({ repaired: 'alarm' });
    expect(await world.owner.check()).toEqual({ state: 'open', nextAt: NOW + 3_600_000 });
  });

  test('gets back an alarm that was lost with its object', async () => {
    const world = new World(waiting({}));
    await world.start();
    world.loseAlarm().crash();
    expect(await world.owner.check()).toMatchObject({ state: 'open', repaired: 'alarm' });
    await world.quiet();
    expect(await world.owner.check()).not.toHaveProperty('repaired');
  });

  test('is woken by it where its alarm is minutes late', async () => {
    const world = new World(waiting({}));
    await world.start();
    world.now = NOW + 3_600_000 + 120_000;
    expect(await world.owner.check()).toMatchObject({ repaired: 'alarm' });
    await world.quiet();
    expect(world.ended).toBe(true);
  });

  test('asks again for what nobody has acknowledged for minutes', async () => {
    const world = new World(waiting({}));
    const { waits } = world;
    const listen = waits.listen.bind(waits);
    waits.listen = () => new Promise(() => undefined);
    await world.start();
    for (let n = 0; n < 11; n++) await world.ring();
    expect(await world.owner.check()).not.toHaveProperty('repaired');
    await world.ring();
    waits.listen = listen;
    expect(await world.owner.check()).toMatchObject({ state: 'open', repaired: 'ask' });
    await world.quiet();
    expect(waits.listening).toHaveLength(1);
    expect(await world.owner.check()).toEqual({ state: 'open', nextAt: NOW + 3_600_000 });
  });
});

import { describe, expect, test } from 'vitest';
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

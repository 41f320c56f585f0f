/** The sweeper's alarm, with the object's platform in memory. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Env } from '../../src/env.ts';
import type { SweepDeps } from '../../src/dispatch/sweep.ts';
import { NOW, idAt, stored } from '../ingest/world.ts';
import { admit } from '../contracts/stored.ts';
import { dispatchWorld } from './world.ts';

vi.mock('cloudflare:workers', () => ({
  DurableObject: class {
    ctx: unknown;
    env: unknown;
    constructor(ctx: unknown, env: unknown) {
      this.ctx = ctx;
      this.env = env;
    }
  },
}));
const { sweeperObject } = await import('../../durable-objects/sweeper.ts');

beforeEach(() => void vi.useFakeTimers({ now: NOW, toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());

/** Object and alarm; the alarm in milliseconds from now. */
function sweeper(
  dependencies: () => Omit<SweepDeps, 'resent' | 'repaired'>,
  kept = new Map<string, unknown>(),
) {
  const state: { alarm: number | null; set: number[] } = { alarm: null, set: [] };
  const storage = {
    get: async (key: string) => kept.get(key),
    put: async (key: string, value: unknown) => void kept.set(key, structuredClone(value)),
    getAlarm: async () => state.alarm,
    setAlarm: async (at: number) => {
      state.alarm = at;
      state.set.push(at - NOW);
    },
  };
  const Sweeper = sweeperObject(dependencies);
  const object = new Sweeper({ storage } as unknown as DurableObjectState, {} as Env);
  return { object, state };
}

describe('arming', () => {
  test.each([
    ['none', null, 5_000],
    ['a later one', 60_000, 5_000],
    ['an earlier one', 1_000, 1_000],
    ['one that is due', -10, -10],
  ])('with %s set', async (_, before, after) => {
    const { object, state } = sweeper(() => dispatchWorld());
    state.alarm = before === null ? null : NOW + before;
    await object.arm();
    expect((state.alarm ?? 0) - NOW).toBe(after);
  });
});

describe('an alarm', () => {
  test('sets the next one before it sweeps, and again when it knows how soon', async () => {
    const w = dispatchWorld();
    const { object, state } = sweeper(() => w);
    w.faults.set('undispatched', async () => {
      expect(state.set).toEqual([10_000]);
      return [];
    });
    await object.alarm();
    expect(state.set).toEqual([10_000, 60_000]);
    expect(w.log.lines).toEqual([]);
  });

  test('comes back soon while there is work, and remembers what it sent', async () => {
    const w = dispatchWorld();
    await w.store.insertEvents([stored(idAt(1), { receivedAt: NOW - 60_000 })], NOW);
    const { object, state } = sweeper(() => w);
    await object.alarm();
    await object.alarm();
    expect(state.set).toEqual([10_000, 5_000, 10_000, 5_000]);
    expect(w.events.sent).toHaveLength(1);
  });

  test('counts what it had to put right, for ever; and otherwise writes nothing', async () => {
    const silence = vi.spyOn(console, 'error').mockReturnValue();
    const kept = new Map<string, unknown>();
    const w = dispatchWorld();
    const first = sweeper(() => w, kept);
    await first.object.alarm();
    expect([kept.size, await first.object.repairs()]).toEqual([
      0,
      { alarms: 0, asks: 0, reports: 0, events: 0 },
    ]);
    w.runs.check = async () => ({ state: 'open', nextAt: NOW, repaired: 'ask' });
    const row = { runId: idAt(7), env: 'production', functionId: 'app-f', eventId: idAt(1), queuedAt: NOW };
    await admit(w.store, [stored(idAt(1))], [{ ...row, checkAt: NOW }], NOW);
    await first.object.alarm();
    const second = sweeper(() => w, kept);
    w.clock.time += 3_600_000;
    await second.object.alarm();
    expect(await second.object.repairs()).toEqual({ alarms: 0, asks: 2, reports: 0, events: 0 });
    silence.mockRestore();
  });

  test('never throws, and is set again, when the settings are bad', async () => {
    const silence = vi.spyOn(console, 'error').mockReturnValue();
    const { object, state } = sweeper(() => {
      throw new Error('STEPWELL_MAX_STEPS: expected a whole number');
    });
    await object.alarm();
    expect(state.set).toEqual([10_000]);
    expect(silence).toHaveBeenCalledOnce();
    silence.mockRestore();
  });
});

/** What a paused function's events, crons and invocations come to, and how its runs under way learn of it. */
import { describe, expect, test } from 'vitest';
import { consumeEvents } from '../../src/dispatch/consume.ts';
import { isHeardAgain } from '../../src/dispatch/flow.ts';
import { sweep } from '../../src/dispatch/sweep.ts';
import { DAY, MINUTE, SECOND } from '../../src/lib/time.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import { admit, markDispatched } from '../contracts/stored.ts';
import { idAt, NOW, stored } from '../ingest/world.ts';
import { dispatchWorld, TestMessage } from './world.ts';

const ENV = 'production';

function pausedWorld(options: object = {}) {
  const w = dispatchWorld({ 'app-f': ['a/b'] }, options);
  const send = async (...events: StoredEvent[]): Promise<void> => {
    await consumeEvents([new TestMessage({ events })], w);
  };
  const set = (mode: 'hold' | 'cancel' | null) => w.apps.setPaused(ENV, 'app-f', mode, w.clock.now());
  const records = async (n: number) =>
    (await w.store.runsOfEvent(ENV, idAt(n))).map(({ status, reason }) => ({ status, reason }));
  return { ...w, send, set, records };
}

const SKIPPED = { status: 'Skipped', reason: 'paused' };

describe('events of a paused function', () => {
  test('are recorded as skipped, and start runs again afterwards (PA-2, PA-3, FC-7)', async () => {
    const w = pausedWorld();
    await w.set('hold');
    await w.send(stored(idAt(1)));
    expect([w.runs.calls, await w.records(1), await w.store.undispatched(NOW + DAY, 10)]).toEqual([
      [],
      [SKIPPED],
      [],
    ]);
    await w.set(null);
    await w.send(stored(idAt(2)));
    expect([...w.runs.started.values()].map(({ events }) => events[0]?.internalId)).toEqual([idAt(2)]);
  });

  test('enter no gate (DB-20)', async () => {
    const w = pausedWorld({ debounce: { period: '5m' } });
    await w.set('hold');
    await w.send(stored(idAt(1)));
    expect([w.gates.calls, await w.records(1)]).toEqual([0, [SKIPPED]]);
  });

  test('are recorded each, duplicates too (PA-9)', async () => {
    const w = pausedWorld();
    await w.set('hold');
    await w.functions.load(ENV);
    const same = [1, 2].map((n) => stored(idAt(n), { id: 'once' }));
    for (const event of same) {
      expect(isHeardAgain(w.functions, event)).toBe(true);
      await w.send(event);
    }
    expect([await w.records(1), await w.records(2)]).toEqual([[SKIPPED], [SKIPPED]]);
  });

  test('a redelivery changes nothing, also when the function goes on meanwhile (PA-3)', async () => {
    const w = pausedWorld();
    await w.set('hold');
    await w.send(stored(idAt(1)));
    await w.set(null);
    await w.send(stored(idAt(1)));
    expect([w.runs.calls, await w.records(1)]).toEqual([[], [SKIPPED]]);
  });

  test('a tick of its schedule is one record (PA-11, CR-16)', async () => {
    const w = pausedWorld();
    await w.set('hold');
    const tick = stored(idAt(1), { name: 'inngest/scheduled.timer', target: { functionId: 'app-f' } });
    await w.send(tick);
    await w.send(tick);
    expect([w.runs.calls, await w.records(1)]).toEqual([[], [SKIPPED]]);
  });

  test('an invocation fails the step that made it, for good and in words (PA-13, IV-17)', async () => {
    const w = pausedWorld();
    await w.set('hold');
    const parent = { runId: 'R1', key: 'step' };
    await w.send(
      stored(idAt(1), { name: 'inngest/function.invoked', target: { functionId: 'app-f', parent } }),
    );
    const error = { name: 'NonRetriableError', message: 'the invoked function "app-f" is paused' };
    expect(w.runs.answers).toEqual([
      { runId: 'R1', key: 'step', answer: { ok: false, data: JSON.stringify(error) } },
    ]);
    expect(await w.records(1)).toEqual([SKIPPED]);
  });
});

test.each([{ debounce: { period: '1m' } }, { batchEvents: { maxSize: 10, timeout: '60s' } }])(
  'what was collected before is recorded as skipped if its time comes during the pause (PA-14, DB-20): %o',
  async (options) => {
    const w = pausedWorld(options);
    await w.send(stored(idAt(1)));
    await w.set('hold');
    w.clock.time += 2 * MINUTE;
    await w.gates.alarms();
    expect([w.runs.calls, await w.records(1)]).toEqual([[], [SKIPPED]]);
  },
);

describe('runs under way', () => {
  async function underWay(
    w: ReturnType<typeof pausedWorld>,
    n: number,
    checkAt = NOW + DAY,
  ): Promise<string> {
    const runId = idAt(1_000 + n);
    const row = { runId, env: ENV, functionId: 'app-f', eventId: idAt(n), queuedAt: NOW, checkAt };
    await admit(w.store, [stored(idAt(n))], [row], NOW);
    await markDispatched(w.store, [idAt(n)], NOW);
    w.runs.checks.set(runId, { state: 'open', nextAt: null });
    return runId;
  }

  test('are told that they are held for seven days, and that they go on (PA-5)', async () => {
    const w = pausedWorld();
    const runId = await underWay(w, 1);
    await w.set('hold');
    await sweep(w);
    await w.set(null);
    await sweep(w);
    await sweep(w);
    expect(w.runs.holds).toEqual([
      { runId, turn: 1, until: NOW + 7 * DAY },
      { runId, turn: 2, until: null },
    ]);
  });

  test('one that cannot be told is told by a later sweep (PA-5)', async () => {
    const w = pausedWorld();
    const runId = await underWay(w, 1);
    await w.set('hold');
    w.runs.unreachable.add(runId);
    await sweep(w);
    w.runs.unreachable.clear();
    await sweep(w);
    expect(w.runs.holds).toMatchObject([{ runId, turn: 1 }]);
  });

  test('one that comes into the index late is told when it is checked (PA-5)', async () => {
    const w = pausedWorld();
    await w.set('hold');
    await sweep(w);
    const runId = await underWay(w, 1, NOW + 30 * SECOND);
    w.clock.time += MINUTE;
    await sweep(w);
    expect(w.runs.holds).toEqual([{ runId, turn: 1, until: NOW + 7 * DAY }]);
  });
});

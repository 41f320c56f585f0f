import { MINUTE } from '../../src/lib/time.ts';
import { describe, expect, test } from 'vitest';
import { consumeRuns } from '../../src/dispatch/close.ts';
import { consumeEvents } from '../../src/dispatch/consume.ts';
import { indexFunctions, plan } from '../../src/match/plan.ts';
import type { Arrival, Settlement } from '../../src/ports.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import type { RunEnding, RunStart, RunSummary } from '../../src/protocol/run.ts';
import { idAt, NOW, stored } from '../ingest/world.ts';
import { dispatchWorld, ending, TestMessage } from './world.ts';
import { markDispatched } from '../contracts/stored.ts';

const down = async (): Promise<never> => {
  throw new Error('store down');
};
const whole = (events: StoredEvent[], attempts = 1): TestMessage => new TestMessage({ events }, attempts);
const byId = (ids: string[], attempts = 1): TestMessage => new TestMessage({ ids }, attempts);
const undispatched = (w: ReturnType<typeof dispatchWorld>): Promise<string[]> =>
  w.store.undispatched(NOW + 1, 100);

const REASON = 'start of app-f: Error';

/** The event is stored, and its starts have failed so often. */
async function failed(w: ReturnType<typeof dispatchWorld>, internalId: string, times: number): Promise<void> {
  w.clock.time = NOW + 5 * MINUTE;
  await w.store.insertEvents([stored(internalId)], NOW);
  for (let n = 0; n < times; n++) await w.store.countFailure([internalId]);
}

describe('events that come whole', () => {
  test('are stored, start their runs, are marked, and the message is acknowledged (EVT-32)', async () => {
    const w = dispatchWorld();
    const message = whole([stored(idAt(1), { data: { x: 1 } })]);
    await consumeEvents([message], w);
    expect([...w.runs.started.values()]).toMatchObject([
      {
        functionId: 'app-f',
        env: 'production',
        startAt: NOW,
        events: [{ internalId: idAt(1), data: { x: 1 } }],
      },
    ]);
    expect(await w.store.runsOfEvent('production', idAt(1))).toMatchObject([
      { status: 'Running', queuedAt: NOW },
    ]);
    expect(await undispatched(w)).toEqual([]);
    expect(message.fate).toBe('acknowledged');
  });

  test('that no function listens to are stored all the same (EVT-35)', async () => {
    const w = dispatchWorld();
    const message = whole([stored(idAt(1), { name: 'nobody/listens' })]);
    await consumeEvents([message], w);
    expect(await w.store.findEvent('production', idAt(1))).not.toBeNull();
    expect(await undispatched(w)).toEqual([]);
    expect([w.runs.calls.length, message.fate]).toEqual([0, 'acknowledged']);
  });

  test('start every function that listens (EVT-33, DD-8)', async () => {
    const w = dispatchWorld({ 'a-1': ['a/b'], 'a-2': ['a/*'], 'a-3': ['a/c'] });
    await consumeEvents([whole([stored(idAt(1), { id: 'k' })])], w);
    expect([...w.runs.started.values()].map((run) => run.functionId)).toEqual(['a-1', 'a-2']);
  });

  test('are asked about for the first time 30 s after they were to start', async () => {
    const w = dispatchWorld();
    await consumeEvents([whole([stored(idAt(1)), stored(idAt(2), { ts: NOW + 60_000 })])], w);
    const due = async (at: number): Promise<number> => (await w.store.runsToCheck(at, 10)).length;
    expect([await due(NOW + 29_999), await due(NOW + 30_000)]).toEqual([0, 1]);
    expect([await due(NOW + 89_999), await due(NOW + 90_000)]).toEqual([1, 2]);
  });

  test('need one batch of the store for all messages', async () => {
    const w = dispatchWorld();
    let batches = 0;
    w.faults.set('admit', () => void batches++);
    await consumeEvents([whole([stored(idAt(1)), stored(idAt(2))]), whole([stored(idAt(3))])], w);
    expect([batches, w.runs.started.size]).toEqual([1, 3]);
  });

  test('start at most 48 runs at a time', async () => {
    const w = dispatchWorld();
    const events = Array.from({ length: 200 }, (_, n) => stored(idAt(n)));
    await consumeEvents([whole(events)], w);
    expect([w.runs.started.size, w.runs.mostAtOnce]).toEqual([200, 48]);
  });
});

describe('events that come by id', () => {
  test('are read from the store', async () => {
    const w = dispatchWorld();
    await w.store.insertEvents([stored(idAt(1), { data: { x: 1 } })], NOW);
    const message = byId([idAt(1)]);
    await consumeEvents([message], w);
    expect(w.runs.calls).toMatchObject([{ events: [{ data: { x: 1 } }] }]);
    expect([message.fate, await undispatched(w)]).toEqual(['acknowledged', []]);
  });

  test('are in memory ten at a time, and start eight runs at a time', async () => {
    const w = dispatchWorld();
    const ids = Array.from({ length: 25 }, (_, n) => idAt(n));
    await w.store.insertEvents(
      ids.map((id) => stored(id)),
      NOW,
    );
    const loads: number[] = [];
    w.faults.set('loadEvents', (wanted: string[]) => void loads.push(wanted.length));
    await consumeEvents([byId(ids.slice(0, 15)), byId(ids.slice(15))], w);
    expect([loads, w.runs.started.size, w.runs.mostAtOnce]).toEqual([[10, 10, 5], 25, 8]);
  });

  test('that also came whole are not read', async () => {
    const w = dispatchWorld();
    w.faults.set('loadEvents', down);
    const messages = [whole([stored(idAt(1))]), byId([idAt(1)])];
    await consumeEvents(messages, w);
    expect(messages.map((message) => message.fate)).toEqual(['acknowledged', 'acknowledged']);
  });

  test('and are not stored keep their message only as long as another event of it is open', async () => {
    const w = dispatchWorld();
    await w.store.insertEvents([stored(idAt(1))], NOW);
    w.runs.fail = () => true;
    const message = byId([idAt(1), idAt(2)], 20);
    await consumeEvents([message], w);
    expect([message.fate, w.dead.sent]).toEqual([{ retriedAfter: 300 }, []]);
    w.runs.fail = () => false;
    const again = byId([idAt(1), idAt(2)], 21);
    await consumeEvents([again], w);
    expect([again.fate, w.dead.sent]).toMatchObject(['acknowledged', [{ body: { ids: [idAt(2)] } }]]);
  });

  test('and are not stored (yet) are asked for again, and given up in the end', async () => {
    const w = dispatchWorld();
    const messages = [byId([idAt(1)]), byId([idAt(2)], 8)];
    await consumeEvents(messages, w);
    expect(messages.map((message) => message.fate)).toEqual([{ retriedAfter: 2 }, 'acknowledged']);
    expect(w.dead.sent).toEqual([
      { queue: 'events', reason: 'ids: no such event is stored', body: { ids: [idAt(2)] } },
    ]);
  });
});

describe('nothing is done twice', () => {
  test('a message delivered again starts no second run', async () => {
    const w = dispatchWorld();
    for (let delivery = 1; delivery <= 3; delivery++) {
      const message = whole([stored(idAt(1))], delivery);
      await consumeEvents([message], w);
      expect(message.fate).toBe('acknowledged');
    }
    expect(w.runs.calls).toHaveLength(1);
  });

  test('an event in two messages of a batch starts one run', async () => {
    const w = dispatchWorld();
    await consumeEvents([whole([stored(idAt(1))]), whole([stored(idAt(1))])], w);
    expect(w.runs.calls).toHaveLength(1);
  });

  test('two events with one id start one set of runs (DD-1, DD-4, DD-10)', async () => {
    const w = dispatchWorld({ 'a-1': ['a/b'], 'a-2': ['x/y'] });
    const messages = [whole([stored(idAt(1), { id: 'k' }), stored(idAt(2), { id: 'k', name: 'x/y' })])];
    await consumeEvents(messages, w);
    expect(w.runs.calls.map((run) => run.functionId)).toEqual(['a-1']);
    expect(await w.store.findEvent('production', idAt(2))).toMatchObject({ duplicateOf: idAt(1) });
    expect(messages[0]?.fate).toBe('acknowledged');
  });

  test('a crash after the starts, before the mark: the second delivery finds the same runs', async () => {
    const w = dispatchWorld();
    w.faults.set('settle', down);
    const first = whole([stored(idAt(1))]);
    await consumeEvents([first], w);
    expect(first.fate).toEqual({ retriedAfter: 2 });
    w.faults.clear();
    const second = whole([stored(idAt(1))], 2);
    await consumeEvents([second], w);
    expect([w.runs.calls.length, w.runs.started.size, second.fate]).toEqual([2, 1, 'acknowledged']);
  });
});

describe('a start that fails', () => {
  test('leaves its event undispatched and its message retried, and disturbs no other', async () => {
    const w = dispatchWorld();
    w.runs.fail = (run) => run.events[0]?.internalId === idAt(2);
    const messages = [1, 2, 3].map((n) => whole([stored(idAt(n))]));
    await consumeEvents(messages, w);
    expect(messages.map((message) => message.fate)).toEqual([
      'acknowledged',
      { retriedAfter: 2 },
      'acknowledged',
    ]);
    expect(await undispatched(w)).toEqual([idAt(2)]);
    expect(w.runs.started.size).toBe(2);
  });

  test('is done again alone: what its message had besides is dispatched', async () => {
    const w = dispatchWorld();
    w.runs.fail = (run) => run.events[0]?.internalId === idAt(2);
    const events = [stored(idAt(1)), stored(idAt(2))];
    await consumeEvents([whole(events)], w);
    w.runs.fail = () => false;
    const again = whole(events, 2);
    await consumeEvents([again], w);
    expect(w.runs.calls.map((run) => run.events[0]?.internalId)).toEqual([idAt(1), idAt(2), idAt(2)]);
    expect([again.fate, await undispatched(w)]).toEqual(['acknowledged', []]);
  });

  test('of one function does not keep another function from starting (EVT-33)', async () => {
    const w = dispatchWorld({ 'a-bad': ['a/b'], 'a-good': ['a/b'] });
    w.runs.fail = (run) => run.functionId === 'a-bad';
    await consumeEvents([whole([stored(idAt(1))])], w);
    expect([...w.runs.started.values()].map((run) => run.functionId)).toEqual(['a-good']);
    expect(await undispatched(w)).toEqual([idAt(1)]);
  });

  test('is retried after ever longer', async () => {
    const w = dispatchWorld();
    w.runs.fail = () => true;
    const messages = [1, 2, 3, 7].map((attempts) => whole([stored(idAt(attempts))], attempts));
    await consumeEvents(messages, w);
    expect(messages.map((message) => message.fate)).toEqual(
      [2, 4, 8, 128].map((retriedAfter) => ({ retriedAfter })),
    );
  });

  test('for the eighth time is given up, with a reason that quotes nothing', async () => {
    const w = dispatchWorld();
    await failed(w, idAt(1), 7);
    w.runs.fail = (run) => run.events[0]?.internalId === idAt(1);
    const message = whole([stored(idAt(1)), stored(idAt(2))], 8);
    await consumeEvents([message], w);
    expect(message.fate).toBe('acknowledged');
    expect(w.dead.sent).toEqual([{ queue: 'events', reason: REASON, body: { ids: [idAt(1)] } }]);
    expect(await undispatched(w)).toEqual([]);
    expect(w.runs.started.size).toBe(1);
    expect(await w.store.findEvent('production', idAt(1))).toMatchObject({ deadReason: REASON });
  });

  test.each([8, 50])(
    'for the first time is not given up, however often its message came (%i)',
    async (attempts) => {
      const w = dispatchWorld();
      w.runs.fail = () => true;
      const message = whole([stored(idAt(1))], attempts);
      await consumeEvents([message], w);
      expect(message.fate).toEqual({ retriedAfter: Math.min(2 ** attempts, 300) });
      expect([w.dead.sent, await undispatched(w)]).toEqual([[], [idAt(1)]]);
    },
  );

  test('counts with its event, whichever message brings it', async () => {
    const w = dispatchWorld();
    w.runs.fail = () => true;
    await w.store.insertEvents([stored(idAt(1))], NOW);
    for (let n = 1; n < 8; n++) {
      const message = n % 2 === 0 ? whole([stored(idAt(1))]) : byId([idAt(1)]);
      await consumeEvents([message], w);
      expect(message.fate).toEqual({ retriedAfter: 2 });
    }
    w.clock.time = NOW + 5 * MINUTE - 1;
    await consumeEvents([byId([idAt(1)])], w);
    expect(w.dead.sent).toEqual([]);
    w.clock.time = NOW + 5 * MINUTE;
    const last = byId([idAt(1)]);
    await consumeEvents([last], w);
    expect([last.fate, w.dead.sent.length]).toEqual(['acknowledged', 1]);
  });

  test('counts once in a batch that brings its event twice, and for all functions that fail', async () => {
    const w = dispatchWorld({ 'a-1': ['a/b'], 'a-2': ['a/b'] });
    w.runs.fail = () => true;
    await consumeEvents([whole([stored(idAt(1))]), byId([idAt(1)])], w);
    expect(await w.store.countFailure([idAt(1)])).toEqual(new Map([[idAt(1), 2]]));
  });

  test('is counted for all events of a batch in one go, and for none that started', async () => {
    const w = dispatchWorld();
    const counted: string[][] = [];
    w.faults.set('countFailure', (ids: string[]) => void counted.push(ids));
    w.runs.fail = (run) => run.events[0]?.internalId !== idAt(2);
    await consumeEvents([whole([stored(idAt(1)), stored(idAt(2))]), whole([stored(idAt(3))])], w);
    expect(counted).toEqual([[idAt(1), idAt(3)]]);
  });

  test('whose event is given up leaves its message to the others that it brought', async () => {
    const w = dispatchWorld();
    await failed(w, idAt(1), 7);
    w.runs.fail = () => true;
    const events = [stored(idAt(1)), stored(idAt(2))];
    const message = whole(events);
    await consumeEvents([message], w);
    expect(message.fate).toEqual({ retriedAfter: 2 });
    expect([w.dead.sent.length, await undispatched(w)]).toEqual([1, [idAt(2)]]);
    w.runs.fail = () => false;
    const again = whole(events, 2);
    await consumeEvents([again], w);
    expect([again.fate, w.dead.sent.length, w.runs.started.size]).toEqual(['acknowledged', 1, 1]);
  });

  test('is none of its event’s any more when another delivery has dispatched it in the meantime', async () => {
    const w = dispatchWorld();
    w.runs.fail = () => {
      void markDispatched(w.store, [idAt(1)], NOW);
      return true;
    };
    const message = whole([stored(idAt(1))]);
    await consumeEvents([message], w);
    expect([message.fate, w.dead.sent]).toEqual(['acknowledged', []]);
  });

  test('of many events at once is told in letters that a queue takes', async () => {
    const w = dispatchWorld();
    const events = Array.from({ length: 1_001 }, (_, n) => stored(idAt(n)));
    await w.store.insertEvents(events, NOW);
    const ids = events.map((event) => event.internalId);
    w.clock.time = NOW + 5 * MINUTE;
    for (let n = 0; n < 7; n++) await w.store.countFailure(ids);
    w.runs.fail = () => true;
    await consumeEvents([whole(events)], w);
    expect(w.dead.sent.map(({ body }) => (body as { ids: string[] }).ids.length)).toEqual([1_000, 1]);
    expect(await undispatched(w)).toEqual([]);
  });

  test.each(['countFailure', 'markDead', 'dead'] as const)('is not given up while %s fails', async (what) => {
    const w = dispatchWorld();
    await failed(w, idAt(1), 7);
    w.runs.fail = () => true;
    if (what === 'dead') w.dead.behaviour = 'refuses';
    else w.faults.set(what, down);
    const message = whole([stored(idAt(1))], 8);
    await consumeEvents([message], w);
    expect([message.fate, await undispatched(w)]).toEqual([{ retriedAfter: 256 }, [idAt(1)]]);
    w.dead.behaviour = 'takes';
    w.faults.clear();
    const again = whole([stored(idAt(1))], 9);
    await consumeEvents([again], w);
    expect([again.fate, await undispatched(w)]).toEqual(['acknowledged', []]);
    expect(w.dead.sent.at(-1)).toEqual({ queue: 'events', reason: REASON, body: { ids: [idAt(1)] } });
  });

  test('is never retried after more than five minutes', async () => {
    const w = dispatchWorld();
    w.faults.set('admit', down);
    const message = whole([stored(idAt(1))], 50);
    await consumeEvents([message], w);
    expect(message.fate).toEqual({ retriedAfter: 300 });
  });
});

describe('a message that is no message', () => {
  test.each([
    ['nothing', null, 'message: invalid_type'],
    ['a text', 'secret-value', 'message: invalid_type'],
    ['ids that are numbers', { ids: [1] }, 'message.ids.0: invalid_type'],
    [
      'an event without a name',
      { events: [{ ...stored(idAt(1)), name: undefined }] },
      'message.events.0.name: invalid_type',
    ],
    [
      'an event whose data is an array',
      { events: [{ ...stored(idAt(1)), data: [] }] },
      'message.events.0.data: custom',
    ],
  ])('%s is buried with its reason, and disturbs no other', async (_, body, reason) => {
    const w = dispatchWorld();
    const bad = new TestMessage(body);
    const good = whole([stored(idAt(2))]);
    await consumeEvents([bad, good], w);
    expect([bad.fate, good.fate]).toEqual(['acknowledged', 'acknowledged']);
    expect(w.dead.sent).toEqual([{ queue: 'events', reason, body }]);
    expect(JSON.stringify(w.log.lines)).not.toContain('secret-value');
    expect(w.runs.started.size).toBe(1);
  });

  test('comes back while the dead letter queue refuses it', async () => {
    const w = dispatchWorld();
    w.dead.behaviour = 'refuses';
    const bad = new TestMessage(7);
    await consumeEvents([bad], w);
    expect(bad.fate).toEqual({ retriedAfter: 2 });
  });
});

describe('the store', () => {
  test('was down for long: what fails once after that is not given up', async () => {
    const w = dispatchWorld();
    w.faults.set('admit', down);
    for (let attempts = 1; attempts <= 12; attempts++)
      await consumeEvents([whole([stored(idAt(1))], attempts)], w);
    w.faults.clear();
    w.runs.fail = () => true;
    await consumeEvents([whole([stored(idAt(1))], 13)], w);
    w.runs.fail = () => false;
    const message = whole([stored(idAt(1))], 14);
    await consumeEvents([message], w);
    expect([message.fate, w.dead.sent, w.runs.started.size]).toEqual(['acknowledged', [], 1]);
  });

  test.each([1, 8, 20])(
    'is down: the whole batch is retried, nothing is started or given up (delivery %i)',
    async (attempts) => {
      const w = dispatchWorld();
      w.faults.set('admit', down);
      w.faults.set('loadEvents', down);
      const messages = [
        whole([stored(idAt(1))], attempts),
        byId([idAt(2)], attempts),
        whole([stored(idAt(3))], attempts),
      ];
      await consumeEvents(messages, w);
      const delay = { retriedAfter: Math.min(2 ** attempts, 300) };
      expect(messages.map((message) => message.fate)).toEqual([delay, delay, delay]);
      expect([w.runs.calls, w.dead.sent]).toEqual([[], []]);
    },
  );

  test('is asked three times when it is down, not once for each event', async () => {
    const w = dispatchWorld();
    let asked = 0;
    w.faults.set('admit', () => {
      asked++;
      return down();
    });
    await consumeEvents([whole(Array.from({ length: 100 }, (_, n) => stored(idAt(n))))], w);
    expect(asked).toBe(3);
  });

  test('refuses one event of a hundred: the others are dispatched', async () => {
    const w = dispatchWorld();
    w.faults.set('admit', (arrivals: Arrival[]) =>
      arrivals.some(({ event }) => event.internalId === idAt(37)) ? down() : undefined,
    );
    const messages = Array.from({ length: 100 }, (_, n) => whole([stored(idAt(n))]));
    await consumeEvents(messages, w);
    expect(w.runs.started.size).toBe(99);
    const retried = messages.filter((message) => message.fate !== 'acknowledged');
    expect(retried.map((message) => message.body)).toMatchObject([{ events: [{ internalId: idAt(37) }] }]);
  });

  test('takes a batch in halves that was too large for it', async () => {
    const w = dispatchWorld();
    w.faults.set('admit', (arrivals: Arrival[]) => (arrivals.length > 60 ? down() : undefined));
    const message = whole(Array.from({ length: 100 }, (_, n) => stored(idAt(n))));
    await consumeEvents([message], w);
    expect([w.runs.started.size, message.fate]).toEqual([100, 'acknowledged']);
  });

  test('fails to load some events: those that came whole are dispatched', async () => {
    const w = dispatchWorld();
    w.faults.set('loadEvents', down);
    const messages = [byId([idAt(1)]), whole([stored(idAt(2))])];
    await consumeEvents(messages, w);
    expect(messages.map((message) => message.fate)).toEqual([{ retriedAfter: 2 }, 'acknowledged']);
  });
});

describe('summaries of runs', () => {
  const summary = (runId: string): RunSummary => ({
    runId,
    env: 'production',
    functionId: 'app-f',
    eventId: idAt(1),
    status: 'Completed' as const,
    queuedAt: NOW,
    endedAt: NOW + 1,
    output: '{"x":1}',
  });

  test('are written in one batch', async () => {
    const w = dispatchWorld();
    let batches = 0;
    w.faults.set('settle', () => void batches++);
    const messages = [[idAt(7)], [idAt(8), idAt(9)]].map(
      (ids) => new TestMessage({ runs: ids.map((id) => ending(summary(id))) }),
    );
    await consumeRuns(messages, w);
    expect(messages.map((message) => message.fate)).toEqual(['acknowledged', 'acknowledged']);
    expect(await w.store.findRun('production', idAt(9))).toMatchObject({
      status: 'Completed',
      output: '{"x":1}',
    });
    expect(batches).toBe(1);
  });

  test('come back when the store is down', async () => {
    const w = dispatchWorld();
    w.faults.set('settle', down);
    const message = new TestMessage({ runs: [ending(summary(idAt(7)))] }, 3);
    await consumeRuns([message], w);
    expect(message.fate).toEqual({ retriedAfter: 8 });
  });

  test('that are none are buried, and the others written', async () => {
    const w = dispatchWorld();
    const bad = new TestMessage({ runs: [{ ...ending(summary(idAt(7))), parent: 'secret-value' }] });
    const good = new TestMessage({ runs: [ending(summary(idAt(8)))] });
    await consumeRuns([bad, good], w);
    expect([bad.fate, good.fate]).toEqual(['acknowledged', 'acknowledged']);
    expect(w.dead.sent).toMatchObject([{ queue: 'runs', reason: 'message.runs.0.parent: invalid_type' }]);
    expect(await w.store.findRun('production', idAt(8))).not.toBeNull();
  });
});

describe('events that somebody waits for', () => {
  const awaiting = async (...names: string[]) => {
    const w = dispatchWorld();
    for (const name of names) await w.store.expectWaits('production', name);
    return w;
  };

  test('are delivered by their names alone: for others nobody is asked', async () => {
    const w = await awaiting('x/y');
    await consumeEvents([whole([stored(idAt(1)), stored(idAt(2), { name: 'x/y' })])], w);
    expect(w.waits.delivered).toEqual([`x/y ${idAt(2)}`]);
    expect(await undispatched(w)).toEqual([]);
  });

  test('are delivered once they are admitted, those of one name together (WE-10, EVT-34)', async () => {
    const w = await awaiting('a/b', 'x/y');
    await consumeEvents([whole([stored(idAt(1)), stored(idAt(2), { name: 'x/y' })])], w);
    expect(w.waits.delivered.toSorted()).toEqual([`a/b ${idAt(1)}`, `x/y ${idAt(2)}`]);
  });

  test('duplicates by event id are not (DD-10, WE-17)', async () => {
    const w = await awaiting('a/b');
    await consumeEvents([whole([stored(idAt(1), { id: 'same' }), stored(idAt(2), { id: 'same' })])], w);
    expect(w.waits.delivered).toEqual([`a/b ${idAt(1)}`]);
  });

  test('come back when the waits did not take them, and their runs start all the same', async () => {
    const w = await awaiting('a/b');
    w.waits.fails = true;
    const message = whole([stored(idAt(1))]);
    await consumeEvents([message], w);
    expect(message.fate).not.toBe('acknowledged');
    expect(w.runs.started.size).toBe(1);
    expect(await undispatched(w)).toEqual([idAt(1)]);
  });
});

describe('an event that others did not take', () => {
  const target = { functionId: 'app-none', parent: { runId: 'PARENT', key: 'step' } };

  test.each([
    ['waits', stored(idAt(1))],
    ['who invoked a function that does not exist', stored(idAt(1), { name: 'inngest/x', target })],
  ])('is never given up for that: %s (WE-12, IV-12)', async (_, event) => {
    const w = dispatchWorld();
    await w.store.expectWaits('production', event.name);
    w.waits.fails = true;
    w.runs.answer = () => Promise.reject(new Error('secret-value'));
    await failed(w, idAt(1), 7);
    await consumeEvents([whole([event])], w);
    expect([w.dead.sent, await undispatched(w)]).toEqual([[], [idAt(1)]]);
  });
});

describe('an invocation', () => {
  const invoked = (functionId: string) =>
    stored(idAt(1), {
      name: 'inngest/function.invoked',
      target: { functionId, parent: { runId: 'PARENT', key: 'step' } },
    });

  test('starts its function alone, which knows who invoked it (SY-14, IV-19)', async () => {
    const w = dispatchWorld({ 'app-f': ['inngest/*'], 'app-g': ['a/b'] });
    await consumeEvents([whole([invoked('app-g')])], w);
    expect([...w.runs.started.values()]).toMatchObject([
      { functionId: 'app-g', parent: { runId: 'PARENT', key: 'step' } },
    ]);
    expect(w.waits.delivered).toEqual([]);
  });

  test('of a function that does not exist is answered with an error (IV-12)', async () => {
    const w = dispatchWorld();
    await consumeEvents([whole([invoked('app-none')])], w);
    expect(w.runs.answers).toMatchObject([{ runId: 'PARENT', key: 'step', answer: { ok: false } }]);
    expect(w.runs.answers[0]?.answer.data).toContain('app-none');
  });
});

describe('the end of a run', () => {
  const run = {
    runId: idAt(7),
    env: 'production',
    functionId: 'app-f',
    eventId: idAt(1),
    status: 'Failed' as const,
    queuedAt: NOW,
    endedAt: NOW + 1,
    output: '{}',
  };
  const announced = stored(idAt(9), { name: 'inngest/function.failed', data: { function_id: 'app-f' } });

  test('is told to who invoked it, closed in the index, and announced by its events', async () => {
    const w = dispatchWorld({ 'app-handler': ['inngest/function.failed'] });
    const parent = { to: { runId: 'P', key: 'k' }, answer: { ok: true, data: '1' } };
    await consumeRuns([new TestMessage({ runs: [{ summary: run, parent, events: [announced] }] })], w);
    expect(w.runs.answers).toEqual([{ runId: 'P', key: 'k', answer: parent.answer }]);
    expect([...w.runs.started.values()].map((start) => start.functionId)).toEqual(['app-handler']);
    expect((await w.store.findRun('production', run.runId))?.status).toBe('Failed');
  });

  test('stays open when a part of it was not done', async () => {
    const w = dispatchWorld();
    w.faults.set('settle', down);
    const message = new TestMessage({ runs: [{ summary: run, parent: null, events: [announced] }] });
    await consumeRuns([message], w);
    expect(message.fate).not.toBe('acknowledged');
    expect(await w.store.findRun('production', run.runId)).toBeNull();
  });

  test('stays open when who invoked it was not told; the ends of others are closed', async () => {
    const w = dispatchWorld();
    w.runs.unreachable.add('P');
    const parent = { to: { runId: 'P', key: 'k' }, answer: { ok: true, data: '1' } };
    const other = { ...run, runId: idAt(8) };
    const message = new TestMessage({ runs: [{ summary: run, parent, events: [] }, ending(other)] });
    await consumeRuns([message], w);
    expect(message.fate).not.toBe('acknowledged');
    expect(await w.store.findRun('production', run.runId)).toBeNull();
    expect((await w.store.findRun('production', other.runId))?.status).toBe('Failed');
  });

  test('is stored as dispatched where nobody listens to it (SY-12)', async () => {
    const w = dispatchWorld();
    await consumeRuns([new TestMessage({ runs: [{ summary: run, parent: null, events: [announced] }] })], w);
    expect(await w.store.findEvent('production', announced.internalId)).not.toBeNull();
    expect(await undispatched(w)).toEqual([]);
  });

  test('is delivered where somebody may wait for it (SY-12, WE-10)', async () => {
    const w = dispatchWorld();
    await w.store.expectWaits('production', announced.name);
    await consumeRuns([new TestMessage({ runs: [{ summary: run, parent: null, events: [announced] }] })], w);
    expect(w.waits.delivered).toEqual([`${announced.name} ${announced.internalId}`]);
    expect(await undispatched(w)).toEqual([]);
  });

  test('that was too large to travel is asked for', async () => {
    const w = dispatchWorld();
    w.runs.checks.set(run.runId, { state: 'ended', ending: ending(run) });
    await consumeRuns([new TestMessage({ ids: [run.runId] })], w);
    expect((await w.store.findRun('production', run.runId))?.status).toBe('Failed');
  });
});

describe('a run that ends as soon as it is started', () => {
  /** One function, and what follows from the end of its run. */
  const ended = async (follows: Partial<RunEnding>, functions: Record<string, string[]> = {}) => {
    const w = dispatchWorld({ 'app-f': ['a/b'], ...functions });
    const event = stored(idAt(1));
    const [start] = plan(indexFunctions(w.functions.known('production').configs), event, NOW);
    const { runId, functionId, env, queuedAt } = start as RunStart;
    const summary = { runId, functionId, env, queuedAt, eventId: event.internalId, endedAt: NOW + 1 };
    w.runs.endings.set(runId, {
      ...ending({ ...summary, status: 'Completed', output: '1' }),
      ...follows,
    });
    return { w, event, runId, find: () => w.store.findRun('production', runId) };
  };
  const finished = stored(idAt(9), { name: 'inngest/function.finished' });

  test('is closed in the batch that marks its event, with the event about its end', async () => {
    const { w, event, find } = await ended({ events: [finished] });
    let batches = 0;
    w.faults.set('settle', () => void batches++);
    await consumeEvents([whole([event])], w);
    expect([(await find())?.status, await undispatched(w), batches]).toEqual(['Completed', [], 1]);
    expect(await w.store.findEvent('production', finished.internalId)).not.toBeNull();
  });

  test('starts who listens to its end (SY-12)', async () => {
    const { w, event } = await ended({ events: [finished] }, { 'app-next': [finished.name] });
    await consumeEvents([whole([event])], w);
    expect([...w.runs.started.values()].map((run) => run.functionId)).toEqual(['app-f', 'app-next']);
    expect(await undispatched(w)).toEqual([]);
  });

  test('stays open in the index, for a sweep to ask, while who invoked it is not told', async () => {
    const parent = { to: { runId: 'P', key: 'k' }, answer: { ok: true, data: '1' } };
    const { w, event, find } = await ended({ parent });
    w.runs.unreachable.add('P');
    const message = whole([event]);
    await consumeEvents([message], w);
    expect([(await find())?.status, message.fate]).toEqual(['Running', 'acknowledged']);
    expect(await w.store.runsToCheck(NOW + 60_000, 10)).toHaveLength(1);
  });

  test('stays open in the index when the store does not take its end', async () => {
    const { w, event, find } = await ended({});
    w.faults.set('settle', (settlement: Settlement) =>
      (settlement.ended ?? []).length > 0 ? down() : undefined,
    );
    const message = whole([event]);
    await consumeEvents([message], w);
    expect([(await find())?.status, message.fate]).toEqual(['Running', 'acknowledged']);
  });

  test('and whose end was not written is started again, and closed then', async () => {
    const { w, event, find } = await ended({ events: [finished] });
    w.faults.set('settle', down);
    await consumeEvents([whole([event])], w);
    expect([await find(), await undispatched(w)]).toEqual([null, [event.internalId]]);
    w.faults.clear();
    await consumeEvents([whole([event], 2)], w);
    expect([(await find())?.status, await undispatched(w)]).toEqual(['Completed', []]);
  });
});

describe('functions of apps that registered elsewhere', () => {
  type World = ReturnType<typeof dispatchWorld>;
  const app = { id: 'far', sdk: 'js:v4.24.0', framework: null, platform: null, appVersion: null };
  const register = (w: World, env: string, ...ids: string[]) =>
    w.apps.sync(
      env,
      { ...app, url: 'https://far.example/api/inngest' },
      ids.map((id) => ({ id, name: id, triggers: [{ event: 'a/b' }], retries: 4 })),
      NOW,
    );
  const starts = (w: World) => [...w.runs.started.values()].map(({ functionId }) => functionId);
  /** How often the store was asked to admit, and the registry was read. */
  const admissions = (w: World): { count: number; readings: number } => {
    const seen = { count: 0, readings: 0 };
    const load = w.functions.load.bind(w.functions);
    w.functions.load = (env) => {
      seen.readings++;
      return load(env);
    };
    w.faults.set('admit', () => {
      seen.count++;
      return undefined;
    });
    return seen;
  };

  test('are started by an event that came after the registration, wherever that was taken (wire 2.5)', async () => {
    const w = dispatchWorld();
    const seen = admissions(w);
    await register(w, 'production', 'far-away');
    await consumeEvents([whole([stored(idAt(1))])], w);
    expect(starts(w)).toEqual(['app-f', 'far-away']);
    expect(seen).toEqual({ count: 1, readings: 1 });
    expect(await w.store.runsOfEvent('production', idAt(1))).toHaveLength(2);
    // From then on they are known here.
    await consumeEvents([whole([stored(idAt(2))])], w);
    expect(seen).toEqual({ count: 2, readings: 1 });
  });

  test('that are gone start no more, and no row is left open for them (FN-12)', async () => {
    const w = dispatchWorld();
    await register(w, 'production', 'far-away');
    await w.functions.load('production');
    await register(w, 'production');
    await consumeEvents([whole([stored(idAt(1))])], w);
    expect(starts(w)).toEqual(['app-f']);
    expect(await w.store.runsOfEvent('production', idAt(1))).toMatchObject([{ functionId: 'app-f' }]);
  });

  test('are those of the environment of the event, also in one batch (ENV-2)', async () => {
    const w = dispatchWorld();
    await register(w, 'branch/x', 'far-away');
    await consumeEvents([whole([stored(idAt(1)), stored(idAt(2), { env: 'branch/x' })])], w);
    expect([...w.runs.started.values()].map(({ env, functionId }) => [env, functionId])).toEqual([
      ['production', 'app-f'],
      ['branch/x', 'far-away'],
    ]);
  });

  test('are invoked by their ids, with or without triggers (IV-19)', async () => {
    const w = dispatchWorld();
    await register(w, 'production', 'far-away');
    const target = { functionId: 'far-away', parent: { runId: idAt(9), key: 'k' } };
    await consumeEvents([whole([stored(idAt(1), { name: 'inngest/function.invoked', target })])], w);
    expect(starts(w)).toEqual(['far-away']);
  });

  test('are waited for when they cannot be loaded: the events come back and lose nothing', async () => {
    const w = dispatchWorld();
    await register(w, 'production', 'far-away');
    const load = w.functions.load.bind(w.functions);
    w.functions.load = down;
    const message = whole([stored(idAt(1))]);
    await consumeEvents([message], w);
    expect(message.fate).toMatchObject({ retriedAfter: expect.any(Number) as number });
    expect(starts(w)).toEqual([]);
    w.functions.load = load;
    await consumeEvents([whole([stored(idAt(1))], 2)], w);
    expect(starts(w)).toEqual(['app-f', 'far-away']);
  });
});

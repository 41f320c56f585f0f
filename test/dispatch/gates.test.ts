/** From events to runs where flow control stands between them: what passes, what is skipped and why, and what happens again. */
import { describe, expect, test } from 'vitest';
import { consumeEvents } from '../../src/dispatch/consume.ts';
import { isHeardAgain } from '../../src/dispatch/flow.ts';
import { HOUR, MINUTE, SECOND } from '../../src/lib/time.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import { idAt, NOW, stored } from '../ingest/world.ts';
import { dispatchWorld, TestMessage } from './world.ts';
import { registryOf } from '../fakes/registry.ts';

const ENV = 'production';
const key = 'event.data.k';

/** A function with these options, and what is sent to it. */
const configsOf = ({ functions }: Pick<ReturnType<typeof dispatchWorld>, 'functions'>) =>
  functions.known(ENV).configs;

function world(options: object) {
  const w = dispatchWorld({ 'app-f': ['a/b'] }, options);
  const send = async (...events: StoredEvent[]): Promise<TestMessage> => {
    const message = new TestMessage({ events });
    await consumeEvents([message], w);
    return message;
  };
  const later = async (ms: number): Promise<void> => {
    w.clock.time += ms;
    await w.gates.alarms();
  };
  /** The events of the runs that have started, by their numbers. */
  const started = () => [...w.runs.started.values()].map(({ events }) => events.map(({ data }) => data['n']));
  const reasons = async (n: number) =>
    (await w.store.runsOfEvent(ENV, idAt(n))).flatMap(({ status, reason }) =>
      status === 'Skipped' ? [reason] : [],
    );
  const runIds = () => [...w.runs.started.keys()];
  return { ...w, send, later, started, reasons, runIds, runs: w.runs, gates: w.gates };
}

function anEvent(n: number, change: Partial<StoredEvent> = {}): StoredEvent {
  return stored(idAt(n), { data: { k: 'k', n }, ...change });
}

function received(n: number, at: number): StoredEvent {
  return anEvent(n, { receivedAt: NOW + at });
}

describe('a function without flow control', () => {
  test('asks no gate and claims no key', async () => {
    const w = world({});
    w.faults.set('claim', () => Promise.reject(new Error('no')));
    await w.send(anEvent(1));
    expect([w.started(), w.gates.calls]).toEqual([[[1]], 0]);
  });

  test('neither does one that limits what its runs do: they take their keys along (FC-5)', async () => {
    const w = world({ throttle: { limit: 1, period: '1s', key }, priority: { run: '30' } });
    await w.send(anEvent(1));
    expect(w.gates.calls).toBe(0);
    expect([...w.runs.started.values()]).toMatchObject([
      { startAt: NOW, flow: { score: NOW - 30 * SECOND, throttle: 's:k' } },
    ]);
  });

  test('a priority below 0 puts the start off (PR-12, PR-13)', async () => {
    const w = world({ priority: { run: '-30' } });
    await w.send(anEvent(1));
    const [run] = [...w.runs.started.values()];
    expect(run).toMatchObject({ startAt: NOW + 30 * SECOND });
    expect(run).not.toHaveProperty('flow');
  });
});

describe('the rate limit', () => {
  const rateLimit = { limit: 1, period: '1h', key };

  test('skips what is too much, and says so (RL-5, RL-6, FC-9, FC-10)', async () => {
    const w = world({ rateLimit });
    const message = await w.send(received(1, 0), received(2, MINUTE), received(3, HOUR));
    expect(w.started()).toEqual([[1], [3]]);
    expect([await w.reasons(1), await w.reasons(2)]).toEqual([[], ['rate_limited']]);
    expect(message.fate).toBe('acknowledged');
    expect(await w.store.undispatched(NOW + HOUR, 10)).toEqual([]);
  });

  test('decides for a repeat as it did for the first (RL-16)', async () => {
    const w = world({ rateLimit });
    w.faults.set('settle', () => Promise.reject(new Error('store down')));
    await w.send(received(1, 0), received(2, MINUTE));
    w.faults.clear();
    w.clock.time += 5 * HOUR;
    await w.send(received(2, MINUTE), received(1, 0));
    expect(w.started()).toEqual([[1]]);
    expect([await w.reasons(1), await w.reasons(2)]).toEqual([[], ['rate_limited']]);
  });

  test('while its gate is away the events wait, and nothing is lost', async () => {
    const w = world({ rateLimit });
    w.gates.fails = true;
    const message = await w.send(received(1, 0));
    expect(message.fate).toEqual({ retriedAfter: 2 });
    expect(JSON.stringify(w.log.lines)).not.toContain('"secret-value"');
    w.gates.fails = false;
    await w.send(received(1, 0));
    expect(w.started()).toEqual([[1]]);
  });

  test('tells who invoked the function that it was skipped (RL-15, IV-16)', async () => {
    const w = world({ rateLimit });
    const parent = { runId: 'RUN', key: 'step' };
    await w.send(received(1, 0), { ...received(2, 1), target: { functionId: 'app-f', parent } });
    expect(w.runs.answers).toMatchObject([{ ...parent, answer: { ok: false } }]);
    const { name, message } = JSON.parse(w.runs.answers[0]?.answer.data ?? '') as Record<string, string>;
    expect([name, message]).toEqual([
      'NonRetriableError',
      'the invoked function "app-f" was skipped: rate_limited',
    ]);
  });

  test('an event is repeated as long as who invoked the function was not told', async () => {
    const w = world({ rateLimit });
    w.runs.unreachable.add('RUN');
    const parent = { runId: 'RUN', key: 'step' };
    const events = [received(1, 0), { ...received(2, 1), target: { functionId: 'app-f', parent } }];
    expect((await w.send(...events)).fate).not.toBe('acknowledged');
    expect(await w.reasons(2)).toEqual([]);
    // The other event of the function has nothing to do with that.
    expect(await w.store.undispatched(NOW + HOUR, 10)).toEqual([idAt(2)]);
    w.runs.unreachable.clear();
    expect((await w.send(...events)).fate).toBe('acknowledged');
    expect([w.runs.answers.length, await w.reasons(2)]).toEqual([1, ['rate_limited']]);
  });
});

describe('idempotency', () => {
  const options = { idempotency: key };

  test('of 100 events with one value at once one starts a run; after 24 h one more (FA-10, ID-9, ID-15)', async () => {
    const w = world(options);
    const events = Array.from({ length: 100 }, (_, n) => received(n + 1, n));
    await Promise.all([w.send(...events.slice(0, 50)), w.send(...events.slice(50))]);
    expect(w.started()).toHaveLength(1);
    const skipped = await Promise.all(events.map((_, n) => w.reasons(n + 1)));
    expect(skipped.flat()).toEqual(Array.from({ length: 99 }, () => 'duplicate'));
    await w.send(received(101, 23 * HOUR), received(102, 25 * HOUR), received(103, 26 * HOUR));
    expect(w.started().slice(1)).toEqual([[102]]);
  });

  test('the winner wins again, the others lose again', async () => {
    const w = world(options);
    w.faults.set('settle', () => Promise.reject(new Error('store down')));
    await w.send(received(1, 0), received(2, 1));
    w.faults.clear();
    await w.send(received(2, 1), received(1, 0));
    expect(w.started()).toEqual([[1]]);
    expect([await w.reasons(1), await w.reasons(2)]).toEqual([[], ['duplicate']]);
  });

  test('a value that is missing is no value: the run is started (FC-6)', async () => {
    const w = world(options);
    await w.send(anEvent(1, { data: { n: 1 } }), anEvent(2, { data: { n: 2 } }));
    expect(w.started()).toEqual([[1], [2]]);
    expect(w.log.lines.map(({ fields }) => fields['message'])).toEqual([
      expect.stringMatching(/^idempotency: /),
      expect.stringMatching(/^idempotency: /),
    ]);
  });

  test('is of each function by itself (ID-12)', async () => {
    const w = dispatchWorld({ 'app-f': ['a/b'], 'app-g': ['a/b'] }, options);
    await consumeEvents([new TestMessage({ events: [received(1, 0), received(2, 1)] })], w);
    expect([...w.runs.started.values()].map(({ functionId }) => functionId).toSorted()).toEqual([
      'app-f',
      'app-g',
    ]);
  });

  test('while the store does not take claims the events wait', async () => {
    const w = world(options);
    w.faults.set('claim', () => Promise.reject(new Error('store down')));
    expect((await w.send(received(1, 0))).fate).not.toBe('acknowledged');
    w.faults.clear();
    await w.send(received(1, 0));
    expect(w.started()).toEqual([[1]]);
  });
});

describe('batches', () => {
  const batchEvents = { maxSize: 3, timeout: '5s' };

  test('become one run with all events, whose row goes by the first; the others say where they are (BA-5, BA-7, FC-10)', async () => {
    const w = world({ batchEvents });
    const message = await w.send(received(1, 1), received(2, 2), received(3, 3), received(4, 4));
    await w.later(0);
    expect(message.fate).toBe('acknowledged');
    expect(w.started()).toEqual([[1, 2, 3]]);
    const [runId] = w.runIds();
    expect(await w.store.runsOfEvent(ENV, idAt(1))).toMatchObject([{ runId, status: 'Running' }]);
    expect([await w.reasons(2), await w.reasons(3), await w.reasons(4)]).toEqual([
      [`batched into ${runId}`],
      [`batched into ${runId}`],
      [],
    ]);
    await w.later(5 * SECOND);
    expect(w.started()).toEqual([[1, 2, 3], [4]]);
  });

  test('future times of their events are ignored, timeouts count from the closing (BA-22)', async () => {
    const w = world({ batchEvents });
    await w.send(anEvent(1, { ts: NOW + HOUR }));
    await w.later(5 * SECOND);
    expect([...w.runs.started.values()]).toMatchObject([
      { startAt: NOW + 5 * SECOND, queuedAt: NOW + 5 * SECOND },
    ]);
  });

  test('are counted by a throttle (BA-22)', async () => {
    const w = world({
      batchEvents,
      throttle: { limit: 1, period: '1s', key },
      concurrency: { limit: 1, key },
    });
    await w.send(received(1, 1), received(2, 2), received(3, 3));
    await w.later(0);
    expect([...w.runs.started.values()].map(({ flow }) => flow)).toEqual([
      { score: NOW, throttle: 's:k', concurrency: [{ n: 0, scope: 'fn', key: '' }] },
    ]);
  });

  test('an invocation starts its own run at once (IC-2, IV-20)', async () => {
    const w = world({ batchEvents });
    await w.send({ ...anEvent(1), target: { functionId: 'app-f' } });
    expect(w.started()).toEqual([[1]]);
  });

  test('a run that cannot be started is started later, with the same events (BA-14)', async () => {
    const w = world({ batchEvents });
    w.runs.fail = () => true;
    await w.send(received(1, 1), received(2, 2), received(3, 3));
    await w.later(0);
    expect(w.started()).toEqual([]);
    w.runs.fail = () => false;
    await w.later(MINUTE);
    expect(w.started()).toEqual([[1, 2, 3]]);
  });

  test('of a function that is gone by then are dropped, and that is recorded (DB-20)', async () => {
    const w = world({ batchEvents });
    await w.send(received(1, 1), received(2, 2));
    Object.assign(
      w.functions,
      registryOf(() => []),
    );
    await w.later(5 * SECOND);
    expect([w.started(), await w.reasons(1)]).toEqual([[], ['archived']]);
    await w.later(HOUR);
    expect(w.started()).toEqual([]);
  });

  test('a redelivery puts no event into a second batch (BA-10)', async () => {
    const w = world({ batchEvents });
    w.faults.set('settle', () => Promise.reject(new Error('store down')));
    await w.send(received(1, 1), received(2, 2), received(3, 3));
    w.faults.clear();
    await w.send(received(1, 1), received(2, 2), received(3, 3));
    await w.later(HOUR);
    expect(w.started()).toEqual([[1, 2, 3]]);
    expect(await w.reasons(3)).toEqual([`batched into ${w.runIds()[0]}`]);
  });
});

describe('debounce', () => {
  const debounce = { period: '5s', key };

  test('the last event makes the run, the others say so (DB-6, DB-14, FC-10)', async () => {
    const w = world({ debounce });
    await w.send(received(1, 1));
    await w.later(4 * SECOND);
    await w.send(received(2, 4_000), received(3, 4_001));
    await w.later(4 * SECOND);
    expect(w.started()).toEqual([]);
    await w.later(SECOND);
    expect(w.started()).toEqual([[3]]);
    const [runId] = w.runIds();
    const reason = `debounced into ${runId}`;
    expect([await w.reasons(1), await w.reasons(2), await w.reasons(3)]).toEqual([[reason], [reason], []]);
    expect(await w.store.runsOfEvent(ENV, idAt(3))).toMatchObject([{ runId, status: 'Running' }]);
  });

  test('the key of idempotency is used when the run starts (DB-16, ID-17)', async () => {
    const w = world({ debounce, idempotency: key });
    await w.send(received(1, 0));
    expect(
      await w.store.claim([{ env: ENV, functionId: 'app-f', key: 's:other', runId: 'r', at: NOW }]),
    ).toEqual(new Set(['r']));
    await w.later(5 * SECOND);
    await w.send(received(2, 6_000));
    await w.later(5 * SECOND);
    expect(w.started()).toEqual([[1]]);
    const skipped = (await w.store.runsOfEvent(ENV, idAt(2))).map(({ status, reason }) => [status, reason]);
    expect(skipped).toEqual([['Skipped', 'duplicate']]);
  });

  test('with a rate limit, that one is asked when the run starts', async () => {
    const w = world({ debounce, rateLimit: { limit: 1, period: '1m' } });
    await w.send(received(1, 0));
    await w.later(5 * SECOND);
    await w.send(received(2, 6_000));
    await w.later(5 * SECOND);
    await w.send(received(3, 70_000));
    await w.later(MINUTE);
    expect(w.started()).toEqual([[1], [3]]);
    expect(await w.reasons(2)).toEqual(['rate_limited']);
  });

  test('a future time of the last event puts the run off further (DB-13)', async () => {
    const w = world({ debounce });
    await w.send(anEvent(1, { ts: NOW + HOUR }));
    await w.later(5 * SECOND);
    expect([...w.runs.started.values()]).toMatchObject([{ queuedAt: NOW + 5 * SECOND, startAt: NOW + HOUR }]);
  });
});

describe('a duplicate of an event', () => {
  const twins = [anEvent(1, { id: 'x' }), anEvent(2, { id: 'x', receivedAt: NOW + 1 })];

  test('enters a batch again (BA-16, ID-7)', async () => {
    const w = world({ batchEvents: { maxSize: 2, timeout: '5s' } });
    for (const event of twins) await w.send(event);
    await w.later(0);
    expect(w.started()).toEqual([[1, 2]]);
  });

  test('resets a debounce and takes the place of the first (DB-17, ID-7)', async () => {
    const w = world({ debounce: { period: '5s' } });
    for (const event of twins) {
      await w.send(event);
      await w.later(4 * SECOND);
    }
    expect(w.started()).toEqual([]);
    await w.later(SECOND);
    expect(w.started()).toEqual([[2]]);
  });

  test('starts nothing else: no other function, and nobody who waits (DD-8, ID-2, ID-19)', async () => {
    const w = dispatchWorld({ 'app-f': ['a/b'] }, { batchEvents: { maxSize: 5, timeout: '5s' } });
    const others = ['app-g', 'app-h'].map((id) =>
      configsOf(dispatchWorld({ [id]: ['a/b'] }, id === 'app-g' ? {} : { idempotency: key })),
    );
    const all = [...configsOf(w), ...others.flat()];
    const deps = { ...w, functions: registryOf(() => all) };
    await w.store.expectWaits(ENV, 'a/b');
    for (const event of twins) await consumeEvents([new TestMessage({ events: [event] })], deps);
    const runs = [...w.runs.started.values()].map(
      ({ functionId, events }) => `${functionId} ${events[0]?.internalId}`,
    );
    expect(runs).toEqual([`app-g ${idAt(1)}`, `app-h ${idAt(1)}`]);
    expect(w.waits.delivered).toEqual([`a/b ${idAt(1)}`]);
    expect(await w.store.undispatched(NOW + HOUR, 10)).toEqual([]);
  });

  test('is heard by intake only where a function collects', () => {
    const functions = (options: object) => dispatchWorld({ 'app-f': ['a/*'] }, options).functions;
    const batches = functions({ batchEvents: { maxSize: 2, timeout: '5s' } });
    const asked = [twins[0], anEvent(3), { ...twins[0], name: 'b' }] as StoredEvent[];
    expect(asked.map((event) => isHeardAgain(batches, event))).toEqual([true, false, false]);
    expect(asked.map((event) => isHeardAgain(functions({ idempotency: key }), event))).toEqual([
      false,
      false,
      false,
    ]);
  });
});

describe('a singleton', () => {
  test('skip: no second run while one is active (SG-2)', async () => {
    const w = world({ singleton: { mode: 'skip', key } });
    await w.send(received(1, 0));
    const [runId = ''] = w.runIds();
    w.runs.checks.set(runId, { state: 'open', nextAt: null });
    await w.send(received(2, 1), anEvent(3, { data: { k: 'other', n: 3 } }));
    expect(w.started()).toEqual([[1], [3]]);
    expect(await w.reasons(2)).toEqual(['singleton']);
  });

  test('skip: one whose event was given up keeps nobody out', async () => {
    const w = world({ singleton: { mode: 'skip', key } });
    w.runs.fail = () => true;
    await w.send(received(1, 0));
    const [record] = await w.store.runsOfEvent(ENV, idAt(1));
    w.runs.fail = () => false;
    await w.send(received(2, 1));
    expect(await w.reasons(2)).toEqual(['singleton']);
    const { runId = '' } = record ?? {};
    const of = { env: ENV, functionId: 'app-f', eventId: idAt(1), queuedAt: NOW };
    await w.store.settle({ ended: [{ ...of, runId, status: 'Failed', endedAt: NOW, output: '{}' }] }, NOW);
    await w.send(received(3, 2));
    expect(w.started()).toEqual([[3]]);
  });

  test('cancel: the active run is cancelled (SG-3)', async () => {
    const w = world({ singleton: { mode: 'cancel', key } });
    await w.send(received(1, 0));
    const [runId = ''] = w.runIds();
    const view = {
      runId,
      env: ENV,
      functionId: 'app-f',
      eventIds: [idAt(1)],
      queuedAt: NOW,
      startedAt: NOW,
      endedAt: null,
    };
    w.runs.views.set(runId, { ...view, status: 'Running', output: null });
    await w.send(received(2, 1));
    expect([w.started(), w.runs.cancelled]).toEqual([[[1], [2]], [runId]]);
  });
});

describe('several policies', () => {
  test('idempotency comes before the singleton: a duplicate cancels nobody (FC-7)', async () => {
    const w = world({ idempotency: key, singleton: { mode: 'cancel' } });
    await w.send(received(1, 0), received(2, 1));
    expect([w.started(), await w.reasons(2)]).toEqual([[[1]], ['duplicate']]);
  });

  test('one function that skips an event keeps no other from it', async () => {
    const w = dispatchWorld({ 'app-f': ['a/b'] }, { rateLimit: { limit: 1, period: '1h' } });
    const all = [...configsOf(w), ...configsOf(dispatchWorld({ 'app-g': ['a/b'] }))];
    const deps = { ...w, functions: registryOf(() => all) };
    await consumeEvents([new TestMessage({ events: [received(1, 0), received(2, 1)] })], deps);
    const runs = [...w.runs.started.values()].map(
      ({ functionId, events }) => `${functionId} ${events[0]?.internalId}`,
    );
    expect(runs.toSorted()).toEqual([`app-f ${idAt(1)}`, `app-g ${idAt(1)}`, `app-g ${idAt(2)}`]);
  });
});

/** The queue handler with batches made by hand: what it acknowledges, what it gives back, what it gives up; and intake while D1 is ill. */
import {
  createExecutionContext,
  createMessageBatch,
  getQueueResult,
  waitOnExecutionContext,
} from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, test, vi } from 'vitest';
import type { Parts } from '../../src/compose.ts';
import { createWorker } from '../../src/engine.ts';
import type { Env } from '../../src/env.ts';
import { objectRuns } from '../../src/objects.ts';
import type { DeadMessage, EventsMessage } from '../../src/protocol/message.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import { DAY, MINUTE } from '../../src/lib/time.ts';
import type { RunEnding, RunSummary } from '../../src/protocol/run.ts';
import { d1Store } from '../../src/store/d1.ts';
import { anEvent, endedRunsOf, newId, NOW, runsOf, timeStandsStill, turn, unique, until } from './world.ts';
import { apps, programs } from './worker.ts';

timeStandsStill();

const store = d1Store(env.DB, { retention: DAY });

/** A Worker of its own, whose letters to the dead can be read. */
function aWorker(overrides: Partial<Parts> = {}) {
  const letters: DeadMessage[] = [];
  const dead = { send: async (messages: DeadMessage[]) => void letters.push(...messages) };
  return { worker: createWorker({ apps }, { dead, ...overrides }), letters };
}

interface Delivery {
  body: unknown;
  attempts?: number;
}

/** Delivers the messages as one batch; answers which of them came back and after how long. */
async function deliver(
  worker: ReturnType<typeof createWorker>,
  deliveries: Delivery[],
  { queue = 'stepwell-events', bindings = env }: { queue?: string; bindings?: Env } = {},
) {
  const messages = deliveries.map(({ body, attempts = 1 }, index) => ({
    id: `m${index}`,
    timestamp: new Date(),
    attempts,
    body,
  }));
  const batch = createMessageBatch(queue, messages);
  const delays = new Map<string, number | undefined>();
  for (const message of batch.messages) {
    const retry = message.retry.bind(message);
    message.retry = (options) => {
      delays.set(message.id, options?.delaySeconds);
      retry(options);
    };
  }
  await worker.queue(batch, bindings);
  const { explicitAcks, retryMessages } = await getQueueResult(batch, createExecutionContext());
  return {
    acked: explicitAcks.toSorted(),
    back: retryMessages.map(({ msgId }) => [msgId, delays.get(msgId)]),
  };
}

/** A program that counts its entries by event. */
function counting() {
  const entered: string[] = [];
  const program = unique('counting');
  programs.set(program, ({ event }) => void entered.push(event.id));
  return { entered, event: (change: Partial<StoredEvent> = {}) => anEvent({ data: { program }, ...change }) };
}

async function rowOf(internalId: string) {
  return env.DB.prepare('select * from event where internal_id = ?').bind(internalId).first();
}

describe('messages', () => {
  test('delivered twice in one batch, and again later, start one run (EVT-32)', async () => {
    const { worker } = aWorker();
    const { entered, event } = counting();
    const body: EventsMessage = { events: [event()] };
    expect(await deliver(worker, [{ body }, { body }])).toEqual({ acked: ['m0', 'm1'], back: [] });
    await endedRunsOf(body.events?.[0]?.internalId ?? '');
    expect(await deliver(worker, [{ body, attempts: 2 }])).toEqual({ acked: ['m0'], back: [] });
    expect(await deliver(worker, [{ body: { ids: [body.events?.[0]?.internalId ?? ''] } }])).toEqual({
      acked: ['m0'],
      back: [],
    });
    await turn(20);
    expect(entered).toHaveLength(1);
    expect(await runsOf(body.events?.[0]?.internalId ?? '')).toHaveLength(1);
  });

  test('two batches with the same events at the same time start one run each', async () => {
    const { worker } = aWorker();
    const { entered, event } = counting();
    const bodies = Array.from({ length: 20 }, () => ({ body: { events: [event()] } }));
    await Promise.all([
      deliver(worker, bodies),
      deliver(worker, bodies),
      deliver(worker, bodies.toReversed()),
    ]);
    for (const { body } of bodies) await endedRunsOf(body.events[0]?.internalId ?? '');
    expect(entered.toSorted()).toEqual(bodies.map(({ body }) => body.events[0]?.internalId ?? '').toSorted());
  });

  test('of events with one id the first that was accepted starts runs, in whatever order they are delivered (DD-1, DD-6)', async () => {
    const { worker } = aWorker();
    const { entered, event } = counting();
    const id = unique('order');
    const [first, second] = [event({ id, internalId: newId() }), event({ id, internalId: newId() })];
    await store.insertEvents([first], Date.now());
    await store.insertEvents([second], Date.now());
    await deliver(worker, [{ body: { events: [second] } }]);
    await deliver(worker, [{ body: { events: [first] } }]);
    await endedRunsOf(first.internalId);
    expect(await runsOf(second.internalId)).toEqual([]);
    expect(await rowOf(second.internalId)).toMatchObject({ duplicate_of: first.internalId });
    expect(entered).toHaveLength(1);
  });

  test('that no version of the engine has written go to the dead letters, with the reason and nothing of their contents in it', async () => {
    const { worker, letters } = aWorker();
    const { entered, event } = counting();
    const poison = [
      null,
      'text',
      7,
      [],
      { events: 'secret' },
      { events: [{ name: 'secret' }] },
      { ids: [7] },
    ];
    const good = event();
    const result = await deliver(worker, [...poison.map((body) => ({ body })), { body: { events: [good] } }]);
    expect(result).toEqual({
      acked: [...poison.keys(), poison.length].map((index) => `m${index}`),
      back: [],
    });
    expect(letters).toHaveLength(poison.length);
    for (const [index, { queue, reason, body }] of letters.entries()) {
      expect(queue).toBe('events');
      expect(reason).toMatch(/^message/);
      expect(reason).not.toContain('secret');
      expect(body).toEqual(poison[index]);
    }
    await endedRunsOf(good.internalId);
    expect(entered).toEqual([good.internalId]);
  });

  test('that name an event which is not stored come back later and later, and are given up in the end', async () => {
    const { worker, letters } = aWorker();
    const body = { ids: [newId()] };
    expect(await deliver(worker, [{ body, attempts: 1 }])).toEqual({ acked: [], back: [['m0', 2]] });
    expect(await deliver(worker, [{ body, attempts: 7 }])).toEqual({ acked: [], back: [['m0', 128]] });
    expect(await deliver(worker, [{ body, attempts: 8 }])).toEqual({ acked: ['m0'], back: [] });
    expect(letters).toEqual([{ queue: 'events', reason: 'ids: no such event is stored', body }]);
  });

  test('that the dead letters do not take come back', async () => {
    const { worker } = aWorker({ dead: { send: () => Promise.reject(new Error('full')) } });
    expect(await deliver(worker, [{ body: 'poison' }])).toEqual({ acked: [], back: [['m0', 2]] });
  });
});

describe('a run that cannot be started', () => {
  function refusing(poisoned: Set<string>): Partial<Parts> {
    const runs = objectRuns(env);
    const start: typeof runs.start = (run) =>
      poisoned.has(run.events[0]?.internalId ?? '') && run.functionId === 'test-left'
        ? Promise.reject(new Error('no object for you'))
        : runs.start(run);
    return { runs: { ...runs, start } };
  }

  test('holds up no other: neither of its own event, nor of its message, nor of its batch (FN-35, EVT-33)', async () => {
    const bad = anEvent({ name: 'test/both' });
    const { worker } = aWorker(refusing(new Set([bad.internalId])));
    const { entered, event } = counting();
    const [near, far] = [event(), event()];
    const result = await deliver(worker, [{ body: { events: [near, bad] } }, { body: { events: [far] } }]);
    expect(result).toEqual({ acked: ['m1'], back: [['m0', 2]] });
    await endedRunsOf(near.internalId);
    await endedRunsOf(far.internalId);
    expect(entered.toSorted()).toEqual([near.internalId, far.internalId].toSorted());
    await until(async () =>
      (await runsOf(bad.internalId)).some(({ output }) => output === 'right') ? true : null,
    );
    expect(await rowOf(bad.internalId)).toMatchObject({ dispatched_at: null });
    expect(await rowOf(near.internalId)).not.toMatchObject({ dispatched_at: null });
  });

  test('is started by a later delivery', async () => {
    const bad = anEvent({ name: 'test/both' });
    const poisoned = new Set([bad.internalId]);
    const { worker } = aWorker(refusing(poisoned));
    await deliver(worker, [{ body: { events: [bad] } }]);
    poisoned.clear();
    expect(await deliver(worker, [{ body: { events: [bad] }, attempts: 2 }])).toEqual({
      acked: ['m0'],
      back: [],
    });
    const runs = await endedRunsOf(bad.internalId, 2);
    expect(runs.map(({ output }) => String(output)).toSorted()).toEqual(['left', 'right']);
  });

  test('is given up when it has failed eight times in five minutes: the event keeps the reason, and so does the dead letter', async () => {
    const bad = anEvent({ name: 'test/both' });
    const { worker, letters } = aWorker(refusing(new Set([bad.internalId])));
    for (let n = 1; n <= 8; n++) {
      const early = await deliver(worker, [{ body: { events: [bad] }, attempts: 8 }]);
      expect(early).toEqual({ acked: [], back: [['m0', 256]] });
    }
    vi.setSystemTime(NOW + 5 * MINUTE);
    expect(await deliver(worker, [{ body: { events: [bad] } }])).toEqual({ acked: ['m0'], back: [] });
    const reason = 'start of test-left: Error';
    expect(letters).toEqual([{ queue: 'events', reason, body: { ids: [bad.internalId] } }]);
    expect(await rowOf(bad.internalId)).toMatchObject({ dead_reason: reason });
  });
});

describe('the ends of runs', () => {
  const summary = (change: Partial<RunSummary> = {}): RunSummary => ({
    runId: newId(),
    env: 'dev',
    functionId: 'test-program',
    eventId: newId(),
    status: 'Completed',
    queuedAt: Date.now(),
    endedAt: Date.now(),
    output: '"first"',
    ...change,
  });
  const ending = (of: RunSummary): RunEnding => ({ summary: of, parent: null, events: [] });

  test('that come twice, or before the run was known, are written once, and the first stands (RN-3)', async () => {
    const { worker } = aWorker();
    const first = summary();
    const later = ending({ ...first, status: 'Failed', output: '"later"' });
    expect(
      await deliver(worker, [{ body: { runs: [ending(first)] } }, { body: { runs: [ending(first)] } }], {
        queue: 'stepwell-runs',
      }),
    ).toMatchObject({ back: [] });
    expect(await deliver(worker, [{ body: { runs: [later] } }], { queue: 'stepwell-runs' })).toMatchObject({
      back: [],
    });
    expect(await runsOf(first.eventId)).toMatchObject([
      { run_id: first.runId, status: 'Completed', output: 'first' },
    ]);
  });

  test('that are none go to the dead letters; the others of the batch are written', async () => {
    const { worker, letters } = aWorker();
    const good = summary();
    const result = await deliver(worker, [{ body: { runs: 'none' } }, { body: { runs: [ending(good)] } }], {
      queue: 'stepwell-runs',
    });
    expect(result).toEqual({ acked: ['m0', 'm1'], back: [] });
    expect(letters).toMatchObject([{ queue: 'runs' }]);
    expect(await runsOf(good.eventId)).toHaveLength(1);
  });
});

describe('while D1 is ill', () => {
  const ill = { ...env, DB: sickD1(() => Promise.reject(new Error('D1_ERROR: not now'))) } as unknown as Env;

  /** Queues whose messages the test delivers itself. */
  function captured() {
    const messages: EventsMessage[] = [];
    const events = { send: async (sent: EventsMessage[]) => void messages.push(...sent) };
    return { messages, events };
  }

  function request(body: object): Request {
    return new Request('https://stepwell.test/e/key', { method: 'POST', body: JSON.stringify(body) });
  }

  async function answer(
    worker: ReturnType<typeof createWorker>,
    body: object,
    bindings: Env,
  ): Promise<Response> {
    const context = createExecutionContext();
    const response = await worker.fetch(request(body), bindings, context);
    await waitOnExecutionContext(context);
    return response;
  }

  test('events are accepted through the queue, come back as long as D1 is ill, and lose nothing (EA-10)', async () => {
    const { entered, event } = counting();
    const { messages, events } = captured();
    const { worker, letters } = aWorker({ events });
    const sent = Array.from({ length: 5 }, () => ({ name: 'test/program', data: event().data }));
    const response = await answer(worker, sent, ill);
    expect(response.status).toBe(200);
    const { ids } = await response.json<{ ids: string[] }>();
    const bodies = messages.map((body) => ({ body, attempts: 50 }));
    // However often they are delivered: D1's trouble is not the messages'.
    expect((await deliver(worker, bodies, { bindings: ill })).acked).toEqual([]);
    expect(letters).toEqual([]);
    const well = aWorker({ events }).worker;
    expect((await deliver(well, bodies)).back).toEqual([]);
    for (const id of ids) await endedRunsOf(id);
    expect(entered.toSorted()).toEqual(ids.toSorted());
  });

  test('the ends of runs come back as long as it lasts', async () => {
    const { worker } = aWorker();
    const summary = {
      runId: newId(),
      env: 'dev',
      functionId: 'f',
      eventId: newId(),
      status: 'Completed',
      queuedAt: 1,
      endedAt: 2,
      output: null,
    };
    const run = { summary, parent: null, events: [] };
    const result = await deliver(worker, [{ body: { runs: [run] }, attempts: 3 }], {
      queue: 'stepwell-runs',
      bindings: ill,
    });
    expect(result).toEqual({ acked: [], back: [['m0', 8]] });
  });

  test('an event too large for the queue is refused, and no part of its request is on its way (EA-14)', async () => {
    const { messages, events } = captured();
    const { worker } = aWorker({ events });
    const response = await answer(
      worker,
      [{ name: 'small' }, { name: 'large', data: { blob: 'x'.repeat(200_000) } }],
      ill,
    );
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('5');
    expect(await response.json()).toMatchObject({ ids: [], status: 503 });
    expect(messages).toEqual([]);
  });

  test('with the queue ill too nothing is accepted (EA-10)', async () => {
    const { worker } = aWorker({ events: { send: () => Promise.reject(new Error('overloaded')) } });
    const response = await answer(worker, { name: 'anything' }, ill);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ ids: [], status: 503 });
  });

  test('when D1 says nothing at all, the queue is enough after a while; what D1 does later doubles nothing', async () => {
    const { entered, event } = counting();
    const { messages, events } = captured();
    const answers: (() => void)[] = [];
    const slow = {
      ...env,
      DB: sickD1((go) => new Promise((resolve) => answers.push(() => resolve(go())))),
    } as unknown as Env;
    const timer: Parts['timer'] = (_, fire) => {
      const handle = setTimeout(fire, 5);
      return () => clearTimeout(handle);
    };
    const { worker } = aWorker({ events, timer });
    const context = createExecutionContext();
    const response = await worker.fetch(request({ name: 'test/program', data: event().data }), slow, context);
    expect(response.status).toBe(200);
    const { ids } = await response.json<{ ids: string[] }>();
    const bodies = messages.map((body) => ({ body }));
    await deliver(aWorker({ events }).worker, bodies);
    for (const go of answers) go();
    await waitOnExecutionContext(context);
    await deliver(aWorker({ events }).worker, bodies);
    await endedRunsOf(ids[0] ?? '');
    expect(entered).toEqual(ids);
  });
});

/** D1 whose batches go through `treat`. */
function sickD1(treat: (go: () => Promise<unknown>) => Promise<unknown>): D1Database {
  const batch = (statements: D1PreparedStatement[]) => treat(() => env.DB.batch(statements));
  return { prepare: (query: string) => env.DB.prepare(query), batch } as unknown as D1Database;
}

/** The Worker's handlers as they are composed, over ports in memory. */
import { describe, expect, test } from 'vitest';
import { createWorker } from '../../src/engine.ts';
import { parseConfig, type Env } from '../../src/env.ts';
import type { Crons, Signals, Waits } from '../../src/ports.ts';
import type { App } from '../../src/registry/check.ts';
import { TestMessage } from '../dispatch/world.ts';
import { idAt, stored } from '../ingest/world.ts';
import { apiWorld } from './world.ts';

const apps: App[] = [
  {
    client: { id: 'app' },
    functions: [{ config: () => ({ id: 'app-f', name: 'f', triggers: [{ event: 'a/b' }] }) }],
  },
];
const settings = { STEPWELL_EVENT_KEYS: 'event-key' };

function engine(config = parseConfig(settings)) {
  const w = apiWorld();
  const armed = { calls: 0, behaviour: 'works' as 'works' | 'fails' | 'stalls' };
  const arm = async (): Promise<void> => {
    armed.calls++;
    if (armed.behaviour === 'fails') throw new Error('down');
    if (armed.behaviour === 'stalls') await new Promise(() => undefined);
  };
  const { store, events, dead, runs, clock, entropy, log, timers } = w;
  const waits = { deliver: w.waits.deliver.bind(w.waits) } as Waits;
  const crons: Crons = { sync: async (env) => void synced.push(env), skipped: async () => [] };
  const synced: string[] = [];
  const worker = createWorker(
    { apps },
    {
      config,
      store,
      events,
      dead,
      runs,
      clock,
      entropy,
      log,
      sweeps: { ...w.deps.sweeps, arm },
      crons,
      waits,
      signals: w.signals as unknown as Signals,
      timer: timers.start,
    },
  );
  const waited: Promise<unknown>[] = [];
  const ctx = {
    waitUntil: (work: Promise<unknown>) => void waited.push(work),
  } as unknown as ExecutionContext;
  const send = (body: object): Promise<Response> => {
    const request = new Request('http://x/e/event-key', { method: 'POST', body: JSON.stringify(body) });
    return worker.fetch(request, {} as Env, ctx);
  };
  return { ...w, worker, armed, synced, ctx, waited, send };
}

interface TestBatch extends MessageBatch {
  retried: QueueRetryOptions | undefined;
}

function batch(queue: string, messages: TestMessage[]): TestBatch {
  const all = { queue, messages, retried: undefined } as unknown as TestBatch;
  all.retryAll = (options) => void (all.retried = options);
  return all;
}

describe('from request to run', () => {
  test('an event that was sent starts its function (EVT-32)', async () => {
    const e = engine();
    expect((await e.send({ name: 'a/b' })).status).toBe(200);
    await Promise.all(e.waited);
    expect([...e.runs.started.values()].map((run) => run.functionId)).toEqual(['app-f']);
    expect(e.events.sent).toEqual([]);
  });

  test('many events that were sent start their function by way of the queue (EVT-32)', async () => {
    const e = engine();
    await e.send(Array.from({ length: 9 }, () => ({ name: 'a/b' })));
    await Promise.all(e.waited);
    expect(e.runs.started.size).toBe(0);
    const messages = e.events.sent.map((body) => new TestMessage(body));
    await e.worker.queue(batch('stepwell-events', messages), {} as Env);
    expect([...e.runs.started.values()].map((run) => run.functionId)).toEqual(Array(9).fill('app-f'));
    expect(messages[0]?.fate).toBe('acknowledged');
  });

  test('the batch of the other queue closes runs', async () => {
    const e = engine();
    const runs = [{ runId: idAt(7), env: 'production', functionId: 'app-f', eventId: idAt(1) }];
    const closed = { status: 'Completed', queuedAt: 1, endedAt: 2, output: null };
    const endings = runs.map((run) => ({ summary: { ...run, ...closed }, parent: null, events: [] }));
    const message = new TestMessage({ runs: endings });
    await e.worker.queue(batch('stepwell-runs', [message]), {} as Env);
    expect(await e.store.findRun('production', idAt(7))).toMatchObject({ status: 'Completed' });
  });
});

describe('the sweeper', () => {
  test('is armed once before the first event, and by every cron', async () => {
    const e = engine();
    await e.send({ name: 'a/b' });
    await e.send({ name: 'a/b' });
    expect(e.armed.calls).toBe(1);
    await e.worker.scheduled({} as ScheduledController, {} as Env);
    expect(e.armed.calls).toBe(2);
  });

  test('and the schedules: whichever fails, the other is armed all the same (CR-14)', async () => {
    const e = engine();
    e.armed.behaviour = 'fails';
    await e.send({ name: 'a/b' });
    await expect(e.worker.scheduled({} as ScheduledController, {} as Env)).rejects.toThrow('down');
    expect(e.synced).toEqual(['production', 'production']);
  });

  test('that cannot be armed refuses no event, and is tried again with the next', async () => {
    const e = engine();
    e.armed.behaviour = 'fails';
    expect((await e.send({ name: 'a/b' })).status).toBe(200);
    e.armed.behaviour = 'works';
    for (let i = 0; i < 3; i++) await e.send({ name: 'a/b' });
    expect(e.armed.calls).toBe(2);
  });

  test('that does not answer holds no event up for long', async () => {
    const e = engine();
    e.armed.behaviour = 'stalls';
    const sending = e.send({ name: 'a/b' });
    await e.timers.fire();
    expect((await sending).status).toBe(200);
  });

  test('is not asked for by an event that is refused', async () => {
    const e = engine();
    expect((await e.send({ name: '' })).status).toBe(400);
    expect(e.armed.calls).toBe(0);
  });
});

describe('settings', () => {
  const bad = { STEPWELL_MAX_STEPS: 'secret-value' } as unknown as Env;

  test.each([
    [{}, 15, false],
    [{ STEPWELL_FETCH_TIMEOUT: '2h' }, 120, false],
    [{ STEPWELL_ALLOW_PRIVATE: '1' }, 15, true],
    [{ STEPWELL_ALLOW_PRIVATE: '0' }, 15, false],
    [{ STEPWELL_DEV: '1' }, 15, true],
  ])(
    '%j: requests wait %i minutes, private addresses may be called: %j (SF-5, SF-10)',
    (set, minutes, allows) => {
      expect(parseConfig(set)).toMatchObject({ fetchTimeout: minutes * 60_000, allowsPrivate: allows });
    },
  );

  test.each(['2h1s', '0s', 'soon'])('STEPWELL_FETCH_TIMEOUT=%s is refused (SF-5)', (text) => {
    expect(() => parseConfig({ STEPWELL_FETCH_TIMEOUT: text })).toThrow('STEPWELL_FETCH_TIMEOUT: expected');
  });

  test('that are bad answer 500 on every route in words, and are logged once', async () => {
    const w = apiWorld();
    const worker = createWorker({ apps }, { log: w.log });
    for (const path of ['/', '/health', '/e/x', '/v1/events']) {
      const response = await worker.fetch(new Request(`http://x${path}`), bad, {} as ExecutionContext);
      const text = await response.text();
      expect(response.status).toBe(500);
      expect(response.headers.get('x-inngest-server-kind')).toBe('cloud');
      expect(text).toContain('STEPWELL_MAX_STEPS: expected a whole number');
      expect(text).not.toContain('secret-value');
    }
    expect(w.log.lines).toHaveLength(1);
    expect(JSON.stringify(w.log.lines)).not.toContain('secret-value');
  });

  test('that are bad give every message back', async () => {
    const worker = createWorker({ apps }, { log: apiWorld().log });
    const messages = batch('stepwell-events', [new TestMessage({ events: [stored(idAt(1))] })]);
    await worker.queue(messages, bad);
    expect(messages.retried).toEqual({ delaySeconds: 60 });
    await worker.scheduled({} as ScheduledController, bad);
  });

  test('without keys close everything but health (EK-14)', async () => {
    const e = engine(parseConfig({}));
    const status = async (path: string, method = 'GET'): Promise<number> =>
      (await e.worker.fetch(new Request(`http://x${path}`, { method }), {} as Env, e.ctx)).status;
    expect(await status('/health')).toBe(200);
    expect([await status('/e/x', 'POST'), await status('/v1/events'), await status('/x')]).toEqual([
      401, 401, 401,
    ]);
  });
});

test('functions with problems are refused at once', () => {
  expect(() =>
    createWorker({ apps: [{ client: { id: 'a' }, functions: [{ config: () => ({}) }] }] }),
  ).toThrow(/problems/);
});

describe('the settings of keys', () => {
  test('are lists of event keys, and signing keys with their fallbacks, once more for branches (ENV-3, SK-22)', () => {
    const config = parseConfig({
      STEPWELL_EVENT_KEYS: 'a, b',
      STEPWELL_SIGNING_KEY: 'signkey-prod-00ff',
      STEPWELL_SIGNING_KEY_FALLBACK: '',
      STEPWELL_BRANCH_EVENT_KEYS: 'c',
      STEPWELL_BRANCH_SIGNING_KEY: 'signkey-branch-0a',
      STEPWELL_BRANCH_SIGNING_KEY_FALLBACK: '0b',
    });
    expect(config).toMatchObject({
      eventKeys: ['a', 'b'],
      signingKeys: ['signkey-prod-00ff'],
      branch: { eventKeys: ['c'], signingKeys: ['signkey-branch-0a', '0b'] },
    });
  });

  test.each(['secret-value', 'signkey-prod-abc', 'signkey-prod-', 'signkey--ab'])(
    'refuse a signing key that SDKs cannot hash: "%s" (SK-4)',
    (key) => {
      const parse = () => parseConfig({ STEPWELL_SIGNING_KEY: key });
      expect(parse).toThrow(/STEPWELL_SIGNING_KEY: expected "signkey-<name>-" and an even number/);
      expect(parse).not.toThrow(key === 'secret-value' ? /secret-value/ : /prod/);
    },
  );
});

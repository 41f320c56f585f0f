/** What flow control asks of an event, and when its run is due (FC-5 to FC-7, FC-13). */
import { describe, expect, test } from 'vitest';
import { ask, controlsOf, due } from '../../src/flow/order.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import { functionConfig } from '../../src/protocol/function.ts';

const NOW = 1_900_000_000_000;

function configOf(options: object) {
  return functionConfig.parse({ id: 'app-f', name: 'f', triggers: [{ event: 'a/b' }], ...options });
}

function anEvent(data: StoredEvent['data'], change: Partial<StoredEvent> = {}): StoredEvent {
  return { internalId: 'e', env: 'dev', name: 'a/b', data, ts: NOW, receivedAt: NOW, ...change };
}

/** What is asked, and what is warned of. */
function asked(options: object, event: StoredEvent, user?: StoredEvent['data']) {
  const controls = controlsOf(configOf(options));
  if (controls === null) throw new Error('the function has no flow control');
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  return { asks: ask(controls, event, { warn, ...(user && { user }) }), warnings };
}

const period = '10s';

describe('the keys of an event', () => {
  test('a function without flow control asks nothing', () => {
    expect(controlsOf(configOf({}))).toBeNull();
    expect(controlsOf(configOf({ concurrency: 0, timeouts: { start: '1s' } }))).toBeNull();
  });

  test('each policy has its own, evaluated (FC-4, FC-5)', () => {
    const options = {
      concurrency: [
        { limit: 1, key: 'event.data.a' },
        { limit: 9, key: '"llm"', scope: 'account' },
      ],
      throttle: { limit: 1, period, key: 'event.data.n' },
      debounce: { period, key: 'event.data.a + "-" + event.data.n' },
      idempotency: 'event.data.list',
      singleton: { mode: 'skip', key: 'event.name' },
      priority: { run: 'event.data.n * 10' },
    };
    expect(asked(options, anEvent({ a: 'x', n: 3, list: [1] }))).toEqual({
      asks: {
        debounce: 's:x-3',
        idempotency: 'j:[1]',
        singleton: 's:a/b',
        priority: 30,
        throttle: 'n:3',
        concurrency: [
          { n: 0, scope: 'fn', key: 's:x' },
          { n: 1, scope: 'account', key: 's:llm' },
        ],
      },
      warnings: [],
    });
  });

  test('policies without a key have one for all events', () => {
    const options = { concurrency: 2, throttle: { limit: 1, period }, rateLimit: { limit: 1, period } };
    expect(asked(options, anEvent({})).asks).toEqual({
      rateLimit: '',
      throttle: '',
      concurrency: [{ n: 0, scope: 'fn', key: '' }],
    });
  });

  test.each([
    ['missing', {}],
    ['null', { k: null }],
  ])('%s: shared where the limit must still protect, left out where work would be lost (FC-6)', (_, data) => {
    const key = 'event.data.k';
    const shared = {
      concurrency: { limit: 1, key },
      throttle: { limit: 1, period, key },
      debounce: { period, key },
      singleton: { mode: 'skip', key },
    };
    const { asks, warnings } = asked({ ...shared, rateLimit: { limit: 1, period, key } }, anEvent(data));
    expect(asks).toEqual({
      debounce: '',
      singleton: '',
      throttle: '',
      concurrency: [{ n: 0, scope: 'fn', key: '' }],
    });
    expect(warnings.map((warning) => warning.split(':')[0])).toEqual([
      'debounce',
      'rateLimit',
      'singleton',
      'throttle',
      'concurrency',
    ]);
    expect(asked({ idempotency: key }, anEvent(data)).asks).toEqual({});
    expect(asked({ batchEvents: { maxSize: 2, timeout: period, key } }, anEvent(data)).asks).toEqual({
      batch: '',
    });
  });

  test('false is no key of a rate limit or of idempotency, and one of everything else (EX-71)', () => {
    const event = anEvent({ k: false });
    const key = 'event.data.k';
    expect(asked({ rateLimit: { limit: 1, period, key } }, event).asks).toEqual({});
    expect(asked({ idempotency: key }, event).asks).toEqual({});
    expect(asked({ throttle: { limit: 1, period, key } }, event).asks).toEqual({ throttle: 'b:false' });
  });

  test('a warning names no value of the event (EX-77)', () => {
    const { warnings } = asked({ idempotency: 'event.data.k < 1' }, anEvent({ k: { secret: 'secret' } }));
    expect(warnings).toHaveLength(1);
    expect(warnings.join()).not.toContain('secret');
  });

  test('idempotency overrides the rate limit (ID-11)', () => {
    const rateLimit = { limit: 1, period, key: 'event.data.k' };
    expect(asked({ idempotency: 'event.data.k', rateLimit }, anEvent({ k: 1 })).asks).toEqual({
      idempotency: 'n:1',
    });
    expect(asked({ idempotency: 'event.data.none', rateLimit }, anEvent({ k: 1 })).asks).toEqual({});
  });

  test('cron ticks and invocations are not collected, and obey the rest (IC-2, FC-13, CR-15)', () => {
    const event = anEvent({ k: 1 }, { target: { functionId: 'app-f' } });
    const key = 'event.data.k';
    expect(asked({ debounce: { period, key }, rateLimit: { limit: 1, period, key } }, event).asks).toEqual({
      rateLimit: 'n:1',
    });
    expect(asked({ batchEvents: { maxSize: 2, timeout: period } }, event).asks).toEqual({});
  });

  test('what batchEvents.if is not true for is not collected (BA-13)', () => {
    const batchEvents = { maxSize: 2, timeout: period, if: 'event.data.n > 1' };
    expect(asked({ batchEvents }, anEvent({ n: 2 })).asks).toEqual({ batch: '' });
    expect(asked({ batchEvents }, anEvent({ n: 1 })).asks).toEqual({});
    expect(asked({ batchEvents: { ...batchEvents, if: 'event.data.n' } }, anEvent({ n: 2 }))).toEqual({
      asks: {},
      warnings: ['batchEvents.if: the condition gave a number instead of a boolean'],
    });
  });

  test('of two limits with one scope and key the lower one is asked (CC-15)', () => {
    const limits = (...values: number[]) => ({
      concurrency: values.map((limit) => ({ limit, key: 'event.data.k', scope: 'env' })),
    });
    const one = (n: number) => ({ concurrency: [{ n, scope: 'env', key: 's:x' }] });
    expect(asked(limits(5, 2), anEvent({ k: 'x' })).asks).toEqual(one(1));
    expect(asked(limits(2, 5), anEvent({ k: 'x' })).asks).toEqual(one(0));
  });

  test('all batches of a function share its concurrency, whatever the key (BA-18)', () => {
    const options = {
      batchEvents: { maxSize: 2, timeout: period },
      concurrency: { limit: 1, key: 'event.data.k' },
    };
    expect(asked(options, anEvent({ k: 'x' })).asks).toMatchObject({
      concurrency: [{ n: 0, scope: 'fn', key: '' }],
    });
  });

  test('a key may read the sealed user once it is opened (EX-19)', () => {
    const options = { throttle: { limit: 1, period, key: 'event.user.id' } };
    const event = anEvent({}, { user: 'sealed' });
    expect(controlsOf(configOf(options))?.readsUser).toBe(true);
    expect(asked(options, event, { id: 'u' }).asks).toEqual({ throttle: 's:u' });
    expect(asked(options, event)).toEqual({
      asks: { throttle: '' },
      warnings: ['throttle: event.user is sealed'],
    });
  });
});

describe('the priority', () => {
  test.each([
    ['event.data.n', { n: 5_000 }, 600],
    ['event.data.n', { n: -5_000 }, -600],
    ['event.data.n', { n: 1.9 }, 1],
    ['event.data.n', { n: -1.9 }, -1],
    ['event.data.n', {}, undefined],
    ['event.data.n', { n: 'high' }, undefined],
    ['event.data.n === 1', { n: 1 }, undefined],
    ['event.data.plan == "gold" ? 120 : 0', { plan: 'gold' }, 120],
  ])('%s of %j (PR-2 to PR-7, PR-9, FA-8, XT-9)', (run, data: StoredEvent['data'], priority) => {
    expect(asked({ priority: { run } }, anEvent(data)).asks.priority).toBe(priority);
  });

  test('is taken off the moment at which the run is due (PR-10, PR-14)', () => {
    const limited = { throttle: '' };
    const at = (text: string) => Date.parse(`2030-01-01T${text}Z`);
    const runs = [
      ['X', at('12:02:30'), 0],
      ['Y', at('12:02:30'), 120],
      ['C', at('12:02:10'), 0],
      ['B', at('12:00:40'), 0],
      ['A', at('12:00:10'), 0],
    ] as const;
    const order = runs
      .map(([name, moment, priority]) => ({
        name,
        score: due({ ...limited, priority }, moment).flow?.score ?? 0,
      }))
      .toSorted((a, b) => a.score - b.score);
    expect(order.map(({ name }) => name)).toEqual(['A', 'Y', 'B', 'C', 'X']);
  });

  test('below 0 puts the start off, above 0 does not move it (PR-11 to PR-13)', () => {
    expect(due({ priority: -30 }, NOW)).toEqual({ startAt: NOW + 30_000 });
    expect(due({ priority: 30 }, NOW)).toEqual({ startAt: NOW });
    expect(due({ priority: -30, throttle: 'k' }, NOW)).toEqual({
      startAt: NOW + 30_000,
      flow: { score: NOW + 30_000, throttle: 'k' },
    });
  });
});

/** Flow control as authors configure it: shapes, ranges, keys, and what excludes what. */
import { describe, expect, test, vi } from 'vitest';
import type { FunctionConfig } from '../../src/protocol/function.ts';
import { checkApps } from '../../src/registry/check.ts';
import { app, made, problemsOf, written } from './words.ts';

function configOf(options: object): FunctionConfig | undefined {
  return checkApps([app('shop', written('shop', { id: 'f', ...options }))])[0];
}

/** Options that are right, each with every member. */
const right = {
  concurrency: [{ limit: 5, key: 'event.data.user', scope: 'env' }],
  throttle: { limit: 10, period: '1min', burst: 20, key: 'event.data.user' },
  rateLimit: { limit: 1, period: '4h', key: 'event.data.user' },
  debounce: { period: '5s', timeout: '30s', key: 'event.data.user' },
  batchEvents: { maxSize: 100, timeout: '5s', key: 'event.data.user', if: 'event.data.n > 1' },
  priority: { run: 'event.data.plan == "gold" ? 120 : 0' },
  singleton: { key: 'event.data.user', mode: 'cancel' },
  idempotency: 'event.data.cart + "-" + event.data.user',
};

describe('flow control', () => {
  test.each(Object.entries(right))('%s is kept as it was written (FC-1, FN-17 to FN-27)', (option, value) => {
    expect(configOf({ [option]: value })).toMatchObject({ [option]: value });
    expect(checkApps([app('shop', made('shop', { id: 'f', [option]: value }))])).toMatchObject([
      { [option]: value },
    ]);
  });

  test.each([
    [5, [{ limit: 5, scope: 'fn' }]],
    [{ limit: 5 }, [{ limit: 5, scope: 'fn' }]],
    [
      [{ limit: 5 }, { limit: 1, key: '"llm"', scope: 'account' }],
      [
        { limit: 5, scope: 'fn' },
        { limit: 1, key: '"llm"', scope: 'account' },
      ],
    ],
    [0, []],
    [[{ limit: 0, key: 'event.data.x' }, { limit: 2 }], [{ limit: 2, scope: 'fn' }]],
    [{}, []],
    [[], []],
  ])('concurrency %j is a list of limits, without those of 0 (CC-1 to CC-3, CC-7)', (concurrency, limits) => {
    expect(configOf({ concurrency })?.concurrency).toEqual(limits);
  });

  test.each([
    ['concurrency', -1, '[0].limit: expected a whole number, 0 or more (CC-4)'],
    ['concurrency', 1.5, '[0].limit: expected a whole number, 0 or more (CC-4)'],
    ['concurrency', '5', '[0]: expected a number or an object'],
    [
      'concurrency',
      { limit: 1, scope: 'env' },
      '[0].key: a limit of the scope "env" or "account" needs a key (CC-11)',
    ],
    ['concurrency', { limit: 1, scope: 'app' }, '[0].scope: expected "fn", "env" or "account" (CC-7)'],
    ['concurrency', [1, 2, 3], ': at most 2 limits (CC-14)'],
    ['throttle', { period: '1s' }, '.limit: expected a whole number, 1 or more (TH-2)'],
    ['throttle', { limit: 0, period: '1s' }, '.limit: expected a whole number, 1 or more (TH-2)'],
    ['throttle', { limit: 1, period: '8d' }, '.period: expected a duration, from 1 second to 7 days (TH-3)'],
    ['throttle', { limit: 1, period: '1500ms' }, '.period: expected a whole number of seconds (TH-3)'],
    ['throttle', { limit: 1, period: '1s', burst: 0 }, '.burst: expected a whole number, 1 or more (TH-4)'],
    ['throttle', { count: 1, limit: 1, period: '1s' }, '.count: not supported by this version'],
    ['throttle', 5, ': expected an object'],
    ['rateLimit', { limit: 1.5, period: '1h' }, '.limit: expected a whole number, 1 or more (RL-2)'],
    [
      'rateLimit',
      { limit: 1, period: '25h' },
      '.period: expected a duration, from 1 second to 24 hours (RL-3)',
    ],
    ['rateLimit', { limit: 1, period: 60 }, '.period: expected a duration, from 1 second to 24 hours (RL-3)'],
    ['debounce', { period: '999ms' }, '.period: expected a duration, from 1 second to 7 days (DB-2)'],
    ['debounce', { period: '169h' }, '.period: expected a duration, from 1 second to 7 days (DB-2)'],
    ['debounce', { period: '10s', timeout: '5s' }, '.timeout: expected at least the period (DB-8)'],
    [
      'debounce',
      { period: '10s', timeout: '367d' },
      '.timeout: expected a duration, from the period to 366 days (DB-8)',
    ],
    ['batchEvents', { maxSize: 0, timeout: '5s' }, '.maxSize: expected a whole number from 1 to 100 (BA-2)'],
    [
      'batchEvents',
      { maxSize: 101, timeout: '5s' },
      '.maxSize: expected a whole number from 1 to 100 (BA-2)',
    ],
    ['batchEvents', { maxSize: 10 }, '.timeout: expected a duration, from 1 to 60 seconds (BA-3)'],
    [
      'batchEvents',
      { maxSize: 10, timeout: '61s' },
      '.timeout: expected a duration, from 1 to 60 seconds (BA-3)',
    ],
    ['priority', { run: 5 }, '.run: expected an expression'],
    ['singleton', {}, '.mode: expected "skip" or "cancel" (SG-1)'],
    ['idempotency', 7, ': expected an expression'],
  ])('%s: %j is refused by name (FC-11)', (option, value, reason) => {
    expect(problemsOf({ [option]: value })).toEqual([`shop-f: ${option}${reason}`]);
  });

  test.each([
    ['throttle', { limit: 1, period: '1s' }],
    ['throttle', { limit: 1, period: '7d' }],
    ['rateLimit', { limit: 1, period: '24h' }],
    ['debounce', { period: '168h', timeout: '7d' }],
    ['batchEvents', { maxSize: 1, timeout: '1s' }],
    ['batchEvents', { maxSize: 100, timeout: '60s' }],
  ])('%s: %j is just within range', (option, value) => {
    expect(problemsOf({ [option]: value })).toEqual([]);
  });

  test.each([
    ['concurrency', { limit: 1, key: 'user-{{ event.data.user }}' }, 'concurrency.key'],
    ['concurrency', [{ limit: 1 }, { limit: 1, key: 'event.data.' }], 'concurrency[1].key'],
    ['throttle', { ...right.throttle, key: 'now()' }, 'throttle.key'],
    ['rateLimit', { ...right.rateLimit, key: 'async.data.x' }, 'rateLimit.key'],
    ['debounce', { ...right.debounce, key: 'event.data.x ===' }, 'debounce.key'],
    ['batchEvents', { ...right.batchEvents, key: '' }, 'batchEvents.key'],
    ['batchEvents', { ...right.batchEvents, if: 'event.data.n = 1' }, 'batchEvents.if'],
    ['singleton', { ...right.singleton, key: 'user' }, 'singleton.key'],
    ['idempotency', 'event.data.x +', 'idempotency'],
  ])('%s: the expression in %j is refused with its place (CC-16, EX-12, EX-64)', (option, value, place) => {
    expect(problemsOf({ [option]: value })[0]).toMatch(
      new RegExp(`^shop-f: ${place.replaceAll(/[[\].]/g, String.raw`\$&`)}: .* at 1:\\d+$`),
    );
  });

  test('a priority that does not compile is accepted with a warning (PR-5, PR-6)', () => {
    const warn = vi.fn();
    const priority = { run: 'event.data.plan === "gold"' };
    const fn = written('shop', { id: 'f', priority });
    expect(checkApps([app('shop', fn)], { warn })).toMatchObject([{ priority }]);
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(/^shop-f: priority\.run: counts as 0 \(PR-5\): unexpected =/),
    );
  });

  test('with batches, a key of concurrency is ignored, and that is said (BA-18)', () => {
    const warn = vi.fn();
    const { batchEvents, concurrency } = right;
    checkApps([app('shop', written('shop', { id: 'f', batchEvents, concurrency }))], { warn });
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      'shop-f: concurrency[0].key: is ignored: all batches share the limit (BA-18)',
    );
  });
});

const others = { ...right, cancelOn: [{ event: 'a/cancel' }], timeouts: { start: '10s' } };
const excluded = ['rateLimit', 'debounce', 'priority', 'idempotency', 'cancelOn', 'singleton'];
const pairs = Object.keys(others).flatMap((one, n) =>
  Object.keys(others)
    .slice(n + 1)
    .map((other) => [one, other] as const),
);

describe('the matrix of what excludes what', () => {
  test.each(pairs)('%s with %s (IC-1, FA-11, BA-19 to BA-21, XT-4)', (one, other) => {
    const options = Object.fromEntries(
      Object.entries(others).filter(([name]) => name === one || name === other),
    );
    const rival = one === 'batchEvents' ? other : one;
    const isRefused = [one, other].includes('batchEvents') && excluded.includes(rival);
    const apps = [app('shop', made('shop', { id: 'f', ...options }))];
    const check = () => checkApps(apps, { warn: () => {} });
    if (isRefused) expect(check).toThrow(`shop-f: batchEvents: cannot be combined with ${rival} (IC-1)`);
    else expect(check).not.toThrow();
  });

  test('all exclusions of a function are listed at once, with its other problems (FN-9)', () => {
    expect(problemsOf({ ...right, retries: 21 })).toEqual([
      'shop-f: retries: at most 20 (RT-4)',
      ...['rateLimit', 'debounce', 'priority', 'idempotency', 'singleton'].map(
        (name) => `shop-f: batchEvents: cannot be combined with ${name} (IC-1)`,
      ),
    ]);
  });
});

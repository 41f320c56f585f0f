/** When a failed attempt is made again (RT group, ER-14). */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { limits } from '../../src/protocol/limits.ts';
import { retryAt } from '../../src/run/retry.ts';
import { config, NOW } from './words.ts';

const defaults = { ...config, retryInterval: null };

/** Seconds before retry 1, 2, 3, ... as documented (RT-11). */
const TABLE = [15, 30, 60, 120, 300, 600, 1_200, 2_400, 3_600, 7_200];

test.each(Array.from({ length: 20 }, (_, n) => [n, TABLE[n] ?? 7_200]))(
  'after attempt %i: %i to 30 s more (RT-11)',
  (attempt, seconds) => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (runId, step) => {
        const wait = retryAt({ ...defaults, runId }, step, attempt, NOW) - NOW;
        expect(wait).toBeGreaterThanOrEqual(seconds * 1_000);
        expect(wait).toBeLessThanOrEqual(seconds * 1_000 + 30_000);
        expect(retryAt({ ...defaults, runId }, step, attempt, NOW) - NOW).toBe(wait);
      }),
    );
  },
);

test('the jitter differs between runs, steps and attempts, and uses its whole range (RT-10)', () => {
  const waits = Array.from(
    { length: 2_000 },
    (_, n) => retryAt({ ...defaults, runId: `run${n}` }, 'a', 0, NOW) - NOW - 15_000,
  );
  expect(Math.min(...waits)).toBeLessThan(500);
  expect(Math.max(...waits)).toBeGreaterThan(29_500);
  const [a, b, c] = [
    retryAt(defaults, 'a', 0, NOW),
    retryAt(defaults, 'b', 0, NOW),
    retryAt(defaults, 'a', 1, NOW) - 15_000,
  ];
  expect(new Set([a, b, c]).size).toBe(3);
});

test('a fixed interval replaces table and jitter (RT-12)', () => {
  expect(retryAt({ ...config, retryInterval: 7 }, 'a', 9, NOW)).toBe(NOW + 7);
  expect(retryAt({ ...config, retryInterval: 0 }, 'a', 9, NOW)).toBe(NOW);
});

describe('a time given with the error (ER-13, ER-14)', () => {
  test.each([
    [{ in: 2_000 }, 2_000],
    [{ in: 0 }, 0],
    [{ in: -5 }, 0],
    [{ at: NOW + 9 }, 9],
    [{ at: NOW - 9 }, 0],
    [{ at: 0 }, 0],
    [{ in: limits.retryAfter }, limits.retryAfter],
    [{ in: limits.retryAfter + 1 }, limits.retryAfter],
    [{ at: NOW + limits.retryAfter + 1 }, limits.retryAfter],
    [{ in: Number.MAX_VALUE }, limits.retryAfter],
  ])('%o -> after %i ms', (when, wait) => {
    expect(retryAt(defaults, 'a', 0, NOW, when)).toBe(NOW + wait);
    expect(retryAt({ ...config, retryInterval: 7 }, 'a', 0, NOW, when)).toBe(NOW + wait);
  });
});

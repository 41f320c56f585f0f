import { describe, expect, test } from 'vitest';
import { parseJitter, startOf } from '../../src/cron/jitter.ts';

describe('jitter (CR-18)', () => {
  test.each([
    ['1s', 1_000],
    ['30s', 30_000],
    ['1m30s', 90_000],
    ['5m', 300_000],
    ['999ms', null],
    ['5m1s', null],
    ['0s', null],
    ['', null],
    ['soon', null],
    ['-1s', null],
  ])('a window is from 1s to 5m: %s', (text, ms) => {
    expect(parseJitter(text)).toBe(ms);
  });

  test('the start of a tick is the same each time it is planned, and within its window', () => {
    const starts = Array.from({ length: 1_000 }, (_, i) => startOf('shop-report', i * 3_600_000, 60_000));
    const delays = starts.map((start, i) => start - i * 3_600_000);
    expect(starts).toEqual(starts.map((_, i) => startOf('shop-report', i * 3_600_000, 60_000)));
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...delays)).toBeLessThan(60_000);
    expect(delays.filter((delay) => delay < 30_000).length / 1_000).toBeCloseTo(0.5, 1);
  });

  test('functions that share a boundary start apart', () => {
    const starts = Array.from({ length: 100 }, (_, i) => startOf(`shop-${i}`, 0, 300_000));
    expect(new Set(starts).size).toBeGreaterThan(90);
  });

  test('without a window a run starts at its tick', () => {
    expect(startOf('shop-report', 60_000, 0)).toBe(60_000);
  });
});

import { describe, expect, test } from 'vitest';
import { missed, nextTick, SKIPPED_MAX } from '../../src/cron/ticks.ts';
import { DAY, MINUTE, schedule, short } from './cron.ts';

function ticks(texts: string[], from: string, count: number): [string, string][] {
  const schedules = texts.map(schedule);
  const found: [string, string][] = [];
  for (let tick = nextTick(schedules, Date.parse(from)); tick && found.length < count;) {
    found.push([short(tick.at), tick.schedule.text]);
    tick = nextTick(schedules, tick.at);
  }
  return found;
}

function missedOf(texts: string[], since: string, now: string) {
  const { start, skipped, more } = missed(texts.map(schedule), Date.parse(since), Date.parse(now));
  return { start: start && short(start.at), skipped: skipped.map(({ at }) => short(at)), more };
}

describe('the ticks of a function', () => {
  test('hourly and half-hourly give two an hour (AT-15, CR-5)', () => {
    expect(ticks(['0 * * * *', '*/30 * * * *'], '2026-01-01T00:00Z', 4)).toEqual([
      ['2026-01-01T00:30Z', '*/30 * * * *'],
      ['2026-01-01T01:00Z', '0 * * * *'],
      ['2026-01-01T01:30Z', '*/30 * * * *'],
      ['2026-01-01T02:00Z', '0 * * * *'],
    ]);
  });

  test('the first in the order of declaration is the one that fires (CR-6)', () => {
    expect(ticks(['*/30 * * * *', '0 * * * *'], '2026-01-01T00:30Z', 1)).toEqual([
      ['2026-01-01T01:00Z', '*/30 * * * *'],
    ]);
  });

  test('two zones are one tick in the months in which they agree (CR-6)', () => {
    const noons = ['TZ=UTC 0 12 * * *', 'TZ=Europe/London 0 12 * * *'];
    expect(ticks(noons, '2026-03-27T13:00Z', 3)).toEqual([
      ['2026-03-28T12:00Z', 'TZ=UTC 0 12 * * *'],
      ['2026-03-29T11:00Z', 'TZ=Europe/London 0 12 * * *'],
      ['2026-03-29T12:00Z', 'TZ=UTC 0 12 * * *'],
    ]);
  });

  test('a function without schedules has none', () => {
    expect(nextTick([], 0)).toBeNull();
    expect(missed([], 0, DAY)).toEqual({ start: null, skipped: [], more: false });
  });

  test("the owner's own trigger comes back", () => {
    const trigger = { ...schedule('@hourly'), jitter: 5_000 };
    expect(nextTick([trigger], 0)?.schedule.jitter).toBe(5_000);
  });
});

describe('after an outage (CR-13)', () => {
  test('nothing was due: nothing starts', () => {
    expect(missedOf(['@hourly'], '2026-01-01T10:00Z', '2026-01-01T10:59Z')).toEqual({
      start: null,
      skipped: [],
      more: false,
    });
  });

  test('what is due this instant starts, what was done at `since` does not', () => {
    expect(missedOf(['@hourly'], '2026-01-01T10:00Z', '2026-01-01T11:00Z')).toEqual({
      start: '2026-01-01T11:00Z',
      skipped: [],
      more: false,
    });
  });

  test('the most recent one starts, the older ones are skipped, the earliest first', () => {
    expect(missedOf(['0 * * * *', '30 12 * * *'], '2026-01-01T10:00Z', '2026-01-01T13:20Z')).toEqual({
      start: '2026-01-01T13:00Z',
      skipped: ['2026-01-01T11:00Z', '2026-01-01T12:00Z', '2026-01-01T12:30Z'],
      more: false,
    });
  });

  test('the list of skipped ones is bounded, and keeps the most recent', () => {
    const now = Date.parse('2026-06-01T00:00Z');
    const { start, skipped, more } = missed([schedule('* * * * *')], now - 365 * DAY, now);
    expect(start?.at).toBe(now);
    expect(skipped.map(({ at }) => at)).toEqual(
      Array.from({ length: SKIPPED_MAX }, (_, i) => now - (SKIPPED_MAX - i) * MINUTE),
    );
    expect(more).toBe(true);
  });

  test('exactly as many as the list holds: there are no more', () => {
    const now = Date.parse('2026-06-01T00:00Z');
    const { skipped, more } = missed([schedule('* * * * *')], now - (SKIPPED_MAX + 1) * MINUTE, now);
    expect(skipped).toHaveLength(SKIPPED_MAX);
    expect(more).toBe(false);
  });

  test('a clock that was set back finds nothing due', () => {
    expect(missedOf(['* * * * *'], '2026-01-01T10:00Z', '2026-01-01T09:00Z').start).toBeNull();
  });
});

/** Held against a naive model: every minute of some days around a change of clocks, read off Intl's own wall clock. */
import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { nextAfter } from '../../src/cron/next.ts';
import { parseSchedule } from '../../src/cron/schedule.ts';
import { missed, nextTick, SKIPPED_MAX } from '../../src/cron/ticks.ts';
import { DAY, MINUTE, schedule } from './cron.ts';

/** Five days are 7,200 minutes to read: slow only where others use the processor too. */
vi.setConfig({ testTimeout: 30_000 });

/** Days with a change of clocks, and some without. */
const PLACES: readonly [zone: string, day: string][] = [
  ['America/New_York', '2026-03-08'],
  ['America/New_York', '2026-11-01'],
  ['Europe/Berlin', '2026-03-29'],
  ['Europe/Berlin', '2026-10-25'],
  ['Europe/London', '2026-03-29'],
  ['Europe/London', '2026-10-25'],
  ['Australia/Lord_Howe', '2026-04-05'],
  ['Australia/Lord_Howe', '2026-10-04'],
  ['Australia/Sydney', '2026-04-05'],
  ['America/Santiago', '2026-04-05'],
  ['America/Santiago', '2026-09-06'],
  ['America/St_Johns', '2010-11-07'],
  ['America/St_Johns', '2011-03-13'],
  ['Africa/Casablanca', '2019-05-05'],
  ['Antarctica/Troll', '2026-03-29'],
  ['Antarctica/Troll', '2026-10-25'],
  ['Antarctica/Casey', '2010-03-05'],
  ['Pacific/Apia', '2011-12-30'],
  ['Asia/Kolkata', '2026-02-28'],
  ['UTC', '2028-02-29'],
];
const BEFORE = 2 * DAY;
const AFTER = 3 * DAY;

interface Reading {
  at: number;
  minute: number;
  hour: number;
  day: number;
  month: number;
  weekday: number;
  /** The same time of the same day was there before. */
  again: boolean;
}

const windows = new Map<string, Reading[]>();

function readings(zone: string, day: string): Reading[] {
  const key = `${zone} ${day}`;
  const known = windows.get(key) ?? read(zone, Date.parse(day));
  windows.set(key, known);
  return known;
}

function read(zone: string, middle: number): Reading[] {
  const clock = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    hourCycle: 'h23',
    weekday: 'short',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  });
  const seen = new Set<string>();
  return Array.from({ length: (BEFORE + AFTER) / MINUTE }, (_, i) => {
    const at = middle - BEFORE + i * MINUTE;
    const shown = Object.fromEntries(clock.formatToParts(at).map(({ type, value }) => [type, value]));
    const face = JSON.stringify(shown);
    const again = seen.has(face);
    seen.add(face);
    return {
      at,
      minute: Number(shown['minute']),
      hour: Number(shown['hour']),
      day: Number(shown['day']),
      month: Number(shown['month']),
      weekday: ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'].indexOf(shown['weekday'] ?? ''),
      again,
    };
  });
}

/** A field as text, and, arrived at apart from the parser, what it means. */
interface Meant {
  text: string;
  matches: (value: number) => boolean;
  any: boolean;
  stepped: boolean;
}

const ANY: Meant = { text: '*', matches: () => true, any: true, stepped: true };

function parts(min: number, max: number): fc.Arbitrary<Meant> {
  const value = fc.integer({ min, max });
  const pair = fc.tuple(value, value).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
  const step = fc.integer({ min: 2, max: Math.min(max - min + 1, 25) });
  return fc.oneof(
    { weight: 4, arbitrary: value.map((n) => fixed(`${n}`, (v) => v === n)) },
    { weight: 2, arbitrary: pair.map(([a, b]) => fixed(`${a}-${b}`, (v) => v >= a && v <= b)) },
    { weight: 2, arbitrary: step.map((n) => stepped(`*/${n}`, (v) => (v - min) % n === 0)) },
    fc
      .tuple(pair, step)
      .map(([[a, b], n]) => stepped(`${a}-${b}/${n}`, (v) => v >= a && v <= b && (v - a) % n === 0)),
    fc.tuple(value, step).map(([a, n]) => stepped(`${a}/${n}`, (v) => v >= a && (v - a) % n === 0)),
  );
}

function fixed(text: string, matches: Meant['matches']): Meant {
  return { text, matches, any: false, stepped: false };
}

function stepped(text: string, matches: Meant['matches']): Meant {
  return { text, matches, any: false, stepped: true };
}

/** @param any, other: how often `*` to how often something else. */
function field(min: number, max: number, any: number, other: number): fc.Arbitrary<Meant> {
  const list = fc.array(parts(min, max), { minLength: 1, maxLength: 3 }).map((all) => ({
    text: all.map(({ text }) => text).join(','),
    matches: (value: number) => all.some(({ matches }) => matches(value)),
    any: false,
    stepped: all.some((part) => part.stepped),
  }));
  return fc.oneof({ weight: any, arbitrary: fc.constant(ANY) }, { weight: other, arbitrary: list });
}

interface Written {
  text: string;
  fires: (reading: Reading) => boolean;
}

const fields = fc.tuple(
  field(0, 59, 1, 2),
  field(0, 23, 1, 2),
  field(1, 31, 2, 1),
  field(1, 12, 6, 1),
  field(0, 6, 2, 1),
);

const written: fc.Arbitrary<Written> = fields
  .map(([minute, hour, day, month, weekday]) => ({
    text: [minute, hour, day, month, weekday].map(({ text }) => text).join(' '),
    fires: (reading: Reading) => {
      const days = [day.matches(reading.day), weekday.matches(reading.weekday)];
      const either = !day.any && !weekday.any;
      return (
        minute.matches(reading.minute) &&
        hour.matches(reading.hour) &&
        month.matches(reading.month) &&
        (either ? days.includes(true) : !days.includes(false)) &&
        (hour.stepped || !reading.again)
      );
    },
  }))
  .filter(({ text }) => parseSchedule(text).ok);

/** Leaves room before it, so that the model has seen the first of two passes. */
const moment = fc.integer({ min: DAY, max: BEFORE + AFTER - 2 * DAY });
const place = fc.constantFrom(...PLACES);

describe('a schedule and a minute-by-minute scan agree', () => {
  test('the next instant is the first match after it, with none between (CR-9)', () => {
    fc.assert(
      fc.property(place, written, moment, ([zone, day], { text, fires }, ms) => {
        const scan = readings(zone, day);
        const after = Date.parse(day) - BEFORE + ms;
        const expected = scan.find((reading) => reading.at > after && fires(reading))?.at;
        const next = nextAfter(schedule(`TZ=${zone} ${text}`), after);
        if (expected === undefined) expect(next).toBeGreaterThan(scan.at(-1)?.at ?? 0);
        else expect(next).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  test('going from one to the next finds every match of the days around a change', () => {
    fc.assert(
      fc.property(place, written, ([zone, day], { text, fires }) => {
        const from = Date.parse(day) - BEFORE + DAY;
        const to = Date.parse(day) + AFTER;
        const scan = readings(zone, day).filter((reading) => reading.at > from && fires(reading));
        const one = schedule(`TZ=${zone} ${text}`);
        const found: number[] = [];
        for (let at = nextAfter(one, from); at < to; at = nextAfter(one, at)) found.push(at);
        expect(found).toEqual(scan.map(({ at }) => at));
      }),
      { numRuns: 150 },
    );
  });

  test('a later question never has an earlier answer', () => {
    fc.assert(
      fc.property(place, written, moment, moment, ([zone, day], { text }, a, b) => {
        const one = schedule(`TZ=${zone} ${text}`);
        const start = Date.parse(day) - BEFORE;
        const first = nextAfter(one, start + Math.min(a, b));
        const second = nextAfter(one, start + Math.max(a, b));
        expect(first).toBeGreaterThan(start + Math.min(a, b));
        expect(second).toBeGreaterThanOrEqual(first);
      }),
      { numRuns: 1_000 },
    );
  });
});

test('what was missed is what nextTick counts up to now (CR-5, CR-13)', () => {
  const several = fc.array(fc.tuple(place, written), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(several, place, moment, moment, (triggers, [, day], a, b) => {
      const schedules = triggers.map(([[zone], { text }]) => schedule(`TZ=${zone} ${text}`));
      const since = Date.parse(day) + Math.min(a, b);
      const now = Date.parse(day) + Math.max(a, b);
      const all = [];
      for (
        let tick = nextTick(schedules, since);
        tick && tick.at <= now;
        tick = nextTick(schedules, tick.at)
      ) {
        all.push(tick);
      }
      const start = all.pop() ?? null;
      const found = missed(schedules, since, now);
      expect(found.start).toEqual(start);
      expect(found.skipped).toEqual(all.slice(-SKIPPED_MAX));
      expect(found.more).toBe(all.length > SKIPPED_MAX);
    }),
    { numRuns: 100 },
  );
});

test('any text is a schedule or an error of one line, never an exception (CR-8)', () => {
  const soup = fc.string({
    unit: fc.constantFrom(...Array.from('0123456789*/,- @TZ='), 'mon', 'feb', 'UTC ', ' * * * *', '\n', 'é'),
    maxLength: 40,
  });
  fc.assert(
    fc.property(fc.oneof(soup, fc.string()), (text) => {
      const parsed = parseSchedule(text);
      if (parsed.ok) expect(nextAfter(parsed.schedule, 0)).toBeGreaterThan(0);
      else expect(parsed.error.replace(text, '')).toMatch(/^"": (expected|field|never)[^\n]*|^schedule is/);
    }),
    { numRuns: 5_000 },
  );
});

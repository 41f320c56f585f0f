import { describe, expect, test } from 'vitest';
import { fires, firesWithin, schedule } from './cron.ts';
import { nextAfter } from '../../src/cron/next.ts';

describe('the next instant', () => {
  test('is strictly after the one given', () => {
    const hourly = schedule('0 * * * *');
    const hour = Date.parse('2026-01-01T10:00Z');
    expect(nextAfter(hourly, hour - 1)).toBe(hour);
    expect(nextAfter(hourly, hour)).toBe(hour + 3_600_000);
    expect(nextAfter(hourly, hour + 1)).toBe(hour + 3_600_000);
  });

  test('is in UTC without a prefix (CR-3)', () => {
    expect(fires('30 9 * * *', '2026-07-01T00:00Z', 1)).toEqual(['2026-07-01T09:30Z']);
  });

  test.each([
    ['29 February', '0 0 29 2 *', '2026-01-01T00:00Z', ['2028-02-29T00:00Z', '2032-02-29T00:00Z']],
    ['29 February where a century has none', '0 0 29 2 *', '2096-03-01T00:00Z', ['2104-02-29T00:00Z']],
    ['the 31st', '0 0 31 * *', '2026-01-31T00:00Z', ['2026-03-31T00:00Z', '2026-05-31T00:00Z']],
    ['the 30th', '0 0 30 * *', '2028-01-30T00:00Z', ['2028-03-30T00:00Z', '2028-04-30T00:00Z']],
    [
      '28 February, then March',
      '59 23 * * *',
      '2026-02-27T23:59Z',
      ['2026-02-28T23:59Z', '2026-03-01T23:59Z'],
    ],
    [
      'every day around a leap day',
      '0 0 * * *',
      '2028-02-28T00:00Z',
      ['2028-02-29T00:00Z', '2028-03-01T00:00Z'],
    ],
    ['the end of a year', '0 0 1 1 *', '2026-12-31T23:59Z', ['2027-01-01T00:00Z', '2028-01-01T00:00Z']],
    ['before 1970', '0 0 1 1 *', '1965-06-01T00:00Z', ['1966-01-01T00:00Z']],
    [
      'the last minute of the hour',
      '59 * * * *',
      '2026-12-31T23:58Z',
      ['2026-12-31T23:59Z', '2027-01-01T00:59Z'],
    ],
  ])('%s', (_, text, from, expected) => {
    expect(fires(text, from, expected.length)).toEqual(expected);
  });

  test('is noon in Paris on Fridays, in winter and in summer (AT-15, CR-2)', () => {
    expect(fires('TZ=Europe/Paris 0 12 * * 5', '2026-03-20T12:00Z', 2)).toEqual([
      '2026-03-27T11:00Z',
      '2026-04-03T10:00Z',
    ]);
    expect(fires('TZ=Europe/Paris 0 12 * * 5', '2026-10-17T00:00Z', 2)).toEqual([
      '2026-10-23T10:00Z',
      '2026-10-30T11:00Z',
    ]);
  });

  test('is refused, and not looked for endlessly, from no time at all', () => {
    expect(() => nextAfter(schedule('* * * * *'), NaN)).toThrow(RangeError);
    expect(() => nextAfter(schedule('* * * * *'), Infinity)).toThrow(RangeError);
  });
});

interface Switch {
  /** Two hours on each side of the change. */
  from: string;
  to: string;
  /** Schedule -> what fires between. */
  fires: Record<string, string[]>;
}

const forward: Record<string, Switch> = {
  // 02:00 -05:00 becomes 03:00 -04:00 at 07:00Z.
  'America/New_York': {
    from: '2026-03-08T05:00Z',
    to: '2026-03-08T08:59Z',
    fires: {
      '30 2 * * *': [],
      '30 1 * * *': ['2026-03-08T06:30Z'],
      '0 3 * * *': ['2026-03-08T07:00Z'],
      '0,30 1-3 * * *': ['2026-03-08T06:00Z', '2026-03-08T06:30Z', '2026-03-08T07:00Z', '2026-03-08T07:30Z'],
      '30 * * * *': ['2026-03-08T05:30Z', '2026-03-08T06:30Z', '2026-03-08T07:30Z', '2026-03-08T08:30Z'],
      '0 */2 * * *': ['2026-03-08T08:00Z'],
    },
  },
  // 02:00 +01:00 becomes 03:00 +02:00 at 01:00Z.
  'Europe/Berlin': {
    from: '2026-03-28T23:00Z',
    to: '2026-03-29T02:59Z',
    fires: {
      '30 2 * * *': [],
      '0 2 * * *': [],
      '59 1 * * *': ['2026-03-29T00:59Z'],
      '0 3 * * *': ['2026-03-29T01:00Z'],
      '0 * * * *': ['2026-03-29T00:00Z', '2026-03-29T01:00Z', '2026-03-29T02:00Z'],
      '30 2/2 * * *': ['2026-03-29T02:30Z'],
    },
  },
  // 01:00 +00:00 becomes 02:00 +01:00 at 01:00Z.
  'Europe/London': {
    from: '2026-03-28T23:00Z',
    to: '2026-03-29T02:59Z',
    fires: {
      '30 1 * * *': [],
      '0 2 * * *': ['2026-03-29T01:00Z'],
      '15 */1 * * *': ['2026-03-28T23:15Z', '2026-03-29T00:15Z', '2026-03-29T01:15Z', '2026-03-29T02:15Z'],
    },
  },
  // 02:00 +10:30 becomes 02:30 +11:00 at 15:30Z: half an hour.
  'Australia/Lord_Howe': {
    from: '2026-10-03T13:30Z',
    to: '2026-10-03T17:29Z',
    fires: {
      '15 2 * * *': [],
      '45 1 * * *': ['2026-10-03T15:15Z'],
      '30 2 * * *': ['2026-10-03T15:30Z'],
      '0,30 2 * * *': ['2026-10-03T15:30Z'],
      '15,45 * * * *': [
        '2026-10-03T13:45Z',
        '2026-10-03T14:15Z',
        '2026-10-03T14:45Z',
        '2026-10-03T15:15Z',
        '2026-10-03T15:45Z',
        '2026-10-03T16:15Z',
        '2026-10-03T16:45Z',
        '2026-10-03T17:15Z',
      ],
    },
  },
  // 02:00 +10:00 becomes 03:00 +11:00 at 16:00Z.
  'Australia/Sydney': {
    from: '2026-10-03T14:00Z',
    to: '2026-10-03T17:59Z',
    fires: {
      '30 2 * * *': [],
      '0 3 * * *': ['2026-10-03T16:00Z'],
      '0 * * * *': ['2026-10-03T15:00Z', '2026-10-03T16:00Z', '2026-10-03T17:00Z'],
    },
  },
  // 00:00 -04:00 becomes 01:00 -03:00 at 04:00Z: the day has no midnight.
  'America/Santiago': {
    from: '2026-09-06T02:00Z',
    to: '2026-09-06T05:59Z',
    fires: {
      '@daily': [],
      '0 1 * * *': ['2026-09-06T04:00Z'],
      '@hourly': ['2026-09-06T03:00Z', '2026-09-06T04:00Z', '2026-09-06T05:00Z'],
    },
  },
  // 30 December did not happen.
  'Pacific/Apia': {
    from: '2011-12-29T10:00Z',
    to: '2011-12-31T09:59Z',
    fires: {
      '0 12 30 * *': [],
      '0 12 * * *': ['2011-12-29T22:00Z', '2011-12-30T22:00Z'],
    },
  },
};

const back: Record<string, Switch> = {
  // 02:00 -04:00 becomes 01:00 -05:00 at 06:00Z.
  'America/New_York': {
    from: '2026-11-01T04:00Z',
    to: '2026-11-01T07:59Z',
    fires: {
      '30 1 * * *': ['2026-11-01T05:30Z'],
      '0 1,2 * * *': ['2026-11-01T05:00Z', '2026-11-01T07:00Z'],
      '30 1-2 * * *': ['2026-11-01T05:30Z', '2026-11-01T07:30Z'],
      '*/30 1 * * *': ['2026-11-01T05:00Z', '2026-11-01T05:30Z'],
      '30 * * * *': ['2026-11-01T04:30Z', '2026-11-01T05:30Z', '2026-11-01T06:30Z', '2026-11-01T07:30Z'],
      '30 1/2 * * *': ['2026-11-01T05:30Z', '2026-11-01T06:30Z'],
      '0 */2 * * *': ['2026-11-01T07:00Z'],
    },
  },
  // 03:00 +02:00 becomes 02:00 +01:00 at 01:00Z.
  'Europe/Berlin': {
    from: '2026-10-24T23:00Z',
    to: '2026-10-25T02:59Z',
    fires: {
      '0 2 * * *': ['2026-10-25T00:00Z'],
      '59 2 * * *': ['2026-10-25T00:59Z'],
      '0 3 * * *': ['2026-10-25T02:00Z'],
      '0 * * * *': ['2026-10-25T00:00Z', '2026-10-25T01:00Z', '2026-10-25T02:00Z'],
      '15 */2 * * *': ['2026-10-25T00:15Z', '2026-10-25T01:15Z'],
    },
  },
  // 02:00 +01:00 becomes 01:00 +00:00 at 01:00Z.
  'Europe/London': {
    from: '2026-10-24T23:00Z',
    to: '2026-10-25T02:59Z',
    fires: {
      '30 1 * * *': ['2026-10-25T00:30Z'],
      '30 */1 * * *': ['2026-10-24T23:30Z', '2026-10-25T00:30Z', '2026-10-25T01:30Z', '2026-10-25T02:30Z'],
    },
  },
  // 02:00 +11:00 becomes 01:30 +10:30 at 15:00Z: half an hour.
  'Australia/Lord_Howe': {
    from: '2026-04-04T13:00Z',
    to: '2026-04-04T16:59Z',
    fires: {
      '15 1 * * *': ['2026-04-04T14:15Z'],
      '45 1 * * *': ['2026-04-04T14:45Z'],
      '0 2 * * *': ['2026-04-04T15:30Z'],
      '15,45 1 * * *': ['2026-04-04T14:15Z', '2026-04-04T14:45Z'],
      '45 * * * *': ['2026-04-04T13:45Z', '2026-04-04T14:45Z', '2026-04-04T15:15Z', '2026-04-04T16:15Z'],
    },
  },
  // 03:00 +11:00 becomes 02:00 +10:00 at 16:00Z.
  'Australia/Sydney': {
    from: '2026-04-04T14:00Z',
    to: '2026-04-04T17:59Z',
    fires: {
      '30 2 * * *': ['2026-04-04T15:30Z'],
      '30 * * * *': ['2026-04-04T14:30Z', '2026-04-04T15:30Z', '2026-04-04T16:30Z', '2026-04-04T17:30Z'],
    },
  },
  // 24:00 -03:00 becomes 23:00 -04:00 at 03:00Z: Saturday's last hour comes twice.
  'America/Santiago': {
    from: '2026-04-05T01:00Z',
    to: '2026-04-05T04:59Z',
    fires: {
      '30 23 * * sat': ['2026-04-05T02:30Z'],
      '@daily': ['2026-04-05T04:00Z'],
      '30 * * * sat': ['2026-04-05T01:30Z', '2026-04-05T02:30Z', '2026-04-05T03:30Z'],
    },
  },
  // 00:01 -02:30 becomes 23:01 of the day before, -03:30, at 02:31Z.
  'America/St_Johns': {
    from: '2010-11-07T01:30Z',
    to: '2010-11-07T04:29Z',
    fires: {
      '@daily': ['2010-11-07T02:30Z'],
      '30 23 * * *': ['2010-11-07T02:00Z'],
      '0,30 */1 * * *': [
        '2010-11-07T02:00Z',
        '2010-11-07T02:30Z',
        '2010-11-07T03:00Z',
        '2010-11-07T03:30Z',
        '2010-11-07T04:00Z',
      ],
    },
  },
};

const rows = (switches: Record<string, Switch>) =>
  Object.entries(switches).flatMap(([zone, { from, to, fires: expected }]) =>
    Object.entries(expected).map(([text, instants]) => ({ text: `TZ=${zone} ${text}`, from, to, instants })),
  );

describe('where the clocks change (CR-9)', () => {
  test.each(rows(forward))('forward: what is skipped does not fire that day: $text', (row) => {
    expect(firesWithin(row.text, row.from, row.to)).toEqual(row.instants);
  });

  test.each(rows(back))(
    'back: what comes twice fires once, or at both passes of * or a step: $text',
    (row) => {
      expect(firesWithin(row.text, row.from, row.to)).toEqual(row.instants);
    },
  );

  test.each([
    ['after a day without it', 'TZ=America/New_York 30 2 * * *', '2026-03-07T12:00Z', '2026-03-09T06:30Z'],
    ['after its first pass', 'TZ=America/New_York 30 1 * * *', '2026-11-01T05:30Z', '2026-11-02T06:30Z'],
    ['from between the passes', 'TZ=America/New_York 30 1 * * *', '2026-11-01T06:10Z', '2026-11-02T06:30Z'],
    [
      'on its one day of the year, skipped',
      'TZ=Europe/Berlin 30 2 29 3 *',
      '2026-01-01T00:00Z',
      '2027-03-29T00:30Z',
    ],
  ])('a fixed time fires again %s', (_, text, from, next) => {
    expect(fires(text, from, 1)).toEqual([next]);
  });

  test('a second pass is not overlooked by a schedule that is quiet for the year after it', () => {
    expect(fires('TZ=America/New_York 30 1-1/1 1 11 *', '2026-11-01T05:00Z', 3)).toEqual([
      '2026-11-01T05:30Z',
      '2026-11-01T06:30Z',
      '2027-11-01T05:30Z',
    ]);
  });

  test.each(['Asia/Kolkata', 'Asia/Tokyo', 'Etc/GMT+5', 'UTC', 'utc'])(
    'a zone that never changes has 365 days of one length: %s',
    (zone) => {
      const days = fires(`TZ=${zone} 30 2 * * *`, '2026-01-01T00:00Z', 366).map((day) => Date.parse(day));
      expect(days.slice(1).every((day, i) => day - (days[i] ?? 0) === 86_400_000)).toBe(true);
    },
  );
});

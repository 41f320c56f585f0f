import { describe, expect, test } from 'vitest';
import { errorOf, fires, schedule } from './cron.ts';

/** Minutes of 2026-01-01T00:00Z on, a Thursday. */
const NEW_YEAR = '2025-12-31T23:59Z';

function calendarOf(text: string) {
  const { minutes, hours, days, months, weekdays } = schedule(text).calendar;
  return { minutes, hours, days, months, weekdays };
}

describe('the fields of a schedule', () => {
  test.each([
    ['a number', '5 * * * *', 'minutes', [5]],
    ['a list', '5,10,0 * * * *', 'minutes', [0, 5, 10]],
    ['a list that repeats itself', '5,5,1-5 * * * *', 'minutes', [1, 2, 3, 4, 5]],
    ['a range', '* 9-11 * * *', 'hours', [9, 10, 11]],
    ['a range of one', '* 9-9 * * *', 'hours', [9]],
    ['a step', '*/20 * * * *', 'minutes', [0, 20, 40]],
    ['a step from 1 in the fields that begin there', '0 0 */10 * *', 'days', [1, 11, 21, 31]],
    ['a step in a range', '10-30/10 * * * *', 'minutes', [10, 20, 30]],
    ['a step from a number to the end', '50/4 * * * *', 'minutes', [50, 54, 58]],
    ['the widest step', '*/60 * * * *', 'minutes', [0]],
    ['leading zeros', '05 * * * *', 'minutes', [5]],
    ['month names, in any case', '0 0 1 jan,JUN-Aug,12 *', 'months', [1, 6, 7, 8, 12]],
    ['weekday names, in any case', '0 0 * * mon,WED-Fri', 'weekdays', [1, 3, 4, 5]],
    ['weekday 0: Sunday', '0 0 * * 0', 'weekdays', [0]],
    ['weekday 7: Sunday as well', '0 0 * * 7', 'weekdays', [0]],
    ['0 and 7 together', '0 0 * * 0,7', 'weekdays', [0]],
    ['weekdays 0-7: every day', '0 0 * * 0-7', 'weekdays', [0, 1, 2, 3, 4, 5, 6]],
    ['weekdays 5-7', '0 0 * * 5-7', 'weekdays', [0, 5, 6]],
    ['Sunday at the end of a range', '0 0 * * fri-sun', 'weekdays', [0, 5, 6]],
    ['Sunday at the start of a range', '0 0 * * 7-2', 'weekdays', [0, 1, 2]],
    ['a step over weekdays counts Sunday once', '0 0 * * 1/2', 'weekdays', [1, 3, 5]],
    ['any blanks between and around', '  5\t*  * * *\n', 'minutes', [5]],
  ] as const)('%s (CR-7): %s', (_, text, field, values) => {
    expect(calendarOf(text)[field]).toEqual(values);
  });

  test.each([
    ['restricted both: either is enough', '0 0 13 * fri', ['2026-01-02', '2026-01-09', '2026-01-13']],
    ['day of month alone', '0 0 13 * *', ['2026-01-13', '2026-02-13', '2026-03-13']],
    ['day of week alone', '0 0 * * fri', ['2026-01-02', '2026-01-09', '2026-01-16']],
    ['a step restricts', '0 0 */15 * sun', ['2026-01-01', '2026-01-04', '2026-01-11']],
    ['a list with * does not', '0 0 1,* * fri', ['2026-01-02', '2026-01-09', '2026-01-16']],
    ['*/1 does not', '0 0 */1 * fri', ['2026-01-02', '2026-01-09', '2026-01-16']],
    ['a day that the month lacks, or a Monday', '0 0 30 2 mon', ['2026-02-02', '2026-02-09', '2026-02-16']],
  ])('both day fields, %s (CR-7): %s', (_, text, days) => {
    expect(fires(text, NEW_YEAR, 3)).toEqual(days.map((day) => `${day}T00:00Z`));
  });

  test.each([
    ['@yearly', '0 0 1 1 *'],
    ['@annually', '0 0 1 1 *'],
    ['@monthly', '0 0 1 * *'],
    ['@weekly', '0 0 * * 0'],
    ['@daily', '0 0 * * *'],
    ['@midnight', '0 0 * * *'],
    ['@hourly', '0 * * * *'],
  ])('%s is %s, and takes a zone (CR-7)', (descriptor, text) => {
    expect(schedule(descriptor).calendar).toEqual(schedule(text).calendar);
    expect(fires(`TZ=Asia/Kolkata ${descriptor}`, NEW_YEAR, 5)).toEqual(
      fires(`TZ=Asia/Kolkata ${text}`, NEW_YEAR, 5),
    );
  });

  test('the text is kept as it was written, the prefix included (CR-10)', () => {
    expect(schedule('TZ=Europe/Paris 0 12 * * 5').text).toBe('TZ=Europe/Paris 0 12 * * 5');
  });
});

const FIVE = 'expected five fields (minute, hour, day of month, month, day of week)';
const DESCRIPTOR =
  'expected five fields or one of @yearly @annually @monthly @weekly @daily @midnight @hourly';

describe('a schedule that is refused says what was expected and where', () => {
  test.each([
    ['three fields (CR-19)', '0 0 *', `${FIVE}, found 3`],
    ['six fields (CR-7)', '0 0 12 * * 5', `${FIVE}, found 6`],
    ['nothing', '', `${FIVE}, found 0`],
    ['a zone alone', 'TZ=Europe/Paris', `${FIVE}, found 0`],
    ['@every (CR-7)', '@every 5m', `${DESCRIPTOR}, found "@every 5m"`],
    ['@reboot', '@reboot', `${DESCRIPTOR}, found "@reboot"`],
    ['a step above the field', '*/70 * * * *', 'field 1 (minute): expected a step from 1 to 60, found "/70"'],
    ['a step of none', '* */0 * * *', 'field 2 (hour): expected a step from 1 to 24, found "/0"'],
    ['a week-long step', '0 0 * * */8', 'field 5 (day of week): expected a step from 1 to 7, found "/8"'],
    ['minute 60', '60 * * * *', 'field 1 (minute): expected a number from 0 to 59, found "60"'],
    ['hour 24', '0 24 * * *', 'field 2 (hour): expected a number from 0 to 23, found "24"'],
    ['day 0', '0 0 0 * *', 'field 3 (day of month): expected a number from 1 to 31, found "0"'],
    ['month 13', '0 0 1 1-13 *', 'field 4 (month): expected a number from 1 to 12, jan to dec, found "13"'],
    ['weekday 8', '0 0 * * 8', 'field 5 (day of week): expected a number from 0 to 7, sun to sat, found "8"'],
    [
      'a long name',
      '0 0 * * Monday',
      'field 5 (day of week): expected a number from 0 to 7, sun to sat, found "Monday"',
    ],
    [
      'a name of no month',
      '0 0 1 toString *',
      'field 4 (month): expected a number from 1 to 12, jan to dec, found "toString"',
    ],
    ['a range downwards', '0 17-9 * * *', 'field 2 (hour): expected a range that runs upwards, found "17-9"'],
    [
      'an empty part of a list',
      '1,,2 * * * *',
      'field 1 (minute): expected *, a number from 0 to 59, a range or a step such as */2, found ""',
    ],
    [
      'a negative number',
      '-5 * * * *',
      'field 1 (minute): expected *, a number from 0 to 59, a range or a step such as */2, found "-5"',
    ],
    ['L', '0 0 L * *', 'field 3 (day of month): expected a number from 1 to 31, found "L"'],
    [
      '?',
      '0 0 ? * *',
      'field 3 (day of month): expected *, a number from 1 to 31, a range or a step such as */2, found "?"',
    ],
    [
      '#',
      '0 0 * * 5#2',
      'field 5 (day of week): expected *, a number from 0 to 7, sun to sat, a range or a step such as */2, found "5#2"',
    ],
    [
      'no such zone',
      'TZ=Mars/Base 0 0 * * *',
      'expected an IANA time zone such as Europe/Paris after TZ=, found "Mars/Base"',
    ],
    ['no zone', 'TZ= 0 0 * * *', 'expected an IANA time zone such as Europe/Paris after TZ=, found ""'],
    [
      'an offset for a zone',
      'TZ=+01:00 0 0 * * *',
      'expected an IANA time zone such as Europe/Paris after TZ=, found "+01:00"',
    ],
    ['30 February', '0 0 30 2 *', 'never fires: no month that it names has such a day'],
    ['31 of the short months', '0 0 31 4,6,9,11 *', 'never fires: no month that it names has such a day'],
  ])('%s, refused (CR-8): %s', (_, text, error) => {
    expect(errorOf(text)).toBe(`"${text}": ${error}`);
  });

  test('a very long text is refused without repeating it (CR-8)', () => {
    expect(errorOf('0,'.repeat(1_000))).toBe('schedule is longer than 255 characters');
  });
});

/** Which minutes a schedule names, on a wall clock that is never put forward or back. */
import { DAY, MINUTE } from '../lib/time.ts';

/** Longer than the longest pause that a schedule can make: from 29 February 2096 to that of 2104. */
const HORIZON = 9 * 366 * DAY;

/** What matches, ascending. */
export interface Calendar {
  minutes: readonly number[];
  hours: readonly number[];
  days: readonly number[];
  /** 1 to 12. */
  months: readonly number[];
  /** 0 to 6, from Sunday. */
  weekdays: readonly number[];
  /** Both day fields are restricted, and then either one is enough (CR-7). */
  eitherDay: boolean;
}

/**
 * The first matching minute at or after `wall`; null if there is none in nine years, which means never.
 *
 * @param wall what a clock on the wall shows, as the milliseconds from 1970 to the moment when a clock in UTC shows the same.
 */
export function firstMinute(calendar: Calendar, wall: number): number | null {
  const start = Math.ceil(wall / MINUTE) * MINUTE;
  for (let time = start; time < start + HORIZON;) {
    const date = new Date(time);
    const midnight = Math.floor(time / DAY) * DAY;
    if (!calendar.months.includes(date.getUTCMonth() + 1)) {
      time = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
      continue;
    }
    const found = isDay(calendar, date) ? timeOfDay(calendar, (time - midnight) / MINUTE) : null;
    if (found !== null) return midnight + found * MINUTE;
    time = midnight + DAY;
  }
  return null;
}

function isDay({ days, weekdays, eitherDay }: Calendar, date: Date): boolean {
  const day = days.includes(date.getUTCDate());
  const weekday = weekdays.includes(date.getUTCDay());
  return eitherDay ? day || weekday : day && weekday;
}

/** The first matching minute of a day from its minute `from` on. */
function timeOfDay({ hours, minutes }: Calendar, from: number): number | null {
  for (const hour of hours) {
    const minute = minutes.find((value) => hour * 60 + value >= from);
    if (minute !== undefined) return hour * 60 + minute;
  }
  return null;
}

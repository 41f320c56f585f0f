/**
 * Schedule -> instants. Where a zone puts its clocks forward or back (CR-9):
 *   1. A wall-clock time that is skipped does not fire that day.
 *   2. A wall-clock time that comes twice fires at its first pass only, if the hour is fixed: a number, a list or a range.
 *   3. With `*` or a step as the hour it fires at both.
 */
import { DAY } from '../lib/time.ts';
import { firstMinute } from './calendar.ts';
import type { Schedule } from './schedule.ts';
import { firstChange, type Zone } from './zone.ts';

/** The first instant strictly after `after` at which the schedule fires. Both in milliseconds since 1970. */
export function nextAfter(schedule: Schedule, after: number): number {
  let at = firstMatch(schedule, after + 1);
  while (!schedule.everyPass && isSecondPass(schedule.zone, at)) at = firstMatch(schedule, at + 1);
  return at;
}

/** The first instant at or after `from` whose wall-clock time matches, first pass or second. */
function firstMatch(schedule: Schedule, from: number): number {
  const { zone, calendar, text } = schedule;
  const offset = zone.offsetAt(from);
  const wall = firstMinute(calendar, from + offset);
  if (wall === null) throw new RangeError(`"${text}" does not fire after ${from}`);
  const at = wall - offset;
  // The wall clock runs evenly up to the next change only, and is read anew from there.
  const change = firstChange(zone, from, at);
  return change === null ? at : firstMatch(schedule, change);
}

/** Whether the wall clock has shown this time before: it did if the offset of the day before leads to an earlier instant that had it. */
function isSecondPass({ offsetAt }: Zone, at: number): boolean {
  const before = offsetAt(at - DAY);
  const firstPass = at + offsetAt(at) - before;
  return firstPass < at && offsetAt(firstPass) === before;
}

/** What the tests of src/cron share. */
import { nextAfter } from '../../src/cron/next.ts';
import { parseSchedule, type Schedule } from '../../src/cron/schedule.ts';

export const MINUTE = 60_000;
export const DAY = 86_400_000;

export function schedule(text: string): Schedule {
  const parsed = parseSchedule(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.schedule;
}

export function errorOf(text: string): string | null {
  const parsed = parseSchedule(text);
  return parsed.ok ? null : parsed.error;
}

/** `2026-03-27T11:00Z` */
export function short(at: number): string {
  return new Date(at).toISOString().replace(':00.000Z', 'Z');
}

/** The first `count` instants after `from`. */
export function fires(text: string, from: string, count: number): string[] {
  const parsed = schedule(text);
  const found: string[] = [];
  for (let at = Date.parse(from); found.length < count;) {
    at = nextAfter(parsed, at);
    found.push(short(at));
  }
  return found;
}

/** Everything after `from` and not after `to`. */
export function firesWithin(text: string, from: string, to: string): string[] {
  const parsed = schedule(text);
  const found: string[] = [];
  for (let at = nextAfter(parsed, Date.parse(from)); at <= Date.parse(to); at = nextAfter(parsed, at)) {
    found.push(short(at));
  }
  return found;
}

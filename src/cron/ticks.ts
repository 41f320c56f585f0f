/** The ticks of one function: the instants at which any of its schedules fires, each once (CR-5, CR-6). */
import { MINUTE } from '../lib/time.ts';
import { bisect } from './bisect.ts';
import { nextAfter } from './next.ts';
import type { Schedule } from './schedule.ts';

/** `S` is the owner's own trigger, if it says more than a schedule does. */
export interface Tick<S extends Schedule = Schedule> {
  at: number;
  /** The first, in the order of declaration, that fires then (CR-6). */
  schedule: S;
}

export interface Missed<S extends Schedule = Schedule> {
  /** The most recent tick: the only one that is still started (CR-13). Null if nothing was due. */
  start: Tick<S> | null;
  /** The ones before it, the earliest first; of many, the most recent `SKIPPED_MAX`. */
  skipped: Tick<S>[];
  /** There were still earlier ones, which `skipped` leaves out. */
  more: boolean;
}

export const SKIPPED_MAX = 100;

/** The first tick strictly after `after`; null without schedules. */
export function nextTick<S extends Schedule>(schedules: readonly S[], after: number): Tick<S> | null {
  let first: Tick<S> | null = null;
  for (const schedule of schedules) {
    const at = nextAfter(schedule, after);
    if (first === null || at < first.at) first = { at, schedule };
  }
  return first;
}

/**
 * What was due after `since` and not after `now`. After an outage of any length this costs little: it looks back from `now`,
 * not forward from `since`.
 */
export function missed<S extends Schedule>(schedules: readonly S[], since: number, now: number): Missed<S> {
  const lasts = schedules.map((schedule) => ({ schedule, at: lastWithin(schedule, since, now) }));
  const found: Tick<S>[] = [];
  while (found.length <= SKIPPED_MAX) {
    const at = Math.max(...lasts.map((last) => last.at ?? -Infinity));
    const first = lasts.find((last) => last.at === at);
    if (first === undefined) break;
    found.push({ at, schedule: first.schedule });
    for (const last of lasts) if (last.at === at) last.at = lastWithin(last.schedule, since, at - 1);
  }
  const [start = null, ...skipped] = found;
  return { start, skipped: skipped.toReversed(), more: lasts.some((last) => last.at !== null) };
}

/** The last instant after `since` and not after `until` at which the schedule fires. */
function lastWithin(schedule: Schedule, since: number, until: number): number | null {
  const noneAfter = (at: number): boolean => nextAfter(schedule, at) > until;
  if (noneAfter(since)) return null;
  let span = MINUTE;
  while (span < until - since && noneAfter(until - span)) span *= 2;
  // It is the first instant that no other one follows up to `until`.
  return bisect(Math.max(since, until - span), until, noneAfter);
}

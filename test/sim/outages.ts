/** From one time to another something does not answer at all. In few histories, and the same whatever else goes wrong in them. */
import { DAY, HOUR, MINUTE } from '../../src/lib/time.ts';
import type { Random } from './random.ts';
import { EPOCH } from './world.ts';

export class Outage {
  readonly from: number;
  readonly to: number;

  constructor(from: number, to: number) {
    this.from = from;
    this.to = to;
  }

  isAt(now: number): boolean {
    return now >= this.from && now < this.to;
  }
}

/**
 * Of the timers' object and of their way into the intake: what makes ticks be missed. Of the waits, of runs
 * that are told of answers, and of the queue of events, which keeps them all the same.
 */
export type Outages = Record<'crons' | 'intake' | 'waits' | 'answers' | 'events', Outage>;

/** @param period in which events are sent. */
export function planOutages(random: Random, period: number): Outages {
  const isCalm = random.chance(0.7);
  const outage = (longest: number, within = period): Outage => {
    const from = EPOCH + random.between(0, random.pick([within, within, DAY]));
    const length = random.between(MINUTE, random.pick([10 * MINUTE, longest]));
    return new Outage(from, isCalm || random.chance(0.5) ? from : from + length);
  };
  return {
    crons: outage(30 * HOUR, 6 * HOUR),
    intake: outage(2 * HOUR, 6 * HOUR),
    waits: outage(2 * HOUR),
    answers: outage(2 * HOUR),
    events: outage(2 * HOUR),
  };
}

/** All of it together. */
export function lengthOf(outages: Outages): number {
  return Object.values(outages).reduce((sum, { from, to }) => sum + to - from, 0);
}

/** When the last of them is over. */
export function endOf(outages: Outages): number {
  return Math.max(...Object.values(outages).map(({ to }) => to));
}

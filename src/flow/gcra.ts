/**
 * The generic cell rate algorithm (TH-13, TH-14). A key has one stored time, its `tat` (theoretical arrival time): each start moves it on
 * by one interval, and a start is allowed as long as it is not more than `burst - 1` intervals ahead.
 */

export interface Rate {
  limit: number;
  /** Milliseconds. */
  period: number;
  /** Starts that may come at once. */
  burst: number;
}

/** The key's time under a rate that may have changed since: it keeps nobody for more than one period from now (TH-22). */
export function underRate(tat: number, rate: Rate, now: number): number {
  return Math.min(tat, now + rate.period + ahead(rate));
}

/** When the next start is allowed; `now` or earlier means at once. @param tat null: nothing has started under this key. */
export function nextStart(tat: number | null, rate: Rate, now: number): number {
  return underRate(tat ?? now, rate, now) - ahead(rate);
}

/** The key's time after a start. */
export function afterStart(tat: number | null, rate: Rate, now: number): number {
  return Math.max(underRate(tat ?? now, rate, now), now) + interval(rate);
}

function ahead(rate: Rate): number {
  return (rate.burst - 1) * interval(rate);
}

function interval({ limit, period }: Rate): number {
  return period / limit;
}

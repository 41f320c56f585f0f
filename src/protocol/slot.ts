/**
 * What a run asks of the gates: a slot under a limit of its function. Under `throttle` that is one start, under `concurrency` a lease for
 * one burst, which is the time from entering user code to its end or to its waiting for something.
 */
import * as z from 'zod';

const slotLimit = z.object({
  policy: z.enum(['throttle', 'concurrency']),
  /** Who shares it (CC-7). */
  scope: z.enum(['fn', 'env', 'account']),
  /** Which of the function's `concurrency`; 0 for its throttle. The figures are looked up when they are needed (FN-11). */
  n: z.number(),
  /** Evaluated when the event was matched (FC-5). */
  key: z.string(),
});
export type SlotLimit = z.infer<typeof slotLimit>;

/** Who wants it. */
export const slotClaim = z.object({
  env: z.string(),
  functionId: z.string(),
  runId: z.string(),
  limit: slotLimit,
  /** Place in the line, in milliseconds since 1970, smallest first (PR-10). Always the same of one run. */
  score: z.number(),
  /** Internal id of the event that started it: the order among equal scores, so that events of one request keep theirs (OR-9). */
  eventId: z.string(),
  /** Fence: counts up from burst to burst of the run. A message of an earlier one changes nothing. */
  turn: z.number(),
});
export type SlotClaim = z.infer<typeof slotClaim>;

/** `wait`: take a place in the line if there is no room. */
export const slotAsk = slotClaim.extend({ wait: z.boolean() });
export type SlotAsk = z.infer<typeof slotAsk>;

/**
 * `granted`: also for whoever has it already, whose lease is renewed by that. `queued`: the run will be told (`Granted`). `full`: not
 * waiting for it. `stale`: a later turn is known.
 */
export type SlotAnswer = { is: 'granted' | 'queued' | 'full' } | { is: 'stale'; turn: number };

/** What a run is told that has waited: which of its limits has a slot for it. */
export const granted = z.object({ policy: slotLimit.shape.policy, n: z.number(), turn: z.number() });
export type Granted = z.infer<typeof granted>;

/** How one line stands, for people. */
export interface LineState {
  policy: SlotLimit['policy'];
  key: string;
  /** Leases; of a throttle always 0. */
  inUse: number;
  /** Runs that hold one, the oldest first, at most some tens. */
  holders: string[];
  /** Runs in the line; not counted beyond a thousand. */
  waiting: number;
  /** When the throttle lets the first of them start; null where that is not a matter of time. */
  nextAt: number | null;
}

/** How one claim stands: its line, the limit, and how many go before it; not counted beyond a thousand. Null once it waits for nothing. */
export interface SlotState extends LineState {
  /** Leases at a time, or starts in a period; null: there is no limit any more. */
  limit: number | null;
  before: number;
}

/** What of a function's limits is meant: `key` null for all of its keys that have no change of their own. */
export const limitChoice = z.object({
  env: z.string(),
  functionId: z.string(),
  policy: slotLimit.shape.policy,
  scope: slotLimit.shape.scope,
  n: z.number(),
  key: z.string().nullable(),
});
export type LimitChoice = z.infer<typeof limitChoice>;

/** In place of what the function's configuration says. `isPaused`: nothing begins, and all that waits keeps its place. */
export const limitChange = z.strictObject({
  limit: z.int().min(1).optional(),
  /** Milliseconds; of a throttle only, as is `burst`. */
  period: z.number().min(1_000).optional(),
  burst: z.int().min(1).optional(),
  isPaused: z.boolean().optional(),
});
export type LimitChange = z.infer<typeof limitChange>;

/** A lease that is neither renewed nor given back is lost after this long, in milliseconds (CC-23). */
export const LEASE = 55_000;

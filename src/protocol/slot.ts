/**
 * What a run asks of the gates: a slot under a limit of its function. Under `throttle` that is one start, under `concurrency` a lease for
 * one burst, which is the time from entering user code to its end or to its waiting for something.
 */
import * as z from 'zod';

export const slotLimit = z.object({
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
  /** Place in the line, in milliseconds since 1970, smallest first; ties by run id (PR-10). Always the same of one run. */
  score: z.number(),
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

/** A lease that is neither renewed nor given back is lost after this long, in milliseconds (CC-23). */
export const LEASE = 55_000;

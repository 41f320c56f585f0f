/** What dispatch asks of a function's gates before there is a run: collected into which batch or debounce, and who may start. */
import * as z from 'zod';
import { asks } from './flow.ts';

/** Whose gate it is. */
export const gateOf = z.object({ env: z.string(), functionId: z.string() });
export type GateOf = z.infer<typeof gateOf>;

/** How a function collects events; times in milliseconds. */
export const collecting = z.union([
  z.object({ by: z.literal('batch'), maxSize: z.number(), timeout: z.number() }),
  z.object({ by: z.literal('debounce'), period: z.number(), timeout: z.number().nullable() }),
]);
export type Collecting = z.infer<typeof collecting>;

/** An event to be collected: it stays in the history, and is read from there when its run starts. */
export const collectable = z.object({
  key: z.string(),
  /** Internal id. */
  eventId: z.string(),
  receivedAt: z.number(),
  bytes: z.number(),
  /** What is asked once it is collected: of a batch that of its first event, of a debounce that of its last. */
  asks,
});
export type Collectable = z.infer<typeof collectable>;

export interface Collected {
  eventId: string;
  /** The run that comes of it. */
  runId: string;
  /** Internal id of the event for which it is certain by now that it will be no run's first: this one, or the one that it follows. */
  absorbed: string | null;
}

/** A start that asks whether it may be. */
export const entrant = z.object({
  key: z.string(),
  runId: z.string(),
  /** When it asked for the first time, always the same of one run; in milliseconds since 1970. */
  at: z.number(),
});
export type Entrant = z.infer<typeof entrant>;

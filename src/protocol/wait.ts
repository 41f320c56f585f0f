/** A run's wait for an event, and its wish to be cancelled by one: what it registers with the object of that event's name. */
import * as z from 'zod';
import { isObject, type JsonObject } from '../lib/json.ts';

export const wait = z.object({
  env: z.string(),
  /** Exact name of the awaited event (WE-18). */
  event: z.string(),
  runId: z.string(),
  /** Names the wait within its run: the step's id, or `cancel:<n>` for the n-th `cancelOn`. */
  key: z.string(),
  /** `cancel`: the run is cancelled by the first event that matches. */
  kind: z.enum(['resume', 'cancel']),
  /** CEL over `event`, the run's own, and `async`, the incoming one; null: any event of the name (WE-7). */
  expression: z.string().nullable(),
  /** What the expression reads of the run's own event. */
  given: z.custom<JsonObject>(isObject),
  /** Events received from this moment on count, also those that were there before the wait (the look-back). */
  since: z.number(),
  /** Events received at this moment or later do not. */
  until: z.number(),
  /** Internal ids of events that do not count: those that started the run (WE-17), and those that its earlier waits got. */
  except: z.array(z.string()),
});
export type Wait = z.infer<typeof wait>;

/** What travels on the queues: at least once, in any order. Every message is parsed by its consumer. */
import * as z from 'zod';
import { storedEvent } from './event.ts';
import { runEnding } from './run.ts';

/** EVENTS: accepted events, several to a message; those too large to travel go by their internal ids and are read from D1. */
export const eventsMessage = z.object({
  events: z.array(storedEvent).default([]),
  ids: z.array(z.string()).default([]),
});
export type EventsMessage = z.input<typeof eventsMessage>;

/** RUNS: runs that ended; those whose ending is too large to travel go by id, and their objects are asked. */
export const runsMessage = z.object({
  runs: z.array(runEnding).default([]),
  ids: z.array(z.string()).default([]),
});
export type RunsMessage = z.input<typeof runsMessage>;

/** DEAD: what no retry can help, with the reason. */
export interface DeadMessage {
  queue: string;
  reason: string;
  body: unknown;
}

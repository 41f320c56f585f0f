/** The event: as a sender writes it, and as the engine keeps it (EVT group). */
import * as z from 'zod';
import { isObject, type JsonObject } from '../lib/json.ts';
import { limits } from './limits.ts';

/** Names under this prefix are the engine's own (EVT-30). */
export const RESERVED_PREFIX = 'inngest/';

/**
 * `z.record` and `z.object` copy what they check and would lose keys such as `__proto__`, which are plain data here (EVT-26):
 * payloads are checked and passed on as they are.
 */
const payload = z.custom<JsonObject>(isObject, { error: 'expected an object' });

const name = z
  .string({ error: 'event name is empty' })
  .refine((text) => text.trim() !== '', { error: 'event name is empty' })
  .refine((text) => [...text].length <= limits.eventName, {
    error: `event name is longer than ${limits.eventName} characters`,
  })
  .refine((text) => !text.startsWith(RESERVED_PREFIX), {
    error: (issue) => `event name is reserved for internal use: ${String(issue.input)}`,
  });

const id = z.string({ error: 'expected a string' }).refine((text) => [...text].length <= limits.eventId, {
  error: `longer than ${limits.eventId} characters`,
});

const ts = z
  .number({ error: 'expected an integer of milliseconds since 1970' })
  .refine((ms) => ms === 0 || Number.isInteger(ms), {
    error: 'expected an integer of milliseconds since 1970',
  })
  .refine((ms) => ms === 0 || ms >= limits.tsMin, {
    error: 'timestamp is before Jan 1, 1980: milliseconds since 1970 are expected',
  })
  .refine((ms) => ms <= limits.tsMax, {
    error: 'timestamp is after Jan 1, 2100: milliseconds since 1970 are expected',
  });

/** One event of `POST /e/:key`. Unknown properties are dropped (EVT-25); `null` means absent; empty id and `ts` 0 too. */
export const eventInput = z.object({
  name,
  data: payload.nullish(),
  user: payload.nullish(),
  id: id.nullish(),
  ts: ts.nullish(),
  v: z.string({ error: 'expected a string' }).nullish(),
});
export type EventInput = z.infer<typeof eventInput>;

/** An event as the engine keeps it and hands it from intake to run. */
export const storedEvent = z.object({
  /** The ULID that the engine gave it. */
  internalId: z.string(),
  env: z.string(),
  name: z.string(),
  data: payload,
  /** Sealed text, never the plain object (EVT-10); opened by keys/seal when it leaves the engine. */
  user: z.string().optional(),
  /** The sender's id, its idempotency key (DD-1). */
  id: z.string().optional(),
  ts: z.number(),
  v: z.string().optional(),
  receivedAt: z.number(),
  /** How it came in (EVT-39): by an event key (a hash of it), or from a run. */
  source: z.object({ kind: z.enum(['key', 'run']), id: z.string() }).optional(),
  /** Starts this function and no other (SY-14): invocations and crons. `parent`: the step that is told how it ended. */
  target: z
    .object({ functionId: z.string(), parent: z.object({ runId: z.string(), key: z.string() }).optional() })
    .optional(),
});
export type StoredEvent = z.infer<typeof storedEvent>;

/** What functions and API clients see: the sender's id where there is one (EVT-28). */
export interface EventView {
  name: string;
  data: JsonObject;
  id: string;
  ts: number;
  /** Empty where the sender gave none (EVT-27). */
  user: JsonObject;
  v?: string;
}

/** The engine's own events about the end of a run. */
export const FINISHED = 'inngest/function.finished';
export const FAILED = 'inngest/function.failed';
export const CANCELLED = 'inngest/function.cancelled';

/** A tick of a cron. */
export const TIMER = 'inngest/scheduled.timer';

/** The event of an invocation (IV-7). */
export const INVOKED = 'inngest/function.invoked';

/** The functions whose failures led to this event, the earliest first. */
export function failureChain(event: StoredEvent): string[] {
  const engine = event.name === FAILED ? event.data['_inngest'] : undefined;
  const chain = isObject(engine) ? engine['chain'] : undefined;
  return Array.isArray(chain) ? chain.filter((item) => typeof item === 'string') : [];
}

/** Stands for a `user` that is not opened: `{ $sealed: <text> }`. Opened by keys/unseal. */
export const SEALED = '$sealed';

/** Still sealed, so that it can be stored. */
export function eventView(event: StoredEvent): EventView {
  const sealed: JsonObject = event.user === undefined ? {} : { [SEALED]: event.user };
  const view = {
    name: event.name,
    data: event.data,
    id: event.id ?? event.internalId,
    ts: event.ts,
    user: sealed,
  };
  return event.v === undefined ? view : { ...view, v: event.v };
}

/** A function started by its id: `POST /invoke/:slug` for development (wire 4.5), and version 2 of the API (wire 9.7). */
import { makeDurable } from '../ingest/durable.ts';
import { Refusal } from '../ingest/refusal.ts';
import type { JsonObject } from '../lib/json.ts';
import { ulid } from '../lib/ulid.ts';
import { INVOKED, type StoredEvent } from '../protocol/event.ts';
import { limits } from '../protocol/limits.ts';
import { runIdOf } from '../protocol/run.ts';
import type { ApiContext, ApiDeps } from './deps.ts';
import { keepGoing } from './intake.ts';

export interface Invocation {
  /** Composite id. */
  functionId: string;
  data: JsonObject;
  user?: JsonObject | undefined;
  /** A second invocation with the same one within 24 hours is the first one. */
  idempotencyKey?: string | undefined;
}

/** Durable when it resolves. */
export async function invoke(
  { intake, store }: ApiDeps,
  c: ApiContext,
  { functionId, data, user, idempotencyKey: key }: Invocation,
): Promise<{ eventId: string; runId: string; at: number }> {
  const env = c.get('env');
  const now = intake.clock.now();
  const event: StoredEvent = {
    internalId: ulid(now, intake.entropy.bytes(10)),
    env,
    name: INVOKED,
    data,
    ...(user === undefined || Object.keys(user).length === 0
      ? {}
      : { user: await sealed(intake, user, env) }),
    ...(key === undefined ? {} : { id: ownId(functionId, key) }),
    ts: now,
    receivedAt: now,
    target: { functionId },
  };
  await intake.arm();
  await makeDurable(intake, [event], now, (work) => keepGoing(c, work));
  const first =
    key === undefined ? null : ((await store.findEvent(env, event.internalId))?.duplicateOf ?? null);
  const eventId = first ?? event.internalId;
  return { eventId, runId: runIdOf({ env, internalId: eventId }, functionId), at: now };
}

async function sealed({ seal }: ApiDeps['intake'], user: JsonObject, env: string): Promise<string> {
  if (seal === null) throw new Refusal(501, 'user: cannot be kept encrypted: set STEPWELL_ENCRYPTION_KEY');
  return seal.seal(user, env);
}

function ownId(functionId: string, key: string): string {
  const id = `invoke ${functionId} ${key}`;
  if ([...id].length > limits.eventId) throw new Refusal(400, 'idempotencyKey: too long');
  return id;
}

/**
 * What is past its time: events, records of skipped starts and keys are deleted at once, runs when their objects have been emptied. What is still open stays, however old: an event that is not dispatched, a run that has not
 * ended. A key goes with an event that carries it, unless a later event has taken it over and still needs it.
 */
import { and, asc, eq, inArray, isNotNull, lt, lte, ne, sql } from 'drizzle-orm';
import type { Database } from './batch.ts';
import { event, eventKey, eventPart, functionKey, run } from './schema.ts';
import { expired } from './window.ts';

export async function expire(
  db: Database,
  now: number,
  limit: number,
  retention: number,
): Promise<{ runIds: string[]; more: boolean }> {
  const { cutoff, beforeId } = expired(now, retention);
  const events = sql`(select internal_id from event
    where internal_id < ${beforeId} and received_at <= ${cutoff} and dispatched_at is not null
    order by internal_id limit ${limit})`;
  const past = and(lt(run.runId, beforeId), lte(run.queuedAt, cutoff), isNotNull(run.endedAt));
  const runs = db
    .select({ runId: run.runId })
    .from(run)
    .where(and(past, ne(run.status, 'Skipped')))
    .orderBy(asc(run.runId))
    .limit(limit);
  const skipped = db
    .select({ runId: run.runId })
    .from(run)
    .where(and(past, eq(run.status, 'Skipped')))
    .orderBy(asc(run.runId))
    .limit(limit);
  const taken = sql`(select env, function_id, key from function_key where expires_at <= ${now} limit ${limit})`;
  const keys = sql`(select env, id from event where internal_id in ${events} and id is not null)`;
  const [, , eventIds, runIds, ...others] = await db.batch([
    db.delete(eventPart).where(inArray(eventPart.internalId, events)),
    db
      .delete(eventKey)
      .where(and(sql`(${eventKey.env}, ${eventKey.id}) in ${keys}`, lte(eventKey.expiresAt, now))),
    db.delete(event).where(inArray(event.internalId, events)).returning({ internalId: event.internalId }),
    runs,
    // There is no object behind them.
    db
      .delete(run)
      .where(inArray(run.runId, sql`(${skipped})`))
      .returning({ runId: run.runId }),
    db
      .delete(functionKey)
      .where(sql`(${functionKey.env}, ${functionKey.functionId}, ${functionKey.key}) in ${taken}`)
      .returning({ runId: functionKey.runId }),
  ]);
  return {
    runIds: runIds.map((row) => row.runId),
    more: [eventIds, runIds, ...others].some((rows) => rows.length === limit),
  };
}

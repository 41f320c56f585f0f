/** The index of runs. A row is open until `ended_at` is set, and never changes after that. */
import { and, asc, desc, eq, gt, gte, inArray, isNotNull, isNull, lt, lte, sql } from 'drizzle-orm';
import { limits } from '../protocol/limits.ts';
import type { RunSummary } from '../protocol/run.ts';
import type { DueRun, OpenRunSearch, QueuedRun, RunQuery, RunRecord } from '../ports.ts';
import { type Database, jsonChunks, type Statement } from './batch.ts';
import { event, run } from './schema.ts';
import { idsQueued } from './window.ts';

/** Only for events that are still to be dispatched; a run whose summary came first stays closed. `cross` fixes the join's order. */
export function openRuns(db: Database, runs: readonly QueuedRun[]): Statement[] {
  return jsonChunks(runs).map((chunk) =>
    db
      .insert(run)
      .select(
        sql`select value ->> 'runId', value ->> 'env', value ->> 'functionId', value ->> 'eventId', 'Running',
            value ->> 'queuedAt', null, value ->> 'checkAt', null, null
          from json_each(${chunk})
          cross join event on event.internal_id = value ->> 'eventId'
          where event.dispatched_at is null or value ->> 'isCollected'`,
      )
      .onConflictDoNothing({ target: run.runId }),
  );
}

export function closeRuns(db: Database, runs: readonly RunSummary[]): Statement[] {
  const rows = runs.map((summary) => ({ ...summary, output: indexedOutput(summary.output) }));
  return jsonChunks(rows).map((chunk) =>
    db
      .insert(run)
      .select(
        sql`select value ->> 'runId', value ->> 'env', value ->> 'functionId', value ->> 'eventId', value ->> 'status',
            value ->> 'queuedAt', value ->> 'endedAt', null, value ->> 'output', value ->> 'reason'
          from json_each(${chunk})
          where true`,
      )
      .onConflictDoUpdate({
        target: run.runId,
        set: {
          status: sql`excluded.status`,
          endedAt: sql`excluded.ended_at`,
          output: sql`excluded.output`,
          reason: sql`excluded.reason`,
        },
        setWhere: isNull(run.endedAt),
      }),
  );
}

/** What does not fit in a row stays in the object. */
export function indexedOutput(output: string | null): string | null {
  return output === null || output.length > limits.rowText ? null : output;
}

export function scheduleChecks(
  db: Database,
  checks: readonly { runId: string; checkAt: number }[],
): Statement[] {
  return jsonChunks(checks).map((chunk) =>
    db
      .update(run)
      .set({ checkAt: sql`value ->> 'checkAt'` })
      .from(sql`json_each(${chunk})`)
      .where(and(sql`${run.runId} = value ->> 'runId'`, isNull(run.endedAt))),
  );
}

export function forgetRuns(db: Database, runIds: readonly string[]): Statement[] {
  return jsonChunks(runIds).map((chunk) =>
    db
      .delete(run)
      .where(and(inArray(run.runId, sql`(select value from json_each(${chunk}))`), isNotNull(run.endedAt))),
  );
}

export async function runsToCheck(db: Database, now: number, limit: number): Promise<DueRun[]> {
  const { runId, env, functionId, eventId, queuedAt } = run;
  return db
    .select({ runId, env, functionId, eventId, queuedAt, deadReason: event.deadReason })
    .from(run)
    .leftJoin(event, eq(event.internalId, run.eventId))
    .where(and(isNull(run.endedAt), lte(run.checkAt, now)))
    .orderBy(asc(run.checkAt), asc(run.runId))
    .limit(limit);
}

/** The first entry of the index on open runs. */
export async function nextCheck(db: Database): Promise<number | null> {
  const rows = await db
    .select({ checkAt: run.checkAt })
    .from(run)
    .where(and(isNull(run.endedAt), isNotNull(run.checkAt)))
    .orderBy(asc(run.checkAt))
    .limit(1);
  return rows[0]?.checkAt ?? null;
}

export async function runsOfEvent(db: Database, env: string, internalId: string): Promise<RunRecord[]> {
  const rows = await db
    .select()
    .from(run)
    .where(and(eq(run.eventId, internalId), eq(run.env, env)))
    .orderBy(asc(run.runId));
  return rows.map(record);
}

export async function findRun(db: Database, env: string, runId: string): Promise<RunRecord | null> {
  const rows = await db
    .select()
    .from(run)
    .where(and(eq(run.runId, runId), eq(run.env, env)));
  return rows.map(record)[0] ?? null;
}

/** Newest first. The `+` keeps SQLite from the index on open runs, which it would have to sort. */
export async function listRuns(db: Database, query: RunQuery): Promise<RunRecord[]> {
  const { env, functionIds, eventIds, statuses, time, from, until, cursor, limit } = query;
  const at = time === 'queuedAt' ? run.queuedAt : run.endedAt;
  // A run that ended in a range may have begun at any time before it.
  const ids = idsQueued(time === 'queuedAt' ? from : 0, until ?? Infinity);
  const rows = await db
    .select()
    .from(run)
    .where(
      and(
        eq(run.env, env),
        functionIds && inArray(run.functionId, listOf(functionIds)),
        eventIds && inArray(run.eventId, listOf(eventIds)),
        statuses && inArray(run.status, listOf(statuses)),
        sql`+${at} >= ${from}`,
        until === undefined ? undefined : sql`+${at} < ${until}`,
        gte(run.runId, ids.from),
        lt(run.runId, cursor !== undefined && cursor < ids.to ? cursor : ids.to),
      ),
    )
    .orderBy(desc(run.runId))
    .limit(limit);
  return rows.map(record);
}

function listOf(texts: readonly string[]) {
  return sql`(select value from json_each(${JSON.stringify(texts)}))`;
}

/** So many rows of the primary key at a time: how much is read does not depend on how much is found. */
export async function openRunsOf(
  db: Database,
  { env, functionId, after, before, cursor, window }: OpenRunSearch,
): Promise<{ runs: RunRecord[]; cursor: string | null }> {
  const ids = idsQueued(after, before);
  const page = db
    .select({ runId: run.runId })
    .from(run)
    .where(and(gt(run.runId, cursor), gte(run.runId, ids.from), lt(run.runId, ids.to)))
    .orderBy(asc(run.runId))
    .limit(window);
  const [rows, [seen]] = await db.batch([
    db
      .select()
      .from(run)
      .where(
        and(
          inArray(run.runId, sql`${page}`),
          eq(run.env, env),
          eq(run.functionId, functionId),
          isNull(run.endedAt),
          gte(run.queuedAt, after),
          lt(run.queuedAt, before),
        ),
      )
      .orderBy(asc(run.runId)),
    db.select({ count: sql<number>`count(*)`, last: sql<string | null>`max(run_id)` }).from(sql`(${page})`),
  ]);
  return {
    runs: rows.map(record),
    cursor: seen === undefined || seen.count < window ? null : seen.last,
  };
}

function record({ checkAt: _, reason, ...row }: typeof run.$inferSelect): RunRecord {
  const outputInObject = row.endedAt !== null && row.output === null;
  return { ...row, outputInObject, ...(reason === null ? {} : { reason }) };
}

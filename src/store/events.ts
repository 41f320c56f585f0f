/**
 * Events and their idempotency keys. Storing is one batch, in this order, which the statements rely on:
 *   1 keys: taken where free or run out, by events that are not stored yet
 *   2 parts of long bodies, of events that are not stored yet
 *   3 events: a duplicate is one whose key belongs to another event; it is dispatched only if it is heard again all the same
 * D1 runs one batch at a time, so of any number of simultaneous duplicates exactly one finds the key free (DD-10).
 */
import { and, asc, desc, eq, gt, gte, inArray, isNull, lt, type SQL, sql } from 'drizzle-orm';
import { splitText } from '../lib/json.ts';
import { FINISHED, RESERVED_PREFIX, TIMER, type StoredEvent } from '../protocol/event.ts';
import { limits } from '../protocol/limits.ts';
import type { Arrival, EventQuery, EventRecord } from '../ports.ts';
import { versionOf } from './apps.ts';
import { type Database, jsonChunks, type Statement } from './batch.ts';
import { awaited, event, eventKey, eventPart } from './schema.ts';
import { idsReceived } from './window.ts';

type EventRow = typeof event.$inferSelect;
type PartRow = typeof eventPart.$inferSelect;

export function storeEvents(db: Database, arrivals: readonly Arrival[], now: number): Statement[] {
  const rows = distinct(arrivals).map(
    ({ event: { data, user, v, source, target, ...columns }, isHeard, isHeardAgain, version }) => ({
      ...columns,
      isHeard,
      isHeardAgain,
      version,
      body: JSON.stringify({ data, user, v, source, target }),
    }),
  );
  const keys = rows.filter((row) => row.id !== undefined);
  const long = rows.filter((row) => row.body.length > limits.rowText);
  const parts = long.flatMap(({ internalId, body }) =>
    splitText(body, limits.rowText).map((text, part) => ({ internalId, part, text })),
  );
  const inline = rows.map((row) => (row.body.length > limits.rowText ? { ...row, body: null } : row));
  return [
    ...jsonChunks(keys.map(({ body: _, ...key }) => key)).map((chunk) => takeKeys(db, chunk)),
    ...jsonChunks(parts).map((chunk) => insertParts(db, chunk)),
    ...jsonChunks(inline).map((chunk) => insertRows(db, chunk, now)),
  ];
}

/** The window counts from the receipt of the first event, whenever its row is written, and is never extended (DD-2, DD-11). */
function takeKeys(db: Database, rows: string): Statement {
  return db
    .insert(eventKey)
    .select(
      sql`select value ->> 'env', value ->> 'id', value ->> 'internalId', (value ->> 'receivedAt') + ${limits.idempotency}
        from json_each(${rows})
        where not exists (select 1 from event where event.internal_id = value ->> 'internalId')`,
    )
    .onConflictDoUpdate({
      target: [eventKey.env, eventKey.id],
      set: { internalId: sql`excluded.internal_id`, expiresAt: sql`excluded.expires_at` },
      setWhere: sql`${eventKey.expiresAt} <= excluded.expires_at - ${limits.idempotency}`,
    });
}

function insertParts(db: Database, rows: string): Statement {
  return db.insert(eventPart).select(
    sql`select value ->> 'internalId', value ->> 'part', value ->> 'text'
      from json_each(${rows})
      where not exists (select 1 from event where event.internal_id = value ->> 'internalId')`,
  );
}

function insertRows(db: Database, rows: string, now: number): Statement {
  return db
    .insert(event)
    .select(
      sql`select value ->> 'internalId', value ->> 'env', value ->> 'name', value ->> 'id', value ->> 'ts',
          value ->> 'receivedAt', value ->> 'body', taken.internal_id,
          iif((taken.internal_id is null or value ->> 'isHeardAgain')
            and (value ->> 'isHeard' or value ->> 'version' <> ${versionOf(sql`value ->> 'env'`)}
            or ${isAwaited(sql`value ->> 'env'`, sql`value ->> 'name'`)}), null, ${now}),
          null, 0
        from json_each(${rows})
        left join event_key as taken
          on taken.env = value ->> 'env' and taken.id = value ->> 'id' and taken.internal_id <> value ->> 'internalId'
        where true`,
    )
    .onConflictDoNothing({ target: event.internalId });
}

function distinct(arrivals: readonly Arrival[]): Arrival[] {
  const seen = new Set<string>();
  return arrivals.filter(({ event: { internalId } }) => !seen.has(internalId) && seen.add(internalId));
}

/**
 * In the batch that admits an event. A wait looks back at the history after its name was written down here, so it finds what was stored
 * by then; what is stored later is admitted as awaited. None is missed.
 */
function isAwaited(env: SQL, name: SQL): SQL<number> {
  return sql<number>`exists (select 1 from awaited where awaited.env = ${env} and awaited.name = ${name})`;
}

export async function expectWaits(db: Database, env: string, name: string): Promise<void> {
  await db.batch([db.insert(awaited).values({ env, name }).onConflictDoNothing()]);
}

/** Which of these events have not been dispatched, with the version of their environment's registry. */
export function openAmong(db: Database, internalIds: readonly string[]) {
  return db
    .select({
      internalId: event.internalId,
      isAwaited: isAwaited(sql`event.env`, sql`event.name`),
      duplicateOf: event.duplicateOf,
      version: versionOf(sql`event.env`),
    })
    .from(event)
    .where(and(inArray(event.internalId, idList(internalIds)), isNull(event.dispatchedAt)));
}

export function settleEvents(
  db: Database,
  internalIds: readonly string[],
  now: number,
  deadReason: string | null,
): Statement[] {
  return jsonChunks(internalIds).map((chunk) =>
    db
      .update(event)
      .set({ dispatchedAt: now, deadReason })
      .where(and(inArray(event.internalId, idsIn(chunk)), isNull(event.dispatchedAt))),
  );
}

/** One row written for each: `failures` is in no index. */
export async function countFailure(
  db: Database,
  internalIds: readonly string[],
): Promise<Map<string, number>> {
  if (internalIds.length === 0) return new Map();
  const [rows] = await db.batch([
    db
      .update(event)
      .set({ failures: sql`${event.failures} + 1` })
      .where(and(inArray(event.internalId, idList(internalIds)), isNull(event.dispatchedAt)))
      .returning({ internalId: event.internalId, failures: event.failures }),
  ]);
  return new Map(rows.map((row) => [row.internalId, row.failures]));
}

/** In the order asked for, without those that are not stored. */
export async function loadEvents(db: Database, internalIds: readonly string[]): Promise<StoredEvent[]> {
  const [rows, parts] = await db.batch([
    db
      .select()
      .from(event)
      .where(inArray(event.internalId, idList(internalIds))),
    partsOf(db, idList(internalIds)),
  ]);
  const found = new Map(records(rows, parts).map((record) => [record.event.internalId, record.event]));
  return internalIds.flatMap((internalId) => found.get(internalId) ?? []);
}

export async function findEvent(db: Database, env: string, internalId: string): Promise<EventRecord | null> {
  const [rows, parts] = await db.batch([
    db
      .select()
      .from(event)
      .where(and(eq(event.internalId, internalId), eq(event.env, env))),
    partsOf(db, idList([internalId])),
  ]);
  return records(rows, parts)[0] ?? null;
}

/**
 * Newest first. The `+` keeps SQLite from reading all of an environment through the index on names and sorting it. That index has no
 * ends of runs, and is used only where the query says in the index's own words that it wants none.
 */
export async function listEvents(db: Database, query: EventQuery): Promise<EventRecord[]> {
  const { env, name, receivedAfter, receivedBefore, cursor } = query;
  const ids = idsReceived(receivedAfter, receivedBefore ?? Infinity);
  const matches = and(
    named(env, name),
    query.isInternalLeftOut === true
      ? sql`(substr(${event.name}, 1, ${RESERVED_PREFIX.length}) <> ${RESERVED_PREFIX} or ${event.name} = ${TIMER})`
      : undefined,
    query.undispatched === true ? isNull(event.dispatchedAt) : undefined,
    gt(event.receivedAt, receivedAfter),
    receivedBefore === undefined ? undefined : lt(event.receivedAt, receivedBefore),
    gte(event.internalId, ids.from),
    lt(event.internalId, cursor !== undefined && cursor < ids.to ? cursor : ids.to),
  );
  const newest = desc(event.internalId);
  const page = db
    .select({ internalId: event.internalId })
    .from(event)
    .where(matches)
    .orderBy(newest)
    .limit(query.limit);
  const [rows, parts] = await db.batch([
    db.select().from(event).where(matches).orderBy(newest).limit(query.limit),
    partsOf(db, sql`${page}`),
  ]);
  return records(rows, parts);
}

function named(env: string, name: string | undefined): SQL | undefined {
  if (name === undefined) return and(sql`+${event.env} = ${env}`, sql`+${event.name} <> ${FINISHED}`);
  if (name === FINISHED) return and(sql`+${event.env} = ${env}`, sql`+${event.name} = ${FINISHED}`);
  return and(eq(event.env, env), eq(event.name, name), sql`${event.name} <> 'inngest/function.finished'`);
}

export async function undispatched(db: Database, before: number, limit: number): Promise<string[]> {
  const rows = await db
    .select({ internalId: event.internalId })
    .from(event)
    .where(and(isNull(event.dispatchedAt), lt(event.receivedAt, before)))
    .orderBy(asc(event.receivedAt), asc(event.internalId))
    .limit(limit);
  return rows.map((row) => row.internalId);
}

function idList(internalIds: readonly string[]): SQL {
  return idsIn(JSON.stringify(internalIds));
}

function idsIn(json: string): SQL {
  return sql`(select value from json_each(${json}))`;
}

function partsOf(db: Database, ids: SQL) {
  return db
    .select()
    .from(eventPart)
    .where(inArray(eventPart.internalId, ids))
    .orderBy(asc(eventPart.internalId), asc(eventPart.part));
}

function records(rows: EventRow[], parts: PartRow[]): EventRecord[] {
  const bodies = Map.groupBy(parts, (part) => part.internalId);
  return rows.map((row) => {
    const text = row.body ?? (bodies.get(row.internalId) ?? []).map((part) => part.text).join('');
    const body = JSON.parse(text) as Pick<StoredEvent, 'data' | 'user' | 'v' | 'source' | 'target'>;
    const { internalId, env, name, ts, receivedAt } = row;
    const stored: StoredEvent = {
      internalId,
      env,
      name,
      ts,
      receivedAt,
      ...body,
      ...(row.id === null ? {} : { id: row.id }),
    };
    return { event: stored, duplicateOf: row.duplicateOf, deadReason: row.deadReason };
  });
}

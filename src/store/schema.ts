/**
 * The tables of D1: event history, idempotency keys, index of runs, and the apps that registered. Every row written costs, and so does each index entry of
 * it; leaving an index is free. Hence few indexes, and all tables are WITHOUT ROWID (drizzle-kit cannot say so: the migration
 * was completed by hand, and test/workers/store.test.ts looks), which saves the separate index of the primary key.
 *
 * Internal ids and run ids are ULIDs, so the primary keys run in time order; src/store/window.ts relies on it.
 */
import { sql } from 'drizzle-orm';
import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core';

/** Written by intake or, where that could not, by dispatch; counted up by dispatch when it fails, marked when it is done; deleted by the sweep when it expires. */
export const event = sqliteTable(
  'event',
  {
    internalId: text('internal_id').primaryKey(),
    env: text('env').notNull(),
    name: text('name').notNull(),
    /** The sender's id, its idempotency key. */
    id: text('id'),
    ts: integer('ts').notNull(),
    receivedAt: integer('received_at').notNull(),
    /** JSON text of `data`, sealed `user` and `v`, opaque to SQLite; null where it is too long for a row: then it lies in event_part. */
    body: text('body'),
    /** Internal id of the first event with this id, when this is not the first (DD-6). */
    duplicateOf: text('duplicate_of'),
    /** Nothing is left to do for this event: its runs are started, or it is a duplicate, or dead. */
    dispatchedAt: integer('dispatched_at'),
    deadReason: text('dead_reason'),
    /** Deliveries in which a start of this event failed: after so many of them the event is given up. */
    failures: integer('failures').notNull().default(0),
  },
  (table) => [
    // A row leaves this index when it is dispatched, so it stays small however long the history is.
    index('event_undispatched')
      .on(table.receivedAt, table.internalId)
      .where(sql`dispatched_at IS NULL`),
    // Lists of one name. Lists of a whole environment walk the primary key, and so do those of the ends of runs: there is one of these
    // for every run, so that they are found soon, and an entry for each would cost as much as the rest of its row.
    index('event_name')
      .on(table.env, table.name, table.internalId)
      .where(sql`name <> 'inngest/function.finished'`),
  ],
);

/** Names of events for which waits were ever registered: events of other names are dispatched without asking who waits for them. */
export const awaited = sqliteTable(
  'awaited',
  {
    env: text('env').notNull(),
    name: text('name').notNull(),
  },
  (table) => [primaryKey({ columns: [table.env, table.name] })],
);

/** The pieces of long bodies, in order. Written and deleted together with their event, never changed. */
export const eventPart = sqliteTable(
  'event_part',
  {
    internalId: text('internal_id').notNull(),
    part: integer('part').notNull(),
    text: text('text').notNull(),
  },
  (table) => [primaryKey({ columns: [table.internalId, table.part] })],
);

/**
 * Which event owns an id, for 24 h (DD-1, DD-2). Taken in the batch that stores the event; taken over by the first event after
 * the 24 h (DD-3); deleted with an event that carries the id, so it needs no index of its own on time.
 */
export const eventKey = sqliteTable(
  'event_key',
  {
    env: text('env').notNull(),
    id: text('id').notNull(),
    internalId: text('internal_id').notNull(),
    expiresAt: integer('expires_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.env, table.id] })],
);

/**
 * Which start a value of a function's idempotency key belongs to, for 24 h (ID-9). Taken by dispatch before the run is started; taken over
 * by the first start after that; deleted by the sweep.
 */
export const functionKey = sqliteTable(
  'function_key',
  {
    env: text('env').notNull(),
    functionId: text('function_id').notNull(),
    key: text('key').notNull(),
    runId: text('run_id').notNull(),
    expiresAt: integer('expires_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.env, table.functionId, table.key] }),
    index('function_key_expires').on(table.expiresAt),
  ],
);

/**
 * The index of runs; the truth is in their objects. Opened by dispatch when it has started the run, closed once by the run’s
 * summary, `check_at` moved by the sweep while open, deleted by the sweep when it has ended and expired.
 */
export const run = sqliteTable(
  'run',
  {
    runId: text('run_id').primaryKey(),
    env: text('env').notNull(),
    functionId: text('function_id').notNull(),
    /** Internal id of the (first) event that started it. */
    eventId: text('event_id').notNull(),
    status: text('status', { enum: ['Running', 'Completed', 'Failed', 'Cancelled', 'Skipped'] }).notNull(),
    queuedAt: integer('queued_at').notNull(),
    endedAt: integer('ended_at'),
    checkAt: integer('check_at'),
    /** JSON text; null while open, and where only the object has it. */
    output: text('output'),
    /** Why it was skipped (FC-10); null for every run. */
    reason: text('reason'),
  },
  (table) => [
    index('run_event').on(table.eventId),
    index('run_open')
      .on(table.checkAt)
      .where(sql`ended_at IS NULL`),
  ],
);

/**
 * The apps outside of this Worker. Written by registrations and by people who archive them, never deleted: the environment's highest
 * `revision` is the version of its registry.
 */
export const app = sqliteTable(
  'app',
  {
    env: text('env').notNull(),
    id: text('id').notNull(),
    url: text('url').notNull(),
    sdk: text('sdk').notNull(),
    framework: text('framework'),
    platform: text('platform'),
    appVersion: text('app_version'),
    syncedAt: integer('synced_at').notNull(),
    archivedAt: integer('archived_at'),
    /** One more than any of the environment, at each change of the app or of its functions. */
    revision: integer('revision').notNull(),
  },
  (table) => [primaryKey({ columns: [table.env, table.id] })],
);

/**
 * Functions that were ever paused, embedded ones too. Never deleted: `revision` is counted with those of the apps. Written by people, but
 * for `told_to`, which the sweep moves.
 */
export const pause = sqliteTable(
  'pause',
  {
    env: text('env').notNull(),
    functionId: text('function_id').notNull(),
    /** What becomes of runs under way (PA-4); null: it was resumed. */
    mode: text('mode', { enum: ['hold', 'cancel'] }),
    since: integer('since').notNull(),
    revision: integer('revision').notNull(),
    /** Open runs up to this id have been told; null: all of them. */
    toldTo: text('told_to'),
  },
  (table) => [primaryKey({ columns: [table.env, table.functionId] })],
);

/** The functions of those apps. Written together with their app; archived in place of being deleted, as their runs go on. */
export const appFunction = sqliteTable(
  'app_function',
  {
    env: text('env').notNull(),
    /** Composite id, `<app>-<function>`. */
    id: text('id').notNull(),
    appId: text('app_id').notNull(),
    /** Of the sync that it came with, and that URL's path: a sync speaks for the functions of its own path (AP-38). */
    url: text('url').notNull(),
    path: text('path').notNull(),
    /** JSON text of a `FunctionConfig`. */
    config: text('config').notNull(),
    version: integer('version').notNull(),
    archivedAt: integer('archived_at'),
  },
  (table) => [primaryKey({ columns: [table.env, table.id] })],
);

/**
 * Bulk cancellations. Written when they are asked for, moved on by the sweep as it walks the index of runs, deleted by people or when they
 * have ended and expired.
 */
export const cancellation = sqliteTable(
  'cancellation',
  {
    id: text('id').primaryKey(),
    env: text('env').notNull(),
    appId: text('app_id').notNull(),
    functionId: text('function_id').notNull(),
    startedAfter: integer('started_after'),
    startedBefore: integer('started_before').notNull(),
    expression: text('expression'),
    createdAt: integer('created_at').notNull(),
    since: integer('since').notNull(),
    passCursor: text('pass_cursor'),
    passUntil: integer('pass_until'),
    matched: integer('matched').notNull(),
    cancelled: integer('cancelled').notNull(),
    endedAt: integer('ended_at'),
  },
  (table) => [
    // A row leaves this index when its work is done.
    index('cancellation_open')
      .on(table.id)
      .where(sql`ended_at IS NULL`),
  ],
);

/** The contract on D1 with the real migrations, and what only D1 can get wrong: rows written, plans, what is left behind. */
import { env } from 'cloudflare:workers';
import { describe, expect, test } from 'vitest';
import { ulid } from '../../src/lib/ulid.ts';
import type { QueuedRun } from '../../src/ports.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import { limits } from '../../src/protocol/limits.ts';
import { DAY, MINUTE } from '../../src/lib/time.ts';
import type { RunSummary } from '../../src/protocol/run.ts';
import { d1Store } from '../../src/store/d1.ts';
import { RETENTION, storeContract } from '../contracts/store.ts';
import { admit, closeRuns, markDispatched } from '../contracts/stored.ts';

const TABLES = ['event', 'event_part', 'event_key', 'run'];
const ALL_TABLES = [...TABLES, 'awaited', 'function_key'];
const NOW = Date.UTC(2030, 0, 2);

const db = (env as unknown as { DB: D1Database }).DB;

storeContract('on D1', async () => {
  await empty();
  return d1Store(db, { retention: RETENTION });
});

async function empty(): Promise<void> {
  await db.batch(ALL_TABLES.map((table) => db.prepare(`delete from ${table}`)));
}

async function rowCounts(): Promise<Record<string, unknown>> {
  const columns = TABLES.map((table) => `(select count(*) from ${table}) as ${table}`);
  return (await db.prepare(`select ${columns.join(', ')}`).first()) ?? {};
}

/** Passes everything on, adds up the rows that the batches write, and keeps the plans of their statements. */
function watched() {
  const seen = { written: 0, queries: [] as string[] };
  const prepare = (query: string) => {
    seen.queries.push(query);
    return db.prepare(query);
  };
  const batch = async <Row>(statements: D1PreparedStatement[]) => {
    const results = await db.batch<Row>(statements);
    for (const { meta } of results) seen.written += meta.rows_written;
    return results;
  };
  const store = d1Store({ prepare, batch } as unknown as D1Database, { retention: RETENTION });
  const cost = async (work: Promise<unknown>) => {
    seen.written = 0;
    await work;
    return seen.written;
  };
  return { store, seen, cost };
}

function anEvent(n: number, change: Partial<StoredEvent> = {}): StoredEvent {
  const times = { ts: NOW, receivedAt: NOW };
  const internalId = ulid(NOW, new Uint8Array(10).fill(n));
  return { internalId, env: 'production', name: 'user/signup', data: {}, ...times, ...change };
}

function aRun({ internalId, env: runEnv }: StoredEvent): QueuedRun {
  const times = { queuedAt: NOW, checkAt: NOW + MINUTE };
  return { runId: internalId, env: runEnv, functionId: 'app-welcome', eventId: internalId, ...times };
}

function summaryOf({ checkAt: _, ...run }: QueuedRun): RunSummary {
  return { ...run, status: 'Completed', endedAt: NOW, output: 'null' };
}

async function planOf(query: string): Promise<string[]> {
  const parameters = query.match(/\?/g)?.map(() => '[]') ?? [];
  const { results } = await db
    .prepare(`explain query plan ${query}`)
    .bind(...parameters)
    .all<{ detail: string }>();
  return results.map((step) => step.detail);
}

describe('row writes, each of which is paid for', () => {
  test('an event: 3 to store (4 with an id), 1 to dispatch, 1 to delete (2 with an id), none when it comes again', async () => {
    await empty();
    const { store, cost } = watched();
    const [plain, keyed] = [anEvent(1), anEvent(2, { id: 'x' })];
    expect(await cost(store.insertEvents([plain], NOW))).toBe(3);
    expect(await cost(store.insertEvents([keyed], NOW))).toBe(4);
    expect(await cost(admit(store, [plain, keyed], [], NOW))).toBe(0);
    expect(await cost(markDispatched(store, [plain.internalId], NOW))).toBe(1);
    expect(await cost(store.expire(NOW + RETENTION, 10))).toBe(1);
    expect(await cost(markDispatched(store, [keyed.internalId], NOW))).toBe(1);
    expect(await cost(store.expire(NOW + RETENTION, 10))).toBe(2);
  });

  test('a failure: 1 for each event that failed and none for others', async () => {
    await empty();
    const { store, seen, cost } = watched();
    const events = [anEvent(1), anEvent(2, { id: 'x' }), anEvent(3), anEvent(4, { id: 'x' })];
    const ids = events.map((event) => event.internalId);
    await store.insertEvents(events, NOW);
    await markDispatched(store, ids.slice(2, 3), NOW);
    seen.queries = [];
    expect(await cost(store.countFailure(ids))).toBe(2);
    expect(seen.queries).toHaveLength(1);
    expect(await cost(store.countFailure(ids.slice(0, 1)))).toBe(1);
    expect(await cost(store.countFailure(ids.slice(2)))).toBe(0);
    expect(await cost(store.markDead(ids, 'why', NOW))).toBe(2);
    expect(await cost(store.countFailure(ids))).toBe(0);
    seen.queries = [];
    expect(await cost(store.countFailure([]))).toBe(0);
    expect(seen.queries).toEqual([]);
  });

  test('an event that nobody listens to: 2, and none for the name that somebody waits for, but once 1', async () => {
    await empty();
    const { store, cost } = watched();
    expect(await cost(store.admit([{ event: anEvent(1), isHeard: false, version: 0 }], NOW))).toBe(2);
    expect(await cost(store.expectWaits('production', 'user/signup'))).toBe(1);
    expect(await cost(store.expectWaits('production', 'user/signup'))).toBe(0);
    expect(await cost(store.admit([{ event: anEvent(2), isHeard: false, version: 0 }], NOW))).toBe(3);
  });

  test('a run that ends at once: 2 with its end, 1 for the event about that, 1 to dispatch its own', async () => {
    await empty();
    const { store, cost } = watched();
    const [event, end] = [anEvent(1), anEvent(2, { name: 'inngest/function.finished' })];
    await store.insertEvents([event], NOW);
    const ended = [summaryOf(aRun(event))];
    const arrivals = [{ event: end, isHeard: false, version: 0 }];
    const settlement = { ended, arrivals, dispatched: [event.internalId] };
    expect(await cost(store.settle(settlement, NOW))).toBe(4);
    expect(await cost(store.settle(settlement, NOW))).toBe(0);
  });

  test('a duplicate: 2', async () => {
    await empty();
    const { store, cost } = watched();
    await store.insertEvents([anEvent(1, { id: 'x' })], NOW);
    expect(await cost(store.insertEvents([anEvent(2, { id: 'x' })], NOW))).toBe(2);
  });

  test('a run: 3 to open, 1 to close, 2 to move its check, 1 to delete, none when repeated', async () => {
    await empty();
    const { store, cost } = watched();
    const event = anEvent(1);
    const run = aRun(event);
    await store.insertEvents([event], NOW);
    expect(await cost(admit(store, [event], [run], NOW))).toBe(3);
    expect(await cost(admit(store, [event], [run], NOW))).toBe(0);
    expect(await cost(store.scheduleChecks([{ runId: run.runId, checkAt: NOW }]))).toBe(2);
    expect(await cost(closeRuns(store, [summaryOf(run)]))).toBe(1);
    expect(await cost(closeRuns(store, [summaryOf(run)]))).toBe(0);
    expect(await cost(store.scheduleChecks([{ runId: run.runId, checkAt: NOW + 1 }]))).toBe(0);
    expect(await cost(store.expire(NOW + RETENTION, 10))).toBe(0);
    expect(await cost(store.forgetRuns([run.runId]))).toBe(1);
  });
});

describe('flow control writes rows', () => {
  const claim = { env: 'production', functionId: 'app-f', key: 's:x', runId: 'r', at: NOW };

  test('a key: 2 to claim, none when it is claimed again or by another, 1 to delete', async () => {
    await empty();
    const { store, cost } = watched();
    expect(await cost(store.claim([claim]))).toBe(2);
    expect(await cost(store.claim([claim, { ...claim, runId: 'other' }]))).toBe(0);
    expect(await cost(store.expire(NOW + 2 * RETENTION, 10))).toBe(1);
  });

  test('a record of what was skipped: 2, and 1 to delete', async () => {
    await empty();
    const { store, cost } = watched();
    const record: RunSummary = { ...summaryOf(aRun(anEvent(1))), status: 'Skipped', reason: 'duplicate' };
    expect(await cost(closeRuns(store, [record]))).toBe(2);
    expect(await cost(closeRuns(store, [record]))).toBe(0);
    expect(await cost(store.expire(NOW + 2 * RETENTION, 10))).toBe(1);
  });
});

describe('the database', () => {
  test('every table is WITHOUT ROWID, as src/store/schema.ts says', async () => {
    const query = db.prepare(
      `select name, sql from sqlite_master where type = 'table' and name in (${ALL_TABLES.map(() => '?').join()})`,
    );
    const { results } = await query.bind(...ALL_TABLES).all<{ name: string; sql: string }>();
    expect(results.map(({ name }) => name).toSorted()).toEqual(ALL_TABLES.toSorted());
    for (const { sql } of results) expect(sql).toMatch(/WITHOUT ROWID$/);
  });

  test('nothing of an expired event or run stays behind', async () => {
    await empty();
    const { store } = watched();
    const event = anEvent(1, { id: 'x', data: { text: 'x'.repeat(2 * limits.rowText) } });
    await admit(store, [event, anEvent(2, { id: 'x' })], [aRun(event)], NOW);
    await markDispatched(store, [event.internalId], NOW);
    await closeRuns(store, [summaryOf(aRun(event))]);
    expect(await rowCounts()).toEqual({ event: 2, event_part: 3, event_key: 1, run: 1 });
    await store.forgetRuns((await store.expire(NOW + RETENTION, 10)).runIds);
    expect(await rowCounts()).toEqual({ event: 0, event_part: 0, event_key: 0, run: 0 });
  });

  test('the reason of a dead event is kept with it', async () => {
    await empty();
    const { store } = watched();
    await store.insertEvents([anEvent(1), anEvent(2)], NOW);
    await store.markDead([anEvent(1).internalId], 'refused 100 times', NOW);
    await markDispatched(store, [anEvent(1).internalId, anEvent(2).internalId], NOW);
    const { results } = await db.prepare('select dead_reason from event order by internal_id').all();
    expect(results).toEqual([{ dead_reason: 'refused 100 times' }, { dead_reason: null }]);
  });

  test('a batch that fails half-way leaves nothing', async () => {
    await empty();
    const { store } = watched();
    const event = anEvent(1, { id: 'x', data: { text: 'x'.repeat(2 * limits.rowText) } });
    const broken = { ...summaryOf(aRun(event)), functionId: undefined } as unknown as RunSummary;
    await expect(
      store.settle({ arrivals: [{ event, isHeard: true, version: 0 }], ended: [broken] }, NOW),
    ).rejects.toThrow(/NOT NULL/);
    expect(await rowCounts()).toEqual({ event: 0, event_part: 0, event_key: 0, run: 0 });
  });

  test('no statement scans a table or sorts what it found', async () => {
    const { store, seen } = watched();
    const event = anEvent(1, { id: 'x', data: { text: 'x'.repeat(2 * limits.rowText) } });
    const query = { env: event.env, receivedAfter: NOW - DAY, limit: 10, cursor: event.internalId };
    await admit(store, [event], [aRun(event)], NOW);
    await store.listEvents(query);
    await store.listEvents({ ...query, name: event.name });
    await store.listEvents({ ...query, name: 'inngest/function.finished' });
    await store.loadEvents([event.internalId]);
    await store.findEvent(event.env, event.internalId);
    await store.runsOfEvent(event.env, event.internalId);
    await store.findRun(event.env, event.internalId);
    await store.undispatched(NOW, 10);
    await store.runsToCheck(NOW, 10);
    await store.nextCheck();
    await store.countFailure([event.internalId]);
    await store.scheduleChecks([{ runId: event.internalId, checkAt: NOW }]);
    await markDispatched(store, [event.internalId], NOW);
    await closeRuns(store, [summaryOf(aRun(event))]);
    await store.expire(NOW + RETENTION, 10);
    await store.forgetRuns([event.internalId]);
    const plans = await Promise.all(seen.queries.map(async (text) => ({ text, plan: await planOf(text) })));
    const bad = plans.filter(({ plan }) =>
      plan.some((step) => /^SCAN (?!value|json_each)|TEMP B-TREE/.test(step)),
    );
    expect(bad).toEqual([]);
  });

  test('events of one name are found by the index on names', async () => {
    const { store, seen } = watched();
    await store.listEvents({ env: 'production', name: 'a/b', receivedAfter: 0, limit: 10 });
    const plans = await Promise.all(seen.queries.map(planOf));
    expect(plans.flat().filter((step) => step.includes('INDEX event_name'))).toHaveLength(2);
  });
});

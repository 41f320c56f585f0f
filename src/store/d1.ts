/** The store on D1. Every method is one statement or one batch, which D1 runs as one transaction. */
import { eq, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import type { Store } from '../ports.ts';
import { versionOf } from './apps.ts';
import { runBatch } from './batch.ts';
import * as events from './events.ts';
import { expire } from './expire.ts';
import * as runs from './runs.ts';

/** @param options.retention how long events and ended runs are kept, in milliseconds: a day or more. */
export function d1Store(d1: D1Database, options: { retention: number }): Store {
  const db = drizzle(d1);
  return {
    async insertEvents(stored, now) {
      await runBatch(db, events.storeEvents(db, stored, now));
    },
    async admit(stored, queued, now, planned) {
      if (stored.length === 0) return new Set();
      const internalIds = stored.map((event) => event.internalId);
      const isCurrent = planned === undefined ? sql`true` : eq(versionOf(planned.env), planned.version);
      const writes = [...events.storeEvents(db, stored, now), ...runs.openRuns(db, queued, isCurrent)];
      const results = await runBatch(db, [...writes, events.openAmong(db, internalIds, isCurrent)]);
      const rows = results.at(-1) as { internalId: string; isCurrent: number }[];
      if (rows.some((row) => row.isCurrent === 0)) return 'stale';
      return new Set(rows.map((row) => row.internalId));
    },
    async markDispatched(internalIds, now) {
      await runBatch(db, events.settleEvents(db, internalIds, now, null));
    },
    countFailure: (internalIds) => events.countFailure(db, internalIds),
    async markDead(internalIds, reason, now) {
      await runBatch(db, events.settleEvents(db, internalIds, now, reason));
    },
    async closeRuns(summaries) {
      await runBatch(db, runs.closeRuns(db, summaries));
    },
    async scheduleChecks(checks) {
      await runBatch(db, runs.scheduleChecks(db, checks));
    },
    loadEvents: (internalIds) => events.loadEvents(db, internalIds),
    findEvent: (env, internalId) => events.findEvent(db, env, internalId),
    listEvents: (query) => events.listEvents(db, query),
    undispatched: (before, limit) => events.undispatched(db, before, limit),
    runsOfEvent: (env, internalId) => runs.runsOfEvent(db, env, internalId),
    findRun: (env, runId) => runs.findRun(db, env, runId),
    runsToCheck: (now, limit) => runs.runsToCheck(db, now, limit),
    nextCheck: () => runs.nextCheck(db),
    expire: (now, limit) => expire(db, now, limit, options.retention),
    async forgetRuns(runIds) {
      await runBatch(db, runs.forgetRuns(db, runIds));
    },
  };
}

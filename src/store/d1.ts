/** The store on D1. Every method is one statement or one batch, which D1 runs as one transaction. */
import { drizzle } from 'drizzle-orm/d1';
import type { Admitted, Settlement, Store } from '../ports.ts';
import { type Database, runBatch } from './batch.ts';
import * as events from './events.ts';
import { expire } from './expire.ts';
import * as keys from './keys.ts';
import * as runs from './runs.ts';

/** @param options.retention how long events and ended runs are kept, in milliseconds: a day or more. */
export function d1Store(d1: D1Database, options: { retention: number }): Store {
  const db = drizzle(d1);
  return {
    async insertEvents(stored, now, heardAgain = new Set()) {
      const arrivals = stored.map((event) => ({
        event,
        isHeard: true,
        isHeardAgain: heardAgain.has(event.internalId),
        version: 0,
      }));
      await runBatch(db, events.storeEvents(db, arrivals, now));
    },
    admit: (arrivals, now) => write(db, { arrivals }, now),
    settle: (settlement, now) => write(db, settlement, now),
    expectWaits: (env, name) => events.expectWaits(db, env, name),
    countFailure: (internalIds) => events.countFailure(db, internalIds),
    async markDead(internalIds, reason, now) {
      await runBatch(db, events.settleEvents(db, internalIds, now, reason));
    },
    claim: (claims) => keys.claim(db, claims),
    async scheduleChecks(checks) {
      await runBatch(db, runs.scheduleChecks(db, checks));
    },
    loadEvents: (internalIds) => events.loadEvents(db, internalIds),
    findEvent: (env, internalId) => events.findEvent(db, env, internalId),
    listEvents: (query) => events.listEvents(db, query),
    undispatched: (before, limit) => events.undispatched(db, before, limit),
    runsOfEvent: (env, internalId) => runs.runsOfEvent(db, env, internalId),
    findRun: (env, runId) => runs.findRun(db, env, runId),
    listRuns: (query) => runs.listRuns(db, query),
    openRunsOf: (search) => runs.openRunsOf(db, search),
    runsToCheck: (now, limit) => runs.runsToCheck(db, now, limit),
    nextCheck: () => runs.nextCheck(db),
    expire: (now, limit) => expire(db, now, limit, options.retention),
    async forgetRuns(runIds) {
      await runBatch(db, runs.forgetRuns(db, runIds));
    },
  };
}

/** In this order: rows are opened for the runs of events that are not dispatched yet. */
async function write(
  db: Database,
  { arrivals = [], ended = [], open = [], dispatched = [] }: Settlement,
  now: number,
): Promise<Admitted> {
  const writes = [
    ...events.storeEvents(db, arrivals, now),
    ...runs.closeRuns(db, ended),
    ...runs.openRuns(db, open),
    ...events.settleEvents(db, dispatched, now, null),
  ];
  if (arrivals.length === 0) {
    await runBatch(db, writes);
    return new Map();
  }
  const internalIds = arrivals.map(({ event }) => event.internalId);
  const results = await runBatch(db, [...writes, events.openAmong(db, internalIds)]);
  const rows = results.at(-1) as {
    internalId: string;
    isAwaited: number;
    duplicateOf: string | null;
    version: number;
  }[];
  const planned = new Map(arrivals.map(({ event, version }) => [event.internalId, version]));
  return new Map(
    rows.map(({ internalId, isAwaited, duplicateOf, version }) => [
      internalId,
      {
        isAwaited: duplicateOf === null && isAwaited === 1,
        isCurrent: planned.get(internalId) === version,
        ...(duplicateOf === null ? {} : { isDuplicate: true }),
      },
    ]),
  );
}

/**
 * The store in memory, for the simulator and for tests of what uses it; held to the same contract as D1 (test/contracts/store.ts).
 * Every method does its work before its first await, so it is atomic. Faults: wrap it.
 */
import { limits } from '../../src/protocol/limits.ts';
import { FINISHED, RESERVED_PREFIX, TIMER, type StoredEvent } from '../../src/protocol/event.ts';
import type { Admitted, Arrival, Claim, EventRecord, QueuedRun, RunRecord, Store } from '../../src/ports.ts';
import type { RunSummary } from '../../src/protocol/run.ts';
import { indexedOutput } from '../../src/store/runs.ts';
import { expired, idsQueued, idsReceived } from '../../src/store/window.ts';

interface EventRow {
  /** JSON text: what goes in and comes out are copies. */
  text: string;
  internalId: string;
  env: string;
  name: string;
  id: string | undefined;
  receivedAt: number;
  duplicateOf: string | null;
  dispatchedAt: number | null;
  deadReason: string | null;
  failures: number;
}

interface Key {
  internalId: string;
  expiresAt: number;
}

type RunRow = RunRecord & { checkAt: number | null };

class Tables {
  readonly versionOf: (env: string) => number;
  readonly events = new Map<string, EventRow>();
  readonly keys = new Map<string, Key>();
  readonly runs = new Map<string, RunRow>();
  readonly awaited = new Set<string>();
  readonly functionKeys = new Map<string, { runId: string; expiresAt: number }>();

  constructor(versionOf: (env: string) => number) {
    this.versionOf = versionOf;
  }

  insert(arrivals: readonly Arrival[], now: number): void {
    const fresh = new Map<string, Arrival>();
    for (const arrival of arrivals) {
      const { internalId } = arrival.event;
      if (!this.events.has(internalId) && !fresh.has(internalId)) fresh.set(internalId, arrival);
    }
    for (const { event } of fresh.values()) this.takeKey(event);
    for (const arrival of fresh.values()) this.events.set(arrival.event.internalId, this.row(arrival, now));
  }

  admitted(arrivals: readonly Arrival[]): Admitted {
    const open = arrivals.filter(({ event }) => this.isOpen(event.internalId));
    return new Map(
      open.map((arrival) => {
        const isDuplicate = this.events.get(arrival.event.internalId)?.duplicateOf !== null;
        return [
          arrival.event.internalId,
          {
            isAwaited: !isDuplicate && this.isAwaited(arrival.event),
            isCurrent: this.isCurrent(arrival),
            ...(isDuplicate && { isDuplicate }),
          },
        ];
      }),
    );
  }

  private isCurrent({ event, version }: Arrival): boolean {
    return version === this.versionOf(event.env);
  }

  private isAwaited({ env, name }: StoredEvent): boolean {
    return this.awaited.has(keyOf(env, name));
  }

  private takeKey({ env, id, internalId, receivedAt }: StoredEvent): void {
    if (id === undefined) return;
    const taken = this.keys.get(keyOf(env, id));
    if (taken !== undefined && taken.expiresAt > receivedAt) return;
    this.keys.set(keyOf(env, id), { internalId, expiresAt: receivedAt + limits.idempotency });
  }

  private row(arrival: Arrival, now: number): EventRow {
    const { event, isHeard, isHeardAgain } = arrival;
    const { internalId, env, name, id, receivedAt } = event;
    const owner = id === undefined ? internalId : this.keys.get(keyOf(env, id))?.internalId;
    const duplicateOf = owner === undefined || owner === internalId ? null : owner;
    const isOpen =
      (duplicateOf === null || isHeardAgain === true) &&
      (isHeard || !this.isCurrent(arrival) || this.isAwaited(event));
    const dispatchedAt = isOpen ? null : now;
    return {
      text: JSON.stringify(event),
      internalId,
      env,
      name,
      id,
      receivedAt,
      duplicateOf,
      dispatchedAt,
      deadReason: null,
      failures: 0,
    };
  }

  isOpen(internalId: string): boolean {
    return this.events.get(internalId)?.dispatchedAt === null;
  }

  settle(internalIds: readonly string[], now: number, deadReason: string | null): void {
    for (const internalId of internalIds) {
      const row = this.events.get(internalId);
      if (row?.dispatchedAt === null) Object.assign(row, { dispatchedAt: now, deadReason });
    }
  }

  countFailure(internalIds: readonly string[]): Map<string, number> {
    const counts = new Map<string, number>();
    for (const internalId of new Set(internalIds)) {
      const row = this.events.get(internalId);
      if (row?.dispatchedAt === null) counts.set(internalId, ++row.failures);
    }
    return counts;
  }

  claim({ env, functionId, key, runId, at }: Claim): boolean {
    const name = JSON.stringify([env, functionId, key]);
    const taken = this.functionKeys.get(name);
    if (taken !== undefined && taken.expiresAt > at) return taken.runId === runId;
    this.functionKeys.set(name, { runId, expiresAt: at + limits.idempotency });
    return true;
  }

  openRun({ checkAt, isCollected, ...run }: QueuedRun): void {
    const isOpen = isCollected === true ? this.events.has(run.eventId) : this.isOpen(run.eventId);
    if (!isOpen || this.runs.has(run.runId)) return;
    this.runs.set(run.runId, {
      ...run,
      status: 'Running',
      endedAt: null,
      output: null,
      outputInObject: false,
      checkAt,
    });
  }

  closeRun(summary: RunSummary): void {
    const known = this.runs.get(summary.runId);
    if (known !== undefined && known.endedAt !== null) return;
    const output = indexedOutput(summary.output);
    const { reason, ...rest } = summary;
    const { status, endedAt } = rest;
    this.runs.set(summary.runId, {
      ...(known ?? { ...rest, checkAt: null }),
      ...(reason === undefined ? {} : { reason }),
      status,
      endedAt,
      output,
      outputInObject: output === null,
    });
  }
}

/** @param options.versionOf of the registry; without it no app has ever registered. */
export function memoryStore(options: { retention: number; versionOf?: (env: string) => number }): Store {
  const tables = new Tables(options.versionOf ?? (() => 0));
  return {
    async insertEvents(events, now, heardAgain = new Set()) {
      tables.insert(
        events.map((event) => ({
          event,
          isHeard: true,
          isHeardAgain: heardAgain.has(event.internalId),
          version: 0,
        })),
        now,
      );
    },
    async admit(arrivals, now) {
      tables.insert(arrivals, now);
      return tables.admitted(arrivals);
    },
    async settle({ arrivals = [], ended = [], open = [], dispatched = [] }, now) {
      tables.insert(arrivals, now);
      for (const summary of ended) tables.closeRun(summary);
      for (const run of open) tables.openRun(run);
      tables.settle(dispatched, now, null);
      return tables.admitted(arrivals);
    },
    async expectWaits(env, name) {
      tables.awaited.add(keyOf(env, name));
    },
    async countFailure(internalIds) {
      return tables.countFailure(internalIds);
    },
    async markDead(internalIds, reason, now) {
      tables.settle(internalIds, now, reason);
    },
    async claim(claims) {
      return new Set(claims.filter((one) => tables.claim(one)).map(({ runId }) => runId));
    },
    async scheduleChecks(checks) {
      for (const { runId, checkAt } of checks) {
        const row = tables.runs.get(runId);
        if (row?.endedAt === null) row.checkAt = checkAt;
      }
    },
    ...reads(tables),
    async expire(now, limit) {
      const { cutoff, beforeId } = expired(now, options.retention);
      const events = [...tables.events]
        .filter(([id, row]) => id < beforeId && row.receivedAt <= cutoff && row.dispatchedAt !== null)
        .toSorted(byId)
        .slice(0, limit);
      const past = [...tables.runs]
        .filter(([id, row]) => id < beforeId && row.queuedAt <= cutoff && row.endedAt !== null)
        .toSorted(byId);
      const runs = past.filter(([, { status }]) => status !== 'Skipped').slice(0, limit);
      const skipped = past.filter(([, { status }]) => status === 'Skipped').slice(0, limit);
      const keys = [...tables.functionKeys].filter(([, { expiresAt }]) => expiresAt <= now).slice(0, limit);
      for (const [runId] of skipped) tables.runs.delete(runId);
      for (const [name] of keys) tables.functionKeys.delete(name);
      for (const [internalId, { env, id }] of events) {
        tables.events.delete(internalId);
        const key = keyOf(env, id ?? '');
        if ((tables.keys.get(key)?.expiresAt ?? Infinity) <= now) tables.keys.delete(key);
      }
      const more = [events, runs, skipped, keys].some((rows) => rows.length === limit);
      return { runIds: runs.map(([runId]) => runId), more };
    },
    async forgetRuns(runIds) {
      for (const runId of runIds) if (tables.runs.get(runId)?.endedAt !== null) tables.runs.delete(runId);
    },
  };
}

type Reads =
  | 'loadEvents'
  | 'findEvent'
  | 'listEvents'
  | 'runsOfEvent'
  | 'findRun'
  | 'listRuns'
  | 'openRunsOf'
  | 'undispatched'
  | 'runsToCheck'
  | 'nextCheck';

function reads({ events, runs }: Tables): Pick<Store, Reads> {
  return {
    async loadEvents(internalIds) {
      return internalIds
        .flatMap((internalId) => events.get(internalId) ?? [])
        .map((row) => record(row).event);
    },
    async findEvent(env, internalId) {
      const row = events.get(internalId);
      return row?.env === env ? record(row) : null;
    },
    async listEvents(query) {
      const { env, name, receivedAfter, receivedBefore = Infinity, cursor, undispatched, limit } = query;
      const ids = idsReceived(receivedAfter, receivedBefore);
      return [...events.values()]
        .filter((row) => row.env === env && (name === undefined ? row.name !== FINISHED : row.name === name))
        .filter(
          (row) =>
            query.isInternalLeftOut !== true || row.name === TIMER || !row.name.startsWith(RESERVED_PREFIX),
        )
        .filter((row) => undispatched !== true || row.dispatchedAt === null)
        .filter(({ receivedAt }) => receivedAt > receivedAfter && receivedAt < receivedBefore)
        .filter(({ internalId }) => internalId >= ids.from && internalId < ids.to)
        .filter(({ internalId }) => cursor === undefined || internalId < cursor)
        .toSorted((a, b) => (a.internalId < b.internalId ? 1 : -1))
        .slice(0, limit)
        .map(record);
    },
    async runsOfEvent(env, internalId) {
      const found = [...runs].filter(([, run]) => run.env === env && run.eventId === internalId);
      return found.toSorted(byId).map(([, run]) => runRecord(run));
    },
    async findRun(env, runId) {
      const run = runs.get(runId);
      return run?.env === env ? runRecord(run) : null;
    },
    async listRuns({ env, functionIds, eventIds, statuses, time, from, until = Infinity, cursor, limit }) {
      return [...runs]
        .filter(([, run]) => run.env === env && functionIds?.includes(run.functionId) !== false)
        .filter(([, run]) => eventIds?.includes(run.eventId) !== false)
        .filter(([, run]) => statuses?.includes(run.status) !== false)
        .filter(([, run]) => (run[time] ?? -1) >= from && (run[time] ?? Infinity) < until)
        .filter(([runId]) => cursor === undefined || runId < cursor)
        .toSorted(byId)
        .toReversed()
        .slice(0, limit)
        .map(([, run]) => runRecord(run));
    },
    async openRunsOf({ env, functionId, after, before, cursor, window }) {
      const ids = idsQueued(after, before);
      const page = [...runs]
        .filter(([runId]) => runId > cursor && runId >= ids.from && runId < ids.to)
        .toSorted(byId)
        .slice(0, window);
      const found = page
        .map(([, run]) => runRecord(run))
        .filter((run) => run.env === env && run.functionId === functionId && run.endedAt === null)
        .filter(({ queuedAt }) => queuedAt >= after && queuedAt < before);
      return { runs: found, cursor: page.length < window ? null : (page.at(-1)?.[0] ?? null) };
    },
    async undispatched(before, limit) {
      return [...events.values()]
        .filter((row) => row.dispatchedAt === null && row.receivedAt < before)
        .toSorted((a, b) => a.receivedAt - b.receivedAt || (a.internalId < b.internalId ? -1 : 1))
        .slice(0, limit)
        .map((row) => row.internalId);
    },
    async nextCheck() {
      const due = [...runs.values()].flatMap((row) =>
        row.endedAt === null && row.checkAt !== null ? [row.checkAt] : [],
      );
      return due.length === 0 ? null : Math.min(...due);
    },
    async runsToCheck(now, limit) {
      return [...runs.values()]
        .filter((run) => run.endedAt === null && (run.checkAt ?? Infinity) <= now)
        .toSorted((a, b) => (a.checkAt ?? 0) - (b.checkAt ?? 0) || (a.runId < b.runId ? -1 : 1))
        .slice(0, limit)
        .map(({ runId, env, functionId, eventId, queuedAt }) => {
          const deadReason = events.get(eventId)?.deadReason ?? null;
          return { runId, env, functionId, eventId, queuedAt, deadReason };
        });
    },
  };
}

function keyOf(env: string, id: string): string {
  return JSON.stringify([env, id]);
}

function record(row: EventRow): EventRecord {
  const { duplicateOf, deadReason } = row;
  return { event: JSON.parse(row.text) as StoredEvent, duplicateOf, deadReason };
}

function runRecord({ checkAt: _, ...run }: RunRow): RunRecord {
  return run;
}

function byId([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}

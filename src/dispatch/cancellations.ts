/**
 * Bulk cancellations (BC group), a bounded piece in each sweep. A cancellation walks the index of runs, so many rows at a time, and what it
 * has come to is written after each window: a sweep that is lost costs one window, done again.
 *
 * It has ended when every run that was queued in its range was in the index at the time of a walk. A run is in the index as soon as its
 * event is dispatched; so what was received before a moment is settled when no event of before is undispatched.
 */
import { MINUTE } from '../lib/time.ts';
import { condition } from '../match/condition.ts';
import type { CancellationRecord, Cancellations, Clock, Log, RunRecord, Seal, Store } from '../ports.ts';
import { cancelRun, type CancelDeps } from './cancel.ts';
import { inPool } from './pool.ts';
import { openUser } from './user.ts';

export interface CancellationDeps extends CancelDeps {
  cancellations: Cancellations;
  store: CancelDeps['store'] & Pick<Store, 'openRunsOf' | 'loadEvents' | 'undispatched'>;
  /** Null when the deployment has no encryption key. */
  seal: Pick<Seal, 'open'> | null;
  clock: Clock;
  log: Log;
}

/** Of one sweep: cancellations, windows of each, rows of a window, calls under way. */
const BOUND = { cancellations: 20, windows: 10, rows: 1_000, atOnce: 24 };

/** Whether there is more to do at once. */
export async function cancelMany(deps: CancellationDeps): Promise<boolean> {
  let busy = false;
  for (const cancellation of await deps.cancellations.open(BOUND.cancellations)) {
    if (await walk(deps, cancellation)) busy = true;
  }
  return busy;
}

async function walk(deps: CancellationDeps, cancellation: CancellationRecord): Promise<boolean> {
  let state = cancellation;
  for (let windows = 0; windows < BOUND.windows; windows++) {
    state = await look(deps, await begun(deps, state));
    const { since, pass, matched, cancelled, endedAt } = state;
    await deps.cancellations.advance(state.id, { since, pass, matched, cancelled, endedAt });
    if (pass === null) return false;
  }
  return true;
}

/** A new pass begins with the question what will be settled after it. */
async function begun(
  { store, clock }: CancellationDeps,
  state: CancellationRecord,
): Promise<CancellationRecord & Passing> {
  if (state.pass !== null) return { ...state, pass: state.pass };
  const settled = clock.now() - MINUTE;
  const isSettled = (await store.undispatched(settled, 1)).length === 0;
  return { ...state, pass: { cursor: '', until: isSettled ? Math.max(settled, state.since) : state.since } };
}

interface Passing {
  pass: { cursor: string; until: number };
}

/** One window. */
async function look(
  deps: CancellationDeps,
  state: CancellationRecord & Passing,
): Promise<CancellationRecord> {
  const { env, functionId, since, startedBefore, pass } = state;
  const range = { after: since, before: startedBefore };
  const found = await deps.store.openRunsOf({
    env,
    functionId,
    ...range,
    cursor: pass.cursor,
    window: BOUND.rows,
  });
  const chosen = await matching(deps, state, found.runs);
  const outcomes = await inPool(chosen, BOUND.atOnce, (run) => tryCancel(deps, run));
  const matched = state.matched + chosen.length;
  const cancelled = state.cancelled + outcomes.filter((outcome) => outcome === 'cancelled').length;
  // What could not be told is looked at again, by another pass.
  const until = outcomes.includes('failed') ? since : pass.until;
  const counted = { ...state, matched, cancelled };
  if (found.cursor !== null) return { ...counted, pass: { cursor: found.cursor, until } };
  const endedAt = until >= startedBefore ? deps.clock.now() : null;
  return { ...counted, since: until, pass: null, endedAt };
}

async function tryCancel(deps: CancellationDeps, { env, runId }: RunRecord) {
  try {
    return await cancelRun(deps, env, runId);
  } catch (error) {
    deps.log.error('cancellations: a run could not be told', { runId, error });
    return 'failed';
  }
}

/** BC-5: what has no value for a run's event does not match it. */
async function matching(
  deps: CancellationDeps,
  { expression }: CancellationRecord,
  runs: RunRecord[],
): Promise<RunRecord[]> {
  if (expression === null || runs.length === 0) return runs;
  const now = deps.clock.now();
  const isWanted = condition(expression);
  const events = await deps.store.loadEvents([...new Set(runs.map(({ eventId }) => eventId))]);
  const users = await Promise.all(events.map((event) => openUser(deps, event)));
  const wanted = events.filter((event, n) => isWanted(event, users[n], now));
  const ids = new Set(wanted.map(({ internalId }) => internalId));
  return runs.filter(({ eventId }) => ids.has(eventId));
}

/** From closed batches and debounces to runs, on behalf of the gates that gathered them. */
import type { Closed } from '../flow/window.ts';
import { DAY } from '../lib/time.ts';
import type { StoredEvent } from '../protocol/event.ts';
import type { Runs, Store } from '../ports.ts';
import { carryOut, type CarryDeps, type Outcomes } from './carry-out.ts';
import { recordOf } from './gates.ts';

export interface LaunchDeps extends CarryDeps {
  store: Pick<Store, 'settle' | 'claim' | 'loadEvents'>;
}

/** Resolves when the run, or the record that there is none, is durable. May be repeated. */
export async function launch(deps: LaunchDeps, window: Closed): Promise<void> {
  const events = await deps.store.loadEvents(window.events);
  const [event] = events;
  if (event === undefined) {
    const { runId, functionId } = window;
    return deps.log.error('dispatch: collected events have expired', { runId, functionId });
  }
  const { version, configs, paused } = await deps.functions.load(window.env);
  if (!configs.some(({ id }) => id === window.functionId)) return drop(deps, window, event, 'archived');
  if (paused?.has(window.functionId) === true) return drop(deps, window, event, 'paused');
  return begin(deps, window, [event, ...events.slice(1)], version);
}

/** @param version of the registry. */
async function begin(
  deps: LaunchDeps,
  window: Closed,
  events: [StoredEvent, ...StoredEvent[]],
  version: number,
): Promise<void> {
  const { env, functionId, runId, asks, closedAt } = window;
  const [event] = events;
  const registry = version === 0 ? {} : { registry: version };
  const startAt = startOf(window, event);
  const run = { runId, env, functionId, events, queuedAt: closedAt, startAt, ...registry };
  const gated = [{ run, asks, at: closedAt }];
  const plan = { event, starts: [], gated, isHeard: true, isCollected: true, version };
  const outcomes: Outcomes = new Map();
  const admitted = new Map([[event.internalId, { isAwaited: false, isCurrent: true }]]);
  await carryOut(deps, [plan], admitted, 1, outcomes);
  const outcome = outcomes.get(event.internalId);
  if (outcome?.is === 'failed') throw new Error(outcome.reason);
  if (outcome?.is !== 'done') throw new Error('it was not written');
}

/** The function is gone, or paused (DB-20, PA-14). */
async function drop(
  { store, clock }: LaunchDeps,
  window: Closed,
  event: StoredEvent,
  reason: string,
): Promise<void> {
  const { env, functionId, runId, closedAt: queuedAt } = window;
  const now = clock.now();
  const record = recordOf({ env, functionId, runId, eventId: event.internalId, queuedAt }, reason, now);
  await store.settle({ ended: [record] }, now);
}

/** A time in the future puts off what one event starts (DB-13), not a batch (BA-22). */
function startOf({ closedAt, maxSize }: Closed, { ts }: StoredEvent): number {
  return maxSize === undefined ? Math.max(closedAt, ts) : closedAt;
}

/** Whether a run that a gate has let in, at `since`, has not ended. It may not have come yet, or never come: its event may be given up. */
export async function isActive(
  { runs, store }: { runs: Pick<Runs, 'check'>; store: Pick<Store, 'findRun'> },
  env: string,
  { runId, since }: { runId: string; since: number },
  now: number,
): Promise<boolean> {
  const { state } = await runs.check(runId);
  if (state !== 'unknown') return state === 'open';
  return now - since < DAY && (await store.findRun(env, runId))?.endedAt == null;
}

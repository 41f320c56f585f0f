/** Cancellation of a run by its id, also of one that dispatch has not started yet. */
import { MINUTE } from '../lib/time.ts';
import type { Clock, RunRecord, Runs, Store } from '../ports.ts';

export interface CancelDeps {
  runs: Pick<Runs, 'start' | 'read' | 'cancel'>;
  store: Pick<Store, 'findRun' | 'findEvent'>;
  clock: Clock;
}

/** `ended` when it had ended before (CX-30). May be repeated. */
export async function cancelRun(
  deps: CancelDeps,
  env: string,
  runId: string,
): Promise<'cancelled' | 'ended' | 'unknown'> {
  const view = await deps.runs.read(runId);
  if (view !== null) return view.env === env ? deps.runs.cancel(runId) : 'unknown';
  const record = await deps.store.findRun(env, runId);
  if (record === null) return 'unknown';
  if (record.endedAt !== null) return 'ended';
  return (await begin(deps, record)) ? deps.runs.cancel(runId) : 'unknown';
}

/**
 * In the index, and its start has failed so far: dispatch tries it again, and must then find that it is over. So it is started here, for a
 * time that is long enough to cancel it.
 */
async function begin({ runs, store, clock }: CancelDeps, record: RunRecord): Promise<boolean> {
  const { runId, env, functionId, eventId, queuedAt } = record;
  const event = (await store.findEvent(env, eventId))?.event;
  if (event === undefined) return false;
  const parent = event.target?.parent;
  const startAt = clock.now() + MINUTE;
  const start = { runId, env, functionId, events: [event], queuedAt, startAt };
  await runs.start(parent === undefined ? start : { ...start, parent });
  return true;
}

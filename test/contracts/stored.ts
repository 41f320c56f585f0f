/** The steps of an event's way through a store, one at a time, as tests need them. */
import type { QueuedRun, Store } from '../../src/ports.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import type { RunSummary } from '../../src/protocol/run.ts';

/** Admits events that somebody listens to and opens the rows of their runs; answers which are to be dispatched. */
export async function admit(
  store: Store,
  events: StoredEvent[],
  open: QueuedRun[],
  now: number,
): Promise<Set<string>> {
  const admitted = await store.admit(
    events.map((event) => ({ event, isHeard: true, version: 0 })),
    now,
  );
  await store.settle({ open }, now);
  return new Set(admitted.keys());
}

export async function markDispatched(store: Store, dispatched: string[], now: number): Promise<void> {
  await store.settle({ dispatched }, now);
}

/** @param now of no consequence for runs. */
export async function closeRuns(store: Store, ended: RunSummary[], now = 0): Promise<void> {
  await store.settle({ ended }, now);
}

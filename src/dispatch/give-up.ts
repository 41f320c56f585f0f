/**
 * Events whose starts fail. Each failure is counted with its event, where neither an outage nor a lost message changes it, and only an
 * event that has failed so often itself is given up. Whatever goes wrong in here is nobody's failure: the event is tried again.
 */
import { ulidTime } from '../lib/ulid.ts';
import { MINUTE } from '../lib/time.ts';
import type { DeadMessage } from '../protocol/message.ts';
import type { Clock, Log, Sender, Store } from '../ports.ts';
import { chunks } from '../lib/chunks.ts';
import type { Outcomes } from './carry-out.ts';

export interface GiveUpDeps {
  store: Pick<Store, 'countFailure' | 'markDead'>;
  dead: Sender<DeadMessage>;
  clock: Clock;
  log: Log;
}

const FAILURES = 8;
/** Failures may come close together, as sweeps and repeats bring an event too: a shorter outage of the objects ends no event. */
const LEAST_AGE = 5 * MINUTE;
/** A letter has to fit into a message of the queue. */
const IDS_PER_LETTER = 1_000;

/** Afterwards those are `done` that were given up, and those that another delivery has settled in the meantime. */
export async function giveUp(deps: GiveUpDeps, queue: string, outcomes: Outcomes): Promise<void> {
  const reasons = new Map<string, string>();
  for (const [internalId, outcome] of outcomes)
    if (outcome.is === 'failed') reasons.set(internalId, outcome.reason);
  const counts = await count(deps, [...reasons.keys()]);
  if (counts === null) return;
  for (const internalId of reasons.keys())
    if (!counts.has(internalId)) outcomes.set(internalId, { is: 'done' });
  const youngest = deps.clock.now() - LEAST_AGE;
  const hopeless = [...counts].flatMap(([internalId, failures]) =>
    failures >= FAILURES && ulidTime(internalId) <= youngest ? [internalId] : [],
  );
  for (const [reason, group] of Map.groupBy(hopeless, (internalId) => reasons.get(internalId) ?? '')) {
    for (const ids of chunks(group, IDS_PER_LETTER)) {
      if (!(await bury(deps, { queue, reason, body: { ids } }, ids))) continue;
      for (const internalId of ids) outcomes.set(internalId, { is: 'done' });
    }
  }
}

/** Null when the store is in trouble. */
async function count(deps: GiveUpDeps, internalIds: string[]): Promise<Map<string, number> | null> {
  if (internalIds.length === 0) return new Map();
  try {
    return await deps.store.countFailure(internalIds);
  } catch (error) {
    deps.log.error('dispatch: failures were not counted', { events: internalIds.length, error });
    return null;
  }
}

/** The letter first: it may come twice, and is not lost. The store keeps the events and why nothing came of them; the letter names them. */
async function bury(deps: GiveUpDeps, letter: DeadMessage, ids: string[]): Promise<boolean> {
  deps.log.error('dispatch: events are given up', { events: ids.length, reason: letter.reason });
  try {
    await deps.dead.send([letter]);
    await deps.store.markDead(ids, letter.reason, deps.clock.now());
    return true;
  } catch (error) {
    deps.log.error('dispatch: events were not given up', { events: ids.length, error });
    return false;
  }
}

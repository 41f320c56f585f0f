/**
 * The consumer of EVENTS: from messages to started runs. A message is acknowledged when nothing is left to do for any of its
 * events, given back when something is, and given up when that does not help; a message never decides about another one.
 */
import type { StoredEvent } from '../protocol/event.ts';
import { eventsMessage } from '../protocol/message.ts';
import { bury, DELIVERIES, type DeliveryDeps, giveBack, issueText, type Message } from './delivery.ts';
import { chunks } from './pool.ts';
import { dispatchWave, type Outcomes, type WaveDeps } from './wave.ts';

export type EventsDeps = WaveDeps & DeliveryDeps;

interface Parcel {
  message: Message;
  events: StoredEvent[];
  ids: string[];
}

/** Events that came whole are small; those that came by id may have `limits.eventBytes` each, so few are in memory at once. */
const WHOLE = { wave: 1_000, atOnce: 48 };
const BY_ID = { wave: 10, atOnce: 8 };
const QUEUE = 'events';

export async function consumeEvents(messages: readonly Message[], deps: EventsDeps): Promise<void> {
  const parcels = (await Promise.all(messages.map((message) => unpack(deps, message)))).filter(
    (parcel) => parcel !== null,
  );
  const outcomes: Outcomes = new Map();
  await dispatchWhole(deps, parcels, outcomes);
  await dispatchById(deps, parcels, outcomes);
  await Promise.all(parcels.map((parcel) => settle(deps, parcel, outcomes)));
}

async function unpack(deps: EventsDeps, message: Message): Promise<Parcel | null> {
  const parsed = eventsMessage.safeParse(message.body);
  if (parsed.success) return { message, ...parsed.data };
  await bury(deps, message, { queue: QUEUE, reason: issueText(parsed.error), body: message.body });
  return null;
}

async function dispatchWhole(deps: EventsDeps, parcels: Parcel[], outcomes: Outcomes): Promise<void> {
  const events = new Map(
    parcels.flatMap((parcel) => parcel.events).map((event) => [event.internalId, event]),
  );
  for (const wave of chunks([...events.values()], WHOLE.wave)) {
    add(outcomes, await dispatchWave(deps, wave, WHOLE.atOnce));
  }
}

async function dispatchById(deps: EventsDeps, parcels: Parcel[], outcomes: Outcomes): Promise<void> {
  const ids = new Set(parcels.flatMap((parcel) => parcel.ids).filter((id) => !outcomes.has(id)));
  for (const wave of chunks([...ids], BY_ID.wave)) {
    const events = await load(deps, wave);
    for (const id of wave) outcomes.set(id, events === null ? { is: 'store' } : NOT_STORED);
    if (events !== null) add(outcomes, await dispatchWave(deps, events, BY_ID.atOnce));
  }
}

const NOT_STORED = { is: 'failed', reason: 'ids: no such event is stored' } as const;

async function load(deps: EventsDeps, ids: string[]): Promise<StoredEvent[] | null> {
  try {
    return await deps.store.loadEvents(ids);
  } catch (error) {
    deps.log.error('dispatch: events were not loaded', { events: ids.length, error });
    return null;
  }
}

function add(outcomes: Outcomes, more: Outcomes): void {
  for (const [internalId, outcome] of more) outcomes.set(internalId, outcome);
}

async function settle(deps: EventsDeps, { message, events, ids }: Parcel, outcomes: Outcomes): Promise<void> {
  const failed = new Map<string, string>();
  let waits = false;
  for (const internalId of [...events.map((event) => event.internalId), ...ids]) {
    const outcome = outcomes.get(internalId);
    if (outcome?.is === 'failed') failed.set(internalId, outcome.reason);
    if (outcome?.is === 'store') waits = true;
  }
  if (failed.size === 0 && !waits) message.ack();
  else if (waits || message.attempts < DELIVERIES) giveBack(message);
  else await giveUp(deps, message, failed);
}

/** The store keeps the events and why nothing came of them; the dead letter names them. */
async function giveUp(deps: EventsDeps, message: Message, failed: Map<string, string>): Promise<void> {
  try {
    for (const [reason, group] of Map.groupBy(failed, ([, why]) => why)) {
      await deps.store.markDead(
        group.map(([internalId]) => internalId),
        reason,
        deps.clock.now(),
      );
    }
  } catch (error) {
    deps.log.error('dispatch: events were not marked as dead', { events: failed.size, error });
    giveBack(message);
    return;
  }
  const reason = [...new Set(failed.values())].join('; ');
  await bury(deps, message, { queue: QUEUE, reason, body: { ids: [...failed.keys()] } });
}

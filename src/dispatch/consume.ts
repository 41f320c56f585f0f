/**
 * The consumer of EVENTS: from messages to started runs. A message is acknowledged when nothing is left to do for any of its
 * events, and given back when something is; a message never decides about another one. How often a message came says nothing of its
 * events: trouble of the store brings it back as well. What an event's own starts have come to is counted in its row.
 */
import type { StoredEvent } from '../protocol/event.ts';
import { eventsMessage } from '../protocol/message.ts';
import { bury, type DeliveryDeps, giveBack, issueText, type Message } from './delivery.ts';
import { giveUp } from './give-up.ts';
import { chunks } from '../lib/chunks.ts';
import type { Outcomes } from './carry-out.ts';
import { dispatchWave, type WaveDeps } from './wave.ts';

export type EventsDeps = WaveDeps & DeliveryDeps;

interface Parcel {
  message: Message;
  events: StoredEvent[];
  ids: string[];
}

/** Events that came whole are small; those that came by id may have `limits.eventBytes` each, so few are in memory at once. */
const WHOLE = { wave: 250, atOnce: 48 };
const BY_ID = { wave: 10, atOnce: 8 };
const QUEUE = 'events';
/** Deliveries of a message after which an id of no stored event is let go. If that event is stored after all, a sweep sends it. */
const DELIVERIES = 8;

export async function consumeEvents(messages: readonly Message[], deps: EventsDeps): Promise<void> {
  const parcels = (await Promise.all(messages.map((message) => unpack(deps, message)))).filter(
    (parcel) => parcel !== null,
  );
  const outcomes: Outcomes = new Map();
  await dispatchWhole(deps, parcels, outcomes);
  await dispatchById(deps, parcels, outcomes);
  await giveUp(deps, QUEUE, outcomes);
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
    for (const id of wave) outcomes.set(id, { is: events === null ? 'later' : 'missing' });
    if (events !== null) add(outcomes, await dispatchWave(deps, events, BY_ID.atOnce));
  }
}

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
  const all = [...events.map((event) => event.internalId), ...ids];
  const open = all.filter((internalId) => outcomes.get(internalId)?.is !== 'done');
  const isLost = message.attempts >= DELIVERIES && open.every((id) => outcomes.get(id)?.is === 'missing');
  if (open.length === 0) message.ack();
  else if (!isLost) giveBack(message);
  else
    await bury(deps, message, { queue: QUEUE, reason: 'ids: no such event is stored', body: { ids: open } });
}

/**
 * Where accepted events are safe (EA-10). A small request goes to the store, and is dispatched at once when that took it (`prompt`).
 * When it did not, or is late, and for all other requests there are two places, told at the same time:
 *
 *  - The store has them: accepted, whatever becomes of the message. A sweep sends what is not dispatched again.
 *  - The store fails, or says nothing for a while, and the queue has them whole: accepted. The consumer writes the rows.
 *
 * An event too large for a message travels by its id, which means nothing before the store has it. A request with such an event
 * therefore goes to the store first and is refused without it, so that no part of a refused request is on its way.
 */
import type { Log, Sender, Store } from '../ports.ts';
import type { StoredEvent } from '../protocol/event.ts';
import { SECOND } from '../lib/time.ts';
import type { EventsMessage } from '../protocol/message.ts';
import { pack } from './pack.ts';
import { within, type Timer } from './patience.ts';
import { Refusal } from './refusal.ts';

export interface DurableDeps {
  store: Pick<Store, 'insertEvents'>;
  events: Sender<EventsMessage>;
  timer: Timer;
  log: Log;
  /** Stores events and dispatches them at once, if it has time for them (src/dispatch/prompt.ts). */
  prompt?: (events: StoredEvent[], now: number) => { stored: Promise<boolean>; over: Promise<void> };
}

/** Keeps a promise going after the answer is out (`waitUntil`). */
export type Background = (work: Promise<unknown>) => void;

/** How long the store, then either of the two places, may take. */
export const PATIENCE = 3 * SECOND;
/** After so long without an answer of the store the queue is told as well. */
const PROMPT = SECOND / 2;
const RETRY_AFTER_SECONDS = 5;

export async function makeDurable(
  deps: DurableDeps,
  events: StoredEvent[],
  now: number,
  background: Background,
): Promise<void> {
  const { whole, byId } = pack(events);
  if (byId.length === 0 && deps.prompt !== undefined) {
    const { stored, over } = deps.prompt(events, now);
    background(over);
    if ((await within(stored, PROMPT, deps.timer)) === true) return;
  }
  const store = () => answered(deps, 'store', () => deps.store.insertEvents(events, now));
  const queue = (messages: EventsMessage[]) => answered(deps, 'queue', () => deps.events.send(messages));
  if (byId.length > 0) {
    const stored = store();
    background(stored);
    if ((await within(stored, 2 * PATIENCE, deps.timer)) !== true) throw unavailable();
    background(queue([...whole, ...byId]));
    return;
  }
  const stored = store();
  const queued = queue(whole);
  background(Promise.all([stored, queued]));
  if ((await within(stored, PATIENCE, deps.timer)) === true) return;
  if ((await within(firstYes(stored, queued), PATIENCE, deps.timer)) !== true) throw unavailable();
}

/** Whether the place took the events; never rejects, so that it can be left to itself. */
async function answered(deps: DurableDeps, place: string, tell: () => Promise<void>): Promise<boolean> {
  try {
    await tell();
    return true;
  } catch (error) {
    deps.log.error(`intake: the ${place} did not take the events`, { error });
    return false;
  }
}

function firstYes(...answers: Promise<boolean>[]): Promise<boolean> {
  const yes = answers.map(async (answer) => {
    if (!(await answer)) throw new Error('no');
    return true;
  });
  return Promise.any(yes).catch(() => false);
}

function unavailable(): Refusal {
  return new Refusal(503, 'the events could not be stored; send them again', RETRY_AFTER_SECONDS);
}

/** The store behind a network: slow at times, and failing before or after it did what it was asked. */
import type { Arrival, EventRecord, Settlement, Store } from '../../src/ports.ts';
import { MINUTE, SECOND } from '../../src/lib/time.ts';
import { memoryStore } from '../fakes/store.ts';
import { FINISHED, type StoredEvent } from '../../src/protocol/event.ts';
import { tickName } from './cron-watch.ts';
import { Fault, type Faults } from './faults.ts';
import type { World } from './world.ts';

const TICK = 'inngest/scheduled.timer';
const LATENCY = 8;
const STALL = { least: SECOND, most: MINUTE };
const OUTAGE = { least: 5 * SECOND, most: 20 * MINUTE };

export interface SimStore {
  /** By the `key` in their data: the events that the store has. */
  stored: ReadonlySet<string>;
  /** When it had each event for the first time, by internal id. */
  storedAt: ReadonlyMap<string, number>;
  /** What the engine is given. */
  store: Store;
  /** The same rows without a network in between. */
  inside: Store;
}

export function simStore(world: World, faults: Faults, retention: number): SimStore {
  const inside = memoryStore({ retention });
  const stored = new Set<string>();
  const storedAt = new Map<string, number>();
  let outageUntil = 0;

  async function call<Result>(
    name: string,
    events: StoredEvent[],
    work: () => Promise<Result>,
  ): Promise<Result> {
    await world.hop(LATENCY);
    if (!faults.isHealed && faults.strikes('store outage'))
      outageUntil = world.now + faults.between(OUTAGE.least, OUTAGE.most);
    if (faults.strikes('store stalls')) await world.hop(faults.between(STALL.least, STALL.most));
    if (faults.isHealed) outageUntil = 0;
    if (world.now < outageUntil) throw new Fault(`store: ${name} during an outage`);
    if (faults.strikes('store refuses')) throw new Fault(`store: ${name} refused`);
    const result = await work();
    for (const event of events) {
      stored.add(keyOf(event));
      if (!storedAt.has(event.internalId)) storedAt.set(event.internalId, world.now);
    }
    await world.hop(LATENCY);
    if (faults.strikes('store fails after it took effect'))
      throw new Fault(`store: ${name} answered nothing`);
    return result;
  }

  const store = Object.fromEntries(
    Object.entries(inside).map(([name, method]) => [
      name,
      (...args: unknown[]) =>
        call(name, eventsIn(name, args[0]), () =>
          (method as (...input: unknown[]) => Promise<unknown>)(...args),
        ),
    ]),
  );
  return { store: store as unknown as Store, inside, stored, storedAt };
}

/** What the methods that store events are given. */
function eventsIn(name: string, given: unknown): StoredEvent[] {
  if (name === 'insertEvents') return given as StoredEvent[];
  const arrivals =
    name === 'admit' ? (given as Arrival[]) : name === 'settle' && (given as Settlement).arrivals;
  return (arrivals || []).map(({ event }) => event);
}

/** Without a name the list is that for people, which leaves out the ends of all runs. */
export async function allEvents(store: Store, env: string): Promise<EventRecord[]> {
  const query = { env, receivedAfter: 0, limit: Infinity };
  const lists = [store.listEvents(query), store.listEvents({ ...query, name: FINISHED })];
  return (await Promise.all(lists)).flat();
}

/** Every event of a history carries its name in its data; those of the engine say which tick or which run they are about. */
export function keyOf({ name, data, ts, target }: StoredEvent): string {
  if (name === TICK) return tickName(target?.functionId ?? '', ts);
  return typeof data['key'] === 'string' ? data['key'] : `${name} of ${JSON.stringify(data['run_id'])}`;
}

/** A waits object, the history, the runs and time, with a hand on each: calls out of the object are answered when the test says so. */
import { WaitsOwner } from '../../durable-objects/waits-owner.ts';
import type { EventQuery, EventRecord } from '../../src/ports.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import type { Wait } from '../../src/protocol/wait.ts';
import { memoryWaitsStorage } from '../fakes/waits.ts';
import { ObjectLife } from '../fakes/life.ts';

export const START = 1_700_000_000_000;
const NAME = 'order/paid';

export function event(n: number, receivedAt: number, data: object = {}): StoredEvent {
  return {
    internalId: `0EVENT${String(n).padStart(20, '0')}`,
    env: 'main',
    name: NAME,
    data: data as StoredEvent['data'],
    ts: receivedAt,
    receivedAt,
  };
}

export function waitFor(key: string, over: Partial<Wait> = {}): Wait {
  return {
    env: 'main',
    event: NAME,
    runId: `RUN-${key}`,
    key,
    kind: 'resume',
    expression: 'event.data.id == async.data.id',
    given: { data: { id: key } },
    since: START,
    until: START + 3_600_000,
    except: [],
    ...over,
  };
}

interface Stored extends EventRecord {
  isDispatched: boolean;
}

export interface Told {
  runId: string;
  key: string | null;
  eventId: string | null;
}

export interface Doings {
  /** What a page of the history is answered with, or why not. */
  page?: (page: () => EventRecord[]) => Promise<EventRecord[]>;
  /** Whether dispatch was told that events of this name are awaited. */
  expect?: () => Promise<void>;
  /** What a run answers. */
  tell?: (told: Told, event: StoredEvent | null) => Promise<'taken' | 'gone'>;
}

export class WaitsWorld extends ObjectLife<WaitsOwner> {
  readonly history: Stored[] = [];
  readonly told: Told[] = [];
  readonly errors: string[] = [];
  readonly doings: Doings;
  /** Read of the history. */
  pages = 0;
  owner: WaitsOwner;

  constructor(doings: Doings = {}) {
    super(START);
    this.doings = doings;
    this.owner = this.build();
  }

  store(...events: StoredEvent[]): void {
    for (const each of events)
      this.history.push({ event: each, duplicateOf: null, deadReason: null, isDispatched: false });
  }

  storeDuplicate(each: StoredEvent): void {
    this.history.push({ event: each, duplicateOf: 'the first', deadReason: null, isDispatched: true });
  }

  markDispatched(internalId: string): void {
    for (const row of this.history) if (row.event.internalId === internalId) row.isDispatched = true;
  }

  rows(): { path: string; value: string }[] {
    return this.#query('SELECT path, value FROM wait ORDER BY run, key');
  }

  hasWait(runId: string): boolean {
    return this.disk.database.prepare('SELECT 1 FROM wait WHERE run = ?').all(runId).length > 0;
  }

  count(table: 'wait' | 'debt' | 'piece'): number {
    return this.#query<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)[0]?.n ?? 0;
  }

  #query<Row>(text: string): Row[] {
    return this.disk.database.prepare(text).all() as Row[];
  }

  protected build(): WaitsOwner {
    const life = this.lives;
    const isAlive = () => life === this.lives;
    /** To an object that is gone nothing comes back. */
    const answer = async <Value>(promise: Promise<Value>): Promise<Value> => {
      const settled = await promise.then(
        (value) => () => value,
        (error: unknown) => () => {
          throw error;
        },
      );
      return isAlive() ? settled() : new Promise<never>(() => undefined);
    };
    const tell = async (told: Told, each: StoredEvent | null): Promise<'taken' | 'gone'> => {
      this.told.push(told);
      return (await this.doings.tell?.(told, each)) ?? 'taken';
    };
    return new WaitsOwner({
      storage: memoryWaitsStorage(this.disk, isAlive),
      clock: { now: () => this.now },
      timer: (ms, fire) => {
        const timer = { at: this.now + ms, fire };
        if (isAlive()) this.timers.push(timer);
        return () => void (this.timers = this.timers.filter((other) => other !== timer));
      },
      log: { error: (message) => void this.errors.push(message) },
      history: {
        expectWaits: () => answer(this.doings.expect?.() ?? Promise.resolve()),
        listEvents: (query) => {
          this.pages++;
          const read = () => this.#page(query);
          return answer(this.doings.page?.(read) ?? Promise.resolve(read()));
        },
      },
      waiters: {
        resume: (runId, key, each) => answer(tell({ runId, key, eventId: each.internalId }, each)),
        cancel: (runId) => answer(tell({ runId, key: null, eventId: null }, null)),
      },
      view: ({ data, name, ts }) => ({ data, name, ts }),
      abort: (reason) => {
        if (isAlive()) throw new Error(reason);
      },
    });
  }

  #page({ env, name, receivedAfter, receivedBefore = Infinity, cursor, limit, undispatched }: EventQuery) {
    return this.history
      .filter(({ event: each }) => each.env === env && each.name === name)
      .filter(({ event: each }) => each.receivedAt > receivedAfter && each.receivedAt < receivedBefore)
      .filter(({ event: each }) => cursor === undefined || each.internalId < cursor)
      .filter(({ isDispatched }) => undispatched !== true || !isDispatched)
      .toSorted((a, b) => (a.event.internalId < b.event.internalId ? 1 : -1))
      .slice(0, limit)
      .map(({ event: each, duplicateOf }) => ({
        event: structuredClone(each),
        duplicateOf,
        deadReason: null,
      }));
  }
}

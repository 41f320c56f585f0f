/**
 * The owner of the waits for one event name: finds who an event is for, decides which event a wait gets, and tells the runs. Knows
 * nothing of the platform, so that the simulator runs it as it is.
 *
 *  1. A wait is decided once, in one transaction with the event that it gets, and a run is told only after that.
 *  2. No event is missed: a wait is known here before its look-back reads the history, an event is in the history before it is
 *     delivered, so whichever comes second finds the first.
 *  3. While a look at the history is under way, an event that is delivered for the wait does not decide it: an earlier one may be
 *     found. Of a wait that has a row it is written down that the event came (a debt), because dispatch will not bring it again.
 *     A new wait gets its row when its look-back is over, in one write with what that found: if it is interrupted, nothing is
 *     stored, and the repeat looks back again.
 *  4. A match stays in the rows until its run took it, or wants it no more. After a crash the alarm, the next call or the
 *     repeat of the call that found no end sends it again.
 *  5. A look-back that failed is a debt too: the alarm does it again, and until then the wait gets no event.
 */
import * as z from 'zod';
import { inPool } from '../src/dispatch/pool.ts';
import { chunks } from '../src/lib/chunks.ts';
import { within, type Timer } from '../src/ingest/patience.ts';
import {
  byReceipt,
  Conditions,
  earlier,
  firstMatch,
  placeOf,
  searches,
  type Offer,
  type Place,
  type Search,
} from '../src/match/waits.ts';
import { storedEvent, type StoredEvent } from '../src/protocol/event.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../src/lib/time.ts';
import type { WaitsRpc } from '../src/protocol/rpc.ts';
import { wait as waitSchema, type Wait } from '../src/protocol/wait.ts';
import type { Clock, EventQuery, EventRecord, Log, Waiters } from '../src/ports.ts';
import type { ObjectStorage } from './storage.ts';
import { WaitRows, type Parcel, type WaitKey } from './waits-rows.ts';

interface History {
  /** Newest first, by internal id. */
  listEvents(query: EventQuery): Promise<EventRecord[]>;
  /** Events that are stored later than this are delivered. */
  expectWaits(env: string, name: string): Promise<void>;
}

export interface WaitsDeps {
  storage: ObjectStorage;
  clock: Clock;
  timer: Timer;
  log: Log;
  history: History;
  waiters: Waiters;
  /** What expressions see as `async`; `user` is opened (EX-19). */
  view(event: StoredEvent): object | Promise<object>;
  /** Gives this owner up: it may not be used any more. */
  abort(reason: string): void;
}

/** An event of the history may have 3 MB. */
const PAGE = 25;
/** Debts that one walk through the history pays. */
const DEBTS = 50;
/** Sends of one call or alarm: the platform counts subrequests; and how many at a time. */
const SENDS = { most: 800, atOnce: 25, chunk: 100 };
/** For one run's answer, and for all answers before a call returns without them. */
const PATIENCE = { run: 10 * SECOND, call: 3 * SECOND };
/** Unfinished business is tried again when it is twice as old, within these bounds. */
const AGAIN = { least: 5 * SECOND, most: HOUR };
/** Stale rows of one transaction. */
const SWEPT = 1_000;

/** A wait, and the earliest event found for it so far. */
interface Look {
  wait: Wait;
  /** Of a wait that has no row yet: where events find it. */
  place: Place | null;
  /** The run wants it no more. */
  isDropped: boolean;
  best: Offer | null;
  /** Fulfilled when the look is over, however it ended. */
  over: Promise<void>;
  end: () => void;
}

interface Sendable {
  parcel: Parcel;
  /** If it is still in memory. */
  offer?: Offer;
}

type Match = Required<Sendable>;

/** What of the history is looked at. */
interface Stretch {
  from: number;
  to: number;
  undispatched?: boolean;
}

export class WaitsOwner implements WaitsRpc {
  readonly #deps: WaitsDeps;
  readonly #rows: WaitRows;
  readonly #conditions = new Conditions();
  /** Under way now. */
  readonly #looks = new Map<string, Look>();
  /** Matches whose run is being told now. */
  readonly #sending = new Set<string>();
  /** Dispatch knows that events of this name are to be delivered. Before it does, no look at the history is worth anything. */
  #isExpected = false;
  /** When the alarm is due; undefined until the platform was asked. */
  #armed: number | null | undefined;
  #sweptAt = -Infinity;
  /** Where the last alarm ended that could not send everything. */
  #sentTo: Parcel | null = null;

  constructor(deps: WaitsDeps) {
    this.#deps = deps;
    this.#rows = new WaitRows(deps.storage);
  }

  /** Rejects when it was interrupted: it is to be repeated then. A history that cannot be read is no reason to. */
  async listen(given: Wait[]): Promise<void> {
    const parsed = z.array(waitSchema).parse(given);
    const waits = [...new Map(parsed.map((wait) => [nameOf(wait), wait])).values()];
    await this.#wake();
    this.#keep(waits);
    const under = waits.flatMap((wait) => this.#looks.get(nameOf(wait)) ?? []);
    const fresh = waits.filter((wait) => !this.#looks.has(nameOf(wait)) && this.#rows.find(wait) === null);
    await Promise.all([this.#register(fresh), ...under.map((look) => look.over)]);
  }

  /** Whoever comes for a wait when it is nearly stale asks next what became of it: it must still be there then. */
  #keep(waits: Wait[]): void {
    const now = this.#now();
    const late = waits.filter((wait) => wait.until < now - DAY / 2 && this.#rows.find(wait) !== null);
    if (late.length > 0) this.#transact(() => late.forEach((wait) => this.#rows.keep(wait, now)));
  }

  async deliver(given: StoredEvent[]): Promise<void> {
    if (!this.#rows.exist && this.#looks.size === 0) return;
    await this.#wake();
    const offers = await this.#offers(z.array(storedEvent).parse(given));
    const matches = this.#transact(() => this.#settleAll(this.#match(offers)));
    // Another delivery of the same event may be telling its run, and may be lost: nobody else will deliver it again.
    if (this.#sending.size > 0) this.#armBy(this.#now() + AGAIN.least);
    if (matches.length === 0) return;
    const sent = await within(this.#send(matches), PATIENCE.call, this.#deps.timer);
    if (sent !== 'all') this.#armBy(this.#now() + AGAIN.least);
  }

  /** Rejects when the history cannot be read: nothing is decided then, and it is to be repeated. */
  async expire(runId: string, key: string): Promise<StoredEvent | null> {
    await this.#wake();
    const name = nameOf({ runId, key });
    for (let look = this.#looks.get(name); look !== undefined; look = this.#looks.get(name)) await look.over;
    const row = this.#rows.find({ runId, key });
    if (row === null) return null;
    if (row.matched !== null) return this.#rows.event(row);
    return this.#lastLook(row.wait);
  }

  async drop(runId: string, keys: string[]): Promise<void> {
    this.#transact(() => {
      for (const key of keys) {
        const look = this.#looks.get(nameOf({ runId, key }));
        if (look !== undefined) look.isDropped = true;
        this.#rows.remove({ runId, key });
      }
    });
  }

  /** Never throws: the platform gives an alarm up after six throws, and those who wait with it. */
  async alarm(): Promise<void> {
    this.#armed = null;
    let isMore = false;
    try {
      await this.#payAllDebts();
      isMore = await this.#sendAgain();
      isMore = this.#sweep() || isMore;
    } catch (error) {
      this.#deps.log.error('waits: an alarm failed, it is tried again', { error });
    }
    try {
      this.#armNext(isMore);
    } catch (error) {
      this.#deps.log.error('waits: the alarm was not set', { error });
    }
  }

  /** The platform may have lost an alarm, a crash the sends that followed a match. */
  async #wake(): Promise<void> {
    if (this.#armed !== undefined) return;
    const armed = await this.#deps.storage.alarm();
    if (this.#armed !== undefined) return;
    this.#armed = armed !== null && armed < this.#now() - MINUTE ? null : armed;
    this.#armNext(false);
  }

  /** Nothing is written while the rows are read. */
  #match(offers: Offer[]): Match[] {
    const now = this.#now();
    const matches: Match[] = [];
    const all = searches(offers, this.#rows.paths());
    const places = new Map<string, Search>(all.map((search) => [textOf(search), search]));
    for (const look of this.#looks.values()) {
      const search = look.place === null ? undefined : places.get(textOf(look.place));
      look.best = earlier(look.best, firstMatch(look.wait, search?.offers ?? [], this.#conditions, now));
    }
    for (const { wait, search } of this.#rows.found(all)) {
      const offer = firstMatch(wait, search.offers, this.#conditions, now);
      if (offer !== null) matches.push({ parcel: parcelOf(wait, offer.event), offer });
    }
    return matches;
  }

  /** Of waits that nothing keeps from having their event; answers those. Only inside a transaction. */
  #settleAll(matches: Match[]): Match[] {
    const now = this.#now();
    const free = matches.filter((match) => this.#isFree(match, now));
    const times = new Map<string, number>();
    for (const { parcel } of free) times.set(parcel.eventId, (times.get(parcel.eventId) ?? 0) + 1);
    for (const { parcel, offer } of free)
      this.#rows.settle(parcel, offer.event, (times.get(parcel.eventId) ?? 0) > 1, now);
    return free;
  }

  /** A debt's alarm is for the case that the look is interrupted. */
  #isFree({ parcel, offer }: Match, now: number): boolean {
    const look = this.#looks.get(nameOf(parcel));
    if (look === undefined) return !this.#rows.isOwed(parcel);
    look.best = earlier(look.best, offer);
    this.#rows.owe(parcel, now);
    this.#armBy(now + AGAIN.least);
    return false;
  }

  async #register(waits: Wait[]): Promise<void> {
    const looks = waits.map((wait) => {
      const place = placeOf(wait, this.#conditions, (at) => this.#rows.crowd(at));
      this.#rows.expect(place.path);
      return this.#begin(wait, place);
    });
    if (looks.length === 0) return;
    const isRead = await this.#lookBack(looks);
    const matches = this.#conclude(looks, () => this.#insert(looks, isRead));
    // Who registers a wait need not wait for its end; the alarm is set for the case that this is interrupted.
    void this.#send(matches);
  }

  /** Leaves what it finds to be sent with all else that is. False when the history could not be read. */
  async #payDebts(waits: Wait[]): Promise<boolean> {
    if (waits.length === 0) return true;
    const looks = waits.map((wait) => this.#begin(wait, null));
    const isRead = await this.#lookBack(looks);
    this.#conclude(looks, () => (isRead ? this.#close(looks) : []));
    return isRead;
  }

  /** False when the history could not be read. */
  async #lookBack(looks: Look[]): Promise<boolean> {
    const from = Math.min(...looks.map(({ wait }) => wait.since));
    const to = Math.max(...looks.map(({ wait }) => wait.until));
    const trouble = await this.#walk(looks, { from, to });
    if (trouble !== null)
      this.#deps.log.error('waits: the history was not read', { waits: looks.length, ...trouble });
    return trouble === null;
  }

  /** If its look-back is owed, everything is looked at; if not, the wait has been offered all that is dispatched. */
  async #lastLook(wait: Wait): Promise<StoredEvent | null> {
    const undispatched = !this.#rows.isOwed(wait);
    const looks = [this.#begin(wait, null)];
    const trouble = await this.#walk(looks, { from: wait.since, to: wait.until, undispatched });
    const matches = this.#conclude(looks, () => {
      if (trouble !== null) return [];
      const matched = this.#close(looks);
      if (matched.length === 0) this.#rows.remove(wait);
      return matched;
    });
    if (trouble !== null) throw trouble.error;
    void this.#send(matches);
    return matches[0]?.offer.event ?? null;
  }

  #begin(wait: Wait, place: Place | null): Look {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = { wait, place, isDropped: false, best: null, over: promise, end: resolve };
    this.#looks.set(nameOf(wait), look);
    return look;
  }

  /** Ends the looks and writes what came of them, in one turn: no event is delivered between the two. */
  #conclude(looks: Look[], work: () => Match[]): Match[] {
    for (const look of looks) {
      this.#looks.delete(nameOf(look.wait));
      look.end();
    }
    return this.#transact(work);
  }

  /** Never rejects: answers what went wrong. */
  async #walk(looks: Look[], stretch: Stretch): Promise<{ error: unknown } | null> {
    try {
      await this.#readPages(looks, stretch);
      return null;
    } catch (error) {
      return { error };
    }
  }

  /** From the newest event to the oldest. */
  async #readPages(looks: Look[], { from, to, undispatched }: Stretch): Promise<void> {
    const [first] = looks;
    if (first === undefined || from >= to) return;
    const { env, event: name } = first.wait;
    if (!this.#isExpected) await this.#deps.history.expectWaits(env, name);
    this.#isExpected = true;
    const query = { env, name, receivedAfter: from - 1, receivedBefore: to, limit: PAGE };
    let cursor: string | undefined;
    do {
      const page = await this.#deps.history.listEvents({
        ...query,
        ...(cursor === undefined ? {} : { cursor }),
        ...(undispatched === undefined ? {} : { undispatched }),
      });
      const events = page.filter((record) => record.duplicateOf === null).map((record) => record.event);
      const offers = (await this.#offers(events)).toSorted((a, b) => byReceipt(a.event, b.event));
      const now = this.#now();
      for (const look of looks)
        look.best = earlier(look.best, firstMatch(look.wait, offers, this.#conditions, now));
      cursor = page.length < PAGE ? undefined : page.at(-1)?.event.internalId;
    } while (cursor !== undefined);
  }

  /** Only inside a transaction. Those of the waits that are still open get what was found. */
  #close(looks: Look[]): Match[] {
    const now = this.#now();
    const matches: Match[] = [];
    for (const { wait, best } of looks) {
      if (!this.#isOpen(wait)) continue;
      if (best === null) this.#rows.forgive(wait);
      else {
        this.#rows.settle(wait, best.event, false, now);
        matches.push({ parcel: parcelOf(wait, best.event), offer: best });
        this.#armBy(now + AGAIN.least);
      }
    }
    return matches;
  }

  /** Only inside a transaction: the rows of new waits. */
  #insert(looks: Look[], isRead: boolean): Match[] {
    const now = this.#now();
    const matches: Match[] = [];
    for (const { wait, place, best, isDropped } of looks) {
      if (place === null || isDropped) continue;
      this.#rows.insert(wait, place, isRead ? (best?.event ?? null) : null, now);
      if (!isRead) this.#rows.owe(wait, now);
      else if (best !== null) matches.push({ parcel: parcelOf(wait, best.event), offer: best });
    }
    this.#armBy(now + (isRead && matches.length === 0 ? DAY : AGAIN.least));
    return matches;
  }

  async #payAllDebts(): Promise<void> {
    let after: WaitKey | null = null;
    for (
      let debts = this.#rows.debts(after, DEBTS);
      debts.length > 0;
      debts = this.#rows.debts(after, DEBTS)
    ) {
      after = debts.at(-1) ?? null;
      const isRead = await this.#payDebts(debts.filter((wait) => !this.#looks.has(nameOf(wait))));
      if (!isRead) return;
    }
  }

  /** True when there is more to send at once. */
  async #sendAgain(): Promise<boolean> {
    const parcels = this.#rows.outbox(this.#sentTo, SENDS.most);
    await this.#send(parcels.map((parcel) => ({ parcel })));
    this.#sentTo = parcels.length === SENDS.most ? (parcels.at(-1) ?? null) : null;
    return this.#sentTo !== null;
  }

  /** `some` when not every run has answered; the rows of those that did are gone. Never rejects. */
  async #send(matches: readonly Sendable[]): Promise<'all' | 'some'> {
    const free = matches.filter(({ parcel }) => !this.#sending.has(nameOf(parcel))).slice(0, SENDS.most);
    for (const { parcel } of free) this.#sending.add(nameOf(parcel));
    let sent = 0;
    try {
      for (const chunk of chunks(free, SENDS.chunk)) {
        const answered = await inPool(chunk, SENDS.atOnce, (match) => this.#tell(match));
        const done = chunk.filter((_, n) => answered[n]);
        sent += done.length;
        if (done.length > 0) this.#transact(() => done.forEach(({ parcel }) => this.#rows.remove(parcel)));
      }
    } catch (error) {
      this.#deps.log.error('waits: what was sent was not written down', { error });
    }
    for (const { parcel } of free) this.#sending.delete(nameOf(parcel));
    return sent === matches.length ? 'all' : 'some';
  }

  /** Whether the run took it, or wants it no more. Never rejects. */
  async #tell({ parcel, offer }: Sendable): Promise<boolean> {
    const { runId, key, kind } = parcel;
    const { waiters, timer, log } = this.#deps;
    try {
      const event = offer?.event ?? this.#rows.event(parcel);
      if (event === null) return true;
      const told = kind === 'cancel' ? waiters.cancel(runId) : waiters.resume(runId, key, event);
      return (await within<unknown>(told, PATIENCE.run, timer)) !== 'late';
    } catch (error) {
      log.error('waits: a run was not told', { runId, key, error });
      return false;
    }
  }

  /** Waits whose run never came for them. True when there are more. */
  #sweep(): boolean {
    const now = this.#now();
    if (now - this.#sweptAt < DAY) return false;
    const stale = this.#rows.stale(now - DAY, SWEPT);
    if (stale.length > 0) {
      this.#transact(() => stale.forEach((wait) => this.#rows.remove(wait)));
      this.#deps.log.error('waits: nobody came for these', { waits: stale.length });
    }
    if (stale.length === SWEPT) return true;
    this.#sweptAt = now;
    return false;
  }

  #armNext(isMore: boolean): void {
    const now = this.#now();
    const since = this.#rows.pendingSince();
    if (isMore) this.#armBy(now + 1);
    else if (since !== null) this.#armBy(now + Math.min(Math.max(now - since, AGAIN.least), AGAIN.most));
    else if (!this.#rows.isEmpty) this.#armBy(now + DAY);
  }

  /** Not later than this; a later alarm is moved, an earlier one stays. */
  #armBy(at: number): void {
    if (this.#armed != null && this.#armed <= at) return;
    this.#deps.storage.setAlarm(at);
    this.#armed = at;
  }

  async #offers(events: StoredEvent[]): Promise<Offer[]> {
    return Promise.all(events.map(async (event) => ({ event, view: await this.#deps.view(event) })));
  }

  #isOpen(wait: WaitKey): boolean {
    return this.#rows.find(wait)?.matched === null;
  }

  #transact<Result>(work: () => Result): Result {
    try {
      return this.#deps.storage.transact(work);
    } catch (error) {
      // Memory may be ahead of what is stored: it must not be used any more.
      this.#deps.abort('a transaction of waits could not be written');
      throw error;
    }
  }

  #now(): number {
    return this.#deps.clock.now();
  }
}

function parcelOf({ runId, key, kind }: Wait, event: StoredEvent): Parcel {
  return { runId, key, kind, eventId: event.internalId };
}

function nameOf({ runId, key }: WaitKey): string {
  return `${runId} ${key}`;
}

function textOf({ path, value }: Place): string {
  return `${path} ${value}`;
}

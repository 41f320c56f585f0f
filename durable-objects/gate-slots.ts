/**
 * The slots of one gate: who may start, who executes, and who waits for that, under every limit and key that the gate is there for.
 *
 *  1. The leases of a line are never more than the limit under which the last of them was given.
 *  2. Whoever waits gets the slot in the order of scores, then of events, among those who share the line and have room.
 *  3. A slot that somebody has waited for is written down before the run is told, and told again until the run took it or wants it no
 *     more.
 *  4. A lease that is neither renewed nor given back is free again within a minute (CC-23).
 *
 * Every call may be repeated and come late: the turn of a claim says which burst of the run it is about.
 */
import { afterStart, nextStart, underRate, type Rate } from '../src/flow/gcra.ts';
import { next } from '../src/flow/lease.ts';
import { HOUR, MINUTE, SECOND } from '../src/lib/time.ts';
import {
  LEASE,
  type Granted,
  type LineState,
  type SlotAnswer,
  type SlotAsk,
  type SlotClaim,
  type SlotLimit,
  type SlotState,
} from '../src/protocol/slot.ts';
import { SlotRows, placeOf, type Lease, type Place } from './gate-slot-rows.ts';
import type { ObjectStorage } from './storage.ts';

/** What a limit is at this moment; null: there is none (any more). */
export type Limit = { policy: 'concurrency'; limit: number } | { policy: 'throttle'; rate: Rate } | null;

/** A slot that its run is to be told of. */
export interface Parcel {
  runId: string;
  line: string;
  granted: Granted;
}

export interface SlotWorld {
  /** As it is configured now: looked up again whenever it is needed. */
  limitOf(kind: string, line: string): Limit;
  /** `due` is to be called then, or earlier. Part of the transaction. */
  planBy(at: number): void;
}

/** Leases are looked at this often, and an untold one is told again. Together with `LEASE` it is the minute of CC-23. */
const LOOK = 5 * SECOND;
/** A run that has not answered for so long has lost its slot. */
const TOLD_WITHIN = LEASE;
/** Pieces of one alarm. */
const SHOWN = { lines: 100, holders: 20 };
const COUNTED = 1_000;
const BOUND = { leases: 200, lines: 200, granted: 200, rates: 10_000 };

export class GateSlots {
  readonly #rows: SlotRows;
  readonly #world: SlotWorld;
  #leasesSeenAt = -Infinity;
  #ratesSeenAt = -Infinity;
  /** The last line in which somebody waits that was looked at since limits may have changed; null when all were. */
  #seenTo: string | null = '';

  constructor(storage: ObjectStorage, world: SlotWorld) {
    this.#rows = new SlotRows(storage);
    this.#world = world;
  }

  /** Only inside a transaction, like everything here that writes. */
  acquire(ask: SlotAsk, now: number): { answer: SlotAnswer; parcels: Parcel[] } {
    const place = placeOf(ask);
    const lease = this.#rows.lease(place.line, place.runId);
    if (lease !== null) return { answer: this.#again(lease, place, now), parcels: [] };
    const waiting = this.#rows.waiting(place);
    if (waiting !== null && waiting.turn > place.turn)
      return { answer: { is: 'stale', turn: waiting.turn }, parcels: [] };
    // Whoever has room goes first: a limit may have been raised since this was last looked at.
    if (waiting !== null) this.#rows.enqueue(place);
    const parcels = this.#pump(place.line, now);
    const won = parcels.find(({ runId }) => runId === place.runId);
    if (won !== undefined) {
      this.#take(place, now);
      return { answer: { is: 'granted' }, parcels: parcels.filter((parcel) => parcel !== won) };
    }
    if (waiting === null && parcels.length < BOUND.granted && this.#hasRoom(place, now)) {
      this.#begin(place, true, now);
      return { answer: { is: 'granted' }, parcels };
    }
    if (waiting === null && ask.wait) this.#enqueue(place, now);
    return { answer: { is: ask.wait ? 'queued' : 'full' }, parcels };
  }

  /** Gives a lease back, or leaves the line. */
  release(claim: SlotClaim, now: number): Parcel[] {
    const place = placeOf(claim);
    const lease = this.#rows.lease(place.line, place.runId);
    if (lease !== null && lease.turn <= place.turn) this.#rows.deleteLease(lease);
    const waiting = this.#rows.waiting(place);
    if (waiting !== null && waiting.turn <= place.turn) this.#rows.leave(waiting);
    return this.#pump(place.line, now);
  }

  /** The run has the slot that it was told of, or wants it no more. */
  told({ runId, line, granted }: Parcel, outcome: 'taken' | 'gone', now: number): Parcel[] {
    const lease = this.#rows.lease(line, runId);
    if (lease === null || lease.turn !== granted.turn || lease.isTold) return [];
    if (outcome === 'taken' && !isThrottle(line)) {
      this.#rows.updateLease({ ...lease, isTold: true, due: now + LEASE });
      return [];
    }
    this.#rows.deleteLease(lease);
    return this.#pump(line, now);
  }

  /** What time brings: leases that have run out, starts that may be made. Bounded; whom to tell comes back. */
  due(now: number): Parcel[] {
    const parcels = [...this.#expire(now), ...this.#pumpUnseen(now)];
    for (const line of this.#rows.dueLines(now, BOUND.lines)) parcels.push(...this.#pump(line, now));
    if (now - this.#ratesSeenAt >= HOUR) {
      this.#ratesSeenAt = now;
      this.#rows.forgetRates(now, BOUND.rates);
    }
    return parcels;
  }

  /** After `due`: plans its next call. */
  plan(now: number): void {
    const start = this.#rows.nextStart();
    if (start !== null) this.#world.planBy(Math.ceil(start));
    const lease = this.#rows.nextLease();
    if (lease !== null) this.#world.planBy(Math.max(lease, this.#leasesSeenAt + LOOK));
    // A deployment may change limits, and tells nobody.
    const look = this.#seenTo === null ? MINUTE : 0;
    if (this.#rows.crowded('', 1).length > 0) this.#world.planBy(now + look);
    if (this.#rows.hasRates) this.#world.planBy(Math.max(this.#ratesSeenAt, now) + HOUR);
  }

  /** Null for a claim that does not wait. */
  look(claim: SlotClaim, now: number): SlotState | null {
    const place = placeOf(claim);
    if (this.#rows.waiting(place) === null) return null;
    const limit = this.#world.limitOf(place.kind, place.line);
    return {
      ...this.line(place.line, now),
      limit: limit === null ? null : limit.policy === 'throttle' ? limit.rate.limit : limit.limit,
      before: this.#rows.countBefore(place, COUNTED),
    };
  }

  line(line: string, now: number): LineState {
    const at = line.indexOf(':');
    const policy = isThrottle(line) ? 'throttle' : 'concurrency';
    const [head] = this.#rows.heads(line);
    const limit = head === undefined ? null : this.#world.limitOf(head.kind, line);
    return {
      policy,
      key: line.slice(at + 1),
      inUse: policy === 'throttle' ? 0 : this.#rows.used(line),
      holders: policy === 'throttle' ? [] : this.#rows.leases(line, SHOWN.holders).map(({ runId }) => runId),
      waiting: this.#rows.countWaiting(line, COUNTED),
      nextAt:
        limit?.policy === 'throttle' ? Math.ceil(nextStart(this.#rows.tat(line), limit.rate, now)) : null,
    };
  }

  /** Lines in which somebody waits or holds a lease, at most some hundred. */
  lines(now: number): LineState[] {
    const names = new Set([...this.#rows.crowded('', SHOWN.lines), ...this.#rows.leasedLines(SHOWN.lines)]);
    return [...names].map((line) => this.line(line, now));
  }

  /** @param body JSON text; null takes the change back. @param key null: for all keys. */
  change(
    kind: string,
    policy: SlotLimit['policy'],
    key: string | null,
    body: string | null,
    now: number,
  ): void {
    this.#rows.setChange(key === null ? policy : `${policy}:${key}`, kind, body);
    this.lookAgain(now);
  }

  /** Of a kind's limit under a line, JSON texts, the one for all keys first. */
  changes(kind: string, line: string): string[] {
    const policy = isThrottle(line) ? 'throttle' : 'concurrency';
    return [policy, line].flatMap((place) => this.#rows.change(place, kind) ?? []);
  }

  /** Limits have changed: every line is looked at, in the next calls of `due`. */
  lookAgain(now: number): void {
    this.#seenTo = '';
    this.#world.planBy(now);
  }

  #again(lease: Lease, place: Place, now: number): SlotAnswer {
    if (lease.turn > place.turn) return { is: 'stale', turn: lease.turn };
    this.#take(place, now);
    return { is: 'granted' };
  }

  /** Of a lease that is there: the run knows of it. */
  #take(place: Place, now: number): void {
    const lease = this.#rows.lease(place.line, place.runId);
    if (lease === null) return;
    if (isThrottle(place.line)) this.#rows.deleteLease(lease);
    else this.#rows.updateLease({ ...lease, turn: place.turn, isTold: true, due: now + LEASE });
  }

  #enqueue(place: Place, now: number): void {
    this.#rows.enqueue(place);
    this.#plan(place.line, now);
    this.#world.planBy(now + MINUTE);
  }

  /** Slots for all who are first and have room. So many at a time: the platform counts calls, and a line may be let go at once. */
  #pump(line: string, now: number): Parcel[] {
    const parcels: Parcel[] = [];
    for (let one = this.#next(line, now); one !== null; one = this.#next(line, now)) {
      if (parcels.length === BOUND.granted) {
        this.lookAgain(now);
        break;
      }
      this.#rows.leave(one);
      this.#begin(one, false, now);
      parcels.push(parcelOf(one));
    }
    this.#plan(line, now);
    return parcels;
  }

  #next(line: string, now: number): Place | null {
    return next(this.#rows.heads(line), (place) => this.#hasRoom(place, now));
  }

  #hasRoom({ kind, line }: Place, now: number): boolean {
    const limit = this.#world.limitOf(kind, line);
    if (limit === null) return true;
    if (limit.policy === 'concurrency') return this.#rows.used(line) < limit.limit;
    return nextStart(this.#rows.tat(line), limit.rate, now) <= now;
  }

  /** A start whose answer is lost is not known here: it may be made twice, and starts are then fewer, never more (TH-18). */
  #begin(place: Place, isTold: boolean, now: number): void {
    const { kind, line } = place;
    const limit = this.#world.limitOf(kind, line);
    if (limit?.policy === 'throttle') {
      this.#rows.setTat(line, afterStart(this.#rows.tat(line), limit.rate, now));
      this.#world.planBy(now + HOUR);
    }
    if (isTold && isThrottle(line)) return;
    const due = now + (isTold ? LEASE : LOOK);
    this.#rows.insertLease({ ...place, isTold, since: now, due });
    this.#world.planBy(due);
  }

  /** When the first who waits for a start may have it. */
  #plan(line: string, now: number): void {
    if (!isThrottle(line)) return;
    const [head] = this.#rows.heads(line);
    const limit = head === undefined ? null : this.#world.limitOf(head.kind, line);
    const tat = this.#rows.tat(line);
    if (limit?.policy !== 'throttle' || tat === null) return this.#rows.setDue(line, null);
    const ours = underRate(tat, limit.rate, now);
    if (ours < tat) this.#rows.setTat(line, ours);
    const due = nextStart(ours, limit.rate, now);
    this.#rows.setDue(line, due);
    this.#world.planBy(Math.ceil(due));
  }

  #pumpUnseen(now: number): Parcel[] {
    if (this.#seenTo === null) return [];
    const lines = this.#rows.crowded(this.#seenTo, BOUND.lines);
    const parcels: Parcel[] = [];
    for (const line of lines) {
      if (parcels.length >= BOUND.granted) return parcels;
      this.#seenTo = line;
      parcels.push(...this.#pump(line, now));
    }
    if (lines.length < BOUND.lines && parcels.length < BOUND.granted) this.#seenTo = null;
    return parcels;
  }

  #expire(now: number): Parcel[] {
    if (now < this.#leasesSeenAt + LOOK) return [];
    const due = this.#rows.dueLeases(now, BOUND.leases);
    // Of more than these the rest is for the next call, at once.
    if (due.length < BOUND.leases) this.#leasesSeenAt = now;
    return due.flatMap((lease) => {
      if (!lease.isTold && now - lease.since < TOLD_WITHIN) {
        this.#rows.updateLease({ ...lease, due: now + LOOK });
        return [parcelOf(lease)];
      }
      this.#rows.deleteLease(lease);
      return this.#pump(lease.line, now);
    });
  }
}

function isThrottle(line: string): boolean {
  return line.startsWith('throttle:');
}

function parcelOf({ runId, line, kind, turn }: Place): Parcel {
  const [, , n] = JSON.parse(kind) as [string, string, number];
  return { runId, line, granted: { policy: isThrottle(line) ? 'throttle' : 'concurrency', n, turn } };
}

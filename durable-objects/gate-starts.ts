/**
 * What a gate decides about starts that are not runs yet: which batch or debounce an event belongs to, who passes a rate limit, who holds
 * a singleton. One object decides all that concerns a key, one call after the other (FC-8), and a repeat gets the answer of the first.
 *
 *  1. An event is in exactly one window (BA-10, DB-10), which is written before anybody is told of it.
 *  2. A window that closes stays in the rows until its run is durable: whatever interrupts that, an alarm tries it again.
 *  3. Whoever holds a singleton does so until its run has ended. Nobody has to say so: the run is asked when another one comes (SG-6).
 */
import { inPool } from '../src/dispatch/pool.ts';
import { collect, type Closed, type Window } from '../src/flow/window.ts';
import { neighbourhood } from '../src/flow/rate.ts';
import { DAY, HOUR, SECOND } from '../src/lib/time.ts';
import { ulidTime } from '../src/lib/ulid.ts';
import type { Collectable, Collected, Collecting, Entrant, GateOf } from '../src/protocol/gate.ts';
import type { Log } from '../src/ports.ts';
import { StartRows, type Holder } from './gate-start-rows.ts';
import type { ObjectStorage } from './storage.ts';

export interface StartDeps {
  log: Log;
  /** Rows and alarm together. */
  transact: <Result>(work: (now: number) => Result) => Result;
  /** Sees to an alarm not later than this; only inside `transact`. */
  planBy(at: number): void;
  /** Durable when it resolves; may be repeated. */
  launch(window: Closed): Promise<void>;
  holders: Holders;
}

interface Holders {
  /** Whether a run that was let in has not ended. */
  isActive(holder: Holder): Promise<boolean>;
  cancel(runId: string): Promise<'cancelled' | 'ended' | 'unknown'>;
}

/** Longer than a message of a queue lives, and than the time in an id may be off. */
const REMEMBERED = 5 * DAY;
/** Runs of windows started at a time, and in one go; runs cancelled, holders looked at and rows forgotten in one go. */
const BOUND = { atOnce: 16, launched: 200, cancelled: 100, holders: 100, forgotten: 1_000 };
/** What failed is tried again when it is twice as old, within these bounds. */
const AGAIN = { least: 5 * SECOND, most: HOUR };

export class GateStarts {
  readonly #deps: StartDeps;
  readonly #rows: StartRows;
  /** Run ids of closed windows whose runs are being started now. */
  readonly #launching = new Set<string>();

  constructor(storage: ObjectStorage, deps: StartDeps) {
    this.#deps = deps;
    this.#rows = new StartRows(storage);
  }

  /** Those that come together in order of receipt (BA-8). Runs of windows that are full by that are started when it has returned. */
  collect(of: GateOf, policy: Collecting, events: readonly Collectable[]): Collected[] {
    const closed: Closed[] = [];
    const collected = this.#deps.transact((now) => {
      const open = new Map<string, Window>();
      const all = events.toSorted(byReceipt).map((event) => {
        const known = this.#rows.collected(event.eventId);
        if (known !== null) return known;
        const before = this.#openWindow(event.key, open, closed, now);
        const { window, absorbed } = collect(before, of, event, policy, now);
        open.set(event.key, window);
        return this.#rows.putCollected({ eventId: event.eventId, runId: window.runId, absorbed });
      });
      for (const [key, window] of open) {
        if (window.closesAt <= now) closed.push(this.#close(window, now));
        else this.#keepOpen(key, window);
      }
      return all;
    });
    void this.#launchAll(closed);
    return collected;
  }

  /** Run ids of those that pass (RL-9). @param space between two starts of one key, in milliseconds. */
  rate(entrants: readonly Entrant[], space: number): string[] {
    return this.#deps.transact((now) => {
      this.#deps.planBy(now + DAY);
      return entrants.filter((entrant) => this.#passes(entrant, space)).map(({ runId }) => runId);
    });
  }

  /** Run ids of those that may become runs (SG-1 to SG-3). Rejects when it cannot be told: to be repeated then. */
  async single(entrants: readonly Entrant[], mode: 'skip' | 'cancel'): Promise<string[]> {
    const granted = mode === 'cancel' ? this.#takeOver(entrants) : await this.#takeFree(entrants);
    if (mode === 'cancel') await this.#cancelOusted();
    return granted;
  }

  async alarm(): Promise<void> {
    await this.#launchDue();
    await this.#cancelOusted();
    await this.#forget();
    this.#deps.transact((now) => this.plan(now));
  }

  /** One whose time has come takes no further event. */
  #openWindow(key: string, open: Map<string, Window>, closed: Closed[], now: number): Window | null {
    const window = open.get(key) ?? this.#rows.openWindow(key);
    if (window === null || window.closesAt > now) return window;
    closed.push(this.#close(window, now));
    open.delete(key);
    return null;
  }

  #keepOpen(key: string, window: Window): void {
    this.#rows.putWindow(key, window, window.closesAt);
    this.#deps.planBy(window.closesAt);
  }

  /** From then on it is out of reach for events. Whoever does this launches it; if that comes to nothing, the alarm does. */
  #close(window: Window | Closed, now: number): Closed {
    const closed = 'closedAt' in window ? window : { ...window, closedAt: now };
    const due = now + again(closed.closedAt, now);
    this.#rows.putWindow(null, closed, due);
    this.#deps.planBy(due);
    return closed;
  }

  async #launchDue(): Promise<void> {
    const due = this.#deps.transact((now) =>
      this.#rows.dueWindows(now, BOUND.launched).map((window) => this.#close(window, now)),
    );
    await this.#launchAll(due);
  }

  /** Never rejects. */
  async #launchAll(windows: readonly Closed[]): Promise<void> {
    const free = windows.filter(({ runId }) => !this.#launching.has(runId));
    for (const { runId } of free) this.#launching.add(runId);
    await inPool(free, BOUND.atOnce, (window) => this.#launch(window));
  }

  /** Never rejects. */
  async #launch(window: Closed): Promise<void> {
    const { runId, functionId } = window;
    try {
      await this.#deps.launch(window);
      this.#deps.transact(() => this.#rows.dropWindow(runId));
    } catch (error) {
      this.#deps.log.error('gate: the run of collected events was not started', { runId, functionId, error });
    } finally {
      this.#launching.delete(runId);
    }
  }

  #passes({ key, runId, at }: Entrant, space: number): boolean {
    const { after, before } = neighbourhood(at, space);
    const near = this.#rows.passes(key, after, before);
    if (near.length > 0) return near.some((pass) => pass.runId === runId);
    this.#rows.putPass(key, at, runId);
    return true;
  }

  /** Of those that come together only the last one is let in: the others would be cancelled at once (SG-3). */
  #takeOver(entrants: readonly Entrant[]): string[] {
    const last = new Map(entrants.map(({ key, runId }) => [key, runId]));
    return this.#deps.transact((now) =>
      entrants
        .filter(
          (entrant) =>
            this.#known(entrant) ?? this.#oust(entrant, last.get(entrant.key) === entrant.runId, now),
        )
        .map(({ runId }) => runId),
    );
  }

  #oust({ key, runId }: Entrant, isLast: boolean, now: number): boolean {
    this.#deps.planBy(now + AGAIN.least);
    if (!isLast) {
      this.#rows.decide(runId, 'refused');
      return false;
    }
    const holder = this.#rows.holder(key);
    if (holder !== null) this.#rows.decide(holder.runId, 'ousted');
    this.#rows.setHolder(key, { runId, since: now });
    return true;
  }

  async #takeFree(entrants: readonly Entrant[]): Promise<string[]> {
    const granted: string[] = [];
    /** Those that were let in just now, and those that have been asked. */
    const active = new Set<string>();
    for (const entrant of entrants) {
      if (!(await this.#isFree(entrant, active))) continue;
      granted.push(entrant.runId);
      active.add(entrant.runId);
    }
    return granted;
  }

  async #isFree(entrant: Entrant, active: Set<string>): Promise<boolean> {
    const known = this.#known(entrant);
    if (known !== null) return known;
    const holder = this.#rows.holder(entrant.key);
    if (holder !== null && !active.has(holder.runId) && (await this.#deps.holders.isActive(holder)))
      active.add(holder.runId);
    const isTaken = holder !== null && active.has(holder.runId);
    const decided = this.#deps.transact((now) => this.#decide(entrant, holder, isTaken, now));
    return decided ?? this.#isFree(entrant, active);
  }

  /** Null when it is held by another one than before. */
  #decide({ key, runId }: Entrant, holder: Holder | null, isTaken: boolean, now: number): boolean | null {
    if (this.#rows.holder(key)?.runId !== holder?.runId) return null;
    this.#deps.planBy(now + DAY);
    if (isTaken) this.#rows.decide(runId, 'refused');
    else {
      // A repeat of the former holder's start, which may still come, is not to be refused.
      if (holder !== null) this.#rows.decide(holder.runId, 'granted');
      this.#rows.setHolder(key, { runId, since: now });
    }
    return !isTaken;
  }

  /** What was decided before; null when nothing was. */
  #known({ key, runId }: Entrant): boolean | null {
    return this.#rows.holder(key)?.runId === runId ? true : this.#rows.decided(runId);
  }

  /** Never rejects. One that is not known to its object yet may be on its way: it is cancelled when it has come. */
  async #cancelOusted(): Promise<void> {
    const { holders, transact, log } = this.#deps;
    await inPool(this.#rows.toCancel(BOUND.cancelled), BOUND.atOnce, async (runId) => {
      try {
        if ((await holders.cancel(runId)) !== 'unknown') transact(() => this.#rows.decide(runId, 'granted'));
      } catch (error) {
        log.error('gate: a run that was ousted was not cancelled', { runId, error });
      }
    });
  }

  /** Once a day: it reads every row of some tables. */
  async #forget(): Promise<void> {
    const { transact, holders } = this.#deps;
    const held = transact((now) => {
      if ((this.#rows.sweptAt() ?? 0) > now - DAY) return [];
      const isMore = this.#rows.forget(now - REMEMBERED, BOUND.forgotten);
      if (!isMore) this.#rows.setSweptAt(now);
      return this.#rows.holdersBefore(now - REMEMBERED, BOUND.holders);
    });
    for (const { key, ...holder } of held) {
      const isActive = await holders.isActive(holder);
      transact((now) => {
        if (this.#rows.holder(key)?.runId !== holder.runId) return;
        if (isActive) this.#rows.setHolder(key, { ...holder, since: now });
        else this.#rows.dropHolder(key);
      });
    }
  }

  /** Only inside a transaction. */
  plan(now: number): void {
    const due = this.#rows.nextDue();
    if (due !== null) this.#deps.planBy(due);
    const [ousted] = this.#rows.toCancel(1);
    if (ousted !== undefined) this.#deps.planBy(now + again(ulidTime(ousted), now));
    if (!this.#rows.isEmpty) this.#deps.planBy((this.#rows.sweptAt() ?? now - DAY) + DAY);
  }
}

function again(since: number, now: number): number {
  return Math.min(Math.max(now - since, AGAIN.least), AGAIN.most);
}

function byReceipt(a: Collectable, b: Collectable): number {
  return a.receivedAt - b.receivedAt || (a.eventId < b.eventId ? -1 : 1);
}

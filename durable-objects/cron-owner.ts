/**
 * The owner of the timers of one environment's cron functions: which tick is next, which ones were missed, what is to be started. Knows
 * nothing of the platform, so that tests run it as it is.
 *
 *  1. A tick is settled once: in one transaction it is written as a start, or as skipped, and `since` moves past it (CR-12).
 *  2. A start stays until the intake took its event. The event's id is made of the start, so a repeat changes nothing.
 *  3. A start that was tried is tried until it is taken. One that was never tried may still be skipped, when a later one is due too:
 *     after an outage of this object or of the intake, only the most recent tick of a function starts (CR-13).
 *  4. The alarm is the earliest of all that is planned, set in the transaction that plans it. An instance begins by comparing the plans
 *     with the environment's functions, whatever woke it: so a deployment is noticed before a tick of it is due. A registration, and
 *     every minute of the Worker's own schedule, has them compared again.
 */
import { parseJitter, startOf } from '../src/cron/jitter.ts';
import { parseSchedule, type Schedule } from '../src/cron/schedule.ts';
import { missed, nextTick, SKIPPED_MAX } from '../src/cron/ticks.ts';
import { chunks } from '../src/lib/chunks.ts';
import { hashUlid } from '../src/lib/hash.ts';
import { TIMER, type StoredEvent } from '../src/protocol/event.ts';
import type { FunctionConfig, Trigger } from '../src/protocol/function.ts';
import { DAY, MINUTE, SECOND } from '../src/lib/time.ts';
import type { CronRpc, SkippedTicks } from '../src/protocol/rpc.ts';
import type { Clock, Functions, Log } from '../src/ports.ts';
import { CronRows, type Plan, type Start } from './cron-rows.ts';
import type { ObjectStorage } from './storage.ts';

/** After an alarm that could not do its work; and after one that was killed in the middle of it. */
const AGAIN = { failed: 5 * SECOND, lost: SECOND };
/** An alarm that is so much behind will not come any more. */
const OVERDUE = 10 * SECOND;
/** Starts of one function that come due at almost the same time, by their jitter, are no sign of an outage. */
const GRACE = MINUTE;
/** Events of one call to the intake. */
const BATCH = 500;

/** The event of a tick (CR-10). */

export interface CronDeps {
  storage: ObjectStorage;
  clock: Clock;
  log: Log;
  functions: Pick<Functions, 'load'>;
  /** Durable when it resolves; a repeat changes nothing. */
  accept(events: StoredEvent[]): Promise<void>;
}

interface Timer extends Schedule {
  jitter: number;
}

export class CronOwner implements CronRpc {
  readonly #deps: CronDeps;
  readonly #rows: CronRows;
  /** By function; null until the plans have been compared with it. */
  #timers: Map<string, Timer[]> | null = null;
  /** Of the registry that it was compared with. */
  #version = -1;
  /** An alarm is at work: it sees to the next one itself. */
  #isAwake = false;

  constructor(deps: CronDeps) {
    this.#deps = deps;
    this.#rows = new CronRows(deps.storage);
  }

  /** Also repairs: an alarm that is not set, or should have fired, is made up for. */
  async sync(env: string): Promise<void> {
    await this.#compare(env);
    const alarm = await this.#deps.storage.alarm();
    const due = this.#rows.nextDue();
    const now = this.#deps.clock.now();
    if (due === null || this.#isAwake) return;
    if (alarm === null || alarm > due || alarm < now - OVERDUE) {
      this.#deps.storage.setAlarm(Math.max(due, now + 1));
    }
  }

  async skipped(): Promise<SkippedTicks[]> {
    return this.#rows.skipped();
  }

  /** Never throws: the platform gives an alarm up after six throws, and all timers with it. */
  async alarm(): Promise<void> {
    const { log, clock, storage } = this.#deps;
    this.#isAwake = true;
    try {
      const env = this.#rows.env();
      if (env === null) return;
      const timers = this.#timers ?? (await this.#compare(env));
      for (const starts of chunks(this.#settleDue(timers), BATCH)) {
        const now = clock.now();
        await this.#deps.accept(starts.map((start) => tickEvent(env, start, now)));
        this.#transact(clock.now() + 1, () => {
          for (const start of starts) this.#rows.dropStart(start);
        });
      }
    } catch (error) {
      log.error('cron: ticks were not started, they are tried again', { error });
      storage.setAlarm(clock.now() + AGAIN.failed);
    } finally {
      this.#isAwake = false;
    }
  }

  /** New schedules are planned from now, those that are gone are dropped, the others go on (CR-14). */
  async #compare(env: string): Promise<Map<string, Timer[]>> {
    const { version, configs } = await this.#deps.functions.load(env);
    // Of two readings under way at a time the older one may come back last.
    if (this.#timers !== null && version <= this.#version) return this.#timers;
    const timers = timersOf(configs);
    const plans = new Map(this.#rows.plans().map((plan) => [plan.functionId, plan]));
    const gone = [...plans.keys()].filter((functionId) => !timers.has(functionId));
    const changed = [...timers].filter(
      ([functionId, own]) => !isSame(plans.get(functionId)?.texts, textsOf(own)),
    );
    if (gone.length > 0 || changed.length > 0) {
      const now = this.#deps.clock.now();
      this.#rows.make(env);
      this.#transact(now + 1, () => {
        for (const functionId of gone) this.#rows.dropFunction(functionId);
        for (const [functionId, own] of changed) this.#replan(functionId, own, plans.get(functionId), now);
      });
    }
    this.#timers = timers;
    this.#version = version;
    return timers;
  }

  /** Of schedules that the function had before and still has, what is due by now is not forgotten. */
  #replan(functionId: string, timers: Timer[], plan: Plan | undefined, now: number): void {
    if (plan !== undefined) {
      const kept = timers.filter((timer) => plan.texts.includes(timer.text));
      this.#settle(functionId, kept, plan.since, now, false);
    }
    this.#plan(functionId, timers, now);
  }

  #plan(functionId: string, timers: Timer[], since: number): void {
    const next = nextTick(timers, since);
    if (next !== null) this.#rows.putPlan({ functionId, texts: textsOf(timers), since, next: next.at });
  }

  /** @returns the starts that are to be tried now. */
  #settleDue(timers: Map<string, Timer[]>): Start[] {
    const now = this.#deps.clock.now();
    const chosen: Start[] = [];
    this.#transact(now + AGAIN.lost, () => {
      const waiting = new Set(this.#rows.starts().map((start) => start.functionId));
      for (const { functionId, since, next } of this.#rows.plans()) {
        if (next > now) continue;
        const own = timers.get(functionId) ?? [];
        this.#plan(functionId, own, this.#settle(functionId, own, since, now, !waiting.has(functionId)));
      }
      const due = this.#rows.starts().filter((start) => start.due <= now);
      for (const starts of Map.groupBy(due, (start) => start.functionId).values()) {
        chosen.push(...this.#choose(starts, now));
      }
    });
    return chosen;
  }

  /**
   * @param alone nothing else of the function is to be started: if its time has come this start is tried at once, and written once.
   * @returns up to when the function's ticks are settled.
   */
  #settle(functionId: string, timers: Timer[], since: number, now: number, alone: boolean): number {
    const { start, skipped, more } = missed(timers, since, now);
    if (start === null) return since;
    // Its event's id carries this time, and the store looks for ids of about now.
    const due = Math.max(startOf(functionId, start.at, start.schedule.jitter), now - DAY);
    const tried = alone && due <= now;
    this.#rows.putStart({ functionId, tick: start.at, cron: start.schedule.text, due, tried });
    if (skipped.length > 0) {
      const ticks = skipped.map(({ at, schedule }) => ({ at, cron: schedule.text }));
      this.#rows.addSkipped({ functionId, ticks, more }, SKIPPED_MAX);
    }
    return start.at;
  }

  /** Of one function's starts that are due, the earliest tick first. */
  #choose(starts: Start[], now: number): Start[] {
    const tried = starts.filter((start) => start.tried);
    if (tried.length > 0) return tried;
    const last = starts.at(-1);
    const [late, current] = partition(starts, (start) => start !== last && start.due <= now - GRACE);
    for (const start of late) {
      const { functionId, tick, cron } = start;
      this.#rows.dropStart(start);
      this.#rows.addSkipped({ functionId, ticks: [{ at: tick, cron }], more: false }, SKIPPED_MAX);
    }
    for (const start of current) this.#rows.putStart({ ...start, tried: true });
    return current;
  }

  /** @param notBefore an alarm in the past might never fire. */
  #transact(notBefore: number, work: () => void): void {
    this.#deps.storage.transact(() => {
      work();
      const due = this.#rows.nextDue();
      if (due !== null) this.#deps.storage.setAlarm(Math.max(due, notBefore));
    });
  }
}

function timersOf(functions: readonly FunctionConfig[]): Map<string, Timer[]> {
  return new Map(
    functions
      .map(({ id, triggers }) => [id, triggers.flatMap(timerOf)] as const)
      .filter(([, own]) => own.length > 0),
  );
}

/** The registry has refused what cannot be read. */
function timerOf(trigger: Trigger): Timer[] {
  if (!('cron' in trigger)) return [];
  const parsed = parseSchedule(trigger.cron);
  return parsed.ok ? [{ ...parsed.schedule, jitter: parseJitter(trigger.jitter ?? '') ?? 0 }] : [];
}

function textsOf(timers: Timer[]): string[] {
  return timers.map((timer) => timer.text);
}

function isSame(a: string[] | undefined, b: string[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function partition<Item>(items: Item[], isFirst: (item: Item) => boolean): [Item[], Item[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))];
}

function tickEvent(env: string, { functionId, tick, cron, due }: Start, now: number): StoredEvent {
  return {
    internalId: hashUlid(due, `cron:${env}:${functionId}:${tick}`),
    env,
    name: TIMER,
    data: { cron },
    ts: tick,
    receivedAt: now,
    target: { functionId },
  };
}

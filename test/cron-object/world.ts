/**
 * The object of the cron timers in memory: its storage is SQLite, as on the platform, and outlives its owner. Time moves when a test says
 * so, and an owner may be killed at any await and at any write.
 */
import { DatabaseSync } from 'node:sqlite';
import { CronOwner } from '../../durable-objects/cron-owner.ts';
import type { ObjectStorage } from '../../durable-objects/storage.ts';
import { nextAfter } from '../../src/cron/next.ts';
import { parseSchedule } from '../../src/cron/schedule.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import { type FunctionConfig, functionConfig } from '../../src/protocol/function.ts';
import type { SkippedTicks } from '../../src/protocol/rpc.ts';

/** A Friday. */
export const NOW = Date.UTC(2026, 10, 20, 12, 0, 30);
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

export interface Cron {
  cron: string;
  jitter?: string;
}

/** @param crons schedules, by the function's id. */
function functionsOf(crons: Record<string, (string | Cron)[]>): FunctionConfig[] {
  return Object.entries(crons).map(([id, own]) =>
    functionConfig.parse({
      id,
      name: id,
      triggers: own.map((cron) => (typeof cron === 'string' ? { cron } : cron)),
    }),
  );
}

class Killed extends Error {}

export class CronWorld {
  now = NOW;
  functions: FunctionConfig[];
  /** Of the registry. */
  version = 0;
  /** How long a reading of the functions takes. */
  reading: Promise<void> | null = null;
  /** What the platform keeps. */
  alarm: number | null = null;
  readonly #db = new DatabaseSync(':memory:');
  /** Every event that the intake took, repeats included. */
  readonly taken: StoredEvent[] = [];
  /** `late`: it takes them, and fails all the same. */
  intake: 'takes' | 'refuses' | 'late' = 'takes';
  readonly errors: string[] = [];
  writes = 0;
  /** Awaits and writes until the owner is killed. */
  #left = Infinity;
  #death = Promise.withResolvers<'killed'>();
  #owner: CronOwner;

  constructor(crons: Record<string, (string | Cron)[]>) {
    this.functions = functionsOf(crons);
    this.#owner = this.#begin();
  }

  /** An app registers: the owner is told by its next `sync`. */
  register(crons: Record<string, (string | Cron)[]>): void {
    this.functions = functionsOf(crons);
    this.version++;
  }

  /** Another version of the code: it begins with what is stored. */
  deploy(crons: Record<string, (string | Cron)[]>): void {
    this.functions = functionsOf(crons);
    this.restart();
  }

  restart(): void {
    this.#owner = this.#begin();
  }

  async sync(env = 'production'): Promise<void> {
    await this.#call((owner) => owner.sync(env));
  }

  skipped(): Promise<SkippedTicks[]> {
    return this.#owner.skipped();
  }

  /** Kills the owner at the n-th await or write from now on. Answers whether it came to that. */
  async killed(n: number, work: () => Promise<void>): Promise<boolean> {
    this.#left = n;
    await work();
    const killed = this.#left <= 0;
    this.#left = Infinity;
    return killed;
  }

  /** Fires the alarm if it is due. A killed alarm is not repeated: the platform does so, but nothing here may rely on it. */
  async fire(): Promise<boolean> {
    if (this.alarm === null || this.alarm > this.now) return false;
    this.alarm = null;
    await this.#call((owner) => owner.alarm());
    return true;
  }

  /** Lets time pass, alarm by alarm. */
  async until(time: number): Promise<void> {
    for (let wakes = 0; this.alarm !== null && this.alarm <= time; wakes++) {
      if (wakes > 10_000) throw new Error('the alarm is set again and again');
      this.now = Math.max(this.now, this.alarm);
      await this.fire();
    }
    this.now = Math.max(this.now, time);
  }

  /** Ticks that were started, each once; by function if one is given. */
  started(functionId?: string): number[] {
    const ids = new Map(this.taken.map((event) => [event.internalId, event]));
    return [...ids.values()]
      .filter((event) => functionId === undefined || event.target?.functionId === functionId)
      .map((event) => event.ts)
      .toSorted((a, b) => a - b);
  }

  async #call(work: (owner: CronOwner) => Promise<void>): Promise<void> {
    try {
      if ((await Promise.race([work(this.#owner), this.#death.promise])) === 'killed') throw new Killed();
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      this.#left = 0;
      this.restart();
    }
  }

  #begin(): CronOwner {
    this.#death = Promise.withResolvers();
    const death = this.#death;
    let isDead = false;
    const alive = (): void => {
      if (isDead) throw new Killed();
    };
    const step = (): void => {
      alive();
      if (--this.#left > 0) return;
      isDead = true;
      death.resolve('killed');
      throw new Killed();
    };
    /** A killed owner waits for ever. */
    const passing = async (): Promise<void> => {
      try {
        step();
      } catch {
        await new Promise(() => undefined);
      }
    };
    return new CronOwner({
      storage: this.#storage(alive, step, passing),
      clock: { now: () => this.now },
      log: { error: (message) => void this.errors.push(message) },
      functions: {
        load: async (env) => {
          const { version, functions } = this;
          await this.reading;
          return { version, configs: env === 'production' ? functions : [] };
        },
      },
      accept: async (events) => {
        await passing();
        if (this.intake === 'refuses') throw new Error('no place took them');
        this.taken.push(...structuredClone(events));
        await passing();
        if (this.intake === 'late') throw new Error('no answer');
      },
    });
  }

  #storage(alive: () => void, step: () => void, passing: () => Promise<void>): ObjectStorage {
    return {
      read: <Row>(query: string, ...values: (string | number | null)[]) => {
        alive();
        return this.#db.prepare(query).all(...values) as Row[];
      },
      each: <Row>(query: string, ...values: (string | number | null)[]) => {
        alive();
        return this.#db.prepare(query).iterate(...values) as Iterable<unknown> as Iterable<Row>;
      },
      write: (statement, ...values) => {
        step();
        this.writes += Number(this.#db.prepare(statement).run(...values).changes);
      },
      transact: (work) => {
        step();
        const { alarm } = this;
        this.#db.exec('BEGIN');
        try {
          const result = work();
          this.#db.exec('COMMIT');
          return result;
        } catch (error) {
          this.#db.exec('ROLLBACK');
          this.alarm = alarm;
          throw error;
        }
      },
      alarm: async () => {
        await passing();
        return this.alarm;
      },
      setAlarm: (at) => {
        alive();
        this.alarm = at;
      },
    };
  }
}

/** What the schedules of one function name after `after` and not after `until`, each instant once. */
export function ticksOf(crons: string[], after: number, until: number): number[] {
  const ticks = new Set<number>();
  for (const text of crons) {
    const parsed = parseSchedule(text);
    if (!parsed.ok) throw new Error(parsed.error);
    for (let at = nextAfter(parsed.schedule, after); at <= until; at = nextAfter(parsed.schedule, at))
      ticks.add(at);
  }
  return [...ticks].toSorted((a, b) => a - b);
}

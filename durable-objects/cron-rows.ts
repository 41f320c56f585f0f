/**
 * The rows of one environment's timers. Their only writer is the owner (cron-owner.ts).
 *
 *   environment   its name, once
 *   plan          one row for each cron function: rewritten at every tick
 *   start         ticks whose runs are still to be started: an outbox
 *   skipped       one row for each function that missed ticks
 */
import type { SkippedTicks } from '../src/protocol/rpc.ts';
import type { ObjectStorage } from './storage.ts';

/** What is planned for a function. */
export interface Plan {
  functionId: string;
  /** Its schedules, in the order of declaration: a deployment that has the same ones changes nothing (CR-14). */
  texts: string[];
  /** Ticks up to here are settled: started or skipped. */
  since: number;
  /** The first tick after that. */
  next: number;
}

/** A tick that is to start a run. */
export interface Start {
  functionId: string;
  /** The scheduled instant: with the function, what makes it itself (CR-12). */
  tick: number;
  /** The schedule, as written (CR-10). */
  cron: string;
  /** The tick, or a moment of the window after it (CR-18). */
  due: number;
  /** It was handed over, or may have been: only an answer can settle it now. */
  tried: boolean;
}

const TABLES = [
  'CREATE TABLE environment (name TEXT)',
  'CREATE TABLE plan (function TEXT PRIMARY KEY, texts TEXT, since INTEGER, next INTEGER) WITHOUT ROWID',
  `CREATE TABLE start (
    function TEXT, tick INTEGER, cron TEXT, due INTEGER, tried INTEGER, PRIMARY KEY (function, tick)
  ) WITHOUT ROWID`,
  'CREATE TABLE skipped (function TEXT PRIMARY KEY, ticks TEXT, more INTEGER) WITHOUT ROWID',
];

export class CronRows {
  readonly #storage: ObjectStorage;
  #exist: boolean;

  constructor(storage: ObjectStorage) {
    this.#storage = storage;
    this.#exist = storage.read("SELECT 1 FROM sqlite_master WHERE name = 'environment'").length > 0;
  }

  /** Null before the first function with a schedule: a deployment without any writes nothing. */
  env(): string | null {
    if (!this.#exist) return null;
    return this.#storage.read<{ name: string }>('SELECT name FROM environment')[0]?.name ?? null;
  }

  /** Before anything else is written; not inside a transaction. */
  make(env: string): void {
    if (this.#exist) return;
    this.#storage.transact(() => {
      for (const table of TABLES) this.#storage.write(table);
      this.#storage.write('INSERT INTO environment VALUES (?)', env);
    });
    this.#exist = true;
  }

  plans(): Plan[] {
    if (!this.#exist) return [];
    const rows = this.#storage.read<Omit<Plan, 'texts'> & { texts: string }>(
      'SELECT function AS functionId, texts, since, next FROM plan ORDER BY function',
    );
    return rows.map((row) => ({ ...row, texts: JSON.parse(row.texts) as string[] }));
  }

  putPlan({ functionId, texts, since, next }: Plan): void {
    this.#storage.write(
      'INSERT OR REPLACE INTO plan VALUES (?, ?, ?, ?)',
      functionId,
      JSON.stringify(texts),
      since,
      next,
    );
  }

  /** With all that belongs to it: what was not handed over yet is not started any more (CR-14). */
  dropFunction(functionId: string): void {
    for (const table of ['plan', 'start', 'skipped']) {
      this.#storage.write(`DELETE FROM ${table} WHERE function = ?`, functionId);
    }
  }

  /** By function, the earliest tick first. */
  starts(): Start[] {
    if (!this.#exist) return [];
    const rows = this.#storage.read<Omit<Start, 'tried'> & { tried: number }>(
      'SELECT function AS functionId, tick, cron, due, tried FROM start ORDER BY function, tick',
    );
    return rows.map((row) => ({ ...row, tried: row.tried === 1 }));
  }

  putStart({ functionId, tick, cron, due, tried }: Start): void {
    this.#storage.write(
      'INSERT OR REPLACE INTO start VALUES (?, ?, ?, ?, ?)',
      functionId,
      tick,
      cron,
      due,
      tried ? 1 : 0,
    );
  }

  dropStart({ functionId, tick }: Start): void {
    this.#storage.write('DELETE FROM start WHERE function = ? AND tick = ?', functionId, tick);
  }

  skipped(): SkippedTicks[] {
    if (!this.#exist) return [];
    const rows = this.#storage.read<{ functionId: string; ticks: string; more: number }>(
      'SELECT function AS functionId, ticks, more FROM skipped ORDER BY function',
    );
    return rows.map(({ functionId, ticks, more }) => ({
      functionId,
      ticks: JSON.parse(ticks) as SkippedTicks['ticks'],
      more: more === 1,
    }));
  }

  /** Beside those of before. @param most how many of a function are kept: the latest. */
  addSkipped({ functionId, ticks, more }: SkippedTicks, most: number): void {
    const before = this.skipped().find((row) => row.functionId === functionId);
    const all = [...(before?.ticks ?? []), ...ticks].toSorted((a, b) => a.at - b.at);
    this.#storage.write(
      'INSERT OR REPLACE INTO skipped VALUES (?, ?, ?)',
      functionId,
      JSON.stringify(all.slice(-most)),
      more || before?.more === true || all.length > most ? 1 : 0,
    );
  }

  /** The earliest of what is planned and of what is to be started. */
  nextDue(): number | null {
    if (!this.#exist) return null;
    const rows = this.#storage.read<{ at: number | null }>(
      'SELECT min(at) AS at FROM (SELECT min(next) AS at FROM plan UNION ALL SELECT min(due) FROM start)',
    );
    return rows[0]?.at ?? null;
  }
}

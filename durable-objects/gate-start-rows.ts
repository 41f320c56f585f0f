/**
 * The rows of a gate about starts that are not runs yet. Every event that was collected has a row, every window one that changes with
 * its events; whoever passed a rate limit has one, and whoever holds a singleton or was refused it. Most of it only serves repeats, and
 * is forgotten after days: ids begin with their time, so no index is needed for that.
 *
 * That the tables exist is remembered; after a rollback this may not be used any more.
 */
import { ulid } from '../src/lib/ulid.ts';
import type { Closed, Window } from '../src/flow/window.ts';
import type { Collected } from '../src/protocol/gate.ts';
import type { ObjectStorage, Sql } from './storage.ts';

const ENTROPY_BYTES = 10;

const TABLES = [
  // `key`: null once it is closed. `due`: when it closes, or when its run is tried next.
  'CREATE TABLE window (run TEXT PRIMARY KEY, key TEXT, due INTEGER, body TEXT) WITHOUT ROWID',
  'CREATE INDEX window_open ON window (key) WHERE key IS NOT NULL',
  'CREATE INDEX window_due ON window (due)',
  'CREATE TABLE collected (event TEXT PRIMARY KEY, run TEXT, absorbed TEXT) WITHOUT ROWID',
  'CREATE TABLE pass (key TEXT, at INTEGER, run TEXT, PRIMARY KEY (key, at)) WITHOUT ROWID',
  'CREATE TABLE holder (key TEXT PRIMARY KEY, run TEXT, since INTEGER) WITHOUT ROWID',
  'CREATE TABLE decided (run TEXT PRIMARY KEY, what TEXT) WITHOUT ROWID',
  "CREATE INDEX decided_ousted ON decided (run) WHERE what = 'ousted'",
  'CREATE TABLE swept (n INTEGER PRIMARY KEY, at INTEGER)',
];

/** `ousted`: let in, and still to be cancelled. */
type Decision = 'granted' | 'refused' | 'ousted';

export interface Holder {
  runId: string;
  since: number;
}

export class StartRows {
  readonly #storage: ObjectStorage;
  #exist: boolean;

  constructor(storage: ObjectStorage) {
    this.#storage = storage;
    this.#exist = storage.read("SELECT 1 FROM sqlite_master WHERE name = 'window'").length > 0;
  }

  collected(eventId: string): Collected | null {
    const [row] = this.#read<Collected>(
      'SELECT event AS eventId, run AS runId, absorbed FROM collected WHERE event = ?',
      eventId,
    );
    return row ?? null;
  }

  putCollected(collected: Collected): Collected {
    const { eventId, runId, absorbed } = collected;
    this.#write('INSERT INTO collected VALUES (?, ?, ?)', eventId, runId, absorbed);
    return collected;
  }

  openWindow(key: string): Window | null {
    const [row] = this.#read<{ body: string }>('SELECT body FROM window WHERE key = ?', key);
    return row === undefined ? null : (JSON.parse(row.body) as Window);
  }

  /** @param due when it closes or, of a closed one, when its run is to be tried if nobody does before. */
  putWindow(key: string | null, window: Window | Closed, due: number): void {
    this.#write(
      `INSERT INTO window VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET key = excluded.key, due = excluded.due, body = excluded.body`,
      window.runId,
      key,
      due,
      JSON.stringify(window),
    );
  }

  /** Open ones that are to be closed and closed ones whose run is to be tried, the earliest first. */
  dueWindows(now: number, limit: number): (Window | Closed)[] {
    const rows = this.#read<{ body: string }>(
      'SELECT body FROM window WHERE due <= ? ORDER BY due LIMIT ?',
      now,
      limit,
    );
    return rows.map(({ body }) => JSON.parse(body) as Window | Closed);
  }

  dropWindow(runId: string): void {
    this.#write('DELETE FROM window WHERE run = ?', runId);
  }

  /** When the first window is due; null when there is none. */
  nextDue(): number | null {
    return this.#read<{ due: number | null }>('SELECT min(due) AS due FROM window')[0]?.due ?? null;
  }

  /** Those that passed after one time and before another; two are enough to know. */
  passes(key: string, after: number, before: number): { runId: string; at: number }[] {
    return this.#read(
      'SELECT run AS runId, at FROM pass WHERE key = ? AND at > ? AND at < ? LIMIT 2',
      key,
      after,
      before,
    );
  }

  putPass(key: string, at: number, runId: string): void {
    this.#write('INSERT INTO pass VALUES (?, ?, ?)', key, at, runId);
  }

  holder(key: string): Holder | null {
    return this.#read<Holder>('SELECT run AS runId, since FROM holder WHERE key = ?', key)[0] ?? null;
  }

  setHolder(key: string, { runId, since }: Holder): void {
    this.#write('INSERT OR REPLACE INTO holder VALUES (?, ?, ?)', key, runId, since);
  }

  /** Whether the run was let in; null when nothing was decided, and for who holds the key now. */
  decided(runId: string): boolean | null {
    const [row] = this.#read<{ what: Decision }>('SELECT what FROM decided WHERE run = ?', runId);
    return row === undefined ? null : row.what !== 'refused';
  }

  decide(runId: string, what: Decision): void {
    this.#write('INSERT OR REPLACE INTO decided VALUES (?, ?)', runId, what);
  }

  /** Runs that were ousted and are still to be cancelled. */
  toCancel(limit: number): string[] {
    return this.#read<{ run: string }>(
      "SELECT run FROM decided INDEXED BY decided_ousted WHERE what = 'ousted' LIMIT ?",
      limit,
    ).map(({ run }) => run);
  }

  /** Held since before a time, the earliest first. */
  holdersBefore(time: number, limit: number): (Holder & { key: string })[] {
    return this.#read(
      'SELECT key, run AS runId, since FROM holder WHERE since < ? ORDER BY since LIMIT ?',
      time,
      limit,
    );
  }

  dropHolder(key: string): void {
    this.#write('DELETE FROM holder WHERE key = ?', key);
  }

  /** When everything that is past was forgotten; null when it never was. */
  sweptAt(): number | null {
    return this.#read<{ at: number }>('SELECT at FROM swept')[0]?.at ?? null;
  }

  setSweptAt(at: number): void {
    this.#write('INSERT OR REPLACE INTO swept VALUES (1, ?)', at);
  }

  get isEmpty(): boolean {
    return ['collected', 'pass', 'decided', 'holder'].every(
      (table) => this.#read(`SELECT 1 FROM ${table} LIMIT 1`).length === 0,
    );
  }

  /** What nobody can ask for any more; at most so many rows of each kind. Answers whether there may be more. */
  forget(before: number, limit: number): boolean {
    const first = ulid(Math.max(before, 0), new Uint8Array(ENTROPY_BYTES));
    const events = this.#read<{ id: string }>(
      'SELECT event AS id FROM collected WHERE event < ? LIMIT ?',
      first,
      limit,
    );
    const runs = this.#read<{ id: string }>(
      'SELECT run AS id FROM decided WHERE run < ? LIMIT ?',
      first,
      limit,
    );
    const passes = this.#read<{ key: string; at: number }>(
      'SELECT key, at FROM pass WHERE at < ? LIMIT ?',
      before,
      limit,
    );
    for (const { id } of events) this.#write('DELETE FROM collected WHERE event = ?', id);
    for (const { id } of runs) this.#write('DELETE FROM decided WHERE run = ?', id);
    for (const { key, at } of passes) this.#write('DELETE FROM pass WHERE key = ? AND at = ?', key, at);
    return [events, runs, passes].some((rows) => rows.length === limit);
  }

  /** Tables are made by the first write. */
  #read<Row>(query: string, ...values: Sql[]): Row[] {
    return this.#exist ? this.#storage.read<Row>(query, ...values) : [];
  }

  #write(statement: string, ...values: Sql[]): void {
    if (!this.#exist) for (const table of TABLES) this.#storage.write(table);
    this.#exist = true;
    this.#storage.write(statement, ...values);
  }
}

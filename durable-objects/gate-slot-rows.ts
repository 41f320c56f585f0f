/**
 * The rows of the slots of one gate. A line is everything under one limit and one key, and a kind those in it that have their limit from
 * the same place: one of a function's own configuration.
 *
 *   waiting   found by its place: kind, score, event, run  one row write to get here
 *   leased    under its line and run                       one to leave the line, one to get here, one to be told
 *   gone                                                   one
 *
 * So the first of a kind is the first of its rows, however many are behind it. How many leases a line has is counted once, and then
 * kept in memory; so what is remembered here holds if what is written is committed: after a rollback it may not be used any more.
 */
import type { SlotClaim } from '../src/protocol/slot.ts';
import type { ObjectStorage } from './storage.ts';

/** One place in a line. */
export interface Place {
  line: string;
  kind: string;
  score: number;
  eventId: string;
  runId: string;
  turn: number;
}

export interface Lease extends Place {
  /** The run knows. */
  isTold: boolean;
  since: number;
  /** When it is lost if nothing is heard; of one that the run does not know of, when it is to be told again. */
  due: number;
}

interface LeaseRow extends Omit<Lease, 'isTold'> {
  told: number;
}

const TABLES = [
  `CREATE TABLE waiting (
    line TEXT, kind TEXT, score REAL, event TEXT, run TEXT, turn INTEGER, PRIMARY KEY (line, kind, score, event, run)
  ) WITHOUT ROWID`,
  `CREATE TABLE lease (
    line TEXT, run TEXT, kind TEXT, score REAL, event TEXT, turn INTEGER, told INTEGER, since INTEGER, due INTEGER, PRIMARY KEY (line, run)
  ) WITHOUT ROWID`,
  'CREATE TABLE rate (line TEXT PRIMARY KEY, tat REAL, due REAL) WITHOUT ROWID',
  'CREATE INDEX rate_due ON rate (due) WHERE due IS NOT NULL',
  'CREATE TABLE change (line TEXT, kind TEXT, body TEXT, PRIMARY KEY (line, kind)) WITHOUT ROWID',
];

const NO_CHANGES: ReadonlyMap<string, string> = new Map();

const PLACE = 'line, kind, score, event AS eventId, run AS runId, turn';
const LEASED = `${PLACE}, told, since, due`;

export class SlotRows {
  readonly #storage: ObjectStorage;
  #exist: boolean;
  /** Leases of a line, where they have been counted. */
  readonly #used = new Map<string, number>();
  #changes: ReadonlyMap<string, string> | null = null;

  constructor(storage: ObjectStorage) {
    this.#storage = storage;
    this.#exist = storage.read("SELECT 1 FROM sqlite_master WHERE name = 'waiting'").length > 0;
  }

  /** The first of each kind in a line: from one kind to the next through the index, however many are between them. */
  heads(line: string): Place[] {
    if (!this.#exist) return [];
    return this.#kinds(line).flatMap((kind) =>
      this.#storage.read<Place>(
        `SELECT ${PLACE} FROM waiting WHERE line = ? AND kind = ? ORDER BY score, event, run LIMIT 1`,
        line,
        kind,
      ),
    );
  }

  waiting({ line, kind, score, eventId, runId }: Place): Place | null {
    if (!this.#exist) return null;
    const [row] = this.#storage.read<Place>(
      `SELECT ${PLACE} FROM waiting WHERE line = ? AND kind = ? AND score = ? AND event = ? AND run = ?`,
      line,
      kind,
      score,
      eventId,
      runId,
    );
    return row ?? null;
  }

  /** Lines in which somebody waits, from the first one after `after` on. */
  crowded(after: string, limit: number): string[] {
    if (!this.#exist) return [];
    const rows = this.#storage.read<{ line: string }>(
      `WITH RECURSIVE each (line) AS (
         SELECT min(line) FROM waiting WHERE line > ?
         UNION ALL
         SELECT (SELECT min(line) FROM waiting WHERE waiting.line > each.line) FROM each WHERE each.line IS NOT NULL
       )
       SELECT line FROM each WHERE line IS NOT NULL LIMIT ?`,
      after,
      limit,
    );
    return rows.map(({ line }) => line);
  }

  /** How many wait before a place; does not count beyond `most`. */
  countBefore({ line, kind, score, eventId, runId }: Place, most: number): number {
    return this.#count(
      'SELECT 1 FROM waiting WHERE line = ? AND kind = ? AND (score, event, run) < (?, ?, ?) LIMIT ?',
      line,
      kind,
      score,
      eventId,
      runId,
      most,
    );
  }

  countWaiting(line: string, most: number): number {
    return this.#count('SELECT 1 FROM waiting WHERE line = ? LIMIT ?', line, most);
  }

  enqueue({ line, kind, score, eventId, runId, turn }: Place): void {
    this.#make();
    this.#storage.write(
      `INSERT INTO waiting VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET turn = excluded.turn`,
      line,
      kind,
      score,
      eventId,
      runId,
      turn,
    );
  }

  leave({ line, kind, score, eventId, runId }: Place): void {
    this.#storage.write(
      'DELETE FROM waiting WHERE line = ? AND kind = ? AND score = ? AND event = ? AND run = ?',
      line,
      kind,
      score,
      eventId,
      runId,
    );
  }

  used(line: string): number {
    const known = this.#used.get(line);
    if (known !== undefined || !this.#exist) return known ?? 0;
    const [counted] = this.#storage.read<{ n: number }>(
      'SELECT count(*) AS n FROM lease WHERE line = ?',
      line,
    );
    return this.#setUsed(line, counted?.n ?? 0);
  }

  lease(line: string, runId: string): Lease | null {
    if (!this.#exist) return null;
    const [row] = this.#storage.read<LeaseRow>(
      `SELECT ${LEASED} FROM lease WHERE line = ? AND run = ?`,
      line,
      runId,
    );
    return row === undefined ? null : leaseOf(row);
  }

  /** The oldest first, at most so many. */
  leases(line: string, limit: number): Lease[] {
    if (!this.#exist) return [];
    return this.#storage
      .read<LeaseRow>(`SELECT ${LEASED} FROM lease WHERE line = ? ORDER BY since, run LIMIT ?`, line, limit)
      .map(leaseOf);
  }

  /** Leases whose time has come. They are few: as many as may execute at a time. */
  dueLeases(now: number, limit: number): Lease[] {
    if (!this.#exist) return [];
    return this.#storage
      .read<LeaseRow>(
        `SELECT ${LEASED} FROM lease WHERE due <= ? ORDER BY due, line, run LIMIT ?`,
        now,
        limit,
      )
      .map(leaseOf);
  }

  /** Lines with leases. */
  leasedLines(limit: number): string[] {
    if (!this.#exist) return [];
    return this.#storage
      .read<{ line: string }>('SELECT DISTINCT line FROM lease LIMIT ?', limit)
      .map(({ line }) => line);
  }

  insertLease(lease: Lease): void {
    this.#make();
    const used = this.used(lease.line);
    const { line, runId, kind, score, eventId, turn, isTold, since, due } = lease;
    this.#storage.write(
      'INSERT INTO lease VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
      line,
      runId,
      kind,
      score,
      eventId,
      turn,
      isTold ? 1 : 0,
      since,
      due,
    );
    this.#setUsed(line, used + 1);
  }

  updateLease({ line, runId, turn, isTold, due }: Lease): void {
    this.#storage.write(
      'UPDATE lease SET turn = ?, told = ?, due = ? WHERE line = ? AND run = ?',
      turn,
      isTold ? 1 : 0,
      due,
      line,
      runId,
    );
  }

  /** One that is there. */
  deleteLease({ line, runId }: Pick<Lease, 'line' | 'runId'>): void {
    const used = this.used(line);
    this.#storage.write('DELETE FROM lease WHERE line = ? AND run = ?', line, runId);
    this.#setUsed(line, used - 1);
  }

  /** Null when nothing has started under it lately. */
  tat(line: string): number | null {
    if (!this.#exist) return null;
    return this.#storage.read<{ tat: number }>('SELECT tat FROM rate WHERE line = ?', line)[0]?.tat ?? null;
  }

  setTat(line: string, tat: number): void {
    this.#make();
    this.#storage.write(
      'INSERT INTO rate VALUES (?, ?, NULL) ON CONFLICT DO UPDATE SET tat = excluded.tat, due = NULL',
      line,
      tat,
    );
  }

  /** When the first who waits in the line may start; null while that is not a matter of time. */
  setDue(line: string, due: number | null): void {
    if (!this.#exist) return;
    this.#storage.write('UPDATE rate SET due = ? WHERE line = ? AND due IS NOT ?', due, line, due);
  }

  dueLines(now: number, limit: number): string[] {
    if (!this.#exist) return [];
    return this.#storage
      .read<{ line: string }>('SELECT line FROM rate WHERE due <= ? ORDER BY due LIMIT ?', now, limit)
      .map(({ line }) => line);
  }

  /** TH-23. */
  forgetRates(before: number, limit: number): void {
    if (!this.#exist) return;
    this.#storage.write(
      'DELETE FROM rate WHERE line IN (SELECT line FROM rate WHERE tat < ? AND due IS NULL LIMIT ?)',
      before,
      limit,
    );
  }

  /** When somebody who waits may start; null when that is not a matter of time. */
  nextStart(): number | null {
    return this.#earliest('SELECT min(due) AS at FROM rate WHERE due IS NOT NULL');
  }

  /** When the first lease is due; null when there is none. */
  nextLease(): number | null {
    return this.#earliest('SELECT min(due) AS at FROM lease');
  }

  get hasRates(): boolean {
    return this.#exist && this.#storage.read('SELECT 1 FROM rate LIMIT 1').length > 0;
  }

  /** What was changed of a kind's limit, JSON text: under one line, or, under the name of the policy, for all lines. */
  change(line: string, kind: string): string | null {
    return this.#allChanges().get(nameOf(line, kind)) ?? null;
  }

  setChange(line: string, kind: string, body: string | null): void {
    if (body === null && !this.#exist) return;
    this.#make();
    if (body === null) this.#storage.write('DELETE FROM change WHERE line = ? AND kind = ?', line, kind);
    else this.#storage.write('INSERT OR REPLACE INTO change VALUES (?, ?, ?)', line, kind, body);
    this.#changes = null;
  }

  /** They are few, and asked for with every decision. */
  #allChanges(): ReadonlyMap<string, string> {
    if (!this.#exist) return NO_CHANGES;
    this.#changes ??= new Map(
      this.#storage
        .read<{ line: string; kind: string; body: string }>('SELECT line, kind, body FROM change')
        .map(({ line, kind, body }) => [nameOf(line, kind), body]),
    );
    return this.#changes;
  }

  #kinds(line: string): string[] {
    const rows = this.#storage.read<{ kind: string }>(
      `WITH RECURSIVE each (kind) AS (
         SELECT min(kind) FROM waiting WHERE line = ?1
         UNION ALL
         SELECT (SELECT min(kind) FROM waiting WHERE line = ?1 AND waiting.kind > each.kind) FROM each
         WHERE each.kind IS NOT NULL
       )
       SELECT kind FROM each WHERE kind IS NOT NULL`,
      line,
    );
    return rows.map(({ kind }) => kind);
  }

  #earliest(query: string): number | null {
    return this.#exist ? (this.#storage.read<{ at: number | null }>(query)[0]?.at ?? null) : null;
  }

  #count(query: string, ...values: (string | number)[]): number {
    if (!this.#exist) return 0;
    return this.#storage.read<{ n: number }>(`SELECT count(*) AS n FROM (${query})`, ...values)[0]?.n ?? 0;
  }

  #setUsed(line: string, used: number): number {
    if (used > 0) this.#used.set(line, used);
    else this.#used.delete(line);
    return used;
  }

  #make(): void {
    if (this.#exist) return;
    for (const table of TABLES) this.#storage.write(table);
    this.#exist = true;
  }
}

function leaseOf({ told, ...lease }: LeaseRow): Lease {
  return { ...lease, isTold: told === 1 };
}

function nameOf(line: string, kind: string): string {
  return `${kind} ${line}`;
}

/** The line of a claim within its gate, and its kind in there. */
export function placeOf({ env, functionId, runId, limit, score, eventId, turn }: SlotClaim): Place {
  const { policy, n, key } = limit;
  return {
    line: `${policy}:${key}`,
    kind: JSON.stringify([env, functionId, n]),
    score,
    eventId,
    runId,
    turn,
  };
}

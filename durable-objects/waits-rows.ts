/**
 * The rows of one event name's waits. A wait is one row, found by its run and key, and one entry of the index, found by its place:
 *
 *   open      place of the wait             two row writes to get here, by way of a look at the history
 *   matched   OUTBOX, the event's id        two more; stays until the run took the event
 *   gone                                    one more
 *
 * So the index of what events look for is also the list of what is still to be sent, and no event meets a wait that has its own.
 * Of waits whose look-back could not be done, `debt` has a row. What is too long for a row goes in pieces to a third table.
 */
import { splitText } from '../src/lib/json.ts';
import type { Place, Search } from '../src/match/waits.ts';
import type { StoredEvent } from '../src/protocol/event.ts';
import { limits } from '../src/protocol/limits.ts';
import type { Wait } from '../src/protocol/wait.ts';
import type { ObjectStorage, Sql } from './storage.ts';

/** Names a wait among those of its object. */
export interface WaitKey {
  runId: string;
  key: string;
}

export interface WaitRow extends WaitKey {
  wait: Wait;
  /** Internal id of the event that it got. */
  matched: string | null;
}

/** A match that its run may not know of yet. */
export interface Parcel extends WaitKey {
  kind: Wait['kind'];
  /** Internal id of the event. */
  eventId: string;
}

interface Row {
  run: string;
  key: string;
  path: string;
  value: string;
  body: string;
}

/** No path is written like this one: matched waits, by the ids of their events. */
const OUTBOX = '!';
/** Both fit one row of 2 MB, whatever their characters. */
const INLINE = { body: 300_000, event: 200_000 };
/** Marks texts that are in pieces; no JSON text is empty. */
const IN_PIECES = '';
const CROWD = 64;

/** `moved`: when the wait was registered, matched, or asked about when it was nearly stale. */
const TABLES = [
  `CREATE TABLE wait (
    run TEXT, key TEXT, path TEXT, value TEXT, until INTEGER, moved INTEGER, body TEXT, event TEXT, PRIMARY KEY (run, key)
  ) WITHOUT ROWID`,
  'CREATE INDEX place ON wait (path, value)',
  'CREATE TABLE debt (run TEXT, key TEXT, since INTEGER, PRIMARY KEY (run, key)) WITHOUT ROWID',
  'CREATE TABLE piece (owner TEXT, n INTEGER, text TEXT, PRIMARY KEY (owner, n)) WITHOUT ROWID',
];

/** What it remembers of the tables holds if what it writes is committed: after a rollback it may not be used any more. */
export class WaitRows {
  readonly #storage: ObjectStorage;
  #exist: boolean;
  /** Every path of an open wait, and perhaps some that have none any more; null until they are asked for. */
  #paths: Set<string> | null = null;
  #hasDebts: boolean;

  constructor(storage: ObjectStorage) {
    this.#storage = storage;
    this.#exist = this.#has("SELECT 1 FROM sqlite_master WHERE name = 'wait'");
    this.#hasDebts = this.#exist && this.#has('SELECT 1 FROM debt LIMIT 1');
  }

  /** False for an object with which nothing was ever registered: events pass it without a write. */
  get exist(): boolean {
    return this.#exist;
  }

  get isEmpty(): boolean {
    return !this.#exist || !this.#has('SELECT 1 FROM wait LIMIT 1');
  }

  /** A row that is not there yet. @param event what the wait got while it was looked for. */
  insert(wait: Wait, { path, value }: Place, event: StoredEvent | null, now: number): void {
    if (!this.#exist) this.#make();
    const body = JSON.stringify(wait);
    const isLong = body.length > INLINE.body;
    this.#storage.write(
      'INSERT INTO wait VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      wait.runId,
      wait.key,
      event === null ? path : OUTBOX,
      event === null ? value : event.internalId,
      wait.until,
      now,
      isLong ? IN_PIECES : body,
      event === null ? null : this.#put(event, false),
    );
    if (isLong) this.#putPieces(ownerOf(wait), body);
    this.expect(path);
  }

  find({ runId, key }: WaitKey): WaitRow | null {
    if (!this.#exist) return null;
    const [row] = this.#storage.read<Row>(
      'SELECT run, key, path, value, body FROM wait WHERE run = ? AND key = ?',
      runId,
      key,
    );
    return row === undefined ? null : this.#waitRow(row);
  }

  /** Open waits and the search that found them, one after the other: there may be very many. Nothing may be written meanwhile. */
  *found(searches: readonly Search[]): Iterable<{ wait: Wait; search: Search }> {
    if (!this.#exist) return;
    const places = JSON.stringify(searches.map(({ path, value }) => [path, value]));
    const rows = this.#storage.each<Row & { n: number }>(
      `SELECT search.key AS n, wait.run, wait.key, wait.body
       FROM json_each(?) AS search
       CROSS JOIN wait INDEXED BY place ON wait.path = search.value ->> 0 AND wait.value = search.value ->> 1`,
      places,
    );
    for (const row of rows) {
      const search = searches[row.n];
      if (search !== undefined) yield { wait: this.#body(row), search };
    }
  }

  /** Where open waits are kept: from one path to the next through the index, however many waits are between them. */
  paths(): readonly string[] {
    return [...this.#pathSet()];
  }

  /** Events are to look there too, before there is a row. */
  expect(path: string): void {
    this.#pathSet().add(path);
  }

  #pathSet(): Set<string> {
    if (!this.#exist) return (this.#paths ??= new Set());
    this.#paths ??= new Set(
      this.#storage
        .read<{ path: string }>(
          `WITH RECURSIVE each (path) AS (
             SELECT min(path) FROM wait
             UNION ALL
             SELECT (SELECT min(path) FROM wait WHERE wait.path > each.path) FROM each WHERE each.path IS NOT NULL
           )
           SELECT path FROM each WHERE path IS NOT NULL`,
        )
        .map(({ path }) => path)
        .filter((path) => path !== OUTBOX),
    );
    return this.#paths;
  }

  /** How many waits are at a place; does not count beyond some tens. */
  crowd({ path, value }: Place): number {
    if (!this.#exist) return 0;
    const [counted] = this.#storage.read<{ n: number }>(
      `SELECT count(*) AS n FROM (SELECT 1 FROM wait INDEXED BY place WHERE path = ? AND value = ? LIMIT ${CROWD})`,
      path,
      value,
    );
    return counted?.n ?? 0;
  }

  /** The wait gets the event, for good. @param isShared other waits get it too: it is stored once for all of them. */
  settle({ runId, key }: WaitKey, event: StoredEvent, isShared: boolean, now: number): void {
    this.#storage.write(
      'UPDATE wait SET path = ?, value = ?, moved = ?, event = ? WHERE run = ? AND key = ?',
      OUTBOX,
      event.internalId,
      now,
      this.#put(event, isShared),
      runId,
      key,
    );
    this.forgive({ runId, key });
  }

  /** The event that a wait got; null when it has none (any more). */
  event({ runId, key }: WaitKey): StoredEvent | null {
    const [row] = this.#storage.read<{ value: string; event: string | null }>(
      'SELECT value, event FROM wait WHERE run = ? AND key = ?',
      runId,
      key,
    );
    if (row === undefined || row.event === null) return null;
    return JSON.parse(row.event === IN_PIECES ? this.#pieces(row.value) : row.event) as StoredEvent;
  }

  remove({ runId, key }: WaitKey): void {
    if (!this.#exist) return;
    const [row] = this.#storage.read<{ value: string; isLong: number; isMatched: number }>(
      `SELECT value, body = '' AS isLong, event IS NOT NULL AS isMatched FROM wait WHERE run = ? AND key = ?`,
      runId,
      key,
    );
    if (row === undefined) return;
    this.#storage.write('DELETE FROM wait WHERE run = ? AND key = ?', runId, key);
    this.forgive({ runId, key });
    if (row.isLong === 1) this.#dropPieces(ownerOf({ runId, key }));
    if (row.isMatched === 1 && this.crowd({ path: OUTBOX, value: row.value }) === 0)
      this.#dropPieces(row.value);
  }

  /** Matches, ordered, at most so many, from the first one after `after` on. */
  outbox(after: Parcel | null, limit: number): Parcel[] {
    if (!this.#exist) return [];
    const rows = this.#storage.read<Row>(
      `SELECT run, key, value, body FROM wait INDEXED BY place
       WHERE path = ? AND (value, run, key) > (?, ?, ?) ORDER BY value, run, key LIMIT ?`,
      OUTBOX,
      after?.eventId ?? '',
      after?.runId ?? '',
      after?.key ?? '',
      limit,
    );
    return rows.map((row) => {
      const { runId, key, kind } = this.#body(row);
      return { runId, key, kind, eventId: row.value };
    });
  }

  /** The look-back of this wait is still to be done, and until then it gets no event: the look-back finds it. */
  owe({ runId, key }: WaitKey, now: number): void {
    this.#storage.write('INSERT INTO debt VALUES (?, ?, ?) ON CONFLICT DO NOTHING', runId, key, now);
    this.#hasDebts = true;
  }

  forgive({ runId, key }: WaitKey): void {
    if (this.#hasDebts) this.#storage.write('DELETE FROM debt WHERE run = ? AND key = ?', runId, key);
  }

  isOwed({ runId, key }: WaitKey): boolean {
    return this.#hasDebts && this.#has('SELECT 1 FROM debt WHERE run = ? AND key = ?', runId, key);
  }

  debts(after: WaitKey | null, limit: number): Wait[] {
    if (!this.#hasDebts) return [];
    const rows = this.#storage.read<Row>(
      `SELECT wait.run, wait.key, wait.body FROM debt JOIN wait USING (run, key)
       WHERE (debt.run, debt.key) > (?, ?) ORDER BY debt.run, debt.key LIMIT ?`,
      after?.runId ?? '',
      after?.key ?? '',
      limit,
    );
    const waits = rows.map((row) => this.#body(row));
    if (waits.length === 0 && after === null) this.#hasDebts = false;
    return waits;
  }

  /** When the youngest piece of unfinished business came about; null when there is none. */
  pendingSince(): number | null {
    if (!this.#exist) return null;
    const [youngest] = this.#storage.read<{ at: number | null }>(
      `SELECT max(at) AS at FROM (
         SELECT max(moved) AS at FROM wait INDEXED BY place WHERE path = ? UNION ALL SELECT max(since) FROM debt
       )`,
      OUTBOX,
    );
    return youngest?.at ?? null;
  }

  /** Waits whose deadline was before `before`, and which have not got an event since then either. */
  stale(before: number, limit: number): WaitKey[] {
    if (!this.#exist) return [];
    const rows = this.#storage.read<{ runId: string; key: string }>(
      'SELECT run AS runId, key FROM wait WHERE until < ? AND moved < ? LIMIT ?',
      before,
      before,
      limit,
    );
    return rows;
  }

  /** Not stale before another while has passed. */
  keep({ runId, key }: WaitKey, now: number): void {
    this.#storage.write('UPDATE wait SET moved = ? WHERE run = ? AND key = ?', now, runId, key);
  }

  #make(): void {
    for (const table of TABLES) this.#storage.write(table);
    this.#exist = true;
  }

  #waitRow(row: Row): WaitRow {
    return {
      runId: row.run,
      key: row.key,
      wait: this.#body(row),
      matched: row.path === OUTBOX ? row.value : null,
    };
  }

  #body({ run, key, body }: Pick<Row, 'run' | 'key' | 'body'>): Wait {
    return JSON.parse(body === IN_PIECES ? this.#pieces(ownerOf({ runId: run, key })) : body) as Wait;
  }

  /** The text for the wait's row. */
  #put(event: StoredEvent, isShared: boolean): string {
    const text = JSON.stringify(event);
    if (!isShared && text.length <= INLINE.event) return text;
    if (!this.#isStored(event.internalId)) this.#putPieces(event.internalId, text);
    return IN_PIECES;
  }

  #isStored(owner: string): boolean {
    return this.#has('SELECT 1 FROM piece WHERE owner = ? AND n = 0', owner);
  }

  #putPieces(owner: string, text: string): void {
    for (const [n, piece] of splitText(text, limits.rowText).entries())
      this.#storage.write('INSERT OR REPLACE INTO piece VALUES (?, ?, ?)', owner, n, piece);
  }

  #pieces(owner: string): string {
    const rows = this.#storage.read<{ text: string }>(
      'SELECT text FROM piece WHERE owner = ? ORDER BY n',
      owner,
    );
    return rows.map(({ text }) => text).join('');
  }

  #dropPieces(owner: string): void {
    this.#storage.write('DELETE FROM piece WHERE owner = ?', owner);
  }

  #has(query: string, ...values: Sql[]): boolean {
    return this.#storage.read(query, ...values).length > 0;
  }
}

/** Not the id of an event: those have no brackets. */
function ownerOf({ runId, key }: WaitKey): string {
  return JSON.stringify([runId, key]);
}

/**
 * The rows of one signal. Of its waiters one at most is open:
 *
 *   open       the next signal is for it
 *   replaced   another one took over: it gets nothing any more (WS-1)
 *   matched    has its signal, which the run may not know of yet; stays until the run took it, or wants it no more
 *   claimed    the same, and the run has asked for it at its deadline
 *
 * `due` of a row is when the alarm is to look at it. `sent` remembers who got what, for a sender that asks again.
 */
import type { SentSignal, SignalWait } from '../src/protocol/signal.ts';
import type { ObjectStorage } from './storage.ts';

export interface Waiter {
  runId: string;
  key: string;
  state: 'open' | 'replaced' | 'matched' | 'claimed';
  /** Its deadline; of a matched one, when it was matched. */
  until: number;
  /** JSON text; null where it is not matched. */
  answer: string | null;
}

type WaiterKey = Pick<Waiter, 'runId' | 'key'>;

const TABLES = [
  `CREATE TABLE waiter (
    run TEXT, key TEXT, state TEXT, until INTEGER, due INTEGER, answer TEXT, PRIMARY KEY (run, key)
  ) WITHOUT ROWID`,
  'CREATE TABLE sent (id TEXT PRIMARY KEY, run TEXT, due INTEGER) WITHOUT ROWID',
];

const FIELDS = 'run AS runId, key, state, until, answer';

export class SignalRows {
  readonly #storage: ObjectStorage;
  #exist: boolean;

  constructor(storage: ObjectStorage) {
    this.#storage = storage;
    this.#exist = storage.read("SELECT 1 FROM sqlite_master WHERE name = 'waiter'").length > 0;
  }

  find({ runId, key }: WaiterKey): Waiter | null {
    return this.#waiters('WHERE run = ? AND key = ?', runId, key)[0] ?? null;
  }

  open(now: number): Waiter | null {
    return this.#waiters("WHERE state = 'open' AND until > ?", now)[0] ?? null;
  }

  insert({ runId, key, until }: SignalWait, due: number): void {
    if (!this.#exist) for (const table of TABLES) this.#storage.write(table);
    this.#exist = true;
    const insert = "INSERT INTO waiter VALUES (?, ?, 'open', ?, ?, NULL)";
    this.#storage.write(insert, runId, key, until, due);
  }

  replace({ runId, key }: WaiterKey): void {
    this.#storage.write("UPDATE waiter SET state = 'replaced' WHERE run = ? AND key = ?", runId, key);
  }

  match(
    { runId, key }: WaiterKey,
    { id, answer }: SentSignal,
    now: number,
    due: { told: number; sent: number },
  ): void {
    this.#storage.write(
      "UPDATE waiter SET state = 'matched', until = ?, due = ?, answer = ? WHERE run = ? AND key = ?",
      now,
      due.told,
      answer,
      runId,
      key,
    );
    this.#storage.write('INSERT INTO sent VALUES (?, ?, ?)', id, runId, due.sent);
  }

  claim({ runId, key }: WaiterKey): void {
    this.#storage.write("UPDATE waiter SET state = 'claimed' WHERE run = ? AND key = ?", runId, key);
  }

  remove({ runId, key }: WaiterKey): void {
    if (this.#exist) this.#storage.write('DELETE FROM waiter WHERE run = ? AND key = ?', runId, key);
  }

  /** The run that got it; null for one that is not known. */
  sentTo(id: string): string | null {
    if (!this.#exist) return null;
    return this.#storage.read<{ run: string }>('SELECT run FROM sent WHERE id = ?', id)[0]?.run ?? null;
  }

  forget(id: string): void {
    this.#storage.write('DELETE FROM sent WHERE id = ?', id);
  }

  /** Waiters that are due to be looked at. */
  due(now: number): Waiter[] {
    return this.#waiters('WHERE due <= ?', now);
  }

  postpone({ runId, key }: WaiterKey, due: number): void {
    this.#storage.write('UPDATE waiter SET due = ? WHERE run = ? AND key = ?', due, runId, key);
  }

  forgetSent(now: number): void {
    if (this.#exist) this.#storage.write('DELETE FROM sent WHERE due <= ?', now);
  }

  /** The tables are gone, with all else. */
  erased(): void {
    this.#exist = false;
  }

  /** Null when no row is left. */
  nextDue(): number | null {
    if (!this.#exist) return null;
    const [next] = this.#storage.read<{ due: number | null }>(
      'SELECT min(due) AS due FROM (SELECT due FROM waiter UNION ALL SELECT due FROM sent)',
    );
    return next?.due ?? null;
  }

  #waiters(where: string, ...values: (string | number)[]): Waiter[] {
    return this.#exist ? this.#storage.read<Waiter>(`SELECT ${FIELDS} FROM waiter ${where}`, ...values) : [];
  }
}

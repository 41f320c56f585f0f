/**
 * A run's journal in its object's storage: the only user of `ctx.storage` for runs.
 *
 *   seq 0     config, and the run as it began | the events that started it    written once
 *   seq 1     run    | its output                           written when the run changes: starts late, fails an attempt, ends
 *   seq 2...  steps  | their outputs                        one row each
 *
 * One table and no index: a fresh object is the dearest thing on this substrate, and every lookup goes through memory.
 * Texts longer than a row may hold go in pieces to a second table, which is made when the first of them is written; so does what steps
 * were given, under negative numbers, for the few of which it is kept.
 */
import { splitText } from '../src/lib/json.ts';
import { limits } from '../src/protocol/limits.ts';
import type { StoredEvent } from '../src/protocol/event.ts';
import { load } from '../src/run/commit.ts';
import type { Run, RunConfig, RunState, Step } from '../src/run/state.ts';
import type { Changes } from '../src/run/transition.ts';
import type { JournalPort } from './owner.ts';

const CONFIG = 0;
const RUN = 1;
const STEPS = 2;

/** Microtasks for which a changed alarm is held back: some short steps fit in. */
const HELD = 128;

export class Journal implements JournalPort {
  readonly #storage: DurableObjectStorage;
  /** What the alarm was last set to; undefined when that is not known. */
  #armed: number | null | undefined;
  /** What it is to be set to before the turn is over. */
  #wanted: number | null = null;
  #isHeld = false;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Everything but the payloads; null for an object in which no run has started. */
  load(): { state: RunState; settled: string[] } | null {
    if (!this.#exists('journal')) {
      this.#armed = null;
      return null;
    }
    const rows = this.#storage.sql
      .exec<{ seq: number; head: string }>('SELECT seq, head FROM journal ORDER BY seq')
      .toArray();
    const heads = new Map(rows.map((row) => [row.seq, JSON.parse(row.head) as unknown]));
    const { config, run } = heads.get(CONFIG) as { config: RunConfig; run: Run };
    const now = (heads.get(RUN) ?? run) as Run;
    const steps = [...heads].flatMap(([seq, head]) => (seq < STEPS ? [] : [head as Step]));
    return { state: load(config, now, steps), settled: settledOrder(steps) };
  }

  /**
   * Rows and alarm together or not at all. The platform commits everything that one turn writes, its microtasks included, in one
   * transaction: so the alarm is held back for some of these. A run that ends or goes to sleep in the turn in which it was woken sets
   * one alarm or none, where it would have set the watchdog before; an alarm costs as much as a row, and more time.
   * @param work writes through `write` and answers when the alarm is next due.
   */
  transact(work: () => number | null, now: number): void {
    const next = this.#storage.transactionSync(work);
    // An alarm in the past might never fire.
    this.#wanted = next === null ? null : Math.max(next, now + 1);
    if (this.#wanted !== this.#armed && !this.#isHeld) void this.#armSoon();
  }

  /** Only inside `transact`. */
  write(changes: Changes, events: () => StoredEvent[]): void {
    const { config, run, output } = changes;
    if (config !== undefined) {
      this.#storage.sql.exec('CREATE TABLE journal (seq INTEGER PRIMARY KEY, head TEXT NOT NULL, data TEXT)');
      this.#put(CONFIG, { config, run }, JSON.stringify(events()));
    } else if (run !== undefined) this.#put(RUN, run, output);
    if (changes.step !== undefined) {
      const { step, data, input } = changes.step;
      this.#put(step.seq + STEPS, step, data);
      if (input !== undefined) this.#putPieces(-(step.seq + STEPS), input);
    }
  }

  events(): StoredEvent[] {
    return JSON.parse(this.#data(CONFIG) ?? '[]') as StoredEvent[];
  }

  /** JSON text; null while there is none. */
  output(): string | null {
    return this.#data(RUN);
  }

  stepData(seq: number): string | null {
    return this.#data(seq + STEPS);
  }

  stepInput(seq: number): string | null {
    return this.#exists('piece') ? this.#pieces(-(seq + STEPS)) || null : null;
  }

  /** The platform has taken the alarm away by firing it. */
  alarmFired(): void {
    this.#armed = null;
    this.#wanted = null;
  }

  /** For what is not part of a run's transitions; overwrites the alarm. */
  async rearm(at: number): Promise<void> {
    this.#armed = at;
    this.#wanted = at;
    await this.#storage.setAlarm(at);
  }

  async alarm(): Promise<number | null> {
    if (this.#isHeld) this.#arm();
    return await this.#storage.getAlarm();
  }

  /** Takes the alarm away too. */
  async erase(): Promise<void> {
    this.#armed = null;
    this.#wanted = null;
    await this.#storage.deleteAll();
  }

  async #armSoon(): Promise<void> {
    this.#isHeld = true;
    for (let i = 0; i < HELD; i++) await Promise.resolve();
    this.#isHeld = false;
    this.#arm();
  }

  /** The write is not awaited: it is part of the turn's transaction. */
  #arm(): void {
    if (this.#wanted === this.#armed) return;
    this.#armed = this.#wanted;
    void (this.#wanted === null ? this.#storage.deleteAlarm() : this.#storage.setAlarm(this.#wanted));
  }

  #put(seq: number, head: object, data: string | undefined): void {
    const isLong = data !== undefined && data.length > limits.rowText;
    this.#storage.sql.exec(
      `INSERT INTO journal VALUES (?, ?, ?)
       ON CONFLICT (seq) DO UPDATE SET head = excluded.head, data = coalesce(excluded.data, data)`,
      seq,
      JSON.stringify(head),
      isLong ? '' : (data ?? null),
    );
    if (isLong) this.#putPieces(seq, data);
  }

  #putPieces(seq: number, data: string): void {
    const { sql } = this.#storage;
    sql.exec(
      'CREATE TABLE IF NOT EXISTS piece (seq INTEGER, n INTEGER, text TEXT, PRIMARY KEY (seq, n)) WITHOUT ROWID',
    );
    for (const [n, text] of splitText(data, limits.rowText).entries()) {
      sql.exec('INSERT OR REPLACE INTO piece VALUES (?, ?, ?)', seq, n, text);
    }
  }

  /** No JSON text is empty, so an empty one marks pieces. */
  #data(seq: number): string | null {
    const { sql } = this.#storage;
    const row = sql.exec<{ data: string | null }>('SELECT data FROM journal WHERE seq = ?', seq).toArray()[0];
    return row?.data === '' ? this.#pieces(seq) : (row?.data ?? null);
  }

  #pieces(seq: number): string {
    const rows = this.#storage.sql.exec<{ text: string }>(
      'SELECT text FROM piece WHERE seq = ? ORDER BY n',
      seq,
    );
    return rows
      .toArray()
      .map(({ text }) => text)
      .join('');
  }

  #exists(table: string): boolean {
    return this.#storage.sql.exec('SELECT 1 FROM sqlite_master WHERE name = ?', table).toArray().length > 0;
  }
}

function settledOrder(steps: Step[]): string[] {
  return steps
    .flatMap((step) => (step.state === 'settled' ? [step] : []))
    .toSorted((a, b) => a.order - b.order)
    .map((step) => step.id);
}

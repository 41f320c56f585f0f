/**
 * A run's journal in memory. Everything stored goes through JSON text, so a second journal on the same `rows` is what a new object
 * finds after a crash: `memoryJournal(journal.rows)`, or on `copyRows(journal.rows)` when the first one goes on living.
 */
import type { JournalPort } from '../../durable-objects/owner.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import { load } from '../../src/run/commit.ts';
import type { Run, RunConfig, Step } from '../../src/run/state.ts';
import type { Changes } from '../../src/run/transition.ts';

interface Row {
  head: string;
  data: string | null;
  input: string | null;
}

/** What survives a crash: the rows by number (0 config, 1 run, 2... steps), and the one alarm. */
export interface JournalRows {
  table: Map<number, Row>;
  alarm: number | null;
}

export interface MemoryJournal extends JournalPort {
  readonly rows: JournalRows;
  /** Since this journal was made. */
  readonly counts: { transactions: number; rowWrites: number; alarmWrites: number };
}

const CONFIG = 0;
const RUN = 1;
const STEPS = 2;

export function noRows(): JournalRows {
  return { table: new Map(), alarm: null };
}

export function copyRows(rows: JournalRows): JournalRows {
  return { table: new Map(rows.table), alarm: rows.alarm };
}

export function memoryJournal(rows: JournalRows = noRows()): MemoryJournal {
  const { table } = rows;
  const counts = { transactions: 0, rowWrites: 0, alarmWrites: 0 };
  /** Rows as they were before the transaction in progress; null outside of one. */
  let undo: Map<number, Row | undefined> | null = null;

  function put(seq: number, head: object, data: string | undefined, input?: string): void {
    if (undo === null) throw new Error('write is for transactions only');
    const before = table.get(seq);
    if (!undo.has(seq)) undo.set(seq, before);
    table.set(seq, {
      head: JSON.stringify(head),
      data: data ?? before?.data ?? null,
      input: input ?? before?.input ?? null,
    });
    counts.rowWrites++;
  }

  function arm(at: number | null): void {
    if (rows.alarm === at) return;
    rows.alarm = at;
    counts.alarmWrites++;
  }

  function rollBack(changed: Map<number, Row | undefined>): void {
    for (const [seq, row] of changed) {
      if (row === undefined) table.delete(seq);
      else table.set(seq, row);
    }
  }

  return {
    rows,
    counts,

    load() {
      const heads = [...table]
        .toSorted((a, b) => a[0] - b[0])
        .map(([, row]) => JSON.parse(row.head) as unknown);
      if (heads.length === 0) return null;
      const [config, run, ...steps] = heads as [RunConfig, Run, ...Step[]];
      return { state: load(config, run, steps), settled: settledOrder(steps) };
    },

    transact(work, now) {
      if (undo !== null) throw new Error('transactions do not nest');
      undo = new Map();
      counts.transactions++;
      try {
        const next = work();
        arm(next === null ? null : Math.max(next, now + 1));
      } catch (error) {
        rollBack(undo);
        throw error;
      } finally {
        undo = null;
      }
    },

    write(changes: Changes, events: () => StoredEvent[]) {
      if (changes.config !== undefined) put(CONFIG, changes.config, JSON.stringify(events()));
      if (changes.run !== undefined) put(RUN, changes.run, changes.output);
      if (changes.step !== undefined) {
        const { step, data, input } = changes.step;
        put(step.seq + STEPS, step, data, input);
      }
    },

    events: () => JSON.parse(table.get(CONFIG)?.data ?? '[]') as StoredEvent[],
    output: () => table.get(RUN)?.data ?? null,
    stepData: (seq) => table.get(seq + STEPS)?.data ?? null,
    stepInput: (seq) => table.get(seq + STEPS)?.input ?? null,
    alarm: async () => rows.alarm,
    alarmFired: () => void (rows.alarm = null),
    rearm: async (at) => arm(at),

    async erase() {
      table.clear();
      rows.alarm = null;
    },
  };
}

function settledOrder(steps: Step[]): string[] {
  return steps
    .flatMap((step) => (step.state === 'settled' ? [step] : []))
    .toSorted((a, b) => a.order - b.order)
    .map((step) => step.id);
}

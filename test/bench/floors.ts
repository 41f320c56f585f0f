/** What the platform itself takes for the least that an engine must do. */
import { DurableObject } from 'cloudflare:workers';
import { bindings, type BenchEnv } from './env.ts';
import { inPool } from '../../src/dispatch/pool.ts';

const ROW = JSON.stringify({
  id: 'a'.repeat(40),
  name: 'step',
  state: 'settled',
  order: 1,
  at: 1_700_000_000_000,
});

/** After each insert: a microtask, `storage.sync()`, a timer, or another object's answer. */
export type Loop = 'microtask' | 'sync' | 'timer' | 'call';

export class Floor extends DurableObject<BenchEnv> {
  answer(): number {
    return 1;
  }

  /** A fresh object with one row. */
  insert(): void {
    this.#create();
    this.#add();
  }

  /** @returns milliseconds per row. */
  async loop(kind: Loop, rows: number): Promise<number> {
    const { storage } = this.ctx;
    this.#create();
    await storage.sync();
    await scheduler.wait(0);
    const from = performance.now();
    for (let i = 0; i < rows; i++) {
      storage.transactionSync(() => this.#add());
      if (kind === 'microtask') await Promise.resolve();
      else if (kind === 'sync') await storage.sync();
      else if (kind === 'timer') await scheduler.wait(0);
      else await this.env.FLOOR.getByName('answers').answer();
    }
    await scheduler.wait(0);
    return (performance.now() - from) / rows;
  }

  #create(): void {
    this.ctx.storage.sql.exec(
      'CREATE TABLE IF NOT EXISTS t (seq INTEGER PRIMARY KEY, head TEXT NOT NULL, data TEXT)',
    );
  }

  #add(): void {
    this.ctx.storage.sql.exec('INSERT INTO t (head, data) VALUES (?, ?)', ROW, ROW);
  }
}

export function loop(kind: Loop, rows: number): Promise<number> {
  return bindings.FLOOR.getByName(crypto.randomUUID()).loop(kind, rows);
}

/** @returns milliseconds for all. @param named found by a name, as runs are; otherwise by an id that the platform drew. */
export async function freshObjects(count: number, atOnce: number, named: boolean): Promise<number> {
  const { FLOOR } = bindings;
  const prefix = crypto.randomUUID();
  const ids = Array.from({ length: count }, (_, i) =>
    named ? FLOOR.idFromName(`${prefix}-${i}`) : FLOOR.newUniqueId(),
  );
  const from = performance.now();
  await inPool(ids, atOnce, (id) => FLOOR.get(id).insert());
  return performance.now() - from;
}

const arrived = new Map<string, number>();

export function arrive(batch: MessageBatch): void {
  for (const { body } of batch.messages) arrived.set((body as { key: string }).key, performance.now());
}

/** From `send` to the consumer's first line. */
export async function queueHop(): Promise<number> {
  const key = crypto.randomUUID();
  const from = performance.now();
  await bindings.FLOOR_QUEUE.send({ key });
  while (!arrived.has(key)) await scheduler.wait(1);
  return (arrived.get(key) ?? NaN) - from;
}

/** Two statements of 50 rows, as one batch. */
export async function d1Batch(): Promise<number> {
  const rows = JSON.stringify(Array.from({ length: 50 }, () => [crypto.randomUUID(), ROW]));
  const insert = bindings.DB.prepare(
    'INSERT INTO bench_floor SELECT value ->> 0, value ->> 1 FROM json_each(?)',
  );
  await bindings.DB.exec(
    'CREATE TABLE IF NOT EXISTS bench_floor (id TEXT PRIMARY KEY, data TEXT) WITHOUT ROWID',
  );
  const from = performance.now();
  await bindings.DB.batch([insert.bind(rows), insert.bind(rows.replaceAll('["', '["b'))]);
  return performance.now() - from;
}

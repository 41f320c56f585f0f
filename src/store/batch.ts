/**
 * Batches of D1: one transaction each, bulk rows as JSON in few bound parameters. Their columns come in the order of
 * src/store/schema.ts, because drizzle names all of them in `insert ... select` (and takes no bare `sql` in a batch).
 */
import type { BatchItem } from 'drizzle-orm/batch';
import type { DrizzleD1Database } from 'drizzle-orm/d1';
import { utf8Length } from '../lib/json.ts';

export type Database = DrizzleD1Database;
export type Statement = BatchItem<'sqlite'>;

/** A bound text holds 2 MB; a single row longer than this goes alone (one of `limits.rowText` units still fits). */
const CHUNK_BYTES = 900_000;

/** JSON arrays of the rows, in order, each for one parameter that `json_each` reads. */
export function jsonChunks(rows: readonly unknown[]): string[] {
  const chunks: string[] = [];
  let texts: string[] = [];
  let bytes = 0;
  for (const row of rows) {
    const text = JSON.stringify(row);
    const length = utf8Length(text);
    if (texts.length > 0 && bytes + length > CHUNK_BYTES) {
      chunks.push(`[${texts.join(',')}]`);
      texts = [];
      bytes = 0;
    }
    texts.push(text);
    bytes += length + 1;
  }
  if (texts.length > 0) chunks.push(`[${texts.join(',')}]`);
  return chunks;
}

/** All or nothing; answers what each statement answered. No statements: no request. */
export async function runBatch(db: Database, statements: Statement[]): Promise<unknown[]> {
  const [first, ...rest] = statements;
  return first === undefined ? [] : db.batch([first, ...rest]);
}

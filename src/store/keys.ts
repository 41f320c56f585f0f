/** The idempotency keys of functions. D1 runs one batch at a time, so of any number of simultaneous starts exactly one finds a key free (ID-15). */
import { sql } from 'drizzle-orm';
import { limits } from '../protocol/limits.ts';
import type { Claim } from '../ports.ts';
import { type Database, jsonChunks, runBatch } from './batch.ts';
import { functionKey } from './schema.ts';

/** As with event ids, the window counts from the first and is never extended. */
export async function claim(db: Database, claims: readonly Claim[]): Promise<Set<string>> {
  const chunks = jsonChunks(claims);
  const taken = chunks.map((rows) =>
    db
      .insert(functionKey)
      .select(
        sql`select value ->> 'env', value ->> 'functionId', value ->> 'key', value ->> 'runId', (value ->> 'at') + ${limits.idempotency}
          from json_each(${rows})
          where true`,
      )
      .onConflictDoUpdate({
        target: [functionKey.env, functionKey.functionId, functionKey.key],
        set: { runId: sql`excluded.run_id`, expiresAt: sql`excluded.expires_at` },
        setWhere: sql`${functionKey.expiresAt} <= excluded.expires_at - ${limits.idempotency}`,
      }),
  );
  const owned = chunks.map((rows) =>
    db
      .select({ runId: functionKey.runId })
      .from(functionKey)
      .where(
        sql`(${functionKey.env}, ${functionKey.functionId}, ${functionKey.key}, ${functionKey.runId}) in
          (select value ->> 'env', value ->> 'functionId', value ->> 'key', value ->> 'runId' from json_each(${rows}))`,
      ),
  );
  const results = await runBatch(db, [...taken, ...owned]);
  const rows = results.slice(chunks.length) as { runId: string }[][];
  return new Set(rows.flat().map(({ runId }) => runId));
}

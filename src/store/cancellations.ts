/** Bulk cancellations on D1. */
import { and, asc, desc, eq, isNull, lt } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import type { CancellationProgress, CancellationRecord, Cancellations } from '../ports.ts';
import { cancellation } from './schema.ts';

export function d1Cancellations(d1: D1Database): Cancellations {
  const db = drizzle(d1);
  return {
    async create(asked) {
      const row = { ...asked, ...columns(beginning(asked)) };
      await db.insert(cancellation).values(row).onConflictDoNothing();
    },
    async list(env, limit, cursor) {
      const older = cursor === undefined ? undefined : lt(cancellation.id, cursor);
      const rows = await db
        .select()
        .from(cancellation)
        .where(and(eq(cancellation.env, env), older))
        .orderBy(desc(cancellation.id))
        .limit(limit);
      return rows.map(record);
    },
    async remove(env, id) {
      const rows = await db
        .delete(cancellation)
        .where(and(eq(cancellation.env, env), eq(cancellation.id, id)))
        .returning({ id: cancellation.id });
      return rows.length > 0;
    },
    async open(limit) {
      const rows = await db
        .select()
        .from(cancellation)
        .where(isNull(cancellation.endedAt))
        .orderBy(asc(cancellation.id))
        .limit(limit);
      return rows.map(record);
    },
    async advance(id, progress) {
      await db.update(cancellation).set(columns(progress)).where(eq(cancellation.id, id));
    },
    async forget(before) {
      await db.delete(cancellation).where(lt(cancellation.endedAt, before));
    },
  };
}

/** Of a cancellation that is new. */
export function beginning({ startedAfter }: { startedAfter: number | null }): CancellationProgress {
  return { since: startedAfter ?? 0, pass: null, matched: 0, cancelled: 0, endedAt: null };
}

function columns({ pass, ...rest }: CancellationProgress) {
  return { ...rest, passCursor: pass?.cursor ?? null, passUntil: pass?.until ?? null };
}

function record({ passCursor, passUntil, ...rest }: typeof cancellation.$inferSelect): CancellationRecord {
  const pass = passCursor === null || passUntil === null ? null : { cursor: passCursor, until: passUntil };
  return { ...rest, pass };
}

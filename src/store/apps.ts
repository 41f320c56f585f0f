/** Apps and their functions as they registered, on D1. */
import { and, asc, eq, isNotNull, isNull, ne, notInArray, type SQL, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import type { Apps } from '../ports.ts';
import type { FunctionConfig } from '../protocol/function.ts';
import { type Database, jsonChunks, runBatch, type Statement } from './batch.ts';
import { app, appFunction, pause } from './schema.ts';

export function d1Apps(d1: D1Database): Apps {
  const db = drizzle(d1);
  return {
    async load(env, known) {
      const isNews = known === undefined ? undefined : ne(versionOf(env), known);
      const [versions, apps, functions, paused] = await db.batch([
        db.select({ version: versionOf(env) }).from(sql`(select 1)`),
        db
          .select()
          .from(app)
          .where(and(eq(app.env, env), isNews)),
        db
          .select()
          .from(appFunction)
          .where(and(eq(appFunction.env, env), isNews)),
        db
          .select()
          .from(pause)
          .where(and(eq(pause.env, env), isNotNull(pause.mode), isNews)),
      ]);
      const version = versions[0]?.version ?? 0;
      if (version === known) return null;
      const archived = new Set(apps.filter((row) => row.archivedAt !== null).map((row) => row.id));
      return {
        version,
        apps: apps.map(({ env: _, revision: __, ...record }) => record),
        functions: functions.map(({ config, appId, url, version: own, archivedAt }) => ({
          config: JSON.parse(config) as FunctionConfig,
          appId,
          url,
          version: own,
          isArchived: archivedAt !== null || archived.has(appId),
        })),
        pauses: paused.map(({ revision, toldTo: _, ...row }) => ({ ...row, turn: revision })),
      };
    },
    async sync(env, record, functions, now) {
      const row = { ...record, env, syncedAt: now, archivedAt: null, revision: next(env) };
      const writes: Statement[] = [
        db
          .insert(app)
          .values(row)
          .onConflictDoUpdate({ target: [app.env, app.id], set: row }),
        ...syncFunctions(db, { env, appId: record.id, url: record.url }, functions),
        archiveOthers(db, { env, appId: record.id, url: record.url }, functions, now),
      ];
      await runBatch(db, writes);
    },
    async setArchived(env, appId, archivedAt) {
      const rows = await db
        .update(app)
        .set({ archivedAt, revision: next(env) })
        .where(and(eq(app.env, env), eq(app.id, appId)))
        .returning({ id: app.id });
      return rows.length > 0;
    },
    ...pauses(db),
  };
}

/** Counted into the same version as the apps. */
function pauses(db: Database): Pick<Apps, 'setPaused' | 'pausesToTell' | 'pauseTold'> {
  return {
    async setPaused(env, functionId, mode, now) {
      const row = { env, functionId, mode, since: now, revision: next(env), toldTo: '' };
      const isNews = sql`${pause.mode} is not ${mode}`;
      const isOf = and(eq(pause.env, env), eq(pause.functionId, functionId), isNews);
      // What was never paused needs no row to go on.
      if (mode === null) {
        const resumed = await db.update(pause).set(row).where(isOf).returning({ env: pause.env });
        return resumed.length > 0;
      }
      const rows = await db
        .insert(pause)
        .values(row)
        .onConflictDoUpdate({ target: [pause.env, pause.functionId], set: row, setWhere: isNews })
        .returning({ env: pause.env });
      return rows.length > 0;
    },
    async pausesToTell(limit) {
      const rows = await db
        .select()
        .from(pause)
        .where(isNotNull(pause.toldTo))
        .orderBy(asc(pause.env), asc(pause.functionId))
        .limit(limit);
      return rows.map(({ revision, toldTo, ...row }) => ({ ...row, turn: revision, toldTo: toldTo ?? '' }));
    },
    async pauseTold({ env, functionId, turn }, toldTo) {
      await db
        .update(pause)
        .set({ toldTo })
        .where(and(eq(pause.env, env), eq(pause.functionId, functionId), eq(pause.revision, turn)));
    },
  };
}

/** Of the environment's registry. */
export function versionOf(env: string | SQL): SQL<number> {
  return sql<number>`max(
    (select coalesce(max(revision), 0) from app where app.env = ${env}),
    (select coalesce(max(revision), 0) from pause where pause.env = ${env}))`;
}

function next(env: string): SQL<number> {
  return sql<number>`${versionOf(env)} + 1`;
}

interface Source {
  env: string;
  appId: string;
  url: string;
}

/** AP-8: the version tells that the configuration has changed, whatever else has. */
function syncFunctions(db: Database, { env, appId, url }: Source, configs: FunctionConfig[]): Statement[] {
  const rows = configs.map((config) => ({ id: config.id, config: JSON.stringify(config) }));
  return jsonChunks(rows).map((chunk) =>
    db
      .insert(appFunction)
      .select(
        sql`select ${env}, value ->> 'id', ${appId}, ${url}, ${pathOf(url)}, value ->> 'config', 1, null
          from json_each(${chunk})
          where true`,
      )
      .onConflictDoUpdate({
        target: [appFunction.env, appFunction.id],
        set: {
          appId: sql`excluded.app_id`,
          url: sql`excluded.url`,
          path: sql`excluded.path`,
          config: sql`excluded.config`,
          version: sql`${appFunction.version} + (${appFunction.config} <> excluded.config)`,
          archivedAt: null,
        },
      }),
  );
}

function archiveOthers(
  db: Database,
  { env, appId, url }: Source,
  configs: FunctionConfig[],
  now: number,
): Statement {
  const served = JSON.stringify(configs.map((config) => config.id));
  return db
    .update(appFunction)
    .set({ archivedAt: now })
    .where(
      and(
        eq(appFunction.env, env),
        eq(appFunction.appId, appId),
        eq(appFunction.path, pathOf(url)),
        isNull(appFunction.archivedAt),
        notInArray(appFunction.id, sql`(select value from json_each(${served}))`),
      ),
    );
}

function pathOf(url: string): string {
  return new URL(url).pathname;
}

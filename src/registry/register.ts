/** What a registration changes: all of it or nothing, and nothing where it says what is known already (AP-15, AP-25a). */
import { hashUuid } from '../lib/hash.ts';
import type { FunctionConfig } from '../protocol/function.ts';
import { appUuid } from '../protocol/uuids.ts';
import type {
  AppRecords,
  Apps,
  Clock,
  Crons,
  FunctionRecord,
  Log,
  RegisteredFunction,
  Registry,
} from '../ports.ts';
import { invalidFunctions, type Registration } from './registration.ts';

export interface RegisterDeps {
  apps: Apps;
  functions: Registry;
  crons: Pick<Crons, 'sync'>;
  clock: Clock;
  log: Log;
}

/** As SDKs are told (wire 2.6). */
export interface Registered {
  ok: true;
  /** Whether anything was added, removed or changed (AP-24). */
  modified: boolean;
  sync_id: string;
  app_id: string;
}

/**
 * Once this resolves, every event that is accepted later finds the functions. Throws `RegistrationRefused`.
 * @param syncId of the sync that asked for it, if one did (AP-23).
 */
export async function register(
  deps: RegisterDeps,
  env: string,
  { app, functions }: Registration,
  syncId: string | null,
): Promise<Registered> {
  refuseTaken(app.id, functions, await deps.functions.list(env));
  const records = await deps.apps.load(env);
  const modified = records === null || !isKnown(app, functions, records);
  if (modified) await deps.apps.sync(env, app, functions, deps.clock.now());
  await tell(deps, env);
  return {
    ok: true,
    modified,
    sync_id: syncId ?? hashUuid(`sync:${env}:${app.id}:${deps.functions.known(env).version}`),
    app_id: appUuid(env, app.id),
  };
}

/** FN-8: over all apps of the environment. */
function refuseTaken(
  appId: string,
  functions: FunctionConfig[],
  present: readonly RegisteredFunction[],
): void {
  const owners = new Map(present.map(({ config, app }) => [config.id, app?.id ?? null]));
  const problems = functions.flatMap(({ id }) => {
    const owner = owners.get(id);
    if (owner === undefined || owner === appId) return [];
    return [
      `${id}: id: ${owner === null ? 'the engine itself' : `the app "${owner}"`} has a function of this id (FN-8)`,
    ];
  });
  if (problems.length > 0) throw invalidFunctions(problems);
}

function isKnown(app: Registration['app'], functions: FunctionConfig[], records: AppRecords): boolean {
  const record = records.apps.find(({ id }) => id === app.id);
  if (record === undefined || record.archivedAt !== null) return false;
  const path = new URL(app.url).pathname;
  // Of an app that is served from several paths the record has one; the others are with their functions (AP-38).
  const known = new URL(record.url).pathname === path ? record : { ...record, url: app.url };
  const isSame = (Object.keys(app) as (keyof typeof app)[]).every((key) => app[key] === known[key]);
  const served = records.functions.filter(
    (fn) => fn.appId === app.id && !fn.isArchived && new URL(fn.url).pathname === path,
  );
  const byId = new Map(served.map((fn) => [fn.config.id, fn]));
  return (
    isSame &&
    served.length === functions.length &&
    functions.every((config) => isUnchanged(config, app.url, byId.get(config.id)))
  );
}

function isUnchanged(config: FunctionConfig, url: string, record: FunctionRecord | undefined): boolean {
  return record?.url === url && JSON.stringify(record.config) === JSON.stringify(config);
}

/** Also after a registration that changed nothing: an earlier one may have been cut off here. */
async function tell({ functions, crons, log }: RegisterDeps, env: string): Promise<void> {
  const calls = await Promise.allSettled([functions.load(env), crons.sync(env)]);
  // The registration stands. Dispatch finds out by itself, and schedules are compared every minute.
  for (const call of calls) {
    if (call.status === 'rejected') log.error('registry: news were not passed on', { error: call.reason });
  }
}

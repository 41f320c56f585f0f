/**
 * The functions of an environment: those of this Worker, and those of apps elsewhere as they registered. Owns what of them is in
 * memory, which may be behind: whoever starts a run has the store compare versions (`Admitted`).
 */
import { SECOND } from '../lib/time.ts';
import type { FunctionConfig } from '../protocol/function.ts';
import { appUuid, functionUuid } from '../protocol/uuids.ts';
import type { AppRecords, Apps, Catalog, Clock, RegisteredFunction, Registry } from '../ports.ts';
import { bindingOf } from '../protocol/address.ts';

/** For so long what is in memory counts without a look at the database. */
const FRESH = 5 * SECOND;

interface Embedded {
  /** The environment that this deployment is: the functions of this Worker belong to no other. */
  environment: string;
  configs: readonly FunctionConfig[];
}

interface Loaded extends Catalog {
  readAt: number;
  byId: ReadonlyMap<string, RegisteredFunction>;
  functions: readonly RegisteredFunction[];
}

export function createRegistry(apps: Apps, { environment, configs }: Embedded, clock: Clock): Registry {
  const memory = new Map<string, Loaded>();

  function known(env: string): Loaded {
    const loaded =
      memory.get(env) ?? build(env, { version: 0, apps: [], functions: [], pauses: [] }, -Infinity);
    memory.set(env, loaded);
    return loaded;
  }

  function build(env: string, records: AppRecords, readAt: number): Loaded {
    const own = env === environment ? configs.map((config) => embeddedFunction(env, config)) : [];
    const remote = remoteFunctions(env, records);
    const functions = [...own, ...remote.flatMap(({ isArchived, fn }) => (isArchived ? [] : [fn]))];
    // What is in this Worker wins over whatever registered under its id before it was.
    const all = [...remote.map(({ fn }) => fn), ...own];
    return {
      version: records.version,
      configs: functions.map(({ config }) => config),
      paused: new Map(records.pauses.map((pause) => [pause.functionId, pause])),
      readAt,
      functions,
      byId: new Map(all.map((fn) => [fn.config.id, fn])),
    };
  }

  async function load(env: string): Promise<Loaded> {
    const readAt = clock.now();
    const before = known(env);
    const records = await apps.load(env, before.version);
    const now = known(env);
    // Another reading may have come back in the meantime.
    const loaded =
      records === null || records.version <= now.version ? { ...now, readAt } : build(env, records, readAt);
    memory.set(env, loaded);
    return loaded;
  }

  async function find(env: string, functionId: string, version = 0): Promise<RegisteredFunction | null> {
    const here = known(env);
    const found = here.byId.get(functionId) ?? null;
    if (found?.app === null) return found;
    if (found !== null && here.version >= version && clock.now() < here.readAt + FRESH) return found;
    try {
      return (await load(env)).byId.get(functionId) ?? null;
    } catch (error) {
      // A run that is under way does not wait for the database.
      if (found === null) throw error;
      return found;
    }
  }

  return { known, load, find, list: async (env) => (await load(env)).functions };
}

function embeddedFunction(env: string, config: FunctionConfig): RegisteredFunction {
  return { config, uuid: functionUuid(env, config.id), version: 1, app: null };
}

function remoteFunctions(env: string, { apps, functions }: AppRecords) {
  const byId = new Map(apps.map((app) => [app.id, app]));
  return functions.map(({ config, appId: id, url, version, isArchived }) => {
    const binding = bindingOf(url);
    const app = {
      id,
      uuid: appUuid(env, id),
      url,
      sdk: byId.get(id)?.sdk ?? '',
      ...(binding === null ? {} : { binding }),
    };
    return { isArchived, fn: { config, uuid: functionUuid(env, config.id), version, app } };
  });
}

/** Registrations in memory; held to the same contract as D1 (test/contracts/apps.ts). */
import type { AppRecord, Apps, FunctionRecord, Pause } from '../../src/ports.ts';
import type { FunctionConfig } from '../../src/protocol/function.ts';

interface FunctionRow extends Omit<FunctionRecord, 'config' | 'isArchived'> {
  /** JSON text: what goes in and comes out are copies. */
  text: string;
  archivedAt: number | null;
}

class Environment {
  version = 0;
  readonly apps = new Map<string, AppRecord>();
  readonly functions = new Map<string, FunctionRow>();
  readonly pauses = new Map<string, Pause & { toldTo: string | null }>();

  put(config: FunctionConfig, appId: string, url: string): void {
    const text = JSON.stringify(config);
    const before = this.functions.get(config.id);
    const version = before === undefined ? 1 : before.version + Number(before.text !== text);
    this.functions.set(config.id, { text, appId, url, version, archivedAt: null });
  }

  paused(): Pause[] {
    return [...this.pauses.values()].flatMap(({ toldTo: _, ...row }) => (row.mode === null ? [] : [row]));
  }

  records(): FunctionRecord[] {
    return [...this.functions.values()].map(({ text, archivedAt, ...row }) => ({
      ...row,
      config: JSON.parse(text) as FunctionConfig,
      isArchived: (archivedAt ?? this.apps.get(row.appId)?.archivedAt ?? null) !== null,
    }));
  }
}

export function memoryApps(): Apps & { versionOf(env: string): number } {
  const environments = new Map<string, Environment>();
  const of = (env: string): Environment => {
    const environment = environments.get(env) ?? new Environment();
    environments.set(env, environment);
    return environment;
  };
  return {
    versionOf: (env) => of(env).version,
    async load(env, known) {
      const { version, apps } = of(env);
      if (version === known) return null;
      return {
        version,
        apps: structuredClone([...apps.values()]),
        functions: of(env).records(),
        pauses: of(env).paused(),
      };
    },
    async sync(env, app, functions, now) {
      const environment = of(env);
      const served = new Set(functions.map((config) => config.id));
      const { pathname } = new URL(app.url);
      environment.version++;
      environment.apps.set(app.id, { ...app, syncedAt: now, archivedAt: null });
      for (const config of functions) environment.put(config, app.id, app.url);
      for (const [id, row] of environment.functions) {
        if (row.appId !== app.id || served.has(id) || new URL(row.url).pathname !== pathname) continue;
        row.archivedAt ??= now;
      }
    },
    async setArchived(env, appId, archivedAt) {
      const app = of(env).apps.get(appId);
      if (app === undefined) return false;
      of(env).version++;
      app.archivedAt = archivedAt;
      return true;
    },
    async setPaused(env, functionId, mode, now) {
      const { pauses } = of(env);
      if ((pauses.get(functionId)?.mode ?? null) === mode) return false;
      const turn = ++of(env).version;
      pauses.set(functionId, { env, functionId, mode, since: now, turn, toldTo: '' });
      return true;
    },
    async pausesToTell(limit) {
      const all = [...environments.values()].flatMap(({ pauses }) => [...pauses.values()]);
      return all
        .flatMap(({ toldTo, ...row }) => (toldTo === null ? [] : [{ ...row, toldTo }]))
        .slice(0, limit);
    },
    async pauseTold({ env, functionId, turn }, toldTo) {
      const row = of(env).pauses.get(functionId);
      if (row?.turn === turn) row.toldTo = toldTo;
    },
  };
}

import type { FunctionConfig } from '../../src/protocol/function.ts';
import type { RegisteredFunction, Registry } from '../../src/ports.ts';

/** Functions of this Worker alone: what `configs` answers at each moment. */
export function registryOf(configs: (env: string) => readonly FunctionConfig[]): Registry {
  const known = (env: string) => ({ version: 0, configs: configs(env) });
  const list = (env: string): RegisteredFunction[] =>
    configs(env).map((config) => ({ config, uuid: config.id, version: 1, app: null }));
  return {
    known,
    load: async (env) => known(env),
    find: async (env, functionId) => list(env).find(({ config }) => config.id === functionId) ?? null,
    list: async (env) => list(env),
  };
}

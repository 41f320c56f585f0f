/** What is known of the functions, and how old it may be. */
import { describe, expect, test } from 'vitest';
import { createRegistry } from '../../src/registry/registry.ts';
import { functionUuid } from '../../src/protocol/uuids.ts';
import { SECOND } from '../../src/lib/time.ts';
import { memoryApps } from '../fakes/apps.ts';
import type { FunctionConfig } from '../../src/protocol/function.ts';

const ENV = 'production';
const NOW = Date.UTC(2030, 0, 2);

const aFunction = (id: string): FunctionConfig => ({
  id,
  name: id,
  triggers: [{ event: 'a/b' }],
  retries: 4,
});

function world() {
  const apps = memoryApps();
  const clock = { time: NOW, now: () => clock.time };
  let reads = 0;
  const network = { back: async (): Promise<void> => undefined };
  const watched: typeof apps = {
    ...apps,
    load: async (...asked) => {
      reads++;
      const records = await apps.load(...asked);
      await network.back();
      return records;
    },
  };
  const embedded = { environment: ENV, configs: [aFunction('app-here')] };
  const sync = (url: string, ...ids: string[]) => {
    const app = { id: 'far', url, sdk: 'js:v4.24.0', framework: null, platform: null, appVersion: null };
    return apps.sync(ENV, app, ids.map(aFunction), clock.time);
  };
  return {
    registry: createRegistry(watched, embedded, clock),
    sync,
    clock,
    watched,
    network,
    reads: () => reads,
  };
}

const OLD = 'https://old.example/api/inngest';
const NEW = 'https://new.example/api/inngest';

describe('the functions of an environment', () => {
  test('are those of this Worker, without asking anybody, as long as no app registered', async () => {
    const { registry, reads } = world();
    const { version, configs } = registry.known(ENV);
    expect(version).toBe(0);
    expect(configs.map(({ id }) => id)).toEqual(['app-here']);
    expect(await registry.find(ENV, 'app-here')).toEqual({
      config: aFunction('app-here'),
      uuid: functionUuid(ENV, 'app-here'),
      version: 1,
      app: null,
    });
    expect(reads()).toBe(0);
    expect(registry.known('branch/x').configs).toEqual([]);
  });

  test('and those of apps, once they are loaded (FN-35)', async () => {
    const { registry, sync } = world();
    await sync(OLD, 'far-away');
    const { version, configs } = await registry.load(ENV);
    expect(configs.map(({ id }) => id)).toEqual(['app-here', 'far-away']);
    expect(registry.known(ENV).version).toBe(version);
    expect(await registry.find(ENV, 'far-away')).toMatchObject({
      version: 1,
      app: { id: 'far', url: OLD, sdk: 'js:v4.24.0' },
    });
  });

  test('stay the same list as long as nothing changes, so that filters are compiled once (EX-5)', async () => {
    const { registry, sync } = world();
    await sync(OLD, 'far-away');
    const before = await registry.load(ENV);
    expect((await registry.load(ENV)).configs).toBe(before.configs);
  });

  test('that are archived start no more and are found all the same: their runs go on (FN-12)', async () => {
    const { registry, sync } = world();
    await sync(OLD, 'far-away');
    await sync(OLD);
    expect((await registry.list(ENV)).map(({ config }) => config.id)).toEqual(['app-here']);
    expect(await registry.find(ENV, 'far-away')).toMatchObject({ app: { url: OLD } });
  });

  test('of this Worker win over what registered under the same id', async () => {
    const { registry, sync } = world();
    await sync(OLD, 'app-here');
    await registry.load(ENV);
    expect(await registry.find(ENV, 'app-here')).toMatchObject({ app: null });
  });

  test('a binding is told by the host of the URL', async () => {
    const { registry, sync } = world();
    await sync('http://orders_v2.binding/api/inngest', 'far-away');
    expect(await registry.find(ENV, 'far-away')).toMatchObject({ app: { binding: 'orders_v2' } });
  });
});

describe('what is in memory', () => {
  test('counts for a few seconds; then an app that has moved is called where it is now (wire 2.5)', async () => {
    const { registry, sync, clock, reads } = world();
    await sync(OLD, 'far-away');
    await registry.find(ENV, 'far-away');
    await sync(NEW, 'far-away');
    const before = reads();
    expect(await registry.find(ENV, 'far-away')).toMatchObject({ app: { url: OLD } });
    expect(reads()).toBe(before);
    clock.time += 5 * SECOND;
    expect(await registry.find(ENV, 'far-away')).toMatchObject({ app: { url: NEW } });
  });

  test('is not used by whoever knows of a newer version', async () => {
    const { registry, sync } = world();
    await sync(OLD, 'far-away');
    const { version } = await registry.load(ENV);
    await sync(NEW, 'far-away');
    expect(await registry.find(ENV, 'far-away', version + 1)).toMatchObject({ app: { url: NEW } });
  });

  test('is used where the database fails: a run under way does not wait for it', async () => {
    const { registry, sync, clock, watched } = world();
    await sync(OLD, 'far-away');
    await registry.find(ENV, 'far-away');
    clock.time += 60 * SECOND;
    watched.load = () => Promise.reject(new Error('down'));
    expect(await registry.find(ENV, 'far-away')).toMatchObject({ app: { url: OLD } });
    await expect(registry.find(ENV, 'far-unknown')).rejects.toThrow('down');
  });

  test('of two readings under way the older one never wins', async () => {
    const { registry, sync, network } = world();
    await sync(OLD, 'far-away');
    const late = Promise.withResolvers<void>();
    network.back = () => late.promise;
    const first = registry.load(ENV);
    await sync(NEW, 'far-away', 'far-new');
    network.back = async () => undefined;
    await registry.load(ENV);
    late.resolve();
    expect((await first).configs).toHaveLength(3);
    expect(registry.known(ENV).configs).toHaveLength(3);
  });
});

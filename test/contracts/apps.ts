/** What every place for registrations must do, and the store that keeps an eye on its version. Run on D1 and on the fakes. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { AppRecord, Apps, FunctionRecord, Store } from '../../src/ports.ts';
import type { FunctionConfig } from '../../src/protocol/function.ts';

const ENV = 'production';
const NOW = Date.UTC(2030, 0, 2, 3, 4, 5, 678);
const LATER = NOW + 60_000;
const URL = 'https://orders.example/api/inngest';

type Synced = Parameters<Apps['sync']>[1];

function anApp(change: Partial<Synced> = {}): Synced {
  return {
    id: 'orders',
    url: URL,
    sdk: 'js:v4.24.0',
    framework: 'hono',
    platform: null,
    appVersion: '1.2',
    ...change,
  };
}

function aFunction(id: string, change: Partial<FunctionConfig> = {}): FunctionConfig {
  return { id, name: id, triggers: [{ event: 'order/paid' }], retries: 4, ...change };
}

/** `make` gives both empty. */
export function appsContract(name: string, make: () => Promise<{ apps: Apps; store: Store }>): void {
  let apps: Apps;
  let store: Store;

  async function records(env = ENV) {
    const loaded = await apps.load(env);
    if (loaded === null) throw new Error('without a known version there is always an answer');
    return loaded;
  }

  async function functions(): Promise<Record<string, Omit<FunctionRecord, 'config'>>> {
    const { functions: found } = await records();
    return Object.fromEntries(found.map(({ config, ...rest }) => [config.id, rest]));
  }

  describe(`registrations in ${name}`, () => {
    beforeEach(async () => {
      ({ apps, store } = await make());
    });

    test('an environment in which nobody registered has version 0 and nothing in it', async () => {
      expect(await records()).toEqual({ version: 0, apps: [], functions: [], pauses: [] });
      expect(await apps.load(ENV, 0)).toBeNull();
    });

    test('a sync is found as it was written (AP-7)', async () => {
      const config = aFunction('orders-pack', {
        triggers: [{ event: 'a/b', expression: 'event.data.é == "🙂"' }],
      });
      await apps.sync(ENV, anApp(), [config, aFunction('orders-ship', { retries: 0 })], NOW);
      const app: AppRecord = { ...anApp(), syncedAt: NOW, archivedAt: null };
      const row = { appId: 'orders', url: URL, version: 1, isArchived: false };
      const { version, ...found } = await records();
      expect(version).toBeGreaterThan(0);
      expect(found).toEqual({
        pauses: [],
        apps: [app],
        functions: [
          { ...row, config },
          { ...row, config: aFunction('orders-ship', { retries: 0 }) },
        ],
      });
    });

    test('a reader who knows the version is told only what is new', async () => {
      await apps.sync(ENV, anApp(), [aFunction('orders-pack')], NOW);
      const { version } = await records();
      expect(await apps.load(ENV, version)).toBeNull();
      await apps.sync(ENV, anApp(), [aFunction('orders-ship')], LATER);
      expect((await apps.load(ENV, version))?.functions).toHaveLength(2);
      expect((await records()).version).toBeGreaterThan(version);
    });

    test('only a changed configuration gives a function a higher version (AP-8)', async () => {
      await apps.sync(ENV, anApp(), [aFunction('orders-pack'), aFunction('orders-ship')], NOW);
      const changed = aFunction('orders-ship', { retries: 1 });
      await apps.sync(ENV, anApp({ sdk: 'js:v4.25.0' }), [aFunction('orders-pack'), changed], LATER);
      expect(await functions()).toMatchObject({
        'orders-pack': { version: 1 },
        'orders-ship': { version: 2 },
      });
    });

    test('what an app serves no more is archived, and comes back when it is served again (FN-12)', async () => {
      await apps.sync(ENV, anApp(), [aFunction('orders-pack'), aFunction('orders-ship')], NOW);
      await apps.sync(ENV, anApp(), [aFunction('orders-pack')], LATER);
      expect(await functions()).toMatchObject({
        'orders-pack': { isArchived: false },
        'orders-ship': { isArchived: true, version: 1 },
      });
      await apps.sync(ENV, anApp(), [aFunction('orders-ship')], LATER);
      expect(await functions()).toMatchObject({
        'orders-pack': { isArchived: true },
        'orders-ship': { isArchived: false, version: 1 },
      });
    });

    test('an app that serves nothing has all of its functions archived, and nobody else has (AP-35)', async () => {
      await apps.sync(ENV, anApp(), [aFunction('orders-pack')], NOW);
      await apps.sync(ENV, anApp({ id: 'mail' }), [aFunction('mail-send')], NOW);
      await apps.sync(ENV, anApp(), [], LATER);
      expect(await functions()).toMatchObject({
        'orders-pack': { isArchived: true },
        'mail-send': { isArchived: false },
      });
    });

    test('a sync speaks for the functions of its own path, and moves those that it has (AP-38)', async () => {
      const other = 'https://orders.example/x/inngest?v=1';
      await apps.sync(ENV, anApp(), [aFunction('orders-pack'), aFunction('orders-ship')], NOW);
      await apps.sync(
        ENV,
        anApp({ url: other }),
        [aFunction('orders-ship'), aFunction('orders-bill')],
        LATER,
      );
      expect(await functions()).toMatchObject({
        'orders-pack': { isArchived: false, url: URL },
        'orders-ship': { isArchived: false, url: other },
        'orders-bill': { isArchived: false, url: other },
      });
    });

    test('the same path at another host is the same place: the app has moved (wire 2.5)', async () => {
      const moved = 'https://new.example/api/inngest';
      await apps.sync(ENV, anApp(), [aFunction('orders-pack'), aFunction('orders-ship')], NOW);
      await apps.sync(ENV, anApp({ url: moved }), [aFunction('orders-ship')], LATER);
      expect((await records()).apps).toMatchObject([{ id: 'orders', url: moved, syncedAt: LATER }]);
      expect(await functions()).toMatchObject({
        'orders-pack': { isArchived: true, url: URL },
        'orders-ship': { isArchived: false, url: moved },
      });
    });

    test('environments know nothing of each other (ENV-2)', async () => {
      await apps.sync(ENV, anApp(), [aFunction('orders-pack')], NOW);
      await apps.sync('branch/x', anApp({ sdk: 'py:v0.5.18' }), [], NOW);
      expect(await functions()).toMatchObject({ 'orders-pack': { isArchived: false } });
      expect((await records('branch/x')).functions).toEqual([]);
      expect(await records('branch/y')).toEqual({ version: 0, apps: [], functions: [], pauses: [] });
    });

    test('archiving an app archives its functions until it is taken back, or the app syncs again (AP-45 to AP-48)', async () => {
      await apps.sync(ENV, anApp(), [aFunction('orders-pack')], NOW);
      const { version } = await records();
      expect(await apps.setArchived(ENV, 'orders', LATER)).toBe(true);
      expect((await apps.load(ENV, version))?.apps).toMatchObject([{ archivedAt: LATER }]);
      expect(await functions()).toMatchObject({ 'orders-pack': { isArchived: true } });
      expect(await apps.setArchived(ENV, 'orders', null)).toBe(true);
      expect(await functions()).toMatchObject({ 'orders-pack': { isArchived: false } });
      await apps.setArchived(ENV, 'orders', LATER);
      await apps.sync(ENV, anApp(), [aFunction('orders-pack')], LATER);
      expect(await functions()).toMatchObject({ 'orders-pack': { isArchived: false } });
    });

    test('an app that never registered cannot be archived', async () => {
      expect(await apps.setArchived(ENV, 'orders', NOW)).toBe(false);
      expect((await records()).version).toBe(0);
    });

    test('a pause raises the version, survives syncs, and so does its end (PA-1, PA-14)', async () => {
      expect(await apps.setPaused(ENV, 'own-fn', 'hold', NOW)).toBe(true);
      const { version, pauses } = await records();
      expect(version).toBeGreaterThan(0);
      const pause = { env: ENV, functionId: 'own-fn', mode: 'hold', since: NOW, turn: version };
      expect(pauses).toEqual([pause]);
      expect((await records('branch/x')).version).toBe(0);
      await apps.sync(ENV, anApp(), [aFunction('orders-pack')], LATER);
      const synced = await records();
      expect(synced.version).toBeGreaterThan(version);
      expect(synced.pauses).toEqual([pause]);
      expect(await apps.setPaused(ENV, 'own-fn', null, LATER)).toBe(true);
      const resumed = await records();
      expect([resumed.version > synced.version, resumed.pauses]).toEqual([true, []]);
    });

    test('a pause is told from the beginning at each change, and what is so already changes nothing', async () => {
      expect(await apps.setPaused(ENV, 'own-fn', null, NOW)).toBe(false);
      await apps.setPaused(ENV, 'own-fn', 'hold', NOW);
      expect(await apps.setPaused(ENV, 'own-fn', 'hold', LATER)).toBe(false);
      const [first] = await apps.pausesToTell(10);
      if (first === undefined) throw new Error('it was not told');
      expect(first).toMatchObject({ mode: 'hold', since: NOW, toldTo: '' });
      await apps.pauseTold(first, 'R7');
      expect(await apps.pausesToTell(10)).toMatchObject([{ toldTo: 'R7' }]);
      await apps.setPaused(ENV, 'own-fn', null, LATER);
      // Too late.
      await apps.pauseTold(first, null);
      const [second] = await apps.pausesToTell(10);
      expect(second).toMatchObject({ mode: null, toldTo: '' });
      if (second !== undefined) await apps.pauseTold(second, null);
      expect(await apps.pausesToTell(10)).toEqual([]);
    });

    test('five hundred functions with long configurations are one sync', async () => {
      const long = `event.data.text == '${'x'.repeat(4_000)}'`;
      const many = Array.from({ length: 500 }, (_, n) =>
        aFunction(`orders-${n}`, { triggers: [{ event: 'a/b', expression: long }] }),
      );
      await apps.sync(ENV, anApp(), many, NOW);
      expect((await records()).functions).toHaveLength(500);
      await apps.sync(ENV, anApp(), many.slice(1), LATER);
      expect(await functions()).toMatchObject({
        'orders-0': { isArchived: true },
        'orders-1': { isArchived: false },
      });
    });

    test('an event that was planned with other functions than those of now stays to be dispatched, and says so', async () => {
      const internalId = '01KX0000000000000000000000';
      const event = { internalId, env: ENV, name: 'order/paid', data: {}, ts: NOW, receivedAt: NOW };
      await apps.sync(ENV, anApp(), [aFunction('orders-pack')], NOW);
      await apps.sync('branch/x', anApp(), [], NOW);
      const { version } = await records();
      const quiet = (known: number) => ({ event, isHeard: false, version: known });
      const open = (isCurrent: boolean) => new Map([[internalId, { isAwaited: false, isCurrent }]]);
      expect(await store.admit([quiet(version - 1)], NOW)).toEqual(open(false));
      expect(await store.undispatched(LATER, 10)).toEqual([internalId]);
      expect(await store.admit([quiet(version)], NOW)).toEqual(open(true));
      await store.settle({ dispatched: [internalId] }, NOW);
      expect(await store.admit([quiet(0)], NOW)).toEqual(new Map());
    });

    test('an event that nobody listens to is dispatched at once only if that is known of all functions', async () => {
      const ids = ['01KX0000000000000000000001', '01KX0000000000000000000002'];
      const [first, second] = ids.map((internalId) => ({
        event: { internalId, env: ENV, name: 'order/lost', data: {}, ts: NOW, receivedAt: NOW },
        isHeard: false,
      }));
      if (first === undefined || second === undefined) throw new Error('two were made');
      await apps.sync(ENV, anApp(), [], NOW);
      const { version } = await records();
      const admitted = await store.admit(
        [
          { ...first, version },
          { ...second, version: 0 },
        ],
        NOW,
      );
      expect([...admitted.keys()]).toEqual([ids[1]]);
    });
  });
}

/** Several isolates, each with a memory of its own, and apps that register all the time. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { consumeEvents } from '../../src/dispatch/consume.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { idAt, NOW, stored } from '../ingest/world.ts';
import { dispatchWorld, TestMessage } from './world.ts';

const NAMES = ['a/one', 'a/two'];
const IDS = ['far-a', 'far-b', 'far-c'];

const step = fc.oneof(
  fc.record({
    is: fc.constant('register' as const),
    /** What the app serves from then on, and what starts it. */
    serves: fc.uniqueArray(fc.tuple(fc.constantFrom(...IDS), fc.constantFrom(...NAMES)), {
      selector: ([id]) => id,
    }),
  }),
  fc.record({
    is: fc.constant('event' as const),
    isolate: fc.integer({ min: 0, max: 2 }),
    name: fc.constantFrom(...NAMES),
    /** A registration may come in the middle of this event's dispatch. */
    during: fc.boolean(),
  }),
);
type Served = [string, string][];

function world() {
  const base = dispatchWorld({});
  const isolates = Array.from({ length: 3 }, () => ({
    ...base,
    functions: createRegistry(base.apps, { environment: 'production', configs: [] }, base.clock),
  }));
  const register = (serves: Served) =>
    base.apps.sync(
      'production',
      {
        id: 'far',
        url: 'https://far.example/api/inngest',
        sdk: 'js:v4.24.0',
        framework: null,
        platform: null,
        appVersion: null,
      },
      serves.map(([id, event]) => ({ id, name: id, triggers: [{ event }], retries: 4 })),
      NOW,
    );
  const startedBy = (internalId: string) =>
    [...base.runs.started.values()]
      .filter(({ events }) => events[0]?.internalId === internalId)
      .map(({ functionId }) => functionId)
      .toSorted();
  return { ...base, isolates, register, startedBy };
}

const expected = (serves: Served, name: string) =>
  serves.flatMap(([id, event]) => (event === name ? [id] : [])).toSorted();

test('every event starts what was served when it was admitted, whichever isolate dispatches it (wire 2.5, FN-12)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
      const w = world();
      let serves: Served = [];
      for (const [n, one] of steps.entries()) {
        if (one.is === 'register') {
          await w.register((serves = one.serves));
          continue;
        }
        const isolate = w.isolates[one.isolate];
        if (isolate === undefined) throw new Error('there are three');
        const event = stored(idAt(n + 1), { name: one.name });
        const before = serves;
        const [next] = steps.slice(n + 1).flatMap((later) => (later.is === 'register' ? [later.serves] : []));
        const after = one.during && next !== undefined ? next : serves;
        const work = consumeEvents([new TestMessage({ events: [event] })], isolate);
        if (after !== before) await w.register((serves = after));
        await work;
        expect([expected(before, one.name), expected(after, one.name)]).toContainEqual(
          w.startedBy(event.internalId),
        );
        expect(await w.store.undispatched(NOW + 1, 10)).toEqual([]);
      }
    }),
  );
});

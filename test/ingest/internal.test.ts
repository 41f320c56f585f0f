import { expect, test } from 'vitest';
import { acceptInternal } from '../../src/ingest/internal.ts';
import { idAt, NOW, stored, world } from './world.ts';

const tick = stored(idAt(1), { name: 'inngest/scheduled.timer', target: { functionId: 'app-f' } });

test('events of the engine are stored and enqueued as they are, reserved names included (TR-16)', async () => {
  const w = world();
  await acceptInternal(w.intake, [tick]);
  expect(await w.store.loadEvents([tick.internalId])).toEqual([tick]);
  expect(w.events.sent).toEqual([{ events: [tick] }]);
});

test('a repeat of them is the same event', async () => {
  const w = world();
  await acceptInternal(w.intake, [tick]);
  await acceptInternal(w.intake, [{ ...tick, receivedAt: NOW + 1 }]);
  expect(await w.store.listEvents({ env: tick.env, receivedAfter: 0, limit: 10 })).toMatchObject([
    { event: tick, duplicateOf: null },
  ]);
});

test('one of the two places is enough, none is a refusal (EA-10)', async () => {
  const w = world();
  w.faults.set('insertEvents', () => Promise.reject(new Error('down')));
  await acceptInternal(w.intake, [tick]);
  expect(w.events.sent).toHaveLength(1);
  w.events.behaviour = 'refuses';
  await expect(acceptInternal(w.intake, [tick])).rejects.toMatchObject({ status: 503 });
});

test('no events are nothing to do', async () => {
  const w = world();
  await acceptInternal(w.intake, []);
  expect(w.events.sent).toEqual([]);
});

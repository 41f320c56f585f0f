import { describe, expect, test } from 'vitest';
import { promptDispatch } from '../../src/dispatch/prompt.ts';
import { makeDurable } from '../../src/ingest/durable.ts';
import { idAt, NOW, settle, stored } from '../ingest/world.ts';
import { dispatchWorld } from './world.ts';

const down = async (): Promise<never> => {
  throw new Error('store down');
};

/** A world whose intake dispatches at once. */
function promptWorld(functions?: Record<string, string[]>) {
  const w = dispatchWorld(functions);
  const prompt = promptDispatch(w);
  const send = (...numbers: number[]) =>
    makeDurable(
      { ...w.intake, prompt },
      numbers.map((n) => stored(idAt(n))),
      NOW,
      () => undefined,
    );
  return { ...w, send, undispatched: () => w.store.undispatched(NOW + 1, 100) };
}

describe('a small request', () => {
  test('is dispatched without a message (EA-10)', async () => {
    const w = promptWorld();
    await w.send(1, 2);
    await settle();
    expect([w.runs.started.size, w.events.sent, await w.undispatched()]).toEqual([2, [], []]);
  });

  test('is answered when it is stored, and not before', async () => {
    const w = promptWorld();
    const order: string[] = [];
    w.faults.set('admit', () => void order.push('stored'));
    w.faults.set('settle', () => void order.push('settled'));
    await w.send(1).then(() => order.push('answered'));
    await settle();
    expect(order).toEqual(['stored', 'answered', 'settled']);
  });

  test('that comes twice at the same time starts one set of runs (DD-10, EA-25)', async () => {
    const w = promptWorld();
    await Promise.all([w.send(1), w.send(1), w.send(1)]);
    await settle();
    expect([w.runs.started.size, await w.undispatched()]).toEqual([1, []]);
  });

  test('that the store refuses is taken by the queue (EA-10)', async () => {
    const w = promptWorld();
    w.faults.set('admit', down);
    w.faults.set('insertEvents', down);
    await w.send(1);
    expect(w.events.sent).toMatchObject([{ events: [{ internalId: idAt(1) }] }]);
    expect(w.runs.started.size).toBe(0);
  });

  test('for which the store takes long goes to the queue as well (EA-10)', async () => {
    const w = promptWorld();
    w.faults.set('admit', () => new Promise(() => undefined));
    const sent = w.send(1);
    await w.timers.fire();
    await sent;
    expect([w.events.sent.length, await w.undispatched()]).toEqual([1, [idAt(1)]]);
  });

  test('of which a start fails goes to the queue, that event alone', async () => {
    const w = promptWorld();
    w.runs.fail = (run) => run.events[0]?.internalId === idAt(2);
    await w.send(1, 2, 3);
    await settle();
    expect(w.events.sent).toMatchObject([{ events: [{ internalId: idAt(2) }] }]);
    expect(await w.undispatched()).toEqual([idAt(2)]);
  });
});

describe('the queue is the way', () => {
  test('of many events in one request', async () => {
    const w = promptWorld();
    await w.send(...Array.from({ length: 9 }, (_, n) => n));
    await settle();
    expect([w.runs.started.size, w.events.sent.length, (await w.undispatched()).length]).toEqual([0, 1, 9]);
  });

  test('of an event that starts many runs', async () => {
    const functions = Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`app-${n}`, ['a/b']]));
    const w = promptWorld(functions);
    await w.send(1);
    await settle();
    expect([w.runs.started.size, w.events.sent.length]).toEqual([0, 1]);
  });

  test('of what comes in while there is enough to do, and not of what comes after that', async () => {
    const w = promptWorld();
    const release: (() => void)[] = [];
    w.faults.set('settle', () => new Promise((resolve) => release.push(() => resolve(undefined))));
    await Promise.all(Array.from({ length: 12 }, (_, n) => w.send(n)));
    await settle();
    expect([w.runs.started.size, w.events.sent.length]).toEqual([8, 4]);
    w.faults.clear();
    for (const go of release) go();
    await settle();
    await w.send(20);
    await settle();
    expect([w.runs.started.size, w.events.sent.length]).toEqual([9, 4]);
  });
});

/** What every store must do, told as sentences with the ids of the requirements. Run on D1 and on the fake. */
import { beforeEach, describe, expect, test } from 'vitest';
import { splitText } from '../../src/lib/json.ts';
import { ulid } from '../../src/lib/ulid.ts';
import type { Claim, DueRun, EventRecord, QueuedRun, RunQuery, RunRecord, Store } from '../../src/ports.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import { limits } from '../../src/protocol/limits.ts';
import { DAY, HOUR, MINUTE } from '../../src/lib/time.ts';
import type { RunSummary } from '../../src/protocol/run.ts';
import { admit, closeRuns, markDispatched } from './stored.ts';

/** What `make` gives the store as its retention. */
export const RETENTION = 30 * DAY;
const NOW = Date.UTC(2030, 0, 2, 3, 4, 5, 678);
/** After every time of these tests. */
const LATER = NOW + 100 * RETENTION;
const ENV = 'production';

let serial = 0;

function id(ms: number): string {
  const entropy = new Uint8Array(10);
  new DataView(entropy.buffer).setUint32(0, serial++);
  return ulid(ms, entropy);
}

function anEvent(change: Partial<StoredEvent> = {}): StoredEvent {
  const receivedAt = change.receivedAt ?? NOW;
  return {
    internalId: id(receivedAt),
    env: ENV,
    name: 'user/signup',
    data: { n: 1 },
    ts: receivedAt,
    receivedAt,
    ...change,
  };
}

function aRun(event: StoredEvent, change: Partial<QueuedRun> = {}): QueuedRun {
  const { env, internalId, receivedAt } = event;
  const times = { queuedAt: receivedAt, checkAt: receivedAt + MINUTE };
  return { runId: id(receivedAt), env, functionId: 'app-welcome', eventId: internalId, ...times, ...change };
}

function summaryOf(run: QueuedRun, change: Partial<RunSummary> = {}): RunSummary {
  const { checkAt: _, ...rest } = run;
  return { ...rest, status: 'Completed', endedAt: run.queuedAt + 1_000, output: '{"ok":true}', ...change };
}

function openRecord({ checkAt: _, ...run }: QueuedRun): RunRecord {
  return { ...run, status: 'Running', endedAt: null, output: null, outputInObject: false };
}

function recordOf(event: StoredEvent, change: Partial<EventRecord> = {}): EventRecord {
  return { event, duplicateOf: null, deadReason: null, ...change };
}

function dueRun({ checkAt: _, ...run }: QueuedRun, deadReason: string | null = null): DueRun {
  return { ...run, deadReason };
}

/** For large values: a difference is told, not printed. */
function isSame(actual: unknown, expected: unknown): void {
  expect(canonical(actual) === canonical(expected), 'the large value came back unchanged').toBe(true);
}

/** JSON text that does not depend on the order of an event's own properties. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === 'object' && 'internalId' in inner
      ? Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1))
      : inner,
  );
}

function ids(events: StoredEvent[]): string[] {
  return events.map((event) => event.internalId);
}

/** `make` gives an empty store that keeps rows for `RETENTION`. */
export function storeContract(name: string, make: () => Promise<Store>): void {
  describe(`the store ${name}`, () => {
    let store: Store;
    beforeEach(async () => {
      store = await make();
    });
    const got = () => store;
    describe('keeps events', () => keepsEvents(got));
    describe('keeps events of any size', () => keepsSizes(got));
    describe('finds duplicates', () => findsDuplicates(got));
    describe('lists events', () => listsEvents(got));
    describe('admits events to dispatch', () => admits(got));
    describe('settles what came of events', () => settles(got));
    describe('counts failures', () => countsFailures(got));
    describe('sends again what is not dispatched', () => sweeps(got));
    describe('indexes runs', () => indexesRuns(got));
    describe('lists runs', () => listsRuns(got));
    describe('checks on open runs', () => checksRuns(got));
    describe('keeps records of what was skipped', () => skips(got));
    describe("gives each value of a function's key to one start", () => claims(got));
    describe('expires', () => expires(got));
  });
}

function keepsEvents(store: () => Store): void {
  test('an event comes back with every property that it had (EVT-24, EVT-28)', async () => {
    const event = anEvent({
      id: 'order-1',
      v: '2030-01-02.1',
      user: 'sealed',
      source: { kind: 'key', id: 'k' },
      ts: 1,
      data: { a: [1, { b: null }] },
    });
    await store().insertEvents([event], NOW);
    expect(await store().findEvent(ENV, event.internalId)).toStrictEqual(recordOf(event));
    expect(await store().loadEvents([event.internalId])).toStrictEqual([event]);
  });

  test('properties that an event did not have stay absent', async () => {
    const event = anEvent();
    await store().insertEvents([event], NOW);
    const [loaded] = await store().loadEvents([event.internalId]);
    expect(Object.keys(loaded ?? {}).toSorted()).toEqual([
      'data',
      'env',
      'internalId',
      'name',
      'receivedAt',
      'ts',
    ]);
  });

  test('keys of prototypes, odd characters and numbers come back unchanged (EVT-6, EVT-26)', async () => {
    const text = String.raw`{"__proto__":{"x":1},"constructor":{"prototype":1},"":"","a\u0000b":"\u0000","':\"$.[0]":"'\"\\ \u2028 \ud800 é 汉 👩‍👩‍👧","n":[1e308,-1.5e-7,9007199254740991,0.1],"t":[true,false,null,[],{}]}`;
    const event = anEvent({
      name: 'ünï/👩‍👩‍👧\u0000\'"; --',
      id: '\u0000汉"\'',
      data: JSON.parse(text) as StoredEvent['data'],
    });
    await store().insertEvents([event], NOW);
    const found = await store().findEvent(ENV, event.internalId);
    isSame(found?.event, event);
    expect(JSON.stringify(found?.event.data)).toBe(JSON.stringify(JSON.parse(text)));
    expect(await store().listEvents({ env: ENV, name: event.name, receivedAfter: 0, limit: 5 })).toHaveLength(
      1,
    );
  });

  test('data may be nested as deep as an event may be (EVT-6)', async () => {
    const deep = `${'{"a":['.repeat(limits.eventDepth / 2)}${']}'.repeat(limits.eventDepth / 2)}`;
    const event = anEvent({ data: JSON.parse(deep) as StoredEvent['data'] });
    await store().insertEvents([event], NOW);
    expect(JSON.stringify((await store().loadEvents([event.internalId]))[0]?.data)).toBe(deep);
  });

  test('what was given and what was answered may be changed without changing the store', async () => {
    const event = anEvent();
    await store().insertEvents([event], NOW);
    event.data['n'] = 2;
    const [loaded] = await store().loadEvents([event.internalId]);
    if (loaded !== undefined) loaded.data['n'] = 3;
    expect((await store().loadEvents([event.internalId]))[0]?.data).toEqual({ n: 1 });
  });

  test('an event is not found under another environment', async () => {
    const event = anEvent();
    await store().insertEvents([event], NOW);
    expect(await store().findEvent('staging', event.internalId)).toBeNull();
  });

  test('an event that was given up comes back with the reason', async () => {
    const [dead, other] = [anEvent(), anEvent()];
    await store().insertEvents([dead, other], NOW);
    await store().markDead([dead.internalId], 'refused 100 times', NOW);
    const expected = [recordOf(other), recordOf(dead, { deadReason: 'refused 100 times' })];
    expect(await store().findEvent(ENV, dead.internalId)).toStrictEqual(expected[1]);
    expect(await store().listEvents({ env: ENV, receivedAfter: 0, limit: 10 })).toStrictEqual(expected);
  });

  test('unknown events are left out, the others come in the order asked for', async () => {
    const events = [anEvent(), anEvent(), anEvent()];
    await store().insertEvents(events, NOW);
    const [a, b, c] = ids(events);
    expect(await store().findEvent(ENV, id(NOW))).toBeNull();
    expect(ids(await store().loadEvents([c ?? '', id(NOW), a ?? '', b ?? '']))).toEqual([c, a, b]);
    expect(await store().loadEvents([])).toEqual([]);
  });

  test('a later insert of the same internal id changes nothing, even with other contents (EA-25)', async () => {
    const event = anEvent({ id: 'order-1' });
    await store().insertEvents([event], NOW);
    await store().insertEvents([{ ...event, name: 'other', data: { n: 2 }, id: 'order-2' }], NOW + 1);
    expect(await store().findEvent(ENV, event.internalId)).toStrictEqual(recordOf(event));
    const other = anEvent({ id: 'order-2' });
    await store().insertEvents([other], NOW + 2);
    expect((await store().findEvent(ENV, other.internalId))?.duplicateOf).toBeNull();
  });

  test('of two events with one internal id in one call the first is kept, and the other leaves nothing', async () => {
    const event = anEvent({ id: 'order-1' });
    const other = { ...event, id: 'order-2', data: { text: 'x'.repeat(2 * limits.rowText) } };
    await store().insertEvents([event, other, other], NOW);
    expect(await store().loadEvents([event.internalId])).toStrictEqual([event]);
    const next = anEvent({ id: 'order-2' });
    await store().insertEvents([next], NOW);
    expect((await store().findEvent(ENV, next.internalId))?.duplicateOf).toBeNull();
  });

  test('no events are no work', async () => {
    await store().insertEvents([], NOW);
    expect(await admit(store(), [], [], NOW)).toEqual(new Set());
    await markDispatched(store(), [], NOW);
    await store().markDead([], 'none', NOW);
    await closeRuns(store(), []);
    await store().scheduleChecks([]);
    expect(await store().undispatched(LATER, 10)).toEqual([]);
  });
}

function keepsSizes(store: () => Store): void {
  test('5,000 events in one call (EA-12)', async () => {
    const events = Array.from({ length: limits.eventsPerRequest }, (_, n) =>
      anEvent({ id: `id-${n}`, data: { n } }),
    );
    const runs = events.map((event) => aRun(event));
    await store().insertEvents(events, NOW);
    expect(await admit(store(), events, runs, NOW)).toEqual(new Set(ids(events)));
    await markDispatched(store(), ids(events), NOW);
    await closeRuns(
      store(),
      runs.map((run) => summaryOf(run)),
    );
    expect(await store().undispatched(LATER, 10)).toEqual([]);
    isSame(await store().loadEvents(ids(events)), events);
    expect(await store().runsOfEvent(ENV, events[4_999]?.internalId ?? '')).toHaveLength(1);
  });

  test('an event of 3 MB, wherever its length lies, is one event (EVT-6, EVT-10)', async () => {
    const text = '"\\👩汉é\u0000'.repeat(160_000);
    const event = anEvent({ data: { text }, user: 'u'.repeat(1_000_000), v: 'v'.repeat(1_000_000) });
    const small = anEvent();
    await store().insertEvents([small, event], NOW);
    isSame(await store().loadEvents(ids([event, small])), [event, small]);
    isSame((await store().findEvent(ENV, event.internalId))?.event, event);
    const listed = await store().listEvents({ env: ENV, receivedAfter: 0, limit: 2 });
    isSame(
      listed.map((record) => record.event),
      [small, event],
    );
  });

  test('texts around the size of a row come back unchanged', async () => {
    const frame = JSON.stringify({ data: { text: '' } }).length;
    const events = [-1, 0, 1].map((by) =>
      anEvent({ data: { text: '汉'.repeat(limits.rowText - frame + by) } }),
    );
    await store().insertEvents(events, NOW);
    isSame(await store().loadEvents(ids(events)), events);
  });

  test('no piece of a later and longer event is added to a stored one', async () => {
    const text = 'ab👩'.repeat(limits.rowText / 3);
    const event = anEvent({ data: { text } });
    await store().insertEvents([event], NOW);
    await store().insertEvents([{ ...event, data: { text: text + text } }], NOW);
    expect(splitText(text, limits.rowText).length).toBeGreaterThan(1);
    isSame(await store().loadEvents([event.internalId]), [event]);
  });
}

function findsDuplicates(store: () => Store): void {
  const duplicateOf = async (event: StoredEvent) =>
    (await store().findEvent(event.env, event.internalId))?.duplicateOf;
  const insert = (event: StoredEvent) => store().insertEvents([event], event.receivedAt);

  test('a second event with the same id within 24 h is stored as a duplicate and not admitted (DD-1, DD-6)', async () => {
    const [first, second] = [
      anEvent({ id: 'x' }),
      anEvent({ id: 'x', receivedAt: NOW + HOUR, data: { n: 2 } }),
    ];
    await insert(first);
    await insert(second);
    expect(await store().findEvent(ENV, second.internalId)).toStrictEqual(
      recordOf(second, { duplicateOf: first.internalId }),
    );
    expect(await admit(store(), [first, second], [], NOW + HOUR)).toEqual(new Set([first.internalId]));
    expect(await store().undispatched(LATER, 10)).toEqual([first.internalId]);
  });

  test('the 24 h end to the millisecond (DD-1, DD-3)', async () => {
    const first = anEvent({ id: 'x' });
    const last = anEvent({ id: 'x', receivedAt: NOW + 24 * HOUR - 1 });
    const next = anEvent({ id: 'x', receivedAt: NOW + 24 * HOUR });
    for (const event of [first, last, next]) await insert(event);
    expect(await duplicateOf(last)).toBe(first.internalId);
    expect(await duplicateOf(next)).toBeNull();
    expect(await admit(store(), [next], [], next.receivedAt)).toEqual(new Set([next.internalId]));
  });

  test('a duplicate does not extend the 24 h, and the next event starts its own (DD-2, DD-3)', async () => {
    const at = [0, 20, 24, 47, 48].map((hours) => anEvent({ id: 'x', receivedAt: NOW + hours * HOUR }));
    for (const event of at) await insert(event);
    const owners = await Promise.all(at.map(duplicateOf));
    expect(owners).toEqual([null, at[0]?.internalId, null, at[2]?.internalId, null]);
  });

  test('the 24 h count from the receipt of an event, however late it is written (DD-11)', async () => {
    const [first, second] = [anEvent({ id: 'x' }), anEvent({ id: 'x', receivedAt: NOW + HOUR })];
    await insert(first);
    await store().insertEvents([second], NOW + 25 * HOUR);
    expect(await duplicateOf(second)).toBe(first.internalId);
  });

  test('an id counts across event names, and by itself in each environment (DD-4, DD-5)', async () => {
    const first = anEvent({ id: 'x' });
    const [otherName, otherEnv] = [anEvent({ id: 'x', name: 'other' }), anEvent({ id: 'x', env: 'staging' })];
    await store().insertEvents([first, otherName, otherEnv], NOW);
    expect(await duplicateOf(otherName)).toBe(first.internalId);
    expect(await duplicateOf(otherEnv)).toBeNull();
  });

  test('ids are compared exactly', async () => {
    const events = ['x', 'X', 'x ', 'é', 'e\u0301', '1', '1.0', '01', 'x\u0000', 'x\u0000y'].map((text) =>
      anEvent({ id: text }),
    );
    await store().insertEvents(events, NOW);
    expect(await admit(store(), events, [], NOW)).toEqual(new Set(ids(events)));
  });

  test('of two events with one id in one request the first is the original', async () => {
    const [first, second, third] = [anEvent({ id: 'x' }), anEvent({ id: 'x' }), anEvent()];
    await store().insertEvents([second, first, third], NOW);
    expect(await duplicateOf(second)).toBeNull();
    expect(await duplicateOf(first)).toBe(second.internalId);
    expect(await duplicateOf(third)).toBeNull();
  });

  test('events without an id are never duplicates', async () => {
    const events = [anEvent(), anEvent()];
    await store().insertEvents(events, NOW);
    expect(await admit(store(), events, [], NOW)).toEqual(new Set(ids(events)));
  });

  test('an event that arrives again is never a duplicate of itself, and does not extend its 24 h (EA-25, DD-2)', async () => {
    const first = anEvent({ id: 'x' });
    await insert(first);
    await store().insertEvents([first], NOW + 23 * HOUR);
    await store().insertEvents([first], NOW + 30 * HOUR);
    expect(await store().findEvent(ENV, first.internalId)).toStrictEqual(recordOf(first));
    const next = anEvent({ id: 'x', receivedAt: NOW + 31 * HOUR });
    await insert(next);
    expect(await duplicateOf(next)).toBeNull();
    expect(await admit(store(), [first], [], NOW + 32 * HOUR)).toEqual(new Set([first.internalId]));
  });

  test('a batch of which half is stored already takes the other half', async () => {
    const events = Array.from({ length: 10 }, (_, n) => anEvent({ id: `id-${n}` }));
    await store().insertEvents(events.slice(0, 5), NOW);
    await store().insertEvents(events, NOW + 1);
    expect(await store().loadEvents(ids(events))).toStrictEqual(events);
    expect(await Promise.all(events.map(duplicateOf))).toEqual(events.map(() => null));
  });

  test('of simultaneous events with one id exactly one is the original (DD-10)', async () => {
    const events = Array.from({ length: 20 }, () => anEvent({ id: 'x' }));
    const admitted = await Promise.all(
      events.map((event, n) =>
        n % 2 === 0 ? admit(store(), [event], [], NOW) : insert(event).then(() => new Set<string>()),
      ),
    );
    const owners = await Promise.all(events.map(duplicateOf));
    const originals = events.filter((_, n) => owners[n] === null);
    expect(originals).toHaveLength(1);
    expect(new Set(owners)).toEqual(new Set([null, originals[0]?.internalId]));
    expect(await store().undispatched(LATER, 50)).toEqual(ids(originals));
    for (const internalId of admitted.flatMap((set) => Array.from(set)))
      expect(internalId).toBe(originals[0]?.internalId);
  });
}

function listsEvents(store: () => Store): void {
  test('without a name the ends of runs are left out; by name they are found (SY-12)', async () => {
    const [sent, finished] = [anEvent(), anEvent({ name: 'inngest/function.finished' })];
    await store().insertEvents([sent, finished], NOW);
    const list = (name?: string) =>
      store().listEvents({ env: ENV, receivedAfter: 0, limit: 9, ...(name === undefined ? {} : { name }) });
    expect((await list()).map(({ event }) => event.internalId)).toEqual([sent.internalId]);
    const found = await list('inngest/function.finished');
    expect(found.map(({ event }) => event.internalId)).toEqual([finished.internalId]);
  });

  test('those that are not dispatched can be asked for alone', async () => {
    const [open, done] = [anEvent(), anEvent()];
    await store().insertEvents([open, done], NOW);
    await markDispatched(store(), [done.internalId], NOW);
    const found = await store().listEvents({ env: ENV, receivedAfter: 0, limit: 9, undispatched: true });
    expect(found.map(({ event }) => event.internalId)).toEqual([open.internalId]);
  });

  const list = async (query: Partial<Parameters<Store['listEvents']>[0]>) => {
    const records = await store().listEvents({ env: ENV, receivedAfter: 0, limit: 100, ...query });
    return records.map((record) => record.event.internalId);
  };

  test('newest first, page by page', async () => {
    const events = Array.from({ length: 7 }, (_, n) => anEvent({ receivedAt: NOW + n }));
    await store().insertEvents(
      events.toSorted(() => -1),
      NOW,
    );
    const newest = ids(events).toReversed();
    expect(await list({})).toEqual(newest);
    expect(await list({ limit: 3 })).toEqual(newest.slice(0, 3));
    expect(await list({ limit: 3, cursor: newest[2] ?? '' })).toEqual(newest.slice(3, 6));
    expect(await list({ limit: 3, cursor: newest[5] ?? '' })).toEqual(newest.slice(6));
  });

  test('of one environment, and of one name in it', async () => {
    const [a, b, c] = [anEvent(), anEvent({ name: 'other' }), anEvent({ env: 'staging' })];
    await store().insertEvents([a, b, c], NOW);
    expect(await list({})).toEqual(ids([b, a]));
    expect(await list({ name: 'other' })).toEqual(ids([b]));
    expect(await list({ env: 'staging' })).toEqual(ids([c]));
    expect(await list({ name: 'none' })).toEqual([]);
  });

  test('received after one time and before another, neither included', async () => {
    const events = [0, 1, 2, 3, 4].map((n) => anEvent({ receivedAt: NOW + n }));
    await store().insertEvents(events, NOW);
    expect(await list({ receivedAfter: NOW })).toEqual(ids(events.slice(1)).toReversed());
    expect(await list({ receivedAfter: NOW + 1, receivedBefore: NOW + 4 })).toEqual(
      ids(events.slice(2, 4)).toReversed(),
    );
    expect(await list({ receivedBefore: NOW + 1, name: 'user/signup' })).toEqual(ids(events.slice(0, 1)));
  });

  test('by receipt also where the id has the sender’s time, up to a day off (EA-25)', async () => {
    const [early, late] = [-HOUR, HOUR].map((by) => anEvent({ internalId: id(NOW + by) }));
    await store().insertEvents(
      [late, early].filter((event) => event !== undefined),
      NOW,
    );
    expect(await list({ receivedAfter: NOW - 1, receivedBefore: NOW + 1 })).toEqual([
      late?.internalId,
      early?.internalId,
    ]);
  });

  test('duplicates are listed, with their originals’ ids (EVT-35, DD-6)', async () => {
    const [first, second] = [anEvent({ id: 'x' }), anEvent({ id: 'x' })];
    await store().insertEvents([first, second], NOW);
    expect(await store().listEvents({ env: ENV, receivedAfter: 0, limit: 10 })).toStrictEqual([
      recordOf(second, { duplicateOf: first.internalId }),
      recordOf(first),
    ]);
  });
}

function admits(store: () => Store): void {
  test('an event that intake could not store is stored, and its runs are open (EVT-32)', async () => {
    const event = anEvent();
    const runs = [aRun(event), aRun(event, { functionId: 'app-other' })];
    expect(await admit(store(), [event], runs, NOW)).toEqual(new Set([event.internalId]));
    expect(await store().loadEvents([event.internalId])).toStrictEqual([event]);
    expect(await store().runsOfEvent(ENV, event.internalId)).toEqual(runs.map(openRecord));
  });

  test('after a crash before it was marked, an event is admitted again and its rows stay as they are', async () => {
    const event = anEvent();
    const run = aRun(event);
    await admit(store(), [event], [run], NOW);
    const again = await admit(store(), [event], [{ ...run, queuedAt: NOW + 9, checkAt: NOW + 9 }], NOW + 9);
    expect(again).toEqual(new Set([event.internalId]));
    expect(await store().findRun(ENV, run.runId)).toEqual(openRecord(run));
    expect(await store().runsToCheck(NOW + 10, 10)).toEqual([]);
  });

  test('an event that is dispatched is not admitted, and opens no runs', async () => {
    const event = anEvent();
    await admit(store(), [event], [], NOW);
    await markDispatched(store(), [event.internalId], NOW);
    expect(await admit(store(), [event], [aRun(event)], NOW)).toEqual(new Set());
    expect(await store().runsOfEvent(ENV, event.internalId)).toEqual([]);
  });

  test('an event that is dead is not admitted, and opens no runs', async () => {
    const event = anEvent();
    await store().insertEvents([event], NOW);
    await store().markDead([event.internalId], 'refused 100 times', NOW);
    expect(await admit(store(), [event], [aRun(event)], NOW)).toEqual(new Set());
    expect(await store().runsOfEvent(ENV, event.internalId)).toEqual([]);
  });

  test('a duplicate opens no runs, in the same call or a later one (DD-6, DD-10)', async () => {
    const [first, second] = [anEvent({ id: 'x' }), anEvent({ id: 'x' })];
    const runs = [aRun(first), aRun(second)];
    expect(await admit(store(), [first, second], runs, NOW)).toEqual(new Set([first.internalId]));
    expect(await admit(store(), [second], runs, NOW)).toEqual(new Set());
    expect(await store().runsOfEvent(ENV, second.internalId)).toEqual([]);
    expect(await store().runsOfEvent(ENV, first.internalId)).toHaveLength(1);
  });

  test('of a batch in all states only the open ones are admitted', async () => {
    const [fresh, stored, done, dead] = [anEvent(), anEvent(), anEvent(), anEvent()];
    await store().insertEvents([stored, done, dead], NOW);
    await markDispatched(store(), [done.internalId], NOW);
    await store().markDead([dead.internalId], 'why', NOW);
    const events = [done, fresh, dead, stored];
    const admitted = await admit(
      store(),
      events,
      events.map((event) => aRun(event)),
      NOW,
    );
    expect(admitted).toEqual(new Set(ids([fresh, stored])));
    const rows = await Promise.all(events.map((event) => store().runsOfEvent(ENV, event.internalId)));
    expect(rows.map((runs) => runs.length)).toEqual([0, 1, 0, 1]);
  });
}

function settles(store: () => Store): void {
  const quiet = (event: StoredEvent) => ({ event, isHeard: false, version: 0 });
  const finished = { name: 'inngest/function.finished' };

  test('an event that nobody listens to is stored as dispatched (SY-12)', async () => {
    const event = anEvent();
    expect(await store().admit([quiet(event)], NOW)).toEqual(new Map());
    expect(await store().findEvent(ENV, event.internalId)).toStrictEqual(recordOf(event));
    expect(await store().undispatched(LATER, 10)).toEqual([]);
  });

  test('where somebody may wait for its name it is to be dispatched, and says so (WE-10)', async () => {
    await store().expectWaits(ENV, 'a/b');
    await store().expectWaits(ENV, 'a/b');
    const [awaited, other, elsewhere] = [
      anEvent({ name: 'a/b' }),
      anEvent({ name: 'a/c' }),
      anEvent({ name: 'a/b', env: 'staging' }),
    ];
    const events = [awaited, other, elsewhere];
    const admitted = await store().admit(events.map(quiet), NOW);
    expect(admitted).toEqual(new Map([[awaited.internalId, { isAwaited: true, isCurrent: true }]]));
    expect(await store().undispatched(LATER, 10)).toEqual([awaited.internalId]);
    const heard = [anEvent({ name: 'a/c' }), anEvent({ name: 'a/b', env: 'staging' })];
    const listened = await store().admit(
      heard.map((event) => ({ event, isHeard: true, version: 0 })),
      NOW,
    );
    expect([...listened.values()]).toEqual([
      { isAwaited: false, isCurrent: true },
      { isAwaited: false, isCurrent: true },
    ]);
  });

  test('a duplicate of an awaited name is not to be dispatched (DD-6)', async () => {
    await store().expectWaits(ENV, 'a/b');
    const [first, second] = [anEvent({ name: 'a/b', id: 'x' }), anEvent({ name: 'a/b', id: 'x' })];
    const admitted = await store().admit([first, second].map(quiet), NOW);
    expect([...admitted.keys()]).toEqual([first.internalId]);
  });

  test('an event that was stored before its name was awaited is awaited when it is admitted', async () => {
    const event = anEvent({ name: 'a/b' });
    await store().insertEvents([event], NOW);
    await store().expectWaits(ENV, 'a/b');
    const admitted = await store().admit([{ event, isHeard: false, version: 0 }], NOW);
    expect(admitted).toEqual(new Map([[event.internalId, { isAwaited: true, isCurrent: true }]]));
  });

  test('what came of an event is written at once: ends, runs that go on, the mark, and events about ends', async () => {
    const [event, end] = [anEvent(), anEvent(finished)];
    await store().insertEvents([event], NOW);
    const [over, open] = [aRun(event), aRun(event, { functionId: 'app-other' })];
    const written = await store().settle(
      { arrivals: [quiet(end)], ended: [summaryOf(over)], open: [open], dispatched: [event.internalId] },
      NOW,
    );
    expect(written).toEqual(new Map());
    const runs = await store().runsOfEvent(ENV, event.internalId);
    expect(runs.map(({ status }) => status).toSorted()).toEqual(['Completed', 'Running']);
    expect(await store().findEvent(ENV, end.internalId)).not.toBeNull();
    expect(await store().undispatched(LATER, 10)).toEqual([]);
  });

  test('nothing to settle is nothing', async () => {
    expect(await store().settle({}, NOW)).toEqual(new Map());
    expect(await store().admit([], NOW)).toEqual(new Map());
  });
}

function countsFailures(store: () => Store): void {
  const count = (...events: StoredEvent[]) => store().countFailure(ids(events));

  test('of each event by itself, one at a time, and answers how many there were', async () => {
    const [a, b, c] = [anEvent(), anEvent(), anEvent()];
    await store().insertEvents([a, b, c], NOW);
    expect(await count(a)).toEqual(new Map([[a.internalId, 1]]));
    expect(await count(b, a)).toEqual(
      new Map([
        [a.internalId, 2],
        [b.internalId, 1],
      ]),
    );
    expect(await count(c)).toEqual(new Map([[c.internalId, 1]]));
  });

  test('once for an event that is named twice', async () => {
    const event = anEvent();
    await store().insertEvents([event], NOW);
    expect(await count(event, event)).toEqual(new Map([[event.internalId, 1]]));
  });

  test('not of an event that is dispatched, dead, a duplicate or not stored', async () => {
    const [open, done, dead, twin] = [anEvent({ id: 'x' }), anEvent(), anEvent(), anEvent({ id: 'x' })];
    await store().insertEvents([open, done, dead, twin], NOW);
    await markDispatched(store(), [done.internalId], NOW);
    await store().markDead([dead.internalId], 'why', NOW);
    expect(await count(done, dead, twin, anEvent(), open)).toEqual(new Map([[open.internalId, 1]]));
    expect(await count(done, dead, twin)).toEqual(new Map());
    expect(await count()).toEqual(new Map());
  });

  test('whatever else becomes of an event: it stays admitted, and a repeat of it begins no new count', async () => {
    const event = anEvent({ id: 'x' });
    await store().insertEvents([event], NOW);
    await count(event);
    await store().insertEvents([event], NOW + 1);
    expect(await admit(store(), [event], [aRun(event)], NOW + 1)).toEqual(new Set([event.internalId]));
    expect(await store().undispatched(LATER, 10)).toEqual([event.internalId]);
    expect(await store().findEvent(ENV, event.internalId)).toStrictEqual(recordOf(event));
    expect(await count(event)).toEqual(new Map([[event.internalId, 2]]));
  });

  test('of 5,000 events in one call (EA-12)', async () => {
    const events = Array.from({ length: limits.eventsPerRequest }, () => anEvent());
    await store().insertEvents(events, NOW);
    expect((await count(...events)).size).toBe(limits.eventsPerRequest);
  });
}

function sweeps(store: () => Store): void {
  test('events received before a time and not dispatched, oldest first, at most so many', async () => {
    const events = [3, 1, 2, 4].map((n) => anEvent({ receivedAt: NOW + n }));
    await store().insertEvents(events, NOW);
    const oldest = ids(events.toSorted((a, b) => a.receivedAt - b.receivedAt));
    expect(await store().undispatched(NOW + 4, 10)).toEqual(oldest.slice(0, 3));
    expect(await store().undispatched(NOW + 4, 2)).toEqual(oldest.slice(0, 2));
    expect(await store().undispatched(NOW + 1, 10)).toEqual([]);
  });

  test('what is marked dispatched, dead or a duplicate is not sent again', async () => {
    const [open, done, dead, twin] = [anEvent({ id: 'x' }), anEvent(), anEvent(), anEvent({ id: 'x' })];
    await store().insertEvents([open, done, dead, twin], NOW);
    await markDispatched(store(), [done.internalId, id(NOW)], NOW);
    await markDispatched(store(), [done.internalId], NOW + 1);
    await store().markDead([dead.internalId, done.internalId], 'why', NOW);
    expect(await store().undispatched(LATER, 10)).toEqual([open.internalId]);
  });
}

function indexesRuns(store: () => Store): void {
  const admitted = async (change: Partial<QueuedRun> = {}) => {
    const event = anEvent();
    const run = aRun(event, change);
    await admit(store(), [event], [run], NOW);
    return run;
  };

  test('a run is open until its summary arrives (RN-3)', async () => {
    const run = await admitted();
    expect(await store().findRun(ENV, run.runId)).toStrictEqual(openRecord(run));
    const summary = summaryOf(run);
    await closeRuns(store(), [summary]);
    expect(await store().findRun(ENV, run.runId)).toStrictEqual({ ...summary, outputInObject: false });
  });

  test('a run that is not in the index yet is made from its summary, and a later admit leaves it closed', async () => {
    const event = anEvent();
    const run = aRun(event);
    const summary = summaryOf(run, { status: 'Failed' });
    await closeRuns(store(), [summary]);
    await admit(store(), [event], [run], NOW);
    expect(await store().runsOfEvent(ENV, event.internalId)).toStrictEqual([
      { ...summary, outputInObject: false },
    ]);
    expect(await store().runsToCheck(LATER, 10)).toEqual([]);
  });

  test.for(['Completed', 'Failed', 'Cancelled'] as const)(
    '%s + another summary -> unchanged',
    async (status) => {
      const run = await admitted();
      const summary = summaryOf(run, { status });
      await closeRuns(store(), [summary]);
      await closeRuns(store(), [
        summary,
        summaryOf(run, { status: 'Completed', endedAt: NOW + HOUR, output: '2' }),
      ]);
      expect(await store().findRun(ENV, run.runId)).toEqual({ ...summary, outputInObject: false });
    },
  );

  test('a run of which half of a batch is closed already closes the other half', async () => {
    const runs = [await admitted(), await admitted()];
    const summaries = runs.map((run) => summaryOf(run));
    await closeRuns(store(), summaries.slice(0, 1));
    await closeRuns(store(), summaries);
    expect(await Promise.all(runs.map((run) => store().findRun(ENV, run.runId)))).toMatchObject(summaries);
  });

  test('an output that is not in the summary is in the object; the output null is not (RA-16)', async () => {
    const [large, none, huge] = [await admitted(), await admitted(), await admitted()];
    await closeRuns(store(), [
      summaryOf(large, { output: null }),
      summaryOf(none, { output: 'null' }),
      summaryOf(huge, { output: JSON.stringify('x'.repeat(limits.rowText)) }),
    ]);
    const at = (run: QueuedRun) => store().findRun(ENV, run.runId);
    expect(await at(large)).toMatchObject({ output: null, outputInObject: true });
    expect(await at(none)).toMatchObject({ output: 'null', outputInObject: false });
    expect(await at(huge)).toMatchObject({ output: null, outputInObject: true });
  });

  test('outputs larger together than one statement may be are all kept', async () => {
    const runs = await Promise.all([1, 2, 3, 4].map(() => admitted()));
    const summaries = runs.map((run) => summaryOf(run, { output: JSON.stringify('汉"'.repeat(190_000)) }));
    await closeRuns(store(), summaries);
    const found = await Promise.all(runs.map((run) => store().findRun(ENV, run.runId)));
    isSame(
      found.map((run) => run?.output),
      summaries.map((summary) => summary.output),
    );
  });

  test('a run is not found under another environment, nor where there is none', async () => {
    const run = await admitted();
    expect(await store().findRun('staging', run.runId)).toBeNull();
    expect(await store().findRun(ENV, id(NOW))).toBeNull();
    expect(await store().runsOfEvent('staging', run.eventId)).toEqual([]);
  });
}

function listsRuns(store: () => Store): void {
  const all = { env: ENV, time: 'queuedAt', from: 0, limit: 10 } as const;
  const listed = async (change: Partial<RunQuery> = {}) =>
    (await store().listRuns({ ...all, ...change })).map(({ runId }) => runId);

  /** Three runs, a minute apart; the second one has ended, the third one is of another function and event. */
  async function three() {
    const events = [anEvent(), anEvent()] as const;
    const [first, second] = [0, 1].map((n) => aRun(events[0], { queuedAt: NOW + n * MINUTE }));
    const third = aRun(events[1], { queuedAt: NOW + 2 * MINUTE, functionId: 'app-other' });
    if (first === undefined || second === undefined) throw new Error('two were made');
    await admit(store(), [...events], [first, second, third], NOW);
    await closeRuns(store(), [summaryOf(second, { status: 'Failed', endedAt: NOW + HOUR })]);
    return { runs: [first, second, third] as const, events };
  }

  test('the newest first, in pages, of one environment', async () => {
    const { runs } = await three();
    const foreign = anEvent({ env: 'other' });
    await admit(store(), [foreign], [aRun(foreign)], NOW);
    const newest = runs.map(({ runId }) => runId).toReversed();
    expect(await listed()).toEqual(newest);
    expect(await listed({ limit: 2 })).toEqual(newest.slice(0, 2));
    expect(await listed({ cursor: newest[1] ?? '' })).toEqual(newest.slice(2));
    expect(await store().listRuns({ ...all, env: 'other' })).toEqual([
      openRecord(aRun(foreign, { runId: expect.any(String) })),
    ]);
  });

  test('by function, event, status and time', async () => {
    const { runs, events } = await three();
    const [first, second, third] = runs.map(({ runId }) => runId);
    expect(await listed({ functionIds: ['app-other', 'app-none'] })).toEqual([third]);
    expect(await listed({ functionIds: [] })).toEqual([]);
    expect(await listed({ eventIds: [events[0].internalId] })).toEqual([second, first]);
    expect(await listed({ statuses: ['Failed', 'Cancelled'] })).toEqual([second]);
    expect(await listed({ from: NOW + MINUTE, until: NOW + 2 * MINUTE })).toEqual([second]);
    expect(await listed({ time: 'endedAt', from: NOW + HOUR, until: NOW + HOUR + 1 })).toEqual([second]);
    expect(await listed({ time: 'endedAt', from: NOW, until: NOW + HOUR })).toEqual([]);
  });

  test('open runs of a function are found window by window', async () => {
    const { runs } = await three();
    const search = { env: ENV, functionId: 'app-welcome', after: NOW, before: LATER, window: 2 };
    const [first, second, third] = runs;
    const one = await store().openRunsOf({ ...search, cursor: '' });
    expect(one).toEqual({ runs: [openRecord(first)], cursor: second.runId });
    const two = await store().openRunsOf({ ...search, functionId: 'app-other', cursor: one.cursor ?? '' });
    expect(two).toEqual({ runs: [openRecord(third)], cursor: null });
    const none = { ...search, cursor: '', window: 10 };
    expect(await store().openRunsOf({ ...none, after: NOW + 1 })).toEqual({ runs: [], cursor: null });
    expect(await store().openRunsOf({ ...none, before: NOW })).toEqual({ runs: [], cursor: null });
    expect(await store().openRunsOf({ ...none, env: 'other' })).toEqual({ runs: [], cursor: null });
  });
}

function checksRuns(store: () => Store): void {
  const admitted = async (checkAt: number) => {
    const event = anEvent();
    const run = aRun(event, { checkAt });
    await admit(store(), [event], [run], NOW);
    return run;
  };
  const due = async (now: number, limit = 10) =>
    (await store().runsToCheck(now, limit)).map((run) => run.runId);

  test('open runs whose check is due, the longest overdue first, at most so many', async () => {
    const [b, a, c] = [await admitted(NOW + 2), await admitted(NOW + 1), await admitted(NOW + 3)];
    expect(await store().runsToCheck(NOW + 1, 10)).toStrictEqual([dueRun(a)]);
    expect(await due(NOW + 3)).toEqual([a.runId, b.runId, c.runId]);
    expect(await due(NOW + 3, 2)).toEqual([a.runId, b.runId]);
    expect(await due(NOW)).toEqual([]);
  });

  test('the next check is that of the open run whose turn is first; none without open runs', async () => {
    expect(await store().nextCheck()).toBeNull();
    const [b, a] = [await admitted(NOW + 2), await admitted(NOW + 1)];
    expect(await store().nextCheck()).toBe(NOW + 1);
    await closeRuns(store(), [summaryOf(a)]);
    expect(await store().nextCheck()).toBe(NOW + 2);
    await closeRuns(store(), [summaryOf(b)]);
    expect(await store().nextCheck()).toBeNull();
  });

  test('with the reason when the event of a run is dead', async () => {
    const [dead, open] = [anEvent(), anEvent()];
    const runs = [dead, open].map((event) => aRun(event, { checkAt: NOW }));
    await admit(store(), [dead, open], runs, NOW);
    await store().markDead([dead.internalId], 'refused 100 times', NOW);
    const found = await store().runsToCheck(NOW, 10);
    expect(found).toStrictEqual(runs.map((run, n) => dueRun(run, n === 0 ? 'refused 100 times' : null)));
  });

  test('also where the event of a run is gone', async () => {
    const run = await admitted(NOW + 1);
    await markDispatched(store(), [run.eventId], NOW);
    await store().expire(NOW + RETENTION, 10);
    expect(await store().runsToCheck(NOW + 1, 10)).toStrictEqual([dueRun(run)]);
  });

  test('a check moves to the time it is given, earlier or later', async () => {
    const [a, b] = [await admitted(NOW + 1), await admitted(NOW + 5)];
    await store().scheduleChecks([
      { runId: a.runId, checkAt: NOW + 9 },
      { runId: b.runId, checkAt: NOW },
      { runId: id(NOW), checkAt: NOW },
    ]);
    expect(await due(NOW + 8)).toEqual([b.runId]);
    expect(await due(NOW + 9)).toEqual([b.runId, a.runId]);
  });

  test('a run that has ended is not checked, and its check does not move', async () => {
    const run = await admitted(NOW + 1);
    await closeRuns(store(), [summaryOf(run)]);
    await store().scheduleChecks([{ runId: run.runId, checkAt: NOW }]);
    expect(await due(LATER)).toEqual([]);
    expect(await store().findRun(ENV, run.runId)).toMatchObject({ status: 'Completed' });
  });
}

function skips(store: () => Store): void {
  const skipped = (run: QueuedRun) =>
    summaryOf(run, { status: 'Skipped', output: 'null', reason: 'rate_limited' });

  test('with the reason, for the event and by its id (FC-10)', async () => {
    const event = anEvent();
    const record = skipped(aRun(event));
    await store().settle({ ended: [record] }, NOW);
    const found = { ...record, outputInObject: false };
    expect(await store().findRun(ENV, record.runId)).toStrictEqual(found);
    expect(await store().runsOfEvent(ENV, event.internalId)).toStrictEqual([found]);
  });

  test('a run that has ended is not skipped afterwards', async () => {
    const run = aRun(anEvent());
    await closeRuns(store(), [summaryOf(run)]);
    await closeRuns(store(), [skipped(run)]);
    expect(await store().findRun(ENV, run.runId)).toStrictEqual({ ...summaryOf(run), outputInObject: false });
  });

  test('a run of collected events has its row, though these are dispatched', async () => {
    const event = anEvent();
    await admit(store(), [event], [], NOW);
    await markDispatched(store(), [event.internalId], NOW);
    const [plain, collected] = [aRun(event), aRun(event)];
    await store().settle({ open: [plain, { ...collected, isCollected: true }] }, NOW);
    expect(await store().findRun(ENV, plain.runId)).toBeNull();
    expect(await store().findRun(ENV, collected.runId)).toStrictEqual(openRecord(collected));
  });

  test('they expire by themselves: no object is behind them', async () => {
    const [record, run] = [skipped(aRun(anEvent())), summaryOf(aRun(anEvent()))];
    await closeRuns(store(), [record, run]);
    expect(await store().expire(NOW + RETENTION - 1, 10)).toMatchObject({ runIds: [] });
    expect(await store().findRun(ENV, record.runId)).not.toBeNull();
    expect(await store().expire(NOW + 2 * RETENTION, 10)).toEqual({ runIds: [run.runId], more: false });
    expect(await store().findRun(ENV, record.runId)).toBeNull();
  });

  test('a duplicate that is heard again is dispatched as what it is; its key is not its own (ID-7)', async () => {
    const [first, twin, stranger] = [anEvent({ id: 'x' }), anEvent({ id: 'x' }), anEvent({ id: 'x' })];
    await store().insertEvents([first, twin, stranger], NOW, new Set([first.internalId, twin.internalId]));
    const arrivals = [first, twin, stranger].map((event) => ({ event, isHeard: true, version: 0 }));
    const admitted = await store().admit(arrivals, NOW);
    expect([...admitted]).toEqual([
      [first.internalId, { isAwaited: false, isCurrent: true }],
      [twin.internalId, { isAwaited: false, isCurrent: true, isDuplicate: true }],
    ]);
    expect((await store().findEvent(ENV, twin.internalId))?.duplicateOf).toBe(first.internalId);
    expect(await store().undispatched(LATER, 10)).toEqual([first.internalId, twin.internalId]);
    await markDispatched(store(), [twin.internalId], NOW);
    expect((await store().admit(arrivals, NOW)).size).toBe(1);
  });

  test('nor does a duplicate that comes with its plan need to be stored before (ID-7)', async () => {
    const [first, twin] = [anEvent({ id: 'x' }), anEvent({ id: 'x' })];
    await store().insertEvents([first], NOW);
    const admitted = await store().admit(
      [{ event: twin, isHeard: true, isHeardAgain: true, version: 0 }],
      NOW,
    );
    expect([...admitted.values()]).toEqual([{ isAwaited: false, isCurrent: true, isDuplicate: true }]);
  });
}

function claims(store: () => Store): void {
  const claim = (runId: string, at = NOW, change: Partial<Claim> = {}): Claim => ({
    env: ENV,
    functionId: 'app-f',
    key: 's:x',
    runId,
    at,
    ...change,
  });
  const claimed = async (...given: Claim[]) => [...(await store().claim(given))].toSorted();

  test('the first has it, in one call or many (ID-9, ID-15)', async () => {
    expect(await claimed(claim('a'), claim('b'))).toEqual(['a']);
    expect(await claimed(claim('c', NOW + 1))).toEqual([]);
    const calls = Array.from({ length: 20 }, (_, n) => claimed(claim(`r${n}`, NOW, { key: 's:y' })));
    expect((await Promise.all(calls)).flat()).toHaveLength(1);
  });

  test('whoever has it has it again, and the window is not extended by that', async () => {
    await claimed(claim('a'));
    expect(await claimed(claim('a'), claim('b', NOW + DAY - 1))).toEqual(['a']);
    expect(await claimed(claim('b', NOW + DAY))).toEqual(['b']);
  });

  test('who lost it loses it again, however late', async () => {
    await claimed(claim('a'));
    await claimed(claim('b', NOW + 1));
    await claimed(claim('c', NOW + DAY));
    expect(await claimed(claim('b', NOW + 1))).toEqual([]);
  });

  test('environments, functions and values do not share (ID-12, ID-14)', async () => {
    const others = [{ env: 'branch' }, { functionId: 'app-g' }, { key: 's:y' }];
    const all = [claim('a'), ...others.map((change, n) => claim(`${n}`, NOW, change))];
    expect(await claimed(...all)).toEqual(['0', '1', '2', 'a']);
  });

  test('of no claims nobody has anything', async () => {
    expect(await claimed()).toEqual([]);
  });

  test('keys go when their time is over', async () => {
    await claimed(claim('a'), claim('b', NOW + 1, { key: 's:y' }));
    expect(await store().expire(NOW + DAY, 1)).toEqual({ runIds: [], more: true });
    expect(await store().expire(NOW + DAY, 1)).toEqual({ runIds: [], more: false });
    expect(await claimed(claim('c', NOW + DAY, { key: 's:y' }))).toEqual([]);
  });
}

function expires(store: () => Store): void {
  /** A dispatched event of that time, and its run, ended unless told otherwise. */
  const past = async (receivedAt: number, change: { open?: boolean; event?: Partial<StoredEvent> } = {}) => {
    const event = anEvent({ receivedAt, ...change.event });
    const run = aRun(event);
    await admit(store(), [event], [run], receivedAt);
    await markDispatched(store(), [event.internalId], receivedAt);
    if (change.open !== true) await closeRuns(store(), [summaryOf(run)]);
    return { event, run };
  };
  const kept = async ({ event, run }: { event: StoredEvent; run: QueuedRun }) => [
    (await store().findEvent(ENV, event.internalId)) !== null,
    (await store().findRun(ENV, run.runId)) !== null,
  ];

  test('events and ended runs go when the retention is over, to the millisecond (EVT-38)', async () => {
    const [old, young] = [await past(NOW), await past(NOW + 1)];
    expect(await store().expire(NOW + RETENTION - 1, 10)).toEqual({ runIds: [], more: false });
    expect(await store().expire(NOW + RETENTION, 10)).toEqual({ runIds: [old.run.runId], more: false });
    await store().forgetRuns([old.run.runId]);
    expect(await Promise.all([old, young].map(kept))).toEqual([
      [false, false],
      [true, true],
    ]);
    expect(await store().expire(NOW + RETENTION, 10)).toEqual({ runIds: [], more: false });
  });

  test('an open run never expires; when it ends it does, even after its event', async () => {
    const { event, run } = await past(NOW, { open: true });
    expect(await store().expire(NOW + 10 * RETENTION, 10)).toEqual({ runIds: [], more: false });
    await store().forgetRuns([run.runId]);
    expect(await kept({ event, run })).toEqual([false, true]);
    await closeRuns(store(), [summaryOf(run)]);
    expect((await store().expire(NOW + 10 * RETENTION, 10)).runIds).toEqual([run.runId]);
    expect((await store().expire(NOW + 10 * RETENTION, 10)).runIds).toEqual([run.runId]);
    await store().forgetRuns([run.runId]);
    expect((await store().expire(NOW + 10 * RETENTION, 10)).runIds).toEqual([]);
  });

  test('an event that is not dispatched never expires', async () => {
    const event = anEvent();
    await store().insertEvents([event], NOW);
    await store().expire(NOW + 10 * RETENTION, 10);
    expect(await store().undispatched(LATER, 10)).toEqual([event.internalId]);
  });

  test('dead events and duplicates expire like others', async () => {
    const [first, twin] = [anEvent({ id: 'x' }), anEvent({ id: 'x' })];
    await store().insertEvents([first, twin], NOW);
    await store().markDead([first.internalId], 'why', NOW);
    await store().expire(NOW + RETENTION, 10);
    expect(await store().loadEvents(ids([first, twin]))).toEqual([]);
  });

  test('at most so many rows of each kind at a time, oldest first, and it says when there may be more', async () => {
    const rows = [await past(NOW), await past(NOW + 1), await past(NOW + 2), await past(NOW + 3)];
    const later = NOW + 2 * RETENTION;
    const runIds = rows.map(({ run }) => run.runId);
    expect(await store().expire(later, 3)).toEqual({ runIds: runIds.slice(0, 3), more: true });
    await store().forgetRuns(runIds.slice(0, 3));
    expect(ids(await store().loadEvents(rows.map(({ event }) => event.internalId)))).toEqual([
      rows[3]?.event.internalId,
    ]);
    expect(await store().expire(later, 3)).toEqual({ runIds: runIds.slice(3), more: false });
  });

  test('an event in pieces expires whole: the same internal id can be stored anew', async () => {
    const { event } = await past(NOW, { event: { data: { text: 'x'.repeat(3 * limits.rowText) } } });
    await store().expire(NOW + RETENTION, 10);
    const anew = { ...event, data: { text: 'y'.repeat(2 * limits.rowText) } };
    await store().insertEvents([anew], NOW);
    expect(await store().loadEvents([event.internalId])).toStrictEqual([anew]);
  });

  test('a key that a later event has taken over outlives the first event (DD-3)', async () => {
    await past(NOW, { event: { id: 'x' } });
    const owner = anEvent({ id: 'x', receivedAt: NOW + RETENTION - HOUR });
    await store().insertEvents([owner], owner.receivedAt);
    await store().expire(NOW + RETENTION, 10);
    const twin = anEvent({ id: 'x', receivedAt: NOW + RETENTION });
    await store().insertEvents([twin], twin.receivedAt);
    expect((await store().findEvent(ENV, twin.internalId))?.duplicateOf).toBe(owner.internalId);
  });
}

/**
 * Whatever fails, dies or comes again on the way from events to runs: in the end each event has exactly one fate for the function, and the
 * fates are those that the policy promises.
 */
import * as fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { consumeEvents } from '../../src/dispatch/consume.ts';
import { DAY, HOUR, SECOND } from '../../src/lib/time.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import { idAt, stored } from '../ingest/world.ts';
import { dispatchWorld, TestMessage } from './world.ts';

/** Histories of each kind; FLOW_RUNS asks for more. */
const RUNS = Number(process.env['FLOW_RUNS'] ?? 150);
vi.setConfig({ testTimeout: 60_000 + RUNS * 200 });

const ENV = 'production';
const FUNCTION = 'app-f';
const key = 'event.data.k';
const period = '3s';
const batchEvents = { maxSize: 3, timeout: period, key };
const debounce = { period, timeout: '8s', key };
const rateLimit = { limit: 1, period, key };
const skip = { mode: 'skip', key };

type World = ReturnType<typeof dispatchWorld>;
type Fault = 'claim' | 'settle' | 'admit' | 'loadEvents' | 'gates' | 'runs';

type Happening =
  | { does: 'send'; keys: string[] }
  /** So many from the nth on come again. */
  | { does: 'again'; nth: number; count: number }
  | { does: 'pass'; ms: number }
  | { does: 'fault'; what: Fault; isOn: boolean }
  | { does: 'end'; nth: number }
  | { does: 'crash' };

const does = <What extends string>(what: What) => fc.constant(what);
const faults = fc.constantFrom<Fault>('claim', 'settle', 'admit', 'loadEvents', 'gates', 'runs');
const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      does: does('send'),
      keys: fc.array(fc.constantFrom('a', 'a', 'b'), { minLength: 1, maxLength: 5 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ does: does('again'), nth: fc.nat(30), count: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 5, arbitrary: fc.record({ does: does('pass'), ms: fc.integer({ min: 1, max: 4 * SECOND }) }) },
  { weight: 3, arbitrary: fc.record({ does: does('fault'), what: faults, isOn: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ does: does('end'), nth: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ does: does('crash') }) },
);

function setFault(w: World, what: Fault, isOn: boolean): void {
  if (what === 'gates') w.gates.fails = isOn;
  else if (what === 'runs') w.runs.fail = () => isOn;
  else if (isOn) w.faults.set(what, () => Promise.reject(new Error('store down')));
  else w.faults.delete(what);
}

/** Its runs go on until one is ended. */
async function play(
  options: object,
  happenings: readonly Happening[],
): Promise<{ w: World; sent: StoredEvent[] }> {
  const w = dispatchWorld({ [FUNCTION]: ['a/b'] }, options);
  const sent: StoredEvent[] = [];
  const consume = async (events: StoredEvent[]) => {
    const message = new TestMessage({ events });
    await consumeEvents([message], w);
    for (const runId of w.runs.started.keys())
      if (!w.runs.checks.has(runId)) w.runs.checks.set(runId, { state: 'open', nextAt: null });
    return message.fate === 'acknowledged';
  };
  const pass = async (ms: number) => {
    w.clock.time += ms;
    await w.gates.alarms();
  };
  for (const what of happenings) {
    if (what.does === 'send') {
      const fresh = what.keys.map((k, n) =>
        stored(idAt(sent.length + n, w.clock.time), {
          data: { k },
          ts: w.clock.time,
          receivedAt: w.clock.time,
        }),
      );
      sent.push(...fresh);
      await consume(fresh);
    } else if (what.does === 'again') {
      await consume(sent.slice(what.nth % (sent.length || 1)).slice(0, what.count));
    } else if (what.does === 'pass') await pass(what.ms);
    else if (what.does === 'fault') setFault(w, what.what, what.isOn);
    else if (what.does === 'crash') w.gates.crash();
    else {
      const ids = [...w.runs.started.keys()];
      const runId = ids[what.nth % (ids.length || 1)];
      if (runId !== undefined) end(w, runId);
    }
  }
  for (const what of ['claim', 'settle', 'admit', 'loadEvents', 'gates', 'runs'] as const)
    setFault(w, what, false);
  while (!(await consume(sent))) await pass(SECOND);
  for (let n = 0; n < 8; n++) await pass(HOUR);
  await consume(sent);
  return { w, sent };
}

function end(w: World, runId: string): void {
  const start = w.runs.started.get(runId);
  if (start === undefined) return;
  const { env, functionId, queuedAt, events } = start;
  const of = { runId, env, functionId, eventId: events[0]?.internalId ?? '', queuedAt };
  const summary = { ...of, status: 'Completed', endedAt: w.clock.time, output: 'null' } as const;
  w.runs.checks.set(runId, { state: 'ended', ending: { summary, parent: null, events: [] } });
}

/** What became of each event: the run that has it, and the reason in its record. */
async function fates(w: World, sent: readonly StoredEvent[]) {
  const runs = [...w.runs.started.values()];
  expect(await w.store.undispatched(w.clock.time + DAY, 1_000)).toEqual([]);
  return Promise.all(
    sent.map(async (event) => {
      const own = runs.filter(({ events }) =>
        events.some(({ internalId }) => internalId === event.internalId),
      );
      const records = await w.store.runsOfEvent(ENV, event.internalId);
      const reasons = records.flatMap(({ reason }) => reason ?? []);
      expect(own.length).toBeLessThanOrEqual(1);
      expect(reasons.length).toBeLessThanOrEqual(1);
      return { event, run: own[0] ?? null, reason: reasons[0] ?? null };
    }),
  );
}

type Fates = Awaited<ReturnType<typeof fates>>;

async function holds(options: object, check: (fates: Fates, w: World) => void): Promise<void> {
  const histories = fc.array(happening, { minLength: 1, maxLength: 40, size: 'max' });
  const property = fc.asyncProperty(histories, async (happenings) => {
    const { w, sent } = await play(options, happenings);
    check(await fates(w, sent), w);
  });
  await fc.assert(property, { numRuns: RUNS });
}

/** A run, or a record with this reason, and never both. */
function eitherOr(all: Fates, reason: string): void {
  for (const fate of all) expect([fate.run !== null, fate.reason === reason]).toContain(true);
  for (const fate of all) if (fate.run !== null) expect(fate.reason).toBeNull();
}

const keyOf = ({ data }: StoredEvent) => data['k'];

test('without flow control every event has its run (FC-1)', () =>
  holds({}, (all) => {
    for (const { run, reason } of all) expect([run === null, reason]).toEqual([false, null]);
  }));

test('batches: every event is in one run, and says which unless it is the first (BA-10, FC-10)', () =>
  holds({ batchEvents }, (all) => {
    for (const { event, run, reason } of all) {
      if (run === null) throw new Error(`event ${event.internalId} is in no run`);
      const [first] = run.events;
      expect(reason).toBe(first?.internalId === event.internalId ? null : `batched into ${run.runId}`);
      expect(run.events.length).toBeLessThanOrEqual(3);
      expect(new Set(run.events.map(keyOf)).size).toBe(1);
    }
  }));

test('debounce: every event makes a run or says into which it went (DB-6, DB-10, FC-10)', () =>
  holds({ debounce }, (all, w) => {
    for (const { run, reason } of all) {
      if (run !== null) expect([run.events.length, reason]).toEqual([1, null]);
      else expect(w.runs.started.has(reason?.replace('debounced into ', '') ?? '')).toBe(true);
    }
  }));

test('the rate limit: no two runs of a key are too close, and what is skipped had one near it (RL-5, RL-9)', () =>
  holds({ rateLimit }, (all) => {
    eitherOr(all, 'rate_limited');
    for (const { event, run } of all) {
      const near = all.filter(
        (other) =>
          other.run !== null &&
          other.event !== event &&
          keyOf(other.event) === keyOf(event) &&
          Math.abs(other.event.receivedAt - event.receivedAt) < 3 * SECOND,
      );
      expect(near.length === 0).toBe(run !== null);
    }
  }));

test('idempotency: one run for each value (ID-9, ID-15)', () =>
  holds({ idempotency: key }, (all) => {
    eitherOr(all, 'duplicate');
    const runs = all.filter(({ run }) => run !== null).map(({ event }) => keyOf(event));
    expect(runs).toEqual([...new Set(runs)]);
    expect(new Set(runs)).toEqual(new Set(all.map(({ event }) => keyOf(event))));
  }));

test('a singleton: every event makes a run or is skipped (SG-1, SG-2)', () =>
  holds({ singleton: skip }, (all) => eitherOr(all, 'singleton')));

test('debounce, idempotency and singleton together: one run for each value at most', () =>
  holds({ debounce, idempotency: key, singleton: skip }, (all) => {
    const runs = all.filter(({ run }) => run !== null).map(({ event }) => keyOf(event));
    expect(runs).toEqual([...new Set(runs)]);
    for (const { run, reason } of all) expect([run !== null, reason !== null]).toContain(true);
  }));

/** Whatever comes, again, late or out of order, and whatever dies: checked against what a naive reader of the specification expects. */
import * as fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { SECOND } from '../../src/lib/time.ts';
import type { Collectable, Collected, Collecting, Entrant } from '../../src/protocol/gate.ts';
import type { Closed } from '../../src/flow/window.ts';
import { type Fate, idOf, START, StartWorld } from './world.ts';

/** Histories of each kind; FLOW_RUNS asks for more. */
const RUNS = Number(process.env['FLOW_RUNS'] ?? 400);
vi.setConfig({ testTimeout: 60_000 + RUNS * 100 });

const keys = fc.constantFrom('a', 'a', 'b');
const ms = fc.oneof(fc.integer({ min: 0, max: SECOND }), fc.integer({ min: 0, max: 8 * SECOND }));

type Happening =
  /** `late`: how long ago it was received. */
  | { does: 'send'; key: string; late: number; bytes: number }
  /** The nth of those that were sent comes again, with others. */
  | { does: 'repeat'; nth: number; count: number }
  | { does: 'pass'; ms: number }
  | { does: 'fire' | 'crash' }
  | { does: 'fate'; fate: Fate };

const sends = fc.record({
  does: fc.constant('send' as const),
  key: keys,
  late: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 * SECOND })),
  bytes: fc.constantFrom(100, 100, 100, 4_000_000),
});
const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 8, arbitrary: sends },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant('repeat' as const),
      nth: fc.nat(40),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('pass' as const), ms }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constantFrom('fire' as const, 'crash' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('fate' as const),
      fate: fc.constantFrom<Fate>('fails', 'late', 'dies', 'late death'),
    }),
  },
);
const history = fc.array(happening, { minLength: 1, maxLength: 60, size: 'max' });

interface Told {
  event: Collectable;
  collected: Collected;
}

/** Plays a history; answers the events in the order in which they came first. Every repeat must have been answered as the first. */
async function play(w: StartWorld, policy: Collecting, happenings: readonly Happening[]): Promise<Told[]> {
  const told: Told[] = [];
  const tell = async (events: Collectable[]) => {
    const collected = await w.collect(policy, ...events);
    expect(collected).toHaveLength(events.length);
    for (const answer of collected) {
      const known = told.find(({ event }) => event.eventId === answer.eventId);
      const event = events.find(({ eventId }) => eventId === answer.eventId);
      if (known !== undefined) expect(answer).toEqual(known.collected);
      else if (event !== undefined) told.push({ event, collected: answer });
    }
  };
  for (const what of happenings) {
    if (what.does === 'send') {
      const { key, late, bytes } = what;
      await tell([
        { key, bytes, receivedAt: w.now - late, eventId: idOf(told.length, w.now - late), asks: {} },
      ]);
    } else if (what.does === 'repeat') {
      const again = told.slice(what.nth % Math.max(told.length, 1)).slice(0, what.count);
      if (again.length > 0) await tell(again.map(({ event }) => event));
    } else if (what.does === 'pass') w.now += what.ms;
    else if (what.does === 'crash') w.crash();
    else if (what.does === 'fate') w.fates.push(what.fate);
    else if (w.disk.alarm !== null && w.disk.alarm <= w.now) await w.fire();
  }
  w.crash();
  w.fates = [];
  await w.until(w.now + 3_600_000);
  return told;
}

/** Each window once; one that was started twice was the same both times. */
function windowsOf(w: StartWorld): Map<string, Closed> {
  const windows = new Map<string, Closed>();
  for (const window of w.launched) {
    expect(windows.get(window.runId) ?? window).toEqual(window);
    windows.set(window.runId, window);
  }
  return windows;
}

test('batching: every event is in exactly one batch, none is too large or too old (BA-5, BA-10, BA-12, FA-9)', async () => {
  const policy = { by: 'batch', maxSize: 3, timeout: 5 * SECOND } as const;
  const property = fc.asyncProperty(history, async (happenings) => {
    const w = new StartWorld();
    const told = await play(w, policy, happenings);
    const windows = windowsOf(w);
    const inBatches = [...windows.values()].flatMap(({ events }) => events);
    expect(inBatches.toSorted()).toEqual(told.map(({ event }) => event.eventId).toSorted());
    for (const { event, collected } of told) {
      const { events } = windows.get(collected.runId) ?? { events: [] };
      expect(events).toContain(event.eventId);
      expect(collected.absorbed).toBe(events[0] === event.eventId ? null : event.eventId);
    }
    for (const { events, runId, openedAt, closedAt } of windows.values()) {
      const members = told.filter(({ collected }) => collected.runId === runId);
      expect(new Set(members.map(({ event }) => event.key)).size).toBe(1);
      expect(events.length).toBeLessThanOrEqual(policy.maxSize);
      const bytes = members.slice(0, -1).reduce((sum, { event }) => sum + event.bytes, 0);
      expect(bytes).toBeLessThanOrEqual(10 * 1024 * 1024);
      const isFull = events.length === policy.maxSize || bytes + 4_000_000 > 10 * 1024 * 1024;
      if (!isFull) expect(closedAt - openedAt).toBeGreaterThanOrEqual(policy.timeout);
    }
    expect(w.rows('window')).toBe(0);
  });
  await fc.assert(property, { numRuns: RUNS });
});

test('debounce: every debounce gives one run with its newest event, and every other event is absorbed once (DB-6, DB-8, DB-10)', async () => {
  const policy = { by: 'debounce', period: 3 * SECOND, timeout: 7 * SECOND } as const;
  const property = fc.asyncProperty(history, async (happenings) => {
    const w = new StartWorld();
    const told = await play(w, policy, happenings);
    const windows = windowsOf(w);
    for (const [runId, { events, openedAt, closedAt }] of windows) {
      const members = told.filter(({ collected }) => collected.runId === runId);
      const newest = members
        .map(({ event }) => event)
        .toSorted((a, b) => a.receivedAt - b.receivedAt || (a.eventId < b.eventId ? -1 : 1))
        .at(-1);
      expect(events).toEqual([newest?.eventId]);
      expect(closedAt - openedAt).toBeGreaterThanOrEqual(policy.period);
      const absorbed = members.flatMap(({ collected }) => collected.absorbed ?? []);
      const others = members.map(({ event }) => event.eventId).filter((id) => id !== newest?.eventId);
      expect(absorbed.toSorted()).toEqual(others.toSorted());
    }
    expect(new Set(told.map(({ collected }) => collected.runId))).toEqual(new Set(windows.keys()));
    expect(w.rows('window')).toBe(0);
  });
  await fc.assert(property, { numRuns: RUNS });
});

const entrants = fc.array(fc.record({ key: keys, gap: ms }), { minLength: 1, maxLength: 60 });
const spaces = fc.constantFrom(3 * SECOND, 2 * SECOND + 1 / 3, 0.5);

function at(given: readonly { key: string; gap: number }[]): Entrant[] {
  let now = START;
  return given.map(({ key, gap }, n) => ({ key, runId: idOf(n), at: (now += gap) }));
}

test('the rate limit: in order, exactly the excess is skipped (RL-9)', () => {
  const property = fc.property(entrants, spaces, (given, space) => {
    const w = new StartWorld();
    const tat = new Map<string, number>();
    for (const entrant of at(given)) {
      const passes = (tat.get(entrant.key) ?? 0) <= entrant.at;
      if (passes) tat.set(entrant.key, entrant.at + space);
      expect(w.rate(space, entrant)).toEqual(passes ? [entrant.runId] : []);
    }
  });
  fc.assert(property, { numRuns: RUNS });
});

test('the rate limit: in any order and again, no two that pass are too close, and whoever could pass does (RL-9, RL-16)', () => {
  const tape = fc.array(fc.nat(10_000), { minLength: 1, maxLength: 100 });
  const property = fc.property(entrants, spaces, tape, (given, space, order) => {
    const w = new StartWorld();
    const all = at(given);
    const passed = new Map<string, Entrant>();
    const answers = new Map<string, boolean>();
    for (const n of order) {
      const entrant = all[n % all.length] as Entrant;
      const isIn = w.rate(space, entrant).length > 0;
      expect(answers.get(entrant.runId) ?? isIn).toBe(isIn);
      answers.set(entrant.runId, isIn);
      const near = [...passed.values()].filter(
        ({ key, runId, at: time }) =>
          key === entrant.key && runId !== entrant.runId && Math.abs(time - entrant.at) < space,
      );
      expect(isIn).toBe(near.length === 0);
      if (isIn) passed.set(entrant.runId, entrant);
    }
  });
  fc.assert(property, { numRuns: RUNS });
});

type Turn =
  | { does: 'ask'; key: string; count: number }
  | { does: 'again' | 'start' | 'end'; nth: number }
  | { does: 'pass'; ms: number }
  | { does: 'crash' };
const turns: fc.Arbitrary<Turn[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        does: fc.constant('ask' as const),
        key: keys,
        count: fc.integer({ min: 1, max: 3 }),
      }),
    },
    {
      weight: 7,
      arbitrary: fc.record({
        does: fc.constantFrom('again' as const, 'start' as const, 'end' as const),
        nth: fc.nat(40),
      }),
    },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('pass' as const), ms }) },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('crash' as const) }) },
  ),
  { minLength: 1, maxLength: 60, size: 'max' },
);

test.each(['skip', 'cancel'] as const)(
  'a singleton that may %s: never two active that stay so, and every repeat is answered as the first time (SG-1 to SG-3)',
  async (mode) => {
    const property = fc.asyncProperty(turns, async (happenings) => {
      const w = new StartWorld();
      const asked = new Map<string, { entrant: Entrant; isIn: boolean }>();
      const ask = async (given: Entrant[]) => {
        const granted = new Set(await w.single(mode, ...given));
        for (const entrant of given) {
          const isIn = granted.has(entrant.runId);
          expect(asked.get(entrant.runId)?.isIn ?? isIn).toBe(isIn);
          asked.set(entrant.runId, { entrant, isIn });
        }
      };
      const inside = () => [...asked.values()].filter(({ isIn }) => isIn).map(({ entrant }) => entrant);
      for (const what of happenings) {
        if (what.does === 'ask') {
          const fresh = Array.from({ length: what.count }, (_, n) => ({
            key: what.key,
            runId: idOf(asked.size + n),
            at: w.now,
          }));
          await ask(fresh);
        } else if (what.does === 'again') {
          const known = [...asked.values()].map(({ entrant }) => entrant);
          if (known.length > 0) await ask([known[what.nth % known.length] as Entrant]);
        } else if (what.does === 'start') {
          const entrant = inside()[what.nth % Math.max(inside().length, 1)];
          if (entrant !== undefined) w.start(entrant.runId);
        } else if (what.does === 'end') {
          const active = [...w.active];
          w.active.delete(active[what.nth % Math.max(active.length, 1)] ?? '');
        } else if (what.does === 'pass') w.now += what.ms;
        else w.crash();
        if (mode === 'skip') expectOneActive(w, inside());
      }
      for (const { runId } of inside()) w.start(runId);
      await w.until(w.now + 24 * 3_600_000);
      expectOneActive(w, inside());
    });
    await fc.assert(property, { numRuns: RUNS });
  },
);

function expectOneActive(w: StartWorld, inside: readonly Entrant[]): void {
  const active = inside.filter(({ runId }) => w.active.has(runId)).map(({ key }) => key);
  expect(active).toEqual([...new Set(active)]);
}

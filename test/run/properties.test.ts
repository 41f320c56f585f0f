/** What holds for every history of a run. The histories are random; a failure prints the seed that repeats it. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { apply } from '../../src/run/apply.ts';
import { commit } from '../../src/run/commit.ts';
import { never } from '../../src/lib/never.ts';
import { slotLimits } from '../../src/run/slots.ts';
import { isQueued, nextAlarm, type RunConfig, type RunState } from '../../src/run/state.ts';
import { dueInputs } from '../../src/run/timers.ts';
import type { Effect, RunInput } from '../../src/run/transition.ts';
import { memoryJournal, type MemoryJournal } from '../fakes/journal.ts';
import * as w from './words.ts';
import { config, NOW, plain } from './words.ts';

/** Something that happens, still without knowing in what state. */
type Wish =
  | { do: 'begin'; id: string; recorded: boolean }
  | { do: 'sleep'; id: string; ms: number }
  | { do: 'finish'; nth: number; how: 'ok' | 'err' | 'final'; size: number }
  | { do: 'return' | 'throw' | 'throwFinal' | 'park' | 'cancel' }
  | { do: 'wait'; ms: number }
  | { do: 'slot'; is: 'granted' | 'queued' | 'full'; isTold: boolean; isLate: boolean }
  | { do: 'stale'; id: string; attempt: number; entry: number; what: number };

/** What happened, with its moment. `crash`: the object is made anew from its rows. */
type Happening = { now: number; input: RunInput } | { now: number; crash: true };

const ids = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const wish: fc.Arbitrary<Wish> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('begin' as const), id: ids, recorded: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('sleep' as const),
      id: ids,
      ms: fc.constantFrom(-1, 0, 50, 9_000, 1e12),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('finish' as const),
      nth: fc.nat(5),
      how: fc.constantFrom('ok' as const, 'ok' as const, 'err' as const, 'final' as const),
      size: fc.nat(40),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(0, 60, 1_000, 10_000, 8e6),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('park' as const) }) },
  {
    // Of a run without limits they change nothing.
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('slot' as const),
      is: fc.constantFrom('granted' as const, 'granted' as const, 'queued' as const, 'full' as const),
      isTold: fc.boolean(),
      isLate: fc.nat(9).map((n) => n === 0),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('return' as const, 'throw' as const, 'throwFinal' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('stale' as const),
      id: ids,
      attempt: fc.nat(3),
      entry: fc.nat(4),
      what: fc.nat(7),
    }),
  },
);

function inputsOf(state: RunState, one: Wish, now: number): RunInput[] {
  const { entry } = state.run;
  switch (one.do) {
    case 'begin':
      return [w.began(one.id, 0, one.recorded)];
    case 'sleep':
      return [w.sleep(one.id, one.ms)];
    case 'finish': {
      const step = [...state.live.steps.values()][one.nth];
      if (step === undefined) return [];
      if (one.how === 'ok') return [w.ok(step.id, 'x'.repeat(one.size), step.attempt)];
      return [w.err(step.id, step.attempt, { final: one.how === 'final' })];
    }
    case 'wait':
      return dueInputs(state, now);
    case 'slot':
      return slotInputs(state, one, now);
    case 'return':
      return [w.returned('out', entry)];
    case 'throw':
      return [w.threw(entry)];
    case 'throwFinal':
      return [w.threw(entry, { final: true })];
    case 'park':
      return [w.parked(entry)];
    case 'cancel':
      return [w.cancelled];
    case 'stale':
      return [stale(one)];
    default:
      return never(one);
  }
}

/** The gate that is asked answers, or tells; with its slots the run gets whatever is due, as its owner does it. */
function slotInputs(
  state: RunState,
  { is, isTold, isLate }: Extract<Wish, { do: 'slot' }>,
  now: number,
): RunInput[] {
  const slots = state.live.slots ?? { turn: 0, asked: null };
  const n = slots.asked ?? 0;
  const turn = slots.turn - (isLate ? 1 : 0);
  const input: RunInput = isTold
    ? { type: 'slotGranted', n, turn }
    : { type: 'slotAnswered', n, turn, answer: { is } };
  const after = structuredClone(state);
  const next = commit(after, apply(state, input, now).changes);
  return next.run.end !== null || isQueued(next.live) ? [input] : [input, ...dueInputs(next, now)];
}

/** May be current by chance. */
function stale({ id, attempt, entry, what }: Extract<Wish, { do: 'stale' }>): RunInput {
  const all: RunInput[] = [
    w.began(id, attempt),
    w.ok(id, 'stale', attempt),
    w.err(id, attempt),
    w.returned('stale', entry),
    w.threw(entry),
    w.parked(entry),
    w.stepDue(id),
    w.stepOverdue(id),
  ];
  return all[what] ?? w.entryDue;
}

interface Outcome {
  state: RunState;
  effects: Effect[];
  journal: MemoryJournal;
}

type Watch = (
  state: RunState,
  input: RunInput,
  now: number,
  before: RunState | null,
  journal: MemoryJournal,
  effects: Effect[],
) => void;

/** Lets it all happen, as the object does: every input is written and committed at once. */
function happen(history: Happening[], watch?: Watch): Outcome {
  const journal = memoryJournal();
  const effects: Effect[] = [];
  let state: RunState | null = null;
  for (const one of history) {
    if ('crash' in one) {
      state = memoryJournal(journal.rows).load()?.state ?? null;
      continue;
    }
    const before: RunState | null = state && structuredClone(state);
    const transition = apply(state, one.input, one.now);
    expect(plain(state)).toEqual(plain(before));
    journal.transact(() => {
      journal.write(transition.changes, () => []);
      return null;
    }, one.now);
    effects.push(...transition.effects);
    if (state !== null || transition.changes.run !== undefined) state = commit(state, transition.changes);
    if (state !== null) watch?.(state, one.input, one.now, before, journal, transition.effects);
  }
  if (state === null) throw new Error('a history begins with a start');
  return { state, effects, journal };
}

/**
 * Turns wishes into a history. `crashes`: the object is lost now and then. `sleeps`: begins the ids of sleeps, which are otherwise
 * those of other steps too: no code does that within one entry.
 */
function histories(over: Partial<RunConfig> = {}, crashes = false, sleeps = ''): fc.Arbitrary<Happening[]> {
  const one = fc.record({
    wish,
    dt: fc.constantFrom(0, 0, 1, 700),
    crash: crashes ? fc.nat(9) : fc.constant(1),
  });
  return fc.tuple(fc.array(one, { maxLength: 40 }), fc.constantFrom(0, 0, 500)).map(([wishes, delay]) => {
    let now = NOW;
    const start: RunInput = { type: 'started', config: { ...config, ...over }, startAt: NOW + delay };
    const history: Happening[] = [{ now, input: start }];
    let state = commit(null, apply(null, start, now).changes);
    for (const { wish: next, dt, crash } of wishes) {
      if (crash === 0) {
        history.push({ now, crash: true });
        state = happen(history).state;
      }
      now += dt + (next.do === 'wait' ? next.ms : 0);
      const done = next.do === 'sleep' ? { ...next, id: sleeps + next.id } : next;
      for (const input of inputsOf(state, done, now)) {
        history.push({ now, input });
        state = commit(state, apply(state, input, now).changes);
      }
    }
    return history;
  });
}

const RUNS = { numRuns: 600 };

const timers = new Set(['entryDue', 'stepDue', 'stepOverdue', 'entryOverdue', 'watchdog']);

function stored(state: RunState): unknown {
  return {
    ...(plain({
      ...state,
      live: { phase: 'unknown', since: 0, watchdog: 0, steps: new Map(), asks: new Set() },
    }) as object),
  };
}

function withoutLate(state: RunState): unknown {
  const steps = [...state.steps].map(([id, step]): [string, typeof step] => [id, { ...step, late: 0 }]);
  return plain({ ...state, steps: new Map(steps) });
}

describe('any history', () => {
  test('gives the same state and the same effects again', () => {
    fc.assert(
      fc.property(histories({}, true), (history) => {
        const [once, twice] = [happen(history), happen(history)];
        expect(plain(twice.state)).toEqual(plain(once.state));
        expect(twice.effects).toEqual(once.effects);
        expect(twice.journal.rows).toEqual(once.journal.rows);
      }),
      RUNS,
    );
  });

  test('is stored as it is in memory, but for what runs', () => {
    fc.assert(
      fc.property(histories({}, true), (history) => {
        const { state, journal } = happen(history);
        const loaded = memoryJournal(journal.rows).load();
        const inRowOrder = (one: RunState) => new Map([...one.steps].toSorted((a, b) => a[1].seq - b[1].seq));
        const waiting = new Map(
          [...inRowOrder(state)].flatMap(([id, step]) => (step.state === 'waiting' ? [[id, step.due]] : [])),
        );
        expect(loaded && stored(loaded.state)).toEqual(
          stored({ ...state, steps: inRowOrder(state), waiting }),
        );
      }),
      RUNS,
    );
  });

  test('with an input twice is the same, but for late counts: at once', () => {
    fc.assert(
      fc.property(histories({}, true), (history) => {
        happen(history, (state, input, now) => {
          const before = withoutLate(structuredClone(state));
          const again = commit(structuredClone(state), apply(state, input, now).changes);
          expect(withoutLate(again)).toEqual(before);
        });
      }),
      RUNS,
    );
  });

  test('with an input twice is the same, but for late counts: later', () => {
    fc.assert(
      fc.property(histories({}, true), fc.constantFrom(1, 999, 5_000), (history, after) => {
        happen(history, (state, input, now) => {
          if (timers.has(input.type)) return; // The clock brings them again itself.
          const before = withoutLate(structuredClone(state));
          const again = commit(structuredClone(state), apply(state, input, now + after).changes);
          expect(withoutLate(again)).toEqual(before);
        });
      }),
      RUNS,
    );
  });

  test('changes nothing after the end (invariant 1)', () => {
    fc.assert(
      fc.property(histories({}, true), (history) => {
        happen(history, (state, input, _now, before) => {
          if (before?.run.end) expect(plain(state), input.type).toEqual(plain(before));
        });
      }),
      RUNS,
    );
  });

  test('never changes the outcome of a step (invariant 2, MX-19)', () => {
    fc.assert(
      fc.property(histories({}, true), (history) => {
        const outcomes = new Map<string, unknown>();
        happen(history, (state, _input, _now, _before, journal) => {
          for (const step of state.steps.values()) {
            if (step.state !== 'settled') continue;
            const { ok, order, endedAt, size, failures } = step;
            const outcome = { ok, order, endedAt, size, failures, data: journal.stepData(step.seq) };
            if (outcomes.has(step.id)) expect(outcome).toEqual(outcomes.get(step.id));
            outcomes.set(step.id, outcome);
          }
        });
      }),
      RUNS,
    );
  });

  test('begins nothing and calls nothing once a cancellation was asked for (invariant 5, CX-26)', () => {
    fc.assert(
      fc.property(histories({}, true), (history) => {
        let asked = false;
        happen(history, (state, input, now, before) => {
          if (asked) {
            const { changes, effects } = apply(before, input, now);
            expect(changes.began).toBeUndefined();
            expect(effects.filter((effect) => effect.type === 'call')).toEqual([]);
          }
          asked ||= state.run.cancelAt !== null || state.run.end !== null;
        });
      }),
      RUNS,
    );
  });

  test('has the alarm at the minimum of all pending times, and always has one (invariant 4)', () => {
    fc.assert(
      fc.property(histories({}, true), (history) => {
        happen(history, (state) => {
          const { run, live } = state;
          const pending = live.phase === 'parked' ? [] : [live.watchdog];
          if (run.cancelAt === null) {
            if (run.due !== null) pending.push(run.due);
            for (const step of state.steps.values()) {
              if (step.state === 'waiting' && !live.steps.has(step.id)) pending.push(step.due);
            }
          }
          const naive = run.end !== null || pending.length === 0 ? null : Math.min(...pending);
          expect(nextAlarm(state)).toBe(naive);
          if (run.end === null) expect(naive).not.toBeNull();
          if (live.phase === 'parked' && run.end === null) expect(live.steps.size).toBe(0);
        });
      }),
      RUNS,
    );
  });

  test('has something to do whenever its alarm goes off, and never the same alarm again (invariant 4)', () => {
    fc.assert(
      fc.property(histories({}, true), (history) => {
        const { state } = happen(history);
        for (let rings = 0; rings < 200; rings++) {
          const at = nextAlarm(state);
          if (at === null) return;
          const now = Math.max(at, NOW);
          const inputs = dueInputs(state, now);
          expect(inputs).not.toEqual([]);
          for (const input of inputs) commit(state, apply(state, input, now).changes);
          const next = nextAlarm(state);
          expect(next === null || next > now, `after ${JSON.stringify(inputs)}`).toBe(true);
        }
      }),
      RUNS,
    );
  });

  test('counts steps and bytes as a naive model does, and keeps to the limit (LM-5, LM-12)', () => {
    fc.assert(
      fc.property(histories({ maxSteps: 4 }, true), (history) => {
        const { state, journal } = happen(history);
        const sizes = [...state.steps.values()].flatMap((step) =>
          step.state === 'settled' ? [new TextEncoder().encode(journal.stepData(step.seq) ?? '').length] : [],
        );
        expect(state.settled).toBe(sizes.length);
        expect(state.bytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
        expect(new Set([...state.steps.values()].map((step) => step.seq)).size).toBe(state.steps.size);
        const orders = [...state.steps.values()].flatMap((step) =>
          step.state === 'settled' ? [step.order] : [],
        );
        expect(orders.toSorted((a, b) => a - b)).toEqual(orders.map((_, n) => n));
      }),
      RUNS,
    );
  });

  test('makes no more attempts than there are (RT-3)', () => {
    fc.assert(
      fc.property(histories({ maxAttempts: 2 }, true), (history) => {
        const { state } = happen(history);
        for (const step of state.steps.values()) {
          expect(step.failures.length).toBeLessThanOrEqual(2);
          expect(step.failures.map((failure) => failure.attempt)).toEqual(step.failures.map((_, n) => n));
        }
      }),
      RUNS,
    );
  });
});

describe('a crash anywhere', () => {
  const outcome = ({ state, journal }: Outcome) => ({
    end: state.run.end?.status ?? null,
    output: journal.output(),
    steps: [...state.steps.values()]
      .flatMap((step) =>
        step.state === 'settled'
          ? [{ id: step.id, ok: step.ok, order: step.order, data: journal.stepData(step.seq) }]
          : [],
      )
      .toSorted((a, b) => a.order - b.order),
    attempt: state.run.attempt,
    entry: state.run.entry,
  });
  /** What takes too long is not known after a crash. */
  const comparable = (history: Happening[], without: RunInput['type'][] = []) => {
    const unknown = new Set<RunInput['type']>(['stepOverdue', 'entryOverdue', 'watchdog', ...without]);
    return history.filter((one) => 'input' in one && !unknown.has(one.input.type));
  };

  test('and the rest delivered again ends as the straight run ends (RN-5)', () => {
    fc.assert(
      fc.property(histories({ maxSteps: 100 }, false, 's'), fc.nat(), (all, where) => {
        // A cancellation waits for no step that is lost.
        const history = comparable(all, ['cancelled']);
        const at = 1 + (where % history.length);
        const moment = history[at - 1]?.now ?? NOW;
        const crashed = [
          ...history.slice(0, at),
          { now: moment, crash: true as const },
          ...history.slice(at),
        ];
        expect(outcome(happen(crashed))).toEqual(outcome(happen(history)));
      }),
      RUNS,
    );
  });

  test('and everything delivered again ends as the straight run ends (MX-18)', () => {
    fc.assert(
      fc.property(histories({ maxSteps: 100 }, false, 's'), fc.nat(), (all, where) => {
        // A cancellation waits for no step that is lost.
        const history = comparable(all, ['cancelled']);
        const at = 1 + (where % history.length);
        const moment = history[at - 1]?.now ?? NOW;
        const last = history.slice(Math.max(0, at - 1), at);
        const crashed = [
          ...history.slice(0, at),
          { now: moment, crash: true as const },
          ...last,
          ...history.slice(at),
        ];
        expect(outcome(happen(crashed))).toEqual(outcome(happen(history)));
      }),
      RUNS,
    );
  });

  test('leaves a cancelled run cancelled (CX-23, CX-26)', () => {
    fc.assert(
      fc.property(histories({ maxSteps: 100 }, false, 's'), fc.nat(), (all, where) => {
        const history = comparable(all);
        const straight = happen(history).state.run;
        if (straight.end?.status !== 'Cancelled') return;
        const at = 1 + (where % history.length);
        const moment = history[at - 1]?.now ?? NOW;
        const crashed = [
          ...history.slice(0, at),
          { now: moment, crash: true as const },
          ...history.slice(at),
        ];
        const { state } = happen(crashed);
        const now = Math.max(NOW, nextAlarm(state) ?? 0, crashed.at(-1)?.now ?? 0);
        for (const input of dueInputs(state, now)) commit(state, apply(state, input, now).changes);
        expect(state.run.end?.status).toBe('Cancelled');
      }),
      { numRuns: 1_500 },
    );
  });
});

describe('any history of a run with limits', () => {
  const concurrency = [
    { n: 0, scope: 'fn' as const, key: '' },
    { n: 1, scope: 'env' as const, key: 's:llm' },
  ];
  const flows = [
    { score: NOW, concurrency: concurrency.slice(0, 1) },
    { score: NOW, concurrency },
    { score: NOW, concurrency, throttle: '' },
  ];

  test.each(flows)(
    'begins nothing without its slots, holds none when it has ended, and never parks with one (CC-17)',
    (flow) => {
      const watch: Watch = (state, _input, _now, _before, _journal, effects) => {
        const { slots, phase } = state.live;
        const leases = (slots?.held ?? []).filter(
          (n) => slotLimits(state.config)[n]?.policy === 'concurrency',
        );
        if (effects.some(({ type }) => type === 'call'))
          expect([isQueued(state.live), leases.length]).toEqual([false, flow.concurrency.length]);
        if (state.run.end !== null) expect([slots?.held ?? [], isQueued(state.live)]).toEqual([[], false]);
        if (phase === 'parked' && !isQueued(state.live)) expect(leases).toEqual([]);
      };
      fc.assert(
        fc.property(histories({ flow, startWithin: 5_000 }, true), (history) => void happen(history, watch)),
        RUNS,
      );
    },
  );

  test.each(flows)('gives back all that it asks for (CC-23)', (flow) => {
    fc.assert(
      fc.property(histories({ flow }), (history) => {
        const { state, effects } = happen(history);
        const open = new Set<string>();
        for (const effect of effects) {
          if (effect.type === 'acquire') open.add(`${effect.n} ${effect.turn}`);
          if (effect.type === 'release')
            for (const one of open) {
              const [n = 0, turn = 0] = one.split(' ').map(Number);
              if (n === effect.n && turn <= effect.turn) open.delete(one);
            }
        }
        const { slots } = state.live;
        const kept = [...(slots?.held ?? []), ...(slots?.asked == null ? [] : [slots.asked])];
        const isLease = (one: string) =>
          slotLimits(state.config)[Number(one.split(' ')[0])]?.policy === 'concurrency';
        for (const one of open) if (isLease(one)) expect(kept).toContain(Number(one.split(' ')[0]));
      }),
      RUNS,
    );
  });

  test.each(flows)(
    'has something to do whenever its alarm goes off, and never the same alarm again',
    (flow) => {
      fc.assert(
        fc.property(histories({ flow, startWithin: 5_000 }, true), (history) => {
          let { state } = happen(history);
          let at = nextAlarm(state);
          for (let n = 0; at !== null && n < 50; n++) {
            const inputs = dueInputs(state, at);
            expect(inputs).not.toEqual([]);
            for (const input of inputs) state = commit(state, apply(state, input, at).changes);
            const next = nextAlarm(state);
            if (next !== null) expect(next).toBeGreaterThan(at);
            at = next;
          }
        }),
        RUNS,
      );
    },
  );
});

describe.each([undefined, { score: NOW, concurrency: [{ n: 0, scope: 'fn' as const, key: '' }] }])(
  'any history of a run that is held, its limits: %o',
  (flow) => {
    const until = NOW + 7 * 24 * 3_600_000;
    const held = (history: Happening[], where: number): Happening[] => {
      const at = 1 + (where % history.length);
      const now = history[at - 1]?.now ?? NOW;
      const input: RunInput = { type: 'held', hold: { turn: 1, until } };
      return [...history.slice(0, at), { now, input }, ...history.slice(at)];
    };

    test('begins nothing from then on, and has nothing to do but what is due (PA-5, invariant 4)', () => {
      fc.assert(
        fc.property(histories(flow === undefined ? {} : { flow }, true), fc.nat(), (all, where) => {
          const history = held(all, where);
          const { state } = happen(history, (after, _, __, before, ___, effects) => {
            if (before?.run.hold === undefined || before.run.end !== null) return;
            expect(effects.filter(({ type }) => type === 'call')).toEqual([]);
            for (const id of after.live.steps.keys()) expect(before.live.steps.has(id)).toBe(true);
          });
          for (let rings = 0; rings < 200; rings++) {
            const at = nextAlarm(state);
            if (at === null || state.run.end !== null) break;
            const now = Math.max(at, NOW);
            const inputs = dueInputs(state, now);
            expect(inputs).not.toEqual([]);
            for (const input of inputs) commit(state, apply(state, input, now).changes);
            const next = nextAlarm(state);
            expect(next === null || next > now, `after ${JSON.stringify(inputs)}`).toBe(true);
          }
        }),
        RUNS,
      );
    });
  },
);

import { describe, expect, it } from 'vitest';
import type { RunFlow } from '../../src/protocol/flow.ts';
import { apply } from '../../src/run/apply.ts';
import { commit, load } from '../../src/run/commit.ts';
import { nextAlarm, type RunConfig, type RunState } from '../../src/run/state.ts';
import { dueInputs } from '../../src/run/timers.ts';
import type { Effect, RunInput } from '../../src/run/transition.ts';
import {
  began,
  cancelled,
  config,
  NOW,
  ok,
  parked,
  returned,
  sleep,
  started,
  threw,
  watchdog,
} from './words.ts';

const SECOND = 1_000;
const one: RunFlow = { score: NOW, concurrency: [{ n: 0, scope: 'fn', key: '' }] };
const two: RunFlow = {
  score: NOW,
  concurrency: [
    { n: 0, scope: 'env', key: 's:llm' },
    { n: 1, scope: 'fn', key: 's:acme' },
  ],
};
const throttled: RunFlow = { ...one, throttle: '' };

/** A run whose inputs are fed as its owner does it: with its slots, whatever is due follows. */
class Fed {
  state: RunState | null = null;
  now = NOW;
  effects: Effect[] = [];
  runRows = 0;
  readonly #config: RunConfig;

  constructor(flow: RunFlow, over: Partial<RunConfig> = {}) {
    this.#config = { ...config, ...over, flow };
    this.feed({ ...started(), config: this.#config } as RunInput);
  }

  feed(...inputs: RunInput[]): this {
    this.effects = [];
    for (const input of inputs) {
      this.#take(input);
      const isSlots = input.type === 'slotAnswered' || input.type === 'slotGranted';
      const { state } = this;
      if (isSlots && state !== null && state.run.end === null && state.live.slots?.asked === null)
        for (const due of dueInputs(state, this.now)) this.#take(due);
    }
    return this;
  }

  /** The n-th limit answers. */
  answer(is: 'granted' | 'queued' | 'full', n = 0): this {
    return this.feed({ type: 'slotAnswered', n, turn: this.turn, answer: { is } });
  }

  ring(ms: number): this {
    this.now += ms;
    return this.feed(...(this.state === null ? [] : dueInputs(this.state, this.now)));
  }

  /** All that was in memory is lost. */
  restart(): this {
    const { config: frozen, run, steps } = this.got;
    this.state = load(frozen, run, [...steps.values()]);
    return this;
  }

  get got(): RunState {
    if (this.state === null) throw new Error('not started');
    return this.state;
  }

  get turn(): number {
    return this.got.live.slots?.turn ?? 0;
  }

  get did(): string[] {
    return this.effects.map((effect) => {
      if (effect.type === 'acquire') return `${effect.wait ? 'wait' : 'try'} ${effect.n}`;
      if (effect.type === 'release') return `release ${effect.n}`;
      return effect.type === 'call' && effect.step !== null ? `call ${effect.step.id}` : effect.type;
    });
  }

  #take(input: RunInput): void {
    const { changes, effects } = apply(this.state, input, this.now);
    if (this.state !== null || changes.run !== undefined) this.state = commit(this.state, changes);
    if (changes.run !== undefined) this.runRows++;
    this.effects.push(...effects);
  }
}

describe('a burst', () => {
  it('begins with its slot, ends with being parked, and gives it back (CC-17, CC-21)', () => {
    const run = new Fed(one);
    expect(run.did).toEqual(['wait 0']);
    expect(run.answer('granted').did).toEqual(['call']);
    expect(run.got.run.startedAt).toBe(NOW);
    expect(run.feed(sleep('s', SECOND), parked()).did).toEqual(['release 0']);
    expect(run.got.live.slots?.held).toEqual([]);
  });

  it('with all of its steps takes one slot (CC-22)', () => {
    const run = new Fed(one).answer('granted');
    for (const id of ['a', 'b', 'c']) {
      run.feed(began(id), ok(id));
      expect(run.did).toEqual(['call']);
    }
    expect(run.feed(returned()).did).toEqual(['stop', 'report', 'release 0']);
  });

  it('that is to begin after a sleep waits for its slot, while the sleep is over at once (CC-18, PA-12)', () => {
    const run = new Fed(one).answer('granted').feed(sleep('s', SECOND), parked());
    expect(run.ring(SECOND).did).toEqual(['wait 0']);
    expect(run.got.steps.get('s')?.state).toBe('settled');
    expect(run.answer('granted').did).toEqual(['call']);
  });

  it('of a retry runs that step once the slot is there', () => {
    const run = new Fed(one).answer('granted');
    run.feed(began('a'), {
      type: 'reported',
      op: {
        op: 'StepError',
        id: 'a',
        name: 'a',
        attempt: 0,
        error: { name: 'E', message: '' },
        final: false,
      },
    });
    run.feed(parked());
    expect(run.ring(SECOND).did).toEqual(['wait 0']);
    expect(run.answer('granted').did).toEqual(['call', 'call a']);
  });

  it('of the handler waits for its delay without a slot', () => {
    const run = new Fed(one).answer('granted');
    expect(run.feed(threw()).did).toEqual(['release 0']);
    expect(run.ring(SECOND).did).toEqual(['wait 0']);
    expect(run.answer('granted').did).toEqual(['call']);
  });

  it('is another turn each time, also within one millisecond', () => {
    const run = new Fed(one).answer('granted').feed(sleep('s', 1), parked());
    const { turn } = run;
    run.ring(1);
    expect(run.turn).toBeGreaterThan(turn);
  });

  it.each([
    ['waits where it is', false, 1],
    ['elsewhere is entered anew', true, 2],
  ])(
    'is over for code that goes on by itself: nothing begins, and it %s for a slot',
    (_, isRemote, entry) => {
      const run = new Fed(one, isRemote ? { remote: true } : {})
        .answer('granted')
        .feed(sleep('s', 60 * SECOND), parked());
      expect(run.feed(began('a')).did).toEqual(['wait 0']);
      expect(run.got.live.steps.size).toBe(0);
      run.answer('granted');
      expect(run.effects).toEqual([{ type: 'call', entry, attempt: 0, step: null }]);
    },
  );

  it('renews its lease at the first look of the watchdog after 20 s (CC-23)', () => {
    const run = new Fed(one).answer('granted');
    expect(run.ring(10 * SECOND).did).toEqual(['call']);
    expect(run.ring(10 * SECOND).did).toEqual(['call', 'try 0']);
    expect(run.ring(10 * SECOND).did).toEqual(['call']);
    expect(run.feed({ type: 'slotAnswered', n: 0, turn: run.turn, answer: { is: 'granted' } }).did).toEqual(
      [],
    );
  });
});

describe('a run in the line', () => {
  it('has no alarm, and asks again only until it is heard', () => {
    const run = new Fed(one);
    expect(nextAlarm(run.got)).toBe(NOW + 10 * SECOND);
    expect(run.ring(10 * SECOND).did).toEqual(['wait 0']);
    run.answer('queued');
    expect(nextAlarm(run.got)).toBeNull();
  });

  it('asks a gate that does not answer less and less often', () => {
    const run = new Fed(one);
    const pauses: number[] = [];
    for (let n = 0; n < 9; n++) {
      const before = run.now;
      run.ring((nextAlarm(run.got) ?? 0) - before);
      pauses.push((run.now - before) / SECOND);
      expect(run.did).toEqual(['wait 0']);
    }
    expect(pauses).toEqual([10, 10, 20, 40, 80, 160, 300, 300, 300]);
  });

  it('asks again when a sweep wants to know how it stands', () => {
    expect(new Fed(one).answer('queued').feed({ type: 'slotsDue' }).did).toEqual(['wait 0']);
  });

  it('is cancelled at the end of its start timeout, to the millisecond, and leaves the line (TO-11)', () => {
    const run = new Fed(one, { startWithin: 5 * SECOND }).answer('queued');
    expect(nextAlarm(run.got)).toBe(NOW + 5 * SECOND);
    expect(run.ring(5 * SECOND).did).toEqual(['stop', 'report', 'release 0']);
    expect(run.got.run.end?.status).toBe('Cancelled');
  });

  it('is cancelled at once (CX-22)', () => {
    const run = new Fed(one).answer('queued');
    expect(run.feed(cancelled).did).toEqual(['stop', 'report', 'release 0']);
  });

  it('has no start timeout any more once it has begun (TO-4)', () => {
    const run = new Fed(one, { startWithin: 5 * SECOND })
      .answer('granted')
      .feed(sleep('s', SECOND), parked());
    run.ring(SECOND).answer('queued');
    expect(run.ring(10 * SECOND).got.run.end).toBeNull();
  });

  it('that was not in memory is woken by its slot', () => {
    const run = new Fed(one).answer('queued');
    const { turn } = run;
    run.restart().feed({ type: 'slotGranted', n: 0, turn });
    expect(run.did).toEqual(['call']);
    expect(run.got.live.slots?.held).toEqual([0]);
  });

  it('that was not in memory when it was cancelled leaves every line that it may be in (TH-19)', () => {
    const run = new Fed(throttled).answer('queued');
    run.now += SECOND;
    expect(run.restart().feed(cancelled).did).toEqual(['stop', 'report', 'release 0', 'release 1']);
  });

  it('settles what it is answered, and calls when its turn comes', () => {
    const run = new Fed(one).answer('granted').feed(sleep('s', SECOND), sleep('t', 2 * SECOND), parked());
    run.ring(SECOND).answer('queued');
    expect(nextAlarm(run.got)).toBe(NOW + 2 * SECOND);
    expect(run.ring(SECOND).did).toEqual([]);
    expect(run.got.steps.get('t')?.state).toBe('settled');
    expect(run.answer('granted').did).toEqual(['call']);
  });

  it('hears nothing of an earlier turn', () => {
    const run = new Fed(one).answer('granted').feed(sleep('s', SECOND), parked());
    const { turn } = run;
    run.ring(SECOND);
    expect(run.feed({ type: 'slotAnswered', n: 0, turn, answer: { is: 'granted' } }).did).toEqual([]);
    expect(run.feed({ type: 'slotGranted', n: 0, turn }).did).toEqual([]);
    expect(run.got.live.slots?.held).toEqual([]);
  });

  it('asks as a later turn when the gate knows one', () => {
    const run = new Fed(one);
    const later = NOW + 1_000_000;
    run.feed({ type: 'slotAnswered', n: 0, turn: run.turn, answer: { is: 'stale', turn: later } });
    expect([run.did, run.turn]).toEqual([['wait 0'], later + 1]);
  });
});

describe('a run that was lost while it executed', () => {
  it('asks for its slot before it is entered again, and the loss counts (RN-5)', () => {
    const run = new Fed(one).answer('granted').restart();
    expect(run.feed(watchdog).did).toEqual(['wait 0']);
    expect(run.got.run.losses).toBe(0);
    expect(run.answer('granted').did).toEqual(['call']);
    expect(run.got.run.losses).toBe(1);
  });

  it('wants no slot that it is told of while there is nothing to do', () => {
    const run = new Fed(one).answer('granted').feed(threw()).restart();
    run.feed({ type: 'slotGranted', n: 0, turn: run.turn + 1 });
    expect(run.got.live.slots?.held ?? []).toEqual([]);
  });
});

describe('two limits', () => {
  it('are asked for the narrowest first, whatever their order, and the other is only tried (CC-27, CC-29)', () => {
    const run = new Fed(two);
    expect(run.did).toEqual(['wait 0']);
    expect(run.answer('granted').did).toEqual(['try 1']);
    expect(run.answer('granted', 1).did).toEqual(['call']);
    expect(run.feed(returned()).did).toEqual(['stop', 'report', 'release 0', 'release 1']);
  });

  it('give the first back at once when there is no room under the other, and wait there (CC-29)', () => {
    const run = new Fed(two).answer('granted');
    const { turn } = run;
    expect(run.answer('full', 1).did).toEqual(['release 0', 'wait 1']);
    expect(run.turn).toBeGreaterThan(turn);
    run.answer('queued', 1);
    expect(run.feed({ type: 'slotGranted', n: 1, turn: run.turn }).did).toEqual(['try 0']);
    expect(run.answer('granted').did).toEqual(['call']);
  });

  it('give the first back when the try is not answered', () => {
    const run = new Fed(two).answer('granted');
    expect(run.ring(10 * SECOND).did).toEqual(['release 0', 'wait 1']);
  });
});

describe('a throttle', () => {
  it('comes before concurrency, and is not asked again when that has no room (FC-7, TH-18, TH-21)', () => {
    const run = new Fed(throttled);
    expect(run.did).toEqual(['wait 0']);
    expect(run.answer('granted').did).toEqual(['wait 1']);
    expect(
      run
        .answer('queued', 1)
        .restart()
        .ring(60 * SECOND).did,
    ).toEqual(['wait 1']);
    expect(run.answer('granted', 1).did).toEqual(['call']);
    expect(run.feed(threw()).ring(SECOND).did).toEqual(['wait 1']);
  });

  it('alone costs later bursts nothing (TH-6)', () => {
    const run = new Fed({ score: NOW, throttle: '' }).answer('granted');
    run.feed(sleep('s', SECOND), parked());
    expect(run.ring(SECOND).did).toEqual(['call']);
    expect(run.feed(returned()).did).toEqual(['stop', 'report']);
  });
});

it('no input of a run with limits writes a row for its slots but the start that its throttle gave', () => {
  const run = new Fed(one).answer('granted').feed(sleep('s', SECOND), parked());
  run.ring(SECOND).answer('queued').feed({ type: 'slotGranted', n: 0, turn: run.turn });
  // The start, and the first entry.
  expect(run.runRows).toBe(2);
});

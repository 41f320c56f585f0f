/** A run whose function is paused: what executes finishes, nothing begins, and whatever was held back comes when it goes on. */
import { describe, expect, test } from 'vitest';
import { apply } from '../../src/run/apply.ts';
import { commit, load } from '../../src/run/commit.ts';
import { nextAlarm, type RunConfig, type RunState } from '../../src/run/state.ts';
import { dueInputs } from '../../src/run/timers.ts';
import type { Effect, RunInput } from '../../src/run/transition.ts';
import { began, cancelled, given, NOW, ok, parked, returned, seen, seenEffects } from './words.ts';

const WEEK = 7 * 24 * 3_600_000;
const hold: RunInput = { type: 'held', hold: { turn: 1, until: NOW + WEEK } };
const goOn: RunInput = { type: 'held', hold: { turn: 2, until: null } };

/** A run whose inputs are fed as its owner does it. */
class Fed {
  state: RunState;
  now = NOW;
  effects: Effect[] = [];

  constructor(words: string, over: Partial<RunConfig> = {}) {
    this.state = given(words, over);
  }

  feed(...inputs: RunInput[]): this {
    this.effects = [];
    for (const input of inputs) {
      this.#take(input);
      if (input.type === 'held') for (const due of dueInputs(this.state, this.now)) this.#take(due);
    }
    return this;
  }

  /** Time passes, and the alarm goes off if it is set for then. */
  pass(ms: number): this {
    this.now += ms;
    return this.feed(...dueInputs(this.state, this.now));
  }

  restart(): this {
    this.state = load(this.state.config, this.state.run, [...this.state.steps.values()]);
    return this;
  }

  words(): string {
    return [seen(this.state), seenEffects(this.effects)].filter((text) => text !== '').join(' | ');
  }

  #take(input: RunInput): void {
    const { changes, effects } = apply(this.state, input, this.now);
    this.state = commit(this.state, changes);
    this.effects.push(...effects);
  }
}

describe('while a run is held', () => {
  test('a step that executes finishes and is stored, and nothing follows it (PA-5, PA-7)', () => {
    const run = new Fed('executing, a running').feed(hold);
    expect(run.words()).toBe('executing, a running');
    expect(run.feed(ok('a')).words()).toBe('parked, due +0, a ok');
    expect(nextAlarm(run.state)).toBe(NOW + WEEK);
    expect(run.feed(goOn).words()).toBe('executing, a ok | call');
  });

  test('code that goes on by itself begins no step, and is entered anew afterwards (PA-5)', () => {
    const run = new Fed('executing, a ok').feed(hold, began('b'));
    expect(run.words()).toBe('parked, entry 2, due +0, a ok');
    expect(run.feed(goOn).words()).toBe('executing, entry 2, a ok | call entry 2');
  });

  test('the end of the code that runs is taken (PA-7)', () => {
    expect(new Fed('executing').feed(hold, returned()).words()).toBe('Completed | stop, report');
  });

  test('sleeps keep counting, and what follows them is held (PA-12)', () => {
    const run = new Fed('parked, s sleeping +100').feed(hold);
    expect(nextAlarm(run.state)).toBe(NOW + 100);
    expect(run.pass(100).words()).toBe('parked, due +100, s ok');
    expect(nextAlarm(run.state)).toBe(NOW + WEEK);
    expect(run.feed(goOn).words()).toBe('executing, s ok | call');
  });

  test('a retry that comes due waits for the end of the pause, and keeps no alarm busy (PA-12)', () => {
    const run = new Fed('parked, a retrying 1 +100').feed(hold).pass(200);
    expect(run.words()).toBe('parked, a retrying 1 +100');
    expect(nextAlarm(run.state)).toBe(NOW + WEEK);
    expect(run.feed(goOn).words()).toBe('executing, a retrying 1 +100 running | call a#1');
  });

  test('a cancellation acts at once (PA-12)', () => {
    expect(new Fed('parked, s sleeping +100').feed(hold, cancelled).words()).toMatch(/^Cancelled/);
  });

  test('it is cancelled after seven days, and not if it goes on before (PA-5)', () => {
    expect(new Fed('parked, due +100').feed(hold).pass(WEEK).words()).toMatch(/^Cancelled/);
    const saved = new Fed('parked, s sleeping +100000').feed(hold, goOn);
    expect(saved.pass(WEEK).words()).toBe('executing, s ok | call');
  });

  test('a crash of its host forgets none of it (PA-5)', () => {
    const run = new Fed('executing, a running').feed(hold).restart();
    run.pass(10_000);
    expect(run.words()).toBe('parked, due +10000');
    expect(run.feed(goOn).words()).toBe('executing | call');
  });

  test('the watchdog calls nothing, however long the code takes', () => {
    const run = new Fed('executing').feed(hold).pass(10_000);
    expect(run.effects).toEqual([]);
    expect(run.feed(parked()).words()).toBe('parked, due +10000');
  });
});

test('of two words the later one counts, in whatever order they come (PA-1)', () => {
  const run = new Fed('parked, s sleeping +100').feed(goOn, hold);
  expect(run.pass(100).words()).toBe('executing, s ok | call');
});

describe('with limits', () => {
  const flow = { score: NOW, concurrency: [{ n: 0, scope: 'fn' as const, key: '' }] };

  test('a held run gives its lease back, and asks for one when it goes on (PA-8)', () => {
    const run = new Fed('executing, a running', { flow });
    run.state.live.slots = {
      turn: 5,
      asked: null,
      waits: true,
      isInLine: false,
      held: [0],
      askAt: Infinity,
      renewAt: Infinity,
    };
    run.feed(hold, ok('a'));
    expect([run.state.live.phase, run.effects]).toEqual(['parked', [{ type: 'release', n: 0, turn: 5 }]]);
    run.feed(goOn);
    expect(run.effects).toMatchObject([{ type: 'acquire', n: 0, wait: true }]);
  });

  test('a slot that comes from the line is given back (PA-8)', () => {
    const run = new Fed('parked, due +0', { flow }).feed({ type: 'entryDue' });
    const turn = run.state.live.slots?.turn ?? 0;
    run.feed(hold, { type: 'slotGranted', n: 0, turn });
    expect(run.effects).toMatchObject([{ type: 'release', n: 0, turn }]);
    expect(run.state.run.due).toBe(NOW);
    expect(run.feed(goOn).effects).toMatchObject([{ type: 'acquire' }]);
  });
});

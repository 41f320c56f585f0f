/** What every journal keeps to: the real one on an object's storage, and the one in memory that other tests use. */
import { expect } from 'vitest';
import type { JournalPort } from '../../durable-objects/owner.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import { limits } from '../../src/protocol/limits.ts';
import type { Run, RunConfig, SettledStep } from '../../src/run/state.ts';
import type { Changes } from '../../src/run/transition.ts';

/** A moment that no alarm reaches by itself. */
const NOW = Date.UTC(2090, 0, 1);

const config: RunConfig = {
  runId: 'run',
  env: 'main',
  functionId: 'app-fn',
  eventIds: ['event'],
  eventBytes: 0,
  queuedAt: NOW,
  maxAttempts: 5,
  maxSteps: 9,
  stepRuntime: 1_000,
  retryInterval: null,
  cancelOn: [],
  startWithin: null,
  finishWithin: null,
  parent: null,
};
const run: Run = {
  entry: 1,
  attempt: 0,
  due: null,
  startedAt: NOW,
  failures: [],
  losses: 0,
  cancelAt: null,
  end: null,
};
const event: StoredEvent = {
  internalId: 'event',
  env: 'main',
  name: 'a/b',
  data: JSON.parse('{"__proto__":{"x":1},"text":"ü😀"}') as StoredEvent['data'],
  ts: 1,
  receivedAt: 2,
};

function step(id: string, seq: number, order: number, data: string): NonNullable<Changes['step']> {
  const settled: SettledStep = {
    id,
    name: id,
    op: 'StepRun',
    seq,
    startedAt: NOW,
    failures: [],
    late: 0,
    state: 'settled',
    ok: true,
    order,
    endedAt: NOW,
    size: data.length,
  };
  return { step: settled, data };
}

function begin(journal: JournalPort, alarm: number | null = NOW + 10): void {
  journal.transact(() => {
    journal.write({ config, run }, () => [event]);
    return alarm;
  }, NOW);
}

/** The alarm is written before the turn is over. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, 0));
}

/** @param open a journal on the same storage: called twice, it is what a new object finds. */
type Case = (open: () => JournalPort) => Promise<void> | void;

/** By the sentence that each proves. Run on a storage of its own each. */
export const journalCases: Record<string, Case> = {
  'nothing is there before a run has started': (open) => {
    expect(open().load()).toBeNull();
    expect(open().load()).toBeNull();
  },
  'a new object finds the run, its events and its alarm': async (open) => {
    begin(open());
    await turn();
    const again = open();
    expect(again.load()).toMatchObject({ state: { config, run, live: { phase: 'unknown' } }, settled: [] });
    expect(again.events()).toEqual([event]);
    expect(Object.hasOwn(again.events()[0]?.data ?? {}, '__proto__')).toBe(true);
    expect(await again.alarm()).toBe(NOW + 10);
  },
  'steps come back in the order in which they were settled (MX-27)': (open) => {
    const journal = open();
    begin(journal);
    journal.transact(() => {
      journal.write({ step: step('first-row', 0, 1, '"a"') }, () => []);
      journal.write({ step: step('second-row', 1, 0, '"b"') }, () => []);
      return null;
    }, NOW);
    const loaded = open().load();
    expect(loaded?.settled).toEqual(['second-row', 'first-row']);
    expect([...(loaded?.state.steps.values() ?? [])].map(({ seq }) => open().stepData(seq))).toEqual([
      '"a"',
      '"b"',
    ]);
  },
  'a transition that throws leaves rows and alarm as they were': async (open) => {
    const journal = open();
    begin(journal);
    const fails = () =>
      journal.transact(() => {
        journal.write({ run: { ...run, attempt: 3 }, step: step('s', 0, 0, '1') }, () => []);
        throw new Error('no');
      }, NOW);
    await turn();
    expect(fails).toThrow('no');
    await turn();
    const again = open();
    expect(again.load()).toMatchObject({ state: { run: { attempt: 0 } }, settled: [] });
    expect(await again.alarm()).toBe(NOW + 10);
  },
  'an output is kept when the run is written again without one': (open) => {
    const journal = open();
    begin(journal);
    journal.transact(() => {
      journal.write({ run, output: '{"x":1}' }, () => []);
      journal.write({ run: { ...run, attempt: 1 } }, () => []);
      return null;
    }, NOW);
    expect(open().output()).toBe('{"x":1}');
  },
  'what a step was given is kept beside its outcome, also when that is written later (AI-8)': (open) => {
    const journal = open();
    begin(journal);
    journal.transact(() => {
      journal.write({ step: { ...step('s', 0, 0, '1'), input: '["hi"]' } }, () => []);
      journal.write({ step: step('s', 0, 0, '2') }, () => []);
      journal.write({ step: step('other', 1, 1, '3') }, () => []);
      return null;
    }, NOW);
    expect([open().stepInput(0), open().stepData(0), open().stepInput(1)]).toEqual(['["hi"]', '2', null]);
  },
  'a text longer than a row holds comes back whole, surrogate pairs and all (LM-3)': (open) => {
    const journal = open();
    begin(journal);
    const long = JSON.stringify('😀'.repeat(limits.rowText));
    journal.transact(() => {
      journal.write({ step: step('s', 0, 0, long), run, output: long }, () => []);
      return null;
    }, NOW);
    expect(open().stepData(0) === long).toBe(true);
    expect(open().output() === long).toBe(true);
  },
  'no alarm is set when nothing is due, and one in the past is due at once': async (open) => {
    const journal = open();
    begin(journal, null);
    expect(await journal.alarm()).toBeNull();
    journal.transact(() => NOW - 5, NOW);
    expect(await journal.alarm()).toBe(NOW + 1);
    journal.transact(() => null, NOW);
    expect(await journal.alarm()).toBeNull();
  },
  'nothing is left of an erased run, and another may begin': async (open) => {
    const journal = open();
    begin(journal);
    await journal.erase();
    expect(open().load()).toBeNull();
    expect(await open().alarm()).toBeNull();
    begin(open());
    expect(open().load()).not.toBeNull();
  },
};

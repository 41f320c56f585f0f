/**
 * The central promise, on the real local server: the short form of `npm run chaos`. The moments are random;
 * `STEPWELL_KILL_SEED=<n>` repeats those of an earlier run.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { broken, chaos, type Healed, type Outcome } from './chaos.ts';
import type { Ledger, Output } from './ledger.ts';
import type { Name } from './traffic.ts';

const seed = Number(process.env['STEPWELL_KILL_SEED'] ?? Date.now() % 1_000_000);

describe('after kill -9 and pauses of everything at random moments', () => {
  let outcome: Outcome;
  let accepted: Outcome['accepted'];
  let ledger: Ledger;
  let healed: Healed;
  let wrong: Record<string, unknown[]>;

  beforeAll(async () => {
    console.log(`STEPWELL_KILL_SEED=${seed}`);
    outcome = await chaos({ seed, seconds: 30, runs: 200, inFlight: 150 });
    ({ accepted, ledger, healed } = outcome);
    wrong = broken(outcome);
    console.log(outcome.figures);
  }, 400_000);

  test('every event that was answered 200 has its runs, one for each function (EA-10, RN-5)', () => {
    expect(accepted.size).toBeGreaterThan(100);
    expect(wrong['accepted without its run']).toEqual([]);
  });

  test('every event that was answered 200 is in the history (EA-9)', () => {
    expect(wrong['accepted and not in the history']).toEqual([]);
  });

  test('of the events with one id exactly one has started a run (DD-1, DD-10)', () => {
    expect([...accepted.values()].filter(({ isKeyed }) => isKeyed).length).toBeGreaterThan(20);
    expect(wrong['of one id and not of one run']).toEqual([]);
  });

  test('every run has ended as it should, those of events that were not answered too (RN-5, MX-18)', () => {
    expect(wrong['ended otherwise than it should, or not at all']).toEqual([]);
  });

  test('no step ran again after its result had been stored, no result changed, no limit was exceeded (MX-7, MX-19)', () => {
    expect(ledger.mostAtOnce).toBeGreaterThan(1);
    expect(wrong['done again, changed, too many or too early']).toEqual([]);
  });

  test('a cancelled run does nothing more', () => {
    expect([...healed.runs.values()].some(({ status }) => status === 'Cancelled')).toBe(true);
    expect(wrong['done after the cancellation']).toEqual([]);
  });

  test('the outputs are those of functions that were never disturbed (MX-6)', () => {
    const steps: Record<Exclude<Name, 'kill/cancelled'>, string[]> = {
      'kill/sequence': ['a', 'b', 'c', 'd', 'e'],
      'kill/parallel': ['fork', 'p0', 'p1', 'p2', 'chain 1', 'chain 2', 'join'],
      'kill/sleeper': ['before', 'between', 'meanwhile', 'after'],
      'kill/flaky': ['shaky', 'instead', 'end'],
      'kill/sender': ['prepare', 'told'],
      'kill/limited': ['x', 'y'],
    };
    for (const { internalId, name, key } of accepted.values()) {
      if (name === 'kill/cancelled') continue;
      for (const { output } of healed.runsOf.get(internalId) ?? []) {
        const { saw, ...rest } = output as Output;
        expect(rest).toEqual({ key });
        expect(Object.keys(saw).toSorted()).toEqual(steps[name].toSorted());
      }
    }
  });

  test('a run that was seen to have ended stays as it was (RN-3)', () => {
    expect(outcome.seenEnded.size).toBeGreaterThan(0);
    for (const [id, { status, output, ended_at }] of outcome.seenEnded) {
      expect(healed.runs.get(id)).toMatchObject({ status, output, ended_at });
    }
  });

  test('what a run sends starts each function once, with the ids that it was told (SV-3, SV-4, EA-32)', () => {
    const told = Map.groupBy(ledger.runs.values(), ({ work }) => work.sender ?? '');
    const senders = [...ledger.runs.values()].filter(({ steps }) => steps.has('told'));
    expect(senders.length).toBeGreaterThan(10);
    for (const { id, sent } of senders) {
      const receivers = (told.get(id) ?? []).toSorted((a, b) =>
        (a.work.tag ?? '').localeCompare(b.work.tag ?? ''),
      );
      expect(receivers.map(({ work }) => work.tag)).toEqual(['left', 'right']);
      expect(receivers.map(({ event }) => event)).toEqual(sent);
    }
  });

  test('a step that fails is tried again until it succeeds, and no attempt is left out (RT-3, MX-23)', () => {
    const shaky = [...ledger.runs.values()].flatMap(({ steps }) => steps.get('shaky') ?? []);
    expect(shaky.length).toBeGreaterThan(10);
    for (const { begins } of shaky)
      expect([...new Set(begins.map(({ attempt }) => attempt))]).toEqual([0, 1, 2]);
  });

  test('nothing is left open in the index', () => {
    expect(wrong['left open in the index']).toEqual([]);
  });
});

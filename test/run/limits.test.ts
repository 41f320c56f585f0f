/** Every limit of a run at its edge (section "Limits" of the specification, AT-17). */
import { describe, expect, test } from 'vitest';
import { limits } from '../../src/protocol/limits.ts';
import type { RunInput } from '../../src/run/transition.ts';
import * as w from './words.ts';
import { given, NOW, seen, take } from './words.ts';

/** JSON text of exactly so many bytes. */
function json(bytes: number, filler = 'x'): string {
  const room = bytes - 2;
  const width = new TextEncoder().encode(filler).length;
  return `"${filler.repeat(Math.floor(room / width))}${'x'.repeat(room % width)}"`;
}

function ok(id: string, data: string, attempt = 0): RunInput {
  return { type: 'reported', op: { op: 'StepRun', id, name: id, attempt, data } };
}

const MB = 1024 * 1024;

describe('the output of a step', () => {
  test('of 4 MB is stored (LM-3)', () => {
    const { state } = take(given('executing, a running'), ok('a', json(4 * MB)));
    expect(seen(state)).toBe('executing, a ok');
  });

  test.each(['x', 'é', '€', '😀'])(
    'of 4 MB + 1 byte, made of %s, fails the step for good (LM-10, LM-11)',
    (filler) => {
      const { state, transition } = take(given('executing, a running'), ok('a', json(4 * MB + 1, filler)));
      expect(seen(state)).toBe('executing, a failed');
      const error = JSON.parse(transition.changes.step?.data ?? '') as { name: string; message: string };
      expect(error.name).toBe('StepOutputTooLarge');
      expect(error.message).toContain('4194305');
      expect(error.message).toContain('4194304');
      expect(state.steps.get('a')?.failures).toMatchObject([
        { attempt: 0, error: { name: 'StepOutputTooLarge' } },
      ]);
    },
  );

  test('that is too large counts by its error, not by its own size', () => {
    const { state } = take(given('executing, a running'), ok('a', json(4 * MB + 1)));
    expect(state.bytes).toBeLessThan(1_000);
  });
});

describe('the output of the function', () => {
  test('of 4 MB completes the run (LM-3)', () => {
    const { state } = take(given('executing'), { type: 'returned', entry: 1, output: json(4 * MB) });
    expect(seen(state)).toBe('Completed');
  });

  test('of 4 MB + 1 byte fails it, with both sizes in the error (LM-11)', () => {
    const input: RunInput = { type: 'returned', entry: 1, output: json(4 * MB + 1) };
    const { state, transition } = take(given('executing'), input);
    expect(seen(state)).toBe('Failed(FunctionOutputTooLarge)');
    expect(transition.changes.output).toContain('4194305');
    expect(transition.changes.output).toContain('4194304');
  });
});

describe('everything that a run holds', () => {
  const full = () => {
    let state = given('executing', { maxSteps: 100 });
    for (let n = 0; n < 8; n++) ({ state } = take(state, ok(`s${n}`, json(4 * MB - (n === 7 ? 1 : 0)))));
    return state;
  };

  test('of 32 MB goes on (LM-4)', () => {
    let state = full();
    expect(state.bytes).toBe(32 * MB - 1);
    ({ state } = take(state, ok('last', '1')));
    expect(state.bytes).toBe(32 * MB);
    expect(state.run.end).toBeNull();
  });

  test('comprises its events, and in the end what it returns (RN-6, LM-4)', () => {
    const state = given('executing', { eventBytes: 3 * MB });
    expect(take(state, ok('a', json(MB))).state.bytes).toBe(4 * MB);
    const end = (output: string) => {
      const almost = given('executing', { eventBytes: 32 * MB - 2 });
      return seen(take(almost, { type: 'returned', entry: 1, output }).state);
    };
    expect([end('10'), end('100')]).toEqual(['Completed', 'Failed(RunStateTooLarge)']);
  });

  test('of 32 MB + 1 byte fails the run, and the step is kept (LM-11, AT-17)', () => {
    const { state, transition } = take(full(), ok('last', '10'));
    expect(state.run.end?.status).toBe('Failed');
    expect(transition.changes.output).toContain('RunStateTooLarge');
    expect(transition.changes.output).toContain(`holds ${32 * MB + 1} bytes`);
    expect(transition.changes.output).toContain(`limit is ${32 * MB}`);
    expect(state.steps.get('last')).toMatchObject({ state: 'settled', ok: true });
  });
});

describe('the number of steps', () => {
  const after = (steps: number) => {
    const words = Array.from({ length: steps }, (_, n) => `s${n} ok`);
    return given(['executing', ...words].join(', '), { maxSteps: limits.stepsPerRun });
  };

  test('1,000: the last one begins and is stored (LM-5)', () => {
    let { state } = take(after(999), w.began('last'));
    ({ state } = take(state, w.ok('last')));
    expect(state.run.end).toBeNull();
    expect(state.settled).toBe(1_000);
  });

  test('1,001: the run fails, and the error names the limit (LM-11)', () => {
    const { state, transition } = take(after(1_000), w.began('one too many'));
    expect(state.run.end?.status).toBe('Failed');
    expect(transition.changes.output).toContain('1000th');
  });

  test('1,001: a sleep is one as well (LM-12)', () => {
    const { state } = take(after(1_000), w.sleep('one too many', 50));
    expect(state.run.failures.at(-1)?.error.name).toBe('StepLimitExceeded');
  });

  test('parallel steps count from the moment that they begin (PA-15)', () => {
    let state = given('executing', { maxSteps: 3 });
    for (const id of ['a', 'b', 'c']) ({ state } = take(state, w.began(id)));
    ({ state } = take(state, w.began('d')));
    expect(state.run.failures.at(-1)?.error.name).toBe('StepLimitExceeded');
  });

  test('a step that executes its second attempt counts once (LM-12)', () => {
    const { state } = take(given('executing, a ok, b retrying 1 -1 running', { maxSteps: 3 }), w.began('c'));
    expect(state.run.end).toBeNull();
    expect(take(state, w.began('d')).state.run.end?.status).toBe('Failed');
  });

  test('further attempts add nothing (LM-12)', () => {
    let state = given('executing, a ok, b ok, c running', { maxSteps: 3 });
    ({ state } = take(state, w.err('c')));
    ({ state } = take(state, w.stepDue('c'), NOW + w.RETRY));
    ({ state } = take(state, w.ok('c', 1, 1), NOW + w.RETRY));
    expect(seen(state)).toBe('executing, a ok, b ok, c ok');
  });
});

describe('retries', () => {
  test('0: one attempt of a step (RT-3)', () => {
    const { state } = take(given('executing, a running', { maxAttempts: 1 }), w.err('a'));
    expect(seen(state)).toBe('executing, a failed');
  });

  test('0: one attempt of the handler (RT-3)', () => {
    const { state } = take(given('executing', { maxAttempts: 1 }), w.threw());
    expect(seen(state)).toBe('Failed(Error)');
  });

  test.each([0, 4, 20])(
    '%i: that many and one attempts of a step, whoever counts them (RT-3, RT-4, RT-15)',
    (retries) => {
      let now = NOW;
      let { state } = take(given('executing', { maxAttempts: retries + 1 }), w.began('a'));
      let attempts = 0;
      for (let attempt = 0; state.steps.get('a')?.state !== 'settled'; attempt++) {
        attempts++;
        ({ state } = take(state, w.err('a', attempt), now));
        now += w.RETRY;
        ({ state } = take(state, w.stepDue('a'), now));
      }
      expect(attempts).toBe(retries + 1);
      expect(state.steps.get('a')?.failures.map((failure) => failure.attempt)).toEqual(
        Array.from({ length: retries + 1 }, (_, n) => n),
      );
    },
  );

  test.each([0, 4, 20])('%i: that many and one attempts of the handler (RT-3, RT-4)', (retries) => {
    let now = NOW;
    let state = given('executing', { maxAttempts: retries + 1 });
    let attempts = 0;
    while (state.run.end === null) {
      attempts++;
      ({ state } = take(state, w.threw(state.run.entry), now));
      now += w.RETRY;
      ({ state } = take(state, w.entryDue, now));
    }
    expect(attempts).toBe(retries + 1);
    expect(state.run.failures).toHaveLength(retries + 1);
  });

  test('a step has its own, whatever the handler has used up (RT-7)', () => {
    const state = given('executing, entry 3, attempt 2, a running', { maxAttempts: 3 });
    expect(seen(take(state, w.err('a')).state)).toContain('a retrying 1');
  });
});

describe('losses in a row', () => {
  test('a run whose host is always lost is entered 20 times and fails', () => {
    let state = given('unknown');
    let now = NOW;
    let entries = 1;
    while (state.run.end === null) {
      ({ state } = take(state, w.watchdog, now));
      if (state.run.due !== null) {
        now = state.run.due;
        ({ state } = take(state, w.entryDue, now));
      }
      if (state.live.phase === 'executing') entries++;
      state.live.phase = 'unknown';
      now += 10_000;
    }
    expect(entries).toBe(20);
    expect(state.run.failures.at(-1)?.error).toMatchObject({
      name: 'RunLost',
      message: expect.stringContaining('20 times') as unknown,
    });
  });
});

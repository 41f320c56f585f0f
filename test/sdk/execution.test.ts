/** The execution core against a host that the test plays by hand: what settles, in what order, and what reaches the host. */
import { describe, expect, test } from 'vitest';
import { sha1Hex } from '../../src/lib/hash.ts';
import type { Memo } from '../../src/protocol/op.ts';
import { NonRetriableError, RetryAfterError, StepError } from '../../src/sdk/errors.ts';
import { host, turn, value } from './host.ts';

describe('a step', () => {
  test('without an outcome reaches the host, in the turn in which it is called', () => {
    const { execution, step, reached } = host();
    execution.start(() => step.run('a', () => 1));
    expect(reached).toEqual([{ id: sha1Hex('a'), name: 'a', kind: { op: 'StepRun' } }]);
  });

  test('with one settles from it, and never reaches the host (invariant 1)', async () => {
    let ran = false;
    const { run, step, reached, ended } = host([['a', value({ n: 1 })]]);
    await run(() => step.run('a', () => (ran = true)));
    expect([ran, reached, ended]).toEqual([false, [], [{ ok: true, data: '{"n":1}' }]]);
  });

  test('that failed for good rejects with a StepError (ER-15, ER-16)', async () => {
    const error = {
      name: 'RangeError',
      message: 'no',
      stack: 'RangeError: no\n  at x',
      cause: { name: 'E', message: 'why' },
    };
    const { run, step } = host([['a', { error }]]);
    let caught: unknown;
    await run(async () => {
      caught = await step.run('a', () => 1).catch((thrown: unknown) => thrown);
    });
    expect(caught).toBeInstanceOf(StepError);
    expect(caught).toMatchObject({ ...error, stepId: sha1Hex('a') });
  });

  test('ids are hashed with the number of their use (MX-12, MX-13)', async () => {
    const { run, step, reached } = host();
    await run(() => Promise.all([step.run('a', () => 1), step.run('a', () => 1), step.sleep('a', 5)]));
    expect(reached.map((one) => one.id)).toEqual([sha1Hex('a'), sha1Hex('a:1'), sha1Hex('a:2')]);
  });

  test('takes an id and a name (ST-2)', async () => {
    const { run, step, reached } = host();
    await run(() => step.run({ id: 'a', name: 'Charge' }, () => 1));
    expect(reached).toMatchObject([{ id: sha1Hex('a'), name: 'Charge' }]);
  });

  test('inside another one is refused before it reaches the host (MX-31)', async () => {
    const { run, step, execution, names } = host();
    await run(() => step.run('outer', () => step.sleep('inner', 5)));
    expect(await execution.run(sha1Hex('outer'))).toMatchObject({ ok: false, final: true });
    expect(names()).toEqual(['outer']);
  });
});

describe('the outcome of user code', () => {
  const outcome = async (code: () => unknown) => {
    const { run, step, execution } = host();
    await run(() => step.run('a', code));
    return await execution.run(sha1Hex('a'));
  };
  const raise = (thrown: unknown) => () => {
    throw thrown;
  };

  test.each<[string, () => unknown, object]>([
    ['a value', () => ({ a: 1 }), { ok: true, data: '{"a":1}' }],
    ['a promise', async () => [1], { ok: true, data: '[1]' }],
    ['nothing (MX-15)', () => {}, { ok: true, data: 'null' }],
    [
      'an error',
      raise(new Error('no')),
      { ok: false, final: false, error: { name: 'Error', message: 'no' } },
    ],
    ['a rejection', () => Promise.reject(new TypeError('no')), { ok: false, error: { name: 'TypeError' } }],
    ['NonRetriableError (ER-8)', raise(new NonRetriableError('no')), { ok: false, final: true }],
    [
      'one of another copy',
      raise(Object.assign(new Error('no'), { name: 'NonRetriableError' })),
      { final: true },
    ],
    [
      'StepError (ER-19)',
      raise(new StepError('x', { name: 'E', message: 'm' })),
      { final: true, error: { name: 'E' } },
    ],
    [
      'RetryAfterError (ER-12)',
      raise(new RetryAfterError('x', 1_001)),
      { final: false, retryAfter: { in: 2_000 } },
    ],
    ['with a date', raise(new RetryAfterError('x', new Date(5_000))), { retryAfter: { at: 5_000 } }],
    [
      'one without a time',
      raise(Object.assign(new Error('x'), { name: 'RetryAfterError' })),
      { ok: false, final: false },
    ],
    ['a BigInt', () => 5n, { ok: false, final: true, error: { name: 'OutputNotSerializable' } }],
  ])('%s', async (_what, code, expected) => {
    expect(await outcome(code)).toMatchObject(expected);
  });

  test('a thrown error keeps name, message, stack and cause (ER-6)', async () => {
    const thrown = new RangeError('no', { cause: new Error('why') });
    expect(await outcome(raise(thrown))).toMatchObject({
      error: {
        name: 'RangeError',
        message: 'no',
        stack: thrown.stack,
        cause: { name: 'Error', message: 'why' },
      },
    });
  });

  test('a thenable that is hostile is a failure, not a hang', async () => {
    const thenable = new Proxy(
      {},
      {
        get() {
          throw new Error('gotcha');
        },
      },
    );
    expect(await outcome(() => thenable)).toMatchObject({ ok: false, error: { message: 'gotcha' } });
  });

  test('of a step that has no callback or was not reached: our own mistake', async () => {
    await expect(host().execution.run(sha1Hex('a'))).rejects.toThrow('reached step');
  });
});

describe('outcomes settle in stored order, each in a turn of its own (invariant 2, MX-27)', () => {
  const order = async (stored: string[], asked: string[]): Promise<string[]> => {
    const seen: string[] = [];
    const { run, step } = host(stored.map((id) => [id, value(id)]));
    await run(() => Promise.all(asked.map((id) => step.run(id, () => 1).then(() => seen.push(id)))));
    await turn();
    await turn();
    return seen;
  };

  test.each([
    [
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
    ],
    [
      ['c', 'b', 'a'],
      ['a', 'b', 'c'],
    ],
    [
      ['b', 'c', 'a'],
      ['c', 'a', 'b'],
    ],
  ])('stored %s, asked for as %s', async (stored, asked) => {
    expect(await order(stored, asked)).toEqual(stored);
  });

  test('those that the code does not ask for any more are passed over (VR-5)', async () => {
    expect(await order(['x', 'a', 'y', 'b'], ['b', 'a'])).toEqual(['a', 'b']);
  });

  test('what is asked for after it was passed over settles all the same', async () => {
    const { run, step, ended } = host([
      ['late', value('late')],
      ['a', value('a')],
    ]);
    await run(async () => {
      const a = await step.run('a', () => 1);
      await turn();
      return [a, await step.run('late', () => 1)];
    });
    for (let n = 0; n < 5; n++) await turn();
    expect(ended).toEqual([{ ok: true, data: '["a","late"]' }]);
  });

  test('of those that are asked for together the one that settled first comes first, also when it was passed over before', async () => {
    const stored = ['first', 'left', 'second'].map((id): [string, Memo] => [id, value(id)]);
    const { run, step, ended } = host(stored);
    await run(async () => {
      void step.run('left', () => 0);
      await turn();
      await turn();
      return Promise.race([step.run('second', () => 0), step.run('first', () => 0)]);
    });
    for (let n = 0; n < 5; n++) await turn();
    expect(ended).toEqual([{ ok: true, data: '"first"' }]);
  });

  test('code between two steps that takes a turn of its own is waited for', async () => {
    const seen: string[] = [];
    const { run, step } = host([
      ['first', value(1)],
      ['second', value(2)],
    ]);
    const chain = async () => {
      for (let n = 0; n < 20; n++) await Promise.resolve();
      await step.run('first', () => 1);
      seen.push('first');
    };
    await run(() => Promise.all([chain(), step.run('second', () => 1).then(() => seen.push('second'))]));
    await turn();
    expect(seen).toEqual(['first', 'second']);
  });

  test('stored one after the other while the handler waits for both', async () => {
    const seen: string[] = [];
    const { run, step, store } = host();
    await run(() => Promise.all(['a', 'b'].map((id) => step.run(id, () => 1).then(() => seen.push(id)))));
    store('b', value(1));
    store('a', value(1));
    await turn();
    expect(seen).toEqual(['b', 'a']);
  });

  test('1,000 sequential ones replay without a timer', async () => {
    const { execution, step, ended } = host(Array.from({ length: 1_000 }, (_, n) => [`s${n}`, value(n)]));
    let sum = 0;
    execution.start(async () => {
      for (let n = 0; n < 1_000; n++) sum += (await step.run(`s${n}`, () => 0)) as number;
      return sum;
    });
    await turn();
    expect(ended).toEqual([{ ok: true, data: '499500' }]);
  });
});

describe('after stop (invariant 3)', () => {
  test('no tool call reaches the host, and nothing is reported', async () => {
    const { execution, run, step, names, ended, store } = host();
    let further = false;
    const { promise, resolve } = Promise.withResolvers<void>();
    await run(async () => {
      await Promise.race([step.run('a', () => 1), promise]);
      await step.run('b', () => 1);
      further = true;
    });
    execution.stop();
    resolve();
    await turn();
    store('a', value(1));
    store('b', value(1));
    await turn();
    expect([names(), ended, further]).toEqual([['a'], [], false]);
  });

  test('the handler is not entered any more', async () => {
    const { execution, run } = host();
    let entered = false;
    execution.stop();
    await run(() => (entered = true));
    expect(entered).toBe(false);
  });

  test('the end of a handler that was stopped is not reported', async () => {
    const { execution, run, ended } = host();
    const { promise, resolve } = Promise.withResolvers<void>();
    await run(() => promise);
    execution.stop();
    resolve();
    await turn();
    expect(ended).toEqual([]);
  });
});

describe('sends', () => {
  test('inside a step know the step and count within its execution; outside they know none (SV-3, SV-9)', async () => {
    const { run, step, execution, sends, names } = host();
    await run(() =>
      Promise.all([step.sendEvent('one', { name: 'a' }), step.sendEvent('two', [{ name: 'b' }])]),
    );
    expect(names()).toEqual(['one', 'two']);
    await execution.run(sha1Hex('two'));
    await execution.run(sha1Hex('one'));
    await execution.run(sha1Hex('one'));
    expect(sends.map(({ stepId, nth }) => [stepId, nth])).toEqual([
      [sha1Hex('two'), 0],
      [sha1Hex('one'), 0],
      [sha1Hex('one'), 0],
    ]);
  });
});

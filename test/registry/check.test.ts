import { describe, expect, test, vi } from 'vitest';
import { checkApps, type App } from '../../src/registry/check.ts';
import { Inngest } from '../../src/sdk/index.ts';

type Anything = Record<string, unknown>;

/** A function as its author may have written it, right or wrong. */
function written(appId: string, options: Anything, triggers: unknown = { event: 'a/b' }) {
  const client = new Inngest({ id: appId });
  return client.createFunction(options as { id: string }, triggers as { event: string }, () => {});
}

function app(id: string, ...functions: App['functions']): App {
  return { client: { id }, functions };
}

/** The lines of the error, without the first. */
function problems(...apps: App[]): string[] {
  try {
    checkApps(apps);
  } catch (error) {
    return (error as Error).message.split('\n').slice(1);
  }
  return [];
}

/** The lines for one function with these options. */
function problemsOf(options: Anything, triggers?: unknown): string[] {
  return problems(app('shop', written('shop', { id: 'f', ...options }, triggers)));
}

describe('checkApps', () => {
  test('answers the configuration of every function of every app, defaults filled in', () => {
    const one = written('shop', { id: 'one', name: 'One', retries: 0 }, [{ event: 'a/b' }, { event: 'a/*' }]);
    const two = written('crm', { id: 'two', description: 'for people', retries: undefined });
    expect(checkApps([app('shop', one), app('crm', two)])).toEqual([
      { id: 'shop-one', name: 'One', triggers: [{ event: 'a/b' }, { event: 'a/*' }], retries: 0 },
      { id: 'crm-two', name: 'two', triggers: [{ event: 'a/b' }], retries: 4 },
    ]);
    expect(checkApps([])).toEqual([]);
  });

  test('a function belongs to the app that lists it, whatever client made it (FN-7)', () => {
    const made = written('other', { id: 'f' });
    expect(checkApps([app('shop', made)])).toMatchObject([{ id: 'shop-f' }]);
  });

  test('all problems of all functions are listed at once, a line each (FN-9)', () => {
    const first = written('shop', { id: 'first', retries: 21 }, [{ event: '*' }, { event: '' }]);
    const fine = written('shop', { id: 'fine' });
    const second = written('shop', { id: 'second', retries: -1 });
    expect(problems(app('shop', first, fine), app('crm', second))).toEqual([
      expect.stringMatching(/^shop-first: triggers\[0\]\.event: .*TR-10/),
      'shop-first: triggers[1].event: event name is empty',
      'shop-first: retries: at most 20 (RT-4)',
      'crm-second: retries: at least 0 (RT-4)',
    ]);
  });

  test.each([
    [-1, 'at least 0 (RT-4)'],
    [21, 'at most 20 (RT-4)'],
    [1.5, 'expected a whole number (RT-4)'],
    ['3', 'expected a number'],
    [null, 'expected a number'],
  ])('retries %j: %s', (retries, reason) => {
    expect(problemsOf({ retries })).toEqual([`shop-f: retries: ${reason}`]);
  });

  test.each([[0], [20]])('retries %i is fine (RT-4)', (retries) => {
    expect(problemsOf({ retries })).toEqual([]);
  });

  test.each([['a/upd*'], ['a/*.b'], ['*'], ['/*']])('the pattern %j is refused (TR-10, TR-11)', (event) => {
    expect(problemsOf({}, { event })).toEqual([
      expect.stringMatching(/^shop-f: triggers\[0\]\.event: .*TR-10/),
    ]);
  });

  test('names of up to 256 characters are fine, longer ones are not (TR-20)', () => {
    expect(problemsOf({}, { event: '😀'.repeat(256) })).toEqual([]);
    expect(problemsOf({}, { event: 'x'.repeat(257) })).toEqual([expect.stringContaining('TR-20')]);
  });

  test('at most ten different triggers, exact duplicates counted once (TR-7, FN-3)', () => {
    const events = (count: number) => Array.from({ length: count }, (_, n) => ({ event: `a/${n}` }));
    expect(problemsOf({}, [...events(10), ...events(10)])).toEqual([]);
    expect(problemsOf({}, events(11))).toEqual(['shop-f: triggers: at most 10 different triggers (TR-7)']);
    expect(problemsOf({}, [])).toEqual([expect.stringContaining('FN-3')]);
  });

  test('a missing id is found, and the function named by its place (FN-13)', () => {
    const nameless = written('shop', { name: 'Nameless' });
    expect(problems(app('shop', written('shop', { id: 'f' }), nameless))).toEqual([
      'shop, function 2: id: expected a string',
    ]);
    expect(problems(app('shop', written('shop', { id: '' })))).toEqual([
      'shop, function 1: id: id is empty (FN-13)',
    ]);
  });

  test.each([
    'concurrency',
    'throttle',
    'rateLimit',
    'debounce',
    'batchEvents',
    'priority',
    'cancelOn',
    'onFailure',
    'middleware',
    'typo',
  ])('the option %s is refused by name, not ignored', (option) => {
    const given = option === 'onFailure' ? () => {} : {};
    expect(problemsOf({ [option]: given })).toEqual([`shop-f: ${option}: not supported by this version`]);
  });

  test('options that stay in the app are no matter of the engine (FN-28)', () => {
    expect(problemsOf({ description: 'text', optimizeParallelism: true, checkpointing: true })).toEqual([]);
  });

  test('triggers of kinds to come are refused by name', () => {
    expect(problemsOf({}, { cron: '* * * * *' })).toEqual([
      'shop-f: triggers[0].cron: not supported by this version',
    ]);
    expect(problemsOf({}, [{ event: 'a/b' }, { event: 'a/c', if: 'event.data.n > 1' }])).toEqual([
      'shop-f: triggers[1].if: not supported by this version',
    ]);
  });

  test('an id used twice in an app is refused (FN-8)', () => {
    const twice = [written('shop', { id: 'f' }), written('shop', { id: 'f' })];
    expect(problems(app('shop', ...twice))).toEqual([
      'shop-f: id: more than one function has it: "f" of app "shop", "f" of app "shop" (FN-8)',
    ]);
  });

  test('ids of two apps that join to the same text are refused, and both are named (FN-8)', () => {
    const apps = [app('a-b', written('a-b', { id: 'c' })), app('a', written('a', { id: 'b-c' }))];
    expect(problems(...apps)).toEqual([
      'a-b-c: id: more than one function has it: "c" of app "a-b", "b-c" of app "a" (FN-8)',
    ]);
  });

  test('undefined entries are left out with a warning (FN-33)', () => {
    const warn = vi.fn();
    const configs = checkApps([app('shop', undefined, written('shop', { id: 'f' }), undefined)], { warn });
    expect(configs).toMatchObject([{ id: 'shop-f' }]);
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(/"shop": 2 of its functions are undefined/),
    );
  });

  test('messages never show values of the author', () => {
    const text = problemsOf({ retries: 'secret', name: { secret: 1 } }, { event: 7 }).join('\n');
    expect(text).toMatch(/retries/);
    expect(text).not.toMatch(/secret/);
  });
});

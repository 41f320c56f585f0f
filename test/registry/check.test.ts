import { describe, expect, test, vi } from 'vitest';
import { checkApps } from '../../src/registry/check.ts';
import { parseWhen } from '../../src/protocol/function.ts';
import { Inngest } from '../../src/sdk/index.ts';
import { app, made, problems, problemsOf, written } from './words.ts';

describe('checkApps', () => {
  test('answers the configuration of every function of every app, defaults filled in (FN-6, FN-14, FN-15, RT-1)', () => {
    const one = written('shop', { id: 'one', name: 'One', retries: 0 }, [{ event: 'a/b' }, { event: 'a/*' }]);
    const two = made('crm', { id: 'two', description: 'for people', retries: undefined });
    const three = written('shop', { id: 'three' });
    expect(checkApps([app('shop', one, three), app('crm', two)])).toEqual([
      { id: 'shop-one', name: 'One', triggers: [{ event: 'a/b' }, { event: 'a/*' }], retries: 0 },
      { id: 'shop-three', name: 'three', triggers: [{ event: 'a/b' }], retries: 4 },
      { id: 'crm-two', name: 'two', triggers: [{ event: 'a/b' }], retries: 4 },
    ]);
    expect(checkApps([])).toEqual([]);
  });

  test('a function that no app lists is none, though a client has made it (FN-5)', () => {
    const client = new Inngest({ id: 'shop' });
    const [listed] = ['listed', 'forgotten'].map((id) =>
      client.createFunction({ id }, { event: 'a/b' }, () => {}),
    );
    expect(checkApps([{ client, functions: [listed] }]).map(({ id }) => id)).toEqual(['shop-listed']);
  });

  test('a function belongs to the app that lists it, whatever client made it (FN-7)', () => {
    expect(checkApps([app('shop', made('other', { id: 'f' }))])).toMatchObject([{ id: 'shop-f' }]);
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

  test.each(['cancelOn', 'typo'])('the option %s is refused by name, not ignored', (option) => {
    expect(problemsOf({ [option]: {} })).toEqual([`shop-f: ${option}: not supported by this version`]);
  });

  test('options that stay in the app are no matter of the engine (FN-26, FN-28)', () => {
    const checkpointing = { maxRuntime: '300s', bufferedSteps: 2, maxInterval: '10s' };
    const options = { id: 'f', description: 'text', optimizeParallelism: true, checkpointing };
    expect(problems(app('shop', made('shop', options)))).toEqual([]);
  });

  test('a failure handler is a function of its own (FN-38, OF-1)', () => {
    const both = made('shop', { id: 'f', onFailure: () => {} });
    expect(checkApps([app('shop', both)])).toMatchObject([
      { id: 'shop-f' },
      { id: 'shop-f-failure', triggers: [{ expression: "event.data.function_id == 'shop-f'" }] },
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

  test('messages never show values of the author, but for texts that must be read to be put right', () => {
    const text = problemsOf({ retries: 'secret', name: { secret: 1 } }, { event: 7 }).join('\n');
    expect(text).toMatch(/retries/);
    expect(text).not.toMatch(/secret/);
  });
});

const condition = (expression: unknown) => ({ event: 'a/b', expression });

describe('filters of triggers', () => {
  test('are kept as they were written (TR-3, TR-4)', () => {
    const trigger = condition("event.data.total >= 100 && event.data.plan == 'gold'");
    expect(checkApps([app('shop', written('shop', { id: 'f' }, trigger))])).toMatchObject([
      { triggers: [trigger] },
    ]);
  });

  test('that do not compile are refused with the place and a hint (EX-75, FN-9)', () => {
    expect(problemsOf({}, [{ event: 'a/c' }, condition('event.data.n = 3')])).toEqual([
      'shop-f: triggers[1].expression: unexpected = at 1:14',
      '    event.data.n = 3',
      '                 ^',
      '    Write == to compare; there is no assignment.',
    ]);
  });

  test('may not name async (EX-22, XV-21)', () => {
    expect(problemsOf({}, condition('async.data.x == 1'))[0]).toBe(
      'shop-f: triggers[0].expression: undeclared reference to async at 1:1',
    );
  });

  test.each([
    ['', 'the expression is empty at 1:1'],
    ['event.data.x ==\n  ==', 'unexpected == at 2:3'],
    [7, 'expected an expression'],
    [null, 'expected an expression'],
  ])('%j: %s', (expression, message) => {
    expect(problemsOf({}, condition(expression))[0]).toBe(`shop-f: triggers[0].expression: ${message}`);
  });

  test.each(['expression', 'if'])('do not go with a cron: %s (TR-5)', (option) => {
    expect(problemsOf({}, { cron: '* * * * *', [option]: 'event.data.x == 1' })).toEqual([
      `shop-f: triggers[0].${option}: a filter goes with an event, not with a cron (TR-5)`,
    ]);
  });

  test('tell triggers of the same name apart; exact duplicates still count once (TR-7)', () => {
    const filters = Array.from({ length: 10 }, (_, n) => condition(`event.data.n == ${n}`));
    const [first] = filters;
    expect(problemsOf({}, [...filters, first])).toEqual([]);
    expect(problemsOf({}, [...filters, { event: 'a/b' }])).toEqual([expect.stringContaining('TR-7')]);
    expect(checkApps([app('shop', written('shop', { id: 'f' }, [first, first]))])[0]?.triggers).toEqual([
      first,
    ]);
  });

  test('all problems of all functions come together, those of options, filters and schedules (FN-9)', () => {
    const first = written('shop', { id: 'first', retries: 21 }, [condition('event.'), { cron: '* * * *' }]);
    const second = written('crm', { id: 'second', cancel: [{ event: 'x/*', if: 'async.' }] });
    const lines = problems(app('shop', first), app('crm', second)).filter((line) => !line.startsWith(' '));
    expect(lines).toEqual([
      'shop-first: retries: at most 20 (RT-4)',
      expect.stringMatching(/^shop-first: triggers\[0\]\.expression: .* at 1:7$/),
      expect.stringMatching(/^shop-first: triggers\[1\]\.cron: "\* \* \* \*": expected five fields/),
      expect.stringMatching(/^crm-second: cancel\[0\]\.event: .*CX-5/),
      expect.stringMatching(/^crm-second: cancel\[0\]\.if: .* at 1:7$/),
    ]);
  });
});

describe('crons', () => {
  test('are kept as they were written, several and beside events (CR-2, CR-4)', () => {
    const triggers = [
      { cron: 'TZ=Europe/Paris 0 12 * * 5' },
      { cron: '@daily', jitter: '30s' },
      { event: 'a/b' },
      { cron: '@daily', jitter: '30s' },
      { cron: '@daily' },
    ];
    const [config] = checkApps([app('shop', written('shop', { id: 'f' }, triggers))]);
    expect(config?.triggers).toEqual([triggers[0], triggers[1], triggers[2], triggers[4]]);
  });

  test.each([
    ['* * *', 'expected five fields (minute, hour, day of month, month, day of week), found 3'],
    ['* * * * * *', 'expected five fields (minute, hour, day of month, month, day of week), found 6'],
    ['0 0 30 2 *', 'never fires: no month that it names has such a day'],
    ['60 * * * *', 'field 1 (minute): '],
    ['TZ=Mars/Olympus * * * * *', 'expected an IANA time zone'],
    ['@every 1m', 'expected five fields or one of @yearly'],
  ])('%s is refused, and named (CR-7, CR-8, CR-19)', (cron, reason) => {
    const [line, ...more] = problemsOf({}, [{ event: 'a/b' }, { cron }]);
    expect(line).toContain(`shop-f: triggers[1].cron: "${cron}": ${reason}`);
    expect(more).toEqual([]);
  });

  test.each([
    [7, 'expected a schedule'],
    [null, 'expected a schedule'],
  ])('%j is refused', (cron, reason) => {
    expect(problemsOf({}, { cron })).toEqual([`shop-f: triggers[0].cron: ${reason}`]);
  });

  test.each([['1s'], ['90s'], ['5m']])('a jitter of %s is fine (CR-18)', (jitter) => {
    expect(problemsOf({}, { cron: '* * * * *', jitter })).toEqual([]);
  });

  test.each([['0s'], ['999ms'], ['301s'], ['soon'], ['']])('a jitter of "%s" is not (CR-18)', (jitter) => {
    expect(problemsOf({}, { cron: '* * * * *', jitter })).toEqual([
      'shop-f: triggers[0].jitter: expected a duration from "1s" to "5m" (CR-18)',
    ]);
  });

  test('a jitter goes with a cron only, and a cron with no event', () => {
    expect(problemsOf({}, { event: 'a/b', jitter: '1s' })).toEqual([
      'shop-f: triggers[0].jitter: not supported by this version',
    ]);
    expect(problemsOf({}, { event: 'a/b', cron: '* * * * *' })).toEqual([
      'shop-f: triggers[0].event: a trigger has an event or a cron, not both',
    ]);
  });

  test('count with the events towards the ten (TR-6, TR-7)', () => {
    const events = Array.from({ length: 10 }, (_, n) => ({ event: `a/${n}` }));
    expect(problemsOf({}, [...events, { cron: '* * * * *' }])).toEqual([expect.stringContaining('TR-7')]);
  });

  test.each([[7], [null], [{}]])('a trigger that is %j is refused', (trigger) => {
    expect(problemsOf({}, [trigger])).toEqual([expect.stringMatching(/^shop-f: triggers\[0\]/)]);
  });
});

describe('events that cancel', () => {
  test('are kept as they were written (CX-3, CX-7)', () => {
    const cancel = [
      { event: 'a/gone' },
      { event: 'inngest/function.failed', if: 'async.data.id == event.data.id' },
      { event: 'a/late', timeout: '1 day' },
      { event: 'a/later', timeout: '2030-01-01T00:00:00.000Z' },
      { event: 'a/never', timeout: '' },
    ];
    expect(checkApps([app('shop', written('shop', { id: 'f', cancel }))])).toMatchObject([{ cancel }]);
  });

  test('are five at most (CX-4)', () => {
    const cancel = Array.from({ length: 6 }, (_, n) => ({ event: `a/${n}` }));
    expect(problemsOf({ cancel: cancel.slice(1) })).toEqual([]);
    expect(problemsOf({ cancel })).toEqual(['shop-f: cancel: at most 5 events that cancel (CX-4)']);
  });

  test.each([
    [{ event: 'a/*' }, 'event: expected the exact name of an event: wildcards do not cancel (CX-5)'],
    [{ event: '' }, 'event: event name is empty'],
    [{}, 'event: expected an event name'],
    [{ event: 'a', if: 'async.x ===1' }, 'if: unexpected = at 1:11'],
    [{ event: 'a', if: 'other.x == 1' }, 'if: undeclared reference to other at 1:1'],
    [{ event: 'a', timeout: 'soon' }, 'timeout: expected a duration'],
    [{ event: 'a', timeout: '-1h' }, 'timeout: expected a duration'],
    [{ event: 'a', timeout: '367d' }, 'timeout: expected a duration'],
    [{ event: 'a', timeout: '2030-01-01' }, 'timeout: expected a duration'],
    [{ event: 'a', timeout: 5 }, 'timeout: expected a duration'],
    [{ event: 'a', match: 'data.id' }, 'match: not supported by this version'],
  ])('%j is refused (CX-3, CX-5, CX-10, CX-18)', (entry, reason) => {
    expect(problemsOf({ cancel: [entry] })[0]).toContain(`shop-f: cancel[0].${reason}`);
  });

  test('are a list', () => {
    expect(problemsOf({ cancel: { event: 'a' } })).toEqual(['shop-f: cancel: expected a list']);
  });
});

test.each([
  ['1h30m', { in: 5_400_000 }],
  ['', { in: 0 }],
  ['2030-01-01T00:00:00Z', { at: Date.UTC(2030, 0, 1) }],
  ['2030-01-01T02:00:00.5+02:00', { at: Date.UTC(2030, 0, 1) + 500 }],
  ['2030-01-01T00:00:00', null],
  ['2030-13-01T00:00:00Z', null],
  ['tomorrow', null],
])('the timeout %j (DU-4 to DU-6)', (text, when) => {
  expect(parseWhen(text)).toEqual(when);
});

describe('timeouts', () => {
  test.each([[{}], [{ start: '1s' }], [{ finish: '18h30m' }], [{ start: '10s', finish: '366d' }]])(
    '%j are kept as they were written (TO-1, TO-12)',
    (timeouts) => {
      expect(checkApps([app('shop', written('shop', { id: 'f', timeouts }))])).toMatchObject([{ timeouts }]);
    },
  );

  test.each([
    [
      { start: '999ms' },
      'timeouts.start: expected a duration such as "45m", from 1 second to 366 days (TO-12)',
    ],
    [
      { finish: '367d' },
      'timeouts.finish: expected a duration such as "45m", from 1 second to 366 days (TO-12)',
    ],
    [
      { finish: 'long' },
      'timeouts.finish: expected a duration such as "45m", from 1 second to 366 days (TO-12)',
    ],
    [{ start: 10 }, 'timeouts.start: expected a duration such as "45m" (TO-1)'],
    [{ run: '1h' }, 'timeouts.run: not supported by this version'],
    ['1h', 'timeouts: expected an object'],
  ])('%j are refused (TO-2, TO-12)', (timeouts, reason) => {
    expect(problemsOf({ timeouts })).toEqual([`shop-f: ${reason}`]);
  });
});

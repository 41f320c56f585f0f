import { describe, expect, test } from 'vitest';
import { isUlid } from '../../src/lib/ulid.ts';
import { indexFunctions, plan, readsUser, type Warning } from '../../src/match/plan.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import { type FunctionConfig, functionConfig, type Trigger } from '../../src/protocol/function.ts';
import { idAt, NOW, stored } from '../ingest/world.ts';

function fn(id: string, ...events: string[]): FunctionConfig {
  return functionConfig.parse({ id, name: id, triggers: events.map((event) => ({ event })) });
}

function triggered(id: string, ...triggers: Trigger[]): FunctionConfig {
  return functionConfig.parse({ id, name: id, triggers });
}

/** Ids of the functions that the event starts. */
function startedBy(
  functions: FunctionConfig[],
  event: Partial<StoredEvent>,
  user?: { [key: string]: string },
) {
  const warnings: Warning[] = [];
  const options = { warn: (warning: Warning) => void warnings.push(warning), ...(user && { user }) };
  const runs = plan(indexFunctions(functions), stored(idAt(1), event), NOW, options);
  return { ids: runs.map((run) => run.functionId), warnings };
}

/** Whether a function with this filter takes the event. */
function takes(expression: string, event: Partial<StoredEvent> = {}): boolean {
  return startedBy([triggered('app-f', { event: 'a/b', expression })], event).ids.length === 1;
}

function started(trigger: string | string[], name: string): string[] {
  const index = indexFunctions([fn('app-f', ...[trigger].flat())]);
  return plan(index, stored(idAt(1), { name }), NOW).map((run) => run.functionId);
}

describe('which functions an event starts', () => {
  test.each([
    ['the same name (TR-1)', 'acme/user.created', 'acme/user.created'],
    ['a wildcard after / (TR-9)', 'acme/*', 'acme/user.created'],
    ['a wildcard after /, deeper (TR-9)', 'acme/*', 'acme/blog.post.published'],
    ['a wildcard after . (TR-9)', 'acme/user.*', 'acme/user.updated'],
    ['a wildcard after a later . (TR-9)', 'acme/blog.post.*', 'acme/blog.post.published'],
    ['a wildcard with one more character (TR-11)', 'acme/*', 'acme/x'],
    ['a wildcard and a further slash', 'acme/*', 'acme//x'],
    ['a wildcard for system events (TR-12)', 'inngest/*', 'inngest/function.failed'],
    ['a deeper wildcard for system events (TR-12)', 'inngest/function.*', 'inngest/function.failed'],
    ['a name of which Object has a property', 'constructor', 'constructor'],
  ])('%s', (_, trigger, name) => {
    expect(started(trigger, name)).toEqual(['app-f']);
  });

  test.each([
    ['another case (TR-2)', 'acme/User', 'acme/user'],
    ['another case of the event (TR-2)', 'acme/user', 'acme/User'],
    ['spaces around the name (TR-2)', 'acme/user', ' acme/user '],
    ['another form of the same letter (TR-2)', 'caf\u00e9', 'cafe\u0301'],
    ['a longer name', 'acme/user', 'acme/user.created'],
    ['a wildcard without a further character (TR-11)', 'acme/*', 'acme/'],
    ['a wildcard without its separator', 'acme/user.*', 'acme/user'],
    ['a wildcard in the middle of a word', 'acme/user.*', 'acme/username.x'],
    ['a name that is itself a pattern', 'acme/x', 'acme/*'],
    ['a system event and a wildcard that begins like it (TR-12)', 'inn.*', 'inngest/function.failed'],
    ['a property of Object', 'acme/x', 'toString'],
  ])('not by %s', (_, trigger, name) => {
    expect(started(trigger, name)).toEqual([]);
  });

  test('a function whose triggers all match starts once (TR-8)', () => {
    expect(started(['acme/user.created', 'acme/*', 'acme/user.*'], 'acme/user.created')).toEqual(['app-f']);
  });

  test('every function that listens starts (EVT-33)', () => {
    const index = indexFunctions([fn('a-1', 'x/y'), fn('a-2', 'x/*'), fn('b-1', 'x/y'), fn('b-2', 'x/z')]);
    const ids = plan(index, stored(idAt(1), { name: 'x/y' }), NOW).map((run) => run.functionId);
    expect(ids.toSorted()).toEqual(['a-1', 'a-2', 'b-1']);
  });
});

describe('the runs of an event', () => {
  const index = indexFunctions([fn('a-1', 'a/b'), fn('a-2', 'a/b')]);

  test('have ids that depend on event and function alone', () => {
    const first = plan(index, stored(idAt(1)), NOW).map((run) => run.runId);
    const again = plan(index, stored(idAt(1)), NOW + 5_000).map((run) => run.runId);
    const other = plan(index, stored(idAt(2)), NOW).map((run) => run.runId);
    expect(again).toEqual(first);
    expect(new Set([...first, ...other]).size).toBe(4);
    expect(first.every(isUlid)).toBe(true);
  });

  test('carry the time of the internal id in theirs, whatever the event says of itself', () => {
    const ids = [NOW - 1, 1.5, 2 ** 48].map((ts) => plan(index, stored(idAt(1), { ts }), NOW)[0]?.runId);
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]?.slice(0, 10)).toBe(idAt(1).slice(0, 10));
  });

  test('differ between environments', () => {
    const runs = ['dev', 'production'].map((env) => plan(index, stored(idAt(1), { env }), NOW)[0]?.runId);
    expect(new Set(runs).size).toBe(2);
  });

  test.each([
    ['now, for a past ts (EVT-23)', NOW - 1, NOW],
    ['now, for a ts of now', NOW, NOW],
    ['at ts, when it lies in the future (TR-17, EVT-19)', NOW + 1, NOW + 1],
  ])('start %s', (_, ts, startAt) => {
    const runs = plan(index, stored(idAt(1), { ts }), NOW);
    expect(runs.map((run) => run.startAt)).toEqual([startAt, startAt]);
  });

  test('carry environment and event', () => {
    const event = stored(idAt(1), { env: 'dev', data: { n: 1 } });
    expect(plan(index, event, NOW)[0]).toMatchObject({ env: 'dev', functionId: 'a-1', events: [event] });
  });
});

describe('filters', () => {
  test('let through what they are true for, and nothing else (TR-3)', () => {
    expect(takes("event.data.plan == 'gold'", { data: { plan: 'gold' } })).toBe(true);
    expect(takes("event.data.plan == 'gold'", { data: { plan: 'free' } })).toBe(false);
    expect(takes('event.data.total >= 100', { data: { total: 100 } })).toBe(true);
    expect(takes('event.data.total >= 100', { data: { total: 99 } })).toBe(false);
    expect(takes('event.data.total >= 100', {})).toBe(false);
  });

  test.each([
    ["event.name == 'a/b'", true],
    ['event.ts == 1700000000000', true],
    ["event.v == '2'", true],
    ["event.id == 'own'", true],
    ['event.internalId == null && event.env == null && event.receivedAt == null', true],
    ['event.user == {}', true],
  ])('see the event as the function would: %s (EX-16)', (expression, matches) => {
    expect(takes(expression, { ts: 1_700_000_000_000, v: '2', id: 'own' })).toBe(matches);
  });

  test("see the engine's id where the sender gave none (EVT-28)", () => {
    expect(takes(`event.id == '${idAt(1)}'`)).toBe(true);
  });

  test('split a stream at a moment without loss or overlap (TR-19)', () => {
    const cut = NOW;
    const functions = [
      triggered('old', { event: 'a/b', expression: `event.ts < ${cut}` }),
      triggered('new', { event: 'a/b', expression: `event.ts >= ${cut}` }),
    ];
    const ids = [cut - 1, cut, cut + 1].map((ts) => startedBy(functions, { ts }).ids);
    expect(ids).toEqual([['old'], ['new'], ['new']]);
  });

  test('apply to their own trigger only, and a function starts once (TR-8)', () => {
    const f = triggered(
      'app-f',
      { event: 'a/b', expression: 'event.data.n == 1' },
      { event: 'a/b', expression: 'event.data.n >= 1' },
      { event: 'a/*', expression: 'event.data.m == 2' },
    );
    const ids = [{ n: 1, m: 2 }, { n: 2 }, { m: 2 }, { n: 0 }].map((data) => startedBy([f], { data }).ids);
    expect(ids).toEqual([['app-f'], ['app-f'], ['app-f'], []]);
    const free = triggered('app-g', { event: 'a/b', expression: 'false' }, { event: 'a/b' });
    expect(startedBy([free], {}).ids).toEqual(['app-g']);
  });

  test('go with wildcards (TR-13)', () => {
    const f = triggered('app-f', { event: 'a/*', expression: "event.name != 'a/b'" });
    expect(startedBy([f], { name: 'a/b' }).ids).toEqual([]);
    expect(startedBy([f], { name: 'a/c' }).ids).toEqual(['app-f']);
  });

  test.each([
    ['event.data.secret', 'the condition gave a string instead of a boolean'],
    ['int(event.data.secret) > 1', ''],
  ])(
    'that have no boolean match nothing, with a warning that shows no value: %s (EX-13, EX-77)',
    (expression, text) => {
      const functions = [
        triggered('app-f', { event: 'a/b', expression }),
        triggered('app-g', { event: 'a/b' }),
      ];
      const { ids, warnings } = startedBy(functions, { data: { secret: 'hidden-value' } });
      expect(ids).toEqual(['app-g']);
      expect(warnings).toMatchObject([{ functionId: 'app-f', eventId: idAt(1) }]);
      expect(warnings[0]?.message).toContain(text);
      expect(warnings[0]?.message).not.toContain('hidden-value');
    },
  );

  test('that do not compile match nothing (EX-36)', () => {
    const { ids, warnings } = startedBy([triggered('app-f', { event: 'a/b', expression: 'event.' })], {});
    expect(ids).toEqual([]);
    expect(warnings).toHaveLength(1);
  });

  test('come to the same result at every delivery: now() is when the event was received', () => {
    const f = triggered('app-f', {
      event: 'a/b',
      expression: `now() == date('${new Date(NOW).toISOString()}')`,
    });
    const event = stored(idAt(1), { receivedAt: NOW });
    expect([NOW, NOW + 60_000].map((now) => plan(indexFunctions([f]), event, now).length)).toEqual([1, 1]);
  });
});

describe('filters that read event.user (EX-19)', () => {
  const sealed = { user: 'v1.sealed' };
  const byMail = [triggered('app-f', { event: 'a/b', expression: "event.user.mail == 'a@b.example'" })];

  test('are decided on the opened user', () => {
    expect(startedBy(byMail, sealed, { mail: 'a@b.example' }).ids).toEqual(['app-f']);
    expect(startedBy(byMail, sealed, { mail: 'c@d.example' })).toEqual({ ids: [], warnings: [] });
  });

  test('see an empty user where the event has none', () => {
    expect(startedBy(byMail, {})).toEqual({ ids: [], warnings: [] });
  });

  test('match nothing while the user is sealed, and say so', () => {
    const { ids, warnings } = startedBy(byMail, sealed);
    expect(ids).toEqual([]);
    expect(warnings[0]?.message).toBe('event.user is sealed');
  });

  test.each([
    ["event.user.mail == 'x'", true],
    ["event['user'].mail == 'x'", true],
    ['has(event.user.mail) && event.data.n == 1', true],
    ["event[event.data.key] == 'x'", true],
    ["'user' in event", true],
    ['event.data.list.exists(e, e == event.user.id)', true],
    ["event.data.user.mail == 'x'", false],
    ["event['data'].user == 'x'", false],
    ['event.ts > 1', false],
  ])('are known by their text: %s', (expression, reads) => {
    const index = indexFunctions([triggered('app-f', { event: 'a/b', expression })]);
    expect(readsUser(index, stored(idAt(1), sealed))).toBe(reads);
  });

  test('ask for the user only of events that have one, and that they must decide about', () => {
    const index = indexFunctions([...byMail, fn('app-g', 'a/*')]);
    expect(readsUser(index, stored(idAt(1), sealed))).toBe(true);
    expect(readsUser(index, stored(idAt(1)))).toBe(false);
    expect(readsUser(index, stored(idAt(1), { ...sealed, name: 'a/c' }))).toBe(false);
    expect(readsUser(index, stored(idAt(1), { ...sealed, target: { functionId: 'app-f' } }))).toBe(false);
  });
});

describe('events that are meant for one function', () => {
  const functions = [
    triggered('app-cron', { cron: '* * * * *' }),
    triggered('app-filter', { event: 'inngest/scheduled.timer', expression: 'false' }),
    fn('app-all', 'inngest/*'),
  ];

  test.each(['app-cron', 'app-filter', 'app-all'])(
    'start %s alone, whatever its triggers say (CR-12, IV-19)',
    (functionId) => {
      const event = { name: 'inngest/scheduled.timer', target: { functionId } };
      expect(startedBy(functions, event).ids).toEqual([functionId]);
    },
  );

  test('start nothing when there is no such function (any more) (FN-12)', () => {
    expect(
      startedBy(functions, { name: 'inngest/scheduled.timer', target: { functionId: 'app-gone' } }).ids,
    ).toEqual([]);
  });

  test('no other event starts a function that has only crons (CR-1)', () => {
    for (const name of ['* * * * *', 'inngest/scheduled.timer', 'a/b']) {
      expect(startedBy(functions, { name }).ids).not.toContain('app-cron');
    }
  });
});

test('the index of a list is made once', () => {
  const list = [fn('a-1', 'a/b')];
  expect(indexFunctions(list)).toBe(indexFunctions(list));
});

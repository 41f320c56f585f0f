import { describe, expect, test } from 'vitest';
import { isUlid } from '../../src/lib/ulid.ts';
import { indexFunctions, plan } from '../../src/match/plan.ts';
import { type FunctionConfig, functionConfig } from '../../src/protocol/function.ts';
import { idAt, NOW, stored } from '../ingest/world.ts';

function fn(id: string, ...events: string[]): FunctionConfig {
  return functionConfig.parse({ id, name: id, triggers: events.map((event) => ({ event })) });
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

test('the index of a list is made once', () => {
  const list = [fn('a-1', 'a/b')];
  expect(indexFunctions(list)).toBe(indexFunctions(list));
});

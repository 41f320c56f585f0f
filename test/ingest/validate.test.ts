import { describe, expect, test } from 'vitest';
import { Refusal } from '../../src/ingest/refusal.ts';
import { parseEvents } from '../../src/ingest/validate.ts';

function refusal(text: string): string {
  try {
    parseEvents(text);
  } catch (error) {
    if (error instanceof Refusal) return `${error.status} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

const one = (event: object): string => refusal(JSON.stringify({ name: 'a/b', ...event }));
const nested = (levels: number): string =>
  `{"name":"a","data":${'{"x":'.repeat(levels - 2)}{}${'}'.repeat(levels - 2)}}`;
const nestedArrays = (levels: number): string =>
  `[{"name":"a","data":{"x":${'['.repeat(levels - 3)}${']'.repeat(levels - 3)}}}]`;

describe('what is accepted', () => {
  test.each<[string, object]>([
    ['a name alone (EVT-7)', {}],
    ['a name of 256 characters (EVT-3)', { name: 'n'.repeat(256) }],
    ['a name of 256 characters outside the first plane (EVT-4)', { name: '😀'.repeat(256) }],
    ['a name with spaces around it (EVT-5)', { name: ' a ' }],
    ['a name in any style (EVT-29)', { name: 'Ünüblich?! Nein' }],
    ['a name that only resembles a reserved one (EVT-31)', { name: 'Inngest/x' }],
    ['data: null (EVT-7)', { data: null }],
    ['nested data (EVT-6)', { data: { a: [{ b: [1, 'x', null, true] }] } }],
    ['user: null', { user: null }],
    ['user: an object (EVT-8)', { user: { external_id: 'x' } }],
    ['an id of 256 characters (EVT-16)', { id: 'i'.repeat(256) }],
    ['an empty id (EVT-16)', { id: '' }],
    ['id: null', { id: null }],
    ['ts 0 (EVT-18)', { ts: 0 }],
    ['ts: null', { ts: null }],
    ['the first ts (EVT-18)', { ts: Date.UTC(1980, 0, 1) }],
    ['the last ts (EVT-18)', { ts: Date.UTC(2100, 0, 1) }],
    ['any v (EVT-24)', { v: '2024-01-14.1' }],
    ['unknown properties (EVT-25)', { meta: { sessions: {} }, extra: 1 }],
  ])('%s', (_, event) => {
    expect(one(event)).toBe('accepted');
  });

  test.each([
    ['an empty array (EA-13)', '[]'],
    ['5,000 events (EA-12)', JSON.stringify(Array.from({ length: 5_000 }, () => ({ name: 'a' })))],
    ['1,000 levels of objects', nested(1_000)],
    ['1,000 levels of arrays', nestedArrays(1_000)],
    [
      'brackets inside texts, which do not nest',
      JSON.stringify({ name: '['.repeat(256), data: { x: '{['.repeat(5_000) } }),
    ],
  ])('%s', (_, text) => {
    expect(refusal(text)).toBe('accepted');
  });
});

describe('what is refused', () => {
  const ms = 'milliseconds since 1970';
  test.each<[string, object, string]>([
    ['no name (EVT-5)', { name: undefined }, '400 events[0].name: event name is empty'],
    ['an empty name (EVT-5)', { name: '' }, '400 events[0].name: event name is empty'],
    ['a blank name (EVT-5)', { name: ' \t' }, '400 events[0].name: event name is empty'],
    ['name: null', { name: null }, '400 events[0].name: event name is empty'],
    ['a name that is a number', { name: 1 }, '400 events[0].name: event name is empty'],
    [
      '257 characters (EVT-3, LM-6)',
      { name: 'n'.repeat(257) },
      '400 events[0].name: event name is longer than 256 characters',
    ],
    [
      'a reserved name (EVT-31, TR-16)',
      { name: 'inngest/x' },
      '400 events[0].name: event name is reserved for internal use: inngest/x',
    ],
    ['data: an array (EVT-7)', { data: [] }, '400 events[0].data: expected an object'],
    ['data: a text (EVT-7)', { data: 'x' }, '400 events[0].data: expected an object'],
    ['data: a number (EVT-7)', { data: 0 }, '400 events[0].data: expected an object'],
    ['data: false (EVT-7)', { data: false }, '400 events[0].data: expected an object'],
    ['user: a text', { user: 'x' }, '400 events[0].user: expected an object'],
    ['user: an array', { user: [] }, '400 events[0].user: expected an object'],
    [
      'an id of 257 characters (EVT-16)',
      { id: 'i'.repeat(257) },
      '400 events[0].id: longer than 256 characters',
    ],
    ['an id that is a number (EVT-16)', { id: 1 }, '400 events[0].id: expected a string'],
    ['ts: a text (EVT-18)', { ts: '1700000000000' }, `400 events[0].ts: expected an integer of ${ms}`],
    [
      'ts: a fraction (EVT-18)',
      { ts: 1_700_000_000_000.5 },
      `400 events[0].ts: expected an integer of ${ms}`,
    ],
    [
      'ts: seconds (EVT-18)',
      { ts: 1_700_000_000 },
      `400 events[0].ts: timestamp is before Jan 1, 1980: ${ms} are expected`,
    ],
    ['ts: -1', { ts: -1 }, `400 events[0].ts: timestamp is before Jan 1, 1980: ${ms} are expected`],
    [
      'ts: before 1980',
      { ts: Date.UTC(1980, 0, 1) - 1 },
      `400 events[0].ts: timestamp is before Jan 1, 1980: ${ms} are expected`,
    ],
    [
      'ts: after 2100',
      { ts: Date.UTC(2100, 0, 1) + 1 },
      `400 events[0].ts: timestamp is after Jan 1, 2100: ${ms} are expected`,
    ],
    ['v: a number (EVT-24)', { v: 1 }, '400 events[0].v: expected a string'],
    ['half a character in name', { name: 'a\ud800' }, '400 events[0].name: not well-formed Unicode'],
    ['half a character in id', { id: '\udc00' }, '400 events[0].id: not well-formed Unicode'],
    ['half a character in v', { v: '\udc00' }, '400 events[0].v: not well-formed Unicode'],
  ])('%s', (_, event, text) => {
    expect(one(event)).toBe(text);
  });

  test.each([
    ['nothing (EA-18)', '', '400 the body is not valid JSON'],
    ['malformed JSON (EA-18)', '{"name":"secret-value"', '400 the body is not valid JSON'],
    ['a form', 'name=a&data=b', '400 the body is not valid JSON'],
    ['a text (EA-18)', '"a"', '400 expected an event object or an array of them'],
    ['a number (EA-18)', '1', '400 expected an event object or an array of them'],
    ['null (EA-18)', 'null', '400 expected an event object or an array of them'],
    ['an array in an array (EA-18)', '[[{"name":"a"}]]', '400 events[0]: expected an object'],
    ['a text in an array (EA-18)', '[{"name":"a"},"b"]', '400 events[1]: expected an object'],
    ['null in an array (EA-18)', '[null]', '400 events[0]: expected an object'],
    [
      'the fourth event, by its index (EVT-4)',
      '[{"name":"a"},{"name":"b"},{"name":"c"},{}]',
      '400 events[3].name: event name is empty',
    ],
    [
      '5,001 events (EA-12, LM-8)',
      JSON.stringify(Array.from({ length: 5_001 }, () => ({ name: 'a' }))),
      '400 more than 5000 events in one request',
    ],
    ['1,001 levels', nested(1_001), '400 the body nests deeper than 1000 levels'],
    ['1,001 levels of arrays', nestedArrays(1_001), '400 the body nests deeper than 1000 levels'],
    ['a million brackets', '['.repeat(1_000_000), '400 the body nests deeper than 1000 levels'],
    [
      'ts beyond all numbers',
      '{"name":"a","ts":1e999}',
      '400 events[0].ts: expected an integer of milliseconds since 1970',
    ],
  ])('%s', (_, text, message) => {
    expect(refusal(text)).toBe(message);
  });
});

describe('payloads', () => {
  test('keys named __proto__ and constructor are data (EVT-26)', () => {
    const text =
      '{"name":"a","data":{"__proto__":{"x":1},"constructor":2,"in":{"__proto__":3}},"user":{"__proto__":4}}';
    const [event] = parseEvents(text);
    expect(JSON.stringify(event?.data)).toBe('{"__proto__":{"x":1},"constructor":2,"in":{"__proto__":3}}');
    expect(JSON.stringify(event?.user)).toBe('{"__proto__":4}');
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  test('a __proto__ of the event itself gives it nothing', () => {
    expect(refusal('{"__proto__":{"name":"a"}}')).toBe('400 events[0].name: event name is empty');
  });

  test('data._inngest is taken out, and nothing else with it (wire 4.1)', () => {
    const [event] = parseEvents(
      '{"name":"a","data":{"_inngest":{"fn_id":"x"},"__proto__":1,"b":{"_inngest":2}}}',
    );
    expect(JSON.stringify(event?.data)).toBe('{"__proto__":1,"b":{"_inngest":2}}');
  });

  test('unknown properties are dropped (EVT-25)', () => {
    expect(parseEvents('{"name":"a","meta":1,"internalId":"x","env":"y"}')).toEqual([{ name: 'a' }]);
  });

  test('half a character inside data is kept as it came', () => {
    const text = '{"name":"a","data":{"x":"\\ud800"}}';
    expect(JSON.stringify(parseEvents(text)[0]?.data)).toBe('{"x":"\\ud800"}');
  });
});

/** Every parser of the engine with inputs that nobody would write: an answer or a refusal, never a fault, and never without end. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { eventQuery } from '../../src/api/query.ts';
import { tokensOf } from '../../src/api/tokens.ts';
import { appNetwork } from '../../src/call/network.ts';
import { readReply } from '../../src/call/reply.ts';
import { canonical } from '../../src/call/request.ts';
import { BadOp, checkpointOps, inOrder, meaningOf } from '../../src/call/wire-ops.ts';
import { parseJitter } from '../../src/cron/jitter.ts';
import { nextAfter } from '../../src/cron/next.ts';
import { parseSchedule } from '../../src/cron/schedule.ts';
import { parseConfig } from '../../src/env.ts';
import { compile } from '../../src/expr/expression.ts';
import { bind, compileWait, matchExpression } from '../../src/expr/wait.ts';
import { idsFromHeader } from '../../src/ingest/ids.ts';
import { Refusal } from '../../src/ingest/refusal.ts';
import { parseEvents } from '../../src/ingest/validate.ts';
import { authorizeBearer, authorizeEventKey } from '../../src/keys/access.ts';
import { isSigned } from '../../src/protocol/signature.ts';
import { parseDuration } from '../../src/lib/duration.ts';
import { jsonDepth, parseJson, type Json } from '../../src/lib/json.ts';
import { DAY, parseInstant } from '../../src/lib/time.ts';
import { isUlid } from '../../src/lib/ulid.ts';
import { serializeError } from '../../src/protocol/error.ts';
import { limits } from '../../src/protocol/limits.ts';
import type { Op } from '../../src/protocol/op.ts';
import { readSignal } from '../../src/protocol/signal.ts';
import { checkApps } from '../../src/registry/check.ts';
import { readAnswer, readRegistration, RegistrationRefused } from '../../src/registry/registration.ts';
import { apply } from '../../src/run/apply.ts';
import { commit } from '../../src/run/commit.ts';
import { nextAlarm, type RunState } from '../../src/run/state.ts';
import { idAt, NOW } from '../ingest/world.ts';
import { config } from '../run/words.ts';
import { anyJson, inTime, isUnpolluted, mutated, PLANTED, reshaped, runs, TIMEOUT } from './inputs.ts';
import { DURATIONS, EVENTS, EXPRESSIONS, INSTANTS, OPS, REGISTRATIONS, SCHEDULES, SIGNALS } from './seeds.ts';

/** @param count of runs. @param check also takes the text of what the parser threw, if it is one of these. */
function fuzz<Input>(
  name: string,
  inputs: fc.Arbitrary<Input>,
  count: number,
  check: (input: Input) => unknown,
  refusals: (abstract new (...given: never[]) => Error)[] = [],
): void {
  test(
    name,
    async () => {
      await fc.assert(
        fc.asyncProperty(inputs, async (input) => {
          try {
            await inTime(() => check(input));
          } catch (error) {
            if (!refusals.some((kind) => error instanceof kind)) throw error;
          }
          expect(isUnpolluted()).toBe(true);
        }),
        runs(count),
      );
    },
    TIMEOUT,
  );
}

const DEEP = fc.nat(3).map((n) => '[{"a":'.repeat(400 * 10 ** n));
const texts = (seeds: Json[]) =>
  fc.oneof(
    { weight: 4, arbitrary: reshaped(...seeds).map((value) => JSON.stringify(value)) },
    {
      weight: 4,
      arbitrary: mutated(
        seeds.map((seed) => JSON.stringify(seed)),
        ['{', '}', '[', ']', ',', ':', '"', '\\u', '1e999'],
      ),
    },
    { weight: 1, arbitrary: DEEP },
  );

fuzz(
  'events (EA-14)',
  texts(EVENTS),
  400,
  (text) => {
    for (const event of parseEvents(text)) {
      expect(event.name.trim()).not.toBe('');
      expect(event.data == null || !Object.hasOwn(event.data, '_inngest')).toBe(true);
    }
  },
  [Refusal],
);

fuzz(
  'a registration (FN-9)',
  texts(REGISTRATIONS),
  400,
  (text) => {
    const { app, functions } = readRegistration(text);
    expect([...app.id].length).toBeLessThanOrEqual(limits.appId);
    expect(JSON.parse(JSON.stringify(functions))).toEqual(functions);
  },
  [RegistrationRefused],
);

fuzz('the answer to an in-band sync (AP-31)', texts(REGISTRATIONS), 200, readAnswer, [RegistrationRefused]);

fuzz('the functions of this Worker', reshaped(...REGISTRATIONS), 100, (value) => {
  const given = (value as { functions?: unknown } | null)?.functions;
  const functions = (Array.isArray(given) ? given : [given]).map((one: unknown) => ({
    config: one,
    opts: one,
    id: () => 'a',
  }));
  try {
    checkApps([{ client: { id: 'app' }, functions }] as unknown as Parameters<typeof checkApps>[0]);
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(RangeError);
  }
});

fuzz('a signal (WS-1)', reshaped(...SIGNALS), 200, (value) => {
  const read = readSignal(value, idAt(1));
  if (typeof read !== 'string') expect(read.signal.length).toBeGreaterThan(0);
});

const headers = fc
  .record(
    {
      'x-inngest-sdk': fc.constantFrom('js:v3.54.2', ''),
      'x-inngest-no-retry': fc.constantFrom('true', 'TRUE ', 'x'),
      'retry-after': mutated(['30', '2026-11-20T00:00:00Z', '9'.repeat(6)]),
      'x-inngest-req-version': mutated(['2', '-1']),
    },
    { requiredKeys: [] },
  )
  .map((written) => {
    const safe = Object.entries(written).map(
      ([key, value]) => [key, value.replaceAll(/[^\x20-\x7e]/g, '')] as const,
    );
    return new Headers(Object.fromEntries(safe));
  });
const wireAnswers: Json[] = [
  OPS,
  ...OPS,
  {
    status: 206,
    headers: { 'x-inngest-req-version': '1', 'content-type': 'application/json' },
    body: JSON.stringify(OPS),
    retryAt: '2026-11-20T00:00:00Z',
  },
  { name: 'Error', message: 'm', stack: 's', cause: { message: 'c' }, data: { a: 1 } },
  JSON.stringify({ message: 'm' }),
];
const answers = fc.oneof(
  { weight: 8, arbitrary: texts(wireAnswers) },
  { weight: 1, arbitrary: fc.nat(3).map((n) => '['.repeat(50 * 10 ** n) + ']'.repeat(50 * 10 ** n)) },
);

/** The run with a step that waits, after whatever the app reported. */
function reported(state: RunState, op: Op): RunState {
  const { changes } = apply(state, { type: 'reported', op }, NOW);
  const next = commit(state, changes);
  const alarm = nextAlarm(next);
  expect(alarm === null || Number.isSafeInteger(alarm), `alarm ${alarm}`).toBe(true);
  for (const step of next.steps.values()) {
    expect(() => JSON.parse(JSON.stringify(step)) as unknown).not.toThrow();
    // As its trace has it.
    if (step.state === 'waiting') expect(() => new Date(step.due).toISOString()).not.toThrow();
  }
  return next;
}

fuzz(
  'what an app answers, and what becomes of it (wire 3.5)',
  fc.record({
    status: fc.constantFrom(200, 201, 204, 206, 206, 206, 302, 400, 404, 429, 500, 503),
    headers,
    body: answers,
  }),
  1_500,
  (received) => {
    const reply = readReply(received, NOW);
    if (reply.is === 'returned') expect(() => JSON.parse(reply.output) as unknown).not.toThrow();
    if (reply.is === 'failed') expect(typeof reply.error.message).toBe('string');
    if (reply.is !== 'returned' && reply.retryAfter !== undefined) {
      const { retryAfter } = reply;
      expect('at' in retryAfter && retryAfter.at > NOW && retryAfter.at <= NOW + DAY).toBe(true);
    }
    if (reply.is !== 'ops') return;
    const started = apply(null, { type: 'started', config, startAt: NOW }, NOW);
    let state = commit(null, started.changes);
    for (const wire of inOrder(reply.ops)) {
      const meaning = meaningOf(wire, { attempt: () => 0, final: reply.final });
      expect(['op', 'gateway', 'returned', 'notFound', 'again', 'nothing']).toContain(meaning.is);
      if (meaning.is === 'op') state = reported(state, meaning.op);
    }
  },
  [BadOp],
);

fuzz('a checkpoint (wire 6.2)', reshaped(OPS, ...OPS), 400, (ops) => {
  const parsed = checkpointOps(ops, () => 0);
  if (!parsed.ok) expect(parsed.problem).toMatch(/^steps: /);
});

fuzz('any JSON, where it is written, read and shown', anyJson, 400, (value) => {
  expect(() => JSON.parse(canonical(value)) as unknown).not.toThrow();
  tokensOf(value);
  expect(typeof serializeError(value).message).toBe('string');
  expect(jsonDepth(JSON.stringify(value), limits.eventDepth)).toBeLessThanOrEqual(5);
});

const CEL = [
  'event',
  'async',
  '.data',
  '[0]',
  '==',
  '!=',
  '&&',
  '||',
  '!',
  '(',
  ')',
  "'",
  '"',
  '?',
  ':',
  ' in ',
  '.all(x, ',
  '.matches(',
  'now()',
  '1e999',
  '-',
  '0x',
  'u',
  '{',
  '}',
  '//',
  'b"',
  'r"',
];
const data = fc.oneof(anyJson, fc.constant<Json>({ a: { b: PLANTED }, l: [PLANTED, 1], n: 1, s: PLANTED }));

fuzz(
  'an expression, compiled and evaluated (EX-3, EX-4, EX-73)',
  fc.record({
    source: mutated(EXPRESSIONS, CEL),
    place: fc.constantFrom('event' as const, 'pair' as const, 'key' as const),
    parity: fc.boolean(),
    data,
  }),
  1_500,
  ({ source, place, parity, data: inner }) => {
    const event = { name: 'a/b', data: inner, ts: NOW, user: {} };
    const compiled = compile(source, { place, parity });
    if (!compiled.ok) return expect(compiled.error.position.line).toBeGreaterThan(0);
    const { expression } = compiled;
    for (const fuel of [1, 50, 10_000]) {
      const result = expression.evaluate({ event, async: event }, { now: NOW, fuel });
      // Its own text may have it, the message may not.
      if (!result.ok && !source.includes(PLANTED)) expect(result.error.message).not.toContain(PLANTED);
    }
    if (place === 'pair' && compileWait(source).ok) bind(expression, event);
  },
);

fuzz('a short expression of any characters', fc.string({ maxLength: 30, unit: 'binary' }), 400, (source) => {
  compile(source, { place: 'pair' });
  compile(matchExpression(source), { place: 'pair' });
});

fuzz(
  'a very long or deep expression (EX-3)',
  fc.record({
    token: fc.constantFrom('(', '!', '-', '[', '{1:', 'a.', 'a[', 'f(', 'x?', '1+', 'true&&', "'a'+"),
    times: fc.constantFrom(100, 5_000, 100_000),
  }),
  30,
  ({ token, times }) => {
    expect(compile(token.repeat(times), { place: 'pair' }).ok).toBe(false);
    compile(`${token.repeat(times)}1`, { place: 'pair' });
  },
);

fuzz(
  'a schedule (CR-7, CR-8)',
  mutated(SCHEDULES, ['*', '/', '-', ',', '?', 'L', '#', 'TZ=', '@', '60', '0']),
  400,
  (text) => {
    const parsed = parseSchedule(text);
    if (!parsed.ok) return expect(parsed.error.length).toBeGreaterThan(0);
    let at = NOW;
    for (let n = 0; n < 3; n++) {
      const next = nextAfter(parsed.schedule, at);
      expect(Number.isSafeInteger(next) && next > at).toBe(true);
      at = next;
    }
  },
);

fuzz('a duration (DU-3)', mutated(DURATIONS, ['1', '.', 'h', 'µs', 'e5', 'Infinity']), 600, (text) => {
  const ms = parseDuration(text);
  expect(ms === null || ms >= 0).toBe(true);
  parseJitter(text);
});

fuzz('an instant (DU-6)', mutated(INSTANTS, ['-', ':', 'Z', '+25:00', '.999999999999']), 400, (text) => {
  const ms = parseInstant(text);
  expect(ms === null || Number.isFinite(ms)).toBe(true);
});

fuzz(
  'parameters of a list (RA-8)',
  fc.record(
    {
      name: mutated(['a/b']),
      limit: mutated(['10']),
      cursor: mutated([idAt(1)]),
      received_after: mutated(INSTANTS),
      received_before: mutated(INSTANTS),
    },
    { requiredKeys: [] },
  ),
  400,
  (params) => {
    const query = eventQuery(params, 'production', NOW);
    if (typeof query === 'string') return expect(query).toMatch(/: expected /);
    expect(query.limit >= 1 && query.limit <= 100 && Number.isFinite(query.receivedAfter)).toBe(true);
  },
);

const KEY = 'signkey-prod-0123456789abcdef';
const keyed = { dev: false, eventKeys: ['event-key'], signingKeys: [KEY] };

fuzz(
  'keys: none but the right one opens anything (SK-13, EK-14)',
  mutated([`Bearer ${KEY}`, KEY, 'event-key', 'Bearer ']),
  400,
  (text) => {
    const secret = /^bearer +(\S+)$/i.exec(text.trim())?.[1]?.replace(/^signkey-\w+-/, '');
    expect(authorizeBearer(keyed, text, text) !== null).toBe(secret === '0123456789abcdef');
    expect(authorizeEventKey(keyed, text, text) !== null).toBe(text === 'event-key');
  },
);

fuzz(
  'signatures: none but the right one counts (SK-9)',
  fc.record({
    header: mutated([`t=${NOW / 1_000}&s=${'0a'.repeat(32)}`], ['&', '=', 't=', 's=']),
    body: mutated(['{}\n']),
  }),
  300,
  ({ header, body }) => {
    expect(isSigned([KEY], header, body, NOW)).toBe(false);
  },
);

fuzz(
  'the seed of ids (wire 4.3)',
  mutated([`${NOW},AAECAwQFBgcICQ==`], [',', '=', '+', '/']),
  300,
  (header) => {
    const ids = idsFromHeader(header, NOW);
    if (ids !== null) for (const index of [0, 4_999]) expect(isUlid(ids(index))).toBe(true);
  },
);

fuzz(
  'the address of an app (AP-28)',
  mutated(
    ['https://a.example/api?x=1', 'http://orders.binding/x', 'http://[::1]:80/'],
    ['@', '//', '\\', '%', '[', ']', '.', ':'],
  ),
  400,
  (text) => {
    const network = appNetwork(
      { ORDERS: { fetch: () => null } },
      { fetch: () => Promise.reject(new Error('not called')), allowsPrivate: false },
    );
    const refusal = network.refusal(text);
    if (refusal === null) expect(new URL(text).protocol).toMatch(/^https?:$/);
  },
);

fuzz(
  'settings: what is bad is named, and its value is not',
  fc.dictionary(
    fc.constantFrom(
      'STEPWELL_SIGNING_KEY',
      'STEPWELL_MAX_STEPS',
      'STEPWELL_RETRY_INTERVAL',
      'STEPWELL_FETCH_TIMEOUT',
      'STEPWELL_RETENTION_DAYS',
      'STEPWELL_EVENT_KEYS',
    ),
    mutated([PLANTED, '10', '5m', KEY]),
  ),
  200,
  (env) => {
    try {
      parseConfig(env);
    } catch (error) {
      expect((error as Error).message).toMatch(/^Stepwell cannot start: STEPWELL_/);
      expect((error as Error).message).not.toContain(PLANTED);
    }
  },
);

test('what is no JSON is undefined, not an error', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => void parseJson(text)),
    runs(200),
  );
});

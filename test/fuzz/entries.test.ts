/** Every HTTP entry with inputs that nobody would write: an answer or a refusal, never 500, and never the users' data in a refusal. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkpointOps } from '../../src/call/wire-ops.ts';
import type { Json } from '../../src/lib/json.ts';
import { apiWorld, AUTH } from '../api/world.ts';
import { idAt } from '../ingest/world.ts';
import { inTime, isUnpolluted, mutated, PLANTED, reshaped, runs, TIMEOUT } from './inputs.ts';
import { EVENTS, INSTANTS, OPS, REGISTRATIONS, SIGNALS } from './seeds.ts';

const RUN = idAt(1);

/** Two runs, one of which takes checkpoints, and an app that answers with what it is given. */
function world(answer: { status: number; body: string } = { status: 200, body: '{}' }) {
  const w = apiWorld();
  w.deps.remoteRuns.checkpoint = async (_run, _env, { ops }) => {
    const parsed = checkpointOps(ops, () => 0);
    return parsed.ok ? { is: 'saved' } : { is: 'bad', problem: parsed.problem };
  };
  w.answers.fetch = async () =>
    new Response(answer.status === 204 ? null : answer.body, {
      status: answer.status,
      headers: {
        'x-inngest-sdk': 'js:v3.54.2',
        'x-inngest-sync-kind': 'in_band',
        'x-inngest-signature': w.deps.sign(answer.body, 'production') ?? '',
      },
    });
  return w;
}

type World = ReturnType<typeof world>;

/** Answers the status; nothing was logged, nothing is 500, nobody's objects are changed. */
async function ask(
  w: World,
  method: string,
  path: string,
  init: { body?: string | null; headers?: Record<string, string> } = {},
) {
  const response = await inTime(() =>
    w.call(method, path, { ...init, headers: { ...AUTH, ...init.headers } }),
  );
  const text = await response.text();
  expect(w.log.lines).toEqual([]);
  expect(response.status, text).toBeLessThan(500);
  expect(isUnpolluted()).toBe(true);
  return { status: response.status, text };
}

function fuzz<Input>(
  name: string,
  inputs: fc.Arbitrary<Input>,
  count: number,
  check: (input: Input) => Promise<void>,
) {
  test(name, () => fc.assert(fc.asyncProperty(inputs, check), runs(count)), TIMEOUT);
}

/** As values, whose planted texts stay where users' data is, and as texts, which need not be JSON any more. */
const bodies = (...seeds: Json[]) =>
  fc.oneof(
    reshaped(...seeds).map((value) => ({ body: JSON.stringify(value), hides: true })),
    mutated(
      seeds.map((seed) => JSON.stringify(seed)),
      ['{', '}', '[', ']', ',', ':', '"', '\\u', '1e999'],
    ).map((body) => ({ body, hides: false })),
  );

fuzz('POST /e/:key', bodies(...EVENTS), 200, async ({ body, hides }) => {
  const w = world();
  const { status, text } = await ask(w, 'POST', '/e/event-key', { body });
  if (hides) expect(text).not.toContain(PLANTED);
  const { ids } = JSON.parse(text) as { ids: string[] };
  if (status !== 200) expect([ids, w.events.sent]).toEqual([[], []]);
  for (const id of ids.slice(0, 3)) expect((await ask(w, 'GET', `/v1/events/${id}`)).status).toBe(200);
  expect((await ask(w, 'GET', '/v1/events')).status).toBe(200);
});

fuzz('POST /v1/signals', bodies(...SIGNALS), 150, async ({ body, hides }) => {
  const { text } = await ask(world(), 'POST', '/v1/signals', { body });
  if (hides) expect(text).not.toContain(PLANTED);
});

fuzz(
  'POST /v1/checkpoint/:id/async',
  bodies({ qi_id: 'q', run_id: RUN, fn_id: 'f', generation_id: 1, steps: OPS.slice(0, 5) }),
  200,
  async ({ body, hides }) => {
    const { text } = await ask(world(), 'POST', `/v1/checkpoint/${RUN}/async`, { body });
    if (hides) expect(text).not.toContain(PLANTED);
  },
);

/** Whatever was taken can be shown. */
async function showsAll(w: World): Promise<void> {
  for (const path of ['/v1/apps', '/v2/apps', '/v1/apps/app/functions', '/v2/apps/app/functions/app-f']) {
    expect([200, 404]).toContain((await ask(w, 'GET', path)).status);
  }
}

fuzz('POST /fn/register', bodies(...REGISTRATIONS), 200, async ({ body, hides }) => {
  const w = world();
  const headers = { 'x-inngest-sdk': 'js:v3.54.2' };
  const { status, text } = await ask(w, 'POST', '/fn/register?deployId=x', { body, headers });
  if (hides) expect(text).not.toContain(PLANTED);
  if (status === 200) await showsAll(w);
});

fuzz(
  'POST /v2/apps/:app/syncs, and what the app answers to it',
  fc.record({
    request: bodies({ url: 'https://app.example/api' }),
    answer: bodies(...REGISTRATIONS),
    status: fc.constantFrom(200, 204, 302, 401, 500),
  }),
  200,
  async ({ request, answer, status }) => {
    const w = world({ status, body: answer.body });
    await ask(w, 'POST', '/v2/apps/app/syncs', { body: request.body });
    await showsAll(w);
  },
);

const segment = mutated([RUN, 'app', 'app-f', '..', '%2e%2e', '%00'], ['/', '%', '%2f', '?', '#', ';', '\\']);

fuzz(
  'every path, by every method',
  fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS'),
    path: fc.oneof(
      fc.constantFrom(
        '/v1/events/X',
        '/v1/events/X/runs',
        '/v1/runs/X',
        '/v1/runs/X/trace',
        '/v1/apps/X/functions',
        '/v2/apps/X/check',
        '/api/v2/apps/X/functions/X',
        '/v2/apps/X/archive',
        '/v0/runs/X/actions',
        '/v0/runs/X/batch',
        '/e/X',
      ),
      mutated(
        ['/v1/events', '/v2/apps/app/functions', '/fn/register', '/e/event-key'],
        ['/', '//', '%2f', '..'],
      ),
    ),
    segment,
  }),
  300,
  async ({ method, path, segment: text }) => {
    const url = `/${path.replace('X', text.toWellFormed()).replace('X', text.toWellFormed()).replace(/^\/+/, '')}`;
    // What no client could send is not asked.
    if (URL.canParse(url, 'http://localhost')) await ask(world(), method, url);
  },
);

fuzz(
  'GET /v1/events with any parameters',
  fc.dictionary(
    fc.constantFrom('name', 'limit', 'cursor', 'received_after', 'received_before', '__proto__', 'x'),
    mutated(['a/b', '10', RUN, ...INSTANTS], ['&', '=', '+', '%', '[]']),
  ),
  200,
  async (params) => {
    const query = new URLSearchParams(
      Object.entries(params).map(([key, value]) => [key, value.toWellFormed()]),
    );
    for (const text of [String(query), decodeURIComponent(String(query).replaceAll('%', '%25'))])
      expect([200, 400]).toContain((await ask(world(), 'GET', `/v1/events?${text}`)).status);
  },
);

fuzz(
  'any headers',
  fc.dictionary(
    fc.constantFrom(
      'authorization',
      'x-inngest-env',
      'x-inngest-event-id-seed',
      'x-inngest-sdk',
      'x-inngest-expected-server-kind',
      'content-type',
      'content-length',
      'access-control-request-headers',
      'traceparent',
    ),
    mutated(
      ['Bearer x', 'branch', '1790000000000,AAECAwQFBgcICQ==', '0', 'dev', 'text/plain'],
      [',', ';', '=', '-1'],
    ).map((text) => text.replaceAll(/[^\x20-\x7e]/g, '').slice(0, 2_000)),
  ),
  200,
  async (headers) => {
    for (const [method, path, body] of [
      ['POST', '/e/event-key', '{"name":"a/b"}'],
      ['POST', '/fn/register', JSON.stringify(REGISTRATIONS[0])],
      ['OPTIONS', '/v1/events', null],
      ['GET', '/v1/events', null],
    ] as const)
      await ask(world(), method, path, { headers, body });
  },
);

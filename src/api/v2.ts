/** Version 2 of the API, at `/v2` and `/api/v2` (wire 9.7). What is not there is answered in its own shape (wire 9.8). */
import { Hono } from 'hono';
import * as z from 'zod';
import { Refusal } from '../ingest/refusal.ts';
import { isObject, type JsonObject } from '../lib/json.ts';
import { isUlid } from '../lib/ulid.ts';
import { functionUuid } from '../protocol/uuids.ts';
import type { RunRecord } from '../ports.ts';
import { failureV2, missingV2, rfc3339, successV2 } from './answer.ts';
import { appRoutesV2 } from './apps.ts';
import { readBody } from './body.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';
import { graphStatus, rootSpan, upperCase } from './graphql/trace.ts';
import { invoke } from './invoke.ts';
import { recordedOutput } from './recorded.ts';

export function v2Routes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.route('/', appRoutesV2(deps));
  routes.post('/apps/:app/functions/:fn/invoke', (c) => start(deps, c, c.req.param()));
  routes.get('/runs/:id', (c) => run(deps, c, c.req.param('id')));
  routes.get('/runs/:id/trace', (c) => trace(deps, c, c.req.param('id')));
  routes.get('/events/:id/runs', (c) => runsOf(deps, c, c.req.param('id')));
  routes.all('*', (c) => failureV2(c, 404, 'not_found', 'There is no such resource'));
  routes.onError((error, c) => {
    if (error instanceof Refusal)
      return failureV2(c as ApiContext, error.status, 'invalid_request', error.message);
    deps.log.error('api: a request failed', { method: c.req.method, error });
    return failureV2(c as ApiContext, 500, 'internal_error', 'internal error');
  });
  return routes;
}

const payload = z.custom<JsonObject>(isObject, { error: 'expected an object' });
const invocation = z.object(
  {
    data: payload.nullish(),
    user: payload.nullish(),
    idempotencyKey: z.string({ error: 'expected a text' }).min(1, { error: 'expected a text' }).nullish(),
  },
  { error: 'expected an object' },
);

/** Never waits for the end: 202, and the run to ask about. */
async function start(deps: ApiDeps, c: ApiContext, { app, fn }: { app: string; fn: string }) {
  const { data, user, idempotencyKey } = await readBody(c, invocation);
  const functionId = fn.startsWith(`${app}-`) ? fn : `${app}-${fn}`;
  const present = await deps.functions.list(c.get('env'));
  if (!present.some(({ config }) => config.id === functionId)) return missingV2(c, 'function');
  const { runId, at } = await invoke(deps, c, {
    functionId,
    data: data ?? {},
    user: user ?? undefined,
    idempotencyKey: idempotencyKey ?? undefined,
  });
  const answer = {
    runId,
    queuedAt: rfc3339(at),
    startedAt: null,
    completedAt: null,
    result: null,
    error: null,
  };
  return successV2(c, answer, deps.clock.now(), 202);
}

async function run(deps: ApiDeps, c: ApiContext, id: string): Promise<Response> {
  if (!isUlid(id)) return invalid(c, 'run');
  const live = await deps.runs.read(id);
  const record = live ?? (await deps.store.findRun(c.get('env'), id));
  if (record === null || record.env !== c.get('env')) return missingV2(c, 'run');
  const isWanted = c.req.query('includeOutput') === 'true' && record.endedAt !== null;
  const facts =
    'eventIds' in record
      ? { ...record, status: graphStatus(record) }
      : { ...record, status: upperCase(record.status), eventIds: [record.eventId], startedAt: null };
  const output = 'eventIds' in record ? record.output : isWanted && (await recordedOutput(deps, record));
  return successV2(
    c,
    { ...view(facts), ...(isWanted ? { output: outcome(record.status, output) } : {}) },
    deps.clock.now(),
  );
}

function outcome(status: RunRecord['status'], output: unknown) {
  return status === 'Completed' ? { data: output } : { error: output };
}

interface RunFacts {
  runId: string;
  env: string;
  functionId: string;
  status: string;
  queuedAt: number;
  startedAt: number | null;
  endedAt: number | null;
  eventIds: string[];
}

function view({ runId, env, functionId, status, queuedAt, startedAt, endedAt, eventIds }: RunFacts) {
  return {
    id: runId,
    function: { id: functionUuid(env, functionId), name: functionId },
    status,
    queuedAt: rfc3339(queuedAt),
    startedAt: startedAt === null ? null : rfc3339(startedAt),
    endedAt: endedAt === null ? null : rfc3339(endedAt),
    durationMs: endedAt === null ? null : String(endedAt - (startedAt ?? queuedAt)),
    trigger: { eventIds },
  };
}

async function trace(deps: ApiDeps, c: ApiContext, id: string): Promise<Response> {
  if (!isUlid(id)) return invalid(c, 'run');
  const found = await deps.runs.trace(id);
  if (found === null || found.env !== c.get('env')) return missingV2(c, 'run');
  return successV2(c, { runId: id, rootSpan: spanView(rootSpan(found)) }, deps.clock.now());
}

function spanView(span: object): object {
  const { spanID, name, status, stepID, stepOp, queuedAt, startedAt, endedAt, duration, childrenSpans } =
    span as ReturnType<typeof rootSpan>;
  return {
    id: spanID,
    name,
    status,
    stepId: stepID,
    stepOp,
    queuedAt,
    startedAt,
    endedAt,
    durationMs: duration === null ? null : String(duration),
    metadata: [],
    children: childrenSpans.map(spanView),
  };
}

/** Empty, not 404, for an event that is not in the history yet (RA-19). */
async function runsOf({ store, clock }: ApiDeps, c: ApiContext, id: string): Promise<Response> {
  if (!isUlid(id)) return invalid(c, 'event');
  const records = await store.runsOfEvent(c.get('env'), id);
  // RA-13: what was skipped is no run.
  const runs = records.filter(({ status }) => status !== 'Skipped');
  const views = runs.map((record) =>
    view({ ...record, status: upperCase(record.status), eventIds: [record.eventId], startedAt: null }),
  );
  const page = { cursor: null, hasMore: false, limit: views.length };
  const metadata = { fetchedAt: rfc3339(clock.now()), cachedUntil: null };
  return c.json({ data: views, metadata, page });
}

function invalid(c: ApiContext, what: 'event' | 'run'): Response {
  return failureV2(c, 400, 'invalid_request', `expected the id of ${what === 'run' ? 'a run' : 'an event'}`);
}

/** `/v1/cancellations`: many runs of a function at once (BC group). They are carried out by the sweep (src/dispatch/cancellations.ts). */
import { Hono } from 'hono';
import * as z from 'zod';
import { isUlid, ulid } from '../lib/ulid.ts';
import { appUuid, environmentUuid, functionUuid } from '../protocol/uuids.ts';
import type { Cancellation, CancellationRecord } from '../ports.ts';
import { filterProblem } from '../registry/texts.ts';
import { failure, metadata, rfc3339, success } from './answer.ts';
import { readBody } from './body.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';
import { DEFAULT_LIMIT, instant, isLimit, LIMIT_RANGE } from './query.ts';

export function cancellationRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.post('/v1/cancellations', (c) => create(deps, c));
  routes.get('/v1/cancellations', (c) => list(deps, c));
  routes.delete('/v1/cancellations/:id', (c) => remove(deps, c, c.req.param('id')));
  return routes;
}

const text = z.string({ error: 'expected a text' }).min(1, { error: 'expected a text' });
const time = text.transform((written, context) => {
  const ms = instant(written);
  if (ms !== null) return ms;
  context.issues.push({ code: 'custom', message: 'expected an RFC 3339 time', input: written });
  return z.NEVER;
});
/** The same as an explicit null of other languages' clients. */
const asked = z
  .object(
    {
      app_id: text,
      /** As written in code; with the app's id before it too. */
      function_id: text,
      started_after: time.nullish(),
      started_before: time,
      if: z.string({ error: 'expected an expression' }).nullish(),
    },
    { error: 'expected an object' },
  )
  .refine(({ started_after: after, started_before: before }) => after == null || after < before, {
    error: 'expected a time before started_before (BC-6)',
    path: ['started_after'],
  });

async function create(deps: ApiDeps, c: ApiContext): Promise<Response> {
  const body = await readBody(c, asked);
  const expression = body.if == null || body.if.trim() === '' ? null : body.if;
  const problem = expression === null ? null : filterProblem(expression);
  if (problem !== null) return failure(c, 400, `if: ${problem}`);
  const env = c.get('env');
  const functionId = await known(deps, env, body.app_id, body.function_id);
  if (functionId === null) return failure(c, 404, 'Function not found');
  const now = deps.clock.now();
  const cancellation: Cancellation = {
    id: ulid(now, deps.entropy.bytes(10)),
    env,
    appId: body.app_id,
    functionId,
    startedAfter: body.started_after ?? null,
    startedBefore: body.started_before,
    expression,
    createdAt: now,
  };
  // Before anything is promised it is sure that a sweep will come.
  await deps.sweeps.arm();
  await deps.cancellations.create(cancellation);
  const data = view({ ...cancellation, matched: 0, cancelled: 0, endedAt: null });
  // BC-4: one description has it wrapped, another one does not.
  return c.json({ ...data, data, metadata: metadata(now) });
}

/** Also a function that is not served any more: its runs go on. */
async function known({ functions }: ApiDeps, env: string, appId: string, fn: string): Promise<string | null> {
  for (const id of [`${appId}-${fn}`, ...(fn.startsWith(`${appId}-`) ? [fn] : [])]) {
    if ((await functions.find(env, id)) !== null) return id;
  }
  return null;
}

async function list({ cancellations, clock }: ApiDeps, c: ApiContext): Promise<Response> {
  const { limit, cursor } = c.req.query();
  if (limit !== undefined && !isLimit(limit)) return failure(c, 400, `limit: ${LIMIT_RANGE}`);
  if (cursor !== undefined && !isUlid(cursor))
    return failure(c, 400, 'cursor: expected the id of a cancellation');
  const found = await cancellations.list(c.get('env'), Number(limit ?? DEFAULT_LIMIT), cursor);
  return success(c, found.map(view), clock.now());
}

/** BC-10: what it has cancelled stays cancelled. */
async function remove({ cancellations, clock }: ApiDeps, c: ApiContext, id: string): Promise<Response> {
  if (!isUlid(id)) return failure(c, 400, 'Invalid cancellation ID');
  const isRemoved = await cancellations.remove(c.get('env'), id);
  return isRemoved ? success(c, { ok: true }, clock.now()) : failure(c, 404, 'Cancellation not found');
}

function view(record: Omit<CancellationRecord, 'since' | 'pass'>) {
  const { id, env, appId, functionId, startedAfter, startedBefore, expression, createdAt } = record;
  return {
    id,
    created_at: rfc3339(createdAt),
    name: null,
    environment_id: environmentUuid(env),
    app_id: appUuid(env, appId),
    function_internal_id: functionUuid(env, functionId),
    function_id: functionId,
    started_after: startedAfter === null ? null : rfc3339(startedAfter),
    started_before: rfc3339(startedBefore),
    ...(expression === null ? {} : { if: expression }),
    kind: 'api',
    /** Of our own making, like what follows (BC-12). */
    status: record.endedAt === null ? 'Running' : 'Completed',
    ended_at: record.endedAt === null ? null : rfc3339(record.endedAt),
    matched: record.matched,
    cancelled: record.cancelled,
  };
}

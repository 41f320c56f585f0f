/**
 * What apps outside ask about the runs that they are called for: the state that was too large for the call (wire 3.9), and checkpoints,
 * steps that they have run in the course of one (wire 6.2).
 */
import { Hono } from 'hono';
import * as z from 'zod';
import { isUlid } from '../lib/ulid.ts';
import { limits } from '../protocol/limits.ts';
import type { RunSnapshot } from '../protocol/run.ts';
import { failure } from './answer.ts';
import { readJson } from './body.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';

const checkpoint = z.object({
  /** Comes back as the call brought it: our request id. */
  qi_id: z.string({ error: 'expected a string' }),
  generation_id: z.number().nullish(),
  steps: z.unknown().optional(),
});

export function remoteRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.get('/v0/runs/:id/actions', (c) => part(deps, c, c.req.param('id'), ({ steps }) => steps));
  routes.get('/v0/runs/:id/batch', (c) => part(deps, c, c.req.param('id'), ({ events }) => events));
  for (const prefix of ['/v1/checkpoint', '/v1/http/runs']) {
    routes.post(`${prefix}/:id/async`, (c) => take(deps, c, c.req.param('id')));
  }
  return routes;
}

async function part(
  { remoteRuns }: ApiDeps,
  c: ApiContext,
  id: string,
  text: (snapshot: RunSnapshot) => string,
): Promise<Response> {
  if (!isUlid(id)) return failure(c, 400, `Invalid run ID: ${id}`);
  const snapshot = await remoteRuns.snapshot(id, c.get('env'));
  if (snapshot === null) return failure(c, 404, 'Run not found');
  if (snapshot === 'ended') return failure(c, 410, 'Run has ended');
  return c.body(text(snapshot), 200, { 'content-type': 'application/json' });
}

async function take({ remoteRuns }: ApiDeps, c: ApiContext, id: string): Promise<Response> {
  if (!isUlid(id)) return failure(c, 400, `Invalid run ID: ${id}`);
  const parsed = checkpoint.safeParse(await readJson(c, limits.answerBytes));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return failure(c, 400, `body${['', ...(issue?.path ?? [])].join('.')}: ${issue?.message ?? 'invalid'}`);
  }
  const { qi_id: requestId, generation_id: generation, steps: ops } = parsed.data;
  const call = { requestId, ops, ...(generation == null ? {} : { generation }) };
  const result = await remoteRuns.checkpoint(id, c.get('env'), call);
  if (result === null) return failure(c, 404, 'Run not found');
  if (result.is === 'bad') return failure(c, 400, result.problem);
  if (result.is === 'stale') return failure(c, 409, 'This call is not wanted any more');
  return c.body(null, 200);
}

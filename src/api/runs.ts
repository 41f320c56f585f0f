/** `/v1/runs`: one run, its trace, its queued work, and its cancellation (RA-12 to RA-20, BC-11). The run's object is the truth, the index a copy. */
import { Hono } from 'hono';
import { isUlid } from '../lib/ulid.ts';
import type { RunView } from '../protocol/run.ts';
import { failure, success } from './answer.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';
import { recordedRun } from './recorded.ts';
import { jobViews, runViewOf, traceView } from './views.ts';

export function runRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.get('/v1/runs/:id', (c) => one(deps, c, c.req.param('id')));
  routes.get('/v1/runs/:id/trace', (c) => trace(deps, c, c.req.param('id')));
  routes.get('/v1/runs/:id/jobs', (c) => jobs(deps, c, c.req.param('id')));
  routes.delete('/v1/runs/:id', (c) => cancel(deps, c, c.req.param('id')));
  routes.delete('/v0/runs/:id', async (c) => {
    const answer = await cancel(deps, c, c.req.param('id'));
    return answer.ok ? c.body(null, 204) : answer;
  });
  return routes;
}

async function one(deps: ApiDeps, c: ApiContext, id: string): Promise<Response> {
  if (!isUlid(id)) return invalid(c, id);
  const live = await readLive(deps, c.get('env'), id);
  if (live !== null) return success(c, runViewOf(live), deps.clock.now());
  const record = await deps.store.findRun(c.get('env'), id);
  if (record === null) return unknown(c);
  return success(c, await recordedRun(deps, record), deps.clock.now());
}

async function trace(deps: ApiDeps, c: ApiContext, id: string): Promise<Response> {
  if (!isUlid(id)) return invalid(c, id);
  const found = await deps.runs.trace(id);
  if (found === null || found.env !== c.get('env')) return unknown(c);
  return success(c, traceView(found), deps.clock.now());
}

/** RA-20: what will happen by itself, the earliest first. */
async function jobs(deps: ApiDeps, c: ApiContext, id: string): Promise<Response> {
  if (!isUlid(id)) return invalid(c, id);
  const found = await deps.runs.trace(id);
  if (found !== null && found.env === c.get('env')) return success(c, jobViews(found), deps.clock.now());
  // Its object has not taken it yet.
  const record = await deps.store.findRun(c.get('env'), id);
  return record === null ? unknown(c) : success(c, [], deps.clock.now());
}

async function cancel(deps: ApiDeps, c: ApiContext, id: string): Promise<Response> {
  if (!isUlid(id)) return invalid(c, id);
  const result = await deps.cancelRun(c.get('env'), id);
  if (result === 'unknown') return unknown(c);
  if (result === 'ended') return failure(c, 400, 'Run has ended');
  const after = await deps.runs.read(id);
  return success(c, after === null ? null : runViewOf(after), deps.clock.now());
}

/** Null also when the object cannot answer now: the index can. */
async function readLive(deps: ApiDeps, env: string, id: string): Promise<RunView | null> {
  try {
    const run = await deps.runs.read(id);
    return run?.env === env ? run : null;
  } catch (error) {
    deps.log.error('api: a run could not be read from its object', { runId: id, error });
    return null;
  }
}

function invalid(c: ApiContext, id: string): Response {
  return failure(c, 400, `Invalid run ID: ${id}`);
}

function unknown(c: ApiContext): Response {
  return failure(c, 404, 'Run not found');
}

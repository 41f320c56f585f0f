/** `/v1/events`: the event history (RA-8 to RA-11). */
import { Hono } from 'hono';
import { isUlid } from '../lib/ulid.ts';
import { failure, success } from './answer.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';
import { eventQuery } from './query.ts';
import { recordedRun } from './recorded.ts';
import { eventView, skipView } from './views.ts';

export function eventRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.get('/v1/events', (c) => list(deps, c));
  routes.get('/v1/events/:id', (c) => one(deps, c, c.req.param('id')));
  routes.get('/v1/events/:id/runs', (c) => runsOf(deps, c, c.req.param('id')));
  return routes;
}

async function list(deps: ApiDeps, c: ApiContext): Promise<Response> {
  const now = deps.clock.now();
  const query = eventQuery(c.req.query(), c.get('env'), now);
  if (typeof query === 'string') return failure(c, 400, query);
  const records = await deps.store.listEvents(query);
  const views = records.map((record) => eventView(deps, record));
  return success(c, await Promise.all(views), now);
}

async function one(deps: ApiDeps, c: ApiContext, id: string): Promise<Response> {
  if (!isUlid(id)) return failure(c, 400, `Invalid event ID: ${id}`);
  const record = await deps.store.findEvent(c.get('env'), id);
  if (record === null) return failure(c, 404, 'Event not found');
  const starts = await deps.store.runsOfEvent(c.get('env'), id);
  /** Of our own making, see `skipView`. */
  const skipped = starts.filter(({ status }) => status === 'Skipped').map(skipView);
  return success(c, { ...(await eventView(deps, record)), skipped }, deps.clock.now());
}

/**
 * Empty, not 404, for an event that is not in the history yet: an id that was just answered is asked about at once (RA-19). What was
 * skipped is no run (RA-13): the event itself shows it.
 */
async function runsOf(deps: ApiDeps, c: ApiContext, id: string): Promise<Response> {
  if (!isUlid(id)) return failure(c, 400, `Invalid event ID: ${id}`);
  const records = await deps.store.runsOfEvent(c.get('env'), id);
  const runs = records.filter(({ status }) => status !== 'Skipped');
  const views = await Promise.all(runs.map((record) => recordedRun(deps, record)));
  return success(c, views, deps.clock.now());
}

/** `/v1/functions/:id/pause` and `.../resume` (PA group). Runs under way are told by the sweep (src/dispatch/pauses.ts, cancellations.ts). */
import { Hono } from 'hono';
import * as z from 'zod';
import { ulid } from '../lib/ulid.ts';
import type { Pause } from '../ports.ts';
import { failure, success } from './answer.ts';
import { readBody } from './body.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';
import { pauseView } from './function-views.ts';

export function pauseRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.post('/v1/functions/:id/pause', async (c) => {
    const { runs } = await readBody(c, asked);
    return change(deps, c, c.req.param('id'), runs);
  });
  routes.post('/v1/functions/:id/resume', (c) => change(deps, c, c.req.param('id'), null));
  return routes;
}

/** PA-4: what becomes of the runs under way. */
const asked = z.strictObject(
  { runs: z.enum(['hold', 'cancel'], { error: 'expected "hold" or "cancel"' }).default('hold') },
  { error: 'expected an object with "runs" or nothing' },
);

/** What is so already stays as it is. */
async function change(deps: ApiDeps, c: ApiContext, id: string, mode: Pause['mode']): Promise<Response> {
  const env = c.get('env');
  const now = deps.clock.now();
  if ((await deps.functions.find(env, id)) === null) return failure(c, 404, 'Function not found');
  // Before anything is promised it is sure that a sweep will come.
  await deps.sweeps.arm();
  await deps.apps.setPaused(env, id, mode, now);
  // Also when it was paused so before: the request before this one may not have come to this.
  if (mode === 'cancel') await cancelAll(deps, env, id, now);
  const { paused } = await deps.functions.load(env);
  return success(c, { function_slug: id, paused: pauseView(paused?.get(id)) }, now);
}

/** PA-6: a bulk cancellation, which a resumption does not take back. */
async function cancelAll(deps: ApiDeps, env: string, functionId: string, now: number): Promise<void> {
  const app = (await deps.functions.find(env, functionId))?.app;
  await deps.cancellations.create({
    id: ulid(now, deps.entropy.bytes(10)),
    env,
    appId: app?.id ?? '',
    functionId,
    startedAfter: null,
    startedBefore: now + 1,
    expression: null,
    createdAt: now,
  });
}

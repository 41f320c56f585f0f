/** Of development only. `GET /dev`: how SDKs find a development server; a deployment must answer what is no JSON: any JSON counts as one (wire 1.3). */
import { Hono } from 'hono';
import * as z from 'zod';
import { isObject, type JsonObject } from '../lib/json.ts';
import { readBody } from './body.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';
import { functionView } from './function-views.ts';
import { invoke } from './invoke.ts';

export function devRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.get('/dev', async (c) => (deps.keys.dev ? describe(deps, c) : c.text('not found', 404)));
  routes.post('/invoke/:slug', async (c) =>
    deps.keys.dev ? invokeBySlug(deps, c, c.req.param('slug')) : c.text('not found', 404),
  );
  return routes;
}

const payload = z.custom<JsonObject>(isObject, { error: 'expected an object' });
const eventLike = z.object(
  { data: payload.nullish(), user: payload.nullish() },
  { error: 'expected an object' },
);

/** Wire 4.5. */
async function invokeBySlug(deps: ApiDeps, c: ApiContext, slug: string): Promise<Response> {
  c.set('env', deps.environment);
  const { data, user } = await readBody(c, eventLike);
  const present = await deps.functions.list(deps.environment);
  if (!present.some(({ config }) => config.id === slug))
    return c.json({ ids: [], error: 'function not found', status: 400 }, 400);
  const { eventId } = await invoke(deps, c, { functionId: slug, data: data ?? {}, user: user ?? undefined });
  return c.json({ ids: [eventId], status: 200 });
}

async function describe(
  { functions, keys, version, environment }: ApiDeps,
  c: ApiContext,
): Promise<Response> {
  const present = await functions.list(environment);
  const { paused } = functions.known(environment);
  return c.json({
    version,
    authed: false,
    startOpts: { dir: '', urls: [], autodiscover: false, poll: false, poll_interval: 5 },
    functions: present.map((fn) => functionView(fn, paused?.get(fn.config.id))),
    handlers: [],
    isSingleNodeService: false,
    isMissingSigningKey: keys.signingKeys.length === 0,
    isMissingEventKeys: keys.eventKeys.length === 0,
    features: {},
  });
}

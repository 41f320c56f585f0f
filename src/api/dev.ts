/** `GET /dev`: how SDKs find a development server. A deployment must answer what is no JSON: any JSON counts as one (wire 1.3). */
import { Hono } from 'hono';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';
import { functionView } from './function-views.ts';

export function devRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.get('/dev', async (c) => (deps.keys.dev ? describe(deps, c) : c.text('not found', 404)));
  return routes;
}

async function describe(
  { functions, keys, version, environment }: ApiDeps,
  c: ApiContext,
): Promise<Response> {
  const present = await functions.list(environment);
  return c.json({
    version,
    authed: false,
    startOpts: { dir: '', urls: [], autodiscover: false, poll: false, poll_interval: 5 },
    functions: present.map(functionView),
    handlers: [],
    isSingleNodeService: false,
    isMissingSigningKey: keys.signingKeys.length === 0,
    isMissingEventKeys: keys.eventKeys.length === 0,
    features: {},
  });
}

/**
 * The HTTP front: all routes, who may use them, and what happens to whatever is not foreseen. Everything but health, the greeting
 * and preflights is closed without keys.
 */
import { Hono, type MiddlewareHandler } from 'hono';
import { Refusal } from '../ingest/refusal.ts';
import { authorizeBearer, NO_BRANCH } from '../keys/access.ts';
import { failure } from './answer.ts';
import { appRoutes } from './apps.ts';
import { cancellationRoutes } from './cancellations.ts';
import type { ApiDeps, ApiEnv } from './deps.ts';
import { devRoutes } from './dev.ts';
import { eventRoutes } from './events.ts';
import { flowRoutes } from './flow.ts';
import { pauseRoutes } from './pause.ts';
import { gqlRoutes } from './gql.ts';
import { healthRoutes } from './health.ts';
import { BRANCH_HEADER, commonHeaders } from './headers.ts';
import { intakeRoutes } from './intake.ts';
import { registerRoutes } from './register.ts';
import { remoteRoutes } from './remote.ts';
import { runRoutes } from './runs.ts';
import { signalRoutes } from './signals.ts';
import { telemetryRoutes } from './telemetry.ts';
import { v2Routes } from './v2.ts';

export function api(deps: ApiDeps): Hono<ApiEnv> {
  const { dev } = deps.keys;
  const app = new Hono<ApiEnv>({ getPath });
  app.use(commonHeaders(dev));
  app.get('/', (c) => c.text(greeting(deps)));
  app.get('/health', (c) => c.json({ status: 200, message: 'OK' }));
  app.route('/', devRoutes(deps));
  app.route('/', intakeRoutes(deps));
  app.use(signedIn(deps));
  app.route('/', healthRoutes(deps));
  app.route('/', registerRoutes(deps));
  app.route('/', appRoutes(deps));
  app.route('/', eventRoutes(deps));
  app.route('/', runRoutes(deps));
  app.route('/', cancellationRoutes(deps));
  app.route('/', gqlRoutes(deps));
  app.route('/', telemetryRoutes());
  for (const base of ['/v2', '/api/v2']) app.route(base, v2Routes(deps));
  app.route('/', signalRoutes(deps));
  app.route('/', remoteRoutes(deps));
  app.route('/', flowRoutes(deps));
  app.route('/', pauseRoutes(deps));
  app.notFound((c) => c.json({ error: 'not found', data: null, status: 404 }, 404));
  app.onError((error, c) => {
    if (error instanceof Refusal) return failure(c, error.status, error.message);
    deps.log.error('api: a request failed', { method: c.req.method, error });
    return c.json({ error: 'internal error', status: 500 }, 500);
  });
  return app;
}

function greeting({ version, keys }: ApiDeps): string {
  const open = 'Development mode: open to everyone who can reach it, no keys are asked for.\n';
  return `Stepwell ${version}\n${keys.dev ? open : ''}`;
}

function signedIn(deps: ApiDeps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const { authorization = null, [BRANCH_HEADER]: branch = null } = c.req.header();
    const access = authorizeBearer(deps.keys, authorization, branch);
    if (access === NO_BRANCH)
      return failure(c, 400, `${BRANCH_HEADER}: expected the name of a branch (ENV-11)`);
    if (access === null) {
      c.header('www-authenticate', 'Bearer');
      return failure(c, 401, 'Unauthorized');
    }
    c.set('env', access.env);
    return next();
  };
}

/** Some SDKs join a base that ends in a slash with a path that begins with one (wire 1.2). */
function getPath(request: Request): string {
  return new URL(request.url).pathname.replaceAll(/\/{2,}/g, '/');
}

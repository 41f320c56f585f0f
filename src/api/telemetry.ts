/** What SDKs send about themselves, and traces of user code (wire 9.3, 9.6): taken, and not kept. */
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { failure } from './answer.ts';
import type { ApiContext, ApiEnv } from './deps.ts';

const MAX_BYTES = 8 * 1024 * 1024;

export function telemetryRoutes(): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  const limit = bodyLimit({ maxSize: MAX_BYTES, onError: tooLarge });
  for (const path of ['/v0/telemetry', '/v1/traces/userland', '/dev/traces'])
    routes.post(path, limit, (c) => c.json({}));
  return routes;
}

function tooLarge(c: Context): Response {
  return failure(c as ApiContext, 413, `body: over ${MAX_BYTES} bytes`);
}

/** `POST /e/:key`: events come in (EA group). */
import { Hono } from 'hono';
import { acceptRequest } from '../ingest/accept.ts';
import { Refusal } from '../ingest/refusal.ts';
import { authorizeEventKey } from '../keys/access.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';
import { BRANCH_HEADER } from './headers.ts';

export function intakeRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  for (const path of ['/e', '/e/', '/e/:key', '/e/:key/']) {
    routes.post(path, (c) => receive(deps, c));
    routes.all(path, (c) => {
      c.header('allow', 'POST, OPTIONS');
      return c.json({ error: 'method not allowed', status: 405 }, 405);
    });
  }
  return routes;
}

async function receive(deps: ApiDeps, c: ApiContext): Promise<Response> {
  const branch = c.req.header(BRANCH_HEADER) ?? null;
  const access = authorizeEventKey(deps.keys, c.req.param('key') ?? '', branch);
  if (access === null) return c.json({ error: 'Event key not found', status: 401 }, 401);
  try {
    const ids = await acceptRequest(deps.intake, {
      env: access.env,
      source: { kind: 'key', id: access.keyId },
      body: c.req.raw.body,
      contentLength: c.req.header('content-length') ?? null,
      seed: c.req.header('x-inngest-event-id-seed') ?? null,
      background: (work) => keepGoing(c, work),
    });
    return c.json({ ids, status: 200 });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.retryAfter !== null) c.header('retry-after', String(error.retryAfter));
    // None was accepted, and the Python SDK wants the list all the same.
    return c.json({ ids: [], error: error.message, status: error.status }, error.status);
  }
}

/** Outside a Worker there is no such context, and nothing that ends with the answer. */
export function keepGoing(c: ApiContext, work: Promise<unknown>): void {
  try {
    c.executionCtx.waitUntil(work);
  } catch {
    void work;
  }
}

/** `POST /v1/signals`: a signal for the run that waits for it (RA-22, wire 9.4). */
import { Hono } from 'hono';
import { ulid } from '../lib/ulid.ts';
import { limits } from '../protocol/limits.ts';
import { readSignal } from '../protocol/signal.ts';
import { failure, metadata } from './answer.ts';
import { readJson } from './body.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';

export function signalRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.post('/v1/signals', (c) => send(deps, c));
  return routes;
}

async function send({ signals, clock, entropy }: ApiDeps, c: ApiContext): Promise<Response> {
  const now = clock.now();
  const read = readSignal(await readJson(c, limits.requestBytes), ulid(now, entropy.bytes(10)));
  if (typeof read === 'string') return failure(c, 400, read);
  const runId = await signals.send(c.get('env'), read.signal, read.sent);
  if (runId === null) return failure(c, 404, 'No signal found');
  // In both places: SDKs read `data`, the API's description has it beside it.
  return c.json({ data: { run_id: runId }, run_id: runId, metadata: metadata(now) });
}

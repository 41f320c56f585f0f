/** `GET /v1/health`: whether what everything rests on answers, and how often the sweep had to put right what goes on by itself. */
import { Hono } from 'hono';
import { within } from '../ingest/patience.ts';
import { SECOND } from '../lib/time.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';

/** An answer that takes longer is none. */
const PATIENCE = 5 * SECOND;

export function healthRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.get('/v1/health', (c) => show(deps, c));
  return routes;
}

/** 503 where one of them does not answer. `repairs` are counted since the deployment began; null where the sweeper does not answer. */
async function show(deps: ApiDeps, c: ApiContext): Promise<Response> {
  const [database, queue, repairs] = await Promise.all([
    ask(deps, 'database', deps.store.nextCheck()),
    ask(deps, 'queue', deps.eventQueue.backlog()),
    ask(deps, 'sweeper', deps.sweeps.repairs()),
  ]);
  const isWell = [database, queue, repairs].every((answer) => answer !== undefined);
  const body = {
    status: isWell ? 200 : 503,
    version: deps.version,
    database: said(database),
    queue: said(queue),
    sweeper: said(repairs),
    backlog: queue ?? null,
    repairs: repairs ?? null,
  };
  return c.json(body, isWell ? 200 : 503);
}

/** Undefined where there is no answer. */
async function ask<Answer>(
  { intake, log }: ApiDeps,
  who: string,
  asked: Promise<Answer>,
): Promise<Answer | undefined> {
  try {
    const answer = await within(asked, PATIENCE, intake.timer);
    return answer === 'late' ? undefined : answer;
  } catch (error) {
    log.error('health: no answer', { who, error });
    return undefined;
  }
}

function said(answer: unknown): 'ok' | 'no answer' {
  return answer === undefined ? 'no answer' : 'ok';
}

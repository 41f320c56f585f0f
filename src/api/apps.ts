/** Apps and their functions: lists, syncs that the engine asks for, archiving (RA-25, AP-30, AP-42 to AP-48; wire 9.2, 9.7). */
import { Hono } from 'hono';
import * as z from 'zod';
import { readText } from '../ingest/body.ts';
import { Refusal } from '../ingest/refusal.ts';
import { hashUuid } from '../lib/hash.ts';
import { parseJson } from '../lib/json.ts';
import { limits } from '../protocol/limits.ts';
import type { AppRecord } from '../ports.ts';
import { inspect } from '../registry/inspect.ts';
import { RegistrationRefused } from '../registry/registration.ts';
import { sync } from '../registry/sync.ts';
import { VisitFailed } from '../registry/visit.ts';
import { failureV2, missingV2, success, successV2 } from './answer.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';
import { appView, functionView } from './function-views.ts';

export function appRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.get('/v1/apps', async (c) => success(c, await apps(deps, c), deps.clock.now()));
  routes.get('/v1/apps/:app/functions', async (c) => c.json(await functionsOf(deps, c, c.req.param('app'))));
  return routes;
}

/** Of version 2 of the API. */
export function appRoutesV2(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  const data = (c: ApiContext, value: unknown) => successV2(c, value, deps.clock.now());
  routes.get('/apps', async (c) => data(c, await apps(deps, c)));
  routes.get('/apps/:app/functions', async (c) => data(c, await functionsOf(deps, c, c.req.param('app'))));
  routes.get('/apps/:app/functions/:fn', async (c) => {
    const { app, fn } = c.req.param();
    const found = (await functionsOf(deps, c, app)).find(
      ({ slug }) => slug === fn || slug === `${app}-${fn}`,
    );
    return found === undefined ? missingV2(c, 'function') : data(c, found);
  });
  routes.post('/apps/:app/syncs', (c) => syncApp(deps, c, c.req.param('app'), data));
  routes.get('/apps/:app/check', async (c) => {
    const app = await find(deps, c, c.req.param('app'));
    return app === undefined ? missingV2(c, 'app') : data(c, await inspect(deps, c.get('env'), app.url));
  });
  for (const [action, isArchived] of [
    ['archive', true],
    ['unarchive', false],
  ] as const) {
    routes.post(`/apps/:app/${action}`, (c) => archive(deps, c, c.req.param('app'), isArchived, data));
  }
  return routes;
}

async function records(deps: ApiDeps, c: ApiContext): Promise<AppRecord[]> {
  return (await deps.apps.load(c.get('env')))?.apps ?? [];
}

async function find(deps: ApiDeps, c: ApiContext, id: string): Promise<AppRecord | undefined> {
  return (await records(deps, c)).find((app) => app.id === id);
}

async function apps(deps: ApiDeps, c: ApiContext) {
  return (await records(deps, c)).map((app) => appView(c.get('env'), app));
}

async function functionsOf(deps: ApiDeps, c: ApiContext, appId: string) {
  const present = await deps.functions.list(c.get('env'));
  const { paused } = deps.functions.known(c.get('env'));
  return present
    .filter(({ app, config }) => (app === null ? config.id.startsWith(`${appId}-`) : app.id === appId))
    .map((fn) => functionView(fn, paused?.get(fn.config.id)));
}

type Answer = (c: ApiContext, value: unknown) => Response;

const syncRequest = z.object({ url: z.string().optional() });

/** Without `url` the app is synced where it was (AP-42). */
async function syncApp(deps: ApiDeps, c: ApiContext, appId: string, answer: Answer): Promise<Response> {
  try {
    const text = await readText(c.req.raw.body, limits.registrationBytes);
    const wanted = syncRequest.safeParse(text === '' ? {} : parseJson(text));
    if (!wanted.success) return failureV2(c, 400, 'invalid_request', 'url: expected a string');
    const url = wanted.data.url ?? (await find(deps, c, appId))?.url;
    if (url === undefined) return missingV2(c, 'app');
    const syncId = hashUuid(`sync:${deps.intake.entropy.bytes(16).join()}`);
    return answer(c, await sync(deps, c.get('env'), url, syncId));
  } catch (error) {
    if (error instanceof VisitFailed) return failureV2(c, 422, 'sync_failed', error.message);
    if (error instanceof RegistrationRefused)
      return failureV2(c, 422, error.code ?? 'sync_failed', error.message);
    if (error instanceof Refusal) return failureV2(c, error.status, 'invalid_request', error.message);
    throw error;
  }
}

/** AP-45 to AP-48: its schedules stop with it. */
async function archive(
  deps: ApiDeps,
  c: ApiContext,
  appId: string,
  isArchived: boolean,
  answer: Answer,
): Promise<Response> {
  const env = c.get('env');
  const isThere = await deps.apps.setArchived(env, appId, isArchived ? deps.clock.now() : null);
  if (!isThere) return missingV2(c, 'app');
  await deps.crons.sync(env);
  return answer(c, { name: appId, isArchived });
}

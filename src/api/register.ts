/** `POST /fn/register`: an app says what it serves (AP-18 to AP-27, wire 2.3 to 2.6). */
import { Hono } from 'hono';
import { readText } from '../ingest/body.ts';
import { Refusal } from '../ingest/refusal.ts';
import { limits } from '../protocol/limits.ts';
import { readRegistration, type Registration, RegistrationRefused } from '../registry/registration.ts';
import { register } from '../registry/register.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';

const PATH = '/fn/register';

export function registerRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.post(PATH, (c) => receive(deps, c));
  routes.all(PATH, (c) => {
    c.header('allow', 'POST, OPTIONS');
    return c.json({ error: 'method not allowed', data: null, status: 405 }, 405);
  });
  return routes;
}

async function receive(deps: ApiDeps, c: ApiContext): Promise<Response> {
  try {
    checkHeaders(deps.keys.dev, c);
    const registration = readRegistration(await readText(c.req.raw.body, limits.registrationBytes));
    refuseUrl(deps, registration);
    return c.json(await register(deps, c.get('env'), registration, c.req.query('deployId') ?? null));
  } catch (error) {
    if (error instanceof Refusal) return refused(c, error.message, null, error.status);
    if (!(error instanceof RegistrationRefused)) throw error;
    return refused(c, error.message, error.code);
  }
}

/** AP-28. */
function refuseUrl({ network }: ApiDeps, { app }: Registration): void {
  const reason = network.refusal(app.url);
  if (reason !== null) throw new RegistrationRefused(`Invalid request: url: ${reason}`);
}

/** The status is in the body too: some SDKs look only there (AP-25). */
function refused(
  c: ApiContext,
  error: string,
  code: string | null,
  status: 400 | 413 | Refusal['status'] = 400,
) {
  return c.json({ ...(code === null ? {} : { code }), error, data: null, status }, status);
}

function checkHeaders(dev: boolean, c: ApiContext): void {
  const expected = c.req.header('x-inngest-expected-server-kind');
  const kind = dev ? 'dev' : 'cloud';
  if (expected !== undefined && expected !== kind) {
    throw new RegistrationRefused(
      `Expected server kind ${expected === 'dev' ? 'dev' : 'cloud'}, got ${kind}`,
    );
  }
  if ((c.req.header('x-inngest-sdk') ?? '') === '') {
    throw new RegistrationRefused('Invalid request: the header x-inngest-sdk is missing (AP-20)');
  }
}

/** What every answer carries: the server's kind, CORS (wire 1.4), and that it is not to be kept (RA-19). */
import type { MiddlewareHandler } from 'hono';

const METHODS = 'GET, POST, PUT, DELETE, OPTIONS';
/** `*` does not cover `authorization`. */
const HEADERS =
  'authorization, content-type, x-inngest-env, x-inngest-sdk, x-inngest-event-id-seed, traceparent, tracestate, *';

/** Which branch environment a branch key is used for (ENV-9). */
export const BRANCH_HEADER = 'x-inngest-env';

/** Of every answer, also of a deployment that cannot start. @param dev open for local development, which SDKs look at. */
export function baseHeaders(dev: boolean) {
  return {
    'access-control-allow-origin': '*',
    'x-inngest-server-kind': dev ? 'dev' : 'cloud',
    'cache-control': 'no-store',
  };
}

export function commonHeaders(dev: boolean): MiddlewareHandler {
  return async (c, next) => {
    if (c.req.method === 'OPTIONS') {
      c.res = new Response(null, { status: 204 });
      c.header('access-control-allow-methods', METHODS);
      c.header('access-control-allow-headers', c.req.header('access-control-request-headers') ?? HEADERS);
      c.header('access-control-max-age', '3600');
    } else await next();
    for (const [name, value] of Object.entries(baseHeaders(dev))) c.header(name, value);
  };
}

/** For Hono: `app.on(['GET', 'PUT', 'POST'], '/api/inngest', serve({ client, functions }))` (AD-11). */
import { endpoint, type ServeOptions } from './endpoint.ts';

export type { ServeOptions } from './endpoint.ts';

/** The part of Hono's context that is used. */
interface HonoContext {
  req: { raw: Request };
  env?: unknown;
}

export function serve(options: ServeOptions): (c: HonoContext) => Promise<Response> {
  const answer = endpoint(options, 'hono');
  return function handleRequest(c) {
    const env = typeof c.env === 'object' && c.env !== null ? c.env : undefined;
    return answer(c.req.raw, { env, reqArgs: [c] });
  };
}

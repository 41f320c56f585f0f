/** For Workers, as `fetch`, and for Pages Functions, as `onRequest` (AD-12). */
import { endpoint, type ServeOptions } from './endpoint.ts';

export type { ServeOptions } from './endpoint.ts';

interface PagesContext {
  request: Request;
  env: object;
}

export function serve(
  options: ServeOptions,
): (request: Request | PagesContext, env?: object, ctx?: unknown) => Promise<Response> {
  const answer = endpoint(options, 'cloudflare-pages');
  return function handleRequest(first, env, ctx) {
    if (first instanceof Request) return answer(first, { env, reqArgs: [first, env, ctx] });
    if (first?.request instanceof Request) return answer(first.request, { env: first.env, reqArgs: [first] });
    throw new TypeError(
      'serve: expected (request, env) as a Worker is called, or the context of a Pages Function',
    );
  };
}

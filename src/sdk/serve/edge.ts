/** For whatever calls a function with a `Request` and takes a `Response`: edge functions, Bun, Deno, tests. */
import { endpoint, type ServeOptions } from './endpoint.ts';

export type { ServeOptions } from './endpoint.ts';

export function serve(options: ServeOptions): (request: Request) => Promise<Response> {
  const answer = endpoint(options, 'edge');
  return function handleRequest(request) {
    return answer(request, { reqArgs: [request] });
  };
}

/** For Node's own server: `http.createServer(serve({ client, functions }))` (AD-21). */
import { endpoint, type ServeOptions } from './endpoint.ts';

export type { ServeOptions } from './endpoint.ts';

/** The parts of Node's request and response that are used: its types would bring in globals that Workers do not have. */
interface NodeRequest extends AsyncIterable<Uint8Array | string> {
  method?: string | undefined;
  url?: string | undefined;
  headers: Record<string, string | string[] | undefined>;
}
interface NodeResponse {
  writeHead(status: number, headers: Record<string, string>): unknown;
  write(chunk: Uint8Array): unknown;
  end(): unknown;
}

export function serve(
  options: ServeOptions,
): (request: NodeRequest, response: NodeResponse) => Promise<void> {
  const answer = endpoint(options, 'nodejs');
  return async function handleRequest(incoming, outgoing) {
    try {
      const response = await answer(await requestOf(incoming), { reqArgs: [incoming, outgoing] });
      outgoing.writeHead(response.status, Object.fromEntries(response.headers));
      for await (const chunk of response.body ?? []) outgoing.write(chunk as Uint8Array);
    } catch (thrown) {
      options.client.logger.error('serve: a request could not be answered', thrown);
      outgoing.writeHead(500, {});
    }
    outgoing.end();
  };
}

async function requestOf(incoming: NodeRequest): Promise<Request> {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers))
    for (const one of [value ?? []].flat()) headers.append(name, one);
  const { method = 'GET', url = '/' } = incoming;
  const scheme = headers.get('x-forwarded-proto') ?? 'http';
  const chunks: (Uint8Array | string)[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const hasBody = method !== 'GET' && method !== 'HEAD' && chunks.length > 0;
  const body = hasBody ? { body: await new Blob(chunks).text() } : {};
  return new Request(new URL(url, `${scheme}://${headers.get('host') ?? 'localhost'}`), {
    method,
    headers,
    ...body,
  });
}

/** `step.fetch`, and the `fetch` of this package: requests that the engine makes, once for a run (SF group, ST-23 to ST-27). */
import type { Gateway } from '../protocol/op.ts';
import { executionContext } from './context.ts';
import type { StepId } from './execution.ts';
import { after, type Soon } from './soon.ts';

type PlainFetch = (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>;

/** A `fetch` whose requests are steps where it is called in a handler, outside of other steps. */
export interface DurableFetch {
  (input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** @param fallback what is called elsewhere, in place of the runtime's own `fetch`; `undefined`: nothing, such a call rejects. */
  config(options: { fallback: PlainFetch | undefined }): DurableFetch;
}

/** The same as a step tool, with an id of its own where one is given. Default: `step.fetch: <host name>`. */
export interface StepFetch {
  (input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  (step: StepId, input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
}

let fallback: PlainFetch | undefined = (input, init) => globalThis.fetch(input, init);

export const fetch: DurableFetch = Object.assign(
  (input: RequestInfo | URL, init?: RequestInit) => {
    const tools = isInHandler() ? executionContext.getStore()?.tools : null;
    return tools == null ? plainFetch(input, init) : tools.fetch(input, init);
  },
  {
    config: (options: { fallback: PlainFetch | undefined }) => {
      ({ fallback } = options);
      return fetch;
    },
  },
);

/** Where a request can be a step. */
export function isInHandler(): boolean {
  return executionContext.getStore()?.insideStep === false;
}

/** SF-11. */
export async function plainFetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  if (fallback === undefined)
    throw new Error('fetch: called outside of a function, or inside of a step, and no fallback is set');
  return fallback(input, init);
}

export type FetchArguments =
  | [input: RequestInfo | URL, init?: RequestInit]
  | [step: StepId, input: RequestInfo | URL, init?: RequestInit];

export interface FetchCall {
  /** Undefined where the caller has named none. */
  id: StepId | undefined;
  input: RequestInfo | URL;
  init: RequestInit | undefined;
}

/** C-8: what comes before another address is an id. */
export function readFetch(given: FetchArguments): FetchCall {
  const [first, second, third] = given;
  if (typeof second === 'string' || second instanceof URL || second instanceof Request)
    return { id: first as StepId, input: second, init: third };
  return { id: undefined, input: first as RequestInfo | URL, init: second };
}

/** Throws what a plain `fetch` would reject with, and for bodies that cannot be kept for a repeat (ST-27). */
export function requestOf(input: RequestInfo | URL, init: RequestInit | undefined): Request {
  const body = init?.body;
  if (body != null && typeof body !== 'string' && !(body instanceof URLSearchParams))
    throw new TypeError(
      'step.fetch: expected a body that is a text, such as JSON; streams, forms and bytes are not supported',
    );
  const request = new Request(input, init);
  if (/^multipart\//i.test(request.headers.get('content-type') ?? ''))
    throw new TypeError('step.fetch: forms with parts are not supported');
  return request;
}

/** A promise only where there is a body. */
export function gatewayOf(request: Request): Soon<Gateway> {
  const { url, method, headers } = request;
  const base = { op: 'Gateway', url, method, headers: Object.fromEntries(headers) } as const;
  return request.body === null
    ? { ...base, body: null }
    : after(request.text(), (body) => ({ ...base, body }));
}

/** The outcome of the step (SF-6). Engines other than ours leave `url` and `encoding` out. */
export interface GatewayAnswer {
  status_code: number;
  headers: Record<string, string>;
  body: string;
  encoding?: 'base64';
  url?: string;
}

/** ST-25. */
export function responseOf({ status_code: status, headers, body, encoding, url }: GatewayAnswer): Response {
  const bytes = encoding === 'base64' ? bytesOf(body) : body;
  // Some statuses must not have a body, not even an empty one.
  const response = new Response(bytes.length === 0 ? null : bytes, { status, headers });
  return typeof url === 'string' ? Object.defineProperty(response, 'url', { value: url }) : response;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/**
 * Requests to the world outside of the deployment. Nothing of the engine calls an address that a user has given but through here: an
 * address that is not public is refused, also one that a redirect leads to, unless the deployment allows it.
 */
import ipaddr from 'ipaddr.js';

export interface OutgoingDeps {
  fetch(request: Request): Promise<Response>;
  /** Private, loopback and link-local addresses may be called too. */
  allowsPrivate: boolean;
}

/** A repeat of the request would come to the same. The message names the host and nothing else of the address. */
export class RequestRefused extends Error {}

const REDIRECTS = 10;
const REDIRECT_STATUS = [301, 302, 303, 307, 308];
/** Not for another origin's eyes. */
const CREDENTIALS = [
  'authorization',
  'cookie',
  'proxy-authorization',
  'x-api-key',
  'api-key',
  'x-goog-api-key',
];
/** Names that no public zone has. */
const PRIVATE_NAME = /(?:^|\.)(?:localhost|local|internal|intranet|lan|localdomain|home\.arpa)$/;

/** Follows redirects. Rejects with `RequestRefused`, or with what the platform says of a request that failed. */
export async function callOutside(
  url: string,
  { body = null, ...init }: Omit<RequestInit, 'body'> & { body?: string | null },
  deps: OutgoingDeps,
): Promise<Response> {
  let target = checked(url, deps.allowsPrivate);
  let sent: RequestInit = { ...init, body, redirect: 'manual' };
  for (let hops = 0; ; hops++) {
    const response = await deps.fetch(requestOf(target, sent));
    const location = REDIRECT_STATUS.includes(response.status) ? response.headers.get('location') : null;
    if (location === null) return response;
    await response.body?.cancel();
    if (hops === REDIRECTS) throw new RequestRefused(`${target.host} redirects more than ${REDIRECTS} times`);
    const next = checked(location, deps.allowsPrivate, target);
    sent = redirected(sent, response.status, next.origin === target.origin);
    target = next;
  }
}

/** Null where the address may be called. @param url absolute. */
export function refusalOf(url: URL, allowsPrivate: boolean): string | null {
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return 'only http and https addresses can be called';
  if (allowsPrivate || isPublic(url.hostname)) return null;
  return `${url.hostname} is not a public address: the deployment does not allow to call it (STEPWELL_ALLOW_PRIVATE)`;
}

/**
 * By what is written: a Worker sees no resolved addresses. Names of one word are none of the public network, and what `URL` takes for an
 * IPv4 address it writes with dots, whatever it was written as.
 */
function isPublic(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  if (ipaddr.isValid(host)) return isGlobal(ipaddr.process(host));
  return host.includes('.') && !PRIVATE_NAME.test(host);
}

/** Of IPv6 only 2000::/3 is given out: elsewhere lie old forms of IPv4 addresses, `::127.0.0.1`, which the library does not know. */
function isGlobal(address: ReturnType<typeof ipaddr.process>): boolean {
  const isGivenOut = !('parts' in address) || (address.parts[0] ?? 0) >> 13 === 1;
  return isGivenOut && address.range() === 'unicast';
}

function checked(text: string, allowsPrivate: boolean, base?: URL): URL {
  if (!URL.canParse(text, base)) throw new RequestRefused('expected an absolute http or https address');
  const url = new URL(text, base);
  const refusal = refusalOf(url, allowsPrivate);
  if (refusal !== null) throw new RequestRefused(refusal);
  return url;
}

/** What the platform has against a request may quote it, keys and all. */
function requestOf(url: URL, init: RequestInit): Request {
  try {
    return new Request(url, init);
  } catch {
    throw new RequestRefused(
      `the request to ${url.host} cannot be made: check its method, its headers, and its body, which a GET has not`,
    );
  }
}

/** As browsers do it: most redirects turn what is not a GET into one. */
function redirected(init: RequestInit, status: number, isSameOrigin: boolean): RequestInit {
  const headers = new Headers(init.headers);
  if (!isSameOrigin) for (const name of CREDENTIALS) headers.delete(name);
  const method = init.method ?? 'GET';
  const becomesGet = status === 303 ? method !== 'HEAD' : status < 303 && method === 'POST';
  if (!becomesGet) return { ...init, headers };
  for (const name of ['content-type', 'content-length']) headers.delete(name);
  return { ...init, headers, method: 'GET', body: null };
}

/** A call of an app as a request: where it leads, and what comes back, however long or endless. */
import { bindingOf } from '../protocol/address.ts';
import { readUpTo } from '../lib/stream.ts';
import { limits } from '../protocol/limits.ts';
import type { AppNetwork } from '../ports.ts';
import { RequestRefused } from './outgoing.ts';
import { failed, readReply, type Reply } from './reply.ts';

const REDIRECTS = 10;
const REDIRECT_STATUS = [301, 302, 303, 307, 308];

/** Redirects are followed with the original method, body and headers (wire 3.1). Never rejects. */
export async function callApp(
  network: Pick<AppNetwork, 'fetch'>,
  url: string,
  init: RequestInit,
  now: () => number,
): Promise<Reply> {
  const binding = bindingOf(url) ?? undefined;
  let target = url;
  for (let hops = 0; hops <= REDIRECTS; hops++) {
    const response = await reach(network, target, init, binding);
    if ('is' in response) return response;
    const location = REDIRECT_STATUS.includes(response.status) ? response.headers.get('location') : null;
    if (location === null) return read(response, now);
    await response.body?.cancel();
    if (!URL.canParse(location, target)) return unreachable('Your server redirected to no address');
    target = new URL(location, target).href;
  }
  return unreachable(`Your server redirected more than ${REDIRECTS} times`);
}

async function reach(
  network: Pick<AppNetwork, 'fetch'>,
  url: string,
  init: RequestInit,
  binding?: string,
): Promise<Response | Reply> {
  try {
    return await network.fetch(url, init, binding);
  } catch (error) {
    // What the platform says of a failed connection may hold its address.
    return unreachable(error instanceof RequestRefused ? error.message : 'Your server could not be reached');
  }
}

async function read({ status, headers, body }: Response, now: () => number): Promise<Reply> {
  try {
    const text = await readUpTo(body, limits.answerBytes);
    if (text !== null) return readReply({ status, headers, body: text }, now());
  } catch {
    return unreachable('Your server reset the connection while we were reading the reply');
  }
  return failed('ResponseTooLarge', `output_too_large: the answer is over ${limits.answerBytes} bytes`, true);
}

function unreachable(message: string): Reply {
  return failed('ConnectionError', message);
}

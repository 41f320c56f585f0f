/** Requests to an app that are about the app, not about a run: to sync it, to look at it, to see whether it trusts this engine. */
import { isObject, parseJson } from '../lib/json.ts';
import { SECOND } from '../lib/time.ts';
import { readUpTo } from '../lib/stream.ts';
import { bindingOf } from '../protocol/address.ts';
import { limits } from '../protocol/limits.ts';
import type { AppNetwork } from '../ports.ts';

export interface VisitDeps {
  network: AppNetwork;
  keys: { dev: boolean };
  /** The value of `x-inngest-signature`; null where requests are not signed. */
  sign: (body: string, env: string) => string | null;
  /** Whether an answer comes from who has one of the environment's keys. */
  isSigned: (header: string | null, body: string, env: string) => boolean;
}

/** What an app said to it. */
export interface Visit {
  status: number;
  headers: Headers;
  text: string;
  /** Of the text; null where it is none. */
  json: Record<string, unknown> | null;
}

/** The app could not be asked, or nobody of its kind answered; the message is for people. */
export class VisitFailed extends Error {}

const PATIENCE = 30 * SECOND;

/** @param body canonical JSON; null for a request without one. */
export async function visit(
  { network, keys, sign }: VisitDeps,
  env: string,
  url: string,
  { method, body, headers }: { method: string; body: string | null; headers?: Record<string, string> },
): Promise<Visit> {
  const reason = network.refusal(url);
  if (reason !== null) throw new VisitFailed(`url: ${reason}`);
  const signature = sign(body ?? '', env);
  const init = {
    method,
    body,
    headers: {
      'content-type': 'application/json',
      'x-inngest-server-kind': keys.dev ? 'dev' : 'cloud',
      ...(signature === null ? {} : { 'x-inngest-signature': signature }),
      ...headers,
    },
    signal: AbortSignal.timeout(PATIENCE),
  };
  const answer = await reach(network, url, init);
  if (answer.status >= 300 && answer.status < 400)
    throw new VisitFailed('the app redirects to another address');
  return { ...answer, json: objectOf(answer.text) };
}

async function reach(network: AppNetwork, url: string, init: RequestInit) {
  try {
    const response = await network.fetch(url, init, bindingOf(url) ?? undefined);
    const text = await readUpTo(response.body, limits.registrationBytes);
    if (text !== null) return { status: response.status, headers: response.headers, text };
  } catch {
    // What the platform says of a failed connection may hold its address.
    throw new VisitFailed('the app could not be reached');
  }
  throw new VisitFailed(`the app answered more than ${limits.registrationBytes} bytes`);
}

function objectOf(text: string): Visit['json'] {
  const value = parseJson(text);
  return isObject(value) ? value : null;
}

/** SR-10; one in cloud mode that does not trust this engine says only the latter (wire 2.7). */
export function isFromSdk({ headers }: Visit): boolean {
  return headers.has('x-inngest-sdk') || headers.has('x-inngest-sdk-handled');
}

/** The text of one of these members, not longer than fits into a message. */
export function said({ json }: Visit, ...names: string[]): string | null {
  const found = names.map((name) => json?.[name]).find((value) => typeof value === 'string' && value !== '');
  return typeof found === 'string' ? found.slice(0, 300) : null;
}

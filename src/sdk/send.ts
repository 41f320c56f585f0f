/** Sending events to an engine over HTTP (SE group). */
import { isObject } from '../lib/json.ts';
import { LOCAL_ENGINE, type Settings } from './settings.ts';
import type { Fetch } from './types.ts';
import { sdkName } from './version.ts';

const ATTEMPTS = 5;
const FIRST_WAIT = 100;
const PROBE_TIMEOUT = 1_000;

/** A local engine takes any key (SE-23). */
const NO_KEY = 'NO_EVENT_KEY_SET';

const REASONS: Record<number, string> = {
  400: 'cannot process event payload',
  401: 'event key not found',
  403: 'forbidden',
  404: 'event key not found',
  409: 'event transformation failed',
  412: 'event transformation failed',
  413: 'event payload too large',
  500: 'internal server error',
};

/** Answers one id for each event. @param seed of what is sent by a step, whose attempts all send the same events. */
export async function postEvents(
  events: object[],
  settings: Settings,
  fetch: Fetch,
  seed: string | null = idSeed(),
): Promise<string[]> {
  const url = await eventUrl(settings, fetch);
  const init = { method: 'POST', headers: headersOf(settings, seed), body: JSON.stringify(events) };
  for (let attempt = 1; ; attempt++) {
    const answer = await post(url, init, fetch);
    if ('ids' in answer) return answer.ids;
    // Without a seed a second attempt could start everything twice (SE-21).
    if (!answer.retryable || attempt === ATTEMPTS || seed === null) throw answer.error;
    await sleep(FIRST_WAIT * 2 ** (attempt - 1) + Math.random() * FIRST_WAIT);
  }
}

type Answer = { ids: string[] } | { error: unknown; retryable: boolean };

async function post(url: string, init: RequestInit, fetch: Fetch): Promise<Answer> {
  let status: number;
  let text: string;
  try {
    const response = await fetch(url, init);
    status = response.status;
    text = await response.text();
  } catch (thrown) {
    return { error: thrown, retryable: true };
  }
  const body = parseObject(text);
  if (isAccepted(body)) return { ids: body.ids };
  const reason =
    typeof body?.['error'] === 'string' ? body['error'] : (REASONS[status] ?? text.slice(0, 1_000));
  return { error: new Error(`Sending events failed: ${status} ${reason}`), retryable: !isRefusal(status) };
}

/** SE-24. */
function isAccepted(
  body: Record<string, unknown> | null,
): body is { ids: string[] } & Record<string, unknown> {
  return (
    body !== null &&
    body['status'] === 200 &&
    !body['error'] &&
    Array.isArray(body['ids']) &&
    body['ids'].every((id) => typeof id === 'string')
  );
}

/** The same request would be refused again. */
function isRefusal(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function headersOf({ environment, platform }: Settings, seed: string | null): Record<string, string> {
  return {
    'content-type': 'application/json',
    'user-agent': sdkName,
    'x-inngest-sdk': sdkName,
    ...(environment === null ? {} : { 'x-inngest-env': environment }),
    ...(platform === null ? {} : { 'x-inngest-platform': platform }),
    ...(seed === null ? {} : { 'x-inngest-event-id-seed': seed }),
  };
}

/** The engine makes the ids of the events from it, so that a repeated attempt sends the same events (SE-20). */
function idSeed(): string | null {
  try {
    const entropy = crypto.getRandomValues(new Uint8Array(10));
    return `${Date.now()},${btoa(String.fromCharCode(...entropy))}`;
  } catch {
    return null;
  }
}

/** SE-18, SE-22, SE-23, EV-9, EV-10. Throws before anything is sent when there is no engine or no key. */
async function eventUrl(
  { mode, explicit, eventUrl: given, eventKey }: Settings,
  fetch: Fetch,
): Promise<string> {
  if (mode === 'cloud' && eventKey === null) throw new Error(NO_KEY_HELP);
  const base =
    given ?? (mode === 'dev' && !explicit && (await localEngineAnswers(fetch)) ? LOCAL_ENGINE : null);
  if (base === null) throw new Error(mode === 'cloud' ? NO_URL_HELP : NO_LOCAL_ENGINE_HELP);
  if (!/^https?:\/\//i.test(base) || !URL.canParse(base)) throw new Error(BAD_URL_HELP);
  return `${base.replace(/\/+$/, '')}/e/${encodeURIComponent(eventKey ?? NO_KEY)}`;
}

const NO_KEY_HELP =
  'Events cannot be sent without an event key: set INNGEST_EVENT_KEY, or `eventKey` of the client. ' +
  'For a local engine, which needs none, set INNGEST_DEV=1.';
const NO_URL_HELP =
  'Events cannot be sent because no engine is named: set INNGEST_BASE_URL to the address of your deployment, or `baseUrl` of the ' +
  'client. For a local engine set INNGEST_DEV=1.';
const NO_LOCAL_ENGINE_HELP =
  `Events cannot be sent: no local engine answers at ${LOCAL_ENGINE}, and no other is named. Start one, or set INNGEST_BASE_URL ` +
  'to the address of your deployment, or `baseUrl` of the client.';
const BAD_URL_HELP =
  'Events cannot be sent: the base URL (INNGEST_DEV, INNGEST_EVENT_API_BASE_URL, INNGEST_BASE_URL, or `baseUrl` of the client) must ' +
  'begin with http:// or https://.';

/** EV-11: any JSON counts. */
async function localEngineAnswers(fetch: Fetch): Promise<boolean> {
  try {
    const response = await fetch(`${LOCAL_ENGINE}/dev`, { signal: AbortSignal.timeout(PROBE_TIMEOUT) });
    await response.json();
    return true;
  } catch {
    return false;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What an app asks of its engine: large state, signals, and to be registered. */
import { sha256Bytes } from '../../lib/hash.ts';
import { isObject } from '../../lib/json.ts';
import { isUlid, ulidTime } from '../../lib/ulid.ts';
import { hashedKey } from '../../protocol/signature.ts';
import { LOCAL_ENGINE, type Settings } from '../settings.ts';
import type { ExecutionHost } from '../execution.ts';
import { postEvents } from '../send.ts';
import type { Fetch } from '../types.ts';
import { sdkName } from '../version.ts';

const NO_URL_HELP =
  'No engine is named: set INNGEST_BASE_URL to the address of your deployment, or `baseUrl` of the client or of serve(). ' +
  'For a local engine set INNGEST_DEV=1.';

export class EngineClient {
  readonly #settings: Settings;
  readonly #fetch: Fetch;

  constructor(settings: Settings, fetch: Fetch) {
    this.#settings = settings;
    this.#fetch = fetch;
  }

  /** Null where nothing says where the engine is. */
  get url(): string | null {
    const { apiUrl, mode } = this.#settings;
    return (apiUrl ?? (mode === 'dev' ? LOCAL_ENGINE : null))?.replace(/\/+$/, '') ?? null;
  }

  /** With the second key where the first one is refused, as during a rotation (wire 10.2). */
  async request(path: string, init: RequestInit = {}): Promise<Response> {
    const { url } = this;
    if (url === null) throw new Error(NO_URL_HELP);
    const [key, fallback] = this.#settings.signingKeys;
    const ask = (with_: string | undefined) =>
      this.#fetch(`${url}${path}`, { ...init, headers: this.#headers(init.headers, with_) });
    const response = await ask(key);
    const isRefused = response.status === 401 || response.status === 403;
    return isRefused && fallback !== undefined ? ask(fallback) : response;
  }

  /** A JSON body of a GET that must succeed. */
  async read(path: string): Promise<unknown> {
    const response = await this.request(path);
    if (!response.ok)
      throw new Error(`the engine answered ${response.status} when asked for the state of the run`);
    return response.json();
  }

  /** How code sends what it sends from inside of this run. */
  outside(runId: string): Pick<ExecutionHost, 'send' | 'sendSignal'> {
    return {
      send: async (events, stepId, nth) => {
        const seed = seedOf(`${runId}:${stepId ?? 'handler'}:${nth}`, runId);
        return {
          ids: await postEvents(events, this.#settings, this.#fetch, ...(seed === null ? [] : [seed])),
        };
      },
      sendSignal: async (signal) => {
        const response = await this.request('/v1/signals', { method: 'POST', body: JSON.stringify(signal) });
        // Nobody waits for it.
        if (response.status === 404) return {};
        if (!response.ok) throw new Error(`Sending a signal failed: ${response.status}`);
        const body: unknown = await response.json();
        const data = isObject(body) ? body['data'] : null;
        const id = isObject(data) ? data['run_id'] : null;
        return typeof id === 'string' ? { runId: id } : {};
      },
    };
  }

  #headers(given: HeadersInit | undefined, key: string | undefined): Record<string, string> {
    const { environment, platform } = this.#settings;
    return {
      'content-type': 'application/json',
      'user-agent': sdkName,
      'x-inngest-sdk': sdkName,
      ...(environment === null ? {} : { 'x-inngest-env': environment }),
      ...(platform === null ? {} : { 'x-inngest-platform': platform }),
      ...(key === undefined ? {} : { authorization: `Bearer ${hashedKey(key)}` }),
      ...(given as Record<string, string> | undefined),
    };
  }
}

/** Every attempt of a step sends the same events: their ids are made from it (SE-20). Null where the run's id has no time in it. */
function seedOf(text: string, runId: string): string | null {
  if (!isUlid(runId)) return null;
  const bytes = sha256Bytes(text).slice(0, 10);
  return `${ulidTime(runId)},${btoa(String.fromCharCode(...bytes))}`;
}

/**
 * One run whose code is an app behind the SDK protocol, in the same process: real owner, real caller, real wire; the journal is in
 * memory and the clock is moved by hand, so that retries and sleeps take no time. The app is an official SDK's handler, or a stub that
 * answers with what such a handler once did.
 */
import { callGateway } from '../../src/call/gateway.ts';
import type { HttpDeps } from '../../src/call/http.ts';
import { signatures } from '../../src/keys/sign.ts';
import { isObject, type Json } from '../../src/lib/json.ts';
import { functionUuid } from '../../src/protocol/uuids.ts';
import { World, type WorldOptions } from '../call/world.ts';

export type Handler = (request: Request) => Response | Promise<Response>;

/** One call as it went over the wire. */
export interface Recorded {
  url: URL;
  stepId: string;
  headers: Headers;
  text: string;
  body: Body;
  status: number;
  answer: unknown;
}

interface Body {
  ctx: {
    attempt: number;
    max_attempts: number;
    disable_immediate_execution: boolean;
    fn_id: string;
    run_id: string;
    qi_id: string;
    request_id: string;
    generation_id: number;
    use_api: boolean;
    stack: { current: number; stack: string[] };
  };
  event: { name: string; data: Record<string, Json>; user: object };
  events: { user: object }[];
  steps: Record<string, Json>;
  use_api: boolean;
  version: number;
}

export interface RemoteOptions extends Omit<WorldOptions, 'remote'> {
  sdk?: string;
  url?: string;
  signingKeys?: string[];
}

/** As on the wire: SDKs want a ULID. */
const RUN_ID = '01M7WKR1YGMGMB767BZMNTVN3F';

/** The calls of a world, made and under way. */
class Traffic {
  readonly calls: Recorded[] = [];
  open = 0;
  /** Whether the world waits for the answers of calls under way. */
  isPatient = true;
  isRecording = true;
}

export class RemoteWorld extends World {
  readonly #traffic: Traffic;

  private constructor(handler: Handler, options: RemoteOptions, traffic: Traffic) {
    super(() => null, {
      runId: RUN_ID,
      retryInterval: 1_000,
      ...options,
      remote: remoteDeps(handler, options, traffic),
    });
    this.#traffic = traffic;
  }

  static of(handler: Handler, options: RemoteOptions = {}): RemoteWorld {
    return new RemoteWorld(handler, options, new Traffic());
  }

  /** In the order of their answers. */
  get calls(): readonly Recorded[] {
    return this.#traffic.calls;
  }

  set isPatient(isPatient: boolean) {
    this.#traffic.isPatient = isPatient;
  }

  set isRecording(isRecording: boolean) {
    this.#traffic.isRecording = isRecording;
  }

  /** `step` for a discovery, else the name of the step that the call was for; with what came back. */
  get story(): string[] {
    return this.calls.map(({ stepId, status, answer }) => `${stepId.slice(0, 4)} ${status} ${told(answer)}`);
  }
}

function told(answer: unknown): string {
  const ops = Array.isArray(answer) ? answer : [answer];
  return ops
    .map((op: unknown) =>
      isObject(op) && 'op' in op
        ? `${String(op['op'])} ${String(op['displayName'] ?? op['id'])}`
        : JSON.stringify(op),
    )
    .join(', ');
}

function remoteDeps(
  handler: Handler,
  { sdk = 'js:v4.24.0', url = 'http://app.test/api/inngest', signingKeys = [] }: RemoteOptions,
  traffic: Traffic,
): Omit<HttpDeps, 'clock' | 'open' | 'seal'> & { isBusy(): boolean } {
  const pass = async (target: string, init: RequestInit): Promise<Response> => {
    traffic.open++;
    try {
      // Only on the wire do requests have a host.
      const request = new Request(target, init);
      request.headers.set('host', new URL(target).host);
      const text = await request.clone().text();
      const response = await handler(request);
      // As on the wire: other things happen in between.
      await new Promise<void>((go) => void setTimeout(go, 0));
      const isCall = traffic.isRecording && text.startsWith('{"ctx"');
      if (isCall) traffic.calls.push(await record(request, text, response.clone()));
      return response;
    } finally {
      traffic.open--;
    }
  };
  return {
    isBusy: () => traffic.isPatient && traffic.open > 0,
    kind: signingKeys.length === 0 ? 'dev' : 'cloud',
    sign: signatures({ dev: false, eventKeys: [], signingKeys }, { now: () => Date.now() }).sign,
    registered: async (env, id) => ({
      config: { id, name: id, triggers: [{ event: 'shop/order.placed' }], retries: 4 },
      uuid: functionUuid(env, id),
      version: 1,
      app: { id: 'app', uuid: functionUuid(env, 'app'), url, sdk },
    }),
    network: { fetch: (target, init) => pass(target, init) },
    request: (request, isLast) =>
      callGateway(request, isLast, {
        fetch: (outgoing) => pass(outgoing.url, outgoing),
        allowsPrivate: true,
        timeout: 1_000,
      }),
  };
}

async function record(request: Request, text: string, response: Response): Promise<Recorded> {
  const url = new URL(request.url);
  const answer = await response.text();
  return {
    url,
    stepId: url.searchParams.get('stepId') ?? '',
    headers: request.headers,
    text,
    body: JSON.parse(text) as Body,
    status: response.status,
    answer: parsed(answer),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

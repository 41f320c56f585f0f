/**
 * The one URL of an app: what an engine asks there, and what it is answered (SV and SH groups). Made for `Request` and `Response`; the
 * adapters beside it bring other shapes in.
 */
import canonicalize from 'canonicalize';
import * as z from 'zod';
import { isObject, type JsonObject } from '../../lib/json.ts';
import { SECOND } from '../../lib/time.ts';
import { serializeError } from '../../protocol/error.ts';
import { limits } from '../../protocol/limits.ts';
import type { Memo, When } from '../../protocol/op.ts';
import { isSigned, sign } from '../../protocol/signature.ts';
import { type Inngest, isInngest } from '../client.ts';
import { pickVariables, processVariables } from '../settings.ts';
import type { InngestFunction } from '../function.ts';
import type { Fetch } from '../types.ts';
import { sdkName } from '../version.ts';
import { runCall, type CallResult } from './call.ts';
import { EngineClient } from './engine.ts';
import { wireError } from './ops.ts';
import { type AppFacts, inBand, inspection, registration } from './registration.ts';

export interface ServeOptions {
  client: Inngest.Any;
  functions: readonly InngestFunction.Any[];
  /** Wins over `INNGEST_SIGNING_KEY`. Needed unless the engine is a local one. */
  signingKey?: string | undefined;
  /** Taken too, while keys are changed; wins over `INNGEST_SIGNING_KEY_FALLBACK`. */
  signingKeyFallback?: string | undefined;
  /** Scheme, host and port at which the engine reaches the app; wins over `INNGEST_SERVE_HOST`. Default: those of the request. */
  serveHost?: string | undefined;
  /** Its path, such as `/api/inngest`; wins over `INNGEST_SERVE_PATH`. Default: that of the request. */
  servePath?: string | undefined;
  /** Whether calls are answered at once, and their result follows: `"allow"` where the platform is known to take that. Default: `false`. */
  streaming?: 'allow' | 'force' | false | undefined;
  /** Scheme, host and port of the engine; wins over that of the client. */
  baseUrl?: string | undefined;
  /** Default: that of the client. */
  fetch?: Fetch | undefined;
  /** Id of the app, in place of the client's. */
  id?: string | undefined;
}

/** What the platform handed over with the request. */
interface Platform {
  /** Variables and bindings. */
  env?: object | undefined;
  /** As middleware sees it (MW-21). */
  reqArgs: readonly unknown[];
}

export type Endpoint = (request: Request, platform: Platform) => Promise<Response>;

/** How often something is sent while a streamed answer is awaited. */
const KEEP_ALIVE = 3 * SECOND;

export function endpoint(options: ServeOptions, framework: string): Endpoint {
  const { client, id: appId, functions } = checked(options);
  return async (request, { env = {}, reqArgs }) => {
    const { signingKey, signingKeyFallback, baseUrl } = options;
    const settings = client.settings(withoutUndefined({ signingKey, signingKeyFallback, baseUrl }), env);
    const variables = { ...processVariables(), ...pickVariables(env) };
    const { INNGEST_SERVE_HOST, INNGEST_SERVE_PATH, INNGEST_STREAMING } = variables;
    const { serveHost = INNGEST_SERVE_HOST, servePath = INNGEST_SERVE_PATH } = options;
    const { streaming = INNGEST_STREAMING ?? false } = options;
    const app = {
      id: appId,
      appVersion: client.appVersion,
      functions,
      framework,
      settings,
      url: appUrl(request.url, serveHost, servePath),
      isStreaming:
        streaming === 'force' || (streaming === 'allow' && settings.platform === 'cloudflare-pages'),
    };
    const engine = new EngineClient(settings, options.fetch ?? client.fetch);
    return new Visit({ app, client, engine, request, reqArgs }).answer();
  };
}

/** SV-1, FN-32. */
function checked({ client, functions, id }: ServeOptions) {
  if (!isInngest(client)) throw new TypeError('serve: expected { client, functions }');
  if (!Array.isArray(functions)) throw new TypeError('serve: functions: expected a list');
  const appId = id ?? client.id;
  const byId = new Map<string, InngestFunction.Any>();
  for (const fn of (functions as InngestFunction.Any[]).flatMap((one) => one.all())) {
    const own = fn.id(appId);
    if (byId.has(own)) throw new Error(`serve: two functions have the id "${own}"`);
    byId.set(own, fn);
  }
  return { client, id: appId, functions: byId };
}

function withoutUndefined<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Value;
}

/** SH-31. Whatever asks adds parameters of its own. */
function appUrl(requested: string, host: string | undefined, path: string | undefined): URL {
  const url = new URL(requested);
  for (const name of ['fnId', 'stepId', 'deployId', 'probe']) url.searchParams.delete(name);
  return new URL(`${path ?? url.pathname}${url.search}`, host ?? url.origin);
}

/** A body is JSON text. */
interface Reply {
  status: number;
  body: string;
  headers?: Record<string, string>;
}

function reply(status: number, body: unknown, headers: Record<string, string> = {}): Reply {
  return { status, body: JSON.stringify(body), headers };
}

const wireEvent = z.custom<JsonObject>(isObject, { error: 'expected an object' });

const callBody = z.object({
  event: wireEvent,
  events: z.array(wireEvent).default([]),
  steps: z.custom<JsonObject>(isObject, { error: 'expected an object' }),
  version: z.number().default(-1),
  ctx: z.object({
    run_id: z.string(),
    attempt: z.number(),
    max_attempts: z.number().nullish(),
    disable_immediate_execution: z.boolean().default(false),
    use_api: z.boolean().default(false),
    stack: z.object({ stack: z.array(z.string()).nullish() }).nullish(),
  }),
});
type CallBody = z.infer<typeof callBody>;

interface VisitFacts {
  app: AppFacts;
  client: Inngest.Any;
  engine: EngineClient;
  request: Request;
  reqArgs: readonly unknown[];
}

/** One request. */
class Visit {
  readonly #facts: VisitFacts;
  readonly #parameters: URLSearchParams;
  /** Who has signed the request; null: nobody, or it is not asked for. */
  #key: string | null = null;

  constructor(facts: VisitFacts) {
    this.#facts = facts;
    this.#parameters = new URL(facts.request.url).searchParams;
  }

  async answer(): Promise<Response> {
    const { request, app } = this.#facts;
    const text = await request.text();
    const isTrusted = this.#authenticate(text);
    const isCall = request.method === 'POST' && isTrusted && !this.#parameters.has('probe');
    if (isCall && app.isStreaming) return this.#streamed(text);
    return this.#response(await this.#route(text, isTrusted), isTrusted);
  }

  /** In development nothing is asked for; a signature that is there counts all the same, and the answer is signed. */
  #authenticate(text: string): boolean {
    const { app, request } = this.#facts;
    const header = request.headers.get('x-inngest-signature');
    const body = canonicalText(text);
    const now = Date.now();
    this.#key =
      header === null || body === null
        ? null
        : (app.settings.signingKeys.find((key) => isSigned([key], header, body, now)) ?? null);
    return app.settings.mode === 'dev' || this.#key !== null;
  }

  async #route(text: string, isTrusted: boolean): Promise<Reply> {
    const { request, app } = this.#facts;
    if (request.method === 'PUT') return this.#sync(text);
    if (request.method !== 'GET' && request.method !== 'POST')
      return reply(405, { message: 'Method not allowed' });
    if (!isTrusted) {
      this.#explain(text);
      return reply(401, { message: 'Unauthorized' });
    }
    if (request.method === 'GET') return reply(200, inspection(app, this.#key !== null));
    const probe = this.#parameters.get('probe');
    if (probe === null) return this.#call(text);
    return probe === 'trust' ? { status: 200, body: '' } : reply(400, { message: 'Unknown probe' });
  }

  /** SH-20, SH-38. */
  #explain(text: string): void {
    const { client, app, request } = this.#facts;
    if (request.method !== 'POST') return;
    if (app.settings.signingKeys.length === 0)
      client.warnOnce(
        'serve: calls are refused without a signing key: set INNGEST_SIGNING_KEY, or INNGEST_DEV=1',
      );
    else if (text === '')
      client.warnOnce('serve: a call came without its body: has something else read it before?');
  }

  async #sync(text: string): Promise<Reply> {
    const { app, request } = this.#facts;
    const kind = request.headers.get('x-inngest-server-kind');
    if (kind !== null && kind !== app.settings.mode) {
      const message = `this app is in ${app.settings.mode} mode, and was asked by a server of another kind`;
      return reply(400, { code: 'server_kind_mismatch', message });
    }
    return request.headers.get('x-inngest-sync-kind') === 'in_band'
      ? this.#syncInBand(text)
      : this.#register();
  }

  #syncInBand(text: string): Reply {
    const { app } = this.#facts;
    const headers = { 'x-inngest-sync-kind': 'in_band' };
    if (this.#key === null) return reply(401, { code: 'sig_verification_failed' }, headers);
    const parsed = z.strictObject({ url: z.string() }).safeParse(fromJson(text));
    if (!parsed.success || !URL.canParse(parsed.data.url))
      return reply(400, { code: 'invalid_request', message: 'the body: expected { url }' }, headers);
    return reply(200, inBand(app), headers);
  }

  /** SH-26: the engine's answer is that of the app. */
  async #register(): Promise<Reply> {
    const { app, engine, request } = this.#facts;
    const headers = { 'x-inngest-sync-kind': 'out_of_band' };
    const deployId = this.#parameters.get('deployId');
    const kind = request.headers.get('x-inngest-server-kind');
    try {
      const response = await engine.request(
        `/fn/register${deployId === null ? '' : `?deployId=${encodeURIComponent(deployId)}`}`,
        {
          method: 'POST',
          body: JSON.stringify(registration(app, deployId)),
          headers: {
            ...headers,
            'x-inngest-framework': app.framework,
            ...(kind === null ? {} : { 'x-inngest-expected-server-kind': kind }),
          },
        },
      );
      const said: unknown = fromJson(await response.text());
      const { status = response.status, error, modified = false } = isObject(said) ? said : {};
      const message = typeof error === 'string' ? error : 'Successfully registered';
      return reply(typeof status === 'number' ? status : response.status, { message, modified }, headers);
    } catch (thrown) {
      const message = `Failed to register: ${thrown instanceof Error ? thrown.message : 'the engine was not reached'}`;
      return reply(500, { message, modified: false }, headers);
    }
  }

  /** SH-13 to SH-22. */
  async #call(text: string): Promise<Reply> {
    const { app, engine, reqArgs } = this.#facts;
    const fnId = this.#parameters.get('fnId') ?? '';
    try {
      const fn = app.functions.get(fnId);
      if (fn === undefined) throw new Error(`Could not find function with ID "${fnId}"`);
      const body = callBody.parse(fromJson(text));
      const { events, steps } = await this.#state(body);
      const { ctx } = body;
      const stepId = this.#parameters.get('stepId') ?? 'step';
      const result = await runCall(
        fn,
        {
          appId: app.id,
          events,
          runId: ctx.run_id,
          attempt: ctx.attempt,
          maxAttempts: ctx.max_attempts ?? limits.retriesDefault + 1,
          reqArgs,
          target: stepId === 'step' ? null : stepId,
          planOnly: ctx.disable_immediate_execution,
          memos: memosOf(steps, ctx.stack?.stack ?? Object.keys(steps)),
        },
        engine.outside(ctx.run_id),
      );
      return { ...told(result, stepId) };
    } catch (thrown) {
      const problem =
        thrown instanceof z.ZodError ? new Error(`the body of a call: ${z.prettifyError(thrown)}`) : thrown;
      const error = wireError(serializeError(problem));
      return reply(500, { type: 'internal', ...error }, { 'x-inngest-no-retry': 'false' });
    }
  }

  /** SH-11. */
  async #state({ event, events, steps, ctx }: CallBody): Promise<{ events: object[]; steps: JsonObject }> {
    if (!ctx.use_api) return { events: events.length === 0 ? [event] : events, steps };
    const { engine } = this.#facts;
    const path = `/v0/runs/${encodeURIComponent(ctx.run_id)}`;
    const [batch, actions] = await Promise.all([
      engine.read(`${path}/batch`),
      engine.read(`${path}/actions`),
    ]);
    return {
      events: z.array(wireEvent).min(1).parse(batch),
      steps: z.custom<JsonObject>(isObject).parse(actions),
    };
  }

  /** SM-6: a space now and then, and what would have been the answer at the end. */
  #streamed(text: string): Response {
    const work = this.#route(text, true);
    const encoder = new TextEncoder();
    const sealed = async () => {
      const { status, body, headers } = await work;
      const inner = { ...headers, ...this.#headers(body, true) };
      return JSON.stringify({ status, headers: inner, body, version: 2 });
    };
    const stream = new ReadableStream<Uint8Array>({
      async start(controller) {
        const beat = setInterval(() => controller.enqueue(encoder.encode(' ')), KEEP_ALIVE);
        controller.enqueue(encoder.encode(' '));
        const document = await sealed();
        clearInterval(beat);
        controller.enqueue(encoder.encode(document));
        controller.close();
      },
    });
    const headers = { 'content-type': 'application/json', ...this.#headers(null, true) };
    return new Response(stream, { status: 201, headers });
  }

  #response({ status, body, headers }: Reply, isTrusted: boolean): Response {
    const isSync = this.#facts.request.method === 'PUT';
    const all = {
      'content-type': 'application/json',
      ...headers,
      ...this.#headers(body, isTrusted || isSync),
    };
    return new Response(body, { status, headers: all });
  }

  /** SH-34, SH-36. @param isTrusted strangers are told nothing but that an SDK answers. */
  #headers(body: string | null, isTrusted: boolean): Record<string, string> {
    const handled = { 'x-inngest-sdk-handled': 'true' };
    if (!isTrusted) return handled;
    const { app, request } = this.#facts;
    const { environment, platform } = app.settings;
    const passed = ['traceparent', 'tracestate'].flatMap((name) => {
      const value = request.headers.get(name);
      return value === null ? [] : [[name, value] as const];
    });
    const kind = request.headers.get('x-inngest-server-kind');
    return {
      ...handled,
      ...Object.fromEntries(passed),
      'x-inngest-sdk': sdkName,
      'x-inngest-framework': app.framework,
      // As the protocol's version 3 SDK has it: every step that ends is followed by a call.
      'x-inngest-req-version': '1',
      ...(platform === null ? {} : { 'x-inngest-platform': platform }),
      ...(environment === null ? {} : { 'x-inngest-env': environment }),
      ...(kind === null ? {} : { 'x-inngest-expected-server-kind': kind }),
      ...(this.#key === null || body === null
        ? {}
        : { 'x-inngest-signature': sign(this.#key, body, Date.now()) }),
    };
  }
}

function told(result: CallResult, stepId: string): Reply {
  if (result.is === 'notFound') {
    const { found } = result;
    const error = `Could not find step "${stepId}" to run: the code has changed, or comes to it in another way`;
    const body = { error, requestedStep: stepId, foundSteps: found, totalFoundSteps: found.length };
    return reply(500, body, { 'x-inngest-no-retry': 'false' });
  }
  if (result.is === 'ops') {
    const { ops, isFinal, retryAfter } = result;
    return reply(206, ops, { 'x-inngest-no-retry': String(isFinal), ...waits(retryAfter) });
  }
  const { outcome } = result;
  if (outcome.ok) return { status: 200, body: outcome.data };
  const headers = { 'x-inngest-no-retry': String(outcome.final), ...waits(outcome.retryAfter ?? null) };
  return reply(outcome.final ? 400 : 500, wireError(outcome.error), headers);
}

/** SH-17. */
function waits(when: When | null): Record<string, string> {
  if (when === null) return {};
  const text = 'in' in when ? String(Math.ceil(when.in / SECOND)) : new Date(when.at).toISOString();
  return { 'retry-after': text };
}

/** SH-12. What has only been given other input is not settled. */
function memosOf(steps: JsonObject, order: readonly string[]): Map<string, Memo> {
  const memos = new Map<string, Memo>();
  for (const id of order) {
    const step = Object.hasOwn(steps, id) ? steps[id] : undefined;
    if (step !== undefined && !hasOnly(step, 'input')) memos.set(id, memoOf(step));
  }
  return memos;
}

function memoOf(step: unknown): Memo {
  if (hasOnly(step, 'error')) return { error: serializeError(step['error']) };
  return { data: JSON.stringify(hasOnly(step, 'data') ? step['data'] : step) ?? 'null' };
}

function hasOnly<Name extends string>(step: unknown, name: Name): step is Record<Name, unknown> {
  return isObject(step) && Object.keys(step).length === 1 && name in step;
}

/** What signatures are made of; null for what is neither JSON nor empty. */
function canonicalText(text: string): string | null {
  if (text === '') return '';
  try {
    return canonicalize(JSON.parse(text)) ?? null;
  } catch {
    return null;
  }
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

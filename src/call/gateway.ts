/** The requests that the engine makes as steps: `step.fetch` and `step.ai.infer` (SF and AI groups, wire 3.11). */
import { isObject, type Json } from '../lib/json.ts';
import { limits } from '../protocol/limits.ts';
import type { AIGateway, Gateway, StepTool, When } from '../protocol/op.ts';
import type { StepOutcome } from '../sdk/execution.ts';
import { callOutside, RequestRefused, type OutgoingDeps } from './outgoing.ts';

export interface GatewayDeps extends OutgoingDeps {
  /** How long an answer may take, its body included; milliseconds. */
  timeout: number;
}

interface Answer {
  url: string;
  status: number;
  headers: Record<string, string>;
  bytes: Uint8Array;
  /** When to try again. */
  retryAfter?: When;
}

/** They describe the body as it travelled. */
const TRAVEL = new Set(['content-encoding', 'content-length', 'transfer-encoding']);
/** Shorter texts are no keys: what looks like them is left as it is. */
const SECRET_LENGTH = 4;

/** SF-2. Never rejects. @param isLast no further attempt will be made. */
export async function callGateway(
  request: Gateway | AIGateway,
  isLast: boolean,
  deps: GatewayDeps,
): Promise<StepOutcome> {
  if (request.op === 'AIGateway') return infer(request, deps);
  const { url, method, headers, body } = request;
  const answer = await answerTo('GatewayError', url, { method, headers, body }, deps);
  if ('ok' in answer) return answer;
  // SF-8: with no attempt left the answer is what it is, as with any `fetch`.
  if (isToBeRepeated(answer.status) && !isLast) return refused('GatewayError', answer, false);
  return {
    ok: true,
    data: JSON.stringify({
      url: answer.url,
      status_code: answer.status,
      headers: answer.headers,
      ...bodyOf(answer.bytes),
    }),
  };
}

async function infer(request: AIGateway, deps: GatewayDeps): Promise<StepOutcome> {
  // AI-10.
  if (request.body['stream'] === true) return failed('an inference cannot be streamed: leave `stream` out');
  const { url, headers } = authorized(request);
  const body = JSON.stringify(request.body);
  const answer = await answerTo('AIGatewayError', url, { method: 'POST', headers, body }, deps);
  if ('ok' in answer) return answer;
  const text = withoutSecrets(new TextDecoder().decode(answer.bytes), request);
  const value = parsed(text);
  if (answer.status < 200 || answer.status > 299)
    return refused('AIGatewayError', answer, !isToBeRepeated(answer.status), reasonIn(value));
  if (value === undefined) return failed(`${hostOf(url)} did not answer with JSON`, false);
  return { ok: true, data: JSON.stringify(value) };
}

/** What people see of such a step. */
export function shownRequest(request: Gateway | AIGateway): { tool: StepTool; input?: string } {
  return request.op === 'Gateway'
    ? { tool: 'step.fetch' }
    : { tool: 'step.ai.infer', input: inferenceInput(request) };
}

/** What a trace shows of an inference (AI-8): no key, no query (AI-7). JSON text. */
export function inferenceInput(request: AIGateway): string {
  const { format, body } = request;
  const [url] = request.url.split('?');
  return withoutSecrets(JSON.stringify({ format, url, body }), request);
}

/** AI-6: the SDK's own headers win. What of them cannot be sent is for whoever makes the request to refuse. */
function authorized(request: AIGateway): { url: string; headers: Record<string, string> } {
  const { url, authKey, format } = request;
  const given = Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  const headers: Record<string, string> = Object.fromEntries(given);
  const sent = { 'content-type': 'application/json' };
  if (format === 'gemini') return { url: withKey(url, authKey), headers: { ...sent, ...headers } };
  // Azure's key has a header of its own.
  if (authKey === '' || Object.hasOwn(headers, 'api-key')) return { url, headers: { ...sent, ...headers } };
  const [name, value] =
    format === 'anthropic'
      ? ['x-api-key', authKey]
      : ['authorization', format === 'bedrock' ? authKey : `Bearer ${authKey}`];
  return { url, headers: { ...sent, [name]: value, ...headers } };
}

function withKey(text: string, key: string): string {
  if (!URL.canParse(text)) return text;
  const url = new URL(text);
  if (!url.searchParams.get('key')) url.searchParams.set('key', key);
  return url.href;
}

/** The answer, or how the attempt failed without one. */
async function answerTo(
  name: string,
  url: string,
  init: Parameters<typeof callOutside>[1],
  deps: GatewayDeps,
): Promise<Answer | StepOutcome> {
  const signal = AbortSignal.timeout(deps.timeout);
  try {
    const response = await callOutside(url, { ...init, signal }, deps);
    return {
      url: response.url === '' ? url : response.url,
      status: response.status,
      headers: headersOf(response),
      bytes: await bytesOf(response),
      ...retryAfterOf(response),
    };
  } catch (thrown) {
    const message =
      thrown instanceof RequestRefused
        ? thrown.message
        : signal.aborted
          ? `${hostOf(url)} did not answer within ${deps.timeout} ms`
          : `no answer of ${hostOf(url)}: it could not be reached, or the connection was lost`;
    return { ok: false, error: { name, message }, final: thrown instanceof RequestRefused };
  }
}

function refused(
  name: string,
  { url, status, retryAfter }: Answer,
  final: boolean,
  reason: string | null = null,
): StepOutcome {
  const message = `${hostOf(url)} answered ${status}${reason === null ? '' : `: ${reason}`}`;
  return { ok: false, error: { name, message }, final, ...(retryAfter === undefined ? {} : { retryAfter }) };
}

function failed(message: string, final = true): StepOutcome {
  return { ok: false, error: { name: 'AIGatewayError', message }, final };
}

/** SF-8. */
function isToBeRepeated(status: number): boolean {
  return status === 429 || status >= 500;
}

function retryAfterOf({ headers }: Response): { retryAfter?: When } {
  const text = headers.get('retry-after');
  if (text === null) return {};
  if (/^\d+$/.test(text)) return { retryAfter: { in: Number(text) * 1_000 } };
  const at = Date.parse(text);
  return Number.isNaN(at) ? {} : { retryAfter: { at } };
}

function headersOf(response: Response): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of response.headers) {
    if (TRAVEL.has(name)) continue;
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  return headers;
}

/** LM-3: never holds much more than a step's output may be. */
async function bytesOf({ body }: Response): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of body ?? []) {
    length += piece.byteLength;
    if (length > limits.outputBytes)
      throw new RequestRefused(
        `the answer is larger than ${limits.outputBytes} bytes, which is the limit of a step`,
      );
    pieces.push(piece);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/** SF-9: text, and what is none as base64 with a mark. */
function bodyOf(bytes: Uint8Array): { body: string; encoding?: 'base64' } {
  try {
    return { body: new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes) };
  } catch {
    const characters = Array.from(bytes, (byte) => String.fromCharCode(byte));
    return { body: btoa(characters.join('')), encoding: 'base64' };
  }
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** AI-9: OpenAI, Anthropic and Gemini say it in the same place; Gemini sometimes in a list. */
function reasonIn(value: Json | undefined): string | null {
  const answer = Array.isArray(value) ? value[0] : value;
  const error = isObject(answer) ? answer['error'] : null;
  const message = isObject(error) ? error['message'] : error;
  return typeof message === 'string' ? message.slice(0, limits.errorText) : null;
}

/** AI-7: an answer may quote what it was asked with. */
function withoutSecrets(text: string, { authKey, headers, url }: AIGateway): string {
  const key = URL.canParse(url) ? (new URL(url).searchParams.get('key') ?? '') : '';
  const given = Object.entries(headers).flatMap(([name, value]) =>
    /key|auth|token|cookie/i.test(name) ? [value, value.replace(/^\w+ /, '')] : [],
  );
  const secrets = [authKey, authKey.replace(/^\w+ /, ''), key, ...given];
  return secrets
    .filter((secret) => secret.length >= SECRET_LENGTH)
    .reduce((left, secret) => left.replaceAll(JSON.stringify(secret).slice(1, -1), '[hidden]'), text);
}

/** Without path and query: they may hold keys. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'the address';
}

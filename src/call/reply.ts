/** What an app's HTTP response says (wire 3.5, 3.10): something is made of whatever comes. Pure. */
import * as z from 'zod';
import { DAY, parseInstant, SECOND } from '../lib/time.ts';
import { isObject, jsonDepth, parseJson } from '../lib/json.ts';
import type { SerializedError } from '../protocol/error.ts';
import { limits } from '../protocol/limits.ts';
import type { When } from '../protocol/op.ts';
import { wireError, wireOps, type WireOp } from './wire-ops.ts';

export interface Received {
  status: number;
  headers: Headers;
  body: string;
}

export type Reply =
  | { is: 'returned'; output: string }
  /** `final`: what failed among them is not to be tried again. */
  | { is: 'ops'; ops: WireOp[]; version: number | null; final: boolean; retryAfter?: When }
  | { is: 'failed'; error: SerializedError; final: boolean; retryAfter?: When };

const SDK = 'x-inngest-sdk';
const NO_RETRY = 'x-inngest-no-retry';
const RETRY_AFTER = 'retry-after';
const VERSION = 'x-inngest-req-version';
/** Of a body that no SDK wrote, in a message. */
const EXCERPT = 500;

export function failed(name: string, message: string, final = false): Reply {
  return { is: 'failed', error: { name, message }, final };
}

/** @param now for `retry-after` as a moment. */
export function readReply(received: Received, now: number): Reply {
  if (received.status !== 201 || !received.headers.has(SDK)) return read(received, now);
  const inner = isTooDeep(received.body) ? tooDeep() : unwrap(received);
  return 'status' in inner ? read(inner, now) : inner;
}

/** What nests deeper can be parsed, but not written again. */
function isTooDeep(text: string): boolean {
  return jsonDepth(text, limits.eventDepth) > limits.eventDepth;
}

function tooDeep(): Reply {
  return failed('BadResponse', `the answer nests deeper than ${limits.eventDepth} levels`);
}

function read({ status, headers, body }: Received, now: number): Reply {
  if (isTooDeep(body)) return tooDeep();
  const isSdk = headers.has(SDK);
  const isGood = status >= 200 && status < 300;
  if (isGood && !isSdk)
    return failed('UpstreamError', `not an SDK response: HTTP ${status}: ${excerpt(body)}`);
  const how = { final: isTrue(headers.get(NO_RETRY)), ...retryAfter(headers.get(RETRY_AFTER), now) };
  if (status === 206) return readOps(body, version(headers), how);
  if (isGood) return { is: 'returned', output: outputOf(body) };
  return { is: 'failed', error: isSdk ? sdkError(status, body) : upstreamError(status, body), ...how };
}

type How = Pick<Extract<Reply, { is: 'ops' }>, 'final' | 'retryAfter'>;

function readOps(body: string, requestVersion: number | null, how: How): Reply {
  const parsed = wireOps.safeParse(parse(body));
  if (parsed.success) return { is: 'ops', ops: parsed.data, version: requestVersion, ...how };
  const at = parsed.error.issues[0]?.path.join('.') ?? '';
  return failed('BadResponse', `HTTP 206: body${at === '' ? '' : `.${at}`}: expected operations`);
}

const envelope = z.object({
  status: z.number().int(),
  headers: z.record(z.string(), z.unknown()).nullish(),
  body: z.unknown().optional(),
  error: z.string().nullish(),
  /** Go's own. */
  noRetry: z.boolean().nullish(),
  retryAt: z.string().nullish(),
});

/** The document that follows the white space which kept the connection alive. Its headers count before those of the response. */
function unwrap({ headers: outer, body }: Received): Received | Reply {
  const parsed = envelope.safeParse(parse(body.trim()));
  if (!parsed.success) return failed('BadResponse', 'the streamed response ended before its result');
  const { status, error, noRetry, retryAt, headers: inner } = parsed.data;
  if (error != null && error !== '') return failed('Error', error, noRetry === true);
  const headers = new Headers(outer);
  for (const [name, value] of Object.entries(inner ?? {})) {
    if (typeof value === 'string') put(headers, name, value);
  }
  if (noRetry === true) headers.set(NO_RETRY, 'true');
  if (retryAt != null) put(headers, RETRY_AFTER, retryAt);
  const { body: text } = parsed.data;
  return { status, headers, body: typeof text === 'string' ? text : JSON.stringify(text ?? null) };
}

/** What cannot be a header says nothing. */
function put(headers: Headers, name: string, value: string): void {
  try {
    headers.set(name, value);
  } catch {
    // It came as JSON, which has no such rules.
  }
}

/** JSON as it came; text that is none, as a string; nothing, as null. */
function outputOf(body: string): string {
  if (body.trim() === '') return 'null';
  const value = parse(body);
  return JSON.stringify(value === undefined ? body : value);
}

function sdkError(status: number, body: string): SerializedError {
  const error = errorIn(parse(body));
  if (error !== null) return wireError(error);
  return { name: 'Error', message: body.trim() === '' ? `the app answered HTTP ${status}` : excerpt(body) };
}

/** XL-26: as text in text it is opened once; an SDK's own trouble is in `error`. */
function errorIn(value: unknown): object | null {
  const found = typeof value === 'string' ? (parse(value) ?? value) : value;
  if (!isObject(found)) return typeof found === 'string' && found !== '' ? { message: found } : null;
  if (typeof found['message'] === 'string') return found;
  const inner = found['error'] ?? found['body'];
  if (isObject(inner)) return inner;
  return typeof inner === 'string' ? { message: inner } : null;
}

function upstreamError(status: number, body: string): SerializedError {
  const message = `Your server returned HTTP ${status} before the SDK responded.`;
  return { name: 'UpstreamError', message, stack: excerpt(body) };
}

/** Wire 3.5: at most a day, at least a second; what cannot be read says nothing. */
function retryAfter(written: string | null, now: number): { retryAfter?: When } {
  if (written === null) return {};
  const at = /^\d{1,7}$/.test(written.trim()) ? now + Number(written) * SECOND : parseInstant(written.trim());
  return at === null ? {} : { retryAfter: { at: Math.min(Math.max(at, now + SECOND), now + DAY) } };
}

function version(headers: Headers): number | null {
  const written = headers.get(VERSION) ?? '';
  return /^-?\d+$/.test(written) ? Number(written) : null;
}

function isTrue(written: string | null): boolean {
  return written?.trim().toLowerCase() === 'true';
}

function excerpt(body: string): string {
  return body.length <= EXCERPT ? body : `${body.slice(0, EXCERPT)}…`;
}

/** Also of texts in texts. */
function parse(text: string): unknown {
  return isTooDeep(text) ? undefined : parseJson(text);
}

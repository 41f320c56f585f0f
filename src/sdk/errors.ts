/** The errors that mean something to the engine, and how each is recognised (ER group of the SDK specification). */
import { parseDuration } from '../lib/duration.ts';
import { serializeError, type SerializedError } from '../protocol/error.ts';
import type { When } from '../protocol/op.ts';

/** Thrown by a step or a handler: no further attempt is made (ER-2). */
export class NonRetriableError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'NonRetriableError';
  }
}

/** Thrown by a step or a handler: says when the next attempt is made (ER-3). */
export class RetryAfterError extends Error {
  /** Whole seconds from now, or an ISO time (ER-4): the form of the `Retry-After` header. */
  readonly retryAfter: string;

  /** @param retryAfter milliseconds, a text such as `"30m"`, or a date. */
  constructor(message: string, retryAfter: number | string | Date, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RetryAfterError';
    this.retryAfter = retryAfter instanceof Date ? isoTime(retryAfter) : wholeSeconds(retryAfter);
  }
}

/** What a step that failed for good throws into the handler: it looks like the original error (ER-6). */
export class StepError extends Error {
  readonly stepId: string;

  constructor(stepId: string, error: SerializedError) {
    super(error.message);
    this.stepId = stepId;
    dressAs(this, error);
  }
}

/** Also true of an error that another copy of the package has made (ER-5). */
export function isNonRetriable(thrown: unknown): boolean {
  return thrown instanceof NonRetriableError || nameOf(thrown) === 'NonRetriableError';
}

/** Also true of an error that another copy of the package has made (ER-5), as long as its time can be read. */
export function isRetryAfter(thrown: unknown): thrown is { retryAfter: string } {
  if (!(thrown instanceof RetryAfterError) && nameOf(thrown) !== 'RetryAfterError') return false;
  const { retryAfter } = thrown as { retryAfter?: unknown };
  return typeof retryAfter === 'string' && (isSeconds(retryAfter) || !Number.isNaN(Date.parse(retryAfter)));
}

/** Step errors never come from elsewhere: the code that throws them is in the same copy as this. */
export function isStepError(thrown: unknown): thrown is StepError {
  return thrown instanceof StepError;
}

/** The error that an event tells of, as a plain `Error` (OF-6), whatever form it has there. */
export function restoreError(told: unknown): Error {
  return restore(serializeError(told));
}

export function retryAfterOf({ retryAfter }: { retryAfter: string }): When {
  return isSeconds(retryAfter) ? { in: Number(retryAfter) * 1_000 } : { at: Date.parse(retryAfter) };
}

function wholeSeconds(time: number | string): string {
  const ms = typeof time === 'number' ? time : parseText(time);
  if (!Number.isFinite(ms)) throw badTime();
  return String(Math.max(0, Math.ceil(ms / 1_000)));
}

/** NaN for what is no duration, and for an empty text. */
function parseText(text: string): number {
  return text.trim() === '' ? Number.NaN : (parseDuration(text) ?? Number.NaN);
}

function isoTime(date: Date): string {
  if (Number.isNaN(date.getTime())) throw badTime();
  return date.toISOString();
}

function badTime(): TypeError {
  return new TypeError('retryAfter: expected milliseconds, a text such as "30m", or a valid Date');
}

function isSeconds(text: string): boolean {
  return /^\d+$/.test(text);
}

/** Never throws, whatever was thrown. */
function nameOf(thrown: unknown): unknown {
  try {
    return (thrown as { name?: unknown } | null | undefined)?.name;
  } catch {
    return undefined;
  }
}

function dressAs(error: Error, original: SerializedError): void {
  error.name = original.name;
  error.stack = original.stack ?? `${original.name}: ${original.message}`;
  if (original.cause !== undefined) error.cause = restore(original.cause);
}

function restore(original: SerializedError): Error {
  const error = new Error(original.message);
  dressAs(error, original);
  return error;
}

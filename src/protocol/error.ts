/** An error as it crosses a boundary (ER-6, ER-7, SH-18). */
import { isObject, type Json } from '../lib/json.ts';
import { limits } from './limits.ts';

export interface SerializedError {
  name: string;
  message: string;
  stack?: string;
  cause?: SerializedError;
  /** What an SDK reported with it, for that SDK (XL-18). */
  data?: Json;
  /** Of the engine's own errors: remote code knows them by other names. */
  code?: ErrorCode;
}

export type ErrorCode = 'invokeTimeout' | 'functionNotFound' | 'functionCancelled';

const CAUSES = 5;

/** Completes an error of any shape; never throws, whatever was thrown by user code (a getter included). */
export function serializeError(thrown: unknown, depth = 0): SerializedError {
  try {
    if (!isObject(thrown) && !(thrown instanceof Error)) {
      return { name: 'Error', message: cut(nonErrorText(thrown)), stack: '' };
    }
    const { name, message, stack, cause } = thrown as { [key: string]: unknown };
    return {
      name: typeof name === 'string' && name !== '' ? cut(name) : 'Error',
      message: cut(typeof message === 'string' ? message : nonErrorText(thrown)),
      ...(typeof stack === 'string' ? { stack: cut(stack) } : {}),
      ...(cause === undefined || depth >= CAUSES ? {} : { cause: serializeError(cause, depth + 1) }),
    };
  } catch {
    return { name: 'Error', message: 'Unknown error' };
  }
}

function nonErrorText(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown;
  try {
    return JSON.stringify(thrown) ?? String(thrown);
  } catch {
    return 'Unknown error';
  }
}

function cut(text: string): string {
  return text.length <= limits.errorText ? text : `${text.slice(0, limits.errorText)}… (cut)`;
}

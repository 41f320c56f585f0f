/** When a failed attempt is made again (RT group). The jitter is a hash, so that a replay computes the same moment. */
import { hashNumber } from '../lib/hash.ts';
import { DAY } from '../lib/time.ts';
import type { SerializedError } from '../protocol/error.ts';
import { limits, RETRY_DELAYS, RETRY_JITTER } from '../protocol/limits.ts';
import type { When } from '../protocol/op.ts';
import type { RunConfig } from './state.ts';

/**
 * @param what the step's id, or '' for the handler.
 * @param attempt the attempt that failed, from 0.
 */
export function retryAt(
  config: RunConfig,
  what: string,
  attempt: number,
  now: number,
  retryAfter?: When,
): number {
  if (retryAfter !== undefined)
    return Math.min(Math.max(moment(retryAfter, now), now), now + limits.retryAfter);
  if (config.retryInterval !== null) return now + config.retryInterval;
  const delay = RETRY_DELAYS[Math.min(attempt, RETRY_DELAYS.length - 1)] ?? 0;
  return now + delay + hashNumber(`${config.runId}:${what}:${attempt}`, RETRY_JITTER + 1);
}

/** @param id of the requirement. */
export function tooLong(name: string, what: string, id: string): SerializedError {
  return { name, message: `${what} may last at most ${limits.sleep / DAY} days (${id})` };
}

export function moment(when: When, now: number): number {
  return 'at' in when ? when.at : now + when.in;
}

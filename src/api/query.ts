/** Query parameters of lists (RA-8): each is checked, and a bad one says what was expected. */
import { isUlid } from '../lib/ulid.ts';
import { HOUR } from '../lib/time.ts';
import type { EventQuery } from '../ports.ts';

export const DEFAULT_LIMIT = 50;
export const MAX_LIMIT = 100;
export const LIMIT_RANGE = `expected a whole number from 1 to ${MAX_LIMIT}`;

const INSTANT = /^\d{4}-\d{2}-\d{2}t\d{2}:\d{2}:\d{2}(\.\d+)?(z|[+-]\d{2}:\d{2})$/i;

/** A text is what is wrong with the request. */
export function eventQuery(params: Record<string, string>, env: string, now: number): EventQuery | string {
  const { name, limit, cursor } = params;
  const after = optional(params['received_after']);
  const before = optional(params['received_before']);
  if (limit !== undefined && !isLimit(limit)) return `limit: ${LIMIT_RANGE}`;
  if (cursor !== undefined && !isUlid(cursor)) return 'cursor: expected the internal id of an event';
  if (after === null) return 'received_after: expected an RFC 3339 time';
  if (before === null) return 'received_before: expected an RFC 3339 time';
  return {
    env,
    limit: Number(limit ?? DEFAULT_LIMIT),
    receivedAfter: after ?? now - HOUR,
    ...(before === undefined ? {} : { receivedBefore: before }),
    ...(name === undefined || name === '' ? {} : { name }),
    ...(cursor === undefined ? {} : { cursor }),
  };
}

export function isLimit(text: string): boolean {
  return /^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= MAX_LIMIT;
}

/** Undefined when absent, null when it is not a time. */
function optional(text: string | undefined): number | null | undefined {
  return text === undefined ? undefined : instant(text);
}

/** RFC 3339 to milliseconds; null when it is not such a time. */
export function instant(text: string): number | null {
  // A "+" that was not escaped arrives as a space.
  const written = text.replace(' ', '+');
  const ms = INSTANT.test(written) ? Date.parse(written.toUpperCase()) : NaN;
  return Number.isNaN(ms) ? null : ms;
}

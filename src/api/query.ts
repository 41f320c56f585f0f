/** Query parameters of lists (RA-8): each is checked, and a bad one says what was expected. */
import { isUlid } from '../lib/ulid.ts';
import { HOUR } from '../lib/time.ts';
import type { EventQuery } from '../ports.ts';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 100;

const INSTANT = /^\d{4}-\d{2}-\d{2}t\d{2}:\d{2}:\d{2}(\.\d+)?(z|[+-]\d{2}:\d{2})$/i;

/** A text is what is wrong with the request. */
export function eventQuery(params: Record<string, string>, env: string, now: number): EventQuery | string {
  const { name, limit, cursor } = params;
  const after = instant(params['received_after']);
  const before = instant(params['received_before']);
  if (limit !== undefined && !(/^\d{1,3}$/.test(limit) && Number(limit) >= 1 && Number(limit) <= MAX_LIMIT)) {
    return `limit: expected a whole number from 1 to ${MAX_LIMIT}`;
  }
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

/** Undefined when absent, null when it is not a time. */
function instant(text: string | undefined): number | null | undefined {
  if (text === undefined) return undefined;
  // A "+" that was not escaped arrives as a space.
  const written = text.replace(' ', '+');
  const ms = INSTANT.test(written) ? Date.parse(written.toUpperCase()) : NaN;
  return Number.isNaN(ms) ? null : ms;
}

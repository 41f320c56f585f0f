/** The shapes of every answer of the REST API: of version 1 (RA-3, RA-4), and of version 2 (wire 9.7). */
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { ApiContext } from './deps.ts';

export type Status = Extract<ContentfulStatusCode, 400 | 401 | 404 | 405 | 409 | 410 | 413 | 500 | 501 | 503>;

export function success(c: ApiContext, data: unknown, now: number): Response {
  return c.json({ data, metadata: metadata(now) });
}

export function metadata(now: number) {
  return { fetched_at: rfc3339(now), cached_until: null };
}

export function failure(c: ApiContext, status: Status, error: string): Response {
  return c.json({ error, data: null, status }, status);
}

export function successV2(
  c: ApiContext,
  data: unknown,
  now: number,
  status: ContentfulStatusCode = 200,
): Response {
  return c.json({ data, metadata: { fetchedAt: rfc3339(now), cachedUntil: null } }, status);
}

export function failureV2(
  c: ApiContext,
  status: ContentfulStatusCode,
  code: string,
  message: string,
): Response {
  return c.json({ errors: [{ code, message }] }, status);
}

export function missingV2(c: ApiContext, what: 'app' | 'event' | 'function' | 'run'): Response {
  return failureV2(c, 404, 'not_found', `There is no such ${what}`);
}

/** UTC with milliseconds (RA-7). */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}

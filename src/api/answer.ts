/** The two shapes of every answer of the REST API (RA-3, RA-4). */
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

/** UTC with milliseconds (RA-7). */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}

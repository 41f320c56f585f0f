/** The body of a request as JSON. */
import { readText } from '../ingest/body.ts';
import { Refusal } from '../ingest/refusal.ts';
import { jsonDepth, parseJson } from '../lib/json.ts';
import { limits } from '../protocol/limits.ts';
import type { ApiContext } from './deps.ts';

/**
 * Counted while it is read, and checked for its depth before anything walks it. Throws a `Refusal`, which the front answers with.
 * @param limit in bytes.
 */
export async function readJson(c: ApiContext, limit: number): Promise<unknown> {
  const text = await readText(c.req.raw.body, limit);
  if (jsonDepth(text, limits.eventDepth) > limits.eventDepth) {
    throw new Refusal(400, `the body nests deeper than ${limits.eventDepth} levels`);
  }
  const value = parseJson(text);
  if (value === undefined) throw new Refusal(400, 'the body is not valid JSON');
  return value;
}

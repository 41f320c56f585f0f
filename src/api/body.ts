/** Bodies of requests, read and checked. What is wrong with one is thrown as a `Refusal`, in words that name no value. */
import type * as z from 'zod';
import { readText } from '../ingest/body.ts';
import { Refusal } from '../ingest/refusal.ts';
import { jsonDepth, parseJson } from '../lib/json.ts';
import { limits } from '../protocol/limits.ts';
import type { ApiContext } from './deps.ts';

/** An empty body is an empty object. */
export async function readBody<Schema extends z.ZodType>(
  c: ApiContext,
  schema: Schema,
): Promise<z.infer<Schema>> {
  const text = await readShallow(c, limits.requestBytes);
  const parsed = schema.safeParse(text === '' ? {} : fromJson(text));
  if (parsed.success) return parsed.data;
  throw new Refusal(400, parsed.error.issues.map(problem).join('; '));
}

/** @param limit in bytes. */
export async function readJson(c: ApiContext, limit: number): Promise<unknown> {
  return fromJson(await readShallow(c, limit));
}

/** Counted while it is read, and checked for its depth before anything walks it. */
async function readShallow(c: ApiContext, limit: number): Promise<string> {
  const text = await readText(c.req.raw.body, limit);
  if (jsonDepth(text, limits.eventDepth) > limits.eventDepth)
    throw new Refusal(400, `the body nests deeper than ${limits.eventDepth} levels`);
  return text;
}

function problem({ path, message }: z.core.$ZodIssue): string {
  return `${path.length === 0 ? 'the body' : path.join('.')}: ${message}`;
}

/** The parser's own message quotes the text, so it is not passed on. */
function fromJson(text: string): unknown {
  const value = parseJson(text);
  if (value === undefined) throw new Refusal(400, 'the body is not valid JSON');
  return value;
}

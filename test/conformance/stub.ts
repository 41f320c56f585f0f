/** An app that answers with what SDKs were seen to answer. */
import { sha1Hex } from '../../src/lib/hash.ts';
import type { Handler } from './world.ts';

export type Op = Record<string, unknown>;

export interface Answer {
  status?: number;
  body?: unknown;
  /** In place of `body`, as it is. */
  text?: string;
  headers?: Record<string, string>;
  /** Another answerer than an SDK. */
  isForeign?: boolean;
}

/** Answers in the order of calls; the last one again and again. A function decides by what the call is for. */
export function stub(...answers: (Answer | ((stepId: string, attempt: number) => Answer))[]): Handler {
  let calls = 0;
  return async (request) => {
    const answer = answers[Math.min(calls++, answers.length - 1)] ?? {};
    const { ctx } = await request.json<{ ctx: { attempt: number } }>();
    const stepId = new URL(request.url).searchParams.get('stepId') ?? '';
    return respond(typeof answer === 'function' ? answer(stepId, ctx.attempt) : answer);
  };
}

export function respond({ status = 206, body, text, headers, isForeign = false }: Answer): Response {
  const own = isForeign ? {} : { 'x-inngest-sdk': 'inngest-js:v4.24.0', 'x-inngest-req-version': '2' };
  return new Response(text ?? JSON.stringify(body), { status, headers: { ...own, ...headers } });
}

export function ops(...list: Op[]): Answer {
  return { body: list };
}

export function done(result: unknown = 'done'): Answer {
  return { status: 200, body: result };
}

export const hash = sha1Hex;

export function ran(name: string, data?: unknown, more: Op = {}): Op {
  return { op: 'StepRun', id: hash(name), name, displayName: name, opts: {}, data, ...more };
}

export function planned(name: string, opts: Op = {}): Op {
  return { op: 'StepPlanned', id: hash(name), name, displayName: name, opts };
}

export function threw(name: string, more: Op = {}): Op {
  const error = { __serialized: true, name: 'Error', message: 'boom', stack: 'at' };
  return { op: 'StepError', id: hash(name), name, displayName: name, error, ...more };
}

export function op(code: string, name: string, opts: Op | null, more: Op = {}): Op {
  return { op: code, id: hash(name), name, displayName: name, opts, ...more };
}

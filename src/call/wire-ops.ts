/**
 * The operations of the SDK protocol (wire 3.6), in the engine's words. What SDKs add to them for themselves is dropped; what this
 * engine cannot do is an error that names it, never silence.
 */
import * as z from 'zod';
import { parseDuration } from '../lib/duration.ts';
import { isObject, type Json, type JsonObject } from '../lib/json.ts';
import { parseInstant, DAY } from '../lib/time.ts';
import { serializeError, type SerializedError } from '../protocol/error.ts';
import type { AIGateway, Gateway, Op, WaitForEvent, When } from '../protocol/op.ts';

const text = z.string().nullish();

const wireOp = z.object({
  op: z.string(),
  id: z.string().default(''),
  name: text,
  displayName: text,
  userland: z.object({ id: text }).nullish().catch(null),
  opts: z.custom<Record<string, unknown>>(isObject).nullish().catch(null),
  data: z.unknown().optional(),
  error: z.unknown().optional(),
});
export type WireOp = z.infer<typeof wireOp>;

/** An array of them, or one alone. */
export const wireOps = z.union([z.array(wireOp), wireOp.transform((one) => [one])]);

/** What is known of the call that the operation came with. */
export interface OpContext {
  /** The current attempt of the step with this id. */
  attempt: (id: string) => number;
  /** The SDK wants no further attempt of what failed. */
  final: boolean;
  retryAfter?: When;
}

export type Meaning =
  | { is: 'op'; op: Op }
  | { is: 'gateway'; id: string; name: string; request: Gateway | AIGateway }
  | { is: 'returned'; output: string }
  /** The step that was called for is not there. */
  | { is: 'notFound' }
  | { is: 'again' }
  | { is: 'nothing' };

/** An operation that cannot be carried out; the message names it. */
export class BadOp extends Error {}

const ONE_YEAR = { in: 365 * DAY };

export function meaningOf(wire: WireOp, context: OpContext): Meaning {
  const code = wire.op.toLowerCase();
  const read = Object.hasOwn(readers, code) ? readers[code] : undefined;
  if (read === undefined) throw new BadOp(`unknown opcode "${wire.op.slice(0, 100)}"`);
  return read(wire, context);
}

/** Waits are begun before what may send the event that they wait for (wire 3.6). */
export function inOrder(ops: readonly WireOp[]): WireOp[] {
  const rank = (wire: WireOp) => (WAITS.has(wire.op.toLowerCase()) ? 0 : 1);
  return ops.toSorted((a, b) => rank(a) - rank(b));
}

/** Steps that an SDK has run in the course of a call (wire 6.2): nothing else can be told in this way. */
export function checkpointOps(
  written: unknown,
  attempt: (id: string) => number,
): { ok: true; ops: Op[] } | { ok: false; problem: string } {
  const parsed = wireOps.safeParse(written);
  if (!parsed.success) return { ok: false, problem: 'steps: expected operations' };
  const ops: Op[] = [];
  try {
    for (const wire of parsed.data) {
      if (!CHECKPOINTED.has(wire.op.toLowerCase()))
        throw new BadOp(`cannot checkpoint "${wire.op.slice(0, 100)}"`);
      const meaning = meaningOf(wire, { attempt, final: false });
      if (meaning.is === 'op') ops.push(meaning.op);
    }
  } catch (error) {
    if (error instanceof BadOp) return { ok: false, problem: `steps: ${error.message}` };
    throw error;
  }
  return { ok: true, ops };
}

const CHECKPOINTED = new Set(['steprun', 'step', 'stepplanned']);

const WAITS = new Set(['waitforevent', 'waitforsignal']);

type Reader = (wire: WireOp, context: OpContext) => Meaning;

const readers: Record<string, Reader> = {
  steprun: ran(({ data }) => data),
  step: ran(({ data }) => (isWrapped(data) ? data['data'] : data)),
  steperror: (wire, context) => stepError(wire, context, context.final),
  stepfailed: (wire, context) => stepError(wire, context, true),
  stepplanned: (wire, context) => op(wire, context, { op: 'StepPlanned' }),
  sleep: (wire, context) =>
    op(wire, context, { op: 'Sleep', until: when(wire, 'duration', option(wire, 'duration') ?? wire.name) }),
  waitforevent: (wire, context) =>
    op(wire, context, {
      op: 'WaitForEvent',
      event: option(wire, 'event') ?? wire.name ?? '',
      expression: option(wire, 'if'),
      timeout: when(wire, 'timeout', option(wire, 'timeout')),
      // WE-9: for SDKs that do not say, what came before is not considered.
      lookBack: 0,
      ...ownWait(wire),
    }),
  waitforsignal: waitForSignal,
  invokefunction: invoke,
  gateway: (wire) => gateway(wire, plainRequest(wire)),
  aigateway: (wire) => gateway(wire, inference(wire)),
  runcomplete: ({ data }) => ({ is: 'returned', output: json(data) }),
  syncruncomplete: ({ data }) => ({ is: 'returned', output: json(data) }),
  stepnotfound: () => ({ is: 'notFound' }),
  discoveryrequest: () => ({ is: 'again' }),
  none: () => ({ is: 'nothing' }),
};

type Rest<Kind> = Kind extends Op ? Omit<Kind, 'id' | 'name' | 'attempt'> : never;

function op(wire: WireOp, { attempt }: OpContext, rest: Rest<Op>): Meaning {
  const id = idOf(wire);
  const base = { id, name: nameOf(wire), attempt: attempt(id) };
  const race = option(wire, 'parallelMode') === 'race' ? { race: true } : {};
  return { is: 'op', op: { ...rest, ...base, ...race } as Op };
}

function ran(result: (wire: WireOp) => unknown): Reader {
  return (wire, context) => op(wire, context, { op: 'StepRun', data: json(result(wire)) });
}

function stepError(wire: WireOp, context: OpContext, final: boolean): Meaning {
  const { retryAfter } = context;
  const error = wireError(wire.error ?? wire.data);
  return op(wire, context, {
    op: 'StepError',
    error,
    final,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
}

/** What only our own SDK says of a wait. */
const ownOptions = z.object({
  lookBack: z.union([z.literal('run'), z.number().min(0)]).optional(),
  or: z.array(z.object({ event: z.string(), if: z.string().optional() })).optional(),
});

function ownWait(wire: WireOp): Pick<Rest<WaitForEvent>, 'or'> & { lookBack?: number | 'run' } {
  const parsed = ownOptions.safeParse(wire.opts ?? {});
  if (!parsed.success)
    throw new BadOp(`${wire.op} "${nameOf(wire)}": opts: expected lookBack and or as the SDK writes them`);
  const { lookBack, or } = parsed.data;
  return {
    ...(lookBack === undefined ? {} : { lookBack }),
    ...(or === undefined ? {} : { or: or.map((one) => ({ event: one.event, expression: one.if ?? null })) }),
  };
}

function waitForSignal(wire: WireOp, context: OpContext): Meaning {
  const signal = option(wire, 'signal');
  if (signal === null) throw new BadOp(`${wire.op} "${nameOf(wire)}": opts.signal: expected a name`);
  return op(wire, context, {
    op: 'WaitForSignal',
    signal,
    timeout: timeoutOf(wire),
    conflict: option(wire, 'conflict')?.toLowerCase() === 'replace' ? 'replace' : 'fail',
  });
}

/** Without one, a year. */
function timeoutOf(wire: WireOp): When {
  return wire.opts?.['timeout'] == null ? ONE_YEAR : when(wire, 'timeout', option(wire, 'timeout'));
}

function invoke(wire: WireOp, context: OpContext): Meaning {
  const { function_id: functionId, payload } = wire.opts ?? {};
  if (typeof functionId !== 'string')
    throw new BadOp(`${wire.op} "${nameOf(wire)}": opts.function_id: expected a string`);
  const { data, user, v } = isObject(payload) ? payload : {};
  return op(wire, context, {
    op: 'InvokeFunction',
    functionId,
    payload: json({
      data: data ?? {},
      ...(isObject(user) ? { user } : {}),
      ...(typeof v === 'string' ? { v } : {}),
    }),
    timeout: timeoutOf(wire),
  });
}

function gateway(wire: WireOp, request: Gateway | AIGateway): Meaning {
  return { is: 'gateway', id: idOf(wire), name: nameOf(wire), request };
}

function plainRequest(wire: WireOp): Gateway {
  return {
    op: 'Gateway',
    url: option(wire, 'url') ?? '',
    method: option(wire, 'method') ?? 'GET',
    headers: headersOf(wire),
    body: option(wire, 'body'),
  };
}

function inference(wire: WireOp): AIGateway {
  const body = wire.opts?.['body'] ?? wire.data;
  return {
    op: 'AIGateway',
    url: option(wire, 'url') ?? '',
    headers: headersOf(wire),
    authKey: option(wire, 'auth_key') ?? '',
    format: option(wire, 'format') ?? '',
    body: isObject(body) ? (body as JsonObject) : {},
  };
}

function headersOf({ opts }: WireOp): Record<string, string> {
  const headers = opts?.['headers'];
  if (!isObject(headers)) return {};
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name.toLowerCase(), value]] : [],
    ),
  );
}

/** XL-31, XL-35: an instant or a duration; what lies in the past, or is empty, is now. */
function when(wire: WireOp, what: string, written: string | null | undefined): When {
  const source = (written ?? '').trim();
  const at = parseInstant(source);
  if (at !== null) return { at };
  const ms = source.startsWith('-') && parseDuration(source.slice(1)) !== null ? 0 : parseDuration(source);
  if (ms === null)
    throw new BadOp(`${wire.op} "${nameOf(wire)}": ${what}: expected a duration or an instant`);
  return { in: ms };
}

/** Absent, null and empty are the same. */
function option({ opts }: WireOp, name: string): string | null {
  const value = opts?.[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

function idOf({ id, op: code }: WireOp): string {
  if (id === '') throw new BadOp(`${code}: id: expected a string`);
  return id;
}

/** XL-29. */
function nameOf({ displayName, userland, name, id }: WireOp): string {
  return [displayName, userland?.id, name, id].find((one) => one != null && one !== '') ?? id;
}

/** An error in any of the SDKs' forms (wire 3.13). `data` is theirs, and goes back to them as it came (XL-18). */
export function wireError(value: unknown): SerializedError {
  const error = serializeError(value);
  return isObject(value) && 'data' in value ? { ...error, data: value['data'] as Json } : error;
}

function isWrapped(value: unknown): value is JsonObject {
  return isObject(value) && Object.keys(value).length === 1 && 'data' in value;
}

function json(value: unknown): string {
  return JSON.stringify(value ?? null);
}

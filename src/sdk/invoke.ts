/** Invoking other functions: which one, with what, and what comes of it (ST-18, ST-19, IV group). */
import { isObject } from '../lib/json.ts';
import { DAY } from '../lib/time.ts';
import type { ReachedStep } from './execution.ts';
import type { EventOf, EventPayload, InternalEvents } from './events.ts';
import { isInngestFunction, type InngestFunction, type TYPES } from './function.ts';
import type { Jsonify } from './jsonify.ts';
import { isReference, type InngestFunctionReference } from './reference.ts';
import { when, type Timeout } from './times.ts';

/** IV-6. */
const ONE_YEAR = 365 * DAY;

export type InvokeTarget =
  | InngestFunction.Any
  | InngestFunctionReference.Any
  /** @deprecated A composite id, `<app>-<function>`: use `referenceFunction`. */
  | string;

export type InvokeOptions<Target> = {
  function: Target;
  /** How long to wait for the result: milliseconds, a text such as `"1h"`, or a date. Default: a year. */
  timeout?: Timeout | undefined;
} & InvokePayload<Target>;

/** What a function is invoked with: the data of one of its triggers. */
export type InvokePayload<Target> = Target extends {
  readonly [TYPES]: { events: infer Events; trigger: infer Name extends string };
}
  ? [Exclude<Name, keyof InternalEvents>] extends [never]
    ? PayloadOf<EventPayload>
    : PayloadOf<EventOf<Events, Exclude<Name, keyof InternalEvents>>>
  : Target extends { readonly [TYPES]: { payload: infer Payload } }
    ? Payload & Omit<PayloadOf<EventPayload>, 'data'>
    : PayloadOf<EventPayload>;

type PayloadOf<Event> = Event extends unknown ? Pick<Event, keyof Event & ('data' | 'user' | 'v')> : never;

/** What a function returns, as others read it: its JSON form, `null` for nothing, `unknown` when only an id is known. */
export type GetFunctionOutput<Function> = Function extends { readonly [TYPES]: { output: infer Output } }
  ? Jsonify<Awaited<Output>>
  : unknown;

/** Who invokes. */
export interface Invoker {
  /** Id of the app that the running function belongs to. */
  appId: string | null;
  warnOnce(message: string): void;
}

export type Invocation = Extract<ReachedStep['kind'], { op: 'InvokeFunction' }>;

/** `data`, `user` and `v` of the event that the invoked function gets. */
export interface InvocationPayload {
  data: unknown;
  user?: unknown;
  v?: unknown;
}

interface Written extends Partial<InvocationPayload> {
  function?: unknown;
  timeout?: Timeout | null | undefined;
}

/** Throws when the options do not say which function is meant. */
export function readInvocation(
  options: unknown,
  invoker: Invoker,
): { functionId: string; timeout: Invocation['timeout']; payload: InvocationPayload } {
  if (!isObject(options)) throw new TypeError('step.invoke: expected { function, data }');
  const written = options as Written;
  const { function: target, timeout } = written;
  return {
    functionId: idOf(target, invoker),
    timeout: when(timeout ?? ONE_YEAR, 'step.invoke: timeout'),
    payload: invocationPayload(written),
  };
}

/** Only these members count; `null` is none. */
export function invocationPayload({ data, user, v }: Partial<InvocationPayload>): InvocationPayload {
  return { data: data ?? {}, ...(user == null ? {} : { user }), ...(v == null ? {} : { v }) };
}

/** FN-31, RF-3, RF-4. */
function idOf(target: unknown, invoker: Invoker): string {
  if (isInngestFunction(target)) return target.id(target.client.id);
  if (isReference(target)) {
    const appId = target.opts.appId ?? invoker.appId;
    if (appId === null) throw new TypeError('step.invoke: the reference has no `appId`');
    return `${appId}-${target.opts.functionId}`;
  }
  if (typeof target !== 'string' || target === '') throw new TypeError(BAD_TARGET);
  invoker.warnOnce('step.invoke: a plain id as `function` is deprecated; use referenceFunction()');
  return target;
}

const BAD_TARGET =
  'step.invoke: `function` must be a function of createFunction(), or a reference of referenceFunction(); ' +
  'if it is an import, check that it is not undefined';

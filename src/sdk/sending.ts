/** What middleware does to events on their way out (MW-41 to MW-47). */
import { isObject } from '../lib/json.ts';
import { type EventPayload, internalEvents } from './events.ts';
import { invocationPayload, type InvocationPayload } from './invoke.ts';
import type { MiddlewareHooks, SendHooks } from './middleware.ts';
import { after, fold, type Soon } from './soon.ts';
import type { SendEventOutput } from './steps.ts';

/** The hooks for one act of sending, in order. */
export function sendHooks(registered: readonly MiddlewareHooks[]): Soon<readonly SendHooks[]> {
  return fold(registered, [] as readonly SendHooks[], (hooks, { onSendEvent }) =>
    onSendEvent === undefined ? hooks : after(onSendEvent(), (made) => [...hooks, made ?? {}]),
  );
}

export function transformPayloads(
  hooks: readonly SendHooks[],
  payloads: readonly EventPayload[],
): Soon<readonly EventPayload[]> {
  return fold(hooks, payloads, (known, { transformInput }) =>
    transformInput === undefined
      ? known
      : after(transformInput({ payloads: known }), (changed) => changed?.payloads ?? known),
  );
}

export function transformSent(hooks: readonly SendHooks[], sent: SendEventOutput): Soon<SendEventOutput> {
  return fold(hooks.toReversed(), sent, (result, { transformOutput }) =>
    transformOutput === undefined
      ? result
      : after(transformOutput({ result }), (changed) => ({ ...result, ...changed?.result })),
  );
}

/** The one event of an invocation; only its data, user and version are taken back (MW-45). */
export function transformInvocation(
  registered: readonly MiddlewareHooks[],
  payload: InvocationPayload,
): Soon<InvocationPayload> {
  const event = { name: internalEvents.FunctionInvoked, ...payload } as EventPayload;
  return after(sendHooks(registered), (hooks) =>
    after(transformPayloads(hooks, [event]), ([changed]) => {
      return isObject(changed) ? invocationPayload(changed) : payload;
    }),
  );
}

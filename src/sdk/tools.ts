/** The step tools at run time: what each asks of the execution (ST group of the SDK specification). */
import { isObject } from '../lib/json.ts';
import type { JsonObject } from '../lib/json.ts';
import { executionContext } from './context.ts';
import type { Execution, ReachedStep, StepId } from './execution.ts';
import {
  type FetchArguments,
  type GatewayAnswer,
  gatewayOf,
  isInHandler,
  plainFetch,
  readFetch,
  requestOf,
  responseOf,
} from './fetch.ts';
import { readInvocation, type InvocationPayload, type Invoker } from './invoke.ts';
import { expressionOf } from './match.ts';
import { type AiModel, models } from './models.ts';
import { outgoingEvents, toJson } from './outgoing.ts';
import { after, type Soon } from './soon.ts';
import { type Duration, instant, milliseconds, type Moment, type Timeout, when } from './times.ts';

/** The function whose handler the tools are for. */
export interface ToolOwner extends Invoker {
  send(payload: unknown): Promise<unknown>;
  /** What is to be sent in place of the payload; a promise only where middleware has a say in it. */
  invoking(payload: InvocationPayload): Soon<InvocationPayload>;
}

const nobody: ToolOwner = {
  appId: null,
  warnOnce: () => {},
  send: async (payload) => executionContext.getStore()?.send(outgoingEvents(payload)),
  invoking: (payload) => payload,
};

export function stepTools(execution: Execution, owner: ToolOwner = nobody) {
  return {
    run: (id: StepId, callback: (...input: unknown[]) => unknown, ...input: unknown[]) =>
      execution.step(id, { op: 'StepRun' }, () => callback(...input)),

    sleep: async (id: StepId, time: Duration) => {
      await execution.step(id, { op: 'Sleep', until: { in: milliseconds(time, 'step.sleep') } }, null);
    },

    sleepUntil: async (id: StepId, time: Moment) => {
      await execution.step(id, { op: 'Sleep', until: { at: instant(time, 'step.sleepUntil') } }, null);
    },

    waitForEvent: async (id: StepId, options: WaitOptions) => execution.step(id, waitOf(options), null),

    invoke: async (id: StepId, options: unknown) => {
      const { payload, ...target } = readInvocation(options, owner);
      return execution.step(
        id,
        () =>
          after(owner.invoking(payload), (sent) => ({
            op: 'InvokeFunction',
            ...target,
            payload: toJson(sent),
          })),
        null,
      );
    },

    /** A step that sends: its ids come from run and step, so a repeated attempt sends the same events again (SV-3). */
    sendEvent: (id: StepId, payload: unknown) =>
      execution.step(id, { op: 'StepRun', tool: 'step.sendEvent', sends: true }, () => owner.send(payload)),

    fetch: async (...given: FetchArguments) => {
      const { id, input, init } = readFetch(given);
      if (!isInHandler()) return plainFetch(input, init);
      const request = requestOf(input, init);
      const step = id ?? `step.fetch: ${new URL(request.url).hostname}`;
      return responseOf((await execution.step(step, () => gatewayOf(request), null)) as GatewayAnswer);
    },

    ai: {
      infer: async (id: StepId, options: InferOptions) => execution.step(id, inferenceOf(options), null),

      wrap: (id: StepId, callback: (...input: unknown[]) => unknown, ...input: unknown[]) =>
        execution.step(
          id,
          () => ({ op: 'StepRun', tool: 'step.ai.wrap', input: visible(input) }),
          () => callback(...input),
        ),

      models,
    },
  };
}

interface WaitOptions {
  event: string;
  timeout: Timeout;
  match?: string | undefined;
  if?: string | undefined;
  /** `'run'`, or a length of time. */
  lookBack?: Duration | undefined;
}

/** ST-16, WE-1. */
function waitOf(options: WaitOptions): Extract<ReachedStep['kind'], { op: 'WaitForEvent' }> {
  if (!isObject(options) || typeof options.event !== 'string' || options.timeout == null)
    throw new TypeError('step.waitForEvent: expected { event, timeout }');
  const { event, timeout, lookBack = 'run' } = options;
  return {
    op: 'WaitForEvent',
    event,
    expression: expressionOf(options),
    timeout: when(timeout, 'step.waitForEvent: timeout'),
    lookBack: lookBack === 'run' ? 'run' : milliseconds(lookBack, 'step.waitForEvent: lookBack'),
  };
}

interface InferOptions {
  model: AiModel;
  body: object;
}

/** ST-20. The caller's model and body are left as they are. */
function inferenceOf(options: InferOptions): Extract<ReachedStep['kind'], { op: 'AIGateway' }> {
  if (!isObject(options) || !isObject(options.model) || !isObject(options.body))
    throw new TypeError(
      'step.ai.infer: expected { model, body }, with a model such as step.ai.models.openai({ model })',
    );
  const model = { ...options.model, headers: { ...options.model.headers } };
  const body = { ...options.body };
  model.onCall?.(model, body);
  const { url, headers, authKey, format } = model;
  return { op: 'AIGateway', url, headers, authKey, format, body: JSON.parse(toJson(body)) as JsonObject };
}

const SECRET = /^(?:.*api[-_]?key|authorization|.*password|.*secret|(?:access|auth)?[-_]?token)$/i;

/** What a trace shows of a wrapped call's arguments (AIO-2): JSON text, without what is named like a key (AI-7). */
function visible(input: unknown[]): string {
  const plain: unknown = JSON.parse(toJson(input));
  return JSON.stringify(plain, (name, value: unknown) => (SECRET.test(name) ? '[hidden]' : value));
}

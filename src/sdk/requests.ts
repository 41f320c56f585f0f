/** The step tools for which the engine makes a request, and those for calls of AI (SF and AI groups). */
import { isObject, type JsonObject } from '../lib/json.ts';
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
import { type AiModel, models } from './models.ts';
import { toJson } from './outgoing.ts';

export function requestTools(execution: Execution) {
  return {
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
          () => ({ op: 'StepRun', tool: 'step.ai.wrap', ...visible(input) }),
          () => callback(...input),
        ),

      models,
    },
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
function visible(given: unknown[]): { input?: string } {
  try {
    const plain: unknown = JSON.parse(toJson(given));
    const input = JSON.stringify(plain, (name, value: unknown) => (SECRET.test(name) ? '[hidden]' : value));
    return { input };
  } catch {
    // AI-14: what has no JSON form is no reason not to make the call.
    return {};
  }
}

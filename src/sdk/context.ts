/** What user code runs inside of, for those SDK calls that do not get it as an argument. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { SentSignalOutput, StepTools } from './steps.ts';

export interface ExecutionContext {
  /** Sends events by the host's own way, not over HTTP. Resolves to the events' ids. */
  send(events: object[]): Promise<{ ids: string[] }>;
  /** The run that got the signal, if one waited for it. `data`: plain JSON. */
  sendSignal(signal: { signal: string; data?: unknown }): Promise<SentSignalOutput>;
  /** Inside the callback of a step. */
  insideStep: boolean;
  /** The handler's step tools; null where there is no handler. */
  tools: StepTools | null;
  /** Names this step of this run, whatever attempt it is; null outside of steps. */
  idempotencyKey(): string | null;
}

export const executionContext = new AsyncLocalStorage<ExecutionContext>();

/**
 * For the callback of a step: a UUID that is the same in every attempt of it, and different for every other step and run. Give it to an
 * API that takes idempotency keys, and a step that is interrupted after its request has arrived has no second effect when it is tried
 * again.
 */
export function stepIdempotencyKey(): string {
  const key = executionContext.getStore()?.idempotencyKey() ?? null;
  if (key === null)
    throw new Error('stepIdempotencyKey() has a value inside the callback of step.run() only');
  return key;
}

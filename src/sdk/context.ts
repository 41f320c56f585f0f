/** What user code runs inside of, for those SDK calls that do not get it as an argument. */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface ExecutionContext {
  /** Sends events by the host's own way, not over HTTP. Resolves to the events' ids. */
  send(events: object[]): Promise<{ ids: string[] }>;
  /** Inside the callback of a step. */
  insideStep: boolean;
}

export const executionContext = new AsyncLocalStorage<ExecutionContext>();

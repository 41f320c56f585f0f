/** The object classes of a deployment, for the Worker's own module to export: `export const { Run, Sweeper } = durableObjects({ apps })`. */
import { compose, sendDeps, type Parts } from '../src/compose.ts';
import type { Env } from '../src/env.ts';
import type { RunHandle } from '../src/call/caller.ts';
import type { Handler } from '../src/call/embedded.ts';
import { acceptEvents } from '../src/ingest/accept.ts';
import type { EventView, StoredEvent } from '../src/protocol/event.ts';
import { limits } from '../src/protocol/limits.ts';
import type { FunctionConfig } from '../src/protocol/function.ts';
import { checkApps, type App, type ListedFunction } from '../src/registry/check.ts';
import { runObject, type RunDeps } from './run.ts';
import { sweeperObject } from './sweeper.ts';

export interface ObjectOptions {
  apps: readonly EmbeddedApp[];
}

/** An app whose functions' code is in this Worker. */
export interface EmbeddedApp extends App {
  functions: readonly (EmbeddedFunction | undefined)[];
}

interface EmbeddedFunction extends ListedFunction {
  id(appId: string): string;
  client: { logger: object };
  handler: (context: never) => unknown;
}

/** Throws, listing every problem, when a function is not as it should be. */
export function durableObjects({ apps }: ObjectOptions) {
  const configs = new Map(checkApps(apps).map((config) => [config.id, config]));
  const handlers = new Map(
    apps.flatMap(({ client, functions }) =>
      functions.flatMap((fn) => (fn === undefined ? [] : [[fn.id(client.id), handlerOf(fn)] as const])),
    ),
  );
  // Nothing in it belongs to one object, so that the isolate's objects share it.
  let shared: RunDeps | undefined;
  return {
    Run: runObject((env) => (shared ??= runDeps(env, configs, handlers))),
    Sweeper: sweeperObject(),
  };
}

function handlerOf({ handler, client }: EmbeddedFunction): Handler {
  return (context) => handler({ ...context, logger: client.logger } as never);
}

function runDeps(env: Env, configs: Map<string, FunctionConfig>, handlers: Map<string, Handler>): RunDeps {
  const parts = compose(env);
  const { maxSteps, stepRuntime, retryInterval } = parts.config;
  const intake = sendDeps(parts);
  return {
    clock: parts.clock,
    log: parts.log,
    limits: (functionId) => ({
      maxAttempts: (configs.get(functionId)?.retries ?? limits.retriesDefault) + 1,
      maxSteps,
      stepRuntime,
      retryInterval,
    }),
    find: (functionId) => handlers.get(functionId),
    send: async (events, { runId, ...from }) => ({
      ids: await acceptEvents(intake, events, { ...from, source: { kind: 'run', id: runId } }),
    }),
    open: (run) => openEvents(run, parts),
  };
}

/** What handlers are given. At once where nothing is sealed: an `await` would split the first write of a run into two. */
function openEvents(run: RunHandle, { seal }: Parts): object[] | Promise<object[]> {
  const events = run.events();
  if (events.every((event) => event.user === undefined)) return events.map((event) => view(event, {}));
  if (seal === null) return Promise.reject(new Error('event.user is sealed: set STEPWELL_ENCRYPTION_KEY'));
  return Promise.all(
    events.map(async (event) =>
      view(event, event.user === undefined ? {} : await seal.open(event.user, event.env)),
    ),
  );
}

function view({ internalId, name, data, id, ts, v }: StoredEvent, user: EventView['user']): EventView {
  return { name, data, id: id ?? internalId, ts, user, ...(v === undefined ? {} : { v }) };
}

/**
 * The engine as a Worker's handlers: `createWorker({ apps })`. Owns what lives as long as the isolate: the parts made from the
 * bindings, the HTTP front, and whether the sweeper is known to be armed.
 */
import { version } from '../package.json';
import { api } from './api/app.ts';
import { baseHeaders } from './api/headers.ts';
import { compose, type Parts } from './compose.ts';
import { cancelRun } from './dispatch/cancel.ts';
import { consumeRuns } from './dispatch/close.ts';
import { consumeEvents } from './dispatch/consume.ts';
import { isHeardAgain } from './dispatch/flow.ts';
import { promptDispatch } from './dispatch/prompt.ts';
import { parseConfig, type Config, type Env } from './env.ts';
import { within } from './ingest/patience.ts';
import { PATIENCE } from './ingest/durable.ts';
import { signatures } from './keys/sign.ts';
import { consoleLog } from './log.ts';
import type { StoredEvent } from './protocol/event.ts';
import type { FunctionConfig } from './protocol/function.ts';
import { checkApps } from './registry/check.ts';

export interface WorkerOptions {
  apps: Parameters<typeof checkApps>[0];
}

interface Engine {
  parts: Parts;
  fetch: (request: Request, env: Env, ctx: ExecutionContext) => Response | Promise<Response>;
}

/** Seconds until messages that could not be looked at come back. */
const LATER = 60;

/** @param overrides parts that tests put in place of the real ones. */
export function createWorker({ apps }: WorkerOptions, overrides: Partial<Parts> = {}) {
  const functions = checkApps(apps);
  let prepared: Engine | BadSettings | undefined;
  const engineOf = (env: Env) => (prepared ??= prepare(env, functions, overrides));

  return {
    async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
      const engine = engineOf(env);
      return 'problem' in engine ? refuse(engine) : engine.fetch(request, env, ctx);
    },
    async queue(batch: MessageBatch, env: Env): Promise<void> {
      const engine = engineOf(env);
      if ('problem' in engine) return batch.retryAll({ delaySeconds: LATER });
      const consume = batch.queue.endsWith('runs') ? consumeRuns : consumeEvents;
      await consume(batch.messages, engine.parts);
    },
    async scheduled(_controller: ScheduledController, env: Env): Promise<void> {
      const engine = engineOf(env);
      if (!('problem' in engine)) await arm(engine.parts);
    },
  };
}

/** What is wrong with the settings, in words that name no value. */
interface BadSettings {
  problem: string;
}

function prepare(
  env: Env,
  functions: readonly FunctionConfig[],
  overrides: Partial<Parts>,
): Engine | BadSettings {
  const settings = readSettings(env, overrides);
  if ('problem' in settings) return settings;
  const parts = compose(env, functions, { ...overrides, config: settings });
  const again = (event: StoredEvent) => isHeardAgain(parts.functions, event);
  const intake = { ...parts, prompt: promptDispatch(parts), isHeardAgain: again, arm: armOnce(parts) };
  const app = api({
    ...parts,
    ...signatures(settings, parts.clock),
    keys: settings,
    intake,
    version,
    cancelRun: (environment, runId) => cancelRun(parts, environment, runId),
  });
  return { parts, fetch: (request, bindings, ctx) => app.fetch(request, bindings, ctx) };
}

function readSettings(env: Env, { config, log = consoleLog }: Partial<Parts>): Config | BadSettings {
  try {
    return config ?? parseConfig(env);
  } catch (error) {
    const problem = error instanceof Error ? error.message : 'Stepwell cannot start: bad settings';
    log.error('engine: bad settings', { problem });
    return { problem };
  }
}

function refuse({ problem }: BadSettings): Response {
  return Response.json({ error: problem, status: 500 }, { status: 500, headers: baseHeaders(false) });
}

/**
 * No event is accepted before a sweep is sure to come. A request whose try fails is accepted all the same, and the next one tries
 * again; each request makes its own call, as none may wait for another's.
 */
function armOnce(parts: Parts): () => Promise<void> {
  const { timer, log } = parts;
  let armed = false;
  return async () => {
    if (armed) return;
    try {
      if ((await within(arm(parts), PATIENCE, timer)) !== 'late') armed = true;
    } catch (error) {
      log.error('engine: sweeps or schedules were not armed', { error });
    }
  };
}

/** What goes on by itself from then on: sweeps, and the schedules of this deployment's functions. One may fail without the other. */
async function arm({ sweeps, crons, environment }: Parts): Promise<void> {
  const calls = await Promise.allSettled([sweeps.arm(), crons.sync(environment)]);
  const failed = calls.find((call) => call.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

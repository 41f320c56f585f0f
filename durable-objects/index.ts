/** The object classes of a deployment, for the Worker's own module to export: `export const { Run, Sweeper, Cron, Waits, Gate } = durableObjects({ apps })`. */
import { compose, sendDeps } from '../src/compose.ts';
import type { Env } from '../src/env.ts';
import type { EmbeddedCode } from '../src/call/embedded.ts';
import { callGateway } from '../src/call/gateway.ts';
import { isHeardAgain } from '../src/dispatch/flow.ts';
import { isActive, launch } from '../src/dispatch/launch.ts';
import { acceptEvents } from '../src/ingest/accept.ts';
import { acceptInternal } from '../src/ingest/internal.ts';
import { signatures } from '../src/keys/sign.ts';
import { isSealed, unseal } from '../src/keys/unseal.ts';
import { limits } from '../src/protocol/limits.ts';
import { parseDuration } from '../src/lib/duration.ts';
import { eventView, type StoredEvent } from '../src/protocol/event.ts';
import { parseWhen, type FunctionConfig } from '../src/protocol/function.ts';
import { checkApps, type App, withItsOwn } from '../src/registry/check.ts';
import { cronObject } from './cron.ts';
import type { CronDeps } from './cron-owner.ts';
import { gateObject } from './gate.ts';
import type { GateDeps } from './gate-owner.ts';
import { runObject, type RunDeps } from './run.ts';
import { signalsObject } from './signals.ts';
import type { SignalsDeps } from './signals-owner.ts';
import { sweeperObject } from './sweeper.ts';
import { waitsObject } from './waits.ts';
import type { WaitsDeps } from './waits-owner.ts';

export interface ObjectOptions {
  apps: readonly EmbeddedApp[];
}

/** An app whose functions' code is in this Worker. */
export interface EmbeddedApp extends App {
  functions: readonly (EmbeddedCode['fn'] | undefined)[];
}

/** Throws, listing every problem, when a function is not as it should be. */
export function durableObjects({ apps }: ObjectOptions) {
  const known = checkApps(apps);
  const codes = new Map<string, EmbeddedCode>(
    apps.flatMap(({ client, functions }) =>
      functions
        .flatMap((fn) => (fn === undefined ? [] : withItsOwn(fn)))
        .map((fn) => [fn.id(client.id), { fn, appId: client.id }] as const),
    ),
  );
  // Nothing in it belongs to one object, so that the isolate's objects share it.
  let shared: RunDeps | undefined;
  return {
    Run: runObject((env) => (shared ??= runDeps(env, known, codes))),
    Sweeper: sweeperObject((env) => compose(env, known)),
    Cron: cronObject((env) => cronDeps(env, known)),
    Waits: waitsObject((env) => waitsDeps(env, known)),
    Signals: signalsObject((env) => signalsDeps(env, known)),
    Gate: gateObject((env) => gateDeps(env, known)),
  };
}

function cronDeps(env: Env, known: FunctionConfig[]): Omit<CronDeps, 'storage'> {
  const parts = compose(env, known);
  return { ...parts, accept: (events) => acceptInternal(parts, events) };
}

function waitsDeps(env: Env, known: FunctionConfig[]): Omit<WaitsDeps, 'storage' | 'abort'> {
  const parts = compose(env, known);
  return {
    clock: parts.clock,
    timer: parts.timer,
    log: parts.log,
    history: parts.store,
    waiters: parts.runs,
    // `user` stays sealed: expressions of waits may not read it (src/call/ask.ts).
    view: eventView,
  };
}

function signalsDeps(env: Env, known: FunctionConfig[]): Omit<SignalsDeps, 'storage' | 'erase' | 'abort'> {
  const { clock, timer, log, runs } = compose(env, known);
  return { clock, timer, log, waiters: runs };
}

function gateDeps(env: Env, known: FunctionConfig[]): Omit<GateDeps, 'storage' | 'abort'> {
  const parts = compose(env, known);
  const { clock, runs, environment } = parts;
  return {
    ...parts,
    launch: (window) => launch(parts, window),
    holders: {
      isActive: (holder) => isActive(parts, environment, holder, clock.now()),
      cancel: (runId) => runs.cancel(runId),
    },
  };
}

function runDeps(env: Env, known: FunctionConfig[], codes: Map<string, EmbeddedCode>): RunDeps {
  const parts = compose(env, known);
  const { maxSteps, stepRuntime, retryInterval } = parts.config;
  const again = (event: StoredEvent) => isHeardAgain(parts.functions, event);
  const intake = { ...sendDeps(parts), isHeardAgain: again };
  return {
    clock: parts.clock,
    timer: parts.timer,
    log: parts.log,
    freeze: async ({ env: environment, functionId, startAt, registry }) => {
      const found = await parts.functions.find(environment, functionId, registry);
      const config = found?.config;
      const { start, finish } = config?.timeouts ?? {};
      return {
        maxAttempts: (config?.retries ?? limits.retriesDefault) + 1,
        maxSteps,
        stepRuntime,
        retryInterval,
        cancelOn: (config?.cancel ?? []).map((one) => cancellation(one, startAt)),
        startWithin: start === undefined ? null : parseDuration(start),
        finishWithin: finish === undefined ? null : parseDuration(finish),
        ...(found?.app == null ? {} : { remote: true }),
      };
    },
    find: (functionId) => codes.get(functionId),
    registered: (...wanted) => parts.functions.find(...wanted),
    network: parts.network,
    kind: parts.config.dev ? 'dev' : 'cloud',
    sign: signatures(parts.config, parts.clock).sign,
    reqArgs: [undefined, env],
    send: async (events, { runId, ...from }) => ({
      ids: await acceptEvents(intake, events, { ...from, source: { kind: 'run', id: runId } }),
    }),
    open: (views, environment) =>
      views.some(isSealed) ? Promise.all(views.map((view) => unseal(view, parts.seal, environment))) : views,
    seal: (user, environment) =>
      parts.seal?.seal(user, environment) ??
      Promise.reject(new Error('user: cannot be kept encrypted: set STEPWELL_ENCRYPTION_KEY')),
    signal: (sent, { env: environment, signal }) => parts.signals.send(environment, signal, sent),
    request: (request, isLast) =>
      callGateway(request, isLast, { ...parts.outgoing, timeout: parts.config.fetchTimeout }),
    waits: parts.waits,
    signals: parts.signals,
    gates: parts.gates,
    emit: (event) => acceptInternal(intake, [event]),
  };
}

/** A `cancelOn` entry as a moment: its timeout counts from the start of the run (CX-10). */
function cancellation({ event, if: expression, timeout }: Cancellation, startAt: number) {
  const when = timeout === undefined ? null : parseWhen(timeout);
  const until = when === null ? startAt + limits.sleep : 'at' in when ? when.at : startAt + when.in;
  return { event, expression: expression ?? null, until };
}

type Cancellation = NonNullable<FunctionConfig['cancel']>[number];

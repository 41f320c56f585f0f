/** From bindings to ports: the one place that says which adapter stands for what. The Worker and the objects both start here. */
import { appNetwork } from './call/network.ts';
import type { OutgoingDeps } from './call/outgoing.ts';
import { systemClock, systemEntropy } from './clock.ts';
import { parseConfig, type Config, type Env } from './env.ts';
import type { IntakeDeps } from './ingest/accept.ts';
import { systemTimer, type Timer } from './ingest/patience.ts';
import { queueSender } from './ingest/sender.ts';
import { environment } from './keys/access.ts';
import { aesSeal } from './keys/seal.ts';
import { consoleLog } from './log.ts';
import { objectCrons, objectGates, objectRuns, objectSignals, objectSweeps, objectWaits } from './objects.ts';
import { DAY } from './lib/time.ts';
import type { FunctionConfig } from './protocol/function.ts';
import type { DeadMessage, EventsMessage } from './protocol/message.ts';
import type {
  AppNetwork,
  Apps,
  Backlog,
  Cancellations,
  Clock,
  Crons,
  Entropy,
  Gates,
  Log,
  Registry,
  RemoteRuns,
  Runs,
  Seal,
  Sender,
  Signals,
  SignalWaiters,
  SlotHolders,
  StartGates,
  Store,
  Sweeps,
  Waiters,
  Waits,
} from './ports.ts';
import { createRegistry } from './registry/registry.ts';
import { d1Apps } from './store/apps.ts';
import { d1Cancellations } from './store/cancellations.ts';
import { d1Store } from './store/d1.ts';

export interface Parts {
  config: Config;
  /** The environment that this deployment is. */
  environment: string;
  store: Store;
  apps: Apps;
  cancellations: Cancellations;
  functions: Registry;
  /** For every call of an app. */
  network: AppNetwork;
  events: Sender<EventsMessage>;
  /** How much of that is waiting. */
  eventQueue: Backlog;
  dead: Sender<DeadMessage>;
  runs: Runs & Waiters & SignalWaiters & SlotHolders;
  remoteRuns: RemoteRuns;
  sweeps: Sweeps;
  crons: Crons;
  waits: Waits;
  signals: Signals;
  gates: Gates & StartGates;
  /** Null when no encryption key is set. */
  seal: Seal | null;
  /** For every request to an address that users name. */
  outgoing: OutgoingDeps;
  clock: Clock;
  entropy: Entropy;
  timer: Timer;
  log: Log;
}

/**
 * Throws when a setting is bad, with a text that names it.
 * @param configs the functions of this Worker.
 * @param overrides what tests put in place of the real ones.
 */
export function compose(env: Env, configs: readonly FunctionConfig[], overrides: Partial<Parts> = {}): Parts {
  const config = overrides.config ?? parseConfig(env);
  const entropy = overrides.entropy ?? systemEntropy;
  const clock = overrides.clock ?? systemClock;
  const apps = overrides.apps ?? d1Apps(env.DB);
  const runs = objectRuns(env);
  const own = { environment: environment(config), configs };
  const outgoing: OutgoingDeps = {
    fetch: (request) => fetch(request),
    allowsPrivate: config.allowsPrivate,
  };
  return {
    config,
    environment: own.environment,
    store: d1Store(env.DB, { retention: config.retentionDays * DAY }),
    apps,
    cancellations: d1Cancellations(env.DB),
    functions: createRegistry(apps, own, clock),
    events: queueSender(env.EVENTS),
    eventQueue: { backlog: async () => (await env.EVENTS.metrics()).backlogCount },
    dead: queueSender(env.DEAD),
    runs,
    remoteRuns: runs,
    sweeps: objectSweeps(env),
    crons: objectCrons(env),
    waits: objectWaits(env),
    signals: objectSignals(env),
    gates: objectGates(env),
    seal: config.encryptionKey === null ? null : aesSeal(config.encryptionKey, entropy),
    outgoing,
    network: appNetwork(env, outgoing),
    clock,
    entropy,
    timer: systemTimer,
    log: consoleLog,
    ...overrides,
  };
}

/** What `acceptEvents` needs inside a run's object: a run exists, so sweeps do. */
export function sendDeps(parts: Parts): IntakeDeps {
  return { ...parts, arm: () => Promise.resolve() };
}

/** What the HTTP API needs, and the little that all of its routes share. */
import type { Context } from 'hono';
import type { IntakeDeps } from '../ingest/accept.ts';
import type { KeyConfig } from '../keys/access.ts';
import type { SyncDeps } from '../registry/sync.ts';
import type {
  Backlog,
  Cancellations,
  Clock,
  Entropy,
  Gates,
  Log,
  RemoteRuns,
  Runs,
  Seal,
  Signals,
  Store,
  Sweeps,
} from '../ports.ts';

export interface ApiDeps extends SyncDeps {
  keys: KeyConfig;
  intake: IntakeDeps;
  store: Store;
  runs: Pick<Runs, 'read' | 'trace'>;
  /** By its id, also one that has not been started yet (src/dispatch/cancel.ts). */
  cancelRun: (env: string, runId: string) => Promise<'cancelled' | 'ended' | 'unknown'>;
  cancellations: Cancellations;
  sweeps: Sweeps;
  signals: Pick<Signals, 'send'>;
  remoteRuns: RemoteRuns;
  eventQueue: Backlog;
  gates: Pick<Gates, 'lines' | 'change'>;
  /** Null when the deployment has no encryption key. */
  seal: Pick<Seal, 'open'> | null;
  clock: Clock;
  entropy: Entropy;
  log: Log;
  version: string;
  /** The environment that this deployment is. */
  environment: string;
}

/** `env`: the environment that the request's key opens. */
export type ApiEnv = { Variables: { env: string } };
export type ApiContext = Context<ApiEnv>;

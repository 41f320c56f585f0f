/** The Worker's bindings, and its settings parsed once. */
import * as z from 'zod';
import { parseDuration } from './lib/duration.ts';
import { MINUTE } from './lib/time.ts';
import { limits } from './protocol/limits.ts';
import type { DeadMessage, EventsMessage, RunsMessage } from './protocol/message.ts';

export interface Env {
  DB: D1Database;
  EVENTS: Queue<EventsMessage>;
  RUNS: Queue<RunsMessage>;
  DEAD: Queue<DeadMessage>;
  RUN: DurableObjectNamespace;
  SWEEPER: DurableObjectNamespace;
  CRON: DurableObjectNamespace;
  WAITS: DurableObjectNamespace;
  SIGNALS: DurableObjectNamespace;
  GATE: DurableObjectNamespace;
  /** `1` opens everything: no keys are asked for. For local development only. */
  STEPWELL_DEV?: string;
  /** Event keys, separated by commas. */
  STEPWELL_EVENT_KEYS?: string;
  STEPWELL_SIGNING_KEY?: string;
  STEPWELL_SIGNING_KEY_FALLBACK?: string;
  /** Keys of the branch environments, one set for all of them (ENV-3). */
  STEPWELL_BRANCH_EVENT_KEYS?: string;
  STEPWELL_BRANCH_SIGNING_KEY?: string;
  STEPWELL_BRANCH_SIGNING_KEY_FALLBACK?: string;
  /** Any long random text: `event.user` is encrypted under keys derived from it. */
  STEPWELL_ENCRYPTION_KEY?: string;
  /** Most steps of a run, 1 or more; default 1000 (LM-5). */
  STEPWELL_MAX_STEPS?: string;
  /** A fixed wait before every retry, e.g. `1s`, in place of the default table (RT-12). */
  STEPWELL_RETRY_INTERVAL?: string;
  /** Longest execution of one step, default `2h` (ST-11). */
  STEPWELL_STEP_RUNTIME?: string;
  /** Longest wait for the answer to a request that the engine makes for a step, at most 2 hours; default `15m` (SF-5). */
  STEPWELL_FETCH_TIMEOUT?: string;
  /** `1`: private, loopback and link-local addresses may be called too, and plain http, as always in local development (SF-10, AP-28). */
  STEPWELL_ALLOW_PRIVATE?: string;
  /** `smooth` (default), or `limit-plus-burst`: a throttle lets `limit + burst` runs start at once (TH-16). */
  STEPWELL_THROTTLE_MODE?: string;
  /** How long events and runs are kept, in days; default 30 (EVT-38). */
  STEPWELL_RETENTION_DAYS?: string;
}

const duration = z
  .string()
  .refine((text) => (parseDuration(text) ?? 0) > 0, { error: 'expected a duration such as "90s"' })
  .transform((text) => parseDuration(text) ?? 0);
const switchedOn = z.string().transform((text) => text === '1' || text === 'true');
/** Empty is none. SDKs hash the part after the prefix as bytes (SK-3, SK-4). */
const signingKey = z
  .string()
  .regex(/^$|^(?:signkey-\w+-)?(?:[0-9a-f]{2})+$/i, {
    error: 'expected "signkey-<name>-" and an even number of hexadecimal digits (SK-4)',
  })
  .default('');
const count = z.coerce
  .number({ error: 'expected a whole number' })
  .int({ error: 'expected a whole number' })
  .min(1);

const settings = z.object({
  STEPWELL_DEV: switchedOn.default(false),
  STEPWELL_EVENT_KEYS: z.string().default(''),
  STEPWELL_SIGNING_KEY: signingKey,
  STEPWELL_SIGNING_KEY_FALLBACK: signingKey,
  STEPWELL_BRANCH_EVENT_KEYS: z.string().default(''),
  STEPWELL_BRANCH_SIGNING_KEY: signingKey,
  STEPWELL_BRANCH_SIGNING_KEY_FALLBACK: signingKey,
  STEPWELL_ENCRYPTION_KEY: z.string().optional(),
  STEPWELL_MAX_STEPS: count.default(limits.stepsPerRun),
  STEPWELL_RETRY_INTERVAL: duration.optional(),
  STEPWELL_STEP_RUNTIME: duration.default(limits.stepRuntime),
  STEPWELL_FETCH_TIMEOUT: duration
    .refine((ms) => ms <= limits.stepRuntime, { error: 'expected at most 2 hours' })
    .default(15 * MINUTE),
  STEPWELL_ALLOW_PRIVATE: switchedOn.default(false),
  STEPWELL_THROTTLE_MODE: z
    .enum(['smooth', 'limit-plus-burst'], { error: 'expected "smooth" or "limit-plus-burst"' })
    .default('smooth'),
  STEPWELL_RETENTION_DAYS: count.default(30),
});

export interface Config {
  dev: boolean;
  eventKeys: string[];
  /** Current key first, then the fallback; empty when none is set. */
  signingKeys: string[];
  /** Of the branch environments. */
  branch: { eventKeys: string[]; signingKeys: string[] };
  encryptionKey: string | null;
  maxSteps: number;
  /** Null: the default table. */
  retryInterval: number | null;
  stepRuntime: number;
  fetchTimeout: number;
  /** Addresses that are not public may be called. */
  allowsPrivate: boolean;
  throttleMode: 'smooth' | 'limit-plus-burst';
  retentionDays: number;
}

/** Throws an error that names every bad setting and what it should be, never its value. */
export function parseConfig(env: Partial<Env>): Config {
  const parsed = settings.safeParse(env);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new Error(`Stepwell cannot start: ${problems.join('; ')}`);
  }
  const set = parsed.data;
  return {
    dev: set.STEPWELL_DEV,
    eventKeys: list(set.STEPWELL_EVENT_KEYS),
    signingKeys: present(set.STEPWELL_SIGNING_KEY, set.STEPWELL_SIGNING_KEY_FALLBACK),
    branch: {
      eventKeys: list(set.STEPWELL_BRANCH_EVENT_KEYS),
      signingKeys: present(set.STEPWELL_BRANCH_SIGNING_KEY, set.STEPWELL_BRANCH_SIGNING_KEY_FALLBACK),
    },
    encryptionKey: set.STEPWELL_ENCRYPTION_KEY ?? null,
    maxSteps: set.STEPWELL_MAX_STEPS,
    retryInterval: set.STEPWELL_RETRY_INTERVAL ?? null,
    stepRuntime: set.STEPWELL_STEP_RUNTIME,
    fetchTimeout: set.STEPWELL_FETCH_TIMEOUT,
    allowsPrivate: set.STEPWELL_DEV || set.STEPWELL_ALLOW_PRIVATE,
    throttleMode: set.STEPWELL_THROTTLE_MODE,
    retentionDays: set.STEPWELL_RETENTION_DAYS,
  };
}

function present(...keys: string[]): string[] {
  return keys.filter((key) => key !== '');
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** The objects as ports: names to stubs, and which failures of a call are worth a second try. */
import type { Env } from './env.ts';
import { chunks } from './lib/chunks.ts';
import { sha256Hex } from './lib/hash.ts';
import { utf8Length } from './lib/json.ts';
import type { Crons, RemoteRuns, Runs, Signals, SignalWaiters, Sweeps, Waiters, Waits } from './ports.ts';
import { limits } from './protocol/limits.ts';
import type { CronRpc, RemoteRunRpc, RunRpc, SignalsRpc, SweeperRpc, WaitsRpc } from './protocol/rpc.ts';
import type { Wait } from './protocol/wait.ts';

const TRIES = 3;

export function objectRuns(env: Env): Runs & Waiters & SignalWaiters & RemoteRuns {
  // The platform's mapped stub types cannot take recursive JSON in; what the class implements is said here instead.
  const run = (runId: string) => env.RUN.get(env.RUN.idFromName(runId)) as unknown as RunRpc & RemoteRunRpc;
  return {
    start: (start) => retrying(() => run(start.runId).start(start)),
    cancel: (runId) => retrying(() => run(runId).cancel()),
    read: (runId) => retrying(() => run(runId).read()),
    trace: (runId) => retrying(() => run(runId).trace()),
    resume: (runId, key, event) => retrying(() => run(runId).resume(key, event)),
    answer: (runId, key, answer) => retrying(() => run(runId).answer(key, answer)),
    tell: (runId, key, answer) => run(runId).answer(key, answer),
    awaits: (runId, key) => retrying(() => run(runId).awaits(key)),
    checkpoint: (runId, name, checkpoint) => retrying(() => run(runId).checkpoint(name, checkpoint)),
    snapshot: (runId, name) => retrying(() => run(runId).snapshot(name)),
    check: (runId) => retrying(() => run(runId).check()),
    purge: (runId) => retrying(() => run(runId).purge()),
  };
}

export function objectSweeps(env: Env): Sweeps {
  const sweeper = () => env.SWEEPER.get(env.SWEEPER.idFromName('sweeper')) as unknown as SweeperRpc;
  return { arm: () => retrying(() => sweeper().arm()) };
}

export function objectCrons(env: Env): Crons {
  const timers = (name: string) => env.CRON.get(env.CRON.idFromName(name)) as unknown as CronRpc;
  return {
    sync: (name) => retrying(() => timers(name).sync(name)),
    skipped: (name) => retrying(() => timers(name).skipped()),
  };
}

/** The platform takes names of 1,024 bytes; an event's may have four for each of its 256 characters. */
const NAME_BYTES = 1_000;

/** @param name of whatever users name. */
function named(objects: DurableObjectNamespace, env: string, name: string): DurableObjectStub {
  const full = `${env}:${name}`;
  return objects.get(objects.idFromName(utf8Length(full) <= NAME_BYTES ? full : `#${sha256Hex(full)}`));
}

export function objectSignals({ SIGNALS }: Pick<Env, 'SIGNALS'>): Signals {
  const object = (env: string, signal: string) => named(SIGNALS, env, signal) as unknown as SignalsRpc;
  return {
    listen: (wait) => retrying(() => object(wait.env, wait.signal).listen(wait)),
    send: (env, signal, sent) => retrying(() => object(env, signal).send(sent)),
    expire: (env, signal, runId, key) => retrying(() => object(env, signal).expire(runId, key)),
    drop: (env, signal, runId, key) => retrying(() => object(env, signal).drop(runId, key)),
  };
}

export function objectWaits({ WAITS }: Pick<Env, 'WAITS'>): Waits {
  const object = (env: string, event: string) => named(WAITS, env, event) as unknown as WaitsRpc;
  return {
    async listen(waits) {
      const groups = [...Map.groupBy(waits, ({ env, event }) => JSON.stringify([env, event])).values()];
      await Promise.all(
        groups.map((group) => {
          const [{ env, event }] = group as [Wait];
          return retrying(() => object(env, event).listen(group));
        }),
      );
    },
    async deliver(env, name, events) {
      const sorted = events.toSorted((a, b) => a.receivedAt - b.receivedAt);
      for (const batch of chunks(sorted, limits.messageEvents)) {
        await retrying(() => object(env, name).deliver(batch));
      }
    },
    expire: (env, name, runId, key) => retrying(() => object(env, name).expire(runId, key)),
    drop: (env, name, runId, keys) => retrying(() => object(env, name).drop(runId, keys)),
  };
}

/** Every call may be repeated. A broken stub stays broken, so each try makes its own; an overloaded object is left alone. */
async function retrying<Result>(call: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (attempt === TRIES || !isRetryable(error)) throw error;
    }
  }
}

function isRetryable(error: unknown): boolean {
  const { retryable, overloaded } = error as { retryable?: boolean; overloaded?: boolean };
  return retryable === true && overloaded !== true;
}

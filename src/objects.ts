/** The objects as ports: names to stubs, and which failures of a call are worth a second try. */
import type { Env } from './env.ts';
import type { Runs, Sweeps } from './ports.ts';
import type { RunRpc, SweeperRpc } from './protocol/rpc.ts';

const TRIES = 3;

export function objectRuns(env: Env): Runs {
  // The platform's mapped stub types cannot take recursive JSON in; what the class implements is said here instead.
  const run = (runId: string) => env.RUN.get(env.RUN.idFromName(runId)) as unknown as RunRpc;
  return {
    start: (start) => retrying(() => run(start.runId).start(start)),
    cancel: (runId) => retrying(() => run(runId).cancel()),
    read: (runId) => retrying(() => run(runId).read()),
    trace: (runId) => retrying(() => run(runId).trace()),
    check: (runId) => retrying(() => run(runId).check()),
    purge: (runId) => retrying(() => run(runId).purge()),
  };
}

export function objectSweeps(env: Env): Sweeps {
  const sweeper = () => env.SWEEPER.get(env.SWEEPER.idFromName('sweeper')) as unknown as SweeperRpc;
  return { arm: () => retrying(() => sweeper().arm()) };
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

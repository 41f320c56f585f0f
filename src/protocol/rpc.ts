/** The calls that the objects answer. Arguments are parsed by the object; results are plain data. */
import type { RunCheck, RunStart, RunTrace, RunView } from './run.ts';

/** One object per run, named by its run id. */
export interface RunRpc {
  start(run: RunStart): Promise<void>;
  cancel(): Promise<'cancelled' | 'ended' | 'unknown'>;
  read(): Promise<RunView | null>;
  trace(): Promise<RunTrace | null>;
  check(): Promise<RunCheck>;
  purge(): Promise<void>;
}

/** One object for the deployment. */
export interface SweeperRpc {
  arm(): Promise<void>;
}

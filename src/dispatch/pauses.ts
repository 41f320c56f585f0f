/**
 * Runs under way learn that they are held, or go on, as their function is paused or resumed: all open runs of the index, piece by piece. A
 * run that comes into the index only after that learns of it when it is first checked (sweep.ts). May be repeated.
 */
import { DAY } from '../lib/time.ts';
import type { Apps, Log, Pause, Runs, Store } from '../ports.ts';
import { inPool } from './pool.ts';

interface PauseDeps {
  apps: Pick<Apps, 'pausesToTell' | 'pauseTold'>;
  store: Pick<Store, 'openRunsOf'>;
  runs: Pick<Runs, 'hold'>;
  log: Log;
}

/** PA-5. */
const LONGEST = 7 * DAY;
/** Of one sweep: functions, rows of each, calls under way. */
const BOUND = { functions: 10, window: 1_000, atOnce: 24 };

/** @returns whether there is more to do at once. */
export async function tellOfPauses(deps: PauseDeps): Promise<boolean> {
  const pauses = await deps.apps.pausesToTell(BOUND.functions);
  for (const { toldTo, ...pause } of pauses) {
    const { env, functionId, since } = pause;
    const { runs, cursor } = await deps.store.openRunsOf({
      env,
      functionId,
      after: 0,
      before: since + DAY,
      cursor: toldTo,
      window: BOUND.window,
    });
    const told = await inPool(runs, BOUND.atOnce, ({ runId }) => tryHold(deps, pause, runId));
    // What could not be told is told with the whole window again.
    await deps.apps.pauseTold(pause, told.includes(false) ? toldTo : cursor);
  }
  return pauses.length > 0;
}

async function tryHold(deps: PauseDeps, pause: Pause, runId: string): Promise<boolean> {
  try {
    await hold(deps, pause, runId);
    return true;
  } catch (error) {
    deps.log.error('pauses: a run could not be told', { runId, error });
    return false;
  }
}

export async function hold(
  { runs }: Pick<PauseDeps, 'runs'>,
  { mode, turn, since }: Pause,
  runId: string,
): Promise<void> {
  await runs.hold(runId, { turn, until: mode === 'hold' ? since + LONGEST : null });
}

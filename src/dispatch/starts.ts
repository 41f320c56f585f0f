/** What events start: the pure plan (src/match/plan.ts), with what it needs opened for it. */
import { indexFunctions, plan, readsUser } from '../match/plan.ts';
import type { StoredEvent } from '../protocol/event.ts';
import type { RunStart } from '../protocol/run.ts';
import type { Arrival, Catalog, Clock, Functions, Log, Seal } from '../ports.ts';
import { withFlow } from './flow.ts';
import { countsAgain, type Gated } from './gates.ts';
import { openUser } from './user.ts';

export interface PlanDeps {
  functions: Functions;
  /** Null when the deployment has no encryption key. */
  seal: Pick<Seal, 'open'> | null;
  clock: Clock;
  log: Log;
}

/** An event and the runs that it starts. */
export interface Plan extends Arrival {
  starts: RunStart[];
  /** Those that have something to pass before; they are among the `starts` when they have. */
  gated: Gated[];
  /** It was dispatched before, into a batch or a debounce that has closed. */
  isCollected?: boolean;
}

export async function planAll(deps: PlanDeps, events: readonly StoredEvent[]): Promise<Plan[]> {
  const now = deps.clock.now();
  return Promise.all(
    events.map(async (event) => {
      const catalog = deps.functions.known(event.env);
      const { starts, gated } = await startsOf(deps, catalog, event, now);
      // One that is meant for a function that does not exist is refused to whoever sent it.
      const isHeard = starts.length > 0 || gated.length > 0 || event.target !== undefined;
      const isHeardAgain = gated.some(countsAgain);
      return { event, starts, gated, isHeard, isHeardAgain, version: catalog.version };
    }),
  );
}

/** Once more, with the functions that the environments of these events have now. Rejects when they cannot be loaded. */
export async function planAnew(deps: PlanDeps, events: readonly StoredEvent[]): Promise<Plan[]> {
  for (const env of new Set(events.map((event) => event.env))) await deps.functions.load(env);
  return planAll(deps, events);
}

/** `user` is opened only for functions whose expressions read it; where it cannot be, filters do not match, and that is logged. */
async function startsOf(
  deps: PlanDeps,
  { version, configs, paused }: Catalog,
  event: StoredEvent,
  now: number,
) {
  const index = indexFunctions(configs);
  const user = readsUser(index, event) ? await openUser(deps, event) : undefined;
  const warn = (warning: object) =>
    deps.log.error('dispatch: an expression could not be decided', { ...warning });
  const starts = plan(index, event, now, { warn, ...(user === undefined ? {} : { user }) });
  const planned = version === 0 ? starts : starts.map((start) => ({ ...start, registry: version }));
  const open = async () => user ?? openUser(deps, event);
  const options = { open, warn };
  if (paused === undefined || paused.size === 0) return withFlow(index, event, planned, options);
  const [held = [], free = []] = [true, false].map((isHeld) =>
    planned.filter(({ functionId }) => paused.has(functionId) === isHeld),
  );
  const { starts: own, gated } = await withFlow(index, event, free, options);
  const skipped = held.map((run): Gated => ({ run, asks: {}, at: event.receivedAt, isPaused: true }));
  return { starts: own, gated: [...skipped, ...gated] };
}

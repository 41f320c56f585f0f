/**
 * What admitted events bring about: their runs are started, those who wait for them are told, and all that came of it is written in
 * one batch. The events about the ends of runs that ended at once are stored in that same batch, and those of them that somebody
 * listens to come next.
 *
 * Every event gets its own outcome, and none waits for another's: a start that fails leaves its event undispatched. Until the batch is
 * written an event counts as undispatched, so everything here may be interrupted and repeated.
 */
import { SECOND } from '../lib/time.ts';
import type { SerializedError } from '../protocol/error.ts';
import type { StoredEvent } from '../protocol/event.ts';
import type { RunEnding, RunStart, RunSummary } from '../protocol/run.ts';
import type { Admitted, QueuedRun, Runs, Store, Waits } from '../ports.ts';
import { errorKind } from './delivery.ts';
import { countsAgain, type GateDeps, passGates } from './gates.ts';
import { inPool } from './pool.ts';
import { planAll, planAnew, type Plan, type PlanDeps } from './starts.ts';

export interface CarryDeps extends PlanDeps, Pick<GateDeps, 'gates'> {
  functions: PlanDeps['functions'] & GateDeps['functions'];
  store: Pick<Store, 'settle' | 'claim'>;
  runs: Pick<Runs, 'start' | 'answer'>;
  waits: Pick<Waits, 'deliver'>;
}

/**
 * `done`: nothing is left to do. `failed`: this event's own trouble. `later`: the store, the waits or a parent did not take it, which
 * is nobody's fault, to be tried until it works. `missing`: asked for by its id, and no such event is stored.
 */
type Outcome = { is: 'done' } | { is: 'failed'; reason: string } | { is: 'later' } | { is: 'missing' };
/** By internal id. */
export type Outcomes = Map<string, Outcome>;

/** When a sweep asks about a run for the first time, after it was to start. */
const FIRST_CHECK = 30 * SECOND;
const NAMES_AT_ONCE = 16;
const ANSWERS_AT_ONCE = 24;

/** @param atOnce starts under way at a time. @param outcomes of the admitted events, and of those about ends, are added. */
export async function carryOut(
  deps: CarryDeps,
  plans: readonly Plan[],
  admitted: Admitted,
  atOnce: number,
  outcomes: Outcomes,
): Promise<void> {
  let [next, state] = [opened(plans, admitted), admitted];
  while (next.length > 0) {
    for (const { event } of next) outcomes.set(event.internalId, { is: 'done' });
    const planned = opened(await current(deps, next, state, outcomes), state);
    const { plans: open, skipped } = await letIn(deps, planned, outcomes);
    const endings = await start(deps, open, atOnce, outcomes);
    await deliver(
      deps,
      open.flatMap(({ event }) => (state.get(event.internalId)?.isAwaited === true ? [event] : [])),
      outcomes,
    );
    await refuse(deps, open, outcomes);
    const told = await tellParents(deps, endings);
    const written = await settle(deps, open, { endings: told, skipped }, outcomes);
    [next, state] = [opened(written.plans, written.admitted), written.admitted];
  }
}

/**
 * Planning costs nothing as long as what is known of the functions is not behind; the store has told of which events it was. Nothing of
 * those has been started yet.
 */
async function current(
  deps: CarryDeps,
  plans: readonly Plan[],
  admitted: Admitted,
  outcomes: Outcomes,
): Promise<Plan[]> {
  const isCurrent = ({ event }: Plan) => admitted.get(event.internalId)?.isCurrent === true;
  const stale = plans.filter((plan) => !isCurrent(plan)).map(({ event }) => event);
  if (stale.length === 0) return [...plans];
  const rest = plans.filter(isCurrent);
  try {
    return [...rest, ...(await planAnew(deps, stale))];
  } catch (error) {
    deps.log.error('dispatch: the functions were not loaded', { events: stale.length, error });
    for (const { internalId } of stale) outcomes.set(internalId, { is: 'later' });
    return rest;
  }
}

/** Those runs are closed in the index, and the events about their ends are stored. Rejects when the store did not take it. */
export async function settleEnds(
  deps: CarryDeps,
  endings: readonly RunEnding[],
  rest: { open?: QueuedRun[]; dispatched?: string[]; skipped?: RunSummary[] } = {},
): Promise<{ plans: Plan[]; admitted: Admitted }> {
  const { skipped = [], ...also } = rest;
  const plans = await planAll(
    deps,
    endings.flatMap((ending) => ending.events),
  );
  const ended = [...skipped, ...endings.map((ending) => ending.summary)];
  const admitted = await deps.store.settle({ ...also, arrivals: plans, ended }, deps.clock.now());
  return { plans, admitted };
}

/** Answers the ends of which who invoked the run knows. The others' runs are left open in the index: a sweep asks them again. */
export async function tellParents(
  { runs, log }: Pick<CarryDeps, 'runs' | 'log'>,
  endings: readonly RunEnding[],
): Promise<RunEnding[]> {
  const told = await inPool(endings, ANSWERS_AT_ONCE, async ({ parent, summary }) => {
    try {
      if (parent !== null) await runs.answer(parent.to.runId, parent.to.key, parent.answer);
      return true;
    } catch (error) {
      log.error('dispatch: who invoked a run was not told of its end', { runId: summary.runId, error });
      return false;
    }
  });
  return endings.filter((_, i) => told[i]);
}

/** Each once; of a duplicate only what it counts for all the same. */
function opened(plans: readonly Plan[], admitted: Admitted): Plan[] {
  const open = new Map(plans.map((plan) => [plan.event.internalId, plan]));
  return [...open].flatMap(([internalId, plan]) => {
    const state = admitted.get(internalId);
    if (state === undefined) return [];
    return state.isDuplicate === true
      ? [{ ...plan, starts: [], gated: plan.gated.filter(countsAgain) }]
      : [plan];
  });
}

/** Answers the plans with the starts that have passed their gates among the others, and the records of those that have not. */
async function letIn(
  deps: CarryDeps,
  plans: readonly Plan[],
  outcomes: Outcomes,
): Promise<{ plans: readonly Plan[]; skipped: RunSummary[] }> {
  const gated = plans.flatMap((plan) => plan.gated);
  if (gated.length === 0) return { plans, skipped: [] };
  const { starts, skipped, failed } = await passGates(deps, gated);
  const passed = Map.groupBy(starts, ({ events }) => events[0]?.internalId ?? '');
  for (const [internalId, reason] of failed) outcomes.set(internalId, { is: 'failed', reason });
  const all = plans.map((plan) => ({
    ...plan,
    starts: [...plan.starts, ...(passed.get(plan.event.internalId) ?? [])],
  }));
  return { plans: all, skipped };
}

/** Answers the ends of those runs that have ended already. */
async function start(
  deps: CarryDeps,
  plans: readonly Plan[],
  atOnce: number,
  outcomes: Outcomes,
): Promise<RunEnding[]> {
  const due = plans.flatMap((plan) => plan.starts);
  const endings = await inPool(due, atOnce, async (run) => {
    try {
      return await deps.runs.start(run);
    } catch (error) {
      const { runId, functionId } = run;
      deps.log.error('dispatch: a run was not started', { runId, functionId, error });
      const reason = `start of ${functionId}: ${errorKind(error)}`;
      outcomes.set(run.events[0]?.internalId ?? '', { is: 'failed', reason });
      return null;
    }
  });
  return endings.filter((ending) => ending !== null);
}

/** To those who wait for them or are cancelled by them, all of one name in one call. */
async function deliver(deps: CarryDeps, events: readonly StoredEvent[], outcomes: Outcomes): Promise<void> {
  const untargeted = events.filter((event) => event.target === undefined);
  const groups = [...Map.groupBy(untargeted, ({ env, name }) => `${env} ${name}`).values()];
  await inPool(groups, NAMES_AT_ONCE, async (group) => {
    const [{ env, name }] = group as [StoredEvent];
    try {
      await deps.waits.deliver(env, name, group);
    } catch (error) {
      deps.log.error('dispatch: events were not delivered to waits', { name, events: group.length, error });
      for (const event of group) outcomes.set(event.internalId, { is: 'later' });
    }
  });
}

/** Who invoked a function that does not exist is told so (IV-12). */
async function refuse(deps: CarryDeps, plans: readonly Plan[], outcomes: Outcomes): Promise<void> {
  for (const { event, starts, gated } of plans) {
    const { internalId, target } = event;
    if (starts.length > 0 || gated.length > 0 || target?.parent === undefined) continue;
    const message = `could not find function with ID: ${target.functionId}`;
    const refusal: SerializedError = { name: 'NonRetriableError', message, code: 'functionNotFound' };
    const data = JSON.stringify(refusal);
    try {
      await deps.runs.answer(target.parent.runId, target.parent.key, { ok: false, data });
    } catch (error) {
      deps.log.error('dispatch: an invocation was not refused', { internalId, error });
      outcomes.set(internalId, { is: 'later' });
    }
  }
}

/** An end that the store does not take holds nothing up: the runs are then left open in the index, and a sweep asks them again. */
async function settle(
  deps: CarryDeps,
  plans: readonly Plan[],
  { endings, skipped }: { endings: readonly RunEnding[]; skipped: RunSummary[] },
  outcomes: Outcomes,
): Promise<{ plans: Plan[]; admitted: Admitted }> {
  // Collected events are settled by those who collected them: there may be more to write about them.
  const dispatched = plans.flatMap(({ event: { internalId }, isCollected: isSettled = false }) =>
    !isSettled && outcomes.get(internalId)?.is === 'done' ? [internalId] : [],
  );
  for (const ends of endings.length > 0 ? [endings, []] : [[]]) {
    const ended = new Set(ends.map((ending) => ending.summary.runId));
    const open = plans.flatMap((plan) =>
      plan.starts.filter((run) => !ended.has(run.runId)).map((run) => queuedRun(run, plan)),
    );
    try {
      return await settleEnds(deps, ends, { open, dispatched, skipped });
    } catch (error) {
      deps.log.error('dispatch: what came of events was not written', { events: plans.length, error });
    }
  }
  for (const { event } of plans) outcomes.set(event.internalId, { is: 'later' });
  return { plans: [], admitted: new Map() };
}

function queuedRun({ runId, env, functionId, queuedAt, startAt }: RunStart, plan: Plan): QueuedRun {
  const checkAt = startAt + FIRST_CHECK;
  const row = { runId, env, functionId, eventId: plan.event.internalId, queuedAt, checkAt };
  return plan.isCollected === true ? { ...row, isCollected: true } : row;
}

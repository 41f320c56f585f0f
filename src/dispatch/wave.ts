/**
 * One wave of events: planned, admitted by the store in one batch, their runs started, marked as dispatched.
 *
 * Every event gets its own outcome, and none waits for another's: a start that fails leaves its event undispatched. Everything
 * may be repeated: admission answers only what is still open, and run ids are derived.
 */
import { indexFunctions, plan, readsUser } from '../match/plan.ts';
import { SECOND } from '../lib/time.ts';
import type { StoredEvent } from '../protocol/event.ts';
import type { RunStart } from '../protocol/run.ts';
import type { Catalog, Clock, Functions, Log, QueuedRun, Runs, Seal, Store, Waits } from '../ports.ts';
import { errorKind } from './delivery.ts';
import { withFlow } from './flow.ts';
import { inPool } from './pool.ts';

export interface WaveDeps {
  store: Store;
  runs: Pick<Runs, 'start' | 'answer'>;
  waits: Pick<Waits, 'deliver'>;
  functions: Functions;
  /** Null when the deployment has no encryption key. */
  seal: Pick<Seal, 'open'> | null;
  clock: Clock;
  log: Log;
}

/**
 * `done`: nothing is left to do. `failed`: this event's own trouble. `store`: nobody's fault, to be tried until it works. `missing`:
 * asked for by its id, and no such event is stored.
 */
type Outcome = { is: 'done' } | { is: 'failed'; reason: string } | { is: 'store' } | { is: 'missing' };
/** By internal id. */
export type Outcomes = Map<string, Outcome>;

const DONE: Outcome = { is: 'done' };
const STORE: Outcome = { is: 'store' };
/** When a sweep asks about a run for the first time, after it was to start. */
const FIRST_CHECK = 30 * SECOND;
const NAMES_AT_ONCE = 16;
/** Plans of one wave, when apps register all the time. */
const PLANS = 3;

/** @param atOnce starts under way at a time. */
export async function dispatchWave(
  deps: WaveDeps,
  events: readonly StoredEvent[],
  atOnce: number,
): Promise<Outcomes> {
  const outcomes: Outcomes = new Map();
  for (const [env, group] of Map.groupBy(events, (event) => event.env)) {
    await dispatchIn(env, deps, group, atOnce, outcomes);
  }
  return outcomes;
}

async function dispatchIn(
  env: string,
  deps: WaveDeps,
  events: readonly StoredEvent[],
  atOnce: number,
  outcomes: Outcomes,
): Promise<void> {
  const { starts, open, lost } = await planAndAdmit(env, deps, events);
  for (const event of events) outcomes.set(event.internalId, DONE);
  for (const event of lost) outcomes.set(event.internalId, STORE);
  const due = [...open].flatMap((internalId) => starts.get(internalId) ?? []);
  await inPool(due, atOnce, async (start) => {
    const reason = await begin(deps, start);
    if (reason !== null) outcomes.set(start.events[0]?.internalId ?? '', { is: 'failed', reason });
  });
  const admitted = events.filter((event) => open.has(event.internalId));
  await deliver(deps, admitted, outcomes);
  await refuse(
    deps,
    admitted.filter((event) => event.target !== undefined && starts.get(event.internalId)?.length === 0),
    outcomes,
  );
  await mark(deps, open, outcomes);
}

/** With the functions that are known here, which costs nothing; with the newest ones once the store says that there are others. */
async function planAndAdmit(
  env: string,
  deps: WaveDeps,
  events: readonly StoredEvent[],
): Promise<Admitted & { starts: ReadonlyMap<string, RunStart[]> }> {
  const now = deps.clock.now();
  try {
    let catalog = deps.functions.known(env);
    for (let plans = 0; plans < PLANS; plans++) {
      const planned = { env, version: catalog.version };
      const starts = await planAll(deps, catalog, events, now);
      const admitted = await admit(deps, events, starts, planned, now);
      if (admitted !== 'stale') return { starts, ...admitted };
      catalog = await deps.functions.load(env);
    }
  } catch (error) {
    deps.log.error('dispatch: the functions were not loaded', { events: events.length, error });
  }
  return { starts: new Map(), open: new Set(), lost: events };
}

async function planAll(
  deps: WaveDeps,
  catalog: Catalog,
  events: readonly StoredEvent[],
  now: number,
): Promise<ReadonlyMap<string, RunStart[]>> {
  const planned = events.map(
    async (event) => [event.internalId, await startsOf(deps, catalog, event, now)] as const,
  );
  return new Map(await Promise.all(planned));
}

/** To those who wait for them or are cancelled by them, all of one name in one call. */
async function deliver(deps: WaveDeps, events: readonly StoredEvent[], outcomes: Outcomes): Promise<void> {
  const untargeted = events.filter((event) => event.target === undefined);
  const groups = [...Map.groupBy(untargeted, ({ env, name }) => `${env} ${name}`).values()];
  await inPool(groups, NAMES_AT_ONCE, async (group) => {
    const [{ env, name }] = group as [StoredEvent];
    try {
      await deps.waits.deliver(env, name, group);
    } catch (error) {
      deps.log.error('dispatch: events were not delivered to waits', { name, events: group.length, error });
      const reason = `waits: ${errorKind(error)}`;
      for (const event of group) outcomes.set(event.internalId, { is: 'failed', reason });
    }
  });
}

/** Who invoked a function that does not exist is told so (IV-12). */
async function refuse(deps: WaveDeps, events: readonly StoredEvent[], outcomes: Outcomes): Promise<void> {
  for (const { internalId, target } of events) {
    if (target?.parent === undefined) continue;
    const message = `the invoked function "${target.functionId}" does not exist`;
    const data = JSON.stringify({ name: 'NonRetriableError', message });
    try {
      await deps.runs.answer(target.parent.runId, target.parent.key, { ok: false, data });
    } catch (error) {
      outcomes.set(internalId, { is: 'failed', reason: `answer: ${errorKind(error)}` });
    }
  }
}

/** `user` is opened only for functions whose filters read it; where it cannot be, they do not match, and that is logged. */
async function startsOf(
  deps: WaveDeps,
  { version, configs }: Catalog,
  event: StoredEvent,
  now: number,
): Promise<RunStart[]> {
  const index = indexFunctions(configs);
  const user = readsUser(index, event) ? await openUser(deps, event) : undefined;
  const warn = (warning: object) =>
    deps.log.error('dispatch: an expression could not be decided', { ...warning });
  const starts = plan(index, event, now, { warn, ...(user === undefined ? {} : { user }) });
  const planned = version === 0 ? starts : starts.map((start) => ({ ...start, registry: version }));
  const open = async () => user ?? (event.user === undefined ? undefined : openUser(deps, event));
  return withFlow(index, event, planned, { open, warn });
}

async function openUser({ seal, log }: WaveDeps, { env, internalId, user }: StoredEvent) {
  try {
    return await seal?.open(user ?? '', env);
  } catch (error) {
    log.error('dispatch: the user of an event could not be opened', { internalId, error });
    return undefined;
  }
}

async function begin(deps: WaveDeps, start: RunStart): Promise<string | null> {
  try {
    await deps.runs.start(start);
    return null;
  } catch (error) {
    deps.log.error('dispatch: a run was not started', {
      runId: start.runId,
      functionId: start.functionId,
      error,
    });
    return `start of ${start.functionId}: ${errorKind(error)}`;
  }
}

async function mark(deps: WaveDeps, open: ReadonlySet<string>, outcomes: Outcomes): Promise<void> {
  const done = [...open].filter((internalId) => outcomes.get(internalId)?.is === 'done');
  if (done.length === 0) return;
  try {
    await deps.store.markDispatched(done, deps.clock.now());
  } catch (error) {
    deps.log.error('dispatch: events were not marked as dispatched', { events: done.length, error });
    for (const internalId of done) outcomes.set(internalId, STORE);
  }
}

/** The functions that runs were planned with. */
type Planned = Parameters<Store['admit']>[3];

interface Admitted {
  open: Set<string>;
  /** What the store did not take. */
  lost: readonly StoredEvent[];
}

/**
 * One batch for all. When that fails the two halves are tried: if one of them works the store is up and the trouble is in the other,
 * which is halved again; if neither does, the store is taken to be down.
 */
async function admit(
  deps: WaveDeps,
  events: readonly StoredEvent[],
  starts: ReadonlyMap<string, RunStart[]>,
  planned: Planned,
  now: number,
): Promise<Admitted | 'stale'> {
  const whole = await tryAdmit(deps, events, starts, planned, now);
  if (whole === 'stale') return whole;
  if (whole !== null) return { open: whole, lost: [] };
  const open = new Set<string>();
  let suspects = events;
  while (suspects.length > 1) {
    const middle = Math.ceil(suspects.length / 2);
    const halves = [suspects.slice(0, middle), suspects.slice(middle)] as const;
    const left = await tryAdmit(deps, halves[0], starts, planned, now);
    const right = await tryAdmit(deps, halves[1], starts, planned, now);
    // Nothing that was planned so is started: all of it is admitted once more.
    if (left === 'stale' || right === 'stale') return 'stale';
    for (const internalId of [...(left ?? []), ...(right ?? [])]) open.add(internalId);
    if (left !== null && right !== null) return { open, lost: [] };
    if (left === null && right === null) break;
    suspects = left === null ? halves[0] : halves[1];
  }
  return { open, lost: suspects };
}

async function tryAdmit(
  deps: WaveDeps,
  events: readonly StoredEvent[],
  starts: ReadonlyMap<string, RunStart[]>,
  planned: Planned,
  now: number,
): Promise<Set<string> | 'stale' | null> {
  const queued = events.flatMap((event) =>
    (starts.get(event.internalId) ?? []).map((run) => queuedRun(run, event)),
  );
  try {
    return await deps.store.admit([...events], queued, now, planned);
  } catch (error) {
    deps.log.error('dispatch: the store did not admit events', { events: events.length, error });
    return null;
  }
}

function queuedRun({ runId, env, functionId, queuedAt, startAt }: RunStart, event: StoredEvent): QueuedRun {
  return { runId, env, functionId, eventId: event.internalId, queuedAt, checkAt: startAt + FIRST_CHECK };
}

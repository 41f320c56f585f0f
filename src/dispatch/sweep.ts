/**
 * What closes the gaps that no transaction closes, again and again: events stored but not dispatched, runs of whose end the index
 * was not told, and what has expired; and bulk cancellations, which are carried out here. Every piece is bounded, may be repeated, and is tried whatever became of the others.
 */
import { chunks } from '../lib/chunks.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../lib/time.ts';
import { limits } from '../protocol/limits.ts';
import type { EventsMessage } from '../protocol/message.ts';
import type { Repairs } from '../protocol/rpc.ts';
import type { RunCheck, RunEnding } from '../protocol/run.ts';
import type { Apps, Clock, DueRun, Log, Runs, Sender, Store } from '../ports.ts';
import { cancelMany, type CancellationDeps } from './cancellations.ts';
import type { CarryDeps } from './carry-out.ts';
import { concludeRuns } from './close.ts';
import { hold, tellOfPauses } from './pauses.ts';
import { inPool } from './pool.ts';

export interface SweepDeps extends CarryDeps, Pick<CancellationDeps, 'cancellations'> {
  store: Store;
  events: Sender<EventsMessage>;
  runs: Pick<Runs, 'start' | 'answer' | 'check' | 'purge' | 'read' | 'cancel' | 'hold'>;
  apps: Pick<Apps, 'pausesToTell' | 'pauseTold'>;
  clock: Clock;
  log: Log;
  /** What was sent again lately. In memory only: when it is lost, something is sent once more than needed. */
  resent: Resent;
  /** One more of these stood still, and goes on. */
  repaired: (what: keyof Repairs) => void;
}

/** By internal id: when it may be sent again, and how long it waited for that. */
export type Resent = Map<string, { at: number; wait: number }>;

/** An event that is not dispatched after this long has been forgotten. */
const FORGOTTEN = 5 * SECOND;
const RESENT_WAIT = { first: 30 * SECOND, most: 10 * MINUTE };
const CHECK = { grace: { least: 10 * SECOND, most: MINUTE }, least: 30 * SECOND, most: HOUR, sleeping: DAY };
/** What a queue has not brought after this long, however busy, it has lost or will not bring. */
const STUCK = 10 * MINUTE;
/** Pieces of one sweep. */
const BOUND = { events: 1_000, runs: 500, expired: 500, atOnce: 24 };
/** What a bulk cancellation did is shown for so long after its end (BC-15). */
const CANCELLATIONS_KEPT = 30 * DAY;
const NEXT = { busy: 5 * SECOND, idle: MINUTE };

/** @returns when the next sweep is due, in milliseconds from now. */
export async function sweep(deps: SweepDeps): Promise<{ nextIn: number }> {
  let busy = false;
  for (const [name, piece] of Object.entries({ resend, tellOfPauses, checkRuns, cancelMany, expire })) {
    try {
      if (await piece(deps)) busy = true;
    } catch (error) {
      deps.log.error(`sweep: ${name} failed`, { error });
      busy = true;
    }
  }
  return { nextIn: busy ? NEXT.busy : await untilNextCheck(deps) };
}

/** An idle sweep waits for the next check: the end of a run whose message was lost is then known as soon as it is asked for. */
async function untilNextCheck({ store, clock, log }: SweepDeps): Promise<number> {
  try {
    const due = await store.nextCheck();
    return due === null ? NEXT.idle : Math.min(Math.max(due - clock.now(), NEXT.busy), NEXT.idle);
  } catch (error) {
    log.error('sweep: the next check is not known', { error });
    return NEXT.busy;
  }
}

/**
 * An event whose message is being retried is not dispatched either: each event is sent again at growing intervals, so that trouble
 * is not multiplied.
 */
async function resend(deps: SweepDeps): Promise<boolean> {
  const { store, events, clock, resent } = deps;
  const now = clock.now();
  const ids = await store.undispatched(now - FORGOTTEN, BOUND.events);
  const waiting = new Set(ids);
  for (const id of resent.keys()) if (!waiting.has(id)) resent.delete(id);
  const due = ids.filter((id) => (resent.get(id)?.at ?? 0) <= now);
  if (due.length > 0) await events.send(chunks(due, limits.messageIds).map((group) => ({ ids: group })));
  for (const id of due) {
    const before = resent.get(id)?.wait ?? RESENT_WAIT.first / 2;
    const wait = Math.min(before * 2, RESENT_WAIT.most);
    // Once for each: when its waits have grown as long as they get.
    if (wait === RESENT_WAIT.most && before < wait) deps.repaired('events');
    resent.set(id, { at: now + wait, wait });
  }
  return ids.length > 0;
}

type Found = { runId: string; checkAt: number } | { runId: string; ending: RunEnding };

async function checkRuns(deps: SweepDeps): Promise<boolean> {
  const { store, clock } = deps;
  const due = await store.runsToCheck(clock.now(), BOUND.runs);
  if (due.length === 0) return false;
  for (const env of new Set(due.map((run) => run.env))) await deps.functions.load(env);
  const found = await inPool(due, BOUND.atOnce, (run) => checkRun(deps, run));
  const ended = found.flatMap((run) => ('ending' in run ? [run.ending] : []));
  const later = found.flatMap((run) => ('ending' in run ? [] : [run]));
  if (later.length > 0) await store.scheduleChecks(later);
  await concludeRuns(deps, ended);
  return true;
}

/**
 * A run that is unknown to its object has not been started yet: its event is not dispatched, which is `resend`'s business, or it is
 * dead, and the run will never be started.
 */
async function checkRun(deps: SweepDeps, run: DueRun): Promise<Found> {
  const { runId, queuedAt } = run;
  const now = deps.clock.now();
  const soon = now + Math.min(Math.max(now - queuedAt, CHECK.least), CHECK.most);
  try {
    // Whoever came into the index only after the others were told.
    const pause = deps.functions.known(run.env).paused?.get(run.functionId);
    if (pause?.mode === 'hold') await hold(deps, pause, runId);
    const check = await deps.runs.check(runId);
    note(deps, check, now);
    if (check.state === 'ended') return { runId, ending: check.ending };
    if (check.state === 'unknown' && run.deadReason !== null)
      return { runId, ending: await notStarted(deps, run, run.deadReason) };
    if (check.state === 'unknown' || check.nextAt === null) return { runId, checkAt: soon };
    // A run that sleeps for a year may be cancelled tomorrow, and the message that says so be lost.
    const grace = Math.min(Math.max((now - queuedAt) / 2, CHECK.grace.least), CHECK.grace.most);
    const wakes = Math.min(Math.max(check.nextAt, now) + Math.floor(grace), now + CHECK.sleeping);
    return { runId, checkAt: wakes };
  } catch (error) {
    deps.log.error('sweep: a run could not be asked', { runId, error });
    return { runId, checkAt: soon };
  }
}

/** A run that has only now ended, because it was woken, is one repair and not two. */
function note({ repaired }: SweepDeps, check: RunCheck, now: number): void {
  if (check.state === 'unknown') return;
  if (check.repaired !== undefined) repaired(check.repaired === 'alarm' ? 'alarms' : 'asks');
  else if (check.state === 'ended' && check.ending.summary.endedAt <= now - STUCK) repaired('reports');
}

/** The end of a run that never was: who invoked it is told so too. */
async function notStarted({ store, clock }: SweepDeps, run: DueRun, reason: string): Promise<RunEnding> {
  const { runId, env, functionId, eventId, queuedAt } = run;
  const output = JSON.stringify({ name: 'NotStarted', message: `the event was given up: ${reason}` });
  const summary = {
    runId,
    env,
    functionId,
    eventId,
    status: 'Failed',
    queuedAt,
    endedAt: clock.now(),
    output,
  } as const;
  const to = (await store.findEvent(env, eventId))?.event.target?.parent;
  return {
    summary,
    parent: to === undefined ? null : { to, answer: { ok: false, data: output } },
    events: [],
  };
}

async function expire({ store, runs, cancellations, clock, log }: SweepDeps): Promise<boolean> {
  await cancellations.forget(clock.now() - CANCELLATIONS_KEPT);
  const { runIds, more } = await store.expire(clock.now(), BOUND.expired);
  const emptied: string[] = [];
  await inPool(runIds, BOUND.atOnce, async (runId) => {
    try {
      await runs.purge(runId);
      emptied.push(runId);
    } catch (error) {
      log.error('sweep: a run could not be emptied', { runId, error });
    }
  });
  // The row goes last: as long as it is there, somebody knows of the object.
  if (emptied.length > 0) await store.forgetRuns(emptied);
  return more;
}

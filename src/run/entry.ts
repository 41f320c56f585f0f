/** Entering the handler: at the start, at a retry, after a loss. */
import { MINUTE, SECOND } from '../lib/time.ts';
import { askEffects, cancelKeys, fail, finish } from './finish.ts';
import type { Live, Run, RunConfig, RunState } from './state.ts';
import { nothing, type Changes, type Effect, type Transition } from './transition.ts';

/** How long user code may run before the object looks whether it still does. Also what a crash costs at most. */
export const WATCHDOG = 10 * SECOND;

/** User code that takes its host down with it (out of memory, say) is entered this often in a row, then the run fails. */
const MAX_LOSSES = 20;
const LOSS_BACKOFF = { first: SECOND, most: MINUTE };

function entered(now: number) {
  return { phase: 'executing' as const, since: now, watchdog: now + WATCHDOG };
}

/** User code gave news. The watchdog stays where it is while code runs: moving it would cost a write at every step. */
export function executing(live: Live, now: number): NonNullable<Changes['live']> {
  return live.phase === 'executing' ? { ...entered(now), watchdog: live.watchdog } : entered(now);
}

/** Lets the handler see the journal as it now stands: at once, or when its own retry is due. Not once a cancellation waits (CX-26). */
export function callHandler(run: Run): Effect[] {
  return run.due === null && run.cancelAt === null
    ? [{ type: 'call', entry: run.entry, attempt: run.attempt, step: null }]
    : [];
}

export function started(config: RunConfig, startAt: number, now: number): Transition {
  const later = startAt > now;
  const waits = later || config.flow !== undefined;
  const run: Run = {
    entry: 1,
    attempt: 0,
    due: waits ? startAt : null,
    startedAt: waits ? null : now,
    failures: [],
    losses: 0,
    cancelAt: null,
    end: null,
  };
  if (config.startWithin !== null && now - startAt > config.startWithin) {
    const changes: Changes = {
      config,
      run: { ...run, due: null, end: { status: 'Cancelled', at: now } },
      output: 'null',
      live: { phase: 'parked' },
    };
    return { changes, effects: [{ type: 'report' }] };
  }
  const asked = cancelKeys({ config });
  return {
    changes: { config, run, asked, live: later && asked.length === 0 ? { phase: 'parked' } : entered(now) },
    effects: [...asked.map((key): Effect => ({ type: 'ask', key })), ...callHandler(run)],
  };
}

export function entryDue(state: RunState, now: number): Transition {
  if (state.run.due === null || state.run.due > now || state.run.cancelAt !== null) return nothing;
  const run = { ...state.run, due: null, startedAt: state.run.startedAt ?? now };
  return { changes: { run, live: executing(state.live, now) }, effects: callHandler(run) };
}

/**
 * The alarm went off and nothing was due: user code is still running (look again later), or it was lost with the memory that it
 * ran in. Then it is entered again from the journal: at once the first time, later and later when it is lost again and again.
 */
export function watchdog(state: RunState, now: number): Transition {
  const { live, run } = state;
  if (live.phase === 'parked') return nothing;
  if (live.phase === 'executing')
    return {
      changes: { live: { ...entered(now), since: live.since } },
      effects: [...askEffects(state, live.asks, now), ...callHandler(run)],
    };
  // The steps that the cancellation waited for are lost.
  if (run.cancelAt !== null) return finish(state, run, 'Cancelled', 'null', now);
  // A start or a retry of the handler lies ahead: until then it is not user code that is lost.
  if (run.due !== null && run.due > now) return { changes: { live: { phase: 'parked' } }, effects: [] };
  const losses = run.losses + 1;
  const until = afterLoss(losses, now);
  if (until === null) return runLost(state, now);
  if (until > now)
    return { changes: { run: { ...run, losses, due: until }, live: { phase: 'parked' } }, effects: [] };
  const next = { ...run, losses, startedAt: run.startedAt ?? now };
  return { changes: { run: next, live: entered(now) }, effects: callHandler(next) };
}

/** When user code may run again after so many losses in a row; null: never. */
export function afterLoss(losses: number, now: number): number | null {
  if (losses >= MAX_LOSSES) return null;
  return losses === 1 ? now : now + Math.min(LOSS_BACKOFF.first * 2 ** (losses - 2), LOSS_BACKOFF.most);
}

export function runLost(state: RunState, now: number): Transition {
  const message = `the function's host was lost ${MAX_LOSSES} times in a row`;
  return fail(state, state.run, { name: 'RunLost', message }, now);
}

/** User code has answered: whatever was lost before, it was not lost for good. */
export function progress(run: Run): Run {
  return run.losses === 0 ? run : { ...run, losses: 0 };
}

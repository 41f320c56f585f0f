/** The only place where a run's state changes, and the way back from its rows. Called by the state's one owner. */
import type { Run, RunConfig, RunState, Step } from './state.ts';
import type { Changes } from './transition.ts';

/** Takes the changes of a transition into the state (which is modified and returned); `null` before the run has started. */
export function commit(state: RunState | null, changes: Changes): RunState {
  if (state === null) {
    if (changes.config === undefined || changes.run === undefined)
      throw new Error('a run begins with its configuration');
    state = load(changes.config, changes.run, []);
  }
  if (changes.run !== undefined) state.run = changes.run;
  if (changes.step !== undefined) place(state, changes.step.step);
  if (changes.stopped !== undefined) state.live.steps.delete(changes.stopped);
  if (changes.began !== undefined) state.live.steps.set(changes.began.id, changes.began);
  for (const key of changes.asked ?? []) state.live.asks.add(key);
  for (const key of changes.acknowledged ?? []) state.live.asks.delete(key);
  if (changes.live !== undefined) Object.assign(state.live, changes.live);
  if (changes.slots !== undefined) state.live.slots = changes.slots;
  return state;
}

/** The state as its rows tell it: what user code was doing is unknown. */
export function load(config: RunConfig, run: Run, steps: Step[]): RunState {
  const live: RunState['live'] = {
    phase: 'unknown',
    since: 0,
    watchdog: 0,
    steps: new Map(),
    asks: new Set(),
  };
  const state: RunState = {
    config,
    run,
    steps: new Map(),
    live,
    waiting: new Map(),
    bytes: config.eventBytes,
    settled: 0,
  };
  for (const step of steps) place(state, step);
  return state;
}

function place(state: RunState, step: Step): void {
  const before = state.steps.get(step.id);
  state.steps.set(step.id, step);
  if (step.state === 'waiting') {
    state.waiting.set(step.id, step.due);
    return;
  }
  state.waiting.delete(step.id);
  if (before?.state === 'settled') return;
  state.bytes += step.size;
  state.settled += 1;
}

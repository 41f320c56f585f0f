/**
 * States, inputs and effects in words, so that a table of transitions can be read.
 *
 *   state    executing | parked | unknown | Completed | Failed(<error>) | Cancelled, then what differs from a fresh run:
 *            entry 2, attempt 1, due +100, losses 3, cancelling
 *   steps    <id> ok | failed | sleeping +100 | retrying 1 +100 | retrying 1 +100 running | running, then: late 2
 *   effects  call | call entry 2 attempt 1 | call <id>#1 | stop | report
 *
 * `+100` is a moment, in milliseconds after NOW.
 */
import type { SerializedError } from '../../src/protocol/error.ts';
import type { When } from '../../src/protocol/op.ts';
import { apply } from '../../src/run/apply.ts';
import { commit, load } from '../../src/run/commit.ts';
import type { Live, Run, RunConfig, RunState, Step } from '../../src/run/state.ts';
import type { Effect, RunInput, Transition } from '../../src/run/transition.ts';

export const NOW = 1_800_000_000_000;
/** The fixed wait before a retry in these tables. */
export const RETRY = 1_000;

export const config: RunConfig = {
  runId: 'run',
  env: 'main',
  functionId: 'app-fn',
  eventIds: ['event'],
  eventBytes: 0,
  queuedAt: NOW,
  maxAttempts: 3,
  maxSteps: 5,
  stepRuntime: 7_200_000,
  retryInterval: RETRY,
  cancelOn: [],
  startWithin: null,
  finishWithin: null,
  parent: null,
};

export const boom: SerializedError = { name: 'Error', message: 'boom' };

export const began = (id: string, attempt = 0, recorded = false): RunInput => ({
  type: 'began',
  id,
  name: id,
  attempt,
  recorded,
});
export const ok = (id: string, value: unknown = 1, attempt = 0): RunInput => ({
  type: 'reported',
  op: { op: 'StepRun', id, name: id, attempt, data: JSON.stringify(value) },
});
export const planned = (id: string, race = false): RunInput => ({
  type: 'reported',
  op: { op: 'StepPlanned', id, name: id, attempt: 0, ...(race ? { race } : {}) },
});
export const err = (
  id: string,
  attempt = 0,
  more: { final?: boolean; retryAfter?: When } = {},
): RunInput => ({
  type: 'reported',
  op: { op: 'StepError', id, name: id, attempt, error: boom, final: false, ...more },
});
export const sleep = (id: string, ms: number): RunInput => sleepUntil(id, { in: ms });
export const sleepUntil = (id: string, until: When): RunInput => ({
  type: 'reported',
  op: { op: 'Sleep', id, name: id, attempt: 0, until },
});
export const returned = (value: unknown = 'done', entry = 1): RunInput => ({
  type: 'returned',
  entry,
  output: JSON.stringify(value),
});
export const threw = (entry = 1, more: { final?: boolean; retryAfter?: When } = {}): RunInput => ({
  type: 'threw',
  entry,
  error: boom,
  final: false,
  ...more,
});
export const parked = (entry = 1): RunInput => ({ type: 'parked', entry });
export const stepDue = (id: string): RunInput => ({ type: 'stepDue', id });
export const stepOverdue = (id: string): RunInput => ({ type: 'stepOverdue', id });
export const cancelled: RunInput = { type: 'cancelled' };
export const entryDue: RunInput = { type: 'entryDue' };
export const entryOverdue: RunInput = { type: 'entryOverdue' };
export const watchdog: RunInput = { type: 'watchdog' };
export const started = (startAt = NOW): RunInput => ({ type: 'started', config, startAt });

/** Makes the state that the words describe. User code gave its last news, and its steps began, at `since`. */
export function given(words: string, over: Partial<RunConfig> = {}, since = NOW): RunState {
  const run: Run = {
    entry: 1,
    attempt: 0,
    due: null,
    startedAt: NOW,
    failures: [],
    losses: 0,
    cancelAt: null,
    end: null,
  };
  const steps: Step[] = [];
  const live: Live = { phase: 'unknown', since: 0, watchdog: 0, steps: new Map(), asks: new Set() };
  for (const word of words.split(', ')) {
    if (!runWord(word, run, live, since)) stepWord(word, steps, live, since);
  }
  const state = load({ ...config, ...over }, run, steps);
  state.live = live;
  return state;
}

function runWord(word: string, run: Run, live: Live, since: number): boolean {
  const [head = '', tail = ''] = word.split(' ');
  switch (head) {
    case 'executing':
      Object.assign(live, { phase: head, since, watchdog: since + 10_000 });
      return true;
    case 'parked':
    case 'unknown':
      live.phase = head;
      return true;
    case 'Completed':
    case 'Failed':
    case 'Cancelled':
      live.phase = 'parked';
      run.end = { status: head, at: since };
      return true;
    case 'entry':
    case 'attempt':
    case 'losses':
      run[head] = Number(tail);
      return true;
    case 'due':
      run.due = NOW + Number(tail);
      return true;
    case 'unstarted':
      run.startedAt = null;
      return true;
    case 'cancelling':
      run.cancelAt = since;
      return true;
    default:
      return false;
  }
}

function stepWord(word: string, steps: Step[], live: Live, since: number): void {
  const [id = '', kind, ...rest] = word.split(' ');
  const seq = steps.length;
  const base = { id, name: id, op: 'StepRun' as const, seq, startedAt: since, failures: [], late: 0 };
  const order = steps.filter((step) => step.state === 'settled').length;
  const settled = { state: 'settled' as const, order, endedAt: since, size: 4 };
  let attempt = 0;
  if (kind === 'ok') steps.push({ ...base, ...settled, ok: true });
  else if (kind === 'failed') steps.push({ ...base, ...settled, ok: false });
  else if (kind === 'sleeping') {
    steps.push({ ...base, op: 'Sleep', state: 'waiting', attempt: 0, due: NOW + Number(rest[0]) });
  } else if (kind === 'retrying') {
    attempt = Number(rest[0]);
    const failures = Array.from({ length: attempt }, (_, n) => ({ attempt: n, at: since, error: boom }));
    steps.push({ ...base, failures, state: 'waiting', attempt, due: NOW + Number(rest[1]) });
  } else if (kind !== 'running') throw new Error(`what does "${word}" mean?`);
  if (kind === 'running' || rest.includes('running')) live.steps.set(id, { id, name: id, attempt, since });
}

/** The words for a state. */
export function seen({ run, live, steps }: RunState): string {
  const failure = run.failures.at(-1)?.error.name;
  const words: string[] = [
    run.end === null ? live.phase : run.end.status === 'Failed' ? `Failed(${failure})` : run.end.status,
  ];
  if (run.entry !== 1) words.push(`entry ${run.entry}`);
  if (run.attempt !== 0) words.push(`attempt ${run.attempt}`);
  if (run.due !== null) words.push(`due ${at(run.due)}`);
  if (run.startedAt === null) words.push('unstarted');
  if (run.losses !== 0) words.push(`losses ${run.losses}`);
  if (run.cancelAt !== null) words.push('cancelling');
  for (const step of steps.values()) words.push(seenStep(step, live));
  for (const { id } of live.steps.values()) if (!steps.has(id)) words.push(`${id} running`);
  return words.join(', ');
}

function seenStep(step: Step, live: Live): string {
  const words = [step.id];
  if (step.state === 'settled') words.push(step.ok ? 'ok' : 'failed');
  else if (step.op === 'Sleep') words.push('sleeping', at(step.due));
  else words.push('retrying', String(step.attempt), at(step.due));
  if (live.steps.has(step.id)) words.push('running');
  if (step.late > 0) words.push(`late ${step.late}`);
  return words.join(' ');
}

function at(moment: number): string {
  return moment >= NOW ? `+${moment - NOW}` : String(moment - NOW);
}

export function seenEffects(effects: Effect[]): string {
  return effects.map(seenEffect).join(', ');
}

function seenEffect(effect: Effect): string {
  if (effect.type !== 'call') return effect.type;
  if (effect.step !== null) return `call ${effect.step.id}#${effect.step.attempt}`;
  const words = ['call'];
  if (effect.entry !== 1) words.push(`entry ${effect.entry}`);
  if (effect.attempt !== 0) words.push(`attempt ${effect.attempt}`);
  return words.join(' ');
}

/** Applies and commits. The state is checked to be untouched by `apply` itself. */
export function take(
  state: RunState,
  input: RunInput,
  now = NOW,
): { state: RunState; transition: Transition } {
  const before = structuredClone(state);
  const transition = apply(state, input, now);
  if (JSON.stringify(plain(before)) !== JSON.stringify(plain(state)))
    throw new Error('apply has changed the state');
  return { state: commit(state, transition.changes), transition };
}

/** A state as plain data. */
export function plain(state: RunState | null): unknown {
  if (state === null) return null;
  const { live, steps, waiting, ...rest } = state;
  return {
    ...rest,
    live: { ...live, steps: [...live.steps], asks: [...live.asks] },
    steps: [...steps],
    waiting: [...waiting],
  };
}

/**
 * The slots that a run needs before its code may be entered: its start under a throttle, once, and for each burst a lease under every
 * limit on concurrency. A burst lasts from entering user code until the run is parked or has ended.
 *
 * What this means for every other input is decided after them, in `withSlots`: a run that is queued for slots settles what it is
 * answered and keeps its timers, but does not call, and nothing begins. Only the throttled start is stored: after a restart the run
 * asks anew, as another turn, and the gates know what it holds.
 *
 * No lease is held while another one is waited for (CC-29): a run waits under one limit, and once it has the lease there it tries the
 * other. If that has no room it gives the first one back at once and waits under the other, and so on.
 */
import { never } from '../lib/never.ts';
import { MINUTE, SECOND } from '../lib/time.ts';
import type { SlotAnswer, SlotLimit } from '../protocol/slot.ts';
import { callHandler, executing, WATCHDOG } from './entry.ts';
import { askEffects } from './finish.ts';
import { isHeld, isQueued, needsCode, type Run, type RunConfig, type RunState, type Slots } from './state.ts';
import { nothing, type Changes, type Effect, type RunInput, type Transition } from './transition.ts';

/** Leases are renewed this long after they were given or renewed, at the watchdog's next look. */
const RENEWAL = 20 * SECOND;
/** Between two times that a run asks for the same. */
const LONGEST_PAUSE = 5 * MINUTE;

const NONE: Slots = {
  turn: 0,
  asked: null,
  waits: true,
  isInLine: false,
  held: [],
  askAt: Infinity,
  renewAt: Infinity,
};
const OWN: ReadonlySet<RunInput['type']> = new Set(['slotAnswered', 'slotGranted', 'slotsDue']);
const SCOPES = ['fn', 'env', 'account'];

/** In the order in which they are asked for: the throttle (FC-7), then the narrowest. `Slots` has their numbers. */
export function slotLimits({ flow }: Pick<RunConfig, 'flow'>): SlotLimit[] {
  const { throttle, concurrency = [] } = flow ?? {};
  const shared = concurrency
    .map((one): SlotLimit => ({ policy: 'concurrency', ...one }))
    .toSorted((a, b) => SCOPES.indexOf(a.scope) - SCOPES.indexOf(b.scope) || a.n - b.n);
  if (throttle === undefined) return shared;
  return [{ policy: 'throttle', scope: 'fn', n: 0, key: throttle }, ...shared];
}

/** What is true of every transition of a run that has limits. */
export function withSlots(state: RunState, input: RunInput, transition: Transition, now: number): Transition {
  if (OWN.has(input.type)) return transition;
  const slots = slotsOf(state);
  const { changes, effects } = transition;
  if (changes.run?.end != null) return givenBack(state, transition, now);
  if (isQueued(state.live)) return whileQueued(state, slots, withoutBeginning(state, input, transition), now);
  if (changes.live?.phase === 'parked') return givenBack(state, transition, now);
  if (missing(state, slots.held).length === 0) return renewed(state, input, transition, now);
  if (input.type !== 'began' && !effects.some(({ type }) => type === 'call')) return transition;
  return queued(state, withoutBeginning(state, input, transition), now);
}

/** A burst is to begin: its first slot is asked for. @param led what else changes. */
export function queued(state: RunState, led: Transition, now: number): Transition {
  const turn = Math.max(now, slotsOf(state).turn + 1);
  const slots: Slots = { ...NONE, turn, asked: missing(state, [])[0] ?? null };
  const { changes, effects } = whileQueued(state, slots, led, now);
  return { changes, effects: [...effects, ...acquire(slots)] };
}

/** What of an input takes effect without slots. What it would begin does not: when they are there, all that is due is fed again. */
function withoutBeginning(state: RunState, input: RunInput, transition: Transition): Transition {
  // The code went on by itself after its burst. Where it is here it waits where it is: entered anew it would do what it does outside of
  // steps once more, be parked meanwhile, and go on by itself again, for ever.
  if (input.type === 'began') return state.config.remote === true ? anew(state.run) : nothing;
  const isLost = input.type === 'watchdog' && state.live.phase === 'unknown';
  const begins = input.type === 'entryDue' || isLost || transition.changes.began !== undefined;
  return begins ? nothing : transition;
}

function anew(run: Run): Transition {
  return { changes: { run: { ...run, entry: run.entry + 1 } }, effects: [] };
}

/** Nothing executes, and what has been asked for, slots or anything else, is asked again until it is heard. */
function whileQueued(
  state: RunState,
  slots: Slots,
  { changes, effects }: Transition,
  now: number,
): Transition {
  const { live: _, ...rest } = changes;
  const isHeard = slots.isInLine && !hasOpenAsks(state, changes);
  // Whoever does not answer may have too much to do: it is asked less and less often. Turns are moments.
  const pause = Math.min(Math.max(now - slots.turn, WATCHDOG), LONGEST_PAUSE);
  const askAt = isHeard ? Infinity : Math.min(slots.askAt, now + pause);
  return {
    changes: {
      ...rest,
      slots: { ...slots, askAt },
      ...(state.live.phase === 'unknown' ? {} : { live: { phase: 'parked' } }),
    },
    effects: effects.filter(({ type }) => type !== 'call'),
  };
}

function hasOpenAsks({ live }: RunState, { asked = [], acknowledged = [] }: Changes): boolean {
  return asked.length > 0 || [...live.asks].some((key) => !acknowledged.includes(key));
}

/** Also when the gate has long answered: a sweep has it asked again, in case that it has lost this run. */
export function slotsDue(state: RunState, now: number): Transition {
  if (!isQueued(state.live)) return nothing;
  // A lease is not held while it is not known how the other one stands.
  if (leases(state, slotsOf(state)).length > 0) return waitInstead(state, now);
  const slots = { ...slotsOf(state), askAt: Infinity };
  const effects = [...askEffects(state, state.live.asks, now), ...acquire(slots)];
  return whileQueued(state, slots, { changes: {}, effects }, now);
}

/** @param n number of the limit. */
export function slotAnswered(
  state: RunState,
  { n, turn, answer }: { n: number; turn: number; answer: SlotAnswer },
  now: number,
): Transition {
  const slots = slotsOf(state);
  if (slots.asked !== n || slots.turn !== turn) return nothing;
  switch (answer.is) {
    case 'granted':
      return granted(state, n, now);
    case 'queued':
      return whileQueued(state, { ...slots, isInLine: true }, nothing, now);
    case 'full':
      return waitInstead(state, now);
    case 'stale':
      return asksNow(state, { ...slots, turn: answer.turn + 1 }, nothing, now);
    default:
      return never(answer);
  }
}

/** From the line: the run may have forgotten that it waits (it was not in memory), and then it goes by what it is told. */
export function slotGranted(
  state: RunState,
  { n, turn }: { n: number; turn: number },
  now: number,
): Transition {
  const slots = slotsOf(state);
  if (slots.asked === n && slots.turn === turn) return granted(state, n, now);
  if (slots.turn !== 0 || state.live.phase !== 'unknown' || !missing(state, []).includes(n)) return nothing;
  const waiting = { ...state, live: { ...state.live, slots: { ...NONE, turn, asked: n } } };
  return granted(waiting, n, now);
}

function granted(state: RunState, n: number, now: number): Transition {
  const before = slotsOf(state);
  const slots: Slots = {
    ...before,
    held: [...before.held, n],
    renewAt: Math.min(before.renewAt, now + RENEWAL),
  };
  const [next] = missing(state, slots.held);
  if (next !== undefined) {
    const isLease = slotLimits(state.config)[n]?.policy === 'concurrency';
    const run = isLease ? {} : { run: { ...state.run, admitted: true as const } };
    return asksNow(state, { ...slots, asked: next, waits: !isLease }, { changes: run, effects: [] }, now);
  }
  const complete: Slots = { ...slots, asked: null, isInLine: false, askAt: Infinity };
  if (!isWanted(state, now)) return givenBack(withSlotsOf(state, complete), nothing, now);
  // What was lost with the memory is found by what is due.
  if (state.live.phase === 'unknown') return { changes: { slots: complete }, effects: [] };
  return { changes: { slots: complete, live: executing(state.live, now) }, effects: callHandler(state.run) };
}

/** CC-29. */
function waitInstead(state: RunState, now: number): Transition {
  const slots = slotsOf(state);
  const given = leases(state, slots);
  const kept = slots.held.filter((n) => !given.includes(n));
  const effects = given.map((n) => release(slots.turn, n));
  // As another turn: what is given back now may be asked for again before that has arrived.
  const turn = slots.turn + 1;
  const waiting = { ...slots, turn, held: kept, waits: true, renewAt: Infinity };
  return asksNow(state, waiting, { changes: {}, effects }, now);
}

function asksNow(state: RunState, slots: Slots, led: Transition, now: number): Transition {
  const asked = { ...slots, isInLine: false, askAt: Infinity };
  const { changes, effects } = whileQueued(state, asked, led, now);
  return { changes, effects: [...effects, ...acquire(asked)] };
}

/** The burst is over: what it holds is free, and what it waits for is not wanted. After a restart that may be anything. */
function givenBack(state: RunState, { changes, effects }: Transition, now: number): Transition {
  const slots = slotsOf(state);
  const isForgotten = slots.turn === 0 && state.live.phase === 'unknown';
  const turn = isForgotten ? now : slots.turn;
  const known = [...leases(state, slots), ...(slots.asked === null ? [] : [slots.asked])];
  const over = isForgotten ? missing(state, []) : known;
  if (over.length === 0) return { changes, effects };
  return {
    changes: { ...changes, slots: { ...NONE, turn } },
    effects: [...effects, ...over.map((n) => release(turn, n))],
  };
}

/** Held, and to be given back. */
function leases({ config }: RunState, { held: all }: Slots): number[] {
  const limits = slotLimits(config);
  return all.filter((n) => limits[n]?.policy === 'concurrency');
}

function renewed(
  state: RunState,
  input: RunInput,
  { changes, effects }: Transition,
  now: number,
): Transition {
  const slots = slotsOf(state);
  if (input.type !== 'watchdog' || now < slots.renewAt) return { changes, effects };
  const { turn } = slots;
  const again = leases(state, slots).map((n): Effect => ({ type: 'acquire', n, turn, wait: false }));
  return {
    changes: { ...changes, slots: { ...slots, renewAt: now + RENEWAL } },
    effects: [...effects, ...again],
  };
}

/** Limits whose slots are missing; a start is asked for only once (TH-21). */
function missing({ config, run }: RunState, held: readonly number[]): number[] {
  const hasStarted = run.startedAt !== null || run.admitted === true;
  return slotLimits(config).flatMap(({ policy }, n) =>
    held.includes(n) || (policy === 'throttle' && hasStarted) ? [] : [n],
  );
}

/** Whether user code has anything to do. */
function isWanted(state: RunState, now: number): boolean {
  const { run, waiting } = state;
  if (run.cancelAt !== null || isHeld(run)) return false;
  if (run.due === null || run.due <= now) return true;
  return [...waiting].some(([id, due]) => due <= now && needsCode(state, id));
}

function slotsOf({ live }: RunState): Slots {
  return live.slots ?? NONE;
}

function withSlotsOf(state: RunState, slots: Slots): RunState {
  return { ...state, live: { ...state.live, slots } };
}

function acquire({ turn, asked, waits }: Slots): Effect[] {
  return asked === null ? [] : [{ type: 'acquire', n: asked, turn, wait: waits }];
}

function release(turn: number, n: number): Effect {
  return { type: 'release', n, turn };
}

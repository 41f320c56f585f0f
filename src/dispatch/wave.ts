/** One wave of events: planned, admitted by the store in one batch, carried out. It may be repeated: only what is still open is admitted. */
import type { StoredEvent } from '../protocol/event.ts';
import type { Admitted, Store } from '../ports.ts';
import { carryOut, type CarryDeps, type Outcomes } from './carry-out.ts';
import { planAll, type Plan } from './starts.ts';

export interface WaveDeps extends CarryDeps {
  store: Store;
}

/** @param atOnce starts under way at a time. */
export async function dispatchWave(
  deps: WaveDeps,
  events: readonly StoredEvent[],
  atOnce: number,
): Promise<Outcomes> {
  const plans = await planAll(deps, events);
  const { admitted, lost } = await admit(deps, plans);
  const outcomes: Outcomes = new Map(events.map((event) => [event.internalId, { is: 'done' }]));
  for (const { event } of lost) outcomes.set(event.internalId, { is: 'later' });
  await carryOut(deps, plans, admitted, atOnce, outcomes);
  return outcomes;
}

interface Tried {
  admitted: Admitted;
  /** What the store did not take. */
  lost: readonly Plan[];
}

/**
 * One batch for all. When that fails the two halves are tried: if one of them works the store is up and the trouble is in the other,
 * which is halved again; if neither does, the store is taken to be down.
 */
async function admit(deps: WaveDeps, plans: readonly Plan[]): Promise<Tried> {
  const whole = await tryAdmit(deps, plans);
  if (whole !== null) return { admitted: whole, lost: [] };
  const admitted: Admitted = new Map();
  let suspects = plans;
  while (suspects.length > 1) {
    const middle = Math.ceil(suspects.length / 2);
    const halves = [suspects.slice(0, middle), suspects.slice(middle)] as const;
    const left = await tryAdmit(deps, halves[0]);
    const right = await tryAdmit(deps, halves[1]);
    for (const [internalId, state] of [...(left ?? []), ...(right ?? [])]) admitted.set(internalId, state);
    if (left !== null && right !== null) return { admitted, lost: [] };
    if (left === null && right === null) break;
    suspects = left === null ? halves[0] : halves[1];
  }
  return { admitted, lost: suspects };
}

async function tryAdmit(deps: WaveDeps, plans: readonly Plan[]): Promise<Admitted | null> {
  try {
    return await deps.store.admit([...plans], deps.clock.now());
  } catch (error) {
    deps.log.error('dispatch: the store did not admit events', { events: plans.length, error });
    return null;
  }
}

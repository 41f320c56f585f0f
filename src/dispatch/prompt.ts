/**
 * The short way: a small request's events are dispatched where they came in, by the same steps as in the queue's consumer and without a
 * message. What fails goes to the queue. What a crash cuts off is found by a sweep, as a lost message is. Bounded: when more comes in at
 * the same time, or one request starts many runs, the queue is the way, and its consumers take hundreds of events in one wave.
 */
import type { StoredEvent } from '../protocol/event.ts';
import type { EventsMessage } from '../protocol/message.ts';
import type { Sender, Store } from '../ports.ts';
import { carryOut, type CarryDeps, type Outcomes } from './carry-out.ts';
import { planAll } from './starts.ts';

export interface PromptDeps extends CarryDeps {
  store: Pick<Store, 'admit' | 'settle'>;
  events: Sender<EventsMessage>;
}

/** Requests at a time in this isolate; events, and starts, of one request. */
const MOST = { requests: 8, events: 8, starts: 16 };

/** `stored`: false when the events are not, for whatever reason; neither rejects. `over`: fulfilled when nothing is left to do here. */
export interface Prompt {
  stored: Promise<boolean>;
  over: Promise<void>;
}

/** @returns what dispatches at once, with a memory of how much it has to do. */
export function promptDispatch(deps: PromptDeps): (events: StoredEvent[], now: number) => Prompt {
  let requests = 0;
  return (events, now) => {
    const stored = Promise.withResolvers<boolean>();
    if (requests === MOST.requests || events.length > MOST.events)
      return { stored: Promise.resolve(false), over: Promise.resolve() };
    requests++;
    const work = async () => {
      try {
        await dispatch(deps, events, now, () => stored.resolve(true));
      } catch (error) {
        deps.log.error('dispatch: events were not dispatched at once', { events: events.length, error });
      } finally {
        stored.resolve(false);
        requests--;
      }
    };
    return { stored: stored.promise, over: work() };
  };
}

async function dispatch(
  deps: PromptDeps,
  events: StoredEvent[],
  now: number,
  stored: () => void,
): Promise<void> {
  const plans = await planAll(deps, events);
  if (plans.reduce((sum, { starts }) => sum + starts.length, 0) > MOST.starts) return;
  const admitted = await deps.store.admit(plans, now);
  stored();
  const outcomes: Outcomes = new Map();
  await carryOut(deps, plans, admitted, MOST.starts, outcomes);
  const left = events.filter(({ internalId }) => (outcomes.get(internalId)?.is ?? 'done') !== 'done');
  if (left.length > 0) await deps.events.send([{ events: left }]);
}

/** Flow control of planned starts: what each function asks of its event (src/flow/order.ts), with what it needs opened for it. */
import { ask, controlsOf, due } from '../flow/order.ts';
import { indexFunctions, mayStart, type TriggerIndex } from '../match/plan.ts';
import type { EventView, StoredEvent } from '../protocol/event.ts';
import type { RunStart } from '../protocol/run.ts';
import type { Functions } from '../ports.ts';
import { hasGates, type Gated } from './gates.ts';

export interface FlowOptions {
  /** The event's `user`; undefined where it has none or it cannot be opened. Asked for only if an expression reads it. */
  open: () => Promise<EventView['user'] | undefined>;
  warn: (warning: { functionId: string; eventId: string; message: string }) => void;
}

/** Whether some function may collect the event, or is paused: for that one a duplicate counts as well (ID-7, DB-17, BA-16, PA-9). */
export function isHeardAgain(functions: Functions, { env, id, name, target }: StoredEvent): boolean {
  if (id === undefined || target !== undefined) return false;
  const { configs, paused } = functions.known(env);
  return mayStart(indexFunctions(configs), name).some(
    ({ id: functionId, batchEvents, debounce }) =>
      (batchEvents ?? debounce) !== undefined || paused?.has(functionId) === true,
  );
}

/** Starts of functions without flow control stay as they are. */
export async function withFlow(
  { byId }: TriggerIndex,
  event: StoredEvent,
  planned: readonly RunStart[],
  { open, warn }: FlowOptions,
): Promise<{ starts: RunStart[]; gated: Gated[] }> {
  const starts: RunStart[] = [];
  const gated: Gated[] = [];
  for (const run of planned) {
    const { functionId } = run;
    const config = byId.get(functionId);
    const controls = config === undefined ? null : controlsOf(config);
    if (controls === null) {
      starts.push(run);
      continue;
    }
    const user = controls.readsUser ? await open() : undefined;
    const asks = ask(controls, event, {
      warn: (message) => warn({ functionId, eventId: event.internalId, message }),
      ...(user === undefined ? {} : { user }),
    });
    if (hasGates(asks)) gated.push({ run, asks, at: event.receivedAt });
    else starts.push({ ...run, ...due(asks, run.startAt) });
  }
  return { starts, gated };
}

/** Flow control of planned starts: what each function asks of its event (src/flow/order.ts), with what it needs opened for it. */
import { ask, controlsOf, due } from '../flow/order.ts';
import type { TriggerIndex } from '../match/plan.ts';
import type { EventView, StoredEvent } from '../protocol/event.ts';
import type { RunStart } from '../protocol/run.ts';

export interface FlowOptions {
  /** The event's `user`; undefined where it has none or it cannot be opened. Asked for only if an expression reads it. */
  open: () => Promise<EventView['user'] | undefined>;
  warn: (warning: { functionId: string; eventId: string; message: string }) => void;
}

/** Starts of functions without flow control stay as they are. */
export async function withFlow(
  { byId }: TriggerIndex,
  event: StoredEvent,
  starts: RunStart[],
  options: FlowOptions,
): Promise<RunStart[]> {
  return Promise.all(
    starts.map(async (start) => {
      const { functionId } = start;
      const config = byId.get(functionId);
      const controls = config === undefined ? null : controlsOf(config);
      if (controls === null) return start;
      const user = controls.readsUser ? await options.open() : undefined;
      const warn = (message: string) => options.warn({ functionId, eventId: event.internalId, message });
      const asks = ask(controls, event, { warn, ...(user === undefined ? {} : { user }) });
      return { ...start, ...due(asks, start.startAt) };
    }),
  );
}

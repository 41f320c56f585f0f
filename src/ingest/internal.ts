/** The way in for events that the engine emits itself: complete as they come, and under names that senders may not use (TR-16). */
import type { Clock } from '../ports.ts';
import type { StoredEvent } from '../protocol/event.ts';
import { makeDurable, type DurableDeps } from './durable.ts';

/** Their ids are made of what they are about, so a repeat changes nothing. Throws a `Refusal` if no place takes them. */
export async function acceptInternal(
  deps: DurableDeps & { clock: Clock },
  events: StoredEvent[],
): Promise<void> {
  if (events.length > 0) await makeDurable(deps, events, deps.clock.now(), () => undefined);
}

/** What is sealed in an event, opened for the expressions that read it. */
import type { EventView, StoredEvent } from '../protocol/event.ts';
import type { Log, Seal } from '../ports.ts';

/** Undefined where the event has none, and where it cannot be opened: that is logged, and what reads it does not match then. */
export async function openUser(
  { seal, log }: { seal: Pick<Seal, 'open'> | null; log: Log },
  { env, internalId, user }: StoredEvent,
): Promise<EventView['user'] | undefined> {
  if (user === undefined) return undefined;
  try {
    return await seal?.open(user, env);
  } catch (error) {
    log.error('dispatch: the user of an event could not be opened', { internalId, error });
    return undefined;
  }
}

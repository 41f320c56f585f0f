/** Events to queue messages: as many to a message as fit. */
import { chunks } from '../lib/chunks.ts';
import { utf8Length } from '../lib/json.ts';
import type { StoredEvent } from '../protocol/event.ts';
import { limits } from '../protocol/limits.ts';

export interface Packed {
  /** Messages that carry whole events: all that the consumer needs. */
  whole: { events: StoredEvent[] }[];
  /** Messages that only name events, which are read from the store. */
  byId: { ids: string[] }[];
}

/** `{"events":[],"ids":[]}` */
const ENVELOPE = 24;

export function pack(events: readonly StoredEvent[]): Packed {
  const whole: Packed['whole'] = [];
  const ids: string[] = [];
  let open: StoredEvent[] = [];
  let bytes = ENVELOPE;
  for (const event of events) {
    const size = utf8Length(JSON.stringify(event)) + 1;
    if (ENVELOPE + size > limits.messageBytes) {
      ids.push(event.internalId);
      continue;
    }
    if (open.length === limits.messageEvents || bytes + size > limits.messageBytes) {
      whole.push({ events: open });
      open = [];
      bytes = ENVELOPE;
    }
    open.push(event);
    bytes += size;
  }
  if (open.length > 0) whole.push({ events: open });
  return { whole, byId: chunks(ids, limits.messageIds).map((group) => ({ ids: group })) };
}

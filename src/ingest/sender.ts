/** A platform queue as a Sender. */
import { utf8Length } from '../lib/json.ts';
import type { Sender } from '../ports.ts';

/** One `sendBatch` takes 100 messages and 256 KB, the messages' own overhead included. */
const BATCH_MESSAGES = 100;
const BATCH_BYTES = 200_000;

export function queueSender<Message>(queue: Pick<Queue<Message>, 'sendBatch'>): Sender<Message> {
  return {
    async send(messages) {
      await Promise.all(
        batches(messages).map((batch) =>
          queue.sendBatch(batch.map((body) => ({ body, contentType: 'json' }) as const)),
        ),
      );
    },
  };
}

function batches<Message>(messages: Message[]): Message[][] {
  if (messages.length === 1) return [messages];
  const all: Message[][] = [];
  let open: Message[] = [];
  let bytes = 0;
  for (const message of messages) {
    const size = utf8Length(JSON.stringify(message));
    if (open.length === BATCH_MESSAGES || (open.length > 0 && bytes + size > BATCH_BYTES)) {
      all.push(open);
      open = [];
      bytes = 0;
    }
    open.push(message);
    bytes += size;
  }
  return open.length > 0 ? [...all, open] : all;
}

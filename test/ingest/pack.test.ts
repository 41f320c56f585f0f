import { describe, expect, test } from 'vitest';
import { pack } from '../../src/ingest/pack.ts';
import { queueSender } from '../../src/ingest/sender.ts';
import { limits } from '../../src/protocol/limits.ts';
import { eventsMessage } from '../../src/protocol/message.ts';
import { idAt, stored } from './world.ts';

const bytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
/** An event of exactly this many bytes as JSON. */
const sized = (n: number, size: number) => {
  const empty = bytes(stored(idAt(n), { data: { x: '' } }));
  return stored(idAt(n), { data: { x: 'x'.repeat(size - empty) } });
};

describe('packing', () => {
  test('nothing makes no message', () => {
    expect(pack([])).toEqual({ whole: [], byId: [] });
  });

  test('a message holds 100 events, and the next begins another', () => {
    const events = Array.from({ length: 101 }, (_, n) => stored(idAt(n)));
    expect(pack(events).whole.map((message) => message.events.length)).toEqual([100, 1]);
  });

  test('no message is over the limit, and none of the events is lost or doubled', () => {
    const events = Array.from({ length: 500 }, (_, n) => sized(n, 200 + ((n * 7919) % 70_000)));
    const { whole, byId } = pack(events);
    for (const message of [...whole, ...byId]) {
      expect(bytes(message)).toBeLessThanOrEqual(limits.messageBytes);
      expect(eventsMessage.safeParse(message).success).toBe(true);
    }
    const ids = [...whole.flatMap((m) => m.events.map((e) => e.internalId)), ...byId.flatMap((m) => m.ids)];
    expect(ids.toSorted()).toEqual(events.map((event) => event.internalId));
  });

  test('an event that just fits travels whole, one byte more by its id', () => {
    const most = limits.messageBytes - 25;
    expect(pack([sized(1, most)])).toMatchObject({ whole: [{}], byId: [] });
    expect(bytes(pack([sized(1, most)]).whole[0])).toBeLessThanOrEqual(limits.messageBytes);
    expect(pack([sized(1, most + 1)])).toEqual({ whole: [], byId: [{ ids: [idAt(1)] }] });
  });

  test('sizes are bytes, not characters', () => {
    const wide = stored(idAt(1), { data: { x: 'ü'.repeat(limits.messageBytes / 2) } });
    expect(pack([wide])).toEqual({ whole: [], byId: [{ ids: [idAt(1)] }] });
  });

  test('ids go ten to a message: their events may be large', () => {
    const events = Array.from({ length: 21 }, (_, n) => sized(n, limits.messageBytes));
    expect(pack(events).byId.map((message) => message.ids.length)).toEqual([10, 10, 1]);
  });
});

describe('a platform queue', () => {
  const recorder = () => {
    const batches: unknown[][] = [];
    const sendBatch = async (messages: Iterable<{ body: unknown }>) => {
      batches.push([...messages].map(({ body }) => body));
      return {} as QueueSendBatchResponse;
    };
    return { batches, queue: queueSender<string>({ sendBatch }) };
  };

  test('gets no batch for no message', async () => {
    const { batches, queue } = recorder();
    await queue.send([]);
    expect(batches).toEqual([]);
  });

  test('gets at most 100 messages a batch', async () => {
    const { batches, queue } = recorder();
    await queue.send(Array.from({ length: 201 }, String));
    expect(batches.map((batch) => batch.length)).toEqual([100, 100, 1]);
    expect(batches.flat()).toEqual(Array.from({ length: 201 }, String));
  });

  test('gets at most 256 KB a batch', async () => {
    const { batches, queue } = recorder();
    await queue.send(Array.from({ length: 50 }, () => 'x'.repeat(limits.messageBytes)));
    for (const batch of batches) expect(bytes(batch)).toBeLessThan(256_000 - 100 * 100);
    expect(batches.flat()).toHaveLength(50);
  });

  test('a refused batch refuses the send', async () => {
    const queue = queueSender<string>({ sendBatch: () => Promise.reject(new Error('full')) });
    await expect(queue.send(['a'])).rejects.toThrow('full');
  });
});

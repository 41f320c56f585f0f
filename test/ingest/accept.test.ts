import { describe, expect, test } from 'vitest';
import { acceptEvents, acceptRequest } from '../../src/ingest/accept.ts';
import { Refusal } from '../../src/ingest/refusal.ts';
import { isEarlierSibling, isUlid } from '../../src/lib/ulid.ts';
import { limits } from '../../src/protocol/limits.ts';
import { DAY } from '../../src/lib/time.ts';
import { idAt, NOW, settle, world } from './world.ts';

type World = ReturnType<typeof world>;

const SEED_BYTES = 'AAECAwQFBgcICQ==';

interface Sent {
  seed?: string;
  contentLength?: string;
  background?: Promise<unknown>[];
}

function send(
  w: World,
  body: unknown,
  { seed, contentLength, background = [] }: Sent = {},
): Promise<string[]> {
  const text = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  return acceptRequest(w.intake, {
    env: 'production',
    body: new Response(text).body as ReadableStream<Uint8Array> | null,
    contentLength: contentLength ?? null,
    seed: seed ?? null,
    background: (work) => background.push(work),
  });
}

async function refused(
  sending: Promise<unknown>,
): Promise<{ status: number; message: string; retryAfter: number | null }> {
  const error: unknown = await sending.then(
    () => new Error('accepted'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof Refusal)) throw error;
  return { status: error.status, message: error.message, retryAfter: error.retryAfter };
}

const refusing = async (): Promise<never> => {
  throw new Error('store down');
};
const stalling = (): Promise<never> => new Promise(() => undefined);

describe('an accepted event', () => {
  test('is in the store and on the queue, complete (EA-10, EVT-7, EVT-17)', async () => {
    const w = world();
    const [id = ''] = await send(w, { name: 'a/b' });
    const event = { internalId: id, env: 'production', name: 'a/b', data: {}, ts: NOW, receivedAt: NOW };
    expect(isUlid(id)).toBe(true);
    expect(await w.store.loadEvents([id])).toEqual([event]);
    expect(w.events.sent).toEqual([{ events: [event] }]);
  });

  test('keeps what its sender gave', async () => {
    const w = world();
    const input = { name: ' A ', data: { x: [1] }, id: 'mine', ts: NOW - 5, v: '1' };
    const [id = ''] = await send(w, input);
    expect(await w.store.loadEvents([id])).toEqual([
      { internalId: id, env: 'production', receivedAt: NOW, ...input },
    ]);
  });

  test('takes absent, null and zero values for the same (EVT-16, EVT-18)', async () => {
    const w = world();
    const [id = ''] = await send(w, { name: 'a', id: '', ts: 0, v: null, user: {}, data: null });
    expect(await w.store.loadEvents([id])).toEqual([
      { internalId: id, env: 'production', name: 'a', data: {}, ts: NOW, receivedAt: NOW },
    ]);
  });

  test('has its user sealed in every place (EVT-10)', async () => {
    const w = world();
    const [id = ''] = await send(w, { name: 'a', user: { external_id: 'user-1' } });
    const [event] = await w.store.loadEvents([id]);
    expect(JSON.stringify([event, w.events.sent, w.log.lines])).not.toContain('user-1');
    expect(await w.seal.open(event?.user ?? '', 'production')).toEqual({ external_id: 'user-1' });
  });

  test('with user is refused where it could not be kept encrypted, and says what is missing (EVT-10)', async () => {
    const w = world();
    w.intake.seal = null;
    const { status, message } = await refused(send(w, [{ name: 'a' }, { name: 'b', user: { x: 1 } }]));
    expect([status, message]).toEqual([
      501,
      'events[1].user: cannot be kept encrypted: set STEPWELL_ENCRYPTION_KEY',
    ]);
    expect(w.events.sent).toEqual([]);
    expect(await send(w, { name: 'a', user: {} })).toHaveLength(1);
  });

  test('answers ids in input order (EA-6)', async () => {
    const w = world();
    const ids = await send(w, [{ name: 'a' }, { name: 'b' }, { name: 'c' }]);
    expect((await w.store.loadEvents(ids)).map((event) => event.name)).toEqual(['a', 'b', 'c']);
    expect(new Set(ids).size).toBe(3);
  });

  test('an empty array is accepted and touches nothing (EA-13)', async () => {
    const w = world();
    w.faults.set('insertEvents', refusing);
    expect(await send(w, [])).toEqual([]);
    expect(w.events.sent).toEqual([]);
  });
});

describe('one bad event refuses all (EA-14)', () => {
  test('nothing is stored or sent', async () => {
    const w = world();
    const { status, message } = await refused(send(w, [{ name: 'a' }, { name: 'b', data: 1 }]));
    expect([status, message]).toEqual([400, 'events[1].data: expected an object']);
    expect(w.events.sent).toEqual([]);
    expect(await w.store.listEvents({ env: 'production', receivedAfter: 0, limit: 10 })).toEqual([]);
  });
});

describe('the body', () => {
  const body = (bytes: number): string => {
    const empty = JSON.stringify({ name: 'a', data: { x: '' } }).length;
    return JSON.stringify({ name: 'a', data: { x: 'x'.repeat(bytes - empty) } });
  };

  test('of exactly 3 MB is accepted (EA-11)', async () => {
    expect(await send(world(), body(limits.requestBytes))).toHaveLength(1);
  });

  test('of one byte more is refused with 413', async () => {
    expect(await refused(send(world(), body(limits.requestBytes + 1)))).toMatchObject({ status: 413 });
  });

  test('is measured in bytes, not in characters', async () => {
    const text = JSON.stringify({ name: 'a', data: { x: 'ü'.repeat(limits.requestBytes / 2) } });
    expect(await refused(send(world(), text))).toMatchObject({ status: 413 });
  });

  test('that says it is too long is not read', async () => {
    const sending = send(world(), { name: 'a' }, { contentLength: String(limits.requestBytes + 1) });
    expect(await refused(sending)).toMatchObject({ status: 413 });
  });

  test('that never ends is not read past the limit', async () => {
    let pulled = 0;
    let cancelled = false;
    const chunk = new Uint8Array(64 * 1024).fill(32);
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => (pulled++, controller.enqueue(chunk)),
      cancel: () => void (cancelled = true),
    });
    const request = {
      env: 'production',
      body: endless,
      contentLength: null,
      seed: null,
      background: () => undefined,
    };
    expect(await refused(acceptRequest(world().intake, request))).toMatchObject({ status: 413 });
    expect(pulled * chunk.length).toBeLessThan(limits.requestBytes + 3 * chunk.length);
    expect(cancelled).toBe(true);
  });

  test('may begin with a byte order mark', async () => {
    expect(await send(world(), '\ufeff{"name":"a"}')).toHaveLength(1);
  });

  test('of invalid UTF-8 is refused', async () => {
    const bytes = Uint8Array.from([...new TextEncoder().encode('{"name":"a'), 0xff, 0x22, 0x7d]);
    expect(await refused(send(world(), bytes))).toMatchObject({
      status: 400,
      message: 'the body is not valid UTF-8',
    });
  });

  test('that ends inside a character is refused', async () => {
    expect(await refused(send(world(), Uint8Array.from([0x22, 0xc3])))).toMatchObject({ status: 400 });
  });

  test('may split a character between two chunks', async () => {
    const bytes = new TextEncoder().encode('{"name":"ü"}');
    const split = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytes.slice(0, 10));
        controller.enqueue(bytes.slice(10));
        controller.close();
      },
    });
    const w = world();
    const request = {
      env: 'production',
      body: split,
      contentLength: null,
      seed: null,
      background: () => undefined,
    };
    const ids = await acceptRequest(w.intake, request);
    expect((await w.store.loadEvents(ids))[0]?.name).toBe('ü');
  });

  test('that is missing is refused', async () => {
    expect(await refused(send(world(), ''))).toMatchObject({ status: 400 });
  });
});

describe('ids from the seed header (EA-25, wire 4.3)', () => {
  test('are its time, and its bytes with the last four counted up from 1', async () => {
    const ids = await send(world(), [{ name: 'a' }, { name: 'b' }], { seed: `${NOW},${SEED_BYTES}` });
    expect(ids).toEqual([idFor(0x06070809 + 1), idFor(0x06070809 + 2)]);
  });

  test('wrap around', async () => {
    const seed = `${NOW},${btoa('\0\0\0\0\0\0\xff\xff\xff\xff')}`;
    const [first = '', second = ''] = await send(world(), [{ name: 'a' }, { name: 'b' }], { seed });
    expect([first.slice(10), second.slice(10)]).toEqual(['0000000000000000', '0000000000000001']);
  });

  test('are the same for a repeat, which stores and sends nothing new', async () => {
    const w = world();
    const seed = `${NOW},${SEED_BYTES}`;
    const first = await send(w, { name: 'a' }, { seed });
    w.clock.time += 1_000;
    expect(await send(w, { name: 'a' }, { seed })).toEqual(first);
    expect(await w.store.listEvents({ env: 'production', receivedAfter: 0, limit: 10 })).toHaveLength(1);
  });

  test.each([
    ['nothing', ''],
    ['no comma', `${NOW}${SEED_BYTES}`],
    ['9 bytes', `${NOW},AAECAwQFBgcI`],
    ['11 bytes', `${NOW},AAECAwQFBgcICQo=`],
    ['no number', `now,${SEED_BYTES}`],
    ['a negative time', `-1,${SEED_BYTES}`],
    ['a time beyond 48 bits', `${2 ** 48},${SEED_BYTES}`],
    ['a time more than a day ago', `${NOW - DAY - 1},${SEED_BYTES}`],
    ['a time more than a day ahead', `${NOW + DAY + 1},${SEED_BYTES}`],
    ['URL-safe base64', `${NOW},__ECAwQFBgcICQ==`],
    ['a third part', `${NOW},${SEED_BYTES},1`],
  ])('%s is ignored', async (_, seed) => {
    const w = world();
    const ids = await send(w, [{ name: 'a' }, { name: 'b' }], { seed });
    expect(ids.every(isUlid)).toBe(true);
    expect(ids.every((id) => id.startsWith(idAt(0).slice(0, 10)))).toBe(true);
    expect(ids).not.toContain(idFor(0x06070809 + 1));
  });

  test.each([NOW - DAY, NOW + DAY])('a time up to a day off is taken', async (time) => {
    const [id] = await send(world(), { name: 'a' }, { seed: `${time},${SEED_BYTES}` });
    expect(id?.slice(0, 10)).toBe(idAt(0, time).slice(0, 10));
  });
});

/** The id with `SEED_BYTES` and these last four bytes, by another road than the code under test: bits as text. */
function idFor(last: number): string {
  const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  const bits =
    (0x000102030405n.toString(2).padStart(48, '0') + last.toString(2).padStart(32, '0')).match(/.{5}/g) ?? [];
  return idAt(0).slice(0, 10) + bits.map((five) => alphabet[Number.parseInt(five, 2)]).join('');
}

describe('where an event is safe (EA-10)', () => {
  test('the store has it, the queue refuses: accepted', async () => {
    const w = world();
    w.events.behaviour = 'refuses';
    const ids = await send(w, { name: 'a' });
    expect(await w.store.loadEvents(ids)).toHaveLength(1);
    await settle();
    expect(w.log.lines).toHaveLength(1);
  });

  test('the store has it, the queue stalls: accepted without waiting', async () => {
    const w = world();
    w.events.behaviour = 'stalls';
    expect(await send(w, { name: 'a' })).toHaveLength(1);
    expect(w.timers.pending.size).toBe(0);
  });

  test('the message goes on after the answer', async () => {
    const w = world();
    const background: Promise<unknown>[] = [];
    await send(w, { name: 'a' }, { background });
    expect(background).toHaveLength(1);
    await Promise.all(background);
  });

  test('the store refuses, the queue has it: accepted', async () => {
    const w = world();
    w.faults.set('insertEvents', refusing);
    const [id] = await send(w, { name: 'a' });
    expect(w.events.sent).toMatchObject([{ events: [{ internalId: id }] }]);
  });

  test('the store stalls, the queue has it: accepted when patience ends', async () => {
    const w = world();
    w.faults.set('insertEvents', stalling);
    const sending = send(w, { name: 'a' });
    let accepted = false;
    void sending.then(() => (accepted = true));
    await settle();
    expect(accepted).toBe(false);
    await w.timers.fire();
    expect(await sending).toHaveLength(1);
  });

  test.each([
    ['refuses', 'refuses', refusing],
    ['refuses', 'stalls', refusing],
    ['stalls', 'refuses', stalling],
    ['stalls', 'stalls', stalling],
  ] as const)('the store %s, the queue %s: 503 with Retry-After', async (_, queue, fault) => {
    const w = world();
    w.faults.set('insertEvents', fault);
    w.events.behaviour = queue;
    const sending = refused(send(w, { name: 'a' }));
    await w.timers.fire();
    await w.timers.fire();
    expect(await sending).toMatchObject({ status: 503, retryAfter: 5 });
  });

  test('a store that answers late but in time, with no queue: accepted', async () => {
    const w = world();
    w.events.behaviour = 'refuses';
    let release = (): void => undefined;
    w.faults.set('insertEvents', () => new Promise<void>((resolve) => (release = resolve)));
    const sending = send(w, { name: 'a' });
    await w.timers.fire();
    release();
    expect(await sending).toHaveLength(1);
  });

  test('the sweeper is armed before anything is stored', async () => {
    const w = world();
    const order: string[] = [];
    w.intake.arm = async () => void order.push('armed');
    w.faults.set('insertEvents', () => void order.push('stored'));
    await send(w, { name: 'a' });
    expect(order).toEqual(['armed', 'stored']);
  });
});

describe('an event too large for a message', () => {
  const large = { name: 'large', data: { x: 'x'.repeat(limits.messageBytes) } };

  test('travels by its id, once the store has it', async () => {
    const w = world();
    const background: Promise<unknown>[] = [];
    const ids = await send(w, [large, { name: 'small' }], { background });
    await Promise.all(background);
    expect(w.events.sent).toMatchObject([{ events: [{ internalId: ids[1] }] }, { ids: [ids[0]] }]);
  });

  test.each([
    ['refuses', refusing],
    ['stalls', stalling],
  ])('when the store %s the whole request is refused, and no part of it is on its way', async (_, fault) => {
    const w = world();
    w.faults.set('insertEvents', fault);
    const sending = refused(send(w, [large, { name: 'small' }]));
    await w.timers.fire();
    expect(await sending).toMatchObject({ status: 503 });
    expect(w.events.sent).toEqual([]);
  });
});

describe('events sent by functions', () => {
  const how = { env: 'production', seed: 'run:step', at: NOW - 1_000 };

  test('have ids that ascend (CX-13)', async () => {
    const events = Array.from({ length: 20 }, () => ({ name: 'a' }));
    const ids = await acceptEvents(world().intake, events, how);
    expect(ids.slice(1).every((id, n) => isEarlierSibling(ids[n] ?? '', id))).toBe(true);
  });

  test('have the same ids for the same seed and moment, others otherwise', async () => {
    const w = world();
    const first = await acceptEvents(w.intake, [{ name: 'a' }, { name: 'b' }], how);
    w.clock.time += 60_000;
    expect(await acceptEvents(w.intake, [{ name: 'a' }, { name: 'b' }], how)).toEqual(first);
    const other = await acceptEvents(w.intake, [{ name: 'a' }, { name: 'b' }], { ...how, seed: 'run:other' });
    expect(new Set([...first, ...other]).size).toBe(4);
    expect(await w.store.listEvents({ env: 'production', receivedAfter: 0, limit: 10 })).toHaveLength(4);
  });

  test('obey the same rules, those about size and number too (SV-5, SV-6)', async () => {
    const w = world();
    const refusals = [[{ name: '' }], [{ name: 'inngest/x' }], [1], [{ name: 'a', data: [] }], [undefined]];
    for (const events of refusals) {
      expect(await refused(acceptEvents(w.intake, events, how))).toMatchObject({ status: 400 });
    }
    const tooMany = Array.from({ length: 5_001 }, () => ({ name: 'a' }));
    expect(await refused(acceptEvents(w.intake, tooMany, how))).toMatchObject({ status: 400 });
    const tooLarge = [{ name: 'a', data: { x: 'x'.repeat(limits.requestBytes) } }];
    expect(await refused(acceptEvents(w.intake, tooLarge, how))).toMatchObject({ status: 413 });
    expect(w.events.sent).toEqual([]);
  });

  test('that are not JSON are refused', async () => {
    const circle: { data: Record<string, unknown> } = { data: {} };
    circle.data['self'] = circle;
    for (const events of [[circle], [{ name: 'a', data: { x: 1n } }]]) {
      expect(await refused(acceptEvents(world().intake, events, how))).toMatchObject({ status: 400 });
    }
  });
});

test('a sender id that is known is accepted, stored and marked (DD-6, DD-7)', async () => {
  const w = world();
  const ids = [...(await send(w, { name: 'a', id: 'k' })), ...(await send(w, { name: 'b', id: 'k' }))];
  expect(new Set(ids).size).toBe(2);
  expect(await w.store.findEvent('production', ids[1] ?? '')).toMatchObject({ duplicateOf: ids[0] });
});

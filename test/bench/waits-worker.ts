/** The Worker of the waits bench: real waits objects, a history without events, and runs that take what they are told at once. */
import { waitsObject } from '../../durable-objects/waits.ts';
import { systemClock } from '../../src/clock.ts';
import { chunks } from '../../src/lib/chunks.ts';
import type { Env } from '../../src/env.ts';
import { systemTimer } from '../../src/ingest/patience.ts';
import { consoleLog } from '../../src/log.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import { HOUR } from '../../src/lib/time.ts';
import type { WaitsRpc } from '../../src/protocol/rpc.ts';
import type { Wait } from '../../src/protocol/wait.ts';

export interface Writes {
  rows: number;
  alarms: number;
}

/** Milliseconds a call; the runtime's clock ticks in whole ones, so each is the mean of ten calls where there are as many. */
export interface Figures {
  register: number[];
  registerWrites: Writes;
  find: number[];
  findWrites: Writes;
  none: number[];
  hundred: number[];
  expire: number[];
  expireWrites: Writes;
  /** One row by a statement of no more than that: what no registration can go below on this machine, now. */
  floor: number[];
  /** The first call to an object that has nothing in memory. */
  cold: number[];
}

interface Object extends WaitsRpc {
  restart(): Promise<void>;
  floor(): Promise<void>;
}

const SAMPLES = 100;
const BULK = 500;
const TOGETHER = 10;
const writes: Writes = { rows: 0, alarms: 0 };
let told = 0;

const BenchWaits = waitsObject(() => ({
  clock: systemClock,
  timer: systemTimer,
  log: consoleLog,
  history: { listEvents: async () => [], expectWaits: async () => undefined },
  waiters: { resume: async () => (told++, 'taken'), cancel: async () => told++ },
  view: ({ name, data, ts }) => ({ name, data, ts }),
}));

export class Waits extends BenchWaits {
  constructor(ctx: DurableObjectState, env: Env) {
    super(counted(ctx), env);
  }

  floor(): void {
    this.ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS floor (id INTEGER PRIMARY KEY, text TEXT)');
    this.ctx.storage.sql.exec('INSERT INTO floor (text) VALUES (?)', 'x'.repeat(400));
  }

  restart(): void {
    this.ctx.abort('restarted by the bench');
  }
}

export default {
  async fetch(request: Request, env: { WAITS: DurableObjectNamespace }): Promise<Response> {
    const url = new URL(request.url);
    const [from, to] = [Number(url.searchParams.get('from')), Number(url.searchParams.get('to'))];
    const object = () => env.WAITS.getByName('bench') as unknown as Object;
    try {
      if (url.pathname === '/fill') return Response.json(await fill(object(), from, to));
      return Response.json(await measure(object, to));
    } catch (error) {
      return new Response(error instanceof Error ? error.stack : String(error), { status: 500 });
    }
  },
};

async function fill(object: Object, from: number, to: number): Promise<null> {
  for (let n = from; n < to; n += BULK)
    await object.listen(Array.from({ length: Math.min(BULK, to - n) }, (_, i) => waitFor(n + i)));
  return null;
}

async function measure(object: () => Object, size: number): Promise<Figures> {
  const waits = object();
  const fresh = Array.from({ length: SAMPLES }, (_, i) => 10_000_000 + size + i);
  const spread = Array.from({ length: SAMPLES }, (_, i) => Math.floor((i * size) / SAMPLES));
  const floor = await timed(fresh, () => waits.floor());
  const register = await timed(fresh, (n) => waits.listen([waitFor(n)]));
  const none = await timed(fresh, (n) => waits.deliver([eventFor(-n)]));
  const expire = await timed(fresh, (n) => waits.expire(runOf(n), 'wait'));
  const before = told;
  const find = await timed(spread, (n) => waits.deliver([eventFor(n)]));
  await waits.listen(spread.map(waitFor));
  const hundred = await timed([0], () => waits.deliver(spread.map(eventFor)));
  await waits.listen(spread.map(waitFor));
  if (told - before !== 2 * SAMPLES) throw new Error(`${told - before} runs were told`);
  const cold: number[] = [];
  for (let i = 0; i < 5; i++) {
    await object()
      .restart()
      .catch(() => undefined);
    cold.push(...(await timed([size + i], (n) => object().deliver([eventFor(-n)]))).each);
  }
  return {
    register: register.each,
    registerWrites: register.writes,
    find: find.each,
    findWrites: find.writes,
    none: none.each,
    hundred: hundred.each,
    expire: expire.each,
    expireWrites: expire.writes,
    floor: floor.each,
    cold,
  };
}

async function timed<Item>(items: Item[], work: (item: Item) => Promise<unknown>) {
  const each: number[] = [];
  const before = { ...writes };
  for (const some of chunks(items, TOGETHER)) {
    const started = performance.now();
    for (const item of some) await work(item);
    each.push((performance.now() - started) / some.length);
  }
  const count = items.length;
  return {
    each,
    writes: { rows: (writes.rows - before.rows) / count, alarms: (writes.alarms - before.alarms) / count },
  };
}

function waitFor(n: number): Wait {
  const now = systemClock.now();
  return {
    env: 'main',
    event: 'order/paid',
    runId: runOf(n),
    key: 'wait',
    kind: 'resume',
    expression: 'event.data.orderId == async.data.orderId && async.data.amount >= event.data.amount',
    given: { data: { orderId: `order-${n}`, amount: 10 } },
    since: now,
    until: now + HOUR,
    except: [`EVENT-OF-${n}`],
  };
}

function eventFor(n: number): StoredEvent {
  const now = systemClock.now();
  const data = { orderId: `order-${n}`, amount: 20, note: 'x'.repeat(300) };
  return { internalId: `EVENT${n}`, env: 'main', name: 'order/paid', data, ts: now, receivedAt: now };
}

function runOf(n: number): string {
  return `01RUN${String(n).padStart(21, '0')}`;
}

function counted(ctx: DurableObjectState): DurableObjectState {
  const { storage } = ctx;
  const exec = storage.sql.exec.bind(storage.sql);
  const setAlarm = storage.setAlarm.bind(storage);
  Object.defineProperty(storage.sql, 'exec', {
    value: (query: string, ...values: unknown[]) => {
      const cursor = exec(query, ...values);
      writes.rows += cursor.rowsWritten;
      return cursor;
    },
  });
  Object.defineProperty(storage, 'setAlarm', { value: (at: number) => (writes.alarms++, setAlarm(at)) });
  return ctx;
}

/** The measurements, each answering plain figures in milliseconds. run.ts calls them by name and repeats them. */
import { inPool } from '../../src/dispatch/pool.ts';
import { chunks } from '../../src/lib/chunks.ts';
import { ulid } from '../../src/lib/ulid.ts';
import { objectRuns } from '../../src/objects.ts';
import { startCounting, stopCounting, type Counts } from './count.ts';
import { bindings } from './env.ts';
import { claim } from './flow.ts';
import { d1Batch, freshObjects, loop, queueHop, type Loop } from './floors.ts';
import { hold, progress, totals, type Progress, type Turn, type Work } from './work.ts';

/** Sends events through the engine's own front door, in one request. */
type Send = (events: object[]) => Promise<void>;
export type Side = 'engine' | 'workflows';

/** How often something is looked for: where its own moment counts, where other work would be slowed down by the looking. */
const LOOK = { closely: 1, now: 5, idly: 20 };
const PER_REQUEST = 100;
const FILL = 5_000;
/** What takes longer than this will never come. */
const PATIENCE = 180_000;
const runs = objectRuns(bindings);

export interface Measures {
  floorLoop(send: Send, args: { kind: Loop; rows: number }): Promise<number>;
  freshObjects(send: Send, args: { count: number; atOnce: number; named: boolean }): Promise<number>;
  queueHop(send: Send, args: object): Promise<number>;
  d1Batch(send: Send, args: object): Promise<number>;
  work(send: Send, args: { side: Side; steps: number; turn: Turn; parallel?: boolean }): Promise<Worked>;
  latency(send: Send, args: { side: Side }): Promise<Latency>;
  fanOut(send: Send, args: { side: Side; events: number; steps: number }): Promise<FannedOut>;
  intake(send: Send, args: { events: number; perRequest: number; atOnce: number }): Promise<number>;
  sleep(send: Send, args: { events: number; until: number }): Promise<{ ms: number; since: number }>;
  ended(send: Send, args: { since: number }): Promise<number>;
  bill(send: Send, args: { steps: number; events: number; limited?: boolean }): Promise<Counts>;
  line(send: Send, args: { waiting: number; starts: number }): Promise<Lined>;
  tenants(send: Send, args: { noisy: number; quiet: number }): Promise<number[]>;
  /** Ends when everything that was accepted has been dispatched. */
  idle(send: Send, args: object): Promise<null>;
}

export interface Worked {
  /** From the first line of user code to its last. */
  ms: number;
  /** What each step took, in order. */
  steps: number[];
}

export interface Latency {
  /** From the event (or the creation of the instance) to the first line of user code. */
  entered: number;
  /** To the moment at which whoever asks the run (or the instance) is told that it is finished. */
  finished: number;
  /** To the moment at which lists show it so; the engine only. */
  listed: number;
}

interface Lined {
  /** From giving a lease back to the answer, for each start; the next run is told meanwhile. */
  each: number;
  counts: Counts;
}

interface FannedOut {
  /** Until the events were accepted, until the first and the last handler had been entered, until the last had come to its end, and until all was done. */
  accepted: number;
  entered: number;
  ended: number;
  ms: number;
}

export const measures: Measures = {
  floorLoop: (_send, { kind, rows }) => loop(kind, rows),
  freshObjects: (_send, { count, atOnce, named }) => freshObjects(count, atOnce, named),
  queueHop: () => queueHop(),
  d1Batch: () => d1Batch(),

  async work(send, { side, ...options }) {
    const key = crypto.randomUUID();
    const since = Date.now();
    await begin(send, side, [{ key, ...options }]);
    const seen = await reached(key, LOOK.now);
    if (side === 'engine') await until(LOOK.idly, async () => (await indexed(since)) === 1);
    const steps = seen.stamps.map((at, i) => at - (seen.stamps[i - 1] ?? seen.entered));
    return { ms: seen.ended - seen.entered, steps };
  },

  async latency(send, { side }) {
    const key = crypto.randomUUID();
    const since = Date.now();
    const from = performance.now();
    await begin(send, side, [{ key, steps: 1, turn: 'none' }]);
    const { entered, runId } = await reached(key, LOOK.closely);
    await until(LOOK.closely, () => (side === 'engine' ? hasEnded(runId) : isComplete(key)));
    const finished = performance.now() - from;
    if (side === 'engine') await until(LOOK.closely, async () => (await indexed(since)) === 1);
    return { entered: entered - from, finished, listed: performance.now() - from };
  },

  async fanOut(send, { side, events, steps }) {
    const since = Date.now();
    const before = { ...totals };
    const from = performance.now();
    const works = Array.from({ length: events }, (): Work => ({
      key: crypto.randomUUID(),
      steps,
      turn: 'none',
    }));
    const seen = { entered: 0, ended: 0 };
    const watch = async () => {
      await until(LOOK.idly, () => {
        if (seen.entered === 0 && totals.entered - before.entered >= events)
          seen.entered = performance.now() - from;
        return totals.ended - before.ended >= events;
      });
      seen.ended = performance.now() - from;
    };
    const accept = async () => {
      await begin(send, side, works);
      return performance.now() - from;
    };
    const [accepted] = await Promise.all([accept(), watch()]);
    if (side === 'engine') await until(LOOK.idly, async () => (await indexed(since)) === events);
    else await until(LOOK.now, () => isComplete(works.at(-1)?.key ?? ''));
    const ms = performance.now() - from;
    progress.clear();
    return { accepted, ...seen, ms };
  },

  /** Of events that nobody listens to. @returns milliseconds for all. */
  async intake(send, { events, perRequest, atOnce }) {
    const requests = Array.from({ length: events / perRequest }, () =>
      Array.from({ length: perRequest }, (_, i) => ({
        name: 'bench/nobody',
        data: { i, text: 'x'.repeat(200) },
      })),
    );
    const from = performance.now();
    await inPool(requests, atOnce, send);
    return performance.now() - from;
  },

  /** @returns when all had gone to sleep. */
  async sleep(send, { events, until: wake }) {
    const since = Date.now();
    const before = totals.entered;
    const from = performance.now();
    const requests = Array.from({ length: Math.ceil(events / PER_REQUEST) }, (_, i) =>
      Array.from({ length: Math.min(PER_REQUEST, events - i * PER_REQUEST) }, () => ({
        name: 'bench/sleep',
        data: { until: wake },
      })),
    );
    await inPool(requests, 10, send);
    await until(LOOK.idly, () => totals.entered - before >= events);
    return { ms: performance.now() - from, since };
  },

  ended: (_send, { since }) => indexed(since),

  /** Of runs that come one at a time. */
  async bill(send, { steps, events, limited = false }) {
    const since = Date.now();
    startCounting();
    for (let sent = 1; sent <= events; sent++) {
      const one: Work = { key: crypto.randomUUID(), steps, turn: 'timer' };
      if (limited) await send([{ name: 'bench/tenants', data: { ...one, tenant: 'one' } }]);
      else await begin(send, 'engine', [one]);
      await until(LOOK.idly, async () => (await indexed(since)) === sent);
      // Acknowledgements, and what the runs do after their end.
      await scheduler.wait(50);
    }
    return stopCounting() as Counts;
  },

  /** Behind so many who wait, one after the other leaves and the next one starts. */
  async line(_send, { waiting, starts }) {
    startCounting();
    const gate = bindings.LINE_GATE.getByName(crypto.randomUUID());
    for (let n = 0; n <= waiting; n += FILL) await gate.fill(n, Math.min(n + FILL, waiting + 1));
    startCounting();
    const from = performance.now();
    for (let n = 0; n < starts; n++) await gate.release(claim(n));
    const each = (performance.now() - from) / starts;
    return { each, counts: stopCounting() as Counts };
  },

  /**
   * One tenant has so many runs in its line, none of which gets on, when others send one event each. @returns for each of those the
   * time to its first line of user code.
   */
  async tenants(send, { noisy, quiet }) {
    const tenant = (name: string, key: string, turn: Turn = 'timer') => ({
      name: 'bench/tenants',
      data: { key, steps: 1, turn, tenant: name },
    });
    hold.isOn = true;
    const noise = Array.from({ length: noisy }, () => crypto.randomUUID());
    for (const part of chunks(noise, PER_REQUEST))
      await send(part.map((key) => tenant('noisy', key, 'held')));
    await measures.idle(send, {});
    const keys = Array.from({ length: quiet }, () => crypto.randomUUID());
    const from = performance.now();
    for (const part of chunks(keys, PER_REQUEST)) await send(part.map((key, n) => tenant(`${n}`, key)));
    await until(LOOK.idly, () => keys.every((key) => progress.has(key)));
    const took = keys.map((key) => (progress.get(key)?.entered ?? 0) - from);
    hold.isOn = false;
    await until(LOOK.idly, () => noise.every((key) => progress.has(key)));
    progress.clear();
    return took;
  },

  async idle() {
    const query = 'SELECT count(*) AS events FROM event WHERE dispatched_at IS NULL';
    await until(LOOK.idly, async () => (await bindings.DB.prepare(query).first<number>('events')) === 0);
    await scheduler.wait(50);
    return null;
  },
};

async function begin(send: Send, side: Side, works: Work[]): Promise<void> {
  const parts = Array.from({ length: Math.ceil(works.length / PER_REQUEST) }, (_, i) =>
    works.slice(i * PER_REQUEST, (i + 1) * PER_REQUEST),
  );
  if (side === 'engine') {
    await Promise.all(parts.map((part) => send(part.map((data) => ({ name: 'bench/steps', data })))));
  } else if (works[0] !== undefined && works.length === 1) {
    await bindings.WORKFLOWS.create({ id: works[0].key, params: works[0] });
  } else {
    await Promise.all(
      parts.map((part) => bindings.WORKFLOWS.createBatch(part.map((params) => ({ id: params.key, params })))),
    );
  }
}

async function reached(key: string, every: number): Promise<Progress> {
  await until(every, () => progress.has(key));
  const seen = progress.get(key) as Progress;
  progress.delete(key);
  return seen;
}

/** Runs in the index that were queued since then and have completed. */
async function indexed(since: number): Promise<number> {
  const query = "SELECT count(*) AS runs FROM run WHERE run_id >= ? AND status = 'Completed'";
  return (
    (await bindings.DB.prepare(query)
      .bind(ulid(since, new Uint8Array(10)))
      .first<number>('runs')) ?? 0
  );
}

async function hasEnded(runId: string): Promise<boolean> {
  return (await runs.read(runId))?.endedAt != null;
}

async function isComplete(id: string): Promise<boolean> {
  const instance = await bindings.WORKFLOWS.get(id);
  return (await instance.status()).status === 'complete';
}

async function until(every: number, done: () => boolean | Promise<boolean>): Promise<void> {
  const from = Date.now();
  while (!(await done())) {
    if (Date.now() - from > PATIENCE) throw new Error(`nothing came of it for ${PATIENCE / 1000} s`);
    await scheduler.wait(every);
  }
}

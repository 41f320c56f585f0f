/**
 * Disorder on purpose, on the real local server: with runs in flight, all its processes are killed at random moments, while they start
 * too, and frozen for a while. A ledger outside of them records what the steps do. Ends with what was promised and not kept.
 */
import { globSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { Api, type RunAnswer } from './api.ts';
import { Ledger, type Output, type RunBook } from './ledger.ts';
import { between, oneOf, type Random, randomFrom } from './random.ts';
import { LocalServer } from './server.ts';
import { type Accepted, Traffic } from './traffic.ts';

/** The runs themselves take a quarter of it; the index learns of an end whose message was lost at the sweep after the next check. */
const HEAL_SECONDS = 180;
const SAMPLES = 8;
const ASKED_AT_ONCE = 16;
/** What was on its way when a run was cancelled may arrive so much later; it is not longer frozen than that. */
const LATE_MS = 3_000;

export interface ChaosOptions {
  seed: number;
  /** Disorder lasts at least so long, and until so many events have been accepted. */
  seconds: number;
  runs: number;
  inFlight: number;
}

/** What became of all of it. */
export interface Healed {
  /** By internal id of the accepted event. */
  runsOf: Map<string, RunAnswer[]>;
  /** By run id: every run that the ledger knows. */
  runs: Map<string, RunAnswer>;
  /** Accepted events that the history does not have. */
  lost: string[];
}

export interface Outcome {
  ledger: Ledger;
  accepted: ReadonlyMap<string, Accepted>;
  healed: Healed;
  /** Runs that were seen to have ended before a kill. */
  seenEnded: ReadonlyMap<string, RunAnswer>;
  /** Counts in the index of what must not be left. */
  left: Record<string, number>;
  figures: string;
}

export async function chaos(options: ChaosOptions): Promise<Outcome> {
  const ledger = await Ledger.open();
  const vars = { LEDGER_URL: ledger.url, STEPWELL_RETRY_INTERVAL: '200ms' };
  const server = await LocalServer.start({ main: 'test/e2e/worker.ts', vars });
  try {
    const api = new Api(server.url);
    const traffic = new Traffic(api, ledger, randomFrom(options.seed + 1));
    const seenEnded = new Map<string, RunAnswer>();
    const random = randomFrom(options.seed);
    const posting = traffic.run(options.inFlight);
    const scars = await ordeal({ server, traffic, ledger, random, ...options }, () =>
      sample(api, ledger, random, seenEnded),
    );
    const restarted = Date.now();
    await wait(1_000);
    await traffic.stop();
    await posting;
    const heal = await healing(api, ledger, traffic, restarted);
    const { healed } = heal;
    sealOutputs(ledger, healed);
    const errors = JSON.stringify(Object.fromEntries(server.errors));
    await server.stop();
    const left = leftInIndex(server, ledger);
    const text = `${figures(traffic, ledger, scars, heal)}\nlogged: ${errors}`;
    return { ledger, accepted: traffic.accepted, healed, seenEnded, left, figures: text };
  } finally {
    await server.dispose();
    ledger.close();
  }
}

/** What was promised and not kept, by promise. */
export function broken({ ledger, accepted, healed, left }: Outcome): Record<string, unknown[]> {
  return {
    'accepted without its run': [...accepted.values()].filter(
      ({ internalId, isKeyed }) => !isKeyed && healed.runsOf.get(internalId)?.length !== 1,
    ),
    'accepted and not in the history': healed.lost,
    'of one id and not of one run': keyedWrongly(ledger, accepted),
    'ended otherwise than it should, or not at all': wrongEnds(ledger, healed),
    'done again, changed, too many or too early': ledger.violations,
    'done after the cancellation': afterCancellation(ledger, healed),
    'left open in the index': Object.entries(left).filter(([, count]) => count !== 0),
  };
}

function keyedWrongly(ledger: Ledger, accepted: ReadonlyMap<string, Accepted>): string[] {
  const keyed = new Set([...accepted.values()].flatMap(({ key, isKeyed }) => (isKeyed ? [key] : [])));
  const started = Map.groupBy(ledger.runs.values(), ({ work }) => work.key);
  return [...keyed].filter(
    (key) => started.get(key)?.filter(({ work }) => work.sender === undefined).length !== 1,
  );
}

function wrongEnds(ledger: Ledger, { runs }: Healed): unknown[] {
  const known = [...ledger.runs.values()].map(({ id, steps }) => {
    const expected = steps.has('until cancelled 0') ? 'Cancelled' : 'Completed';
    return { id, expected, status: runs.get(id)?.status };
  });
  return known.filter(({ expected, status }) => status !== expected);
}

function afterCancellation(ledger: Ledger, { runs }: Healed): string[] {
  return [...ledger.runs.values()].flatMap(({ id, steps }) => {
    const { status, ended_at } = runs.get(id) ?? {};
    if (status !== 'Cancelled') return [];
    const end = Date.parse(ended_at ?? '') + LATE_MS;
    return [...steps]
      .filter(([, { begins }]) => begins.some(({ at }) => at > end))
      .map(([step]) => `${id} ${step}`);
  });
}

function sealOutputs(ledger: Ledger, { runs }: Healed): void {
  for (const [id, { status, output }] of runs) {
    if (status !== 'Completed') continue;
    for (const [step, serial] of Object.entries((output as Output).saw)) ledger.seal(id, step, serial);
  }
}

function leftInIndex({ state }: LocalServer, ledger: Ledger): Record<string, number> {
  const [path] = globSync(`${state}/v3/d1/**/*.sqlite`).filter((file) => !file.endsWith('metadata.sqlite'));
  const database = new DatabaseSync(path ?? '', { readOnly: true });
  const count = (query: string) =>
    Number(database.prepare(`select count(*) as count from ${query}`).get()?.['count']);
  const left = {
    'events not dispatched': count('event where dispatched_at is null'),
    'dead events': count('event where dead_reason is not null'),
    'open runs': count('run where ended_at is null'),
    'runs beyond those that did something': count('run') - ledger.runs.size,
  };
  database.close();
  return left;
}

interface Scars {
  kills: number;
  pauses: number;
  /** Runs in flight at each. */
  flights: number[];
}

interface Scene extends ChaosOptions {
  server: LocalServer;
  traffic: Traffic;
  ledger: Ledger;
  random: Random;
}

/** Disturbs, over and over; ends with the server running. */
async function ordeal(scene: Scene, look: () => Promise<void>): Promise<Scars> {
  const { server, traffic, ledger, random, seconds, runs, inFlight } = scene;
  const scars: Scars = { kills: 0, pauses: 0, flights: [] };
  const kill = async () => {
    scars.kills++;
    await server.kill();
    // What the dead had still sent has been read by then.
    await wait(50);
    ledger.forgetLimited();
  };
  const since = Date.now();
  while (Date.now() - since < 10_000 && traffic.inFlight() < inFlight / 2) await wait(20);
  while (Date.now() - since < seconds * 1_000 || traffic.accepted.size < runs) {
    await wait(between(random, 100, 1_500));
    await look().catch(() => undefined);
    scars.flights.push(traffic.inFlight());
    const what = oneOf(random, ['kill', 'kill', 'kill', 'kill at start', 'pause', 'pause']);
    if (what === 'pause') {
      scars.pauses++;
      await server.pause(between(random, 100, 2_500));
      continue;
    }
    await kill();
    if (what === 'kill at start') {
      const starting = server.start().catch(() => undefined);
      await wait(between(random, 1_000, 3_000));
      await kill();
      await starting;
    }
    await server.start();
  }
  return scars;
}

/** Looks at a few runs, as they stand in their objects just before a kill. */
async function sample(api: Api, ledger: Ledger, from: Random, ended: Map<string, RunAnswer>): Promise<void> {
  const ids = [...ledger.runs.keys()];
  const [first, ...others] = ids;
  if (first === undefined) return;
  const picked = new Set(Array.from({ length: SAMPLES }, () => oneOf(from, [first, ...others])));
  await Promise.all(
    [...picked].map(async (id) => {
      const { steps, ...run } = await api.trace(id);
      if (run.status !== 'Running') ended.set(id, run);
      for (const { name, status, output } of steps) {
        if (status === 'Completed' && typeof output === 'number') ledger.seal(id, name, output);
      }
    }),
  );
}

interface Healing {
  healed: Healed;
  /** Seconds from the last start until the last run had ended, and until the index said so. */
  objects: number;
  index: number;
}

/** Asks until there is nothing left to wait for. */
async function healing(api: Api, ledger: Ledger, traffic: Traffic, since: number): Promise<Healing> {
  const { accepted } = traffic;
  const healed: Healed = { runsOf: new Map(), runs: new Map(), lost: [] };
  const result: Healing = { healed, objects: NaN, index: NaN };
  while (Date.now() - since < HEAL_SECONDS * 1_000 && Number.isNaN(result.index + result.objects)) {
    traffic.cancelStarted();
    const closed = await settle(api, healed.runsOf, accepted.keys());
    const ended = await settleRuns(api, healed.runs, ledger.runs.values());
    const seconds = (Date.now() - since) / 1_000;
    if (closed && ended) result.index = Number.isNaN(result.index) ? seconds : result.index;
    if (ended && isAllStarted(ledger, accepted))
      result.objects = Number.isNaN(result.objects) ? seconds : result.objects;
    await wait(250);
  }
  await eachOf(
    [...accepted.keys()],
    async (id) => void (await api.event(id).catch(() => healed.lost.push(id))),
  );
  return result;
}

/** Every accepted event's key has been heard of from a run, and every sender's receivers have. */
function isAllStarted(ledger: Ledger, accepted: ReadonlyMap<string, Accepted>): boolean {
  const keys = new Set<string>();
  const senders = new Map<string, number>();
  for (const { work, steps, id } of ledger.runs.values()) {
    keys.add(work.key);
    if (steps.has('told')) senders.set(id, senders.get(id) ?? 0);
    if (work.sender !== undefined) senders.set(work.sender, (senders.get(work.sender) ?? 0) + 1);
  }
  return (
    [...accepted.values()].every(({ key }) => keys.has(key)) &&
    [...senders.values()].every((count) => count === 2)
  );
}

async function settle(api: Api, known: Map<string, RunAnswer[]>, ids: Iterable<string>): Promise<boolean> {
  const open = [...ids].filter((id) => !(known.get(id) ?? []).some(({ status }) => status !== 'Running'));
  const isDuplicate = new Set<string>();
  await eachOf(open, async (id) => {
    known.set(id, await api.runsOf(id));
    if (known.get(id)?.length === 0 && (await api.event(id)).duplicate_of !== null) isDuplicate.add(id);
  });
  return open.every(
    (id) => isDuplicate.has(id) || (known.get(id) ?? []).some(({ status }) => status !== 'Running'),
  );
}

async function settleRuns(
  api: Api,
  known: Map<string, RunAnswer>,
  runs: Iterable<RunBook>,
): Promise<boolean> {
  const open = [...runs]
    .map(({ id }) => id)
    .filter((id) => (known.get(id)?.status ?? 'Running') === 'Running');
  await eachOf(open, async (id) => void known.set(id, await api.run(id)));
  return open.every((id) => known.get(id)?.status !== 'Running');
}

async function eachOf<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < items.length; i = next++) await work(items[i] as Item).catch(() => undefined);
  };
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, worker));
}

function figures(
  { accepted, refused }: Traffic,
  ledger: Ledger,
  { kills, pauses, flights }: Scars,
  { objects, index }: Healing,
): string {
  const steps = ledger.count();
  const average = Math.round(flights.reduce((sum, flight) => sum + flight, 0) / flights.length);
  return [
    `${kills} kills, ${pauses} pauses, ${average} runs in flight on average (${Math.min(...flights)} to ${Math.max(...flights)})`,
    `${accepted.size} events accepted, ${refused} not`,
    `${ledger.runs.size} runs, ${steps} steps begun, ${ledger.repeats()} of them again because their end had not been stored`,
    `${ledger.effects.size} effects under idempotency keys, at most ${ledger.mostAtOnce} limited steps at a time`,
    `all runs ended ${objects.toFixed(1)} s after the last start, the index knew after ${index.toFixed(1)} s`,
  ].join('\n');
}

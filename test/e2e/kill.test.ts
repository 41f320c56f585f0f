/**
 * The central promise, on the real local server: `kill -9` of the whole process group at any moment, then start again, many times
 * over, with some two hundred runs in flight. The moments are random; `STEPWELL_KILL_SEED=<n>` repeats those of an earlier run.
 */
import { DatabaseSync } from 'node:sqlite';
import { globSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Api, type RunAnswer } from './api.ts';
import { Ledger, type Output, type RunBook } from './ledger.ts';
import { between, oneOf, type Random, randomFrom } from './random.ts';
import { LocalServer } from './server.ts';
import { type Accepted, type Name, Traffic } from './traffic.ts';

const KILLS = 20;
/** Of these, how many hit the server while it starts. */
const KILLS_AT_START = 3;
const IN_FLIGHT = 200;
/** The runs themselves take a quarter of it; the index learns of an end whose message was lost at the sweep after the next check. */
const HEAL_SECONDS = 150;
const SAMPLES = 8;
const ASKED_AT_ONCE = 16;

const seed = Number(process.env['STEPWELL_KILL_SEED'] ?? Date.now() % 1_000_000);
const random = randomFrom(seed);

/** What became of all of it. */
interface Healed {
  /** By internal id of the accepted event. */
  runsOf: Map<string, RunAnswer[]>;
  /** By run id: every run that the ledger knows. */
  runs: Map<string, RunAnswer>;
  /** Accepted events that the history does not have. */
  lost: string[];
}

describe('after kill -9 of everything at random moments', () => {
  let server: LocalServer;
  let ledger: Ledger;
  let api: Api;
  let traffic: Traffic;
  let healed: Healed;
  const seenEnded = new Map<string, RunAnswer>();

  beforeAll(async () => {
    console.log(`STEPWELL_KILL_SEED=${seed}`);
    ledger = await Ledger.open();
    const vars = { LEDGER_URL: ledger.url, STEPWELL_RETRY_INTERVAL: '200ms' };
    server = await LocalServer.start({ main: 'test/e2e/worker.ts', vars });
    api = new Api(server.url);
    traffic = new Traffic(api, ledger, randomFrom(seed + 1));
    const posting = traffic.run(IN_FLIGHT);
    const flights = await ordeal(server, traffic, () => sample(api, ledger, random, seenEnded));
    const restarted = Date.now();
    await wait(1_000);
    await traffic.stop();
    await posting;
    const heal = await healing(api, ledger, traffic.accepted, restarted);
    healed = heal.healed;
    console.log(figures(traffic, ledger, flights, heal), Object.fromEntries(server.errors));
    await server.stop();
  }, 600_000);

  afterAll(async () => {
    await server?.dispose();
    ledger?.close();
  });

  test('every event that was answered 200 has its runs, one for each function (EA-10, RN-5)', () => {
    const plain = [...traffic.accepted.values()].filter(({ isKeyed }) => !isKeyed);
    const wrong = plain.filter(({ internalId }) => healed.runsOf.get(internalId)?.length !== 1);
    expect(plain.length).toBeGreaterThan(100);
    expect(wrong).toEqual([]);
  });

  test('every event that was answered 200 is in the history (EA-9)', async () => {
    expect(healed.lost).toEqual([]);
  });

  test('of the events with one id exactly one has started a run (DD-1, DD-10)', () => {
    const keyed = Map.groupBy(
      [...traffic.accepted.values()].filter(({ isKeyed }) => isKeyed),
      ({ key }) => key,
    );
    const started = Map.groupBy(ledger.runs.values(), ({ work }) => work.key);
    const wrong = [...keyed.keys()].filter(
      (key) => started.get(key)?.filter(({ work }) => work.sender === undefined).length !== 1,
    );
    expect(keyed.size).toBeGreaterThan(50);
    expect(wrong).toEqual([]);
  });

  test('every run has ended as it should, those of events that were not answered too (RN-5, MX-18)', () => {
    const wrong = [...healed.runs.values()].filter(({ status }) => status !== 'Completed');
    expect(wrong).toEqual([]);
  });

  test('no step ran again after its result had been stored, and no result changed (MX-7, MX-19)', () => {
    for (const [id, run] of healed.runs) {
      for (const [step, serial] of Object.entries((run.output as Output).saw)) ledger.seal(id, step, serial);
    }
    expect(ledger.violations).toEqual([]);
  });

  test('the outputs are those of functions that were never disturbed (MX-6)', () => {
    const steps: Record<Name, string[]> = {
      'kill/sequence': ['a', 'b', 'c', 'd', 'e'],
      'kill/parallel': ['fork', 'p0', 'p1', 'p2', 'chain 1', 'chain 2', 'join'],
      'kill/sleeper': ['before', 'between', 'meanwhile', 'after'],
      'kill/flaky': ['shaky', 'instead', 'end'],
      'kill/sender': ['prepare', 'told'],
    };
    for (const { internalId, name, key } of traffic.accepted.values()) {
      for (const { output } of healed.runsOf.get(internalId) ?? []) {
        const { saw, ...rest } = output as Output;
        expect(rest).toEqual({ key });
        expect(Object.keys(saw).toSorted()).toEqual(steps[name].toSorted());
      }
    }
  });

  test('a run that was seen to have ended stays as it was (RN-3)', () => {
    expect(seenEnded.size).toBeGreaterThan(0);
    for (const [id, { status, output, ended_at }] of seenEnded) {
      expect(healed.runs.get(id)).toMatchObject({ status, output, ended_at });
    }
  });

  test('what a run sends starts each function once, with the ids that it was told (SV-3, SV-4, EA-32)', () => {
    const told = Map.groupBy(ledger.runs.values(), ({ work }) => work.sender ?? '');
    const senders = [...ledger.runs.values()].filter(({ steps }) => steps.has('told'));
    expect(senders.length).toBeGreaterThan(10);
    for (const { id, sent } of senders) {
      const receivers = (told.get(id) ?? []).toSorted((a, b) =>
        (a.work.tag ?? '').localeCompare(b.work.tag ?? ''),
      );
      expect(receivers.map(({ work }) => work.tag)).toEqual(['left', 'right']);
      expect(receivers.map(({ event }) => event)).toEqual(sent);
    }
  });

  test('a step that fails is tried again until it succeeds, and no attempt is left out (RT-3, MX-23)', () => {
    const shaky = [...ledger.runs.values()].flatMap(({ steps }) => steps.get('shaky') ?? []);
    expect(shaky.length).toBeGreaterThan(10);
    for (const { begins } of shaky)
      expect([...new Set(begins.map(({ attempt }) => attempt))]).toEqual([0, 1, 2]);
  });

  test('nothing is left open in the index', () => {
    const [path] = globSync(`${server.state}/v3/d1/**/*.sqlite`).filter(
      (file) => !file.endsWith('metadata.sqlite'),
    );
    const database = new DatabaseSync(path ?? '', { readOnly: true });
    const count = (query: string) =>
      database.prepare(`select count(*) as count from ${query}`).get()?.['count'];
    expect(count('event where dispatched_at is null')).toBe(0);
    expect(count('event where dead_reason is not null')).toBe(0);
    expect(count('run where ended_at is null')).toBe(0);
    expect(count('run')).toBe(ledger.runs.size);
    database.close();
  });
});

/** Kills and starts again, over and over; ends with the server running. Answers how many runs were in flight at each kill. */
async function ordeal(server: LocalServer, traffic: Traffic, look: () => Promise<void>): Promise<number[]> {
  const flights: number[] = [];
  const atStart = new Set(Array.from({ length: KILLS_AT_START }, () => between(random, 2, KILLS)));
  for (const since = Date.now(); Date.now() - since < 10_000 && traffic.inFlight() < IN_FLIGHT / 2;)
    await wait(20);
  for (let kill = 1; kill <= KILLS; kill++) {
    await wait(between(random, 100, 1_500));
    await look().catch(() => undefined);
    flights.push(traffic.inFlight());
    await server.kill();
    if (atStart.has(kill)) {
      const starting = server.start().catch(() => undefined);
      await wait(between(random, 1_000, 3_000));
      flights.push(traffic.inFlight());
      await server.kill();
      await starting;
    }
    await server.start();
  }
  return flights;
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
async function healing(
  api: Api,
  ledger: Ledger,
  accepted: ReadonlyMap<string, Accepted>,
  since: number,
): Promise<Healing> {
  const healed: Healed = { runsOf: new Map(), runs: new Map(), lost: [] };
  const result: Healing = { healed, objects: NaN, index: NaN };
  while (Date.now() - since < HEAL_SECONDS * 1_000 && Number.isNaN(result.index + result.objects)) {
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
  flights: number[],
  { objects, index }: Healing,
): string {
  const steps = ledger.count();
  const average = Math.round(flights.reduce((sum, flight) => sum + flight, 0) / flights.length);
  return [
    `${flights.length} kills, ${average} runs in flight on average (${Math.min(...flights)} to ${Math.max(...flights)})`,
    `${accepted.size} events accepted, ${refused} not`,
    `${ledger.runs.size} runs, ${steps} steps begun, ${ledger.repeats()} of them again because their end had not been stored`,
    `all runs ended ${objects.toFixed(1)} s after the last start, the index knew after ${index.toFixed(1)} s`,
  ].join('\n');
}

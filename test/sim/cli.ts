/**
 * `npm run sim -- --seeds 1000 [--time 600] [--seed 1] [--always-evict] [--about asks|crons|flow]`: so many histories, or so many seconds, from a seed that is drawn and printed unless it is given,
 * on all processors. `--seed 7` alone runs one and prints its log. Ends with 1 if a history failed.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { SECOND } from '../../src/lib/time.ts';
import { simulate, type Options } from './history.ts';
import { command, report, shrink, story, sum } from './shrink.ts';

/** Seeds that one worker runs: every `step`th from `first` to `last`. */
interface Share {
  first: number;
  last: number;
  step: number;
  /** No history begins after this moment. */
  until: number;
  options: Omit<Options, 'seed'>;
}

interface Found {
  seeds: number;
  runs: number;
  turns: number;
  faults: Map<string, number>;
  failed: number[];
}

/** Failing seeds that are shown in full. */
const SHOWN = 3;

async function work({ first, last, step, until, options }: Share): Promise<Found> {
  const found: Found = { seeds: 0, runs: 0, turns: 0, faults: new Map(), failed: [] };
  for (let seed = first; seed <= last && Date.now() < until; seed += step) {
    const outcome = await simulate({ ...options, seed });
    found.seeds++;
    found.runs += outcome.runs;
    found.turns += outcome.turns;
    for (const [kind, count] of outcome.faults) found.faults.set(kind, (found.faults.get(kind) ?? 0) + count);
    if (outcome.violations.length > 0) found.failed.push(seed);
  }
  return found;
}

function inWorker(share: Share): Promise<Found> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(import.meta.filename, { workerData: share });
    worker.once('message', resolve).once('error', reject);
  });
}

function merge(shares: Found[]): Found {
  const faults = new Map<string, number>();
  for (const [kind, count] of shares.flatMap((share) => [...share.faults]))
    faults.set(kind, (faults.get(kind) ?? 0) + count);
  return {
    seeds: sum(shares.map((share) => share.seeds)),
    runs: sum(shares.map((share) => share.runs)),
    turns: sum(shares.map((share) => share.turns)),
    faults,
    failed: shares.flatMap((share) => share.failed).toSorted((a, b) => a - b),
  };
}

function print(found: Found, seconds: number): void {
  const { seeds, runs, turns, faults } = found;
  console.log(
    `${seeds} histories, ${runs} runs, ${turns} turns in ${seconds.toFixed(1)} s: ${Math.round((seeds / seconds) * 60)} seeds a minute`,
  );
  console.log(`${sum(faults.values())} faults:`);
  for (const [kind, count] of [...faults].toSorted((a, b) => b[1] - a[1]))
    console.log(`${String(count).padStart(8)}  ${kind}`);
}

function settings() {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      time: { type: 'string' },
      about: { type: 'string' },
      seed: { type: 'string' },
      'always-evict': { type: 'boolean', default: false },
      faults: { type: 'string' },
      events: { type: 'string' },
      cancels: { type: 'string' },
    },
  });
  const bounds = (['faults', 'events', 'cancels'] as const).flatMap((name) => {
    const most = values[name];
    return most === undefined ? [] : [[name, Number(most)] as const];
  });
  const { about } = values;
  if (about !== undefined && about !== 'asks' && about !== 'crons' && about !== 'flow')
    throw new Error('--about asks, crons or flow');
  const options: Omit<Options, 'seed'> = {
    ...(about === undefined ? {} : { about }),
    alwaysEvict: values['always-evict'],
    ...Object.fromEntries(bounds),
  };
  const first = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
  const until = values.time === undefined ? Infinity : Date.now() + Number(values.time) * SECOND;
  const enough = until === Infinity ? 1_000 : Number.MAX_SAFE_INTEGER - first;
  const seeds = Number(values.seeds ?? (values.seed === undefined || until < Infinity ? enough : 1));
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(seeds))
    throw new Error('--seed and --seeds are whole numbers');
  if (Number.isNaN(until)) throw new Error('--time is a number of seconds');
  return { first, seeds, until, options };
}

async function one(options: Options): Promise<boolean> {
  const outcome = await simulate({ ...options, isLogged: true });
  console.log(report({ options, outcome }));
  return outcome.violations.length === 0;
}

async function many({ first, seeds, until, options }: ReturnType<typeof settings>): Promise<boolean> {
  console.log(`seeds from ${first}${options.alwaysEvict === true ? ', always evicting' : ''}`);
  const started = performance.now();
  const step = Math.min(availableParallelism(), seeds);
  const shares = Array.from({ length: step }, (_, n) => ({
    first: first + n,
    last: first + seeds - 1,
    step,
    until,
    options,
  }));
  const found = merge(await Promise.all(shares.map(inWorker)));
  print(found, (performance.now() - started) / 1_000);
  for (const seed of found.failed.slice(0, SHOWN))
    console.log(`\n${story(await shrink({ ...options, seed }))}`);
  for (const seed of found.failed) console.log(`FAILED ${command({ ...options, seed })}`);
  console.log(found.failed.length === 0 ? 'all hold' : `${found.failed.length} of ${found.seeds} failed`);
  return found.failed.length === 0;
}

if (isMainThread) {
  const given = settings();
  const isOk = given.seeds === 1 ? await one({ ...given.options, seed: given.first }) : await many(given);
  process.exitCode = isOk ? 0 : 1;
} else {
  parentPort?.postMessage(await work(workerData as Share), []);
}

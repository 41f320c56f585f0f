/**
 * `npm run sim -- --seeds 1000 [--seed 1] [--always-evict]`: so many histories, from a seed that is drawn and printed unless it is given,
 * on all processors. `--seed 7` alone runs one and prints its log. Ends with 1 if a history failed.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { simulate, type Options } from './history.ts';
import { command, report, shrink, sum } from './shrink.ts';

/** Seeds that one worker runs: every `step`th from `first` to `last`. */
interface Share {
  first: number;
  last: number;
  step: number;
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

async function work({ first, last, step, options }: Share): Promise<Found> {
  const found: Found = { seeds: 0, runs: 0, turns: 0, faults: new Map(), failed: [] };
  for (let seed = first; seed <= last; seed += step) {
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
  const options: Omit<Options, 'seed'> = {
    alwaysEvict: values['always-evict'],
    ...Object.fromEntries(bounds),
  };
  const first = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
  const seeds = Number(values.seeds ?? (values.seed === undefined ? 1_000 : 1));
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(seeds))
    throw new Error('--seed and --seeds are whole numbers');
  return { first, seeds, options };
}

async function one(options: Options): Promise<boolean> {
  const outcome = await simulate({ ...options, isLogged: true });
  console.log(report({ options, outcome }));
  return outcome.violations.length === 0;
}

async function many(first: number, seeds: number, options: Omit<Options, 'seed'>): Promise<boolean> {
  console.log(
    `seeds ${first} to ${first + seeds - 1}${options.alwaysEvict === true ? ', always evicting' : ''}`,
  );
  const started = performance.now();
  const step = Math.min(availableParallelism(), seeds);
  const shares = Array.from({ length: step }, (_, n) => ({
    first: first + n,
    last: first + seeds - 1,
    step,
    options,
  }));
  const found = merge(await Promise.all(shares.map(inWorker)));
  print(found, (performance.now() - started) / 1_000);
  for (const seed of found.failed.slice(0, SHOWN))
    console.log(`\n${report(await shrink({ ...options, seed }))}`);
  for (const seed of found.failed) console.log(`FAILED ${command({ ...options, seed })}`);
  console.log(found.failed.length === 0 ? 'all hold' : `${found.failed.length} of ${seeds} failed`);
  return found.failed.length === 0;
}

if (isMainThread) {
  const { first, seeds, options } = settings();
  const isOk = seeds === 1 ? await one({ ...options, seed: first }) : await many(first, seeds, options);
  process.exitCode = isOk ? 0 : 1;
} else {
  parentPort?.postMessage(await work(workerData as Share), []);
}

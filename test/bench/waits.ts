/**
 * `node test/bench/waits.ts`: how long an event takes to find its wait among others of its name, and what waits cost, on the local
 * runtime with its storage on disk. Ends with 1 when a budget is broken.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unstable_startWorker } from 'wrangler';
import type { Figures, Writes } from './waits-worker.ts';

const SIZES = [100, 10_000, 100_000];
const FILL = 10_000;
/** Milliseconds at the median. */
const BUDGET = { find: 5, register: 2 };

process.env['WRANGLER_SEND_METRICS'] = 'false';
process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';
process.env['X_LOCAL_OBSERVABILITY'] = 'false';

const state = mkdtempSync(join(tmpdir(), 'stepwell-waits-'));
const config = join(state, 'wrangler.json');
writeFileSync(
  config,
  JSON.stringify({
    name: 'stepwell-bench-waits',
    main: join(import.meta.dirname, 'waits-worker.ts'),
    compatibility_date: '2026-11-02',
    compatibility_flags: ['nodejs_compat'],
    send_metrics: false,
    durable_objects: { bindings: [{ name: 'WAITS', class_name: 'Waits' }] },
    migrations: [{ tag: 'v1', new_sqlite_classes: ['Waits'] }],
  }),
);
const worker = await unstable_startWorker({
  config,
  dev: { server: { port: 0 }, inspector: false, logLevel: 'error', watch: false, persist: state },
});
await worker.ready;

async function ask<Answer>(path: string, from: number, to: number): Promise<Answer> {
  const response = await worker.fetch(`http://bench/${path}?from=${from}&to=${to}`);
  if (response.status !== 200) throw new Error(await response.text());
  return (await response.json()) as Answer;
}

function median(figures: number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? Number.NaN;
}

function highest(figures: number[]): number {
  return Math.max(...figures);
}

function text({ rows, alarms }: Writes): string {
  return `${rows.toFixed(2)} rows, ${alarms.toFixed(2)} alarms`;
}

/** Of the runtime's processes, in MB. */
function memory(): number {
  const lines = execFileSync('ps', ['-eo', 'pid=,ppid=,rss=,comm='], { encoding: 'utf8' }).trim().split('\n');
  const processes = lines.map((line) => line.trim().split(/\s+/));
  const own = new Set([String(process.pid)]);
  for (const [pid = '', parent = ''] of processes.toSorted((a, b) => Number(a[0]) - Number(b[0])))
    if (own.has(parent)) own.add(pid);
  return processes.reduce(
    (sum, [pid = '', , rss, name]) => sum + (own.has(pid) && name === 'workerd' ? Number(rss) / 1024 : 0),
    0,
  );
}

let filled = 0;
let isMet = true;
try {
  console.log(`no waits: ${memory().toFixed(0)} MB`);
  for (const size of SIZES) {
    const started = performance.now();
    for (; filled < size; filled = Math.min(size, filled + FILL))
      await ask('fill', filled, Math.min(size, filled + FILL));
    const took = performance.now() - started;
    const figures = await ask<Figures>('measure', 0, size);
    const line = (what: string, each: number[]) =>
      `  ${what.padEnd(34)} ${median(each).toFixed(2)} ms, highest ${highest(each).toFixed(2)}`;
    console.log(`${size} waits, ${memory().toFixed(0)} MB, filled in ${(took / 1_000).toFixed(1)} s`);
    console.log(line('floor: one row is inserted', figures.floor));
    console.log(line('one event finds its wait', figures.find), '|', text(figures.findWrites));
    console.log(line('one event finds none', figures.none));
    console.log(line('100 events find 100 waits', figures.hundred));
    console.log(line('one wait is registered', figures.register), '|', text(figures.registerWrites));
    console.log(line('one wait expires', figures.expire), '|', text(figures.expireWrites));
    console.log(line('first call after a restart', figures.cold));
    isMet &&= median(figures.find) < BUDGET.find && median(figures.register) < BUDGET.register;
  }
  console.log(isMet ? 'within budget' : 'OVER BUDGET');
} finally {
  await worker.dispose();
  rmSync(state, { recursive: true, force: true });
}
process.exitCode = isMet ? 0 : 1;

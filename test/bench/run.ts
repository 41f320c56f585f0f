/**
 * `npm run bench`: measures the engine, the platform's own floors and Cloudflare Workflows in one local server, prints a table and
 * writes .wrangler/bench.json. Times differ from machine to machine and from minute to minute; the ratios are what counts.
 *
 *   --quick       fewer repeats and smaller numbers, under a minute
 *   --only NAME   one section (see sections.ts); may be given several times
 *   --strict      ends with 1 when a target is missed
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Bill } from './bill.ts';
import { judge, table, type Verdict } from './report.ts';
import { sections, type Bench } from './sections.ts';
import { startServer } from './server.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    strict: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
  },
});
const unknown = options.only.filter((name) => !(name in sections));
if (unknown.length > 0)
  throw new Error(
    `--only: no such section: ${unknown.join(', ')}; there are ${Object.keys(sections).join(', ')}`,
  );
const chosen = options.only.length > 0 ? options.only : Object.keys(sections);

const from = performance.now();
const seconds = () => ((performance.now() - from) / 1000).toFixed(0);
const verdicts: Verdict[] = [];
const bills: Bill[] = [];
let failed = 0;

/** Objects that were used lately hold memory and files, which the sleeping runs are to be measured without. */
const apart = (name: string) => name === 'sleeping' && !options.quick;
const groups = [chosen.filter((name) => !apart(name)), chosen.filter(apart)];
for (const names of groups.filter(({ length }) => length > 0)) {
  const server = await startServer();
  const bench: Bench = { server, quick: options.quick, bills, say: (text) => console.log(text) };
  try {
    // What runs for the first time is compiled on the way.
    await server.measure('fanOut', { side: 'engine', events: 20, steps: 3 });
    await server.measure('fanOut', { side: 'workflows', events: 5, steps: 3 });
    for (const name of names) await measure(name, bench);
  } finally {
    await server.stop();
  }
}

async function measure(name: string, bench: Bench): Promise<void> {
  console.error(`${seconds()} s: ${name}`);
  try {
    for (const line of (await sections[name]?.(bench)) ?? []) verdicts.push(judge(line));
  } catch (error) {
    failed++;
    console.error(`${name}: no figures:`, error);
  }
}

const file = join(import.meta.dirname, '../../.wrangler/bench.json');
const machine = {
  cpus: cpus().length,
  model: cpus()[0]?.model,
  node: process.version,
  platform: process.platform,
};
mkdirSync(join(file, '..'), { recursive: true });
writeFileSync(file, JSON.stringify({ machine, quick: options.quick, lines: verdicts, bills }, null, 2));

const judged = verdicts.filter(({ met }) => met !== null);
const missed = judged.filter(({ met }) => met === false);
console.log(table(verdicts));
console.log(
  `\n${judged.length - missed.length} of ${judged.length} targets met; ${seconds()} s; figures in .wrangler/bench.json`,
);
if (failed > 0 || (options.strict && missed.length > 0)) process.exitCode = 1;

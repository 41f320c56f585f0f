/**
 * `npm run chaos -- [--seconds 60] [--runs 500] [--seed 7] [--in-flight 200]`: disorder for so long and until so many events have been
 * accepted, from a seed that is drawn and printed unless it is given. Prints figures and the verdict; ends with 1 if a promise was broken.
 */
import { parseArgs } from 'node:util';
import { broken, chaos } from './chaos.ts';

const SHOWN = 5;

const text = { type: 'string' } as const;
const { values } = parseArgs({ options: { seconds: text, runs: text, seed: text, 'in-flight': text } });

function number(name: keyof typeof values, otherwise: number): number {
  const value = Number(values[name] ?? otherwise);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name}: expected a whole number`);
  return value;
}

const seed = number('seed', Date.now() % 1_000_000);
const options = {
  seed,
  seconds: number('seconds', 60),
  runs: number('runs', 500),
  inFlight: number('in-flight', 200),
};
console.log(`seed ${seed}`);
const outcome = await chaos(options);
console.log(outcome.figures);
let isKept = true;
for (const [what, found] of Object.entries(broken(outcome))) {
  console.log(`${found.length === 0 ? 'none' : found.length} ${what}`);
  for (const one of found.slice(0, SHOWN)) console.log('   ', one);
  if (found.length > 0) isKept = false;
}
const again = `npm run chaos -- --seed ${seed} --seconds ${options.seconds} --runs ${options.runs} --in-flight ${options.inFlight}`;
console.log(isKept ? 'KEPT: every promise' : `BROKEN; the same again, with other timing: ${again}`);
process.exit(isKept ? 0 : 1);

/**
 * `npm run bench:remote`: what a step costs whose function is on an official TypeScript SDK in another process, on loopback. Held
 * against the calls alone: as many POSTs of a first call to the same app, with nothing of the engine between them.
 */
import { Engine } from '../conformance/engine.ts';
import { typescript } from '../conformance/programs.ts';
import { judge, median, table, type Line } from './report.ts';

const REPEATS = 3;
const engine = await Engine.start();
const lines: Line[] = [];

try {
  for (const [name, id] of [
    ['inngest-v3', 'three'],
    ['inngest-v4', 'four'],
  ] as const) {
    const program = typescript(name, id);
    if (typeof program === 'string') throw new Error(program);
    const url = await engine.serve(id, program);
    await took(`${id}/work`, 5, false);
    const call = median(await times(() => bareCalls(url, id, 50)));
    const against = { name: 'a call of the app alone', value: call };
    for (const steps of [10, 100]) {
      const each = median(await times(async () => (await took(`${id}/work`, steps, false)) / steps));
      lines.push({ what: `${name}, ${steps} steps, each`, value: each, unit: 'ms', against });
    }
    const aside = median(await times(async () => (await took(`${id}/work`, 100, true)) / 100));
    lines.push({ what: `${name}, 100 steps side by side, each`, value: aside, unit: 'ms', against });
    if (id === 'four') {
      const each = median(await times(async () => (await took(`${id}/checkpointed`, 100, false)) / 100));
      lines.push({ what: `${name}, 100 steps, checkpointed, each`, value: each, unit: 'ms', against });
    }
  }
} finally {
  await engine.stop();
}
console.log(table(lines.map(judge)));

async function times(measure: () => Promise<number>): Promise<number[]> {
  const found: number[] = [];
  for (let n = 0; n < REPEATS; n++) found.push(await measure());
  return found;
}

/** From the first entry of the function to the end of the run, in milliseconds. */
async function took(event: string, steps: number, sideBySide: boolean): Promise<number> {
  const { run_id: runId } = await engine.run(event, { steps, sideBySide });
  const { entered_at: from, ended_at: to } = await engine.get<{ entered_at: string; ended_at: string }>(
    `/v1/runs/${runId}/trace`,
  );
  return Date.parse(to) - Date.parse(from);
}

/** Milliseconds for each. */
async function bareCalls(url: string, id: string, calls: number): Promise<number> {
  const from = performance.now();
  for (let n = 0; n < calls; n++) await engine.callApp(`${url}?fnId=${id}-work&stepId=step`, `${id}/work`);
  return (performance.now() - from) / calls;
}

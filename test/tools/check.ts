/**
 * Runs every `check:*` script of package.json at the same time and prints what each had to say.
 * Ends with 1 if one of them failed.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

interface Outcome {
  name: string;
  ok: boolean;
  seconds: number;
  output: string;
}

const root = join(import.meta.dirname, '../..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};
const checks = Object.entries(manifest.scripts).filter(([name]) => name.startsWith('check:'));

const env = { ...process.env, PATH: join(root, 'node_modules/.bin') + delimiter + process.env['PATH'] };

function run(name: string, command: string): Promise<Outcome> {
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, { cwd: root, env, shell: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('close', (code) => {
      resolve({ name, ok: code === 0, seconds: (performance.now() - started) / 1000, output: output.trim() });
    });
  });
}

function print({ name, ok, seconds, output }: Outcome): void {
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name} (${seconds.toFixed(1)} s)`);
  if (output && (!ok || output.includes('warning'))) console.log(`${output}\n`);
}

const outcomes = await Promise.all(checks.map(([name, command]) => run(name, command)));
for (const outcome of outcomes) print(outcome);

// A check that no longer runs must not look like one that passes.
process.exitCode = outcomes.length > 0 && outcomes.every(({ ok }) => ok) ? 0 : 1;

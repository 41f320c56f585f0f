/** What is deployed: its size is a budget, and nothing secret is in it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
/** Kilobytes of 1,024 bytes, gzipped. Raised only by the change that needs it: GraphQL takes 45, of which its library 40. */
const CEILING = 270;

const folder = mkdtempSync(join(tmpdir(), 'stepwell-bundle-'));
let code = '';

beforeAll(() => {
  const wrangler = join(root, 'node_modules/wrangler/bin/wrangler.js');
  execFileSync(process.execPath, [wrangler, 'deploy', '--dry-run', '--minify', '--outdir', folder], {
    cwd: root,
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false' },
    stdio: 'pipe',
  });
  const scripts = readdirSync(folder).filter((file) => file.endsWith('.js'));
  code = scripts.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test(`the Worker stays under ${CEILING} kB gzipped`, () => {
  const size = Math.round(gzipSync(code, { level: 9 }).length / 1_024);
  console.log(`bundle: ${size} kB of ${CEILING} kB gzipped`);
  expect(size).toBeGreaterThan(50);
  expect(size).toBeLessThan(CEILING);
});

test('no secret is compiled in: nothing of the example variables, no key', () => {
  const examples = readFileSync(join(root, '.dev.vars.example'), 'utf8');
  const values = [...examples.matchAll(/^\w+=(.+)$/gm)]
    .map(([, value = '']) => value.trim())
    .filter((value) => value.length > 4);
  expect(values.length).toBeGreaterThan(0);
  for (const value of values) expect(code.includes(value)).toBe(false);
  expect(/signkey-(prod|test|branch)-[0-9a-f]{16,}/.test(code)).toBe(false);
});

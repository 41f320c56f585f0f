/** The lint rules are part of the design, so they are tested: each must fire, and say what to do instead. */
import { execFile } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');

/** Who may import whom. What is not listed is forbidden, and .oxlintrc.json must agree. */
const edge = ['ports.ts', 'protocol', 'lib'];
const folders: Record<string, string[]> = {
  lib: [],
  protocol: ['lib'],
  expr: ['protocol', 'lib'],
  cron: ['lib'],
  run: ['protocol', 'lib'],
  flow: ['expr', 'protocol', 'lib'],
  match: ['expr', 'protocol', 'lib'],
  sdk: ['protocol', 'lib'],
  app: ['sdk'],
  dashboard: [],
  dev: [],
  call: ['sdk', 'keys', 'run', 'expr', ...edge],
  store: edge,
  keys: edge,
  ingest: ['keys', ...edge],
  dispatch: ['match', 'flow', ...edge],
  registry: ['expr', 'cron', ...edge],
  webhooks: ['ingest', 'keys', ...edge],
  api: ['ingest', 'registry', 'webhooks', 'keys', 'store', ...edge],
};
const files: Record<string, string[]> = {
  'clock.ts': ['ports.ts'],
  'log.ts': ['ports.ts'],
  'compose.ts': [
    ...Object.keys(folders).filter((name) => !['app', 'dashboard', 'dev', 'api', 'sdk'].includes(name)),
    'clock.ts',
    'log.ts',
    'env.ts',
    'objects.ts',
    'ports.ts',
  ],
  'env.ts': ['protocol', 'lib'],
  'objects.ts': ['env.ts', ...edge],
  'ports.ts': ['run', 'protocol', 'lib'],
  'engine.ts': [
    ...Object.keys(folders),
    'clock.ts',
    'log.ts',
    'env.ts',
    'objects.ts',
    'compose.ts',
    'ports.ts',
  ],
  'worker.ts': [],
};
const objects = [
  'run',
  'flow',
  'match',
  'cron',
  'expr',
  'keys',
  'call',
  'store',
  'ingest',
  'dispatch',
  'registry',
  'clock.ts',
  'log.ts',
  'env.ts',
  'objects.ts',
  'compose.ts',
  ...edge,
];
const pure = ['lib', 'protocol', 'expr', 'cron', 'run', 'flow', 'match'];

/** A piece of code at a place, and the rule that must fire on it. No rule: none of the rules of the design may. */
interface Probe {
  file: string;
  code: string;
  rule?: string;
  says?: string;
}

const designRules = [
  'no-restricted-imports',
  'no-restricted-globals',
  'no-restricted-properties',
  'no-console',
];

function importProbes(file: string, prefix: string, self: string, allowed: string[]): Probe[] {
  return [...Object.keys(folders), ...Object.keys(files)]
    .filter((name) => name !== self)
    .map((name) => {
      const code = `export * from '${prefix}${name.endsWith('.ts') ? name : `${name}/a.ts`}';`;
      return allowed.includes(name) ? { file, code } : { file, code, rule: 'no-restricted-imports' };
    });
}

const importRules: Probe[] = [
  ...Object.entries(folders).flatMap(([name, allowed]) => [
    ...importProbes(`src/${name}/x.ts`, '../', name, allowed),
    ...importProbes(`src/${name}/deep/x.ts`, '../../', name, allowed),
    {
      file: `src/${name}/x.ts`,
      code: "export * from '../../durable-objects/run.ts';",
      rule: 'no-restricted-imports',
      says: 'Only src/worker.ts imports durable-objects/',
    },
  ]),
  ...Object.entries(files)
    .filter(([name]) => name !== 'worker.ts')
    .flatMap(([name, allowed]) => [
      ...importProbes(`src/${name}`, './', name, allowed),
      {
        file: `src/${name}`,
        code: "export * from '../durable-objects/run.ts';",
        rule: 'no-restricted-imports',
        says: 'Only src/worker.ts imports durable-objects/',
      },
    ]),
  ...importProbes('durable-objects/x.ts', '../src/', '', objects),
  { file: 'durable-objects/x.ts', code: "export * from './shell.ts';" },
  { file: 'src/worker.ts', code: "export * from '../durable-objects/index.ts';" },
  { file: 'src/worker.ts', code: "export * from './engine.ts';" },
  ...[
    { code: "export * from '../worker.ts';", says: 'composition root' },
    { code: "export * from 'stepwell';", says: 'relative path' },
    { code: "export * from '../lib/../run/a.ts';", says: 'shortest' },
    { code: "export * from '../../test/a.ts';", says: 'does not import its tests' },
    { code: "export const later$ = import('../dispatch/a.ts');", says: 'src/api may import' },
  ].map((probe) => ({ ...probe, file: 'src/api/x.ts', rule: 'no-restricted-imports' })),
];

const now = 'Time comes in as the argument `now`';
const ids = 'come in through ports';
const impure: [rule: string, code: string, says: string][] = [
  ['no-restricted-properties', 'void Date.now();', now],
  ['no-restricted-properties', 'void Math.random();', ids],
  ['no-restricted-globals', 'void performance.now();', now],
  ['no-restricted-globals', 'void crypto.randomUUID();', ids],
  ['no-restricted-globals', 'setTimeout(String, 0);', 'return an effect'],
  ['no-restricted-globals', 'setInterval(String, 0);', 'return an effect'],
  ['no-restricted-globals', 'queueMicrotask(() => undefined);', 'return an effect'],
  ['no-restricted-globals', "void fetch('http://x');", 'return an effect'],
  ['no-restricted-globals', "console.log('x');", 'return what happened'],
  ['no-restricted-globals', 'void globalThis.name;', 'comes in as an argument'],
  ['no-restricted-imports', "export * from 'node:fs';", 'This folder is pure'],
  ['no-restricted-imports', "export * from 'cloudflare:workers';", 'This folder is pure'],
];

const purityRules: Probe[] = [
  ...pure.flatMap((folder) =>
    impure.map(([rule, code, says]) => ({ file: `src/${folder}/x.ts`, code, rule, says })),
  ),
  ...pure
    .filter((folder) => folder !== 'cron')
    .map((folder) => ({
      file: `src/${folder}/x.ts`,
      code: 'void new Date();',
      rule: 'no-restricted-globals',
      says: now,
    })),
  { file: 'src/cron/x.ts', code: 'void new Date(5);' },
  { file: 'src/lib/time.ts', code: "void Date.parse('2026-01-01');" },
  ...['src/api/x.ts', 'src/engine.ts', 'durable-objects/x.ts'].flatMap((file) => [
    { file, code: 'void Date.now();', rule: 'no-restricted-properties', says: 'Use the Clock port' },
    { file, code: 'void performance.now();', rule: 'no-restricted-properties', says: 'Use the Clock port' },
    {
      file,
      code: 'void Math.random();',
      rule: 'no-restricted-properties',
      says: 'Use the Ids or Entropy port',
    },
    {
      file,
      code: 'void crypto.randomUUID();',
      rule: 'no-restricted-properties',
      says: 'Use the Ids or Entropy port',
    },
    { file, code: "console.log('x');", rule: 'no-console' },
  ]),
  { file: 'src/clock.ts', code: 'void [Date.now(), crypto.randomUUID()];' },
  { file: 'src/sdk/x.ts', code: 'void [Date.now(), crypto.randomUUID()];' },
  { file: 'src/app/x.ts', code: "console.log('x', Date.now());" },
];

const codeRules: Probe[] = [
  { rule: 'no-explicit-any', code: 'export const any$ = (a: any): unknown => a;' },
  { rule: 'no-unused-vars', code: 'const unused$ = 1;' },
  { rule: 'no-cycle', code: "import { other } from './other.ts'; export const mine = (): unknown => other;" },
  { rule: 'no-floating-promises', code: 'async function f$() {} export function g$() { f$(); }' },
  {
    rule: 'switch-exhaustiveness-check',
    code: "export function s$(a: 'b' | 'c'): number { switch (a) { case 'b': return 1; } return 2; }",
  },
  {
    rule: 'complexity',
    code: `export function c$(a: number) { ${'if (a > 1) a -= 1; '.repeat(16)} return a; }`,
  },
  {
    rule: 'max-lines-per-function',
    code: `export function l$(a: number) {\n${'a += 1;\n'.repeat(61)}return a; }`,
  },
].map((probe) => ({ ...probe, file: 'src/api/x.ts' }));

interface Finding {
  code: string;
  message: string;
  help?: string;
  filename: string;
  labels: { span: { line: number } }[];
}
interface Written extends Probe {
  from: number;
  to: number;
}

const tree = mkdtempSync(join(tmpdir(), 'rules-'));
let findings: Finding[] = [];

/** Writes all probes, one below the other where they share a file, and remembers their lines. `$` becomes a number. */
function place(probes: Probe[]): Written[] {
  const lines = new Map<string, string[]>();
  return probes.map((probe, index) => {
    const before = lines.get(probe.file) ?? [];
    const added = probe.code.replaceAll('$', String(index)).split('\n');
    lines.set(probe.file, [...before, ...added]);
    write(probe.file, [...before, ...added].join('\n'));
    return { ...probe, from: before.length + 1, to: before.length + added.length };
  });
}

function write(file: string, text: string): void {
  mkdirSync(dirname(join(tree, file)), { recursive: true });
  writeFileSync(join(tree, file), `${text}\n`);
}

function lint(): Promise<Finding[]> {
  return new Promise((resolve, reject) => {
    const oxlint = join(root, 'node_modules/.bin/oxlint');
    execFile(oxlint, ['--type-aware', '-f', 'json'], { cwd: tree, maxBuffer: 2 ** 26 }, (error, stdout) => {
      try {
        resolve((JSON.parse(stdout) as { diagnostics: Finding[] }).diagnostics);
      } catch {
        reject(new Error(`no report from oxlint: ${stdout.slice(0, 500)}`, { cause: error }));
      }
    });
  });
}

function findingsOn({ file, from, to }: Written): Finding[] {
  return findings.filter(({ filename, labels }) => {
    const line = labels[0]?.span.line ?? 0;
    return filename === file && line >= from && line <= to;
  });
}

const written = place([...importRules, ...purityRules, ...codeRules]);

beforeAll(async () => {
  write('src/api/other.ts', "import { mine } from './x.ts'; export const other = (): unknown => mine;");
  copyFileSync(join(root, '.oxlintrc.json'), join(tree, '.oxlintrc.json'));
  copyFileSync(join(root, 'tsconfig.json'), join(tree, 'tsconfig.json'));
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  findings = await lint();
}, 60_000);

afterAll(() => rmSync(tree, { recursive: true, force: true }));

/** What is wrong with the findings on this probe; nothing when they are as they should be. */
function complaint(probe: Written): string[] {
  const { file, code, rule, says = '' } = probe;
  const found = findingsOn(probe).filter((finding) =>
    rule
      ? finding.code.includes(`(${rule})`)
      : designRules.some((name) => finding.code.includes(`(${name})`)),
  );
  const messages = found.map(({ message, help = '' }) => `${message} ${help}`);
  if (!rule) return messages.map((message) => `${file}: ${code} is allowed, but: ${message}`);
  if (messages.some((message) => message.includes(says))) return [];
  return [`${file}: ${code} -> ${rule} should say "${says}", but: ${messages.join(' | ') || 'nothing'}`];
}

describe('what the design forbids is reported, with what to do instead; what it allows is not', () => {
  test.each([...new Set(written.map(({ file }) => file))])('%s', (path) => {
    expect(written.filter(({ file }) => file === path).flatMap(complaint)).toEqual([]);
  });
});

describe('the rules cover the whole tree', () => {
  test('every folder and file of src is in the table', () => {
    const entries = readdirSync(join(root, 'src'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() || /(?<!\.d)\.ts$/.test(entry.name))
      .map(({ name }) => name);
    expect([...Object.keys(folders), ...Object.keys(files)]).toEqual(expect.arrayContaining(entries));
  });

  test('nothing but src/clock.ts, src/sdk and src/app asks `new Date()` for the time', () => {
    const exempt = /^src\/(?:clock\.ts|sdk\/|app\/|dashboard\/)/;
    const sources = ['src', 'durable-objects'].flatMap((top) =>
      readdirSync(join(root, top), { recursive: true, encoding: 'utf8' }).map((file) => `${top}/${file}`),
    );
    const asking = sources
      .filter((file) => file.endsWith('.ts') && !exempt.test(file))
      .filter((file) => /new Date\(\s*\)/.test(readFileSync(join(root, file), 'utf8')));
    expect(asking).toEqual([]);
  });
});

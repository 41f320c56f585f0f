/**
 * Which tests carry which requirement of the function model: `test/coverage.md`, written from the names of the tests and, for what no
 * test carries, from the reasons in `test/tools/coverage.json`.
 *
 *   npm run coverage                      writes the page anew, for the ids that it has
 *   npm run coverage -- <specification>   takes the ids from the folder with the requirements, which is not in this repository
 *   npm run check:coverage                fails if the page is not what would be written, or an id has neither test nor reason
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Reason {
  class: string;
  why: string;
}

interface Data {
  reasons: (Reason & { ids: string })[];
  /** By file or folder: ids, or letters of ids, that mean a requirement of another specification there. */
  homonyms: Record<string, string>;
}

/** The parts of the specification that are covered: file, and numbers of its sections if not all. */
const PARTS: { file: string; sections?: string[]; also?: RegExp }[] = [
  { file: 'functions-and-steps.md' },
  { file: 'expressions.md' },
  { file: 'flow-control.md', sections: ['11', '12'], also: /^FA-1[234]$/ },
];

const root = join(import.meta.dirname, '../..');
const page = join(root, 'test/coverage.md');
const data = JSON.parse(readFileSync(join(root, 'test/tools/coverage.json'), 'utf8')) as Data;

/** The class of a reason that stands beside tests: part of the requirement is not built. */
const PARTLY = 'partly';
/** What is being built elsewhere: as soon as its tests are here, they take the place of the reason. */
const PENDING = 'pending';

const ID = /\b([A-Z]{2})-(\d{1,2})\b(?: to (?:\1-)?(\d{1,2})\b)?/g;
/** Not in the middle of a line, where it is a pattern such as `shop/*`. */
const COMMENT = /^\s*\/\*[^]*?\*\/|^\s*\/\/.*$| \/\/ .*$/gm;
const LITERAL = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`/g;

/** `IV-13 to IV-15` is three of them. */
function idsIn(text: string): string[] {
  return [...text.matchAll(ID)].flatMap(([, letters = '', first = '', last = first]) => {
    const count = Math.max(Number(last) - Number(first) + 1, 1);
    return Array.from({ length: count }, (_, n) => `${letters}-${Number(first) + n}`);
  });
}

/** Requirements to enforce; what is for information only is left out. */
function idsOfSpecification(folder: string): string[] {
  return PARTS.flatMap(({ file, sections, also }) => {
    let section = '';
    return readFileSync(join(folder, file), 'utf8')
      .split('\n')
      .flatMap((line) => {
        section = /^## (\d+)\./.exec(line)?.[1] ?? section;
        const [, id, tag] = /^- \*\*([A-Z]{2}-\d+)\*\*(?: \[(\w)\])?/.exec(line) ?? [];
        if (id === undefined || tag === 'I') return [];
        return sections === undefined || sections.includes(section) || also?.test(id) ? [id] : [];
      });
  });
}

function idsOfPage(): string[] {
  return [...readFileSync(page, 'utf8').matchAll(/^- \*\*([A-Z]{2}-\d+)\*\*/gm)].map(([, id = '']) => id);
}

interface Named {
  file: string;
  name: string;
}

/** Texts of tests that name ids: titles, and rows of tables. Comments name some too, and prove nothing. */
function testsById(): Map<string, Named[]> {
  const found = new Map<string, Named[]>();
  const files = globSync('test/**/*.ts', { cwd: root }).filter(
    (file) => !/^test\/(?:tools|bench)\//.test(file),
  );
  for (const file of files.toSorted()) {
    const code = readFileSync(join(root, file), 'utf8').replaceAll(COMMENT, '');
    for (const [literal] of code.split('\n').flatMap((line) => [...line.matchAll(LITERAL)])) {
      const ids = idsIn(literal).filter((id) => !isHomonym(file, id));
      const name = literal.slice(1, -1).replaceAll(/\\(.)/g, '$1');
      for (const id of new Set(ids)) {
        const tests = found.get(id) ?? [];
        if (!tests.some((one) => one.file === file && one.name === name)) tests.push({ file, name });
        found.set(id, tests);
      }
    }
  }
  return found;
}

function isHomonym(file: string, id: string): boolean {
  return Object.entries(data.homonyms).some(
    ([path, ids]) =>
      file.startsWith(path) && (ids.split(' ').includes(id.slice(0, 2)) || idsIn(ids).includes(id)),
  );
}

/** `partly` goes with tests, every other class stands in their place. */
function reasonsById(): Map<string, Reason> {
  return new Map(data.reasons.flatMap((reason) => idsIn(reason.ids).map((id) => [id, reason] as const)));
}

interface Line {
  id: string;
  counts: string[];
  text: string;
  problem?: string;
}

function lineOf(id: string, named: Named[] | undefined, reason: Reason | undefined): Line {
  const isPartly = reason?.class === PARTLY;
  if (named === undefined) {
    if (reason === undefined || isPartly) {
      return {
        id,
        counts: [],
        text: 'neither a test nor a reason',
        problem: 'has neither a test nor a reason',
      };
    }
    return { id, counts: [reason.class], text: `no test: ${reason.why}` };
  }
  const tests = { id, counts: ['carried by tests'], text: list(named) };
  if (reason === undefined) return tests;
  if (!isPartly) {
    const problem = 'has tests now: its reason in test/tools/coverage.json can go';
    return reason.class === PENDING ? tests : { ...tests, problem };
  }
  return { ...tests, counts: [...tests.counts, PARTLY], text: `${tests.text} · not yet: ${reason.why}` };
}

/** By file: names of tests; rows of tables that name the id alone are told by that. */
function list(named: Named[]): string {
  const byFile = Map.groupBy(named, ({ file }) => file);
  const parts = [...byFile].map(([file, inFile]) => {
    const names = inFile.map(({ name }) => (name.includes(' ') ? name : 'rows of a table'));
    return `\`${file}\`: ${[...new Set(names)].join('; ')}`;
  });
  return parts.join(' · ');
}

function pageOf(lines: Line[]): string {
  const counts = Map.groupBy(
    lines.flatMap((line) => line.counts),
    (what) => what,
  );
  const table = [...counts].map(([what, all]) => `| ${what} | ${all.length} |`);
  const sections = Map.groupBy(lines, ({ id }) => id.slice(0, 2));
  return `${[
    '# The function model, and the tests that carry it',
    '',
    'Written by `test/tools/coverage.ts` (`npm run coverage`); reasons are in `test/tools/coverage.json`. Ids are those of the requirements for',
    'functions and steps, expressions, cancellation and timeouts.',
    '',
    '| ids | count |',
    '|---|---|',
    ...table.toSorted(),
    ...[...sections].flatMap(([letters, own]) => [
      '',
      `## ${letters}`,
      '',
      ...own.map(({ id, text }) => `- **${id}** ${text}`),
    ]),
  ].join('\n')}\n`;
}

const [argument] = process.argv.slice(2);
const isCheck = argument === '--check';
const ids = argument === undefined || isCheck ? idsOfPage() : idsOfSpecification(argument);
const tests = testsById();
const reasons = reasonsById();
const lines = ids.map((id) => lineOf(id, tests.get(id), reasons.get(id)));
const text = pageOf(lines);
const problems = lines.flatMap(({ id, problem }) => (problem === undefined ? [] : [`${id}: ${problem}`]));
for (const id of reasons.keys())
  if (!ids.includes(id)) problems.push(`${id}: has a reason, but is not on the page`);
if (isCheck && readFileSync(page, 'utf8') !== text)
  problems.push('test/coverage.md is out of date: npm run coverage');
if (!isCheck) writeFileSync(page, text);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;

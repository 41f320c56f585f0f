/** Every repository path that a Markdown file names in backticks must exist. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const looksLikeOurs = /^(?:src|durable-objects|migrations|test|\.ci)\//;
/** A pattern or a placeholder is not a path. */
const isPattern = /[*<>{}…\s]/;

function markdownFiles(): string[] {
  const listed = execFileSync(
    'git',
    ['ls-files', '--cached', '--others', '--exclude-standard', '--', '*.md'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  return listed.split('\n').filter((file) => file !== '' && existsSync(join(root, file)));
}

function pathsIn(line: string): string[] {
  return [...line.matchAll(/`([^`]+)`/g)]
    .map(([, quoted = '']) => quoted.replace(/^\.\//, '').replace(/[:#]\S*$/, ''))
    .filter((path) => looksLikeOurs.test(path) && !isPattern.test(path));
}

function missingIn(file: string): string[] {
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  return lines.flatMap((line, index) =>
    pathsIn(line)
      .filter((path) => !existsSync(join(root, path)))
      .map((path) => `${file}:${index + 1}: ${path} does not exist`),
  );
}

const missing = markdownFiles().flatMap(missingIn);
for (const problem of missing) console.error(problem);
process.exitCode = missing.length === 0 ? 0 : 1;

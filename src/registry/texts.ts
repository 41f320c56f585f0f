/** The texts of a configuration that are languages of their own, expressions and schedules: each is compiled once, to see that it can be. */
import { parseJitter } from '../cron/jitter.ts';
import { parseSchedule } from '../cron/schedule.ts';
import type { CompileError } from '../expr/errors.ts';
import { compile, type Compilation } from '../expr/expression.ts';
import { compileWait } from '../expr/wait.ts';
import { isObject } from '../lib/json.ts';

interface Problem {
  path: PropertyKey[];
  message: string;
}

/** @param written as its author wrote it: what is not even a text is not looked at here. */
export function textProblems(written: unknown): Problem[] {
  if (!isObject(written)) return [];
  return [
    ...listOf(written, 'triggers').flatMap(({ path, item }) =>
      'cron' in item ? cronProblems(path, item) : condition(path, item, 'expression', compileFilter),
    ),
    ...listOf(written, 'cancel').flatMap(({ path, item }) => condition(path, item, 'if', compileWait)),
  ];
}

interface Item {
  path: PropertyKey[];
  item: Record<string, unknown>;
}

function listOf(written: Record<string, unknown>, option: string): Item[] {
  const list = written[option];
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown, index) => (isObject(item) ? [{ path: [option, index], item }] : []));
}

/** CR-7, CR-8, CR-18. */
function cronProblems(path: PropertyKey[], { cron, jitter }: Item['item']): Problem[] {
  const problems: Problem[] = [];
  if (typeof cron === 'string') {
    const parsed = parseSchedule(cron);
    if (!parsed.ok) problems.push({ path: [...path, 'cron'], message: `${parsed.error} (CR-8)` });
  }
  if (typeof jitter === 'string' && parseJitter(jitter) === null) {
    problems.push({ path: [...path, 'jitter'], message: 'expected a duration from "1s" to "5m" (CR-18)' });
  }
  return problems;
}

function compileFilter(source: string): Compilation {
  return compile(source, { place: 'event' });
}

function condition(
  path: PropertyKey[],
  item: Item['item'],
  option: string,
  compiler: (source: string) => Compilation,
): Problem[] {
  const source = item[option];
  if (typeof source !== 'string') return [];
  const compiled = compiler(source);
  return compiled.ok ? [] : [{ path: [...path, option], message: textOf(compiled.error) }];
}

/** The first line says what is wrong, and where; below it, indented, the place and a hint (EX-75). */
function textOf({ message, position, excerpt, hint }: CompileError): string {
  const below = [...excerpt.split('\n'), ...(hint === undefined ? [] : [hint])];
  return [`${message} at ${position.line}:${position.column}`, ...below.map((line) => `    ${line}`)].join(
    '\n',
  );
}

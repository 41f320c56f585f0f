/** The texts of a configuration that are languages of their own, expressions and schedules: each is compiled once, to see that it can be. */
import { parseJitter } from '../cron/jitter.ts';
import { parseSchedule } from '../cron/schedule.ts';
import type { CompileError } from '../expr/errors.ts';
import { compile, type Compilation } from '../expr/expression.ts';
import { compileWait } from '../expr/wait.ts';
import { isObject } from '../lib/json.ts';

export interface Problem {
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
    ...KEYED.flatMap((option) =>
      itemsOf(written, option).flatMap(({ path, item }) => condition(path, item, 'key', compileKey)),
    ),
    ...itemsOf(written, 'batchEvents').flatMap(({ path, item }) =>
      condition(path, item, 'if', compileFilter),
    ),
    ...condition([], written, 'idempotency', compileKey),
  ];
}

/** Options with keys (FC-4): an object each, or a list of them. */
const KEYED = ['concurrency', 'throttle', 'rateLimit', 'debounce', 'batchEvents', 'singleton'];

/** What is legal, and not what its author may have meant. */
export function textWarnings(written: unknown): Problem[] {
  if (!isObject(written)) return [];
  const priority = itemsOf(written, 'priority').flatMap(({ path, item }) =>
    condition(path, item, 'run', compileFilter).map((problem) => ({
      ...problem,
      message: `counts as 0 (PR-5): ${problem.message}`,
    })),
  );
  if (!('batchEvents' in written)) return priority;
  return itemsOf(written, 'concurrency').flatMap(({ path, item }) =>
    item['key'] === undefined
      ? []
      : [{ path: [...path, 'key'], message: 'is ignored: all batches share the limit (BA-18)' }],
  );
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

/** Of an option that is a list, or stands for a list of one. */
function itemsOf(written: Record<string, unknown>, option: string): Item[] {
  const item = written[option];
  return isObject(item) ? [{ path: [option], item }] : listOf(written, option);
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

/** What is wrong with an expression over `event`; null where nothing is. */
export function filterProblem(source: string): string | null {
  const compiled = compileFilter(source);
  return compiled.ok ? null : textOf(compiled.error);
}

function compileKey(source: string): Compilation {
  return compile(source, { place: 'key' });
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

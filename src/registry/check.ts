/** Checks what the authors of functions wrote, before anything of it takes effect: all problems of all functions at once (FN-9). */
import type { z } from 'zod';
import { isObject } from '../lib/json.ts';
import { type FunctionConfig, functionConfig } from '../protocol/function.ts';
import { exclusions } from './exclusions.ts';
import { type Problem, textProblems, textWarnings } from './texts.ts';

/** The part of a function that its configuration comes from. */
export interface ListedFunction {
  config(appId: string): unknown;
  /** Itself and what comes with it, such as its failure handler (FN-38). */
  all?(): readonly ListedFunction[];
}

/** An app that this Worker holds. `undefined` entries come from imports that went wrong. */
export interface App {
  client: { readonly id: string };
  functions: readonly (ListedFunction | undefined)[];
}

interface Log {
  warn(message: string): void;
}

export interface Found {
  appId: string;
  /** What it is called in messages: its composite id if it has one. */
  label: string;
  config: FunctionConfig | null;
  problems: string[];
  warnings: string[];
}

/**
 * The configurations of all functions; throws one error that lists every problem, a line each: `<function id>: <option>: <reason>`.
 * Below a problem with an expression, indented, is the place that it is about.
 */
export function checkApps(apps: readonly App[], log: Log = console): FunctionConfig[] {
  const found = apps.flatMap((app) =>
    listed(app, log).map((fn, index) => checkWritten(app.client.id, fn.config(app.client.id), index)),
  );
  const problems = [...found.flatMap(({ problems: own }) => own), ...duplicates(found)];
  if (problems.length > 0) throw new Error(`Functions with problems:\n${problems.join('\n')}`);
  for (const warning of found.flatMap(({ warnings }) => warnings)) log.warn(warning);
  return found.flatMap(({ config }) => config ?? []);
}

/** FN-33. */
function listed({ client, functions }: App, log: Log): ListedFunction[] {
  const present = functions.filter((fn) => fn !== undefined);
  const missing = functions.length - present.length;
  if (missing > 0) {
    log.warn(
      `app "${client.id}": ${missing} of its functions are undefined and left out; check their imports`,
    );
  }
  return present.flatMap(withItsOwn);
}

/** What an app serves that lists this function. */
export function withItsOwn<Listed extends { all?(): readonly Listed[] }>(fn: Listed): readonly Listed[] {
  return fn.all?.() ?? [fn];
}

/** @param index of the function in its app, for those without an id. */
export function checkWritten(
  appId: string,
  written: unknown,
  index: number,
  schema: typeof functionConfig = functionConfig,
): Found {
  const label = labelOf(written) ?? `${appId}, function ${index + 1}`;
  const parsed = schema.safeParse(written);
  const lines = [
    ...(parsed.success ? [] : issueLines(parsed.error.issues, written)),
    ...[...textProblems(written), ...exclusions(written)].map(problemLine),
  ];
  const config = parsed.success && lines.length === 0 ? parsed.data : null;
  const labelled = (line: string) => `${label}: ${line}`;
  const warnings = textWarnings(written).map(problemLine).map(labelled);
  return { appId, label, config, problems: lines.map(labelled), warnings };
}

function problemLine({ path, message }: Problem): string {
  return `${place(path)}: ${message}`;
}

function labelOf(config: unknown): string | null {
  const id = isObject(config) ? config['id'] : undefined;
  return typeof id === 'string' && id !== '' ? id : null;
}

function issueLines(issues: readonly z.core.$ZodIssue[], written: unknown): string[] {
  const withUnknown = new Set<string>();
  for (const { code, path } of issues) if (code === 'unrecognized_keys') withUnknown.add(place(path));
  return issues.flatMap((issue) => {
    const { code, path, message } = issue;
    if (code === 'unrecognized_keys') {
      return issue.keys.map((key) => `${place([...path, key])}: not supported by this version`);
    }
    // What is missing beside a member that is not supported, such as `event` beside `cron`, says nothing new.
    const beside = path.length > 1 && withUnknown.has(place(path.slice(0, -1)));
    return beside && valueAt(written, path) === undefined ? [] : [`${place(path)}: ${message}`];
  });
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key],
    value,
  );
}

/** `triggers[0].event` */
function place(path: readonly PropertyKey[]): string {
  return path
    .map((key, at) => (typeof key === 'number' ? `[${key}]` : `${at === 0 ? '' : '.'}${String(key)}`))
    .join('');
}

/** FN-8: one id must not mean two functions, whether in one app or by the way that app and function ids join. */
export function duplicates(found: readonly Found[]): string[] {
  const byId = Map.groupBy(found, ({ label }) => label);
  return [...byId].flatMap(([id, same]) => {
    if (same.length < 2) return [];
    const names = same.map(({ appId }) => `"${id.slice(appId.length + 1)}" of app "${appId}"`);
    return [`${id}: id: more than one function has it: ${names.join(', ')} (FN-8)`];
  });
}

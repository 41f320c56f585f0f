/** Which functions an event starts, and as which runs. Pure: the same event and functions always give the same runs. */
import { compile, type Expression } from '../expr/expression.ts';
import { type Verdict, verdict } from '../expr/results.ts';
import { readsUser as mentionsUser } from '../expr/syntax.ts';
import { type EventView, eventView, failureChain, type StoredEvent } from '../protocol/event.ts';
import type { FunctionConfig } from '../protocol/function.ts';
import { runIdOf, type RunStart } from '../protocol/run.ts';

/** One event trigger of a function. Triggers are alternatives: the filter of one says nothing about another (TR-8). */
interface Listener {
  config: FunctionConfig;
  /** Null: every event of the name. */
  filter: Filter | null;
}

interface Filter {
  /** Null for a text that does not compile, which the registry refuses: nothing matches then (EX-36). */
  expression: Expression | null;
  /** What it needs of the event is sealed until somebody opens it. */
  readsUser: boolean;
}

/** Functions by what they listen to: an event finds its own by lookup, however many there are. */
export interface TriggerIndex {
  exact: Map<string, Listener[]>;
  /** By the text before the `*`, which ends in `/` or `.` (TR-9). */
  prefixes: Map<string, Listener[]>;
  byId: Map<string, FunctionConfig>;
}

/** A filter that could not be decided for an event, and so did not match: for people, without values (EX-77). */
export interface Warning {
  functionId: string;
  /** Internal id. */
  eventId: string;
  message: string;
}

export interface PlanOptions {
  /** The event's `user`, opened; needed where `readsUser` says so. */
  user?: EventView['user'];
  warn?: (warning: Warning) => void;
}

const indexes = new WeakMap<readonly FunctionConfig[], TriggerIndex>();

/** Built once for each list, filters compiled (EX-5); a list is never changed in place. */
export function indexFunctions(functions: readonly FunctionConfig[]): TriggerIndex {
  const known = indexes.get(functions);
  if (known !== undefined) return known;
  const byId = new Map(functions.map((config) => [config.id, config]));
  const index: TriggerIndex = { exact: new Map(), prefixes: new Map(), byId };
  for (const config of functions) {
    for (const trigger of config.triggers) {
      if ('cron' in trigger) continue;
      const { event, expression } = trigger;
      const listener = { config, filter: expression === undefined ? null : compileFilter(expression) };
      if (event.endsWith('*')) add(index.prefixes, event.slice(0, -1), listener);
      else add(index.exact, event, listener);
    }
  }
  indexes.set(functions, index);
  return index;
}

function compileFilter(source: string): Filter {
  const compiled = compile(source, { place: 'event' });
  return compiled.ok
    ? { expression: compiled.expression, readsUser: mentionsUser(compiled.expression.node) }
    : { expression: null, readsUser: false };
}

/**
 * Whether a filter that has to decide about this event reads its `user`, so that it must be opened before `plan` (EX-19). Opening costs
 * time, and fails without the right key: neither may touch events whose functions do not ask.
 */
export function readsUser(index: TriggerIndex, event: StoredEvent): boolean {
  if (event.user === undefined || event.target !== undefined) return false;
  return listeners(index, event.name).some(({ filter }) => filter?.readsUser === true);
}

/** Functions that listen to events of this name; their filters may say otherwise. */
export function mayStart(index: TriggerIndex, name: string): FunctionConfig[] {
  return listeners(index, name).map(({ config }) => config);
}

/** One run for each function with a matching trigger, however many of its triggers match (TR-8). */
export function plan(
  index: TriggerIndex,
  event: StoredEvent,
  now: number,
  options: PlanOptions = {},
): RunStart[] {
  return matching(index, event, options).map((config) => ({
    runId: runIdOf(event, config.id),
    env: event.env,
    functionId: config.id,
    events: [event],
    queuedAt: now,
    startAt: Math.max(now, event.ts),
    ...(event.target?.parent === undefined ? {} : { parent: event.target.parent }),
  }));
}

/** An event that is meant for one function (a cron tick, an invocation) starts that one, whatever anybody's triggers say (IV-19). */
function matching(index: TriggerIndex, event: StoredEvent, options: PlanOptions): FunctionConfig[] {
  if (event.target !== undefined) {
    const target = index.byId.get(event.target.functionId);
    return target === undefined ? [] : [target];
  }
  // OF-13: a function whose own failure led to the event is not started by it.
  const chain = failureChain(event);
  const found = new Set<FunctionConfig>();
  let view: EventView | undefined;
  for (const { config, filter } of listeners(index, event.name)) {
    if (found.has(config) || chain.includes(config.id)) continue;
    const { matched, warning } =
      filter === null
        ? UNFILTERED
        : decide(filter, event, (view ??= { ...eventView(event), user: options.user ?? {} }), options);
    if (matched) found.add(config);
    if (warning !== null) {
      options.warn?.({ functionId: config.id, eventId: event.internalId, message: warning });
    }
  }
  return [...found];
}

const UNFILTERED: Verdict = { matched: true, warning: null };

/** Never guesses: what cannot be decided is no match (EX-36). */
function decide(
  { expression, readsUser: reads }: Filter,
  event: StoredEvent,
  view: EventView,
  { user }: PlanOptions,
): Verdict {
  if (expression === null) return { matched: false, warning: 'the expression does not compile' };
  if (reads && event.user !== undefined && user === undefined) {
    return { matched: false, warning: 'event.user is sealed' };
  }
  // Not the time of this delivery: another one must come to the same result.
  return verdict(expression.evaluate({ event: view }, { now: event.receivedAt }));
}

/**
 * Names match byte for byte (TR-2), wildcards at any depth (TR-9) and with at least one further character (TR-11). A name that
 * starts with `inngest/` has no shorter prefix than that, so no other wildcard reaches a system event (TR-12).
 */
function listeners(index: TriggerIndex, name: string): Listener[] {
  const found = [...(index.exact.get(name) ?? [])];
  if (index.prefixes.size > 0) {
    for (let end = 1; end < name.length; end++) {
      const last = name[end - 1];
      if (last !== '/' && last !== '.') continue;
      found.push(...(index.prefixes.get(name.slice(0, end)) ?? []));
    }
  }
  return found;
}

function add(map: Map<string, Listener[]>, key: string, listener: Listener): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [listener]);
  else list.push(listener);
}

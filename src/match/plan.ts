/** Which functions an event starts, and as which runs. Pure: the same event and functions always give the same run ids. */
import { sha256Bytes } from '../lib/hash.ts';
import { ulid, ulidTime } from '../lib/ulid.ts';
import type { StoredEvent } from '../protocol/event.ts';
import type { FunctionConfig } from '../protocol/function.ts';
import type { RunStart } from '../protocol/run.ts';

/** Functions by what they listen to: an event finds its own by lookup, however many there are. */
export interface TriggerIndex {
  exact: Map<string, FunctionConfig[]>;
  /** By the text before the `*`, which ends in `/` or `.` (TR-9). */
  prefixes: Map<string, FunctionConfig[]>;
}

const indexes = new WeakMap<readonly FunctionConfig[], TriggerIndex>();

/** Built once for each list; a list is never changed in place. */
export function indexFunctions(functions: readonly FunctionConfig[]): TriggerIndex {
  const known = indexes.get(functions);
  if (known !== undefined) return known;
  const index: TriggerIndex = { exact: new Map(), prefixes: new Map() };
  for (const config of functions) {
    for (const { event } of config.triggers) {
      if (event.endsWith('*')) add(index.prefixes, event.slice(0, -1), config);
      else add(index.exact, event, config);
    }
  }
  indexes.set(functions, index);
  return index;
}

/** One run for each function with a matching trigger, however many of its triggers match (TR-8). */
export function plan(index: TriggerIndex, event: StoredEvent, now: number): RunStart[] {
  return matching(index, event.name).map((config) => ({
    runId: runId(event, config.id),
    env: event.env,
    functionId: config.id,
    events: [event],
    queuedAt: now,
    startAt: Math.max(now, event.ts),
  }));
}

/**
 * Names match byte for byte (TR-2), wildcards at any depth (TR-9) and with at least one further character (TR-11). A name that
 * starts with `inngest/` has no shorter prefix than that, so no other wildcard reaches a system event (TR-12).
 */
function matching(index: TriggerIndex, name: string): FunctionConfig[] {
  const found = new Set(index.exact.get(name));
  if (index.prefixes.size > 0) {
    for (let end = 1; end < name.length; end++) {
      const last = name[end - 1];
      if (last !== '/' && last !== '.') continue;
      for (const config of index.prefixes.get(name.slice(0, end)) ?? []) found.add(config);
    }
  }
  return [...found];
}

/**
 * Derived, so that a redelivered event finds its runs there already. Its time is that of the event's internal id: `ts` may be any
 * moment, and differs when a sender repeats a request without one.
 */
function runId({ env, internalId }: StoredEvent, functionId: string): string {
  return ulid(ulidTime(internalId), sha256Bytes(`${env}:${internalId}:${functionId}`).slice(0, 10));
}

function add(map: Map<string, FunctionConfig[]>, key: string, config: FunctionConfig): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [config]);
  else list.push(config);
}

/**
 * What stands between a planned start and its run, in the order of FC-7: a pause, batch or debounce, idempotency or the rate limit, singleton. All
 * of it may be repeated, and is decided as the first time. Of each start that becomes no run, or none of its own, the index keeps a record
 * that says why (FC-10), and whoever invoked it is told (IV-17).
 */
import { due } from '../flow/order.ts';
import { spacing } from '../flow/rate.ts';
import { parseDuration } from '../lib/duration.ts';
import { utf8Length } from '../lib/json.ts';
import type { StoredEvent } from '../protocol/event.ts';
import type { Asks } from '../protocol/flow.ts';
import type { FunctionConfig } from '../protocol/function.ts';
import type { Collectable, Collecting, Entrant, GateOf } from '../protocol/gate.ts';
import { runIdOf, type RunStart, type RunSummary } from '../protocol/run.ts';
import type { Clock, Log, Registry, Runs, StartGates, Store } from '../ports.ts';
import { errorKind } from './delivery.ts';

/** A start that has something to pass before it may be a run. */
export interface Gated {
  run: RunStart;
  asks: Asks;
  /** When it asks for the first time, always the same of one run; in milliseconds since 1970. */
  at: number;
  /** Its function is: nothing of it starts (PA-2), not even of a duplicate (PA-9). */
  isPaused?: true;
}

export interface GateDeps {
  store: Pick<Store, 'claim'>;
  gates: StartGates;
  runs: Pick<Runs, 'answer'>;
  functions: Pick<Registry, 'find'>;
  clock: Clock;
  log: Log;
}

/** What has become of starts. */
export interface Passage {
  /** May be runs now. */
  starts: RunStart[];
  /** Records of those that became none. */
  skipped: RunSummary[];
  /** Those of which it could not be decided, to be repeated: why, by the internal id of their event. */
  failed: Map<string, string>;
}

/** Starts of one function. */
interface Group {
  of: GateOf;
  config: FunctionConfig;
  items: Gated[];
}

interface Stage {
  option: 'idempotency' | 'rateLimit' | 'singleton';
  /** Of those that do not pass. */
  reason: string;
  /** Run ids of those that pass. */
  pass: (
    deps: GateDeps,
    config: FunctionConfig,
    of: GateOf,
    entrants: Entrant[],
  ) => Promise<Iterable<string>>;
}

const STAGES: Stage[] = [
  {
    option: 'idempotency',
    reason: 'duplicate',
    pass: ({ store }, _, of, entrants) => store.claim(entrants.map((entrant) => ({ ...of, ...entrant }))),
  },
  {
    option: 'rateLimit',
    reason: 'rate_limited',
    pass: async ({ gates }, { rateLimit }, of, entrants) => {
      if (rateLimit === undefined) return entrants.map((entrant) => entrant.runId);
      const { limit, period } = rateLimit;
      return gates.rate(of, spacing({ limit, period: milliseconds(period) }), entrants);
    },
  },
  {
    option: 'singleton',
    reason: 'singleton',
    pass: async ({ gates }, { singleton }, of, entrants) =>
      singleton === undefined
        ? entrants.map((entrant) => entrant.runId)
        : gates.single(of, singleton.mode, entrants),
  },
];

export async function passGates(deps: GateDeps, gated: readonly Gated[]): Promise<Passage> {
  const passage: Passage = { starts: [], skipped: [], failed: new Map() };
  const paused = gated.filter((one) => one.isPaused === true);
  await Promise.all(paused.map(({ run }) => skip(deps, passage, run, 'paused')));
  await passOpen(
    deps,
    passage,
    gated.filter((one) => one.isPaused !== true),
  );
  return passage;
}

async function passOpen(deps: GateDeps, passage: Passage, gated: readonly Gated[]): Promise<void> {
  const collected = gated.filter(isCollected);
  await inGroups(deps, passage, collected, (group) => collect(deps, passage, group));
  let left = gated.filter((one) => !isCollected(one));
  for (const stage of STAGES) left = await passStage(deps, passage, stage, left);
  for (const { run, asks } of left) passage.starts.push({ ...run, ...due(asks, run.startAt) });
}

/** Whether there is anything for this to do. */
export function hasGates(asks: Asks): boolean {
  return isCollected({ asks }) || STAGES.some(({ option }) => asks[option] !== undefined);
}

/** Also for a duplicate of the event (ID-7, PA-9). */
export function countsAgain(gated: Pick<Gated, 'asks' | 'isPaused'>): boolean {
  return gated.isPaused === true || isCollected(gated);
}

function isCollected({ asks }: Pick<Gated, 'asks'>): boolean {
  return asks.batch !== undefined || asks.debounce !== undefined;
}

/** Answers those that go on. */
async function passStage(
  deps: GateDeps,
  passage: Passage,
  { option, reason, pass }: Stage,
  gated: readonly Gated[],
): Promise<Gated[]> {
  const asking = gated.filter(({ asks }) => asks[option] !== undefined);
  const left = new Set(gated.filter(({ asks }) => asks[option] === undefined));
  await inGroups(deps, passage, asking, async ({ of, config, items }) => {
    const entrants = items.map(({ run, asks, at }) => ({ key: asks[option] ?? '', runId: run.runId, at }));
    const passed = new Set(await pass(deps, config, of, entrants));
    for (const one of items) {
      if (passed.has(one.run.runId)) left.add(one);
      else await skip(deps, passage, one.run, reason);
    }
  });
  return gated.filter((one) => left.has(one));
}

/** Functions side by side. What goes wrong for one is the failure of its own events. */
async function inGroups(
  deps: GateDeps,
  passage: Passage,
  gated: readonly Gated[],
  work: (group: Group) => Promise<void>,
): Promise<void> {
  const groups = Map.groupBy(gated, ({ run }) => `${run.env} ${run.functionId}`);
  await Promise.all(
    [...groups.values()].map(async (items) => {
      const [{ run }] = items as [Gated];
      const { env, functionId } = run;
      try {
        const found = await deps.functions.find(env, functionId, run.registry);
        if (found === null) throw new Error('the function is gone');
        await work({ of: { env, functionId }, config: found.config, items });
      } catch (error) {
        deps.log.error('dispatch: starts did not pass their gates', {
          functionId,
          starts: items.length,
          error,
        });
        const reason = `gate of ${functionId}: ${errorKind(error)}`;
        for (const one of items) passage.failed.set(firstEvent(one.run).internalId, reason);
      }
    }),
  );
}

/** The run of a batch goes by its first event, that of a debounce by its last: the others are recorded as parts of it. */
async function collect(
  { gates, clock }: GateDeps,
  passage: Passage,
  { of, config, items }: Group,
): Promise<void> {
  const policy = collectingOf(config);
  if (policy === null) throw new Error('the function collects nothing');
  const how = policy.by === 'batch' ? 'batched' : 'debounced';
  for (const { runId: into, absorbed } of await gates.collect(of, policy, items.map(collectable))) {
    if (absorbed === null) continue;
    const own = runIdOf({ env: of.env, internalId: absorbed }, of.functionId);
    const now = clock.now();
    passage.skipped.push(
      recordOf({ ...of, runId: own, eventId: absorbed, queuedAt: now }, `${how} into ${into}`, now),
    );
  }
}

function collectingOf({ batchEvents, debounce }: FunctionConfig): Collecting | null {
  if (batchEvents !== undefined)
    return { by: 'batch', maxSize: batchEvents.maxSize, timeout: milliseconds(batchEvents.timeout) };
  if (debounce === undefined) return null;
  const { period, timeout } = debounce;
  return {
    by: 'debounce',
    period: milliseconds(period),
    timeout: timeout === undefined ? null : milliseconds(timeout),
  };
}

function collectable({ run, asks: { batch, debounce, ...asks } }: Gated): Collectable {
  const event = firstEvent(run);
  const { internalId: eventId, receivedAt } = event;
  return {
    key: batch ?? debounce ?? '',
    eventId,
    receivedAt,
    bytes: utf8Length(JSON.stringify(event)),
    asks,
  };
}

/** Who invoked it is told first: as long as nobody was, this start fails, and is repeated. */
async function skip(
  { runs, clock, log }: GateDeps,
  passage: Passage,
  run: RunStart,
  reason: string,
): Promise<void> {
  const { env, functionId, queuedAt, parent } = run;
  const eventId = firstEvent(run).internalId;
  try {
    const what = reason === 'paused' ? 'is paused' : `was skipped: ${reason}`;
    const message = `the invoked function "${functionId}" ${what}`;
    const data = JSON.stringify({ name: 'NonRetriableError', message });
    if (parent !== undefined) await runs.answer(parent.runId, parent.key, { ok: false, data });
  } catch (error) {
    log.error('dispatch: who invoked a function was not told that it was skipped', { functionId, error });
    passage.failed.set(eventId, `answer: ${errorKind(error)}`);
    return;
  }
  passage.skipped.push(
    recordOf({ runId: run.runId, env, functionId, eventId, queuedAt }, reason, clock.now()),
  );
}

/** Of a start that became no run. */
export function recordOf(
  start: Pick<RunSummary, 'runId' | 'env' | 'functionId' | 'eventId' | 'queuedAt'>,
  reason: string,
  now: number,
): RunSummary {
  return { ...start, status: 'Skipped', endedAt: now, output: 'null', reason };
}

function firstEvent({ events }: RunStart): StoredEvent {
  return (events as [StoredEvent])[0];
}

/** Of a text that was checked. */
function milliseconds(text: string): number {
  return parseDuration(text) ?? 0;
}

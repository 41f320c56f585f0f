/** What the queries and mutations of the GraphQL API answer (wire 9.9). */
import { GraphQLError } from 'graphql';
import { unseal } from '../../keys/unseal.ts';
import { isObject, type JsonObject } from '../../lib/json.ts';
import { isUlid } from '../../lib/ulid.ts';
import { eventView, TIMER, type StoredEvent } from '../../protocol/event.ts';
import type { RunStatus, RunTrace } from '../../protocol/run.ts';
import { appUuid, functionUuid } from '../../protocol/uuids.ts';
import type { EventQuery, EventRecord, RegisteredFunction, RunQuery, RunRecord } from '../../ports.ts';
import { rfc3339 } from '../answer.ts';
import type { ApiContext, ApiDeps } from '../deps.ts';
import { invoke } from '../invoke.ts';
import { instant, MAX_LIMIT } from '../query.ts';
import { recordedOutput } from '../recorded.ts';
import { graphStatus, outputOfSpan, readOutputId, rootSpan, traceId, upperCase } from './trace.ts';

/** Runs that are looked up for the events of one page. */
const RUNS_OF_EVENTS = 1_000;

export interface Scope {
  deps: ApiDeps;
  c: ApiContext;
}

/** Resolvers by the names of the fields of `Query` and `Mutation`. */
export const root = {
  run: ({ runID }: { runID: string }, scope: Scope) => findRun(scope, runID),
  functionRun: ({ query }: { query: { functionRunId: string } }, scope: Scope) =>
    findRun(scope, query.functionRunId),
  runTrigger,
  runTraceSpanOutputByID: spanOutput,
  runs,
  event: async ({ query }: { query: { eventId: string } }, scope: Scope) =>
    first(await withRuns(scope, [await findEvent(scope, query.eventId)])),
  events: async (_: object, scope: Scope) => withRuns(scope, await recentEvents(scope, { limit: MAX_LIMIT })),
  eventV2: async ({ id }: { id: string }, scope: Scope) =>
    first(await withRuns(scope, [await findEvent(scope, id)])),
  eventsV2,
  stream,
  functions: async (_: object, { deps, c }: Scope) =>
    (await deps.functions.list(c.get('env'))).map((fn) => functionNode(c.get('env'), fn)),
  cancelRun: cancel,
  invokeFunction,
};

function first<Item>([item]: Item[]): Item | undefined {
  return item;
}

async function readTrace({ deps, c }: Scope, runId: string): Promise<RunTrace | null> {
  if (!isUlid(runId)) throw new GraphQLError('invalid run ID');
  const trace = await deps.runs.trace(runId);
  return trace?.env === c.get('env') ? trace : null;
}

async function findRun(scope: Scope, runId: string) {
  const trace = await readTrace(scope, runId);
  if (trace !== null) return liveRun(scope, trace);
  const record = await scope.deps.store.findRun(scope.c.get('env'), runId);
  if (record === null) throw new GraphQLError('run not found');
  return recordedRun(scope, record);
}

interface RunFacts {
  runId: string;
  functionId: string;
  queuedAt: number;
  endedAt: number | null;
  eventIds: string[];
}

function runNode(scope: Scope, { runId, functionId, queuedAt, endedAt, eventIds }: RunFacts) {
  const env = scope.c.get('env');
  return {
    id: runId,
    functionID: functionUuid(env, functionId),
    function: async () => {
      const fn = await scope.deps.functions.find(env, functionId);
      return fn === null ? unknownFunction(env, functionId) : functionNode(env, fn);
    },
    traceID: traceId(runId),
    queuedAt: rfc3339(queuedAt),
    endedAt: time(endedAt),
    finishedAt: time(endedAt),
    triggerIDs: eventIds,
    eventName: async () => (await scope.deps.store.loadEvents(eventIds.slice(0, 1)))[0]?.name ?? null,
    isBatch: eventIds.length > 1,
    batchCreatedAt: null,
    cronSchedule: async () => cronOf((await scope.deps.store.loadEvents(eventIds.slice(0, 1)))[0]),
  };
}

function liveRun(scope: Scope, trace: RunTrace) {
  const isOver = trace.endedAt !== null;
  return {
    ...runNode(scope, trace),
    startedAt: time(trace.startedAt),
    status: graphStatus(trace),
    output: isOver ? JSON.stringify(trace.output) : null,
    trace: () => rootSpan(trace),
  };
}

function recordedRun(scope: Scope, record: RunRecord) {
  return {
    ...runNode(scope, { ...record, eventIds: [record.eventId] }),
    startedAt: rfc3339(record.queuedAt),
    status: upperCase(record.status),
    output: async () =>
      record.endedAt === null ? null : JSON.stringify(await recordedOutput(scope.deps, record)),
    trace: async () => {
      const trace = await readTrace(scope, record.runId);
      return trace === null ? null : rootSpan(trace);
    },
  };
}

async function runTrigger({ runID }: { runID: string }, scope: Scope) {
  const { deps, c } = scope;
  const trace = await readTrace(scope, runID);
  const record = trace ?? (await deps.store.findRun(c.get('env'), runID));
  if (record === null) throw new GraphQLError('run not found');
  const ids = 'eventIds' in record ? record.eventIds : [record.eventId];
  const events = await deps.store.loadEvents(ids);
  const cron = cronOf(events[0]);
  return {
    eventName: cron === null ? (events[0]?.name ?? null) : null,
    IDs: ids,
    payloads: await Promise.all(events.map((event) => rawEvent(scope, event))),
    timestamp: rfc3339(events[0]?.receivedAt ?? record.queuedAt),
    isBatch: ids.length > 1,
    batchID: null,
    cron,
  };
}

async function spanOutput({ outputID }: { outputID: string }, scope: Scope) {
  const read = readOutputId(outputID);
  const trace = read === null ? null : await readTrace(scope, read.runId);
  const output = read === null || trace === null ? null : outputOfSpan(trace, read.stepId, read.attempt);
  if (output === null) throw new GraphQLError('output not found');
  return output;
}

interface RunsArguments {
  first: number;
  after?: string | null;
  filter: {
    from: string;
    until?: string | null;
    timeField?: string | null;
    status?: string[] | null;
    functionIDs?: string[] | null;
    appIDs?: string[] | null;
    query?: string | null;
  };
}

async function runs({ first: wanted, after, filter }: RunsArguments, scope: Scope) {
  const { deps, c } = scope;
  refuseQuery(filter.query);
  const limit = pageSize(wanted);
  const functionIds = await chosenFunctions(scope, filter.functionIDs, filter.appIDs);
  const query: RunQuery = {
    env: c.get('env'),
    from: instantOf(filter.from, 'from'),
    ...(filter.until == null ? {} : { until: instantOf(filter.until, 'until') }),
    time: filter.timeField === 'ENDED_AT' ? 'endedAt' : 'queuedAt',
    ...(functionIds === null ? {} : { functionIds }),
    ...(filter.status == null || filter.status.length === 0 ? {} : { statuses: statusesOf(filter.status) }),
    ...(after == null ? {} : { cursor: cursorOf(after) }),
    limit: limit + 1,
  };
  const found = await deps.store.listRuns(query);
  return page(found, limit, after, (record) => ({
    cursor: record.runId,
    node: recordedRun(scope, record),
  }));
}

/** What is queued cannot be told from what runs in the index. */
function statusesOf(statuses: readonly string[]): RunStatus[] {
  const all = ['Running', 'Completed', 'Failed', 'Cancelled', 'Skipped'] as const;
  const wanted = new Set(statuses.map((status) => (status === 'QUEUED' ? 'RUNNING' : status)));
  return all.filter((status) => wanted.has(upperCase(status)));
}

async function chosenFunctions(
  { deps, c }: Scope,
  functionIds: string[] | null | undefined,
  appIds: string[] | null | undefined,
): Promise<string[] | null> {
  if (!functionIds?.length && !appIds?.length) return null;
  const env = c.get('env');
  const all = await deps.functions.list(env);
  return all
    .filter((fn) => allows(functionIds, fn.uuid) && allows(appIds, functionNode(env, fn).app.id))
    .map(({ config }) => config.id);
}

/** An empty list is none. */
function allows(list: string[] | null | undefined, id: string): boolean {
  return !list?.length || list.includes(id);
}

interface EventsArguments {
  first: number;
  after?: string | null;
  filter: {
    from: string;
    until?: string | null;
    eventNames?: string[] | null;
    includeInternalEvents?: boolean | null;
    query?: string | null;
  };
}

async function eventsV2({ first: wanted, after, filter }: EventsArguments, scope: Scope) {
  refuseQuery(filter.query);
  const limit = pageSize(wanted);
  const names = filter.eventNames ?? [];
  if (names.length > 1) throw new GraphQLError('filter.eventNames: expected at most one name');
  const found = await recentEvents(scope, {
    limit: limit + 1,
    receivedAfter: instantOf(filter.from, 'from') - 1,
    ...(filter.until == null ? {} : { receivedBefore: instantOf(filter.until, 'until') }),
    ...(names[0] === undefined ? {} : { name: names[0] }),
    ...(after == null ? {} : { cursor: cursorOf(after) }),
    isInternalLeftOut: filter.includeInternalEvents !== true && names.length === 0,
  });
  const nodes = await withRuns(scope, found);
  return page(nodes, limit, after, (node) => ({ cursor: node.id, node }));
}

interface StreamArguments {
  query: { limit: number; before?: string | null; includeInternalEvents?: boolean | null };
}

async function stream({ query }: StreamArguments, scope: Scope) {
  const events = await recentEvents(scope, {
    limit: Math.min(Math.max(query.limit, 1), MAX_LIMIT),
    ...(query.before == null ? {} : { cursor: cursorOf(query.before) }),
    isInternalLeftOut: query.includeInternalEvents !== true,
  });
  const nodes = await withRuns(scope, events);
  return nodes.map((node, n) => {
    const event = events[n]?.event;
    return { ...node, trigger: cronOf(event) ?? node.name, runs: node.functionRuns };
  });
}

type Recent = Omit<EventQuery, 'env' | 'receivedAfter'> & Partial<Pick<EventQuery, 'receivedAfter'>>;

/** Newest first. */
async function recentEvents({ deps, c }: Scope, query: Recent): Promise<EventRecord[]> {
  return deps.store.listEvents({ env: c.get('env'), receivedAfter: 0, ...query });
}

async function findEvent({ deps, c }: Scope, id: string): Promise<EventRecord> {
  const record = isUlid(id) ? await deps.store.findEvent(c.get('env'), id) : null;
  if (record === null) throw new GraphQLError('event not found');
  return record;
}

/** Their runs come with one request for all of them. */
async function withRuns(scope: Scope, records: readonly EventRecord[]) {
  const { deps, c } = scope;
  const ids = records.map(({ event }) => event.internalId);
  const found =
    ids.length === 0
      ? []
      : await deps.store.listRuns({
          env: c.get('env'),
          eventIds: ids,
          time: 'queuedAt',
          from: 0,
          limit: RUNS_OF_EVENTS,
        });
  const byEvent = Map.groupBy(found, ({ eventId }) => eventId);
  return records.map(({ event }) => {
    const own = (byEvent.get(event.internalId) ?? []).map((record) => recordedRun(scope, record));
    return eventNode(scope, event, own);
  });
}

function eventNode<Run>(scope: Scope, event: StoredEvent, own: Run[]) {
  return {
    id: event.internalId,
    externalID: event.id ?? event.internalId,
    idempotencyKey: event.id ?? event.internalId,
    name: event.name,
    payload: JSON.stringify(event.data),
    raw: () => rawEvent(scope, event),
    version: event.v ?? null,
    createdAt: rfc3339(event.receivedAt),
    receivedAt: rfc3339(event.receivedAt),
    occurredAt: rfc3339(event.ts),
    functionRuns: own,
    runs: own,
  };
}

/** A seal that cannot be opened hides what it seals and nothing else. */
async function rawEvent({ deps, c }: Scope, event: StoredEvent): Promise<string> {
  const view = eventView(event);
  try {
    return JSON.stringify(await unseal(view, deps.seal, c.get('env')));
  } catch (error) {
    const { internalId } = event;
    deps.log.error('api: the user of an event could not be opened', { internalId, error });
    return JSON.stringify({ ...view, user: {} });
  }
}

async function cancel({ runID }: { runID: string }, scope: Scope) {
  if (!isUlid(runID)) throw new GraphQLError('invalid run ID');
  const result = await scope.deps.cancelRun(scope.c.get('env'), runID);
  if (result === 'unknown') throw new GraphQLError('run not found');
  if (result === 'ended') throw new GraphQLError('run has ended');
  return findRun(scope, runID);
}

interface InvokeArguments {
  functionSlug: string;
  data?: unknown;
  user?: unknown;
}

async function invokeFunction({ functionSlug, data, user }: InvokeArguments, { deps, c }: Scope) {
  if ((data != null && !isObject(data)) || (user != null && !isObject(user)))
    throw new GraphQLError('data, user: expected an object');
  if ((await deps.functions.find(c.get('env'), functionSlug)) === null)
    throw new GraphQLError('function not found');
  const payload = { data: (data ?? {}) as JsonObject, user: (user ?? {}) as JsonObject };
  await invoke(deps, c, { functionId: functionSlug, ...payload });
  return true;
}

function functionNode(env: string, { config, uuid, app }: RegisteredFunction) {
  const { id: slug, name } = config;
  // An embedded function does not say where its app's id ends.
  const appId = app?.id ?? slug.slice(0, Math.max(slug.indexOf('-'), 0));
  return {
    id: uuid,
    name,
    slug,
    app: { id: app?.uuid ?? appUuid(env, appId), externalID: appId, name: appId },
  };
}

function unknownFunction(env: string, slug: string) {
  const app = { id: appUuid(env, ''), externalID: '', name: '' };
  return { id: functionUuid(env, slug), name: slug, slug, app };
}

function cronOf(event: StoredEvent | undefined): string | null {
  const cron = event?.name === TIMER ? event.data['cron'] : null;
  return typeof cron === 'string' ? cron : null;
}

function page<Item, Edge extends { cursor: string }>(
  found: Item[],
  limit: number,
  after: string | null | undefined,
  edge: (item: Item) => Edge,
) {
  const edges = found.slice(0, limit).map(edge);
  return {
    edges,
    pageInfo: {
      hasNextPage: found.length > limit,
      hasPreviousPage: after != null,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
    /** Of the page: counting all of them would read all of them. */
    totalCount: found.length,
  };
}

function pageSize(wanted: number): number {
  if (wanted < 1 || wanted > MAX_LIMIT) throw new GraphQLError(`first: expected 1 to ${MAX_LIMIT}`);
  return wanted;
}

function cursorOf(text: string): string {
  if (!isUlid(text)) throw new GraphQLError('after: expected a cursor');
  return text;
}

function instantOf(text: string, field: string): number {
  const ms = instant(text);
  if (ms === null) throw new GraphQLError(`filter.${field}: expected an RFC 3339 time`);
  return ms;
}

function refuseQuery(query: string | null | undefined): void {
  if (query != null && query !== '') throw new GraphQLError('filter.query: not supported');
}

function time(ms: number | null): string | null {
  return ms === null ? null : rfc3339(ms);
}

/**
 * The part of the protocol's GraphQL schema that clients are known to use (wire 9.9), under the same names. Made of objects and not of a
 * text: what reads the text would be as large as what reads queries.
 */
import {
  GraphQLBoolean,
  GraphQLEnumType,
  GraphQLID,
  GraphQLInputObjectType,
  GraphQLInt,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLScalarType,
  GraphQLSchema,
  GraphQLString,
  GraphQLUnionType,
  type GraphQLFieldConfig,
  type GraphQLInputFieldConfig,
  type GraphQLInputType,
  type GraphQLNullableType,
  type GraphQLOutputType,
  type GraphQLType,
} from 'graphql';

type Fields = Record<string, GraphQLOutputType | GraphQLFieldConfig<unknown, unknown>>;

/** @param fields a function where the type has itself among them. */
function object(name: string, fields: Fields | (() => Fields)): GraphQLObjectType {
  const read = typeof fields === 'function' ? fields : () => fields;
  return new GraphQLObjectType({ name, fields: () => configs<GraphQLFieldConfig<unknown, unknown>>(read()) });
}

function input(name: string, fields: Record<string, GraphQLInputType | GraphQLInputFieldConfig>) {
  return new GraphQLInputObjectType({ name, fields: configs<GraphQLInputFieldConfig>(fields) });
}

/** A field that is only a type may be written as that. */
function configs<Config extends object & { type: object }>(
  fields: Record<string, Config['type'] | Config>,
): Record<string, Config> {
  const config = (field: Config['type'] | Config) =>
    (Object.hasOwn(field, 'type') ? field : { type: field }) as Config;
  return Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, config(field)]));
}

function orElse(type: GraphQLInputType, value: unknown): GraphQLInputFieldConfig {
  return { type, default: { value } };
}

function choice(name: string, values: string[]): GraphQLEnumType {
  return new GraphQLEnumType({ name, values: Object.fromEntries(values.map((value) => [value, {}])) });
}

function some<Type extends GraphQLNullableType>(type: Type): GraphQLNonNull<Type> {
  return new GraphQLNonNull(type);
}

function list<Type extends GraphQLType>(type: Type): GraphQLList<Type> {
  return new GraphQLList(type);
}

const time = new GraphQLScalarType({ name: 'Time' });
const ulid = new GraphQLScalarType({ name: 'ULID' });
const uuid = new GraphQLScalarType({ name: 'UUID' });
const anything = new GraphQLScalarType({ name: 'Map' });
const runsV2OrderByField = choice('RunsV2OrderByField', ['QUEUED_AT', 'STARTED_AT', 'ENDED_AT']);
const runsOrderByDirection = choice('RunsOrderByDirection', ['ASC', 'DESC']);
const functionRunStatus = choice('FunctionRunStatus', [
  'COMPLETED',
  'FAILED',
  'CANCELLED',
  'RUNNING',
  'QUEUED',
  'SKIPPED',
]);
const runTraceSpanStatus = choice('RunTraceSpanStatus', [
  'FAILED',
  'QUEUED',
  'RUNNING',
  'COMPLETED',
  'WAITING',
  'CANCELLED',
  'SKIPPED',
]);
const stepOp = choice('StepOp', [
  'INVOKE',
  'RUN',
  'SLEEP',
  'WAIT_FOR_EVENT',
  'WAIT_FOR_SIGNAL',
  'AI_GATEWAY',
]);

const functionRunQuery = input('FunctionRunQuery', { functionRunId: some(GraphQLID) });

const eventQuery = input('EventQuery', { eventId: some(GraphQLID) });

const eventsQuery = input('EventsQuery', { lastEventId: GraphQLID });

const streamQuery = input('StreamQuery', {
  limit: orElse(some(GraphQLInt), 40),
  after: GraphQLID,
  before: GraphQLID,
  includeInternalEvents: orElse(GraphQLBoolean, false),
});

const eventsFilter = input('EventsFilter', {
  from: some(time),
  until: time,
  eventNames: list(some(GraphQLString)),
  includeInternalEvents: orElse(GraphQLBoolean, false),
  query: GraphQLString,
});

const runsFilterV2 = input('RunsFilterV2', {
  from: some(time),
  until: time,
  timeField: runsV2OrderByField,
  status: list(some(functionRunStatus)),
  functionIDs: list(some(uuid)),
  appIDs: list(some(uuid)),
  query: GraphQLString,
});

const runsV2OrderBy = input('RunsV2OrderBy', {
  field: some(runsV2OrderByField),
  direction: some(runsOrderByDirection),
});

const app = object('App', {
  id: some(GraphQLID),
  externalID: some(GraphQLString),
  name: some(GraphQLString),
});

const fn = object('Function', {
  id: some(GraphQLString),
  name: some(GraphQLString),
  slug: some(GraphQLString),
  app: some(app),
});

const pageInfo = object('PageInfo', {
  hasNextPage: some(GraphQLBoolean),
  hasPreviousPage: some(GraphQLBoolean),
  startCursor: GraphQLString,
  endCursor: GraphQLString,
});

const functionRun = object('FunctionRun', {
  id: some(GraphQLID),
  status: some(functionRunStatus),
  output: GraphQLString,
  startedAt: time,
  finishedAt: time,
  function: fn,
});

const runTraceTrigger = object('RunTraceTrigger', {
  eventName: GraphQLString,
  IDs: some(list(some(ulid))),
  payloads: some(list(some(GraphQLString))),
  timestamp: some(time),
  isBatch: some(GraphQLBoolean),
  batchID: ulid,
  cron: GraphQLString,
});

const spanMetadata = object('SpanMetadata', {
  scope: some(GraphQLString),
  kind: some(GraphQLString),
  values: some(anything),
  updatedAt: some(time),
});

const invokeStepInfo = object('InvokeStepInfo', {
  triggeringEventID: ulid,
  functionID: some(GraphQLString),
  timeout: time,
  returnEventID: ulid,
  runID: ulid,
  timedOut: GraphQLBoolean,
});

const sleepStepInfo = object('SleepStepInfo', { sleepUntil: some(time) });

const waitForEventStepInfo = object('WaitForEventStepInfo', {
  eventName: some(GraphQLString),
  expression: GraphQLString,
  timeout: time,
  foundEventID: ulid,
  timedOut: GraphQLBoolean,
});

const waitForSignalStepInfo = object('WaitForSignalStepInfo', {
  signal: some(GraphQLString),
  timeout: time,
  timedOut: GraphQLBoolean,
});

const runStepInfo = object('RunStepInfo', { type: GraphQLString });

const stepInfo = new GraphQLUnionType({
  name: 'StepInfo',
  types: [invokeStepInfo, sleepStepInfo, waitForEventStepInfo, waitForSignalStepInfo, runStepInfo],
});

const runTraceSpan: GraphQLObjectType = object('RunTraceSpan', () => ({
  runID: some(ulid),
  traceID: some(GraphQLString),
  spanID: some(GraphQLString),
  parentSpanID: GraphQLString,
  name: some(GraphQLString),
  status: some(runTraceSpanStatus),
  attempts: GraphQLInt,
  isRoot: some(GraphQLBoolean),
  stepID: GraphQLString,
  stepType: some(GraphQLString),
  stepOp,
  stepInfo,
  queuedAt: some(time),
  startedAt: time,
  endedAt: time,
  duration: GraphQLInt,
  outputID: GraphQLString,
  childrenSpans: some(list(some(runTraceSpan))),
  metadata: some(list(some(spanMetadata))),
}));

const functionRunV2 = object('FunctionRunV2', {
  id: some(ulid),
  functionID: some(uuid),
  function: some(fn),
  traceID: some(GraphQLString),
  queuedAt: some(time),
  startedAt: time,
  endedAt: time,
  status: some(functionRunStatus),
  output: GraphQLString,
  eventName: GraphQLString,
  triggerIDs: some(list(some(ulid))),
  isBatch: some(GraphQLBoolean),
  batchCreatedAt: time,
  cronSchedule: GraphQLString,
  trace: { type: runTraceSpan, args: { preview: { type: GraphQLBoolean } } },
});

const mutation = object('Mutation', {
  cancelRun: { type: some(functionRunV2), args: { runID: { type: some(ulid) } } },
  invokeFunction: {
    type: some(GraphQLBoolean),
    args: { data: { type: anything }, functionSlug: { type: some(GraphQLString) }, user: { type: anything } },
  },
});

const functionRunV2Edge = object('FunctionRunV2Edge', {
  node: some(functionRunV2),
  cursor: some(GraphQLString),
});

const runsV2Connection = object('RunsV2Connection', {
  edges: some(list(some(functionRunV2Edge))),
  pageInfo: some(pageInfo),
  totalCount: { type: some(GraphQLInt), args: { preview: { type: GraphQLBoolean } } },
});

const stepError = object('StepError', {
  message: some(GraphQLString),
  name: GraphQLString,
  stack: GraphQLString,
  cause: anything,
});

const runTraceSpanOutput = object('RunTraceSpanOutput', {
  input: GraphQLString,
  data: GraphQLString,
  error: stepError,
});

const event = object('Event', {
  id: some(GraphQLID),
  externalID: GraphQLString,
  name: GraphQLString,
  payload: GraphQLString,
  createdAt: time,
  functionRuns: list(some(functionRun)),
});

const eventV2 = object('EventV2', {
  id: some(ulid),
  idempotencyKey: GraphQLString,
  name: some(GraphQLString),
  occurredAt: some(time),
  receivedAt: some(time),
  raw: some(GraphQLString),
  version: GraphQLString,
  runs: some(list(some(functionRunV2))),
});

const eventV2Edge = object('EventV2Edge', { node: some(eventV2), cursor: some(GraphQLString) });

const eventsConnection = object('EventsConnection', {
  edges: some(list(some(eventV2Edge))),
  pageInfo: some(pageInfo),
  totalCount: some(GraphQLInt),
});

const streamItem = object('StreamItem', {
  id: some(GraphQLID),
  trigger: some(GraphQLString),
  createdAt: some(time),
  runs: list(some(functionRun)),
});

const query = object('Query', {
  run: { type: functionRunV2, args: { runID: { type: some(GraphQLString) } } },
  functionRun: { type: functionRun, args: { query: { type: some(functionRunQuery) } } },
  runTrigger: { type: some(runTraceTrigger), args: { runID: { type: some(GraphQLString) } } },
  runTraceSpanOutputByID: {
    type: some(runTraceSpanOutput),
    args: { outputID: { type: some(GraphQLString) } },
  },
  runs: {
    type: some(runsV2Connection),
    args: {
      first: orElse(some(GraphQLInt), 40),
      after: { type: GraphQLString },
      filter: { type: some(runsFilterV2) },
      orderBy: orElse(some(list(some(runsV2OrderBy))), []),
      preview: { type: GraphQLBoolean },
    },
  },
  event: { type: event, args: { query: { type: some(eventQuery) } } },
  events: { type: list(some(event)), args: { query: { type: some(eventsQuery) } } },
  eventV2: { type: some(eventV2), args: { id: { type: some(ulid) } } },
  eventsV2: {
    type: some(eventsConnection),
    args: {
      first: orElse(some(GraphQLInt), 50),
      after: { type: GraphQLString },
      filter: { type: some(eventsFilter) },
    },
  },
  stream: { type: some(list(some(streamItem))), args: { query: { type: some(streamQuery) } } },
  functions: list(some(fn)),
});

export const schema = new GraphQLSchema({ query, mutation });

/** The operations of the SDKs' own tests, as they send them (wire 9.9). */
import { describe, expect, test } from 'vitest';
import type { RunTrace, StepTrace } from '../../src/protocol/run.ts';
import { functionUuid } from '../../src/protocol/uuids.ts';
import { closeRuns } from '../contracts/stored.ts';
import { idAt, NOW, stored } from '../ingest/world.ts';
import { apiWorld, AUTH, type Answer, view } from './world.ts';

const iso = (ms: number): string => new Date(ms).toISOString();
const RUN = idAt(7);

function step(name: string, change: Partial<StepTrace> = {}): StepTrace {
  const rest = { late: 0, failures: [], waiting: null, input: null, output: null, error: null };
  return {
    id: `hash of ${name}`,
    name,
    op: 'StepRun',
    tool: null,
    status: 'Completed',
    attempts: 1,
    startedAt: NOW + 2,
    endedAt: NOW + 3,
    ...rest,
    ...change,
  };
}

const ENDED: RunTrace = {
  ...view(RUN, { status: 'Completed', endedAt: NOW + 9, output: { ok: true } }),
  failures: [],
  waiting: [],
  steps: [
    step('first', { output: [1] }),
    step('second', {
      status: 'Failed',
      attempts: 2,
      failures: [
        { attempt: 0, at: NOW + 3, error: { name: 'TypeError', message: 'no' } },
        { attempt: 1, at: NOW + 4, error: { name: 'Error', message: 'never' } },
      ],
      error: { name: 'Error', message: 'never', cause: { name: 'Why', message: 'because' } },
    }),
    step('nap', { op: 'Sleep' }),
    step('wait', { op: 'WaitForEvent', output: { name: 'a/c', data: {}, id: 'x', ts: 1 } }),
    step('call', { op: 'InvokeFunction' }),
  ],
};

function world() {
  const w = apiWorld();
  const post = async (body: unknown, headers: Record<string, string> = AUTH) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await w.call('POST', '/v0/gql', { headers, body: text });
    return { status: response.status, body: (await response.json()) as Answer };
  };
  /** The data of an operation without errors. */
  const ask = async (query: string, variables: object = {}): Promise<Answer> => {
    const { body } = await post({ query, variables });
    expect(body.errors).toBeUndefined();
    return body.data;
  };
  const problem = async (query: string, variables: object = {}): Promise<string> =>
    (await post({ query, variables })).body.errors[0].message;
  return { ...w, post, ask, problem };
}

/** One run that has ended, of one event. */
async function ended() {
  const w = world();
  await w.store.insertEvents([stored(idAt(1), { id: 'mine', data: { n: 1 } })], NOW);
  w.runs.traces.set(RUN, ENDED);
  const ids = { runId: RUN, env: 'production', functionId: 'app-f', eventId: idAt(1) };
  await closeRuns(w.store, [
    { ...ids, status: 'Completed', queuedAt: NOW, endedAt: NOW + 9, output: '{"ok":true}' },
  ]);
  return w;
}

describe('set A, of the Python SDK', () => {
  test('a run and what started it', async () => {
    const w = await ended();
    const data = await w.ask(
      'query GetRun($run_id: String!) { run(runID: $run_id) { output status } runTrigger(runID: $run_id) { payloads } }',
      { run_id: RUN },
    );
    expect(data.run).toEqual({ output: '{"ok":true}', status: 'COMPLETED' });
    expect(JSON.parse(data.runTrigger.payloads[0])).toEqual({
      name: 'a/b',
      data: { n: 1 },
      id: 'mine',
      ts: NOW,
      user: {},
    });
  });

  test('its steps, and what each has put out, the code after the last one too (RN-10)', async () => {
    const w = await ended();
    const { run } = await w.ask(
      'query GetHistory($run_id: String!) { run(runID: $run_id) { trace { childrenSpans { name outputID } } } }',
      { run_id: RUN },
    );
    const spans: { name: string; outputID: string }[] = run.trace.childrenSpans;
    expect(spans.map(({ name }) => name)).toEqual(['first', 'second', 'nap', 'wait', 'call', 'Finalization']);
    const output = async (name: string) => {
      const id = spans.find((span) => span.name === name)?.outputID;
      const found = await w.ask(
        `query GetHistory($output_id: String!) {
          runTraceSpanOutputByID(outputID: $output_id) { data error { message name stack cause } }
        }`,
        { output_id: id },
      );
      return found.runTraceSpanOutputByID;
    };
    expect(await output('first')).toEqual({ data: '[1]', error: null });
    expect(await output('nap')).toEqual({ data: 'null', error: null });
    expect(await output('Finalization')).toEqual({ data: '{"ok":true}', error: null });
    expect(await output('second')).toEqual({
      data: null,
      error: { name: 'Error', message: 'never', stack: null, cause: { name: 'Why', message: 'because' } },
    });
  });

  test('the runs of an event', async () => {
    const w = await ended();
    const query =
      'query GetRunFromEventID($event_id: ID!) { event(query: {eventId: $event_id}) { functionRuns { id } } }';
    expect((await w.ask(query, { event_id: idAt(1) })).event.functionRuns).toEqual([{ id: RUN }]);
  });
});

describe('set B, of the test harness', () => {
  test('the trace tells that a run is over, and how it failed', async () => {
    const w = world();
    const query =
      'query ($runId: String!) { run(runID: $runId) { status trace(preview: true) { status outputID } } }';
    w.runs.traces.set(RUN, { ...ENDED, ...view(RUN, { startedAt: null }), steps: [] });
    expect((await w.ask(query, { runId: RUN })).run).toEqual({
      status: 'QUEUED',
      trace: { status: 'QUEUED', outputID: null },
    });
    w.runs.traces.set(RUN, { ...ENDED, status: 'Failed', output: { name: 'Error', message: 'boom' } });
    const { run } = await w.ask(query, { runId: RUN });
    expect(run).toMatchObject({ status: 'FAILED', trace: { status: 'FAILED' } });
    const output = await w.ask(
      'query ($traceID: String!) { runTraceSpanOutputByID(outputID: $traceID) { data error { message name } } }',
      { traceID: run.trace.outputID },
    );
    expect(output.runTraceSpanOutputByID).toEqual({ data: null, error: { message: 'boom', name: 'Error' } });
  });

  test('spans with their metadata, by a fragment', async () => {
    const w = await ended();
    const { run } = await w.ask(
      `query ($runId: String!) {
        run(runID: $runId) { trace(preview: true) { ...TraceMetadataFields childrenSpans { ...TraceMetadataFields } } }
      }
      fragment TraceMetadataFields on RunTraceSpan {
        name stepID spanID metadata { scope kind values updatedAt }
      }`,
      { runId: RUN },
    );
    expect(run.trace).toMatchObject({ name: 'Run', stepID: null, metadata: [] });
    expect(run.trace.childrenSpans[0]).toMatchObject({ name: 'first', stepID: 'hash of first' });
  });

  test('an event as it is', async () => {
    const w = await ended();
    const query = 'query Event($id: ULID!) { eventV2(id: $id) { idempotencyKey name raw } }';
    const { eventV2 } = await w.ask(query, { id: idAt(1) });
    expect(eventV2).toMatchObject({ idempotencyKey: 'mine', name: 'a/b' });
    expect(JSON.parse(eventV2.raw)).toMatchObject({ id: 'mine', data: { n: 1 }, user: {} });
  });
});

describe('set C, of the TypeScript SDK', () => {
  test('events and the stream of what they started', async () => {
    const w = await ended();
    await w.store.insertEvents(
      [
        stored(idAt(2), { name: 'inngest/function.failed' }),
        stored(idAt(3), { name: 'inngest/scheduled.timer', data: { cron: '* * * * *' } }),
      ],
      NOW,
    );
    const { events } = await w.ask(
      'query Events($query: EventsQuery!) { events(query: $query) { id name payload } }',
      {
        query: {},
      },
    );
    expect(events.at(-1)).toEqual({ id: idAt(1), name: 'a/b', payload: '{"n":1}' });
    const { stream } = await w.ask(
      'query GetEventStream { stream(query: {limit: 999, includeInternalEvents: false}) { id trigger runs { id function { name } } } }',
    );
    expect(stream).toEqual([
      { id: idAt(3), trigger: '* * * * *', runs: [] },
      { id: idAt(1), trigger: 'a/b', runs: [{ id: RUN, function: { name: 'app-f' } }] },
    ]);
  });

  test('the time line of a run', async () => {
    const w = await ended();
    const fields = 'name stepType attempts outputID status';
    const { run } = await w.ask(
      `query GetRunTimeline($runId: String!) {
        run(runID: $runId) { trace(preview: true) { ${fields} childrenSpans { ${fields} childrenSpans { ${fields} } } } }
      }`,
      { runId: RUN },
    );
    const outputID = expect.any(String);
    const attempt = { name: 'Attempt 0', attempts: 0, status: 'COMPLETED', outputID };
    expect(run.trace).toMatchObject({
      name: 'Run',
      stepType: '',
      attempts: 0,
      status: 'COMPLETED',
      outputID,
    });
    expect(run.trace.childrenSpans).toMatchObject([
      { name: 'first', stepType: 'RUN', attempts: 0, status: 'COMPLETED', childrenSpans: [attempt] },
      {
        name: 'second',
        attempts: 1,
        status: 'FAILED',
        childrenSpans: [
          { name: 'Attempt 0', status: 'FAILED', outputID },
          { name: 'Attempt 1', status: 'FAILED', attempts: 1, outputID },
        ],
      },
      { name: 'nap', stepType: 'SLEEP', childrenSpans: [] },
      { name: 'wait', stepType: 'WAIT_FOR_EVENT' },
      { name: 'call', stepType: 'INVOKE' },
      { name: 'Finalization', stepType: 'FINALIZATION', status: 'COMPLETED', childrenSpans: [attempt] },
    ]);
  });
});

describe('set D, of the server', () => {
  test('all that a trace has', async () => {
    const w = world();
    const waiting = { reason: 'event' as const, what: 'a/c', condition: 'true', until: NOW + 50 };
    const steps = [
      step('wait', { op: 'WaitForEvent', status: 'Waiting', endedAt: null, waiting }),
      step('nap', {
        op: 'Sleep',
        status: 'Waiting',
        endedAt: null,
        waiting: { reason: 'sleep', until: NOW + 60 },
      }),
      step('one'),
    ];
    w.runs.traces.set(RUN, { ...ENDED, ...view(RUN), steps });
    const { run } = await w.ask(
      `query GetTraceRun($runID: String!, $preview: Boolean) {
        run(runID: $runID) {
          status traceID isBatch batchCreatedAt cronSchedule endedAt
          trace(preview: $preview) { ...TraceDetails childrenSpans { ...TraceDetails childrenSpans { ...TraceDetails } } }
        }
      }
      fragment TraceDetails on RunTraceSpan {
        name runID status attempts isRoot parentSpanID spanID startedAt endedAt duration outputID stepOp
        stepInfo {
          __typename
          ... on InvokeStepInfo { triggeringEventID functionID timeout returnEventID runID timedOut }
          ... on SleepStepInfo { sleepUntil }
          ... on WaitForEventStepInfo { eventName expression timeout foundEventID timedOut }
          ... on RunStepInfo { type }
        }
      }`,
      { runID: RUN, preview: true },
    );
    expect(run).toMatchObject({ status: 'RUNNING', isBatch: false, cronSchedule: null, endedAt: null });
    const [wait, nap, one] = run.trace.childrenSpans;
    expect(wait).toMatchObject({
      status: 'WAITING',
      parentSpanID: run.trace.spanID,
      isRoot: false,
      stepInfo: {
        __typename: 'WaitForEventStepInfo',
        eventName: 'a/c',
        expression: 'true',
        timeout: iso(NOW + 50),
      },
    });
    expect(nap.stepInfo).toEqual({ __typename: 'SleepStepInfo', sleepUntil: iso(NOW + 60) });
    expect(one).toMatchObject({ duration: 1, stepOp: 'RUN', stepInfo: { type: 'step.run' } });
  });

  test('a list of runs, filtered and in pages', async () => {
    const w = await ended();
    const query = `query GetFunctionRunsV2(
        $startTime: Time!, $endTime: Time, $timeField: RunsV2OrderByField!, $status: [FunctionRunStatus!], $first: Int!,
        $after: String, $ids: [UUID!]
      ) {
        runs(
          first: $first, after: $after,
          filter: { from: $startTime, until: $endTime, status: $status, timeField: $timeField, functionIDs: $ids },
          orderBy: [{ field: $timeField, direction: DESC }], preview: true
        ) {
          edges { cursor node { id status traceID startedAt queuedAt endedAt } }
          pageInfo { startCursor endCursor hasNextPage }
          totalCount(preview: true)
        }
      }`;
    const filter = { startTime: iso(NOW), timeField: 'QUEUED_AT', first: 1 };
    const { runs } = await w.ask(query, {
      ...filter,
      status: ['COMPLETED'],
      ids: [functionUuid('production', 'app-f')],
    });
    expect(runs).toMatchObject({
      edges: [{ cursor: RUN, node: { id: RUN, status: 'COMPLETED', endedAt: iso(NOW + 9) } }],
      pageInfo: { startCursor: RUN, endCursor: RUN, hasNextPage: false },
    });
    const none = async (change: object) => (await w.ask(query, { ...filter, ...change })).runs.edges;
    expect(await none({ status: ['FAILED'] })).toEqual([]);
    expect(await none({ after: RUN })).toEqual([]);
    expect(await none({ ids: [functionUuid('production', 'app-g')] })).toEqual([]);
    expect(await none({ startTime: iso(NOW + 1) })).toEqual([]);
    expect(await none({ timeField: 'ENDED_AT', endTime: iso(NOW + 9) })).toEqual([]);
    expect(await w.problem(query, { ...filter, first: 101 })).toBe('first: expected 1 to 100');
    expect(await w.problem(query, { ...filter, startTime: 'today' })).toMatch(/^filter.from: expected/);
  });

  test('lists of events, of functions, and what the status of a run is', async () => {
    const w = await ended();
    const { eventsV2 } = await w.ask(
      `query GetEventsV2($startTime: Time!, $eventNames: [String!]) {
        eventsV2(first: 10, filter: { from: $startTime, eventNames: $eventNames }) {
          edges { node { name id occurredAt receivedAt raw runs { status id startedAt endedAt function { name slug } } } }
          totalCount pageInfo { hasNextPage endCursor startCursor hasPreviousPage }
        }
      }`,
      { startTime: iso(NOW), eventNames: ['a/b'] },
    );
    expect(eventsV2.edges).toMatchObject([
      { node: { name: 'a/b', runs: [{ id: RUN, status: 'COMPLETED', function: { slug: 'app-f' } }] } },
    ]);
    const { functions } = await w.ask('{ functions { id name app { id externalID name } } }');
    expect(functions).toMatchObject([{ name: 'app-f', app: { externalID: 'app', name: 'app' } }]);
    const { functionRun } = await w.ask(
      'query GetRun($runID: ID!) { functionRun(query: {functionRunId: $runID}) { output status } }',
      { runID: RUN },
    );
    expect(functionRun).toEqual({ output: '{"ok":true}', status: 'COMPLETED' });
  });
});

describe('mutations', () => {
  test('cancel a run, and start a function', async () => {
    const w = world();
    w.runs.views.set(RUN, view(RUN));
    w.runs.traces.set(RUN, { ...ENDED, ...view(RUN) });
    const cancel = 'mutation ($id: ULID!) { cancelRun(runID: $id) { id } }';
    expect((await w.ask(cancel, { id: RUN })).cancelRun).toEqual({ id: RUN });
    expect(w.runs.cancelled).toEqual([RUN]);
    expect(await w.problem(cancel, { id: RUN })).toBe('run has ended');
    const invoke =
      'mutation ($slug: String!, $data: Map) { invokeFunction(functionSlug: $slug, data: $data) }';
    expect(await w.ask(invoke, { slug: 'app-f', data: { n: 1 } })).toEqual({ invokeFunction: true });
    const [event] = (await w.get('/v1/events?name=inngest/function.invoked')).body.data;
    expect(event.data).toEqual({ n: 1 });
    expect(await w.problem(invoke, { slug: 'app-none' })).toBe('function not found');
  });
});

describe('what is refused', () => {
  test('an unknown run is an error at its field, and nothing else (wire 9.9)', async () => {
    const w = world();
    const { status, body } = await w.post({ query: `{ run(runID: "${RUN}") { status } }` });
    expect([status, body]).toMatchObject([
      200,
      { data: { run: null }, errors: [{ message: 'run not found', path: ['run'] }] },
    ]);
  });

  test('runs, events and outputs of another environment are unknown', async () => {
    const w = world();
    w.runs.traces.set(RUN, { ...ENDED, env: 'other' });
    await w.store.insertEvents([stored(idAt(1), { env: 'other' })], NOW);
    const id = btoa(JSON.stringify([RUN, null, null]));
    expect(await w.problem(`{ run(runID: "${RUN}") { status } }`)).toBe('run not found');
    expect(await w.problem(`{ runTraceSpanOutputByID(outputID: "${id}") { data } }`)).toBe(
      'output not found',
    );
    expect(await w.problem(`{ eventV2(id: "${idAt(1)}") { name } }`)).toBe('event not found');
  });

  test.each(['x', '', btoa('[1]'), btoa(JSON.stringify([RUN, 'no step', null]))])(
    'the output id %j',
    async (id) => {
      const w = await ended();
      const query = 'query ($id: String!) { runTraceSpanOutputByID(outputID: $id) { data } }';
      expect(await w.problem(query, { id })).toBe('output not found');
    },
  );

  test.each([
    ['{', 400],
    ['{"query":5}', 400],
    [JSON.stringify({ query: '{ run' }), 200],
    [JSON.stringify({ query: '{ nothing }' }), 200],
    [JSON.stringify({ query: '{ functions { id } }', operationName: 'other' }), 200],
    [JSON.stringify({ query: `{ ${'functions { id } '.repeat(600)} }` }), 200],
    [
      JSON.stringify({
        query: `{ ${Array.from({ length: 21 }, (_, n) => `f${n}: functions { id }`).join(' ')} }`,
      }),
      200,
    ],
  ])('%.60s', async (text, expected) => {
    const { status, body } = await world().post(text);
    expect([status, body.errors?.length ?? body.error]).toEqual([expected, expect.anything()]);
    expect(body.data ?? null).toBeNull();
  });

  test('what fails inside is logged, and not told', async () => {
    const w = world();
    w.faults.set('listEvents', async () => {
      throw new Error('secret-value');
    });
    const { body } = await w.post({ query: '{ events(query: {}) { id } }' });
    expect(body.errors).toMatchObject([{ message: 'internal error', path: ['events'] }]);
    expect(w.log.lines).toHaveLength(1);
  });

  test('everybody without a key', async () => {
    expect((await world().post({ query: '{ functions { id } }' }, {})).status).toBe(401);
  });
});

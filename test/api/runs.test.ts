import { describe, expect, test } from 'vitest';
import type { RunTrace } from '../../src/protocol/run.ts';
import { idAt, NOW } from '../ingest/world.ts';
import { apiWorld, AUTH, view } from './world.ts';
import { closeRuns } from '../contracts/stored.ts';

const iso = (ms: number): string => new Date(ms).toISOString();
const RUN = idAt(7);
const PATH = `/v1/runs/${RUN}`;
const missing = { status: 404, body: { error: 'Run not found', data: null, status: 404 } };

describe('GET /v1/runs/:id', () => {
  test('answers what the object says (RA-12, RA-14)', async () => {
    const w = apiWorld();
    w.runs.views.set(
      RUN,
      view(RUN, { status: 'Failed', endedAt: NOW + 9, output: { name: 'Error', message: 'x' } }),
    );
    expect(await w.get(PATH)).toMatchObject({
      status: 200,
      body: {
        data: {
          run_id: RUN,
          run_started_at: iso(NOW),
          ended_at: iso(NOW + 9),
          status: 'Failed',
          event_id: idAt(1),
          output: { name: 'Error', message: 'x' },
        },
        metadata: { fetched_at: iso(NOW), cached_until: null },
      },
    });
  });

  test.each([
    ['knows nothing', null],
    ['cannot answer', new Error('overloaded')],
  ])('answers from the index when the object %s', async (_, found) => {
    const w = apiWorld();
    if (found !== null) w.runs.views.set(RUN, found);
    const ids = { runId: RUN, env: 'production', functionId: 'app-f', eventId: idAt(1) };
    await closeRuns(w.store, [
      { ...ids, status: 'Completed', queuedAt: NOW, endedAt: NOW + 1, output: '[1]' },
    ]);
    expect((await w.get(PATH)).body.data).toMatchObject({ run_id: RUN, status: 'Completed', output: [1] });
  });

  test('object and index agree on ids', async () => {
    const w = apiWorld();
    const ids = { runId: RUN, env: 'production', functionId: 'app-f', eventId: idAt(1) };
    await closeRuns(w.store, [
      { ...ids, status: 'Completed', queuedAt: NOW, endedAt: NOW + 1, output: 'null' },
    ]);
    const indexed = (await w.get(PATH)).body.data;
    w.runs.views.set(RUN, view(RUN, { status: 'Completed', endedAt: NOW + 1 }));
    expect((await w.get(PATH)).body.data).toEqual(indexed);
  });

  test('404 for an unknown run and one of another environment, 400 for what is no id (RA-17)', async () => {
    const w = apiWorld();
    expect(await w.get(PATH)).toEqual(missing);
    w.runs.views.set(RUN, view(RUN, { env: 'other' }));
    expect(await w.get(PATH)).toEqual(missing);
    expect(await w.get('/v1/runs/bad')).toEqual({
      status: 400,
      body: { error: 'Invalid run ID: bad', data: null, status: 400 },
    });
  });
});

describe('GET /v1/runs/:id/trace', () => {
  const failure = { attempt: 1, at: NOW + 2, error: { name: 'Error', message: 'x' } };
  const trace: RunTrace = {
    ...view(RUN),
    failures: [failure],
    waiting: [{ reason: 'sleep', until: NOW + 60_000 }],
    steps: [
      {
        id: 'abc',
        name: 'one',
        op: 'StepRun' as const,
        tool: null,
        status: 'Waiting' as const,
        attempts: 2,
        late: 1,
        startedAt: NOW + 1,
        endedAt: null,
        failures: [failure],
        input: null,
        output: null,
        error: null,
        waiting: { reason: 'retry', until: NOW + 30_000 },
      },
    ],
  };

  test('answers run, steps, failures and waits', async () => {
    const w = apiWorld();
    w.runs.traces.set(RUN, trace);
    const failed = { attempt: 1, at: iso(NOW + 2), error: { name: 'Error', message: 'x' } };
    expect((await w.get(`${PATH}/trace`)).body.data).toMatchObject({
      run_id: RUN,
      function_slug: 'app-f',
      event_ids: [idAt(1)],
      entered_at: iso(NOW + 1),
      failures: [failed],
      waiting: [{ reason: 'sleep', until: iso(NOW + 60_000) }],
      steps: [
        {
          id: 'abc',
          name: 'one',
          op: 'StepRun',
          status: 'Waiting',
          attempts: 2,
          late_answers: 1,
          started_at: iso(NOW + 1),
          ended_at: null,
          failures: [failed],
          output: null,
          error: null,
          waiting: { reason: 'retry', until: iso(NOW + 30_000) },
        },
      ],
    });
  });

  test('404 for an unknown run and one of another environment, 400 for what is no id', async () => {
    const w = apiWorld();
    expect(await w.get(`${PATH}/trace`)).toEqual(missing);
    w.runs.traces.set(RUN, { ...trace, env: 'other' });
    expect(await w.get(`${PATH}/trace`)).toEqual(missing);
    expect((await w.get('/v1/runs/bad/trace')).status).toBe(400);
  });
});

describe('GET /v1/runs/:id/jobs', () => {
  test('what will happen by itself, the earliest first (RA-20)', async () => {
    const w = apiWorld();
    const waiting = { reason: 'retry' as const, until: NOW + 5 };
    const sleeping = { reason: 'sleep' as const, until: NOW + 3 };
    const step = { id: 'a', name: 'a', op: 'StepRun' as const, tool: null, status: 'Waiting' as const };
    const rest = {
      late: 0,
      startedAt: NOW,
      endedAt: null,
      failures: [],
      input: null,
      output: null,
      error: null,
    };
    w.runs.traces.set(RUN, {
      ...view(RUN),
      failures: [{ attempt: 0, at: NOW, error: { name: 'Error', message: 'x' } }],
      waiting: [{ reason: 'retry', until: NOW + 4 }, waiting, sleeping],
      steps: [
        { ...step, ...rest, attempts: 3, waiting },
        { ...step, ...rest, op: 'Sleep', attempts: 1, waiting: sleeping },
      ],
    });
    expect((await w.get(`${PATH}/jobs`)).body.data).toEqual([
      { at: iso(NOW + 3), position: 0, kind: 'sleep', attempt: 0 },
      { at: iso(NOW + 4), position: 0, kind: 'retry', attempt: 1 },
      { at: iso(NOW + 5), position: 0, kind: 'retry', attempt: 2 },
    ]);
  });

  test('404 for an unknown run and one of another environment, 400 for what is no id', async () => {
    const w = apiWorld();
    expect(await w.get(`${PATH}/jobs`)).toEqual(missing);
    w.runs.traces.set(RUN, { ...view(RUN, { env: 'other' }), failures: [], waiting: [], steps: [] });
    expect(await w.get(`${PATH}/jobs`)).toEqual(missing);
    expect((await w.get('/v1/runs/bad/jobs')).status).toBe(400);
  });
});

describe('DELETE /v0/runs/:id', () => {
  test('cancels, and answers nothing (wire 9.3)', async () => {
    const w = apiWorld();
    w.runs.views.set(RUN, view(RUN));
    const response = await w.call('DELETE', `/v0/runs/${RUN}`, { headers: AUTH });
    expect([response.status, await response.text(), w.runs.cancelled]).toEqual([204, '', [RUN]]);
    expect((await w.get('/v0/runs/bad', 'DELETE')).status).toBe(400);
  });
});

describe('DELETE /v1/runs/:id (BC-11)', () => {
  test('cancels, and answers the run as it is then', async () => {
    const w = apiWorld();
    w.runs.views.set(RUN, view(RUN));
    const { status, body } = await w.get(PATH, 'DELETE');
    expect([status, body.data.status, body.data.run_id]).toEqual([200, 'Cancelled', RUN]);
    expect(w.runs.cancelled).toEqual([RUN]);
  });

  test('400 for a run that has ended, however often it is tried (CX-30)', async () => {
    const w = apiWorld();
    w.runs.views.set(RUN, view(RUN));
    await w.get(PATH, 'DELETE');
    for (let again = 0; again < 2; again++) {
      expect(await w.get(PATH, 'DELETE')).toEqual({
        status: 400,
        body: { error: 'Run has ended', data: null, status: 400 },
      });
    }
    expect(w.runs.cancelled).toEqual([RUN]);
  });

  test('404 for an unknown run and one of another environment, which goes on; 400 for what is no id', async () => {
    const w = apiWorld();
    expect(await w.get(PATH, 'DELETE')).toEqual(missing);
    w.runs.views.set(RUN, view(RUN, { env: 'other' }));
    expect(await w.get(PATH, 'DELETE')).toEqual(missing);
    expect(w.runs.cancelled).toEqual([]);
    expect((await w.get('/v1/runs/bad', 'DELETE')).status).toBe(400);
  });
});

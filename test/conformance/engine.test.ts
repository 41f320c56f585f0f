/** Apps on the official SDKs, unmodified, and on our own, behind the real engine in cloud mode: signed calls over HTTP, whole runs. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Engine, type Program } from './engine.ts';
import { type Found, go, python, typescript } from './programs.ts';

const found: Record<string, Found> = {
  three: typescript('inngest-v3', 'three'),
  four: typescript('inngest-v4', 'four'),
  own: typescript('stepwell', 'own'),
  py: python('py'),
  go: go('go'),
};
const apps = Object.entries(found).flatMap(([id, program]): [string, Program][] =>
  typeof program === 'string' ? [] : [[id, program]],
);
for (const [id, reason] of Object.entries(found))
  if (typeof reason === 'string') describe.skip(`${id}: ${reason}`);

interface Told {
  run: { status: string; output: string; trace: { childrenSpans: { stepType: string; outputID: string }[] } };
  runTrigger: { payloads: string[] };
}

let engine: Engine;

beforeAll(async () => {
  engine = await Engine.start();
  await Promise.all(apps.map(([id, program]) => engine.serve(id, program)));
});
afterAll(() => engine?.stop());

describe.concurrent.each(apps)('%s', { timeout: 30_000 }, (id) => {
  test('steps in sequence', async () => {
    const run = await engine.run(`${id}/sequence`, { n: 1 });
    expect(run).toMatchObject({ status: 'Completed', output: { a: { n: 1 }, b: 2 } });
  });

  test('a run as GraphQL tells it, for the tests of SDKs (wire 9.9)', async () => {
    const { run_id: runId } = await engine.run(`${id}/sequence`, { n: 1 });
    const { run, runTrigger } = await engine.graph<Told>(
      `query ($runId: String!) {
        run(runID: $runId) { status output trace(preview: true) { status childrenSpans { name stepType outputID } } }
        runTrigger(runID: $runId) { payloads }
      }`,
      { runId },
    );
    expect(run).toMatchObject({ status: 'COMPLETED', trace: { status: 'COMPLETED' } });
    expect(JSON.parse(run.output)).toEqual({ a: { n: 1 }, b: 2 });
    expect(JSON.parse(runTrigger.payloads[0] ?? '')).toMatchObject({
      name: `${id}/sequence`,
      data: { n: 1 },
    });
    const spans = run.trace.childrenSpans;
    expect(spans.map(({ stepType }) => stepType)).toEqual(['RUN', 'SLEEP', 'RUN', 'FINALIZATION']);
    const output = await engine.graph<{ of: { data: string } }>(
      'query ($id: String!) { of: runTraceSpanOutputByID(outputID: $id) { data } }',
      { id: spans[0]?.outputID },
    );
    expect(output.of.data).toBe('{"n":1}');
    expect(await engine.get(`/v1/runs/${runId}/jobs`)).toEqual([]);
  });

  test('parallel steps', async () => {
    const run = await engine.run(`${id}/parallel`);
    expect(run.output).toEqual({ all: ['p0', 'p1', 'p2', 'p3', 'p4'], first: 5, last: 'last' });
    const { steps } = await engine.trace(run.run_id);
    expect(steps.map(({ attempts }) => attempts)).toEqual(steps.map(() => 1));
  });

  test('49: a step that fails twice', async () => {
    const run = await engine.run(`${id}/flaky`);
    expect(run.output).toBe('attempt 2');
    expect((await engine.trace(run.run_id)).steps).toMatchObject([{ attempts: 3, status: 'Completed' }]);
  });

  test('49: a step that fails for good, caught', async () => {
    expect((await engine.run(`${id}/caught`)).output).toBe('caught oh no');
  });

  test('67, 68: a run that fails, and its failure handler', async () => {
    const key = `failing ${id}`;
    const run = await engine.run(`${id}/failing`, { key });
    expect(run.status).toBe('Failed');
    const told = await engine.until(async () => {
      const events = await engine.get<{ data: { key: string } }[]>(`/v1/events?name=${id}/mourned`);
      return events.find(({ data }) => data.key === key) ?? null;
    });
    expect(told.data).toEqual({ key, message: 'for good' });
  });

  test('43: a wait that is answered, and one that is not', async () => {
    const key = `waiter ${id}`;
    const first = await engine.send(`${id}/waiter`, { key, timeout: '1h' });
    await engine.until(async () => {
      const [run] = await engine.get<{ run_id: string }[]>(`/v1/events/${first}/runs`);
      if (run === undefined) return null;
      return (await engine.trace(run.run_id)).steps[0]?.waiting ?? null;
    });
    await engine.send(`${id}/wake`, { key: 'another', word: 'wrong' });
    await engine.send(`${id}/wake`, { key, word: 'hello' });
    expect((await engine.ended(first)).output).toEqual({ found: 'hello' });
    expect((await engine.run(`${id}/waiter`, { key: 'in vain', timeout: '1s' })).output).toEqual({
      found: null,
    });
  });

  test('45: invocations: a result, a failure, and a function that is not there', async () => {
    const { output } = await engine.run(`${id}/invoker`);
    expect(output).toEqual({
      good: 42,
      bad: expect.stringContaining('child failed'),
      none: expect.stringContaining(`could not find function with ID: ${id}-nobody`),
    });
  });

  test('an event sent by a step', async () => {
    const run = await engine.run(`${id}/sender`, { n: 7 });
    const [sent = ''] = run.output as string[];
    expect((await engine.ended(sent)).output).toEqual({ a: { n: 7 }, b: 8 });
  });

  test('70: a run that an event cancels', async () => {
    const key = `sleeper ${id}`;
    const sleeping = await engine.send(`${id}/sleeper`, { key });
    await engine.until(async () => {
      const [run] = await engine.get<{ run_id: string }[]>(`/v1/events/${sleeping}/runs`);
      if (run === undefined) return null;
      return (await engine.trace(run.run_id)).steps[0]?.waiting ?? null;
    });
    await engine.send(`${id}/cancel`, { key });
    expect((await engine.ended(sleeping)).status).toBe('Cancelled');
  });

  test('62: state that is too large for a call', async () => {
    expect((await engine.run(`${id}/large`)).output).toEqual([2_500_000, 2_500_000]);
  });
});

/**
 * The API as its users call it, with the real objects and D1 behind it. What reads a trace is in test/conformance/engine.test.ts: the runner of
 * these tests does not let a method of that name be called on an object.
 */
import { exports } from 'cloudflare:workers';
import { describe, expect, test } from 'vitest';
import { Inngest } from '../../src/sdk/index.ts';
import { serve } from '../../src/sdk/serve/cloudflare.ts';
import { programs } from './worker.ts';
import { endedRunsOf, NOW, runsOf, send, timeStandsStill, unique, until } from './world.ts';

timeStandsStill();

// oxlint-disable-next-line typescript/no-explicit-any -- answers are looked at from outside
type Answer = any;

async function ask(method: string, path: string, body?: object): Promise<{ status: number; body: Answer }> {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const response = await exports.default.fetch(`https://stepwell.test${path}`, init);
  const text = await response.text();
  return { status: response.status, body: text === '' ? null : JSON.parse(text) };
}

/** The one run of a program, once it is in the index. */
async function begun(program: Parameters<typeof programs.set>[1], more: object = {}): Promise<string> {
  const name = unique('api');
  programs.set(name, program);
  const [event = ''] = await send({ name: 'test/program', data: { program: name }, ...more });
  const [run] = await until(async () => {
    const runs = await runsOf(event);
    return runs.length === 1 ? runs : null;
  }, 'the start of the run');
  return run?.run_id ?? '';
}

describe('a run', () => {
  test('that is to start later is cancelled before it has begun (BC-11, TR-17)', async () => {
    let entered = 0;
    const run = await begun(() => entered++, { ts: NOW + 3_600_000 });
    expect(await ask('DELETE', `/v1/runs/${run}`)).toMatchObject({
      status: 200,
      body: { data: { status: 'Cancelled' } },
    });
    expect((await ask('DELETE', `/v0/runs/${run}`)).status).toBe(400);
    expect(entered).toBe(0);
  });

  test('is told by GraphQL and by version 2 (wire 9.7, 9.9)', async () => {
    const run = await begun(async ({ step }) => [
      await step.run('a', () => 1),
      await step.run('b', () => 'x'),
    ]);
    await until(async () =>
      (await ask('GET', `/v1/runs/${run}`)).body.data.ended_at === null ? null : true,
    );
    const query = `query ($from: Time!, $status: [FunctionRunStatus!]) {
      runs(first: 10, filter: { from: $from, status: $status }, orderBy: []) {
        edges { node { id status output eventName function { slug } } }
      }
      stream(query: { limit: 10 }) { trigger runs { id status } }
    }`;
    const variables = { from: new Date(NOW).toISOString(), status: ['COMPLETED'] };
    const { data, errors } = (await ask('POST', '/v0/gql', { query, variables })).body;
    expect(errors).toBeUndefined();
    const node = {
      id: run,
      status: 'COMPLETED',
      output: '[1,"x"]',
      eventName: 'test/program',
      function: { slug: 'test-program' },
    };
    expect(data.runs.edges).toContainEqual({ node });
    expect(data.stream).toContainEqual({ trigger: 'test/program', runs: [{ id: run, status: 'COMPLETED' }] });
    expect((await ask('GET', `/v2/runs/${run}?includeOutput=true`)).body.data).toMatchObject({
      status: 'COMPLETED',
      output: { data: [1, 'x'] },
    });
  });
});

test('a function is started by its id, once for each idempotency key (wire 9.7)', async () => {
  const name = unique('api');
  let entered = 0;
  programs.set(name, () => ++entered);
  const path = '/v2/apps/test/functions/program/invoke';
  const body = { data: { program: name }, idempotencyKey: name };
  const first = await ask('POST', path, body);
  expect(first.status).toBe(202);
  const { runId } = first.body.data;
  expect((await ask('POST', path, body)).body.data.runId).toBe(runId);
  await until(async () => {
    const { status, body: answer } = await ask('GET', `/v1/runs/${runId}`);
    return status === 200 && answer.data.ended_at !== null ? true : null;
  }, 'the end of the run');
  expect(entered).toBe(1);
  const { ids } = (await ask('POST', '/invoke/test-program', { data: { program: name } })).body;
  expect(await endedRunsOf(ids[0])).toMatchObject([{ status: 'Completed', output: 2 }]);
});

test('an app on our SDK is served inside of a Worker (AD-12)', async () => {
  const client = new Inngest({ id: 'shop', isDev: true });
  const pay = client.createFunction({ id: 'pay' }, { event: 'a/b' }, async ({ step }) =>
    step.run('a', () => 'paid'),
  );
  const handle = serve({ client, functions: [pay], servePath: '/api/inngest' });
  const body = JSON.stringify({
    event: { name: 'a/b', data: {}, id: 'e', ts: 1 },
    steps: {},
    ctx: { run_id: 'r', attempt: 0, stack: { stack: [] } },
  });
  const request = new Request('https://shop.test/api/inngest?fnId=shop-pay&stepId=step', {
    method: 'POST',
    body,
  });
  const response = await handle(request, {}, {});
  expect([response.status, await response.json()]).toMatchObject([206, [{ op: 'StepRun', data: 'paid' }]]);
});

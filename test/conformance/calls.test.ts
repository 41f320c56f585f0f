/** The cases 33 to 66 of the protocol's checklist (wire 12): what the engine sends, and what it makes of each answer. */
import { createHmac } from 'node:crypto';
import canonicalize from 'canonicalize';
import { describe, expect, test } from 'vitest';
import { NOW } from '../call/world.ts';
import { done, hash, op, ops, planned, ran, respond, stub, threw, type Answer } from './stub.ts';
import { RemoteWorld, type Recorded, type RemoteOptions } from './world.ts';

const A = hash('a');

async function runOf(answers: Parameters<typeof stub>, options?: RemoteOptions): Promise<RemoteWorld> {
  return RemoteWorld.of(stub(...answers), options).run();
}

function call(world: RemoteWorld, n: number): Recorded {
  const found = world.calls.at(n);
  if (found === undefined) throw new Error(`there is no call ${n}`);
  return found;
}

describe('what a call says', () => {
  test('33: the first call', async () => {
    const world = await runOf([done()], { url: 'http://app.test/api/inngest?z=1&b=2' });
    const { url, text, body, headers } = call(world, 0);
    expect(url.search).toBe('?b=2&fnId=app-fn&stepId=step&z=1');
    expect(text).toBe(canonicalize(JSON.parse(text)));
    expect(body).toMatchObject({ version: -1, event: { user: {} }, events: [{ user: {} }] });
    expect(body.ctx.stack).toEqual({ current: 0, stack: [] });
    expect(headers.get('x-inngest-req-version')).toBe('-1');
    expect(headers.get('x-run-id')).toBe(body.ctx.run_id);
    expect(headers.get('content-type')).toBe('application/json');
  });

  test('34: the signature is over the canonical body', async () => {
    const step = ran('a', { ü: 'ß€😀', z: { b: 1e21, a: 1.0 }, n: [1.5, -0], '\u0000': '/<&' });
    const world = await runOf([ops(step), done()], { signingKeys: ['signkey-test-12345678'] });
    for (const { text, headers } of world.calls) {
      const [, ts = '', signature = ''] =
        /^t=(\d+)&s=(\w+)$/.exec(headers.get('x-inngest-signature') ?? '') ?? [];
      expect(
        createHmac('sha256', '12345678')
          .update(text + ts)
          .digest('hex'),
      ).toBe(signature);
      expect(text).toBe(canonicalize(JSON.parse(text)));
    }
    expect(call(world, 1).text).toContain('"a":1,"b":1e+21');
  });

  test('34: without a key there is no signature', async () => {
    expect(call(await runOf([done()]), 0).headers.has('x-inngest-signature')).toBe(false);
  });

  test('35: ctx.fn_id is a UUID', async () => {
    expect(call(await runOf([done()]), 0).body.ctx.fn_id).toMatch(
      /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
    );
  });

  test('36: steps is an object, and both use_api are there', async () => {
    const { body } = call(await runOf([done()]), 0);
    expect(body.steps).toEqual({});
    expect([body.use_api, body.ctx.use_api]).toEqual([false, false]);
  });

  test('62: state that is too large is fetched by the SDK', async () => {
    const text = 'x'.repeat(2_500_000);
    const world = await runOf([ops(ran('a', text)), ops(ran('b', text)), done()]);
    const { body } = call(world, 2);
    expect(body).toMatchObject({ events: [], steps: {}, use_api: true, ctx: { use_api: true } });
    expect(body.ctx.stack.stack).toEqual([A, hash('b')]);
    expect(await world.owner.snapshot('main')).toBe('ended');
  });

  test('62: and it finds it there', async () => {
    const world = RemoteWorld.of(stub(ops(ran('a', 'one')), ops(op('Sleep', '1h', {}))));
    await world.start();
    const snapshot = await world.owner.snapshot('main');
    if (snapshot === null || snapshot === 'ended') throw new Error('the run goes on');
    expect(JSON.parse(snapshot.steps)).toEqual({ [A]: { data: 'one' } });
    expect(JSON.parse(snapshot.events)).toMatchObject([{ name: 'shop/order.placed' }]);
    expect(await world.owner.snapshot('other')).toBeNull();
  });

  test('62: Go gets all of it in the call (XL-20)', async () => {
    const text = 'x'.repeat(2_500_000);
    const world = await runOf([ops(ran('a', text)), ops(ran('b', text)), done()], { sdk: 'go:v0.16.0' });
    const { body } = call(world, 2);
    expect(body.use_api).toBe(false);
    expect(Object.keys(body.steps)).toEqual([A, hash('b')].toSorted());
  });

  test('redirects are followed with body and headers', async () => {
    const seen: string[] = [];
    const world = RemoteWorld.of(async (request) => {
      seen.push(`${request.method} ${new URL(request.url).pathname} ${(await request.text()).length > 0}`);
      const moved = new Response(null, {
        status: 302,
        headers: { location: '/elsewhere?fnId=app-fn&stepId=step' },
      });
      return request.url.includes('elsewhere') ? respond(done('there')) : moved;
    });
    await world.run();
    expect([seen, world.output]).toEqual([['POST /api/inngest true', 'POST /elsewhere true'], 'there']);
  });
});

describe('37: results', () => {
  test.each([
    ['a string', { status: 200, body: 'x' }, 'x'],
    ['null', { status: 200, body: null }, null],
    ['an empty body', { status: 200, text: '' }, null],
    ['text that is no JSON', { status: 200, text: 'hello' }, 'hello'],
    ['76: RunComplete', ops({ op: 'RunComplete', id: hash('complete'), data: { a: 1 } }), { a: 1 }],
    ['76: RunComplete as a bare object', { body: { op: 'RunComplete', id: hash('complete'), data: 2 } }, 2],
  ])('%s', async (_, answer: Answer, output) => {
    const world = await runOf([answer]);
    expect([world.status, world.output, world.calls.length]).toEqual(['Completed', output, 1]);
  });
});

describe('steps', () => {
  test('38: a step is memoised', async () => {
    const world = await runOf([ops(ran('a', 1)), done()]);
    const { body } = call(world, 1);
    expect(body.steps).toEqual({ [A]: { data: 1 } });
    expect(body.ctx).toMatchObject({ attempt: 0, stack: { current: 1, stack: [A] } });
    expect(body.version).toBe(2);
  });

  test('39: a bare object is an array of one', async () => {
    const world = await runOf([{ body: ran('a', 1) }, done()]);
    expect(call(world, 1).body.steps).toEqual({ [A]: { data: 1 } });
  });

  test.each([[{}], [{ data: null }], [{ data: undefined }]])('40: no data is null: %j', async (more) => {
    const world = await runOf([ops({ op: 'StepRun', id: A, name: 'a', ...more }), done()]);
    expect(call(world, 1).body.steps).toEqual({ [A]: { data: null } });
  });

  test('user data that looks like a memo is wrapped once more', async () => {
    const world = await runOf([ops(ran('a', { data: 1 }), ran('b', { error: 1, x: 2 })), done()]);
    expect(call(world, 1).body.steps).toEqual({
      [A]: { data: { data: 1 } },
      [hash('b')]: { data: { error: 1, x: 2 } },
    });
  });

  test('legacy op Step may be wrapped already', async () => {
    const world = await runOf([ops(op('Step', 'a', {}, { data: { data: 7 } })), done()]);
    expect(call(world, 1).body.steps).toEqual({ [A]: { data: 7 } });
  });

  test('names of operations are read without regard to case', async () => {
    const world = await runOf([ops(op('STEPRUN', 'a', null, { data: 1, timing: { a: 1.8e18 } })), done()]);
    expect(world.status).toBe('Completed');
  });

  test.each([
    ['in name', { name: '1s', opts: {} }, 1_000],
    ['in opts.duration', { name: 'a', opts: { duration: '1s' } }, 1_000],
    ['an instant in the past', { name: '2020-01-01T00:00:00.000Z' }, 0],
    ['an instant', { name: new Date(NOW + 5_000).toISOString() }, 5_000],
    ['of Go', { name: 'a', opts: { duration: '4s999ms837µs' } }, 5_000],
    ['negative', { name: 'a', opts: { duration: '-5ms' } }, 0],
  ])('41, 42: a sleep, %s', async (_, more, ms) => {
    const world = RemoteWorld.of(stub(ops({ op: 'Sleep', id: A, displayName: 'nap', ...more }), done()));
    await world.start();
    expect(world.calls.length).toBe(ms === 0 ? 2 : 1);
    await world.toEnd();
    expect(world.now - NOW).toBe(ms);
    expect(call(world, 1).body.steps).toEqual({ [A]: null });
  });

  test('41: a sleep of more than 366 days fails its step', async () => {
    const world = await runOf([ops(op('Sleep', '400d', {})), done()]);
    expect(call(world, 1).body.steps).toMatchObject({ [hash('400d')]: { error: { name: 'SleepTooLong' } } });
  });

  test('52: error.data comes back as it was, null included', async () => {
    const go = (data: unknown) => ({ op: 'StepError', error: { name: 'Step error', message: 'no', data } });
    const first = { ...go(null), id: A, name: 'a' };
    const second = { ...go('ok'), id: hash('b'), name: 'b' };
    const answer = { ...ops(first, second), headers: { 'x-inngest-no-retry': 'true' } };
    const world = await runOf([answer, done()], { sdk: 'go:v0.16.0' });
    expect(call(world, 1).body.steps).toEqual({
      [A]: { error: { name: 'Step error', message: 'no', data: null } },
      [hash('b')]: { error: { name: 'Step error', message: 'no', data: 'ok' } },
    });
  });

  test('60: a second result for a finished step is ignored', async () => {
    const world = await runOf([ops(ran('a', 1)), ops(ran('a', 2)), done()]);
    expect(call(world, 2).body.steps).toEqual({ [A]: { data: 1 } });
  });

  test('63: the step after the last one that is allowed fails the run', async () => {
    let n = 0;
    const world = await runOf([() => ops(ran(`s${n++}`, n))], { maxSteps: 5 });
    expect([world.status, world.output]).toMatchObject(['Failed', { name: 'StepLimitExceeded' }]);
    expect(n).toBe(6);
  });

  test('66: ids are opaque: a and a:1', async () => {
    const world = await runOf([ops(ran('a', 1)), ops(ran('a:1', 2)), done()]);
    expect(call(world, 2).body.ctx.stack.stack).toEqual([A, hash('a:1')]);
  });
});

describe('waits and invocations', () => {
  const waiting = async (wire: ReturnType<typeof op>) => {
    const world = RemoteWorld.of(stub(ops(wire), done()));
    await world.start();
    return world;
  };

  test.each([
    ['in name', { name: 'demo/wake', opts: { timeout: '10s' } }],
    ['in opts.event', { name: 'a', opts: { event: 'demo/wake', timeout: '10s', if: null } }],
    ['opts.event empty', { name: 'demo/wake', opts: { event: '', timeout: '10s' } }],
  ])('43: the event of a wait, %s', async (_, more) => {
    const world = await waiting({ op: 'WaitForEvent', id: A, ...more });
    expect(world.waits.listening).toMatchObject([{ event: 'demo/wake', key: A }]);
  });

  test('43: a match is the event itself, a timeout is null', async () => {
    const wire = op('WaitForEvent', 'demo/wake', { timeout: '10s', if: 'event.data.n == async.data.n' });
    const world = await waiting(wire);
    const event = { name: 'demo/wake', data: { n: 1 }, id: 'e', ts: NOW, user: {} };
    await world.owner.answer(hash('demo/wake'), { ok: true, data: JSON.stringify(event) });
    await world.toEnd();
    expect(call(world, 1).body.steps).toEqual({ [hash('demo/wake')]: event });
    const late = await waiting(wire);
    await late.toEnd();
    expect(call(late, 1).body.steps).toEqual({ [hash('demo/wake')]: null });
  });

  test('43: a wait that could never be answered fails the run (WE-20)', async () => {
    const world = await runOf([ops(op('WaitForEvent', 'x', { timeout: '1s', if: 'event.data ==' }))]);
    expect([world.status, world.output]).toMatchObject(['Failed', { name: 'InvalidExpression' }]);
  });

  test('44: a wait is begun before the step that sends its event', async () => {
    const order: string[] = [];
    const answers = [
      ops(planned('send'), op('WaitForEvent', 'demo/wake', { timeout: '10s' })),
      () => {
        order.push(`called with ${world.waits.listening.length} waits`);
        return ops(ran('send', 1));
      },
      done(),
    ];
    const world: RemoteWorld = RemoteWorld.of(stub(...answers));
    await world.start();
    expect(order).toEqual(['called with 1 waits']);
  });

  test('45: an invocation', async () => {
    const world = await waiting(
      op('InvokeFunction', 'call', {
        function_id: 'app-g',
        payload: { data: { x: 1 }, v: null },
        timeout: null,
      }),
    );
    expect(world.emitted).toMatchObject([
      { name: 'inngest/function.invoked', data: { x: 1 }, target: { functionId: 'app-g' } },
    ]);
    await world.owner.answer(hash('call'), { ok: true, data: '{"y":2}' });
    await world.toEnd();
    expect(call(world, 1).body.steps).toEqual({ [hash('call')]: { data: { y: 2 } } });
  });

  test('45: an invocation that fails, and one that is out of time', async () => {
    const invoke = op('InvokeFunction', 'call', { function_id: 'app-g', payload: {}, timeout: '1m' });
    const failing = await waiting(invoke);
    await failing.owner.answer(hash('call'), { ok: false, data: '{"name":"Error","message":"oh no"}' });
    await failing.toEnd();
    expect(call(failing, 1).body.steps).toEqual({
      [hash('call')]: { error: { name: 'Error', message: 'oh no' } },
    });
    const late = await waiting(invoke);
    await late.toEnd();
    expect(call(late, 1).body.steps).toMatchObject({
      [hash('call')]: {
        error: {
          name: 'InngestInvokeTimeoutError',
          message: 'Timed out waiting for invoked function to complete',
          error: 'InngestInvokeTimeoutError: Timed out waiting for invoked function to complete',
        },
      },
    });
  });
});

describe('46: signals', () => {
  test('a wait, its answer, and a wait in vain', async () => {
    const wire = op('WaitForSignal', 'wait', { signal: 'go', timeout: '1m', conflict: 'replace' });
    const answered = RemoteWorld.of(stub(ops(wire), done()));
    await answered.start();
    expect((await answered.trace())?.steps).toMatchObject([{ op: 'WaitForSignal', waiting: { what: 'go' } }]);
    await answered.owner.answer(hash('wait'), { ok: true, data: '{"signal":"go","data":[1]}' });
    await answered.toEnd();
    expect(call(answered, 1).body.steps).toEqual({ [hash('wait')]: { data: { signal: 'go', data: [1] } } });
    const late = await runOf([ops(wire), done()]);
    expect(call(late, 1).body.steps).toEqual({ [hash('wait')]: null });
  });
});

describe('what the engine fetches', () => {
  const gateway = (
    handler: (request: Request) => Response | Promise<Response>,
    app: ReturnType<typeof stub>,
  ) =>
    RemoteWorld.of(
      (request) => (new URL(request.url).host === 'app.test' ? app(request) : handler(request)),
      { maxAttempts: 3 },
    );

  test('47: a 404 is a result', async () => {
    const wire = op('Gateway', 'get', {
      url: 'http://api.test/x',
      method: 'PUT',
      headers: { k: 'v' },
      body: 'text',
    });
    const world = gateway(
      async (request) =>
        new Response(`${request.method} ${request.headers.get('k')} ${await request.text()}`, {
          status: 404,
        }),
      stub(ops(wire), done()),
    );
    await world.run();
    expect(call(world, 1).body.steps).toMatchObject({
      [hash('get')]: { data: { url: 'http://api.test/x', status_code: 404, body: 'PUT v text' } },
    });
  });

  test('47: a host that cannot be reached is tried again, then an error', async () => {
    const wire = op('Gateway', 'get', { url: 'http://api.test/x', method: 'GET', headers: {}, body: '' });
    const world = gateway(
      () => {
        throw new Error('no route');
      },
      stub((_, attempt) => (world.calls.length < 3 ? ops({ ...wire, attempt }) : done())),
    );
    await world.run();
    expect(world.status).toBe('Completed');
    expect(world.calls.map(({ body }) => body.ctx.attempt)).toEqual([0, 1, 2, 0]);
    expect(call(world, 3).body.steps).toMatchObject({ [hash('get')]: { error: { name: 'GatewayError' } } });
  });

  test.each([
    ['anthropic', 'x-api-key', 'secret'],
    ['openai-chat', 'authorization', 'Bearer secret'],
    ['bedrock', 'authorization', 'secret'],
  ])('48: credentials of %s, which are stored nowhere', async (format, header, value) => {
    const opts = {
      url: 'http://ai.test/v1',
      auth_key: 'secret',
      format,
      headers: { 'X-More': 'm' },
      body: { q: 1 },
    };
    const seen: Request[] = [];
    const world = gateway(
      (request) => {
        seen.push(request);
        return Response.json({ answer: 42 });
      },
      stub(ops(op('AIGateway', 'ask', opts)), done()),
    );
    await world.run();
    expect(seen[0]?.headers.get(header)).toBe(value);
    expect(seen[0]?.headers.get('x-more')).toBe('m');
    expect(call(world, 1).body.steps).toEqual({ [hash('ask')]: { data: { answer: 42 } } });
    expect(JSON.stringify([...world.rows.table.values()])).not.toContain('secret');
  });

  test('48: a provider that answers 400: the SDK is called again, then an error', async () => {
    const opts = { url: 'http://ai.test/v1', auth_key: 'secret', format: 'openai-chat', body: {} };
    const world = gateway(
      () => Response.json({ bad: true }, { status: 400 }),
      stub(...Array.from({ length: 3 }, () => ops(op('AIGateway', 'ask', opts))), done()),
    );
    await world.run();
    expect(world.calls.map(({ body }) => body.ctx.attempt).slice(0, 3)).toEqual([0, 1, 2]);
  });
});

describe('failures', () => {
  const failing = { ...ops(threw('a')), headers: { 'x-inngest-no-retry': 'false' } };

  test('49: a step is tried again by the same call, then its error is memoised', async () => {
    const world = await runOf([failing, failing, done()], { maxAttempts: 2 });
    expect(world.calls.map(({ stepId, body }) => [stepId, body.ctx.attempt])).toEqual([
      ['step', 0],
      ['step', 1],
      ['step', 0],
    ]);
    expect(call(world, 2).body.steps).toEqual({
      [A]: { error: { name: 'Error', message: 'boom', stack: 'at' } },
    });
  });

  test('49: a planned step is tried again by its own call', async () => {
    const world = await runOf([ops(planned('a')), failing, ops(ran('a', 1)), done()]);
    expect(world.calls.map(({ stepId, body }) => [stepId, body.ctx.attempt])).toEqual([
      ['step', 0],
      [A, 0],
      [A, 1],
      ['step', 0],
    ]);
  });

  test('50: no-retry with 206', async () => {
    const world = await runOf([{ ...ops(threw('a')), headers: { 'x-inngest-no-retry': 'TRUE' } }, done()]);
    expect(world.calls.length).toBe(2);
    expect(call(world, 1).body.steps).toMatchObject({ [A]: { error: { message: 'boom' } } });
  });

  test('51: StepFailed is final whatever the header says', async () => {
    const answer = { ...ops(threw('a', { op: 'StepFailed' })), headers: { 'x-inngest-no-retry': 'false' } };
    const world = await runOf([answer, done()]);
    expect(world.calls.map(({ body }) => body.ctx.attempt)).toEqual([0, 0]);
  });

  const error = { __serialized: true, name: 'Error', message: 'boom', stack: 'at' };
  test.each([
    ['500 is tried again', { status: 500, body: error }, 3],
    ['500 with no-retry fails', { status: 500, body: error, headers: { 'x-inngest-no-retry': 'true' } }, 1],
    ['400 with no-retry fails', { status: 400, body: error, headers: { 'x-inngest-no-retry': 'true' } }, 1],
    ['400 is tried again', { status: 400, body: error }, 3],
    ['401 is tried again', { status: 401, body: { message: 'boom' } }, 3],
    ['410 is tried again', { status: 410, body: { message: 'boom' } }, 3],
    ['Go: a message alone', { status: 500, body: { message: 'boom' } }, 3],
    ['text in text', { status: 500, body: JSON.stringify(error) }, 3],
  ])('53: %s', async (_, answer: Answer, calls) => {
    const world = await runOf([answer], { maxAttempts: 3 });
    expect([world.status, world.calls.length]).toEqual(['Failed', calls]);
    expect(world.output).toMatchObject({ name: 'Error', message: 'boom' });
  });

  test.each([
    ['2', 2_000],
    [new Date(NOW + 3_890).toISOString(), 3_890],
    ['2027-01-15T09:00:07+01:00', Date.parse('2027-01-15T09:00:07+01:00') - NOW],
    ['2020-01-01T00:00:00Z', 1_000],
    ['172800', 86_400_000],
    ['soon', 700],
  ])('54: Retry-After: %s', async (value, ms) => {
    const answer = { status: 500, body: error, headers: { 'retry-after': value } };
    const world = await runOf([answer, done()], { retryInterval: 700 });
    expect(world.now - NOW).toBe(Math.max(ms, 700 === ms ? 700 : 1_000));
  });

  test('54: Retry-After of a step, and none on a result', async () => {
    const answer = { ...failing, headers: { 'retry-after': '5' } };
    const world = await runOf([answer, { ...done('x'), headers: { 'retry-after': '5' } }]);
    expect([world.now - NOW, world.output]).toEqual([5_000, 'x']);
  });

  test('55: what no SDK has answered is no answer', async () => {
    const ok = await runOf([{ status: 200, body: 'x', isForeign: true }], { maxAttempts: 1 });
    expect([ok.status, ok.output]).toMatchObject([
      'Failed',
      { message: expect.stringContaining('not an SDK response') },
    ]);
    const bad = await runOf([{ status: 502, text: '<html>no</html>', isForeign: true }], { maxAttempts: 2 });
    expect(bad.calls.length).toBe(2);
    expect(bad.output).toMatchObject({ message: 'Your server returned HTTP 502 before the SDK responded.' });
  });

  test('56: an answer that says nothing is asked for again', async () => {
    const world = await runOf([ops(), done('x')]);
    expect([world.calls.length, world.output, world.now]).toEqual([2, 'x', NOW]);
  });

  test('56: and does not make the engine spin', async () => {
    const world = RemoteWorld.of(stub(ops()));
    await world.start();
    const calls = world.calls.length;
    expect(calls).toBeLessThan(4);
    await world.ring();
    expect(world.calls.length).toBeGreaterThan(calls);
  });

  test.each([
    ['61: an unknown operation', ops({ op: 'Teleport', id: A })],
    ['an operation without an id', ops({ op: 'StepRun', data: 1 })],
    ['a bad duration', ops(op('Sleep', 'in a while', {}))],
    ['no operations', { body: 'x' }],
    ['an empty body', { text: '' }],
  ])('%s fails the attempt, and nothing of the answer counts', async (_, answer: Answer) => {
    const world = await runOf([answer, done()], { maxAttempts: 2 });
    expect(world.calls.length).toBe(2);
    expect(call(world, 1).body).toMatchObject({ steps: {}, ctx: { attempt: 1 } });
    expect((await world.trace())?.failures).toMatchObject([{ error: { name: 'BadResponse' } }]);
  });

  test('65: a target that is not there is asked for again, then the run fails', async () => {
    const missing = {
      status: 500,
      body: { error: 'Could not find step', requestedStep: A },
      headers: { 'x-inngest-no-retry': 'false' },
    };
    const world = await runOf([ops(planned('a')), missing], { maxAttempts: 3 });
    expect([world.status, world.calls.length]).toEqual(['Failed', 4]);
    expect(world.output).toMatchObject({ message: 'Could not find step' });
  });

  test('an answer without end', async () => {
    const world = RemoteWorld.of(() => {
      const endless = new ReadableStream<Uint8Array>({ pull: (to) => to.enqueue(new Uint8Array(1_000_000)) });
      return new Response(endless, { headers: { 'x-inngest-sdk': 'x' } });
    });
    // Its recording would have no end either.
    world.isRecording = false;
    await world.run();
    expect([world.status, world.output]).toMatchObject([
      'Failed',
      { message: expect.stringContaining('output_too_large') },
    ]);
  });
});

describe('parallel steps', () => {
  const three = ops(planned('a'), planned('b'), planned('c'), op('Sleep', '1s', {}));
  const each = (stepId: string): Answer =>
    stepId === 'step' ? done('x') : { body: [{ op: 'StepRun', id: stepId, data: stepId.slice(0, 2) }] };

  test('57: version 2: targeted calls, and one discovery after the last', async () => {
    const world = await runOf([three, each]);
    expect(world.calls.map(({ stepId }) => stepId)).toEqual(['step', A, hash('b'), hash('c'), 'step']);
    expect(world.calls.map(({ body }) => body.ctx.disable_immediate_execution)).toEqual([
      false,
      true,
      true,
      true,
      false,
    ]);
    expect(call(world, 4).body.ctx.stack.stack).toHaveLength(4);
  });

  test('58: version 1: a discovery after each, and plans that come again are not run again', async () => {
    const one = (stepId: string): Answer => {
      const answer =
        stepId === 'step' && Object.keys(world.calls.at(-1)?.body.steps ?? {}).length < 4
          ? three
          : each(stepId);
      return { ...answer, headers: { 'x-inngest-req-version': '1' } };
    };
    let discoveries = 0;
    const handler = stub((stepId) => {
      if (stepId !== 'step') return one(stepId);
      discoveries++;
      const settled = world.owner.settled.length;
      return { ...(settled < 4 ? three : done('x')), headers: { 'x-inngest-req-version': '1' } };
    });
    const world: RemoteWorld = RemoteWorld.of(handler);
    await world.run();
    const targeted = world.calls.map(({ stepId }) => stepId).filter((id) => id !== 'step');
    expect(targeted.toSorted()).toEqual([A, hash('b'), hash('c')].toSorted());
    expect(discoveries).toBeGreaterThan(2);
    expect(world.output).toBe('x');
  });

  test('59: race: a discovery as soon as one of them is settled', async () => {
    let release = (_: Response) => {};
    const slow = new Promise<Response>((resolve) => {
      release = resolve;
    });
    const race = { parallelMode: 'race' };
    const quick = stub(ops(planned('a', race), planned('b', race)), (stepId) => each(stepId));
    const world = RemoteWorld.of((request) => (request.url.includes(hash('b')) ? slow : quick(request)));
    world.isPatient = false;
    await world.start();
    expect([world.status, world.output]).toEqual(['Completed', 'x']);
    release(respond(ops(ran('b', 'late'))));
    await world.quiet();
    expect(world.output).toBe('x');
  });

  test('a step alone that is planned', async () => {
    const world = await runOf([ops(planned('a')), each]);
    expect(world.calls.map(({ stepId, body }) => [stepId, body.ctx.disable_immediate_execution])).toEqual([
      ['step', false],
      [A, false],
      ['step', false],
    ]);
  });

  test('77: DiscoveryRequest is followed by a call at once', async () => {
    const world = await runOf([ops({ op: 'DiscoveryRequest', id: A }), done('x')]);
    expect([world.calls.length, world.now]).toEqual([2, NOW]);
  });
});

describe('64: streamed answers', () => {
  const streamed = (document: unknown): Answer => ({ status: 201, text: `   ${JSON.stringify(document)}` });

  test.each([
    [
      'TypeScript: body in text',
      { status: 206, headers: { 'x-inngest-req-version': '2' }, body: JSON.stringify([ran('a', 1)]) },
    ],
    ['Go: body as it is', { status: 206, body: [ran('a', 1)], retryAt: null, noRetry: false, headers: null }],
  ])('%s', async (_, document) => {
    const world = await runOf([streamed(document), streamed({ status: 200, body: '"x"' })]);
    expect(call(world, 1).body.steps).toEqual({ [A]: { data: 1 } });
    expect(world.output).toBe('x');
  });

  test('inner headers and those of Go', async () => {
    const error = JSON.stringify({ name: 'E', message: 'boom' });
    const ts = await runOf([
      streamed({ status: 500, headers: { 'x-inngest-no-retry': 'true' }, body: error }),
    ]);
    const go = await runOf([streamed({ status: 500, body: { message: 'boom' }, noRetry: true })]);
    expect([ts.calls.length, go.calls.length]).toEqual([1, 1]);
    expect([ts.output, go.output]).toMatchObject([{ message: 'boom' }, { message: 'boom' }]);
  });

  test('a connection that breaks is tried again', async () => {
    const world = await runOf([{ status: 201, text: '   ' }, done('x')]);
    expect([world.calls.length, world.output]).toEqual([2, 'x']);
  });
});

describe('what becomes of a run meanwhile', () => {
  test('70: after a cancellation there are no more calls, and an answer is discarded', async () => {
    const handler = stub(() => {
      void world.owner.cancel();
      return ops(ran('a', 1));
    }, done());
    const world: RemoteWorld = RemoteWorld.of(handler);
    await world.start();
    expect([world.status, world.calls.length]).toEqual(['Cancelled', 1]);
  });

  test('a call whose object is lost is made again', async () => {
    let calls = 0;
    const world: RemoteWorld = RemoteWorld.of(
      stub(() => {
        if (calls++ === 0) world.crash();
        return done('x');
      }),
    );
    await world.start();
    await world.toEnd();
    expect([world.output, calls]).toEqual(['x', 2]);
    const [first, second] = world.calls.map(({ body }) => body.ctx);
    expect(second?.generation_id).toBe((first?.generation_id ?? 0) + 1);
    expect(second?.request_id).not.toBe(first?.request_id);
  });

  test('planned steps whose object is lost are called again', async () => {
    const seen: string[] = [];
    const world: RemoteWorld = RemoteWorld.of(
      stub((stepId) => {
        seen.push(stepId);
        if (seen.length === 2) world.crash();
        if (stepId !== 'step') return { body: [{ op: 'StepRun', id: stepId, data: 1 }] };
        return world.owner.settled.length < 2 ? ops(planned('a'), planned('b')) : done('x');
      }),
    );
    await world.start();
    await world.toEnd();
    expect(world.output).toBe('x');
    expect(Object.keys(world.calls.at(-1)?.body.steps ?? {})).toHaveLength(2);
  });

  test('a call that takes too long is given up, and its answer comes too late (LM-2)', async () => {
    const slow: ((answer: Response) => void)[] = [];
    const first = stub(ops(planned('a')), ops(ran('a', 'in time')), done('x'));
    let held = false;
    const world = RemoteWorld.of(
      (request) => {
        if (held || !request.url.includes(A)) return first(request);
        held = true;
        return new Promise<Response>((resolve) => slow.push(resolve));
      },
      { stepRuntime: 60_000 },
    );
    world.isPatient = false;
    await world.start();
    await world.pass(70_000);
    slow[0]?.(respond(ops(ran('a', 'too late'))));
    await world.quiet();
    const last = world.calls.find(({ status }) => status === 200);
    expect(last?.body.steps).toEqual({ [A]: { data: 'in time' } });
    expect((await world.trace())?.steps).toMatchObject([{ status: 'Completed', attempts: 2 }]);
  });
});

describe('checkpoints', () => {
  const junk = { mode: 'x', rawArgs: [{}], hashedId: 'h', promise: {}, fulfilled: true, middleware: {} };

  /** A call in whose course the app tells of steps. */
  async function checkpointing(work: (world: RemoteWorld, call: Recorded['body']['ctx']) => Promise<Answer>) {
    const world: RemoteWorld = RemoteWorld.of(async (request) => {
      const { ctx } = await request.json<Recorded['body']>();
      return respond(await work(world, ctx));
    });
    await world.run();
    return world;
  }

  test('74, 75: steps are saved once, and the next call has them', async () => {
    const results: unknown[] = [];
    const world = await checkpointing(async (run, ctx) => {
      if (run.calls.length > 0) return done('x');
      const steps = [ran('a', 1, junk), ran('b', 2, junk)];
      const one = { requestId: ctx.qi_id, generation: ctx.generation_id, ops: steps };
      results.push(await run.owner.checkpoint('main', one), await run.owner.checkpoint('main', one));
      return ops(op('Sleep', '1s', {}));
    });
    expect(results).toEqual([{ is: 'saved' }, { is: 'saved' }]);
    expect(world.calls.length).toBe(2);
    const { steps, ctx } = call(world, 1).body;
    expect(steps).toEqual({ [A]: { data: 1 }, [hash('b')]: { data: 2 }, [hash('1s')]: null });
    expect(ctx).toMatchObject({ attempt: 0, stack: { current: 3 } });
    expect(JSON.stringify([...world.rows.table.values()])).not.toContain('rawArgs');
  });

  test('74: the attempt is 0 again', async () => {
    const world = await checkpointing(async (run, ctx) => {
      if (run.calls.length === 0) return { status: 500, body: { message: 'boom' } };
      if (run.calls.length > 1) return done('x');
      await run.owner.checkpoint('main', { requestId: ctx.qi_id, ops: [ran('a', 1)] });
      return ops(op('Sleep', '1s', {}));
    });
    expect(world.calls.map(({ body }) => body.ctx.attempt)).toEqual([0, 1, 0]);
  });

  test('74: a call that is made again after a loss may tell of many steps', async () => {
    const results: unknown[] = [];
    let calls = 0;
    const world = await checkpointing(async (run, ctx) => {
      if (calls++ === 0) run.crash();
      else {
        for (const name of ['a', 'b', 'c']) {
          const one = { requestId: ctx.qi_id, generation: ctx.generation_id, ops: [ran(name, 1)] };
          results.push(await run.owner.checkpoint('main', one));
        }
      }
      return done('x');
    });
    expect([world.output, results]).toEqual(['x', [{ is: 'saved' }, { is: 'saved' }, { is: 'saved' }]]);
  });

  test('75: what is no step, and who is not called any more', async () => {
    const results: unknown[] = [];
    await checkpointing(async (run, ctx) => {
      const steps = [ran('a', 1)];
      const mine = { requestId: ctx.qi_id, generation: ctx.generation_id };
      results.push(await run.owner.checkpoint('main', { ...mine, ops: [op('Sleep', '1s', {})] }));
      results.push(await run.owner.checkpoint('main', { ...mine, generation: 0, ops: steps }));
      results.push(await run.owner.checkpoint('main', { requestId: 'other', ops: steps }));
      results.push(await run.owner.checkpoint('other', { ...mine, ops: steps }));
      return done();
    });
    const stale = { is: 'stale' };
    expect(results).toEqual([{ is: 'bad', problem: 'steps: cannot checkpoint "Sleep"' }, stale, stale, null]);
  });
});

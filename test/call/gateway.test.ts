import { describe, expect, test } from 'vitest';
import { callGateway, inferenceInput } from '../../src/call/gateway.ts';
import { limits } from '../../src/protocol/limits.ts';
import type { AIGateway, Gateway } from '../../src/protocol/op.ts';

const NAMES = { Gateway: 'GatewayError', AIGateway: 'AIGatewayError' };
const KEY = 'sk-0123456789"quoted';

const plain: Gateway = {
  op: 'Gateway',
  url: 'https://api.example/items?key=hidden-key',
  method: 'POST',
  headers: { 'content-type': 'application/json', authorization: 'Bearer x' },
  body: '{"n":1}',
};
const inference: AIGateway = {
  op: 'AIGateway',
  url: 'https://ai.example/v1/chat',
  headers: {},
  authKey: KEY,
  format: 'openai-chat',
  body: { model: 'm', messages: [] },
};

/** What comes of the request when it is answered so, and what arrived. */
async function made(
  request: Gateway | AIGateway,
  answer: () => Response | Promise<Response>,
  { isLast = false, timeout = 60_000 } = {},
) {
  const seen: { url: string; method: string; headers: Headers; body: string }[] = [];
  const outcome = await callGateway(request, isLast, {
    allowsPrivate: false,
    timeout,
    fetch: async (sent) => {
      seen.push({
        url: sent.url,
        method: sent.method,
        headers: sent.headers,
        body: await sent.clone().text(),
      });
      return Promise.race([
        answer(),
        new Promise<never>((_, reject) => {
          sent.signal.addEventListener('abort', () => reject(sent.signal.reason as Error));
        }),
      ]);
    },
  });
  const data: unknown = outcome.ok ? JSON.parse(outcome.data) : null;
  return { outcome, data, seen };
}

const json =
  (value: unknown, status = 200, headers = {}) =>
  () =>
    Response.json(value, { status, headers });

describe('a request of step.fetch', () => {
  test('is sent as it is, and its answer is status, headers and text (SF-6, ST-25)', async () => {
    const answer = () =>
      new Response('ünïcode', { status: 201, headers: { 'x-a': '1', 'content-encoding': 'br' } });
    const { data, seen } = await made(plain, answer);
    expect(seen).toMatchObject([{ url: plain.url, method: 'POST', body: '{"n":1}' }]);
    expect(seen[0]?.headers.get('authorization')).toBe('Bearer x');
    expect(data).toEqual({
      url: plain.url,
      status_code: 201,
      headers: { 'content-type': 'text/plain;charset=UTF-8', 'x-a': '1' },
      body: 'ünïcode',
    });
  });

  test('headers with several values are joined (wire 3.11)', async () => {
    const answer = () =>
      new Response('', {
        headers: [
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
        ],
      });
    expect((await made(plain, answer)).data).toMatchObject({ headers: { 'set-cookie': 'a=1, b=2' } });
  });

  test('bytes that are no text come as base64, with a mark (SF-9)', async () => {
    const answer = () => new Response(new Uint8Array([0xff, 0, 1]));
    expect((await made(plain, answer)).data).toMatchObject({ body: '/wAB', encoding: 'base64' });
  });

  test.each([200, 204, 304, 400, 404, 418])('%i is a result at once (SF-8)', async (status) => {
    expect((await made(plain, () => new Response(null, { status }))).data).toMatchObject({
      status_code: status,
    });
  });

  test.each([429, 500, 503, 599])(
    '%i is a failed attempt, but of the last one the result (SF-8)',
    async (status) => {
      const answer = () => new Response('later', { status });
      expect((await made(plain, answer)).outcome).toEqual({
        ok: false,
        final: false,
        error: { name: 'GatewayError', message: `api.example answered ${status}` },
      });
      expect((await made(plain, answer, { isLast: true })).data).toMatchObject({
        status_code: status,
        body: 'later',
      });
    },
  );

  test.each([
    ['7', { in: 7_000 }],
    ['Wed, 21 Oct 2065 07:28:00 GMT', { at: Date.UTC(2065, 9, 21, 7, 28) }],
    ['soon', undefined],
  ])('Retry-After %s is kept to as %j (SF-8)', async (text, retryAfter) => {
    const { outcome } = await made(plain, json({}, 429, { 'retry-after': text }));
    expect(outcome).toMatchObject(retryAfter === undefined ? { ok: false } : { retryAfter });
  });

  test('an answer larger than a step may have fails it for good, without being held (SF-9, LM-3)', async () => {
    let pulled = 0;
    const endless = new ReadableStream({
      pull: (controller) => {
        pulled += 1_000_000;
        controller.enqueue(new Uint8Array(1_000_000));
      },
    });
    const { outcome } = await made(plain, () => new Response(endless));
    expect(outcome).toMatchObject({
      ok: false,
      final: true,
      error: { message: expect.stringContaining('larger than') },
    });
    expect(pulled).toBeLessThan(2 * limits.outputBytes);
  });
});

describe.each([plain, inference] as const)('$op', (request) => {
  test('without an answer the attempt has failed, the last one too; no address is told (SF-8, AI-9)', async () => {
    const lost = () => Promise.reject(new Error(`connect failed: ${request.url}`));
    for (const isLast of [false, true]) {
      const { outcome } = await made(request, lost, { isLast });
      expect(outcome).toMatchObject({ ok: false, final: false, error: { name: NAMES[request.op] } });
      expect(JSON.stringify(outcome)).toContain(new URL(request.url).host);
      expect(JSON.stringify(outcome)).not.toContain('hidden-key');
    }
  });

  test('has no longer than the deployment gives it (SF-5)', async () => {
    const { outcome } = await made(request, () => new Promise<Response>(() => {}), { timeout: 5 });
    expect(outcome).toMatchObject({ ok: false, final: false });
    expect(JSON.stringify(outcome)).toContain('did not answer within 5 ms');
  });

  test('to a private address fails for good, and nothing is sent (SF-10)', async () => {
    const { outcome, seen } = await made({ ...request, url: 'http://192.168.0.1/' }, json({}));
    expect(outcome).toMatchObject({ ok: false, final: true, error: { name: NAMES[request.op] } });
    expect(seen).toEqual([]);
  });
});

describe('an inference', () => {
  test.each<[Partial<AIGateway>, Record<string, string>, string]>([
    [{}, { authorization: `Bearer ${KEY}` }, ''],
    [{ format: 'openai-responses' }, { authorization: `Bearer ${KEY}` }, ''],
    [{ format: 'grok' }, { authorization: `Bearer ${KEY}` }, ''],
    [{ format: 'bedrock' }, { authorization: KEY }, ''],
    [
      { format: 'anthropic', headers: { 'anthropic-version': '1' } },
      { 'x-api-key': KEY, 'anthropic-version': '1' },
      '',
    ],
    [{ format: 'azure-openai', headers: { 'api-key': KEY } }, { 'api-key': KEY }, ''],
    [{ format: 'gemini', authKey: 'gemini-key' }, {}, '?key=gemini-key'],
    [{ format: 'gemini', url: `${inference.url}?key=own` }, {}, '?key=own'],
    [{ headers: { Authorization: 'Own x' } }, { authorization: 'Own x' }, ''],
    [{ authKey: '' }, {}, ''],
  ])('%j is sent with %j (AI-4 to AI-6)', async (change, headers, query) => {
    const { seen } = await made({ ...inference, ...change }, json({}));
    const [sent] = seen;
    expect(sent?.url).toBe(`${inference.url}${query}`);
    expect(sent).toMatchObject({ method: 'POST', body: '{"model":"m","messages":[]}' });
    expect(Object.fromEntries(sent?.headers ?? [])).toEqual({
      'content-type': 'application/json',
      ...headers,
    });
  });

  test('resolves with the provider’s JSON, in which no key is left (AI-5, AI-7)', async () => {
    const { data } = await made(inference, json({ id: 'x', echo: `Bearer ${KEY}` }));
    expect(data).toEqual({ id: 'x', echo: 'Bearer [hidden]' });
  });

  test.each([
    [400, true],
    [401, true],
    [429, false],
    [500, false],
    [529, false],
  ])('%i fails with what the provider says, for good: %j (AI-9)', async (status, final) => {
    const { outcome } = await made(inference, json({ error: { message: `no such key: ${KEY}` } }, status));
    expect(outcome).toMatchObject({
      ok: false,
      final,
      error: { name: 'AIGatewayError', message: `ai.example answered ${status}: no such key: [hidden]` },
    });
  });

  test.each([
    ['{"error":"overloaded"}', ': overloaded'],
    ['[{"error":{"message":"quota"}}]', ': quota'],
    ['<html>', ''],
    ['null', ''],
  ])('of the error %j it tells %j', async (text, told) => {
    const { outcome } = await made(inference, () => new Response(text, { status: 500 }));
    expect(outcome).toMatchObject({ error: { message: `ai.example answered 500${told}` } });
  });

  test('without JSON the attempt has failed', async () => {
    expect((await made(inference, () => new Response('<html>'))).outcome).toMatchObject({
      ok: false,
      final: false,
    });
  });

  test('cannot be streamed (AI-10)', async () => {
    const { outcome, seen } = await made({ ...inference, body: { stream: true } }, json({}));
    expect(outcome).toMatchObject({ ok: false, final: true });
    expect(seen).toEqual([]);
  });

  test('is shown with its prompt and model, without keys and query (AI-7, AI-8)', () => {
    const shown = inferenceInput({
      ...inference,
      url: 'https://ai.example/v1/chat?key=gemini-key',
      body: { model: 'm', prompt: `tell me about ${KEY} and gemini-key and header-key` },
      headers: { 'x-goog-api-key': 'header-key' },
    });
    expect(JSON.parse(shown)).toEqual({
      format: 'openai-chat',
      url: 'https://ai.example/v1/chat',
      body: { model: 'm', prompt: 'tell me about [hidden] and [hidden] and [hidden]' },
    });
  });
});

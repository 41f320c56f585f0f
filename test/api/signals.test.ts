import { describe, expect, test } from 'vitest';
import { limits } from '../../src/protocol/limits.ts';
import { apiWorld, AUTH, type Answer } from './world.ts';

const RUN = '01M7WXFQAFP2GKSNRCGWR5T65W';

function world() {
  const w = apiWorld();
  w.signals.waiting.set('task/1', RUN);
  const post = async (body: string, headers: Record<string, string> = AUTH) => {
    const response = await w.call('POST', '/v1/signals', { headers, body });
    return { status: response.status, body: (await response.json()) as Answer };
  };
  return { ...w, post };
}

describe('POST /v1/signals', () => {
  test('answers the run that gets it, in both places, and a miss with 404 (RA-22, wire 9.4)', async () => {
    const w = world();
    const { status, body } = await w.post('{"signal":"task/1","data":{"ok":true}}');
    expect([status, body]).toMatchObject([200, { data: { run_id: RUN }, run_id: RUN, metadata: {} }]);
    expect(w.signals.sent).toMatchObject([
      { env: 'production', signal: 'task/1', sent: { answer: '{"signal":"task/1","data":{"ok":true}}' } },
    ]);
    expect(await w.post('{"signal":"other"}')).toEqual({
      status: 404,
      body: { error: 'No signal found', data: null, status: 404 },
    });
  });

  test('each request is an act of sending of its own', async () => {
    const w = world();
    for (let n = 0; n < 2; n++) await w.post('{"signal":"task/1"}');
    const [first, second] = w.signals.sent;
    expect(first?.sent.answer).toBe('{"signal":"task/1","data":null}');
    expect(first?.sent.id).not.toBe(second?.sent.id);
  });

  test.each([
    ['', /^the body is not valid JSON$/],
    ['{', /^the body is not valid JSON$/],
    ['[]', /^the body: expected an object$/],
    ['{"data":1}', /^signal: expected a text$/],
    ['{"signal":5}', /^signal: expected a text$/],
    ['{"signal":""}', /^signal: expected a name$/],
    [JSON.stringify({ signal: 'x'.repeat(1_025) }), /^signal: longer than 1024 characters$/],
    [JSON.stringify({ signal: 'x', data: 'y'.repeat(limits.signalText) }), /^data: longer than 600000/],
    [
      `{"signal":"x","data":${'['.repeat(2_000)}${']'.repeat(2_000)}}`,
      /^the body nests deeper than 1000 levels$/,
    ],
  ])('refuses %.40j and says what is wrong with it', async (text, message) => {
    const w = world();
    const { status, body } = await w.post(text);
    expect([status, body.error]).toEqual([400, expect.stringMatching(message)]);
    expect(w.signals.sent).toEqual([]);
  });

  test('is closed without a key', async () => {
    expect((await world().post('{"signal":"task/1"}', {})).status).toBe(401);
  });
});

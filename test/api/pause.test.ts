import { describe, expect, test } from 'vitest';
import { functionConfig } from '../../src/protocol/function.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { NOW } from '../ingest/world.ts';
import { type Answer, apiWorld, AUTH } from './world.ts';

const SINCE = new Date(NOW).toISOString();

function pauseWorld() {
  const w = apiWorld();
  const own = functionConfig.parse({ id: 'app-fn', name: 'fn', triggers: [{ event: 'a/b' }] });
  w.deps.functions = createRegistry(w.deps.apps, { environment: 'production', configs: [own] }, w.deps.clock);
  const post = async (path: string, body?: string): Promise<{ status: number; body: Answer }> => {
    const response = await w.call('POST', path, { headers: AUTH, ...(body === undefined ? {} : { body }) });
    return { status: response.status, body: (await response.json()) as Answer };
  };
  const shown = async () => (await w.get('/v2/apps/app/functions/fn')).body.data.paused;
  const cancellations = () => w.deps.cancellations.list('production', 10);
  return { ...w, post, shown, cancellations };
}

describe('POST /v1/functions/:id/pause', () => {
  test('holds the runs under way unless told otherwise, and is taken back (PA-1, PA-4, PA-5)', async () => {
    const w = pauseWorld();
    const paused = { since: SINCE, runs: 'hold' };
    const answer = await w.post('/v1/functions/app-fn/pause');
    expect(answer).toMatchObject({ status: 200, body: { data: { function_slug: 'app-fn', paused } } });
    expect(await w.shown()).toMatchObject(paused);
    expect(await w.cancellations()).toEqual([]);
    expect((await w.post('/v1/functions/app-fn/resume')).body.data).toMatchObject({ paused: null });
    expect(await w.shown()).toBeNull();
  });

  test('cancels them at once if asked to (PA-4, PA-6)', async () => {
    const w = pauseWorld();
    const answer = await w.post('/v1/functions/app-fn/pause', '{"runs":"cancel"}');
    expect(answer.body.data).toMatchObject({ paused: { runs: 'cancel' } });
    expect(await w.cancellations()).toMatchObject([
      { functionId: 'app-fn', startedAfter: null, startedBefore: NOW + 1 },
    ]);
  });

  test.each(['{"runs":"secret"}', '{"mode":"hold"}', '[]', 'secret'])(
    'refuses what it does not know: %s',
    async (body) => {
      const w = pauseWorld();
      const answer = await w.post('/v1/functions/app-fn/pause', body);
      expect(answer.status).toBe(400);
      expect(JSON.stringify(answer.body)).not.toContain('secret');
      expect(await w.shown()).toBeNull();
    },
  );

  test.each(['pause', 'resume'])('knows no function that there is not: %s', async (what) => {
    const w = pauseWorld();
    expect((await w.post(`/v1/functions/app-none/${what}`)).status).toBe(404);
  });
});

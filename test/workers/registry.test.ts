/** Apps that register with the real Worker: what they serve is planned, invoked, ticked and cancelled like what is embedded. */
import { env, exports } from 'cloudflare:workers';
import { afterEach, describe, expect, test } from 'vitest';
import { d1Apps } from '../../src/store/apps.ts';
import { wireFunction } from '../registry/bodies.ts';
import { calm, runsOf, send, storedText, stubOf, timeStandsStill, traceOf, unique, until } from './world.ts';

timeStandsStill();

const HEADERS = { 'x-inngest-sdk': 'inngest-js:v4.24.0' };

/** An app of its own for each test. */
function anApp(...functions: ((id: string) => Record<string, unknown>)[]) {
  const appName = unique('far');
  const body = {
    appName,
    url: `http://localhost:3000/${appName}/api/inngest`,
    sdk: 'js:v4.24.0',
    functions: functions.map((make, n) => make(`${appName}-f${n}`)),
  };
  const register = async (change: object = {}) => {
    const answer = await exports.default.fetch('https://stepwell.test/fn/register', {
      method: 'POST',
      headers: HEADERS,
      body: JSON.stringify({ ...body, ...change }),
    });
    if (answer.status !== 200) throw new Error(await answer.text());
    return answer.json<{ modified: boolean }>();
  };
  return { appName, register };
}

const on =
  (event: string, options: object = {}) =>
  (id: string) =>
    wireFunction({ triggers: [{ event }], ...options }, id);

/** Ids of the runs that an event has started, once it is dispatched. */
async function started(internalId: string): Promise<string[]> {
  await until(async () => {
    const row = await env.DB.prepare('select dispatched_at as at from event where internal_id = ?')
      .bind(internalId)
      .first<{ at: number | null }>();
    return row?.at ?? null;
  }, 'the dispatch of the event');
  return (await runsOf(internalId)).map(({ run_id }) => run_id);
}

/** Whether the timers of the environment know of the function. */
async function isTimed(functionId: string): Promise<boolean> {
  return (await storedText(env.CRON.get(env.CRON.idFromName('dev')))).includes(functionId);
}

afterEach(async () => {
  // Nothing of one test may listen in another one.
  const apps = d1Apps(env.DB);
  for (const { id } of (await apps.load('dev'))?.apps ?? []) await apps.setArchived('dev', id, 0);
});

describe('an app that registers', () => {
  test('has its functions started by the very next event, and not any more when they are gone (wire 2.5, FN-12)', async () => {
    const name = unique('far/event');
    const { register } = anApp(on(name), on(name));
    const before = await send({ name });
    expect(await started(before[0] ?? '')).toEqual([]);
    expect(await register()).toMatchObject({ modified: true });
    expect(await register()).toMatchObject({ modified: false });
    const [second = ''] = await send({ name });
    expect(await started(second)).toHaveLength(2);
    await register({ functions: [] });
    const [third = ''] = await send({ name });
    expect(await started(third)).toEqual([]);
  });

  test('has each run frozen with the configuration that it was started with (FN-11)', async () => {
    const name = unique('far/event');
    const { register } = anApp(
      on(name, { retries: 2, cancel: [{ event: 'far/cancel' }], timeouts: { finish: '1h' } }),
    );
    await register();
    const [first = ''] = await send({ name });
    const [runId = ''] = await started(first);
    await register({ functions: [] });
    const stored = JSON.stringify(JSON.parse(await storedText(stubOf(runId)))).replaceAll('\\', '');
    expect(stored).toContain('"maxAttempts":3');
    expect(stored).toContain('"event":"far/cancel"');
    expect(stored).toContain('"finishWithin":3600000');
  });

  test('that is archived starts nothing (AP-46)', async () => {
    const name = unique('far/event');
    const { register, appName } = anApp(on(name));
    await register();
    const url = `https://stepwell.test/v2/apps/${appName}/archive`;
    expect((await exports.default.fetch(url, { method: 'POST' })).status).toBe(200);
    const [id = ''] = await send({ name });
    expect(await started(id)).toEqual([]);
  });

  test('has its schedules planned at once, and dropped when they are gone (CR-14)', async () => {
    const { register, appName } = anApp((id) => wireFunction({ triggers: [{ cron: '0 9 * * 1' }] }, id));
    await register();
    expect(await isTimed(`${appName}-f0`)).toBe(true);
    await register({ functions: [] });
    expect(await isTimed(`${appName}-f0`)).toBe(false);
  });

  test('is cancelled by its events like any other (CX-1)', async () => {
    const name = unique('far/event');
    const cancel = unique('far/cancel');
    const { register } = anApp(on(name, { cancel: [{ event: cancel }] }));
    await register();
    const [id = ''] = await send({ name });
    const [runId = ''] = await started(id);
    await calm(runId);
    await send({ name: cancel });
    await until(
      async () => ((await traceOf(runId)).status === 'Cancelled' ? true : null),
      'the cancellation',
    );
  });
});

test('the engine lists what is registered to SDKs that look for it (wire 1.3)', async () => {
  const { register, appName } = anApp(on('far/listed'));
  await register();
  const answer = await exports.default.fetch('https://stepwell.test/dev');
  const { functions } = await answer.json<{ functions: { slug: string }[] }>();
  expect(functions.map(({ slug }) => slug)).toEqual(
    expect.arrayContaining([`${appName}-f0`, 'test-program', 'test-timer']),
  );
});

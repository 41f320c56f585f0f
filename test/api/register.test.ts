/** `POST /fn/register` from outside. */
import { beforeEach, describe, expect, test } from 'vitest';
import { consumeEvents } from '../../src/dispatch/consume.ts';
import { appUuid } from '../../src/protocol/uuids.ts';
import { idAt, stored } from '../ingest/world.ts';
import { TestMessage } from '../dispatch/world.ts';
import { go, python, typescript, typescript3, wireFunction } from '../registry/bodies.ts';
import { apiWorld, AUTH, type Answer } from './world.ts';

let world: ReturnType<typeof apiWorld>;
let events = 0;
const dev = () => apiWorld({ dev: true, eventKeys: [], signingKeys: [] });
const ENV = 'dev';

async function register(
  body: unknown,
  headers: Record<string, string> = {},
  path = '/fn/register',
): Promise<{ status: number; body: Answer }> {
  const response = await world.call('POST', path, {
    headers: { 'x-inngest-sdk': 'inngest-js:v4.24.0', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Answer };
}

const ids = async (): Promise<string[]> =>
  (await world.functions.list(ENV)).flatMap(({ config, app }) => (app === null ? [] : [config.id]));

/** The functions that an event starts now. */
async function started(name: string): Promise<string[]> {
  world.runs.started.clear();
  const internalId = idAt(++events);
  await consumeEvents([new TestMessage({ events: [stored(internalId, { env: ENV, name })] })], world);
  return [...world.runs.started.values()].map(({ functionId }) => functionId);
}

beforeEach(() => {
  world = dev();
});

describe('a registration', () => {
  test.each([
    ['TypeScript v4', typescript, ['app4-kitchen', 'app4-kitchen-failure']],
    ['TypeScript v3', typescript3, ['shop-pay']],
    ['Python', python, ['py-app-hello']],
    ['Go', go, ['go-app-work']],
  ])(
    'of %s is taken, and its repeat changes nothing (cases 9 to 11, AP-15, AP-24)',
    async (_, body, functions) => {
      const first = await register(body);
      const id = 'appName' in body ? body.appName : body.appname;
      const { sync_id } = first.body;
      expect(sync_id).toMatch(/^[0-9a-f-]{36}$/);
      expect(first).toEqual({
        status: 200,
        body: { ok: true, modified: true, sync_id, app_id: appUuid(ENV, id) },
      });
      expect(await ids()).toEqual(functions);
      expect((await register(body)).body).toEqual({
        ok: true,
        modified: false,
        sync_id,
        app_id: appUuid(ENV, id),
      });
    },
  );

  test('is told apart from the former one by whatever it changes (AP-24)', async () => {
    await register(typescript3);
    const changes = [
      { appVersion: '2' },
      { sdk: 'js:v3.54.3' },
      { url: 'https://other.example/api/inngest' },
      { functions: [wireFunction({ retries: 1 })] },
      { functions: [wireFunction(), wireFunction({}, 'shop-more')] },
      { functions: [] },
    ];
    for (const change of changes) {
      expect((await register({ ...typescript3, ...change })).body).toMatchObject({
        ok: true,
        modified: true,
      });
      expect((await register({ ...typescript3, ...change })).body).toMatchObject({
        ok: true,
        modified: false,
      });
    }
  });

  test('of an app that is served from two paths is known from both (AP-15, AP-38)', async () => {
    const other = {
      ...typescript3,
      url: 'https://shop.example/x/inngest',
      functions: [wireFunction({}, 'shop-more')],
    };
    for (const modified of [true, false, false]) {
      expect((await register(typescript3)).body).toMatchObject({ modified });
      expect((await register(other)).body).toMatchObject({ modified });
    }
    expect(await ids()).toEqual(['shop-pay', 'shop-more']);
  });

  test('names the sync that asked for it (AP-23, case 20)', async () => {
    const { body } = await register(typescript, {}, '/fn/register?deployId=e1b2');
    expect(body).toMatchObject({ ok: true, sync_id: 'e1b2' });
  });

  test('is found through doubled slashes, as Go joins them (wire 1.2)', async () => {
    expect((await register(go, {}, '//fn//register')).status).toBe(200);
  });

  test('has its schedules compared, also when it changes nothing (CR-14)', async () => {
    await register(typescript);
    await register(typescript);
    expect(world.crons.synced).toEqual([ENV, ENV]);
  });

  test('stands when the schedules cannot be told of it', async () => {
    world.crons.fails = true;
    expect((await register(typescript)).body).toMatchObject({ ok: true, modified: true });
    expect(world.log.lines).toMatchObject([{ message: 'registry: news were not passed on' }]);
  });
});

describe('what apps serve', () => {
  const shop = { ...typescript3, functions: [wireFunction()] };

  test('is started by the events that are dispatched after the answer (case 15)', async () => {
    expect(await started('shop/paid')).toEqual([]);
    await register(shop);
    expect(await started('shop/paid')).toEqual(['shop-pay']);
    await register({ ...shop, functions: [] });
    expect(await started('shop/paid')).toEqual([]);
  });

  test('is started side by side, whoever serves it (AP-5, FN-35)', async () => {
    await register(shop);
    const other = { ...shop, appName: 'mail', url: 'https://mail.example/api/inngest' };
    await register({ ...other, functions: [wireFunction({}, 'mail-thank')] });
    expect((await started('shop/paid')).toSorted()).toEqual(['mail-thank', 'shop-pay']);
  });

  test('knows with which functions it was planned', async () => {
    await register(shop);
    await started('shop/paid');
    const { version } = await world.functions.load(ENV);
    expect([...world.runs.started.values()]).toMatchObject([{ registry: version }]);
  });

  test('is served by one app only: the other one is refused, and nothing of it is taken (FN-8)', async () => {
    await register({ ...typescript3, appName: 'a-b', functions: [wireFunction({}, 'a-b-c')] });
    const answer = await register({
      ...typescript3,
      appName: 'a',
      functions: [wireFunction({}, 'a-b-c'), wireFunction({}, 'a-d')],
    });
    expect(answer.status).toBe(400);
    expect(answer.body.error).toContain('a-b-c: id: the app "a-b" has a function of this id');
    expect(await ids()).toEqual(['a-b-c']);
  });

  test('may not have the id of a function of the engine itself (FN-8)', async () => {
    const answer = await register({ ...typescript3, functions: [wireFunction({}, 'app-f')] });
    expect(answer.body).toMatchObject({ status: 400 });
    expect(answer.body.error).toContain('app-f: id: the engine itself has a function of this id');
  });
});

describe('a registration is refused', () => {
  test.each([
    ['that is no JSON', '{', 'Invalid request: the body is not valid JSON'],
    ['without an app', { ...typescript3, appName: '' }, 'App ID required'],
    [
      'with functions that are wrong',
      { ...typescript3, functions: [{}] },
      'At least one function is invalid',
    ],
  ])('%s, with the status in the body (wire 2.6, AP-25, cases 12 and 13)', async (_, body, error) => {
    const answer = await register(body);
    const { error: text, ...rest } = answer.body;
    expect(text.split('\n')[0]).toBe(error);
    expect(rest).toEqual({ data: null, status: 400 });
    expect(answer.status).toBe(400);
  });

  test('for one bad function as a whole (AP-25a)', async () => {
    await register({
      ...typescript3,
      functions: [wireFunction(), wireFunction({ retries: -1 }, 'shop-bad')],
    });
    expect(await ids()).toEqual([]);
  });

  test('from an SDK with a security advisory, under its code (wire 2.6)', async () => {
    const { body } = await register({ ...typescript3, sdk: 'js:v3.40.0' });
    expect(body).toMatchObject({ code: 'sdk_version_denied', data: null, status: 400 });
  });

  test('when it was meant for the other kind of server (AP-26, case 14)', async () => {
    const { status, body } = await register(typescript, { 'x-inngest-expected-server-kind': 'cloud' });
    expect(status).toBe(400);
    expect(body).toEqual({ error: 'Expected server kind cloud, got dev', data: null, status: 400 });
    expect((await register(typescript, { 'x-inngest-expected-server-kind': 'dev' })).status).toBe(200);
  });

  test('without the SDK that it comes from (AP-20)', async () => {
    expect((await register(typescript, { 'x-inngest-sdk': '' })).body).toMatchObject({ status: 400 });
  });

  test('when it is larger than four megabytes', async () => {
    const { status, body } = await register({
      ...typescript,
      featureObservations: 'x'.repeat(4 * 1024 * 1024),
    });
    expect(status).toBe(413);
    expect(body).toMatchObject({ status: 413 });
  });

  test('when the database is down, without a word of its own, and a repeat is taken', async () => {
    world.deps.apps = { ...world.apps, sync: () => Promise.reject(new Error('secret-value')) };
    const { status, body } = await register(typescript);
    expect(status).toBe(500);
    expect(body).toEqual({ error: 'internal error', status: 500 });
    expect(await ids()).toEqual([]);
    world.deps.apps = world.apps;
    expect((await register(typescript)).body).toMatchObject({ ok: true, modified: true });
  });
});

describe('in a deployment with keys', () => {
  beforeEach(() => {
    world = apiWorld();
  });

  test('a registration needs one of them (AP-19, wire 2.6)', async () => {
    const body = { ...typescript3 };
    expect(await register(body)).toEqual({
      status: 401,
      body: { error: 'Unauthorized', data: null, status: 401 },
    });
    expect((await register(body, AUTH)).body).toMatchObject({ ok: true, modified: true });
    expect((await world.functions.list('production')).map(({ config }) => config.id)).toContain('shop-pay');
  });

  test('an app at an address that may not be called is refused (AP-28)', async () => {
    const { body } = await register({ ...typescript3, url: 'https://10.0.0.1/api/inngest' }, AUTH);
    expect(body).toMatchObject({ status: 400 });
    expect(body.error).toMatch(/^Invalid request: url: 10\.0\.0\.1 is not a public address/);
  });
});

describe('in a branch environment', () => {
  const key = { authorization: 'Bearer signkey-branch-abcdabcd' };
  beforeEach(() => {
    world = apiWorld({ branch: { eventKeys: ['branch-key'], signingKeys: ['signkey-branch-abcdabcd'] } });
  });

  test('a registration stays there (ENV-2, ENV-6, XL-63)', async () => {
    expect((await register(typescript3, { ...key, 'x-inngest-env': 'feature/x' })).body.modified).toBe(true);
    expect((await register(typescript3, { ...key, 'x-inngest-env': 'feature/y' })).body.modified).toBe(true);
    const there = await world.functions.list('branch/feature/x');
    expect(there.map(({ config }) => config.id)).toEqual(['shop-pay']);
    expect((await world.functions.list('production')).map(({ config }) => config.id)).toEqual(['app-f']);
  });

  test('a registration without its name is refused (ENV-11)', async () => {
    const { status, body } = await register(typescript3, key);
    expect({ status, error: body.error as string }).toEqual({
      status: 400,
      error: 'x-inngest-env: expected the name of a branch (ENV-11)',
    });
  });
});

test('the engine says on every answer which kind it is (wire 1.4)', async () => {
  for (const path of ['/fn/register', '/nowhere', '/dev']) {
    const response = await world.call('POST', path);
    expect(response.headers.get('x-inngest-server-kind')).toBe('dev');
  }
});

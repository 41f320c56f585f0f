/** Apps as the API shows them, and syncs that the engine asks for: the apps answer as SDKs do (wire 2.2, 2.7). */
import { describe, expect, test } from 'vitest';
import { sign } from '../../src/protocol/signature.ts';
import { appUuid, functionUuid } from '../../src/protocol/uuids.ts';
import { go, typescript, typescript3, wireFunction } from '../registry/bodies.ts';
import { type Answer, apiWorld, AUTH, SIGNING_KEY } from './world.ts';

type World = ReturnType<typeof apiWorld>;

const URL_OF_SHOP = 'https://shop.example/api/inngest';
const dev = () => apiWorld({ dev: true, eventKeys: [], signingKeys: [] });

async function ask(
  w: World,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; body: Answer }> {
  const response = await w.call(method, path, {
    headers: AUTH,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Answer };
}

async function register(w: World, body: object): Promise<void> {
  const headers = { ...AUTH, 'x-inngest-sdk': 'inngest-js:v4.24.0' };
  const response = await w.call('POST', '/fn/register', { headers, body: JSON.stringify(body) });
  if (response.status !== 200) throw new Error(`not registered: ${await response.text()}`);
}

interface Seen {
  method: string;
  url: string;
  headers: Headers;
  body: string;
}

/** An app that answers so, and what was asked of it. */
function app(w: World, answer: (seen: Seen) => Response | Promise<Response>): Seen[] {
  const asked: Seen[] = [];
  w.answers.fetch = async (request) => {
    const { method, url, headers } = request;
    const seen = { method, url, headers, body: await request.text() };
    asked.push(seen);
    return answer(seen);
  };
  return asked;
}

const SDK = { 'x-inngest-sdk': 'inngest-js:v4.24.0' };

/** What an SDK answers to an in-band sync. */
function inBand(w: World, change: object = {}, key = SIGNING_KEY): Response {
  const { appName: app_id, sdk: _, ...rest } = typescript3;
  const text = JSON.stringify({
    ...rest,
    app_id,
    sdk_author: 'inngest',
    sdk_language: 'js',
    sdk_version: '3.54.2',
    ...change,
  });
  return new Response(text, {
    headers: {
      ...SDK,
      'x-inngest-sync-kind': 'in_band',
      'x-inngest-signature': sign(key, text, w.clock.now()),
    },
  });
}

const syncShop = (w: World, url = URL_OF_SHOP) => ask(w, 'POST', '/v2/apps/shop/syncs', { url });
const ids = async (w: World, env = 'production') =>
  (await w.functions.list(env)).flatMap(({ config, app: remote }) => (remote === null ? [] : [config.id]));

describe('a sync that a deployment asks for', () => {
  test('is signed and in-band, and the answer is all that the app serves (AP-30, AP-31, XL-59)', async () => {
    const w = apiWorld();
    const asked = app(w, () => inBand(w));
    const { status, body } = await syncShop(w);
    expect(status).toBe(200);
    expect(body.data).toMatchObject({ app: 'shop', modified: true });
    expect(await ids(w)).toEqual(['shop-pay']);
    const text = JSON.stringify({ url: URL_OF_SHOP });
    expect(asked).toMatchObject([{ method: 'PUT', url: URL_OF_SHOP, body: text }]);
    expect(Object.fromEntries(asked[0]?.headers ?? [])).toMatchObject({
      'content-type': 'application/json',
      'x-inngest-server-kind': 'cloud',
      'x-inngest-sync-kind': 'in_band',
      'x-inngest-signature': sign(SIGNING_KEY, text, w.clock.now()),
    });
    expect((await syncShop(w)).body.data).toMatchObject({ app: 'shop', modified: false });
  });

  test('is repeated where the app was, if no URL is named; under /api/v2 too (AP-42)', async () => {
    const w = apiWorld();
    await register(w, typescript3);
    const asked = app(w, () => inBand(w));
    expect((await ask(w, 'POST', '/api/v2/apps/shop/syncs')).status).toBe(200);
    expect(asked.map(({ url }) => url)).toEqual([URL_OF_SHOP]);
    expect(await ask(w, 'POST', '/v2/apps/nobody/syncs')).toMatchObject({
      status: 404,
      body: { errors: [{ code: 'not_found' }] },
    });
  });

  test('takes an answer with the fallback key too, and none of anybody else (XL-44, XL-47)', async () => {
    const w = apiWorld({ signingKeys: [SIGNING_KEY, 'signkey-prod-ffff'] });
    app(w, () => inBand(w, {}, 'signkey-prod-ffff'));
    expect((await syncShop(w)).status).toBe(200);
    app(w, () => inBand(w, { functions: [] }, 'signkey-prod-eeee'));
    expect(await syncShop(w)).toMatchObject({
      status: 422,
      body: { errors: [{ code: 'sync_failed', message: expect.stringMatching(/not signed/) as string }] },
    });
    expect(await ids(w)).toEqual(['shop-pay']);
  });

  test('of an app that registers by itself all the same waits for that (AP-33)', async () => {
    const w = apiWorld();
    app(w, async () => {
      await register(w, typescript3);
      const headers = { ...SDK, 'x-inngest-sync-kind': 'out_of_band' };
      return Response.json({ message: 'Successfully registered', modified: true }, { headers });
    });
    expect((await syncShop(w)).body.data).toMatchObject({ app: 'shop', modified: true });
  });

  test.each<[string, (w: World) => Response, RegExp]>([
    [
      'does not trust this engine',
      () =>
        Response.json(
          { code: 'sig_verification_failed' },
          { status: 401, headers: { 'x-inngest-sdk-handled': 'true' } },
        ),
      /another signing key/,
    ],
    ['is no SDK', () => new Response('<html>', { status: 200 }), /no SDK answered there \(status 200\)/],
    [
      'fails',
      () => Response.json({ message: 'boom' }, { status: 500, headers: SDK }),
      /^the app answered 500: boom$/,
    ],
    [
      'says that it failed, under 200',
      () => Response.json({ error: 'no server' }, { headers: SDK }),
      /no server/,
    ],
    ['redirects', () => Response.redirect('https://10.0.0.1/'), /redirects/],
    ['never stops', () => new Response('x'.repeat(5_000_000), { headers: SDK }), /more than/],
    [
      'has a bad function',
      (w) => inBand(w, { functions: [wireFunction({ retries: -1 })] }),
      /At least one function is invalid\nshop-pay: retries/,
    ],
    ['reports another address', (w) => inBand(w, { url: 'https://10.0.0.1/' }), /not a public address/],
  ])('of an app that %s fails with the reason, and changes nothing (AP-39)', async (_, answer, reason) => {
    const w = apiWorld();
    await register(w, typescript3);
    app(w, () => answer(w));
    const { status, body } = await syncShop(w);
    expect(status).toBe(422);
    expect(body.errors[0].message).toMatch(reason);
    expect(await ids(w)).toEqual(['shop-pay']);
  });

  test('of an app that cannot be reached fails, without what the platform says of it', async () => {
    const w = apiWorld();
    app(w, () => Promise.reject(new Error('secret-value')));
    expect((await syncShop(w)).body.errors).toEqual([
      { code: 'sync_failed', message: 'the app could not be reached' },
    ]);
  });

  test('goes to no private address', async () => {
    const w = apiWorld();
    const asked = app(w, () => inBand(w));
    for (const url of ['https://127.0.0.1/', 'http://shop.example/', 'ftp://a/', 'nonsense']) {
      expect((await syncShop(w, url)).status).toBe(422);
    }
    expect(asked).toEqual([]);
  });

  test('goes by a service binding that the URL names', async () => {
    const w = apiWorld();
    const url = 'http://orders.binding/api/inngest';
    const asked = app(w, () => inBand(w, { url }));
    expect((await syncShop(w, url)).status).toBe(200);
    expect(asked).toHaveLength(1);
    expect(await w.functions.find('production', 'shop-pay')).toMatchObject({
      app: { url, binding: 'orders' },
    });
  });

  test.each(['{', '{"url":7}', 'null'])('with the body %s is refused', async (body) => {
    const w = apiWorld();
    const response = await w.call('POST', '/v2/apps/shop/syncs', { headers: AUTH, body });
    expect(response.status).toBe(400);
  });

  test('needs a signing key', async () => {
    const w = apiWorld();
    const response = await w.call('POST', '/v2/apps/shop/syncs', { body: '{}' });
    expect(response.status).toBe(401);
  });
});

describe('a sync in development', () => {
  test('asks the app to register by itself, unsigned, and is tied to that (AP-23, AP-32a, XL-60)', async () => {
    const w = dev();
    const asked = app(w, async ({ url }) => {
      const deployId = new URL(url).searchParams.get('deployId') ?? '';
      const answer = await w.call('POST', `/fn/register?deployId=${deployId}`, {
        headers: SDK,
        body: JSON.stringify({ ...go, url }),
      });
      expect(await answer.json()).toMatchObject({ sync_id: deployId });
      return new Response(null, { headers: { ...SDK, 'x-inngest-sync-kind': 'out_of_band' } });
    });
    const url = 'http://localhost:9000/api/inngest';
    const { body } = await ask(w, 'POST', '/v2/apps/go-app/syncs', { url });
    expect(body.data).toMatchObject({ app: 'go-app', modified: null });
    expect(asked).toMatchObject([{ method: 'PUT', body: JSON.stringify({ url }) }]);
    const headers = Object.fromEntries(asked[0]?.headers ?? []);
    expect(headers).toMatchObject({ 'x-inngest-server-kind': 'dev' });
    expect(headers).not.toHaveProperty('x-inngest-signature');
    expect(headers).not.toHaveProperty('x-inngest-sync-kind');
    expect(await ids(w, 'dev')).toEqual(['go-app-work']);
  });
});

describe('how an app is doing (AP-43, SR-3, SR-9)', () => {
  const check = async (w: World): Promise<Answer> => (await ask(w, 'GET', '/v2/apps/shop/check')).body.data;

  test('is asked with a signed request, and with one that only a friend can answer', async () => {
    const w = apiWorld();
    await register(w, typescript3);
    const asked = app(w, ({ method }) => {
      const text = method === 'GET' ? '{"function_count":1,"mode":"cloud"}' : '';
      return new Response(text, {
        headers: { ...SDK, 'x-inngest-signature': sign(SIGNING_KEY, text, w.clock.now()) },
      });
    });
    expect(await check(w)).toEqual({
      status: 200,
      sdk: 'inngest-js:v4.24.0',
      mode: 'cloud',
      functions: 1,
      trusted: true,
      problems: [],
    });
    expect(
      asked.map(({ method, url, body, headers }) => [method, url, body, headers.get('x-inngest-signature')]),
    ).toEqual([
      ['GET', URL_OF_SHOP, '', sign(SIGNING_KEY, '', w.clock.now())],
      ['POST', `${URL_OF_SHOP}?probe=trust`, '{}', sign(SIGNING_KEY, '{}', w.clock.now())],
    ]);
  });

  test.each<[string, Response, string]>([
    [
      'another key',
      Response.json(
        { message: 'Unauthorized' },
        { status: 401, headers: { 'x-inngest-sdk-handled': 'true' } },
      ),
      'another signing key',
    ],
    ['another mode', Response.json({ mode: 'dev' }, { headers: SDK }), 'the app is in dev mode'],
    ['nobody', new Response('no', { status: 404 }), 'no SDK answers there (status 404)'],
  ])('tells of %s', async (_, answer, problem) => {
    const w = apiWorld();
    await register(w, typescript3);
    app(w, () => answer.clone());
    expect((await check(w)).problems.join()).toContain(problem);
  });

  test('is told of an app that is not there', async () => {
    const w = apiWorld();
    await register(w, typescript3);
    app(w, () => Promise.reject(new Error('refused')));
    expect(await check(w)).toMatchObject({ status: null, problems: ['the app could not be reached'] });
    expect((await ask(w, 'GET', '/v2/apps/nobody/check')).status).toBe(404);
  });
});

describe('lists', () => {
  test('of apps and of their functions (RA-25, AP-7, AP-8, wire 9.2, 9.7)', async () => {
    const w = apiWorld();
    await register(w, { ...typescript, url: 'https://kitchen.example/api/inngest' });
    const view = {
      id: appUuid('production', 'app4'),
      name: 'app4',
      url: 'https://kitchen.example/api/inngest',
      sdk: 'js:v4.24.0',
      sdkLanguage: 'js',
      sdkVersion: '4.24.0',
      framework: 'nodejs',
      platform: null,
      appVersion: '1.2.3',
      syncedAt: new Date(w.clock.now()).toISOString(),
      archivedAt: null,
    };
    expect((await ask(w, 'GET', '/v1/apps')).body.data).toEqual([view]);
    expect((await ask(w, 'GET', '/v2/apps')).body.data).toEqual([view]);
    const functions = (await ask(w, 'GET', '/v1/apps/app4/functions')).body;
    expect(functions).toMatchObject([
      {
        id: functionUuid('production', 'app4-kitchen'),
        slug: 'app4-kitchen',
        name: 'Kitchen',
        fv: 1,
        retries: 7,
        steps: [{ uri: 'https://kitchen.example/api/inngest?fnId=app4-kitchen&stepId=step' }],
      },
      { slug: 'app4-kitchen-failure' },
    ]);
    expect((await ask(w, 'GET', '/v2/apps/app4/functions')).body.data).toEqual(functions);
    expect((await ask(w, 'GET', '/v2/apps/app4/functions/kitchen')).body.data).toEqual(functions[0]);
    expect((await ask(w, 'GET', '/v2/apps/app4/functions/nothing')).status).toBe(404);
    expect((await ask(w, 'GET', '/v1/apps/app/functions')).body).toMatchObject([
      { slug: 'app-f', app: null },
    ]);
  });
});

test('an archived app starts nothing until it is taken back; its schedules are told (AP-45, AP-46)', async () => {
  const w = apiWorld();
  await register(w, typescript3);
  expect((await ask(w, 'POST', '/v2/apps/shop/archive')).status).toBe(200);
  expect(await ids(w)).toEqual([]);
  expect((await ask(w, 'GET', '/v1/apps')).body.data).toMatchObject([
    { archivedAt: expect.any(String) as string },
  ]);
  await ask(w, 'POST', '/v2/apps/shop/unarchive');
  expect(await ids(w)).toEqual(['shop-pay']);
  expect(w.crons.synced).toHaveLength(3);
  expect((await ask(w, 'POST', '/v2/apps/nobody/archive')).status).toBe(404);
});

describe('GET /dev (wire 1.3)', () => {
  test('lists all functions in development, without any key (case 1)', async () => {
    const w = dev();
    await register(w, typescript);
    const response = await w.call('GET', '/dev');
    expect(response.headers.get('x-inngest-server-kind')).toBe('dev');
    const body = (await response.json()) as Answer;
    expect(body).toMatchObject({ version: '1.2.3', authed: false, isMissingSigningKey: true });
    expect(body.functions).toMatchObject([
      { name: 'app-f', slug: 'app-f', triggers: [{ event: 'a/b' }], steps: [] },
      {
        name: 'Kitchen',
        slug: 'app4-kitchen',
        triggers: [{ event: 'demo/config' }, { cron: '0 0 * * *' }],
        steps: [{ id: 'step', uri: 'http://127.0.0.1:3004/api/inngest?fnId=app4-kitchen&stepId=step' }],
      },
      { slug: 'app4-kitchen-failure' },
    ]);
  });

  test('is no JSON in a deployment, whoever asks (case 2)', async () => {
    const w = apiWorld();
    for (const headers of [{}, AUTH]) {
      const response = await w.call('GET', '/dev', { headers });
      expect(response.status).toBe(404);
      const text = await response.text();
      expect(() => JSON.parse(text) as unknown).toThrow(SyntaxError);
    }
  });
});

/** Addresses that users name and the engine calls: by every way there is, none leads to where only the engine can go. */
import { describe, expect, test, vi } from 'vitest';
import { callGateway } from '../../src/call/gateway.ts';
import { appNetwork } from '../../src/call/network.ts';
import { callApp } from '../../src/call/transport.ts';
import type { AIGateway, Gateway } from '../../src/protocol/op.ts';
import { apiWorld, AUTH } from '../api/world.ts';

/** Hosts of our own network as attackers write them. */
const INSIDE = [
  'localhost',
  'LOCALHOST.',
  'localhost.localdomain',
  'a.localhost',
  'redis',
  'db.internal',
  'metadata.google.internal',
  'metadata.google.internal.',
  'instance-data.ec2.internal',
  'nas.local',
  'router.lan',
  'router.home.arpa',
  '127.0.0.1',
  '127.1',
  '127.0.0.1.',
  '2130706433',
  '0x7f000001',
  '0x7f.0.0.1',
  '017700000001',
  '0177.0.0.1',
  '0',
  '0.0.0.0',
  '127。0。0。1',
  '①②⑦.0.0.1',
  '%31%32%37.0.0.1',
  '10.0.0.1',
  '0xa.1',
  '100.64.0.1',
  '169.254.169.254',
  '0xa9fea9fe',
  '2852039166',
  '0251.0376.0251.0376',
  '172.31.255.255',
  '192.168.0.1',
  '192.0.0.192',
  '198.18.0.1',
  '224.0.0.251',
  '240.0.0.1',
  '255.255.255.255',
  '[::]',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[::127.0.0.1]',
  '[::169.254.169.254]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::ffff:169.254.169.254]',
  '[::ffff:0:127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b:1::10.0.0.1]',
  '[2002:7f00:1::]',
  '[2001:0:7f00:1::]',
  '[100::1]',
  '[fc00::1]',
  '[fd00:ec2::254]',
  '[fe80::1]',
  '[fec0::1]',
  '[ff02::1]',
  '[4000::1]',
];

/** The host that counts is none of those that the text begins with. */
const DISGUISED = [
  'https://example.com@127.0.0.1/',
  'https://example.com:443@127.0.0.1:8080/',
  'https://127.0.0.1:443#@example.com/',
  'https://127.0.0.1?@example.com/',
  'https://127.0.0.1\\@example.com/',
  'https:127.0.0.1',
  'https:\\\\127.0.0.1\\',
  'ht\ntps://127.0.0.1/',
  '\thttps://127.0.0.1/',
  'https://127.0.0.1:1/',
  'https://127.0.0.1:65535/',
  'https://exa\tmple@127.0.0.1/',
];

const ADDRESSES = [...INSIDE.map((host) => `https://${host}/`), ...DISGUISED];

const NO_ADDRESSES = [
  'file:///etc/passwd',
  'ftp://example.com/',
  'gopher://example.com/',
  'data:application/json,{}',
  'blob:https://example.com/x',
  'javascript:1',
  'about:blank',
  'https://',
  '//127.0.0.1/',
  '',
];

const gateway: Gateway = { op: 'Gateway', url: '', method: 'GET', headers: {}, body: null };
const inference: AIGateway = {
  op: 'AIGateway',
  url: '',
  headers: {},
  authKey: 'planted-secret',
  format: 'openai-chat',
  body: {},
};

/** Every way that an address of a user's is called. Each answers what people are told. */
const ways: Record<string, (url: string, fetch: (request: Request) => Promise<Response>) => Promise<string>> =
  {
    'step.fetch': async (url, fetch) =>
      JSON.stringify(
        await callGateway({ ...gateway, url }, false, { fetch, allowsPrivate: false, timeout: 1_000 }),
      ),
    'step.ai.infer': async (url, fetch) =>
      JSON.stringify(
        await callGateway({ ...inference, url }, false, { fetch, allowsPrivate: false, timeout: 1_000 }),
      ),
    'a call of an app': async (url, fetch) => {
      const network = appNetwork({}, { fetch, allowsPrivate: false });
      return JSON.stringify(await callApp(network, url, { method: 'POST', body: '{}' }, () => 0));
    },
    'a registration': (url, fetch) =>
      answered(fetch, '/fn/register', { url, appName: 'app', sdk: 'js:v3.54.2', functions: [] }),
    'a sync that is asked for': (url, fetch) => answered(fetch, '/v2/apps/app/syncs', { url }),
  };

async function answered(fetch: (request: Request) => Promise<Response>, path: string, body: object) {
  const w = apiWorld();
  w.answers.fetch = fetch;
  const headers = { ...AUTH, 'x-inngest-sdk': 'js:v3.54.2' };
  const response = await w.call('POST', path, { headers, body: JSON.stringify(body) });
  const text = await response.text();
  expect(response.status, text).toBeGreaterThanOrEqual(400);
  expect(response.status, text).toBeLessThan(500);
  expect((await w.apps.load('production'))?.apps ?? []).toEqual([]);
  return text;
}

describe.each(Object.entries(ways))('%s', (_, call) => {
  test.each([...ADDRESSES, ...NO_ADDRESSES])('does not lead to %j (SF-10, AP-28)', async (url) => {
    const fetch = vi.fn(async () => Response.json({}));
    const told = await call(url, fetch);
    expect(fetch).not.toHaveBeenCalled();
    expect(told).not.toContain('planted-secret');
    expect(told).not.toMatch(/ok":true|"is":"returned"/);
  });
});

describe.each(['step.fetch', 'step.ai.infer', 'a call of an app', 'a sync that is asked for'])(
  'a redirect of %s',
  (name) => {
    test.each([...ADDRESSES, 'file:///etc/passwd', '//127.0.0.1/', 'https://'])(
      'is not followed to %j (SF-10, XL-7)',
      async (location) => {
        const asked: string[] = [];
        const fetch = async (request: Request) => {
          asked.push(new URL(request.url).host);
          // A header's value holds no line breaks: what it is written with is the escaped text.
          const headers = { location: encodeURI(location.replaceAll(/[\n\t]/g, '')).replaceAll('%25', '%') };
          return new Response(null, { status: 307, headers });
        };
        await ways[name]?.('https://a.example/', fetch);
        expect([...new Set(asked)]).toEqual(['a.example']);
      },
    );
  },
);

describe('headers that users name', () => {
  const HEADERS: [string, string][] = [
    ['x-a', 'b\r\nx-injected: 1'],
    ['x-a', 'b\nx-injected: 1'],
    ['x-a', 'b\0c'],
    ['x-a\r\nx-injected', '1'],
    ['x-a: 1\r\nx-injected', '1'],
    ['', '1'],
    ['x a', '1'],
    ['x-a', 'Ω'],
    ['host', 'internal'],
    ['content-length', '5'],
    ['transfer-encoding', 'chunked'],
    ['__proto__', 'x'],
  ];

  test.each(HEADERS)('%j: %j injects nothing, and is an answer, not a fault', async (name, value) => {
    for (const request of [gateway, inference]) {
      const fetch = vi.fn(async (_request: Request) => Response.json({}));
      const headers = Object.fromEntries([[name, `${value} planted-header`]]);
      const outcome = await callGateway({ ...request, url: 'https://a.example/', headers }, false, {
        fetch,
        allowsPrivate: false,
        timeout: 1_000,
      });
      for (const [sent] of fetch.mock.calls) expect(sent.headers.has('x-injected')).toBe(false);
      if (fetch.mock.calls.length === 0) expect(outcome).toMatchObject({ ok: false, final: true });
      if (!outcome.ok) expect(JSON.stringify(outcome)).not.toMatch(/planted/);
    }
  });

  test.each(['sk-planted\r\nx-injected: 1', 'sk-planted\0'])(
    'nor does the key of a model',
    async (authKey) => {
      for (const format of ['openai-chat', 'anthropic', 'bedrock']) {
        const fetch = vi.fn(async (_request: Request) => Response.json({}));
        const outcome = await callGateway(
          { ...inference, url: 'https://a.example/', authKey, format },
          false,
          {
            fetch,
            allowsPrivate: false,
            timeout: 1_000,
          },
        );
        expect(fetch).not.toHaveBeenCalled();
        expect(outcome).toMatchObject({ ok: false, final: true });
        expect(JSON.stringify(outcome)).not.toMatch(/planted/);
      }
    },
  );
});

test('credentials go to no other origin than they were meant for, whatever the redirect', async () => {
  const sent: [string, string | null][] = [];
  const fetch = async (request: Request) => {
    sent.push([new URL(request.url).origin, request.headers.get('authorization')]);
    return sent.length === 1
      ? new Response(null, { status: 307, headers: { location: 'https://b.example/' } })
      : Response.json({});
  };
  await callGateway({ ...inference, url: 'https://a.example/' }, false, {
    fetch,
    allowsPrivate: false,
    timeout: 1_000,
  });
  expect(sent).toEqual([
    ['https://a.example', 'Bearer planted-secret'],
    ['https://b.example', null],
  ]);
});

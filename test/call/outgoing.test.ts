import { describe, expect, test } from 'vitest';
import { callOutside, refusalOf } from '../../src/call/outgoing.ts';

/** The world outside, by address; what was asked of it is kept. */
function world(answers: Record<string, () => Response>, allowsPrivate = false) {
  const seen: Request[] = [];
  const deps = {
    allowsPrivate,
    fetch: async (request: Request) => {
      seen.push(request);
      return answers[request.url]?.() ?? new Response('nothing here', { status: 404 });
    },
  };
  return {
    seen,
    call: (url: string, init: Parameters<typeof callOutside>[1] = {}) => callOutside(url, init, deps),
  };
}

const to =
  (location: string, status = 302) =>
  () =>
    new Response(null, { status, headers: { location } });

describe('an address', () => {
  test.each([
    'http://localhost:3000/x',
    'http://api.localhost',
    'http://redis:6379',
    'http://printer.local',
    'http://metadata.google.internal/computeMetadata',
    'http://127.0.0.1',
    'http://2130706433',
    'http://0x7f.1',
    'http://0177.0.0.1',
    'http://127.1.',
    'http://0.0.0.0',
    'http://10.1.2.3',
    'http://100.64.0.1',
    'http://169.254.169.254/latest/meta-data',
    'http://172.16.0.1',
    'http://192.168.1.1',
    'http://224.0.0.1',
    'http://255.255.255.255',
    'http://[::1]',
    'http://[::]',
    'http://[::ffff:127.0.0.1]',
    'http://[::ffff:a00:1]',
    'http://[fe80::1]',
    'http://[fd00::1]',
    'http://[64:ff9b::7f00:1]',
    'http://[2002:7f00:1::]',
  ])('%s is refused unless private addresses are allowed (SF-10)', (text) => {
    expect(refusalOf(new URL(text), false)).toMatch(/is not a public address/);
    expect(refusalOf(new URL(text), true)).toBeNull();
  });

  test.each([
    'https://example.com',
    'http://example.com.:8080',
    'http://1.1.1.1',
    'http://[2606:4700::1111]',
    'http://xn--bcher-kva.example',
  ])('%s is not', (text) => expect(refusalOf(new URL(text), false)).toBeNull());

  test.each(['ftp://example.com', 'file:///etc/passwd', 'data:text/plain,x', 'javascript:1'])(
    '%s is never called',
    (text) => expect(refusalOf(new URL(text), true)).toMatch(/only http and https/),
  );

  test.each(['', 'example.com', '/path', 'http://'])('%j is none', async (text) => {
    await expect(world({}).call(text)).rejects.toThrow('expected an absolute http or https address');
  });
});

describe('a redirect', () => {
  test('is followed, ten times at most (SF-10)', async () => {
    const hop = (n: number) => `https://a.example/${n}`;
    const chain = (length: number) =>
      world(Object.fromEntries(Array.from({ length }, (_, n) => [hop(n), to(`/${n + 1}`)])));
    expect((await chain(10).call(hop(0))).status).toBe(404);
    await expect(chain(11).call(hop(0))).rejects.toThrow('redirects more than 10 times');
  });

  test('to a private address is refused (SF-10)', async () => {
    const { call, seen } = world({ 'https://a.example/': to('http://169.254.169.254/') });
    await expect(call('https://a.example/')).rejects.toThrow('169.254.169.254 is not a public address');
    expect(seen).toHaveLength(1);
  });

  test.each([
    ['https://a.example/next', 'Bearer x'],
    ['https://b.example/next', null],
    ['http://a.example/next', null],
  ])('to %s takes credentials %j along', async (location, expected) => {
    const { call, seen } = world({ 'https://a.example/': to(location) });
    await call('https://a.example/', { headers: { authorization: 'Bearer x', 'x-other': 'y' } });
    expect(seen[1]?.headers.get('authorization') ?? null).toBe(expected);
    expect(seen[1]?.headers.get('x-other')).toBe('y');
  });

  test.each([
    [301, 'POST', 'GET', ''],
    [302, 'POST', 'GET', ''],
    [303, 'PUT', 'GET', ''],
    [302, 'PUT', 'PUT', 'body'],
    [307, 'POST', 'POST', 'body'],
    [308, 'POST', 'POST', 'body'],
  ])('%i of a %s becomes a %s', async (status, method, expected, body) => {
    const { call, seen } = world({ 'https://a.example/': to('/next', status) });
    await call('https://a.example/', { method, body: 'body', headers: { 'content-type': 'text/plain' } });
    expect([seen[1]?.method, await seen[1]?.text()]).toEqual([expected, body]);
    expect(seen[1]?.headers.has('content-type')).toBe(body !== '');
  });
});

test('what the platform has against a request is not told on: it may quote a key', async () => {
  const bad = world({}).call('https://a.example/', { headers: { 'x-api-key': 'secret\nkey' } });
  await expect(bad).rejects.toThrow(/^the request to a\.example cannot be made/);
});

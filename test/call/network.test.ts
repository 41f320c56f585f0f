/** Where calls of apps may go, and by which way. */
import { describe, expect, test } from 'vitest';
import { appNetwork } from '../../src/call/network.ts';

function network(allowsPrivate: boolean) {
  const seen: string[] = [];
  const by = (way: string) => ({
    fetch: async (request: Request) => {
      seen.push(`${way} ${request.method} ${request.url} ${request.redirect}`);
      return new Response('ok');
    },
  });
  const bindings = { ORDERS: by('binding'), DB: { prepare: () => null }, NAME: 'text', NOTHING: undefined };
  return { seen, way: appNetwork(bindings, { ...by('network'), allowsPrivate }) };
}

const PRIVATE = [
  'https://localhost/api/inngest',
  'https://127.0.0.1:3000/api/inngest',
  'https://10.1.2.3/',
  'https://172.16.0.1/',
  'https://192.168.1.1/',
  'https://169.254.169.254/latest/meta-data',
  'https://[::1]/',
  'https://[fd00::1]/',
  'https://[::ffff:10.0.0.1]/',
  'https://0x7f.1/',
  'https://2130706433/',
  'https://db.internal/',
  'https://printer.local/',
  'https://intranet/',
  'https://0.0.0.0/',
];

describe('the address of an app', () => {
  test.each(PRIVATE)('%s may not be called by a deployment (SF-10, AP-28)', async (url) => {
    const { way, seen } = network(false);
    expect(way.refusal(url)).toMatch(/is not a public address/);
    await expect(way.fetch(url, { method: 'POST' })).rejects.toThrow('is not a public address');
    expect(seen).toEqual([]);
  });

  test.each(PRIVATE)('%s may be called in development, or where the deployment allows it', async (url) => {
    expect(network(true).way.refusal(url)).toBeNull();
  });

  test('is https, unless the deployment allows more (AP-28)', () => {
    expect(network(false).way.refusal('http://app.example/api/inngest')).toMatch(/^expected https/);
    expect(network(false).way.refusal('https://app.example/api/inngest')).toBeNull();
    expect(network(true).way.refusal('http://app.example/api/inngest')).toBeNull();
  });

  test.each(['ftp://a.example/', 'file:///etc/passwd', 'nonsense', ''])('is never "%s"', (url) => {
    expect(network(true).way.refusal(url)).toMatch(/http/);
  });
});

describe('a call', () => {
  test('goes over the network, and follows no redirect by itself', async () => {
    const { way, seen } = network(false);
    await way.fetch('https://app.example/api/inngest?fnId=a', { method: 'PUT', body: '{}' });
    expect(seen).toEqual(['network PUT https://app.example/api/inngest?fnId=a manual']);
  });

  test('goes by the service binding that the host names, in any case of letters', async () => {
    const { way, seen } = network(false);
    const url = 'http://Orders.binding/api/inngest';
    expect(way.refusal(url)).toBeNull();
    await way.fetch(url, { method: 'POST', body: '{}' }, 'orders');
    expect(seen).toEqual(['binding POST http://orders.binding/api/inngest manual']);
  });

  test('reaches no binding that is none, or that is no service', () => {
    for (const name of ['other', 'db', 'name', 'nothing']) {
      expect(network(true).way.refusal(`http://${name}.binding/`)).toBe(
        `this Worker has no service binding ${name}`,
      );
    }
  });

  test('of another app does not reach a binding, say by a redirect', async () => {
    const { way, seen } = network(true);
    await expect(way.fetch('http://orders.binding/', {})).rejects.toThrow('only its own app');
    await expect(way.fetch('http://orders.binding/', {}, 'mail')).rejects.toThrow('only its own app');
    expect(seen).toEqual([]);
  });
});

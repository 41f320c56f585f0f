/** Apps of local development, with the real server: one that it is told of registers, and its functions are started. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { wireFunction } from '../registry/bodies.ts';
import { LocalServer } from './server.ts';

const PATIENCE = 30_000;
/** Where the engine is; the app is there before it. */
let engine = '';

/** As an SDK does: a PUT makes it register, and the answer says what came of that. */
const app = createServer((request, response) => {
  void answer(request).then(({ status, body }) => {
    response.writeHead(status, { 'x-inngest-sdk': 'inngest-js:v4.24.0', 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  });
});

async function answer({
  method,
  url = '',
  headers,
}: IncomingMessage): Promise<{ status: number; body: unknown }> {
  if (method !== 'PUT') return { status: 200, body: {} };
  const own = `http://${headers.host}${url}`;
  const body = {
    appName: 'far',
    url: own,
    sdk: 'js:v4.24.0',
    functions: [wireFunction({ triggers: [{ event: 'far/hello' }] }, 'far-hello')],
  };
  const register = await fetch(`${engine}/fn/register${new URL(own).search}`, {
    method: 'POST',
    headers: { 'x-inngest-sdk': 'inngest-js:v4.24.0' },
    body: JSON.stringify(body),
  });
  return { status: register.status, body: await register.json() };
}

let server: LocalServer;

beforeAll(async () => {
  app.listen(0);
  await once(app, 'listening');
  const { port } = app.address() as AddressInfo;
  server = await LocalServer.start({ apps: [`http://localhost:${port}/api/inngest`] });
  engine = server.url;
});

afterAll(async () => {
  app.close();
  await server.dispose();
});

async function until<Value>(what: string, look: () => Promise<Value | null>): Promise<Value> {
  for (const end = Date.now() + PATIENCE; Date.now() < end; await wait(100)) {
    const value = await look();
    if (value !== null) return value;
  }
  throw new Error(`${what} did not happen\n${server.output}`);
}

async function list(path: string): Promise<object[]> {
  const response = await fetch(server.url + path);
  return (await response.json<{ data: object[] }>()).data;
}

function present(found: object[]): object[] | null {
  return found.length > 0 ? found : null;
}

test('an app that the local command is told of is synced, and its functions start (DS-6, DS-14)', async () => {
  const apps = await until('the sync', async () => present(await list('/v1/apps')));
  expect(apps).toMatchObject([{ name: 'far', url: expect.not.stringContaining('deployId') as string }]);
  expect(server.output).toContain('synced as "far"');
  const sent = await fetch(`${server.url}/e/key`, { method: 'POST', body: '{"name":"far/hello","data":{}}' });
  const { ids } = await sent.json<{ ids: string[] }>();
  const runs = await until('the start of the run', async () =>
    present(await list(`/v1/events/${ids[0]}/runs`)),
  );
  expect(runs).toHaveLength(1);
});

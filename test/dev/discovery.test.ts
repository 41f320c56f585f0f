import { describe, expect, test } from 'vitest';
import { Discovery, PATHS, PORTS } from '../../src/dev/discovery.ts';

/** @param apps headers that a GET is answered with, by URL. */
function world(apps: Record<string, Record<string, string>>) {
  const said: string[] = [];
  const synced: string[] = [];
  const asked: string[] = [];
  const state = { apps, outcome: 'synced as "app"' };
  return {
    said,
    synced,
    asked,
    state,
    isOpen: async (port: number) => Object.keys(state.apps).some((url) => Number(new URL(url).port) === port),
    get: async (url: string) => {
      asked.push(url);
      const headers = state.apps[url];
      return headers === undefined ? null : { status: 200, headers: new Headers(headers) };
    },
    sync: async (url: string) => {
      synced.push(url);
      return state.outcome;
    },
    say: (line: string) => void said.push(line),
  };
}

const SDK = { 'x-inngest-sdk': 'js:v4.24.0' };
const APP = 'http://localhost:3000/api/inngest';

describe('apps on the usual ports', () => {
  test('are found under the documented paths and synced (DS-11, DS-12)', async () => {
    const other = 'http://localhost:8888/.netlify/functions/inngest';
    const w = world({ [APP]: SDK, [other]: SDK, 'http://localhost:5000/': {} });
    await new Discovery(w, { named: [], ports: PORTS }).round();
    expect(w.synced.toSorted()).toEqual([APP, other]);
    expect(w.said).toContain(`${APP}: synced as "app"`);
    expect(w.asked.filter((url) => url.includes(':5000'))).toHaveLength(PATHS.length);
  });

  test('are the documented ones (DS-11)', () => {
    const ranges = [80, 443, 5000, 5173, 8000, 8080, 8081, 8888, 8787];
    for (let port = 3000; port <= 3010; port++) ranges.push(port);
    for (let port = 8910; port <= 8915; port++) ranges.push(port);
    expect(PORTS.toSorted((a, b) => a - b)).toEqual(ranges.toSorted((a, b) => a - b));
  });

  test('are synced again and again, and only what is new is said (DS-14)', async () => {
    const w = world({ [APP]: SDK });
    const discovery = new Discovery(w, { named: [], ports: PORTS });
    await discovery.round();
    await discovery.round();
    expect(w.synced).toEqual([APP, APP]);
    expect(w.asked).toHaveLength(1);
    expect(w.said).toHaveLength(1);
    w.state.outcome = 'the app could not be reached';
    await discovery.round();
    expect(w.said).toHaveLength(2);
  });

  test('that stop are looked for again (DS-12)', async () => {
    const w = world({ [APP]: SDK });
    const discovery = new Discovery(w, { named: [], ports: PORTS });
    await discovery.round();
    w.state.apps = {};
    await discovery.round();
    expect(w.synced).toEqual([APP]);
    const moved = 'http://localhost:3000/x/inngest';
    w.state.apps = { [moved]: SDK };
    await discovery.round();
    expect(w.synced).toEqual([APP, moved]);
  });

  test('in cloud mode are told of, and not synced (DS-12)', async () => {
    const w = world({ [APP]: { 'x-inngest-sdk-handled': 'true' } });
    await new Discovery(w, { named: [], ports: PORTS }).round();
    expect(w.synced).toEqual([]);
    expect(w.said).toEqual([`${APP}: found, but in cloud mode: start it with INNGEST_DEV=1`]);
  });
});

test('named apps are synced whether they answer or not, also where nobody is looked for (DS-6, DS-7, DS-26)', async () => {
  const w = world({ [APP]: SDK });
  const named = 'http://localhost:1234/api/inngest';
  w.state.outcome = 'the app could not be reached';
  await new Discovery(w, { named: [named], ports: [] }).round();
  expect(w.synced).toEqual([named]);
  expect(w.said).toEqual([`${named}: the app could not be reached`]);
});

/** The official TypeScript SDK, version 4, and what only it has. */
import { describe, expect, test } from 'vitest';
import { NOW } from '../call/world.ts';
import { v4 } from './sdks.ts';
import { hash } from './stub.ts';
import { apiOf, runner, typescriptSuite } from './typescript.ts';
import type { RemoteWorld } from './world.ts';

const sdk = await v4();
typescriptSuite(sdk);
const world = runner(sdk);

describe('v4: checkpointing, which is on by default', () => {
  test('74, 76: sequential steps are told in the course of one call', async () => {
    const began: string[] = [];
    const run: RemoteWorld = world(
      async ({ step }) => {
        const one = (name: string) => step.run(name, () => began.push(name) && name);
        const before = [await one('a'), await one('b'), await one('c')];
        await step.sleep('nap', '1s');
        return [...before, await one('d')];
      },
      { client: { checkpointing: true }, outside: apiOf(() => run) },
    );
    await run.run();
    expect(run.output).toEqual(['a', 'b', 'c', 'd']);
    expect(began).toEqual(['a', 'b', 'c', 'd']);
    expect(run.story).toEqual(['step 206 Sleep nap', `step 206 RunComplete ${hash('complete')}`]);
    expect(run.now - NOW).toBe(1_000);
  });

  test('a step that fails after others were told', async () => {
    const began: string[] = [];
    const run: RemoteWorld = world(
      async ({ step, attempt }) => {
        await step.run('a', () => began.push('a'));
        return step.run('b', () => {
          began.push(`b${attempt}`);
          if (attempt < 2) throw new Error('not yet');
          return 'then';
        });
      },
      { client: { checkpointing: true }, outside: apiOf(() => run) },
    );
    await run.run();
    expect([run.output, began]).toEqual(['then', ['a', 'b0', 'b1', 'b2']]);
  });

  test('parallel steps', async () => {
    const began: string[] = [];
    const run: RemoteWorld = world(
      async ({ step }) => {
        const one = (name: string) => step.run(name, () => began.push(name) && name);
        await one('first');
        const all = await Promise.all([one('a'), one('b')]);
        return [...all, await one('last')];
      },
      { client: { checkpointing: true }, outside: apiOf(() => run) },
    );
    await run.run();
    expect(run.output).toEqual(['a', 'b', 'last']);
    expect(began.toSorted()).toEqual(['a', 'b', 'first', 'last']);
  });

  test('an engine that cannot be reached: they come with the answer', { timeout: 20_000 }, async () => {
    const began: string[] = [];
    const run = world(
      async ({ step }) => {
        await step.run('a', () => began.push('a'));
        await step.run('b', () => began.push('b'));
        return 'x';
      },
      { client: { checkpointing: true }, outside: () => Response.json({ error: 'down' }, { status: 500 }) },
    );
    await run.run();
    expect([run.output, began]).toEqual(['x', ['a', 'b']]);
  });
});

describe('v4: what the engine fetches', () => {
  test('47: step.fetch', async () => {
    const run = world(
      async ({ step }) => {
        const response = await step.fetch('http://api.test/things');
        return [response.status, await response.text()];
      },
      { elsewhere: () => new Response('teapot', { status: 418 }) },
    );
    await run.run();
    expect(run.output).toEqual([418, 'teapot']);
  });
});

describe('v4: a race', () => {
  test('59, A.4: it goes on as soon as one branch is through, and each step is run once', async () => {
    const began: string[] = [];
    const run = world(async ({ step, group }) => {
      const one = (name: string) => step.run(name, () => began.push(name) && name);
      const branch = async (name: string) => [await one(`${name}1`), await one(`${name}2`)];
      return group.parallel({ mode: 'race' }, () => Promise.race([branch('a'), branch('b')]));
    });
    await run.run();
    expect(['a1,a2', 'b1,b2']).toContain(String(run.output));
    expect(began.toSorted()).toEqual([...new Set(began)].toSorted());
  });
});

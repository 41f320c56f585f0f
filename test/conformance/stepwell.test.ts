/** Our own SDK behind HTTP, called by this engine as the official ones are, and what only it has. */
import { describe, expect, test } from 'vitest';
import { NOW } from '../call/world.ts';
import { stepwell } from './sdks.ts';
import { hash } from './stub.ts';
import { runner, typescriptSuite } from './typescript.ts';

const sdk = await stepwell();
typescriptSuite(sdk);
const world = runner(sdk);

describe('stepwell: waits', () => {
  test('look back to the start of the run, or as far as they say (WE-10)', async () => {
    const run = world(({ step }) =>
      Promise.all([
        step.waitForEvent('run', { event: 'a/b', timeout: '1h' }),
        step.waitForEvent('none', { event: 'a/c', timeout: '1h', lookBack: 0 }),
      ]),
    );
    await run.start();
    const began = run.waits.listening.find(({ event }) => event === 'a/b')?.since;
    expect(run.waits.listening).toMatchObject([
      { event: 'a/b', since: began },
      { event: 'a/c', since: NOW },
    ]);
    expect(began).toBeLessThan(NOW + 1);
  });

  test('for any of several events: the first one ends it', async () => {
    const run = world(({ step }) =>
      step.waitForAny('any', {
        events: [{ event: 'a/paid', match: 'data.n' }, { event: 'a/dropped' }],
        timeout: '1h',
      }),
    );
    await run.start();
    expect(run.waits.listening).toMatchObject([
      { event: 'a/paid', expression: 'event.data.n == async.data.n' },
      { event: 'a/dropped', expression: null },
    ]);
    const event = { name: 'a/dropped', data: {}, id: 'e', ts: NOW, user: {} };
    const key = run.waits.listening[1]?.key ?? hash('any');
    await run.owner.answer(key, { ok: true, data: JSON.stringify(event) });
    await run.toEnd();
    expect(run.output).toMatchObject({ name: 'a/dropped' });
  });
});

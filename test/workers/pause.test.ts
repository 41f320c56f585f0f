/** Pausing as a user meets it: from the front door to the runs, in real objects with D1 and the queues. */
import { runDurableObjectAlarm } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, expect, test, vi } from 'vitest';
import { DAY, HOUR } from '../../src/lib/time.ts';
import { programs } from './worker.ts';
import {
  alarmOf,
  calm,
  crash,
  emptyTables,
  endedRunsOf,
  finish,
  Gate,
  NOW,
  runsOf,
  send,
  stubOf,
  timeStandsStill,
  traceOf,
  unique,
  until,
} from './world.ts';
import type { Program } from './worker.ts';

timeStandsStill();
emptyTables();

afterEach(async () => {
  await ask('resume');
  await env.DB.prepare('delete from cancellation').run();
});

/** And the sweep that follows. */
async function ask(what: 'pause' | 'resume', body?: object): Promise<void> {
  const init = { method: 'POST', ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  const answer = await exports.default.fetch(`https://stepwell.test/v1/functions/test-program/${what}`, init);
  expect(answer.status).toBe(200);
  await runDurableObjectAlarm(env.SWEEPER.get(env.SWEEPER.idFromName('sweeper')));
}

async function launch(program: Program): Promise<{ runId: string; eventId: string; name: string }> {
  const name = unique('paused');
  programs.set(name, program);
  const [eventId = ''] = await send({ name: 'test/program', data: { program: name } });
  const runId = await until(async () => (await runsOf(eventId))[0]?.run_id ?? null, 'the start of the run');
  return { runId, eventId, name };
}

test('a run that sleeps goes on after a pause, and the events of meanwhile are skipped records (PA-2, PA-3, PA-5, PA-12)', async () => {
  const { runId, name } = await launch(async ({ step }) => {
    await step.sleep('nap', '1h');
    return step.run('after', () => 'rested');
  });
  await calm(runId);
  await ask('pause');
  const events = await send([1, 2, 3].map((n) => ({ name: 'test/program', data: { program: name, n } })));
  for (const id of events) {
    const row = () => env.DB.prepare('select status, reason from run where event_id = ?').bind(id).first();
    expect(await until(row, 'the record')).toEqual({ status: 'Skipped', reason: 'paused' });
  }
  vi.setSystemTime(NOW + 2 * HOUR);
  await crash(runId);
  await runDurableObjectAlarm(stubOf(runId));
  expect(await calm(runId)).toMatchObject({ status: 'Running', waiting: [{ reason: 'paused' }] });
  expect(await alarmOf(stubOf(runId))).toBe(NOW + 7 * DAY);
  await ask('resume');
  expect(await finish(runId)).toMatchObject({ status: 'Completed', output: 'rested' });
  const [later = ''] = await send({ name: 'test/program', data: { program: name } });
  expect(await until(async () => (await runsOf(later))[0] ?? null)).toMatchObject({ status: 'Running' });
});

test('the step that executes finishes, the next one waits for the resumption (PA-5, PA-7)', async () => {
  const inside = new Gate();
  const open = new Gate();
  let after = 0;
  const { runId } = await launch(async ({ step }) => {
    const first = await step.run('first', async () => {
      inside.open();
      await open.passed();
      return 'kept';
    });
    return step.run('second', () => `${first} ${++after}`);
  });
  await inside.passed();
  await ask('pause');
  open.open();
  const held = await calm(runId);
  expect([held.status, held.steps.map(({ name }) => name), after]).toEqual(['Running', ['first'], 0]);
  await ask('resume');
  expect(await finish(runId)).toMatchObject({ status: 'Completed', output: 'kept 1' });
});

test('a run that is held for seven days is cancelled (PA-5, PA-15)', async () => {
  const { runId, eventId } = await launch(({ step }) => step.sleep('nap', '30d'));
  await calm(runId);
  await ask('pause');
  vi.setSystemTime(NOW + 7 * DAY);
  await runDurableObjectAlarm(stubOf(runId));
  expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Cancelled' }]);
});

test('the runs under way are cancelled at once where that is asked for, and a resumption brings none back (PA-4, PA-6, CX-2)', async () => {
  const { runId, eventId } = await launch(({ step }) => step.sleep('nap', '1h'));
  await calm(runId);
  await ask('pause', { runs: 'cancel' });
  await ask('resume');
  expect(await endedRunsOf(eventId)).toMatchObject([{ status: 'Cancelled' }]);
  expect(await traceOf(runId)).toMatchObject({ status: 'Cancelled' });
});

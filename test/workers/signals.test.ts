/** Signals and waits for several events, used as an author uses them: in real objects, with D1 and the queues. */
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { describe, expect, test, vi } from 'vitest';
import { HOUR } from '../../src/lib/time.ts';
import {
  alarmOf,
  begin,
  calm,
  crash,
  finish,
  NOW,
  send,
  storedText,
  timeStandsStill,
  traceOf,
  unique,
  until,
  wake,
} from './world.ts';
import type { Program, ProgramContext } from './worker.ts';

timeStandsStill();

async function post(signal: string, data?: unknown): Promise<{ status: number; runId: string | undefined }> {
  const answer = await exports.default.fetch('https://stepwell.test/v1/signals', {
    method: 'POST',
    body: JSON.stringify({ signal, data }),
  });
  return { status: answer.status, runId: (await answer.json<{ run_id?: string }>()).run_id };
}

const waitFor =
  (signal: string, onConflict?: 'replace'): Program =>
  async ({ step }) => {
    try {
      return await step.waitForSignal('approval', { signal, timeout: '1h', onConflict });
    } catch (error) {
      return (error as Error).message;
    }
  };

/** Begun, and registered with the object of its signal. */
async function waiting(program: Program): Promise<string> {
  const runId = await begin(program);
  await until(async () => ((await traceOf(runId)).waiting.length === 1 ? true : null), 'the wait');
  await calm(runId);
  return runId;
}

describe('signals', () => {
  test('the one run that waits goes on with what is sent over HTTP (WS-1, RA-22)', async () => {
    const signal = unique('task');
    expect(await post(signal)).toMatchObject({ status: 404 });
    const runId = await waiting(waitFor(signal));
    expect((await traceOf(runId)).waiting).toEqual([{ reason: 'signal', what: signal, until: NOW + HOUR }]);
    await crash(runId);
    expect(await post(signal, { ok: true })).toEqual({ status: 200, runId });
    expect(await finish(runId)).toMatchObject({
      status: 'Completed',
      output: { signal, data: { ok: true } },
    });
    expect(await post(signal)).toMatchObject({ status: 404 });
  });

  test('sent by another run, once, whatever happens to that one (WS-2)', async () => {
    const signal = unique('task');
    const receiver = await waiting(waitFor(signal));
    const sender = await begin(({ step }) => step.sendSignal('send', { signal, data: 5 }));
    expect(await finish(sender)).toMatchObject({ output: { runId: receiver } });
    expect(await finish(receiver)).toMatchObject({ output: { signal, data: 5 } });
    const nobody = await begin(({ step }) => step.sendSignal('send', { signal }));
    expect(await finish(nobody)).toMatchObject({ output: {} });
  });

  test('a second run fails, or takes over, and the first one then runs out of time (WS-1)', async () => {
    const signal = unique('task');
    const first = await waiting(waitFor(signal));
    const second = await begin(waitFor(signal));
    expect(await finish(second)).toMatchObject({ output: `another run waits for the signal "${signal}"` });
    const third = await waiting(waitFor(signal, 'replace'));
    expect(await post(signal, 1)).toEqual({ status: 200, runId: third });
    await finish(third);
    expect(await finish(first)).toMatchObject({ status: 'Completed', output: null });
    expect(Date.now()).toBeGreaterThanOrEqual(NOW + HOUR);
  });

  test('a cancelled run is in nobody’s way (WS-1)', async () => {
    const signal = unique('task');
    const first = await waiting(waitFor(signal));
    await exports.default.fetch(`https://stepwell.test/v1/runs/${first}`, { method: 'DELETE' });
    const second = await waiting(waitFor(signal));
    expect(await post(signal, 2)).toEqual({ status: 200, runId: second });
  });

  test('at its deadline the wait is null, and what comes later is nobody’s (WS-1)', async () => {
    const signal = unique('task');
    const runId = await waiting(waitFor(signal));
    await wake(runId);
    expect(await finish(runId)).toMatchObject({ output: null });
    expect(await post(signal)).toMatchObject({ status: 404 });
  });
});

test('an object whose signal is over empties itself, and works again', async () => {
  const signal = unique('task');
  const object = () => env.SIGNALS.get(env.SIGNALS.idFromName(`dev:${signal}`));
  const runId = await waiting(waitFor(signal));
  await post(signal, 1);
  await finish(runId);
  expect(await storedText(object())).toContain(runId);
  for (let at = await alarmOf(object()); at !== null; at = await alarmOf(object())) {
    vi.setSystemTime(Math.max(at, Date.now()));
    await runDurableObjectAlarm(object());
  }
  expect(await storedText(object())).toBe('[]');
  const next = await waiting(waitFor(signal));
  expect(await post(signal, 2)).toEqual({ status: 200, runId: next });
});

describe('waits for several events', () => {
  const names = () => ({ paid: unique('pay/paid'), refused: unique('pay/refused') });
  const open = (event: string) => env.WAITS.get(env.WAITS.idFromName(`dev:${event}`));

  async function sent(...events: { name: string; data: object }[]): Promise<void> {
    for (const id of await send(events)) {
      const query = env.DB.prepare('select dispatched_at from event where internal_id = ?').bind(id);
      await until(() => query.first<number>('dispatched_at'), 'the dispatch');
    }
  }

  const any =
    ({ paid, refused }: ReturnType<typeof names>) =>
    async ({ step }: ProgramContext) => {
      const event = await step.waitForAny('outcome', {
        events: [{ event: paid, if: 'async.data.n > 1' }, { event: refused }],
        timeout: '1h',
      });
      await step.sleep('then', '1d');
      return event?.name ?? null;
    };

  test('any: the first that fits ends the wait for the others, which are dropped', async () => {
    const both = names();
    const runId = await begin(any(both));
    await until(async () => ((await traceOf(runId)).waiting.length === 1 ? true : null), 'the wait');
    await calm(runId);
    expect((await traceOf(runId)).waiting).toEqual([
      {
        reason: 'event',
        what: both.paid,
        condition: 'async.data.n > 1',
        or: [{ what: both.refused }],
        until: NOW + HOUR,
      },
    ]);
    await crash(runId);
    await sent({ name: both.paid, data: { n: 1 } }, { name: both.refused, data: {} });
    await until(
      async () => ((await traceOf(runId)).waiting[0]?.reason === 'sleep' ? true : null),
      'the sleep',
    );
    await until(async () => ((await rowsOf(open(both.paid))) === 0 ? true : null), 'the loser’s end');
    await sent({ name: both.paid, data: { n: 2 } });
    expect(await finish(runId)).toMatchObject({ output: both.refused });
  });

  test('any: null when none has come in time, and nothing is left', async () => {
    const both = names();
    const runId = await begin(any(both));
    await until(async () => ((await traceOf(runId)).waiting.length === 1 ? true : null), 'the wait');
    expect(await finish(runId)).toMatchObject({ output: null });
    expect([await rowsOf(open(both.paid)), await rowsOf(open(both.refused))]).toEqual([0, 0]);
  });

  test('all: their events in the order of the call, or null when one has not come in time', async () => {
    for (const isComplete of [true, false]) {
      const { paid, refused } = names();
      const runId = await begin(async ({ step }) => {
        const events = await step.waitForAll('both', {
          events: [{ event: paid }, { event: refused }],
          timeout: '1h',
        });
        return events?.map(({ name }) => name) ?? null;
      });
      await until(async () => ((await traceOf(runId)).waiting.length === 2 ? true : null), 'the waits');
      await calm(runId);
      await sent({ name: refused, data: {} });
      if (isComplete) await sent({ name: paid, data: {} });
      expect(await finish(runId)).toMatchObject({ output: isComplete ? [paid, refused] : null });
    }
  });
});

/** Of a waits object. */
function rowsOf(stub: DurableObjectStub): Promise<number> {
  return runInDurableObject(
    stub,
    (_, { storage }) => storage.sql.exec<{ n: number }>('select count(*) as n from wait').one().n,
  );
}

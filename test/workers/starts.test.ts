/** Batches, debounces, limits on starts and singletons as a user meets them: events in, runs out, in real objects with D1 and the queues. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { describe, expect, test, vi } from 'vitest';
import { hashNumber } from '../../src/lib/hash.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/lib/time.ts';
import { referenceFunction } from '../../src/sdk/index.ts';
import {
  alarmOf,
  begin,
  calm,
  endedRunsOf,
  finish,
  Gate,
  NOW,
  runsOf,
  send,
  timeStandsStill,
  traceOf,
  turn,
  unique,
  until,
} from './world.ts';
import { type Program, programs } from './worker.ts';

timeStandsStill();

/** A key that no other test has. */
const newKey = () => unique('key');

function gateOf(functionId: string, key?: string): DurableObjectStub {
  const part = key === undefined ? 0 : hashNumber(`s:${key}`, 16);
  return env.GATE.get(env.GATE.idFromName(`dev:${functionId}:${part}`));
}

/** Lets time pass up to the given moment after the beginning, with the gate's alarms on the way. */
async function pass(gate: DurableObjectStub, ms: number): Promise<void> {
  for (let at = await alarmOf(gate); at !== null && at <= NOW + ms; at = await alarmOf(gate)) {
    vi.setSystemTime(Math.max(at, Date.now()));
    await runDurableObjectAlarm(gate);
  }
  vi.setSystemTime(NOW + ms);
}

interface Skip {
  function_slug: string;
  reason: string;
}

/** Why functions made no run of the event. */
async function skips(eventId: string): Promise<string[]> {
  const answer = await exports.default.fetch(`https://stepwell.test/v1/events/${eventId}`);
  const { data } = await answer.json<{ data: { skipped: Skip[] } | null }>();
  return (data?.skipped ?? []).map(({ function_slug: slug, reason }) => `${slug}: ${reason}`);
}

function skipped(eventId: string, reason: string): Promise<string[]> {
  return until(async () => {
    const all = await skips(eventId);
    return all.includes(reason) ? all : null;
  }, `${eventId} skipped: ${reason}`);
}

/** Of all runs that the index has of these events. */
async function rowsOf(
  eventIds: string[],
): Promise<{ status: string; output: string; reason: string | null }[]> {
  const query = 'select status, output, reason from run where event_id in (select value from json_each(?))';
  const { results } = await env.DB.prepare(query).bind(JSON.stringify(eventIds)).all();
  return results as { status: string; output: string; reason: string | null }[];
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);

describe('batching', () => {
  const gate = () => gateOf('test-batch');

  test('of 100 with 5 s: 250 events in one request give 100, 100, and 50 after 5 s (FA-9, BA-7, BA-8, HC-4)', async () => {
    const ids = await send(numbers(0, 249).map((n) => ({ name: 'test/batch', data: { n } })));
    const full = await Promise.all([endedRunsOf(ids[0] ?? ''), endedRunsOf(ids[100] ?? '')]);
    expect(full.flat().map(({ output }) => output)).toEqual([numbers(0, 99), numbers(100, 199)]);
    await pass(gate(), 5 * SECOND);
    expect(await endedRunsOf(ids[200] ?? '')).toMatchObject([{ output: numbers(200, 249) }]);
    const [first] = full.flat();
    expect(await skips(ids[1] ?? '')).toEqual([`test-batch: batched into ${first?.run_id}`]);
    expect(await runsOf(ids[1] ?? '')).toEqual([]);
  });

  test('50 senders at once: no event is lost or in two batches (FA-9, BA-10)', async () => {
    const senders = numbers(0, 49).map((sender) =>
      send(numbers(0, 4).map((n) => ({ name: 'test/batch', data: { n: 1_000 + 5 * sender + n } }))),
    );
    const ids = (await Promise.all(senders)).flat();
    const found = await until(async () => {
      await pass(gate(), Date.now() - NOW + 6 * SECOND);
      const runs = (await rowsOf(ids)).filter(({ status }) => status === 'Completed');
      const all = runs.flatMap(({ output }) => JSON.parse(output) as number[]);
      return all.length >= ids.length ? all : null;
    }, 'all batches');
    expect(found.toSorted((a, b) => a - b)).toEqual(numbers(1_000, 1_249));
  });

  test('by key, over several triggers, and not what its condition is not true for (BA-4, BA-9, BA-13, TR-15)', async () => {
    const [a, b] = [newKey(), newKey()];
    const ids = await send([
      { name: 'test/teams', data: { team: a, n: 1 } },
      { name: 'test/teams', data: { team: b, n: 2 } },
      { name: 'test/teams', data: { team: a, n: 0 } },
      { name: 'test/teams.other', data: { team: a, n: 3 } },
    ]);
    expect(await endedRunsOf(ids[0] ?? '')).toMatchObject([{ output: [1, 3] }]);
    expect(await endedRunsOf(ids[2] ?? '')).toMatchObject([{ output: [0] }]);
    await pass(gateOf('test-teams', b), 5 * SECOND);
    expect(await endedRunsOf(ids[1] ?? '')).toMatchObject([{ output: [2] }]);
  });

  test('an open batch outlives its object (BA-10)', async () => {
    const team = newKey();
    const own = gateOf('test-teams', team);
    const [id = ''] = await send({ name: 'test/teams', data: { team, n: 7 } });
    await until(() => alarmOf(own), 'the batch');
    await runInDurableObject(own, (_, state) => state.abort('crash')).catch(() => undefined);
    await pass(gateOf('test-teams', team), 5 * SECOND);
    expect(await endedRunsOf(id)).toMatchObject([{ output: [7] }]);
  });

  test('an invocation is a run of its own (IC-2, IV-20)', async () => {
    const runId = await begin(({ step }) =>
      step.invoke('call', {
        function: referenceFunction({ functionId: 'batch', schemas: {} }),
        data: { n: 5 },
      }),
    );
    expect(await finish(runId)).toMatchObject({ status: 'Completed', output: [5] });
  });
});

describe('debounce', () => {
  test('of 5 s with a timeout of 12 s, events each 3 s: one run at 12 s, then a new debounce (FA-7, DB-7)', async () => {
    const k = newKey();
    const gate = gateOf('test-bounce', k);
    const ids: string[] = [];
    for (let n = 0; n <= 4; n++) {
      await pass(gate, 3 * n * SECOND);
      ids.push(...(await send({ name: 'test/bounce', data: { k, n } })));
      await until(async () => ((await undispatched(ids.at(-1) ?? '')) ? null : true), 'the dispatch');
    }
    expect(await endedRunsOf(ids[3] ?? '')).toMatchObject([{ output: [3] }]);
    const [run] = await runsOf(ids[3] ?? '');
    for (const id of ids.slice(0, 3)) {
      expect(await skips(id)).toEqual([`test-bounce: debounced into ${run?.run_id}`]);
      expect(await runsOf(id)).toEqual([]);
    }
    await pass(gate, 20 * SECOND);
    expect(await endedRunsOf(ids[4] ?? '')).toMatchObject([{ output: [4] }]);
  });

  test('a debounce outlives the eviction of its object (DB-6)', async () => {
    const k = newKey();
    const gate = gateOf('test-bounce', k);
    const [id = ''] = await send({ name: 'test/bounce', data: { k, n: 9 } });
    await until(() => alarmOf(gate), 'the debounce');
    await evictDurableObject(gate);
    await pass(gate, 5 * SECOND);
    expect(await endedRunsOf(id)).toMatchObject([{ output: [9] }]);
  });
});

test('a duplicate of an event counts for a debounce all the same (DB-17, ID-7)', async () => {
  const k = newKey();
  const gate = gateOf('test-bounce', k);
  const twins = [1, 2].map((n) => ({ name: 'test/bounce', id: k, data: { k, n } }));
  // The short way, and that of the queue.
  const ids = await send(twins.slice(0, 1));
  vi.setSystemTime(NOW + 1);
  ids.push(...(await send([...twins.slice(1), ...bystanders])));
  for (const id of ids.slice(0, 2))
    await until(async () => ((await undispatched(id)) ? null : true), 'the dispatch');
  await pass(gate, 6 * SECOND);
  expect(await endedRunsOf(ids[1] ?? '')).toMatchObject([{ output: [2] }]);
  expect((await skips(ids[0] ?? ''))[0]).toMatch(/^test-bounce: debounced into /);
});

const bystanders = numbers(1, 20).map(() => ({ name: 'nobody/listens' }));

describe('the rate limit', () => {
  test('of 1 in 4 h by key: events at 0, 1 min, 3 h 59 min, 4 h 1 min: the first and the fourth run (FA-6)', async () => {
    const k = newKey();
    const ids: string[] = [];
    for (const [n, at] of [0, MINUTE, 4 * HOUR - MINUTE, 4 * HOUR + MINUTE].entries()) {
      vi.setSystemTime(NOW + at);
      ids.push(...(await send({ name: 'test/rated', data: { k, n } })));
    }
    const [other = ''] = await send({ name: 'test/rated', data: { k: newKey(), n: 9 } });
    expect(await endedRunsOf(ids[0] ?? '')).toMatchObject([{ output: [0] }]);
    expect(await endedRunsOf(ids[3] ?? '')).toMatchObject([{ output: [3] }]);
    expect(await endedRunsOf(other)).toMatchObject([{ output: [9] }]);
    await skipped(ids[1] ?? '', 'test-rated: rate_limited');
    await skipped(ids[2] ?? '', 'test-rated: rate_limited');
    expect(await runsOf(ids[1] ?? '')).toEqual([]);
  });

  test('an invocation that is skipped fails its step for good, and says why (RL-15, IV-16)', async () => {
    const k = newKey();
    const [id = ''] = await send({ name: 'test/rated', data: { k, n: 1 } });
    await endedRunsOf(id);
    const runId = await begin(({ step }) =>
      step
        .invoke('call', {
          function: referenceFunction({ functionId: 'rated', schemas: {} }),
          data: { k, n: 2 },
        })
        .catch((error: Error) => error.message),
    );
    const ended = await finish(runId);
    expect(ended.output).toContain('the invoked function "test-rated" was skipped: rate_limited');
  });

  test('what was skipped can be read by its id, as what it is (RN-3)', async () => {
    const k = newKey();
    const ids = await send([1, 2].map((n) => ({ name: 'test/rated', data: { k, n } })));
    await skipped(ids[1] ?? '', 'test-rated: rate_limited');
    const event = await exports.default.fetch(`https://stepwell.test/v1/events/${ids[1]}`);
    const { data } = await event.json<{ data: { skipped: [{ run_id: string }] } }>();
    const run = await exports.default.fetch(`https://stepwell.test/v1/runs/${data.skipped[0].run_id}`);
    expect(await run.json()).toMatchObject({
      data: { status: 'Skipped', reason: 'rate_limited', event_id: ids[1], output: null },
    });
  });
});

describe('idempotency', () => {
  test('100 events at once with one value: one run; after 24 h one more (FA-10, ID-15)', async () => {
    const k = newKey();
    const requests = numbers(1, 100).map((n) => send({ name: 'test/once', data: { k, n } }));
    const ids = (await Promise.all(requests)).flat();
    const rows = await until(async () => {
      const all = await rowsOf(ids);
      return all.length === 100 ? all : null;
    }, 'a decision about each');
    expect(rows.filter(({ reason }) => reason === 'duplicate')).toHaveLength(99);
    vi.setSystemTime(NOW + DAY);
    const [later = '', tooLate = ''] = [
      ...(await send({ name: 'test/once', data: { k, n: 101 } })),
      ...(await send({ name: 'test/once', data: { k, n: 102 } })),
    ];
    expect(await endedRunsOf(later)).toMatchObject([{ output: [101] }]);
    await skipped(tooLate, 'test-once: duplicate');
  });
});

describe('a singleton', () => {
  function event(name: string, k: string, program: Program): { name: string; data: object } {
    const code = unique('single');
    programs.set(code, program);
    return { name, data: { k, program: code } };
  }

  test('skip: no other run while one is active, be it asleep; then one again (SG-1, SG-2)', async () => {
    const k = newKey();
    const [first = ''] = await send(event('test/sole', k, ({ step }) => step.sleep('long', '1h')));
    const [run] = await until(
      async () => ((await runsOf(first)).length > 0 ? runsOf(first) : null),
      'the run',
    );
    await calm(run?.run_id ?? '');
    const [second = ''] = await send(event('test/sole', k, () => 'second'));
    await skipped(second, 'test-sole: singleton');
    await finish(run?.run_id ?? '');
    const [third = ''] = await send(event('test/sole', k, () => 'third'));
    expect(await endedRunsOf(third)).toMatchObject([{ output: 'third' }]);
  });

  test('cancel: the active run is cancelled, its executing step ends, the new one starts (SG-3, SG-6)', async () => {
    const k = newKey();
    const [entered, left] = [new Gate(), new Gate()];
    const [first = ''] = await send(
      event('test/newest', k, async ({ step }) => {
        await step.run('hold', async () => {
          entered.open();
          await left.passed();
        });
        return step.run('never', () => 'never');
      }),
    );
    await entered.passed();
    const [second = ''] = await send(event('test/newest', k, () => 'second'));
    expect(await endedRunsOf(second)).toMatchObject([{ output: 'second' }]);
    left.open();
    const [run] = await endedRunsOf(first);
    expect(run?.status).toBe('Cancelled');
    const { steps } = await traceOf(run?.run_id ?? '');
    expect(steps.map(({ name, status }) => [name, status])).toEqual([['hold', 'Completed']]);
  });
});

describe('all policies of one function', () => {
  test('are asked one after the other by a gate that is theirs together (FC-7)', async () => {
    const gate = gateOf('test-everything');
    const ids: string[] = [];
    for (const n of [1, 2, 3]) {
      vi.setSystemTime(NOW + n);
      ids.push(...(await send({ name: 'test/everything', data: { n } })));
    }
    for (const id of ids) await until(async () => ((await undispatched(id)) ? null : true), 'the dispatch');
    await pass(gate, 2 * SECOND);
    expect(await endedRunsOf(ids[2] ?? '')).toMatchObject([{ output: [3] }]);
    const [late = ''] = await send({ name: 'test/everything', data: { n: 4 } });
    await until(async () => ((await undispatched(late)) ? null : true), 'the dispatch');
    await pass(gate, 4 * SECOND);
    await skipped(late, 'test-everything: rate_limited');
    expect(await runsOf(late)).toEqual([]);
  });
});

async function undispatched(eventId: string): Promise<boolean> {
  await turn();
  const row = await env.DB.prepare('select dispatched_at as at from event where internal_id = ?')
    .bind(eventId)
    .first<{ at: number | null }>();
  return row?.at == null;
}

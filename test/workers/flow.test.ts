/** Limits on when runs start and execute, as a user meets them: events in, runs out, in real objects with D1 and the queues. */
import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { HOUR, SECOND } from '../../src/lib/time.ts';
import type { RunTrace } from '../../src/protocol/run.ts';
import {
  alarmOf,
  calm,
  crash,
  finish,
  Gate,
  NOW,
  objectOf,
  runsOf,
  send,
  stubOf,
  timeStandsStill,
  traceOf,
  turn,
  unique,
  until,
  wake,
} from './world.ts';
import { type Program, programs } from './worker.ts';

timeStandsStill();

/** Gates are shared by the tests of a file. */
afterEach(async () => {
  for (const table of ['event', 'event_part', 'event_key', 'run'])
    await env.DB.prepare(`delete from ${table}`).run();
});

function named(program: Program): string {
  const name = unique('flow');
  programs.set(name, program);
  return name;
}

/** Sends one event for each of the data; answers the ids of the runs, in that order. */
async function launch(name: string, program: Program, data: object[]): Promise<string[]> {
  return launchNamed(name, named(program), data);
}

/** The same, and the first of them is in before the others come: of those that come together any may be the first. */
async function launchFirst(
  name: string,
  program: Program,
  data: object[],
  isIn: () => boolean,
): Promise<string[]> {
  const code = named(program);
  const [first = ''] = await launchNamed(name, code, data.slice(0, 1));
  await until(() => (isIn() ? true : null), 'the first run');
  return [first, ...(await launchNamed(name, code, data.slice(1)))];
}

async function launchNamed(name: string, code: string, data: object[]): Promise<string[]> {
  const ids = await send(data.map((one) => ({ name, data: { ...one, program: code } })));
  return Promise.all(
    ids.map((id) => until(async () => (await runsOf(id))[0]?.run_id ?? null, `the run of ${id}`)),
  );
}

const gateStub = (name: string) => env.GATE.get(env.GATE.idFromName(name));

/** Lets time pass until the gate's alarm, and fires it. */
async function wakeGate(name: string): Promise<void> {
  const at = await alarmOf(gateStub(name));
  if (at === null) throw new Error('nothing would ever wake the gate');
  if (at > Date.now()) vi.setSystemTime(at);
  await runDurableObjectAlarm(gateStub(name));
}

async function ended(runId: string): Promise<RunTrace> {
  return until(async () => {
    const trace = await traceOf(runId).catch(() => null);
    return trace === null || trace.status === 'Running' ? null : trace;
  }, 'the end of the run');
}

/** How many of a program's bursts execute at the same time. */
class Meter {
  now = 0;
  most = 0;

  async during<Value>(work: () => Promise<Value>): Promise<Value> {
    this.most = Math.max(this.most, ++this.now);
    try {
      return await work();
    } finally {
      this.now--;
    }
  }
}

describe('concurrency', () => {
  test('of 3 lets 3 of 30 runs with three steps execute at a time, and all complete (CC-17, FA-1)', async () => {
    const meter = new Meter();
    const runs = await launch(
      'test/wide',
      async ({ step }) => {
        for (const id of ['a', 'b', 'c']) await step.run(id, () => meter.during(() => turn(1)));
        return 'done';
      },
      Array.from({ length: 30 }, () => ({})),
    );
    const traces = await Promise.all(runs.map(ended));
    expect(traces.map(({ status }) => status)).toEqual(runs.map(() => 'Completed'));
    expect(meter.most).toBe(3);
  });

  test('of 1 starts runs in the order of their events (OR-1, OR-9)', async () => {
    const order: number[] = [];
    const first = new Gate();
    const runs = await launchFirst(
      'test/narrow',
      async ({ event, step }) => {
        const { n } = event.data as unknown as { n: number };
        await step.run('note', async () => {
          order.push(n);
          if (n === 0) await first.passed();
        });
      },
      [{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }],
      () => order.length === 1,
    );
    for (const runId of runs.slice(1)) await calm(runId);
    first.open();
    await Promise.all(runs.map(ended));
    expect(order).toEqual([0, 1, 2, 3]);
  });

  test('counts no run that sleeps, and one that wakes waits for its turn (CC-18, CC-20, FA-4)', async () => {
    const gate = new Gate();
    const sleepers = await launch('test/narrow', async ({ step }) => step.sleep('a while', '1h'), [{}, {}]);
    for (const runId of sleepers)
      await until(async () => ((await calm(runId)).waiting[0]?.reason === 'sleep' ? true : null));
    const [busy = ''] = await launch(
      'test/narrow',
      async ({ step }) => step.run('works', () => gate.passed()),
      [{}],
    );
    await until(async () => ((await traceOf(busy)).steps[0]?.status === 'Running' ? true : null));
    const [one = '', two = ''] = sleepers;
    await wake(one);
    const woken = await calm(one);
    expect(woken.status).toBe('Running');
    expect(woken.waiting.map(({ reason }) => reason)).toEqual(['concurrency']);
    gate.open();
    expect((await ended(one)).status).toBe('Completed');
    expect((await ended(busy)).status).toBe('Completed');
    expect((await finish(two)).status).toBe('Completed');
  });

  test('with two limits needs room under both, and one tenant holds up no other (CC-27, CC-28, CC-30, FA-2)', async () => {
    const gates: Record<string, Gate> = { a: new Gate(), b: new Gate(), c: new Gate() };
    const meters: Record<string, Meter> = { a: new Meter(), b: new Meter(), c: new Meter() };
    const all = new Meter();
    const began: string[] = [];
    const runs = await launch(
      'test/tenants',
      async ({ event, step }) => {
        const { tenant } = event.data as unknown as { tenant: string };
        began.push(tenant);
        await step.run('work', () =>
          all.during(() => (meters[tenant] as Meter).during(() => (gates[tenant] as Gate).passed())),
        );
      },
      ['a', 'a', 'a', 'b', 'c'].map((tenant) => ({ tenant })),
    );
    await until(() => (began.length === 2 ? true : null), 'the first two');
    for (const gate of Object.values(gates)) gate.open();
    const traces = await Promise.all(runs.map(ended));
    expect(traces.every(({ status }) => status === 'Completed')).toBe(true);
    expect([all.most, meters['a']?.most]).toEqual([2, 1]);
  });

  test('is given back by a run whose object was killed, and taken again by it (FA-3)', async () => {
    let entries = 0;
    const [victim = '', next = ''] = await launchFirst(
      'test/narrow',
      async ({ event, step }) => {
        const { n } = event.data as unknown as { n: number };
        await step.run('work', async () => {
          if (n === 0 && ++entries === 1) await new Promise(() => undefined);
        });
        return n;
      },
      [{ n: 0 }, { n: 1 }],
      () => entries === 1,
    );
    expect((await calm(next)).waiting).toMatchObject([
      { reason: 'concurrency', until: null, line: { limit: 1, inUse: 1, before: 0, holders: [victim] } },
    ]);
    await crash(victim);
    await wake(victim);
    expect((await ended(victim)).output).toBe(0);
    expect((await ended(next)).output).toBe(1);
    expect(entries).toBe(2);
  });

  test('of a run that never comes back is free within a minute (CC-23, FA-3)', async () => {
    let isIn = false;
    const [victim = '', next = ''] = await launchFirst(
      'test/narrow',
      async ({ event }) => {
        const { n } = event.data as unknown as { n: number };
        if (n > 0) return n;
        isIn = true;
        return new Promise(() => undefined);
      },
      [{ n: 0 }, { n: 1 }],
      () => isIn,
    );
    await calm(next);
    await crash(victim);
    while (Date.now() < NOW + 60 * SECOND && (await traceOf(next)).status === 'Running') {
      await wakeGate('dev:test-narrow:0');
      await turn(5);
    }
    expect((await ended(next)).output).toBe(1);
    expect(Date.now()).toBeLessThanOrEqual(NOW + 60 * SECOND);
    await objectOf(victim).cancel();
  });

  test('wakes a run that was not in memory when its turn came', async () => {
    const gate = new Gate();
    let isIn = false;
    const enter = () => {
      isIn = true;
      return gate.passed();
    };
    const [, late = ''] = await launchFirst(
      'test/narrow',
      async ({ event, step }) => {
        const { n } = event.data as unknown as { n: number };
        await step.run('work', () => (n === 0 ? enter() : undefined));
        return n;
      },
      [{ n: 0 }, { n: 1 }],
      () => isIn,
    );
    expect((await calm(late)).waiting[0]?.reason).toBe('concurrency');
    await evictDurableObject(stubOf(late));
    gate.open();
    expect((await ended(late)).output).toBe(1);
  });

  test('of a run that was cancelled in the line goes to the next one (CX-22)', async () => {
    const gate = new Gate();
    let isIn = false;
    const enter = () => {
      isIn = true;
      return gate.passed();
    };
    const [first = '', second = '', third = ''] = await launchFirst(
      'test/narrow',
      async ({ event, step }) => {
        const { n } = event.data as unknown as { n: number };
        await step.run('work', () => (n === 0 ? enter() : undefined));
        return n;
      },
      [{ n: 0 }, { n: 1 }, { n: 2 }],
      () => isIn,
    );
    await calm(second);
    expect(await objectOf(second).cancel()).toBe('cancelled');
    expect((await ended(second)).status).toBe('Cancelled');
    gate.open();
    expect((await ended(third)).output).toBe(2);
    expect((await ended(first)).output).toBe(0);
  });
});

describe('GET and PUT /v1/functions/:id/flow', () => {
  const PATH = 'https://stepwell.test/v1/functions/test-narrow/flow';
  const change = (method: string, body: object) =>
    exports.default.fetch(PATH, { method, body: JSON.stringify(body) });

  test('show who holds a lease and how many wait; a limit that is raised, paused and put back acts at once', async () => {
    const gates = [new Gate(), new Gate(), new Gate()];
    const entered: number[] = [];
    const runs = await launchFirst(
      'test/narrow',
      async ({ event, step }) => {
        const { n } = event.data as unknown as { n: number };
        await step.run('work', async () => {
          entered.push(n);
          await gates[n]?.passed();
        });
      },
      [{ n: 0 }, { n: 1 }, { n: 2 }],
      () => entered.length === 1,
    );
    for (const runId of runs.slice(1)) await calm(runId);
    const { data } = await (await exports.default.fetch(PATH)).json<{ data: { lines: object[] } }>();
    expect(data.lines).toEqual([
      {
        scope: 'fn',
        policy: 'concurrency',
        key: '',
        in_use: 1,
        holders: [runs[0]],
        waiting: 2,
        next_at: null,
      },
    ]);
    expect((await change('PUT', { policy: 'concurrency', limit: 2 })).status).toBe(200);
    await until(() => (entered.length === 2 ? true : null), 'the second run');
    await change('PUT', { policy: 'concurrency', paused: true });
    gates[0]?.open();
    gates[1]?.open();
    await ended(runs[0] ?? '');
    await ended(runs[1] ?? '');
    await calm(runs[2] ?? '');
    expect(entered).toEqual([0, 1]);
    expect((await change('DELETE', { policy: 'concurrency' })).status).toBe(200);
    gates[2]?.open();
    expect((await ended(runs[2] ?? '')).status).toBe('Completed');
  });
});

describe('a throttle', () => {
  test('starts one run each 10 s, in the order of the events (TH-7, TH-9, FA-5)', async () => {
    const starts: [number, number][] = [];
    const runs = await launchFirst(
      'test/slow',
      async ({ event, step }) => {
        const { n } = event.data as unknown as { n: number };
        starts.push([n, (Date.now() - NOW) / SECOND]);
        await step.sleep('some', '1h');
        return n;
      },
      [{ n: 0 }, { n: 1 }, { n: 2 }],
      () => starts.length === 1,
    );
    for (const runId of runs) await calm(runId);
    expect((await traceOf(runs[2] ?? '')).waiting).toMatchObject([
      { reason: 'throttle', until: NOW + 10 * SECOND, line: { limit: 1, before: 1, waiting: 2 } },
    ]);
    for (let wakes = 0; starts.length < 3 && wakes < 10; wakes++) {
      await wakeGate('dev:test-slow:0');
      for (const runId of runs) await calm(runId);
    }
    expect(starts).toEqual([
      [0, 0],
      [1, 10],
      [2, 20],
    ]);
    // TH-6, TH-21: only the start is throttled.
    vi.setSystemTime(NOW + 2 * HOUR);
    for (const runId of runs) expect((await finish(runId)).status).toBe('Completed');
  });
});

describe('timeouts', () => {
  test('a start timeout of 10 s cancels what still waits behind a full line then (TO-11, FA-14)', async () => {
    const gate = new Gate();
    let isIn = false;
    const enter = () => {
      isIn = true;
      return gate.passed();
    };
    const [first = '', late = ''] = await launchFirst(
      'test/punctual',
      async ({ event, step }) => {
        const { n } = event.data as unknown as { n: number };
        await step.run('work', () => (n === 0 ? enter() : undefined));
        return n;
      },
      [{ n: 0 }, { n: 1 }],
      () => isIn,
    );
    expect((await calm(late)).waiting[0]?.reason).toBe('concurrency');
    expect(await alarmOf(stubOf(late))).toBeLessThanOrEqual(NOW + 11 * SECOND);
    await wake(late);
    expect((await ended(late)).status).toBe('Cancelled');
    // TO-4: what has begun may take longer.
    gate.open();
    expect((await ended(first)).status).toBe('Completed');
  });
});

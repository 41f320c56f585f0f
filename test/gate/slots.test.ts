import { describe, expect, it } from 'vitest';
import { MINUTE, SECOND } from '../../src/lib/time.ts';
import { askOf, configured, GateWorld, START, START_LIMIT } from './world.ts';

const limited = (limit: number, more: object = {}) => configured('app-fn', { concurrency: limit, ...more });

describe('leases', () => {
  it('are as many as the limit, and whoever comes later waits (CC-3, CC-26)', async () => {
    const world = new GateWorld(limited(2));
    expect([await world.ask('a'), await world.ask('b'), await world.ask('c')]).toEqual([
      'granted',
      'granted',
      'queued',
    ]);
    await world.release('a');
    expect(world.news()).toEqual(['c']);
    expect(world.rows('lease')).toBe(2);
  });

  it('go to the smallest score, then to the first event, whenever they came (OR-3, OR-9, PR-10)', async () => {
    const world = new GateWorld(limited(1));
    await world.ask('first');
    await world.ask('z', { score: START + 2 });
    await world.ask('y', { score: START + 2 });
    await world.ask('old', { score: START + 1 });
    const order: string[] = [];
    for (let holder = 'first'; holder !== ''; holder = order.at(-1) ?? '') {
      await world.release(holder, {
        score: { first: START, old: START + 1 }[holder] ?? START + 2,
      });
      const [next = ''] = world.news();
      order.push(next);
    }
    expect(order).toEqual(['old', 'y', 'z', '']);
    expect([world.rows('lease'), world.rows('waiting')]).toEqual([0, 0]);
  });

  it('go in the order of priority: A, Y, B, C, X of the worked example (PR-14, FA-8)', async () => {
    const world = new GateWorld(limited(1));
    const at = (minutes: number, seconds: number) => ({ score: START + minutes * MINUTE + seconds * SECOND });
    const scores = { A: at(0, 10), B: at(0, 40), C: at(2, 10), X: at(2, 30), Y: at(2, 30 - 120) };
    await world.ask('holder');
    for (const [runId, score] of Object.entries(scores)) await world.ask(runId, score);
    const order: string[] = [];
    await world.release('holder');
    for (let [next] = world.news(); next !== undefined; [next] = world.news()) {
      order.push(next);
      await world.release(next, scores[next as keyof typeof scores]);
    }
    expect(order.join('')).toBe('AYBCX');
  });

  it('of one key leave those of another alone (CC-6, CC-30)', async () => {
    const world = new GateWorld(configured('app-fn', { concurrency: { limit: 1, key: 'event.data.k' } }));
    const key = (text: string) => ({
      limit: { policy: 'concurrency', scope: 'fn', n: 0, key: text } as const,
    });
    expect(await world.ask('a', key('x'))).toBe('granted');
    expect(await world.ask('b', key('x'))).toBe('queued');
    expect(await world.ask('c', key('y'))).toBe('granted');
  });

  it('of a shared queue are compared with the limit of each function: 5 and 50 (CC-31, FA-2)', async () => {
    const shared = (id: string, limit: number) =>
      configured(id, { concurrency: { limit, key: '"llm"', scope: 'env' } });
    const world = new GateWorld(shared('app-small', 5), shared('app-large', 50));
    const of = (functionId: string) => ({
      functionId,
      limit: { policy: 'concurrency', scope: 'env', n: 0, key: 's:llm' } as const,
    });
    for (let n = 0; n < 5; n++) expect(await world.ask(`l${n}`, of('app-large'))).toBe('granted');
    expect(await world.ask('s', of('app-small'))).toBe('queued');
    for (let n = 5; n < 50; n++) expect(await world.ask(`l${n}`, of('app-large'))).toBe('granted');
    expect(await world.ask('l50', { ...of('app-large'), score: START + 1 })).toBe('queued');
    await world.release('l0', of('app-large'));
    expect(world.news()).toEqual(['l50']);
    await world.release('l50', { ...of('app-large'), score: START + 1 });
    for (let n = 1; n < 45; n++) await world.release(`l${n}`, of('app-large'));
    expect(world.news()).toEqual([]);
    await world.release('l45', of('app-large'));
    expect(world.news()).toEqual(['s']);
  });

  it('that are neither renewed nor given back are free within a minute (CC-23)', async () => {
    const world = new GateWorld(limited(1));
    await world.ask('lost');
    await world.ask('next');
    await world.pass(30 * SECOND);
    await world.ask('lost', { wait: false });
    await world.pass(54 * SECOND);
    expect(world.news()).toEqual([]);
    await world.pass(6 * SECOND);
    expect(world.news()).toEqual(['next']);
  });

  it('outlive a crash of the gate, and so does the line', async () => {
    const world = new GateWorld(limited(1));
    await world.ask('a');
    await world.ask('b');
    world.crash();
    expect(await world.ask('c', { score: START + 1 })).toBe('queued');
    await world.release('a');
    expect(world.news()).toEqual(['b']);
  });

  it('follow a limit that is raised or lowered at once, without an end to what executes (CC-36)', async () => {
    const world = new GateWorld(limited(2));
    await world.ask('a');
    await world.ask('b');
    await world.ask('c');
    world.functions = [limited(1)];
    await world.release('a');
    expect(world.news()).toEqual([]);
    await world.release('b');
    expect(world.news()).toEqual(['c']);
    await world.ask('d');
    world.functions = [limited(3)];
    expect(await world.ask('e', { score: START + 1 })).toBe('granted');
    expect(world.news()).toEqual(['d']);
  });

  it('of a line that is let go are given in pieces, and all of them are (CC-36)', async () => {
    const world = new GateWorld(limited(1));
    await world.ask('a');
    for (let n = 0; n < 1_000; n++) await world.owner.acquire(askOf(`r${String(n).padStart(4, '0')}`));
    world.functions = [limited(5_000)];
    await world.release('a');
    expect(world.news()).toHaveLength(200);
    await world.pass(SECOND);
    expect(world.news()).toHaveLength(800);
    expect([world.rows('waiting'), world.rows('lease')]).toEqual([0, 1_000]);
  });

  it('need no function to be configured any more: what has no limit waits for nothing', async () => {
    const world = new GateWorld(limited(1));
    await world.ask('a');
    await world.ask('b');
    world.functions = [];
    expect(await world.ask('c')).toBe('granted');
    expect(world.news()).toEqual(['b']);
  });
});

describe('a message that comes twice or late', () => {
  it('is answered as before, and takes no second slot', async () => {
    const world = new GateWorld(limited(2));
    expect([await world.ask('a'), await world.ask('a'), await world.ask('b'), await world.ask('c')]).toEqual([
      'granted',
      'granted',
      'granted',
      'queued',
    ]);
    expect(await world.ask('c')).toBe('queued');
    expect([world.rows('lease'), world.rows('waiting')]).toEqual([2, 1]);
  });

  it('of an earlier turn gives nothing back, and is told the later one', async () => {
    const world = new GateWorld(limited(1));
    await world.ask('a', { turn: 5 });
    await world.release('a', { turn: 4 });
    expect(world.rows('lease')).toBe(1);
    expect(await world.owner.acquire(askOf('a', { turn: 4 }))).toEqual({ is: 'stale', turn: 5 });
    await world.ask('b', { turn: 9 });
    expect(await world.owner.acquire(askOf('b', { turn: 8 }))).toEqual({ is: 'stale', turn: 9 });
    await world.release('b', { turn: 8 });
    expect(world.rows('waiting')).toBe(1);
  });

  it('of a run that asks anew after a restart keeps its lease, and its place', async () => {
    const world = new GateWorld(limited(1));
    await world.ask('a', { turn: 1 });
    await world.ask('b', { turn: 1 });
    await world.ask('c', { turn: 1, score: START + 1 });
    expect(await world.ask('a', { turn: 7 })).toBe('granted');
    expect(await world.ask('b', { turn: 7 })).toBe('queued');
    await world.release('a', { turn: 7 });
    expect(world.told.map(({ runId, granted }) => [runId, granted.turn])).toEqual([['b', 7]]);
  });
});

describe('a run that is told of its slot', () => {
  it('is told again until it has heard, and the slot is its own meanwhile', async () => {
    const world = new GateWorld(limited(1));
    await world.ask('a');
    await world.ask('b');
    world.tell = () => Promise.reject(new Error('unreachable'));
    await world.release('a');
    expect(await world.ask('c', { wait: false })).toBe('full');
    world.tell = async () => 'taken';
    await world.pass(5 * SECOND);
    expect(world.news()).toEqual(['b', 'b']);
    await world.pass(20 * SECOND);
    expect(world.news()).toEqual([]);
  });

  it('is told again by a gate that was lost before it was written down that it had heard', async () => {
    const world = new GateWorld(limited(1));
    await world.ask('a');
    await world.ask('b');
    world.tell = () => new Promise(() => undefined);
    await world.release('a');
    world.crash();
    world.tell = async () => 'taken';
    await world.pass(5 * SECOND);
    expect(world.news()).toEqual(['b', 'b']);
    expect(world.rows('lease')).toBe(1);
  });

  it('and wants it no more makes room for the next one at once', async () => {
    const world = new GateWorld(limited(1));
    await world.ask('a');
    await world.ask('b');
    await world.ask('c', { score: START + 1 });
    world.tell = async ({ runId }) => (runId === 'b' ? 'gone' : 'taken');
    await world.release('a');
    expect(world.news()).toEqual(['b', 'c']);
    expect(world.rows('lease')).toBe(1);
  });

  it('and can never be reached holds its slot for a minute', async () => {
    const world = new GateWorld(limited(1));
    await world.ask('a');
    await world.ask('dead');
    await world.ask('c', { score: START + 1 });
    world.tell = ({ runId }) =>
      runId === 'dead' ? Promise.reject(new Error('unreachable')) : Promise.resolve('taken');
    await world.release('a');
    await world.pass(MINUTE);
    expect(world.news().at(-1)).toBe('c');
  });
});

describe('a throttle', () => {
  const throttled = (throttle: object) => configured('app-fn', { throttle });

  /** Moments of the starts of a line that is full at once, in seconds. */
  async function starts(
    throttle: object,
    count: number,
    mode: GateWorld['throttleMode'] = 'smooth',
  ): Promise<number[]> {
    const world = new GateWorld(throttled(throttle));
    world.throttleMode = mode;
    const moments: number[] = [];
    for (let n = 0; n < count; n++) {
      const answer = await world.ask(`r${String(n).padStart(3, '0')}`, { limit: START_LIMIT });
      if (answer === 'granted') moments.push(0);
    }
    world.tell = async () => {
      moments.push((world.now - START) / SECOND);
      return 'taken';
    };
    await world.pass(10 * MINUTE);
    expect([world.rows('waiting'), world.rows('lease')]).toEqual([0, 0]);
    return moments;
  }

  it('of 10 in 60 s starts one each 6 s (TH-15, FA-5)', async () => {
    expect(await starts({ limit: 10, period: '60s' }, 5)).toEqual([0, 6, 12, 18, 24]);
  });

  it('of 1 in 5 s with a burst of 2 starts two at once, then one each 5 s (TH-15, FA-5)', async () => {
    expect(await starts({ limit: 1, period: '5s', burst: 2 }, 5)).toEqual([0, 0, 5, 10, 15]);
  });

  it('of 3 in a minute starts one each 20 s (TH-15, FA-5)', async () => {
    expect(await starts({ limit: 3, period: '1min' }, 4)).toEqual([0, 20, 40, 60]);
  });

  it('lets limit + burst start at once where the deployment says so (TH-16)', async () => {
    expect(await starts({ limit: 2, period: '10s' }, 5, 'limit-plus-burst')).toEqual([0, 0, 0, 5, 10]);
  });

  it('has a rate for each key (TH-5)', async () => {
    const world = new GateWorld(throttled({ limit: 1, period: '1h', key: 'event.data.k' }));
    const under = (key: string) => ({ limit: { ...START_LIMIT, key } });
    expect(await world.ask('a', under('x'))).toBe('granted');
    expect(await world.ask('b', under('x'))).toBe('queued');
    expect(await world.ask('c', under('y'))).toBe('granted');
  });

  it('starts in the order of the line, and a run that has left it costs nothing (TH-9, TH-19, FA-5)', async () => {
    const world = new GateWorld(throttled({ limit: 1, period: '10s' }));
    await world.ask('a', { limit: START_LIMIT });
    for (const runId of ['d', 'c', 'b']) await world.ask(runId, { limit: START_LIMIT });
    await world.release('b', { limit: START_LIMIT, turn: 2 });
    await world.pass(10 * SECOND);
    expect(world.news()).toEqual(['c']);
    await world.pass(10 * SECOND);
    expect(world.news()).toEqual(['d']);
  });

  it('whose rate has changed keeps nobody for more than one of its new periods (TH-22)', async () => {
    const world = new GateWorld(throttled({ limit: 1, period: '7d' }));
    await world.ask('a', { limit: START_LIMIT });
    await world.ask('b', { limit: START_LIMIT });
    world.functions = [throttled({ limit: 1, period: '10s' })];
    await world.ask('c', { limit: START_LIMIT });
    await world.pass(10 * SECOND);
    expect(world.news()).toEqual(['b']);
  });

  it('is looked at within a minute after a deployment has changed it (FN-11)', async () => {
    const world = new GateWorld(throttled({ limit: 1, period: '7d' }));
    await world.ask('a', { limit: START_LIMIT });
    await world.ask('b', { limit: START_LIMIT });
    world.functions = [throttled({ limit: 1, period: '10s' })];
    world.crash();
    await world.pass(MINUTE + 10 * SECOND);
    expect(world.news()).toEqual(['b']);
  });

  it('forgets keys under which nothing has started for long (TH-23)', async () => {
    const world = new GateWorld(throttled({ limit: 1, period: '1s', key: 'event.data.k' }));
    for (let n = 0; n < 20; n++) await world.ask(`r${n}`, { limit: { ...START_LIMIT, key: `k${n}` } });
    expect(world.rows('rate')).toBe(20);
    await world.pass(2 * 60 * MINUTE);
    expect(world.rows('rate')).toBe(0);
    expect(world.disk.alarm).toBeNull();
  });

  it('outlives a crash', async () => {
    const world = new GateWorld(throttled({ limit: 1, period: '10s' }));
    await world.ask('a', { limit: START_LIMIT });
    await world.ask('b', { limit: START_LIMIT });
    world.crash();
    expect(await world.ask('c', { limit: START_LIMIT })).toBe('queued');
    await world.pass(10 * SECOND);
    expect(world.news()).toEqual(['b']);
  });
});

it('a gate that nothing was asked of has no rows and sets no alarm', async () => {
  const world = new GateWorld(limited(1));
  await world.release('nobody');
  expect(world.disk.alarm).toBeNull();
  expect(world.errors).toEqual([]);
});

it('whatever a gate is asked, its answer does not take longer behind 20,000 who wait', async () => {
  const world = new GateWorld(limited(1));
  await world.ask('holder');
  for (let n = 0; n < 20_000; n++) await world.owner.acquire(askOf(`r${String(n).padStart(6, '0')}`));
  const before = performance.now();
  for (let n = 0; n < 500; n++) {
    await world.release(n === 0 ? 'holder' : `r${String(n - 1).padStart(6, '0')}`);
  }
  const each = (performance.now() - before) / 500;
  expect(world.news()).toHaveLength(500);
  // A scan of the line takes several milliseconds.
  expect(each).toBeLessThan(2);
}, 30_000);

describe('a change of a limit', () => {
  const all = { env: 'main', functionId: 'app-fn', policy: 'concurrency', scope: 'fn', n: 0 } as const;

  it('holds from now on, for one key or for all that have none of their own, until it is taken back', async () => {
    const world = new GateWorld(configured('app-fn', { concurrency: { limit: 1, key: 'event.data.k' } }));
    const under = (key: string) => ({ limit: { policy: 'concurrency', scope: 'fn', n: 0, key } as const });
    for (const runId of ['a', 'b', 'c']) await world.ask(runId, under('x'));
    await world.owner.change({ ...all, key: null }, { limit: 2 });
    expect(world.news()).toEqual(['b']);
    await world.owner.change({ ...all, key: 'x' }, { limit: 3 });
    expect(world.news()).toEqual(['c']);
    await world.ask('d', under('x'));
    await world.owner.change({ ...all, key: 'x' }, null);
    await world.owner.change({ ...all, key: null }, null);
    for (const runId of ['a', 'b']) await world.release(runId, under('x'));
    expect(world.news()).toEqual([]);
    await world.release('c', under('x'));
    expect(world.news()).toEqual(['d']);
  });

  it('outlives a crash', async () => {
    const world = new GateWorld(limited(1));
    await world.owner.change({ ...all, key: null }, { limit: 2 });
    world.crash();
    expect([await world.ask('a'), await world.ask('b'), await world.ask('c')]).toEqual([
      'granted',
      'granted',
      'queued',
    ]);
  });

  it('pauses a limit: what executes goes on, what waits keeps its place, and is told when that is over', async () => {
    const world = new GateWorld(limited(1));
    await world.ask('a');
    await world.ask('b');
    await world.owner.change({ ...all, key: null }, { isPaused: true });
    await world.release('a');
    await world.pass(10 * MINUTE);
    expect(world.news()).toEqual([]);
    expect(await world.ask('c', { score: START + 1 })).toBe('queued');
    await world.owner.change({ ...all, key: null }, null);
    expect(world.news()).toEqual(['b']);
  });

  it('of a throttle changes its rate, or pauses it without a busy alarm', async () => {
    const world = new GateWorld(configured('app-fn', { throttle: { limit: 1, period: '1h' } }));
    const choice = { ...all, policy: 'throttle', key: null } as const;
    for (const runId of ['a', 'b', 'c']) await world.ask(runId, { limit: START_LIMIT });
    await world.owner.change(choice, { period: 10_000 });
    await world.pass(10 * SECOND);
    expect(world.news()).toEqual(['b']);
    await world.owner.change(choice, { isPaused: true });
    await world.pass(MINUTE);
    expect(world.news()).toEqual([]);
    expect((world.disk.alarm ?? 0) - world.now).toBeGreaterThan(10 * SECOND);
    await world.owner.change(choice, null);
    await world.pass(60 * MINUTE);
    expect(world.news()).toEqual(['c']);
  });
});

describe('a look', () => {
  it('says how a line stands: who holds it, who is before, and when there will be room', async () => {
    const world = new GateWorld(limited(1));
    for (const runId of ['a', 'b', 'c']) await world.ask(runId);
    const claim = {
      env: 'main',
      functionId: 'app-fn',
      runId: 'c',
      limit: { policy: 'concurrency', scope: 'fn', n: 0, key: '' },
      score: START,
      eventId: 'c',
      turn: 0,
    } as const;
    const line = { policy: 'concurrency', key: '', inUse: 1, holders: ['a'], waiting: 2, nextAt: null };
    expect(await world.owner.look(claim)).toEqual({ ...line, limit: 1, before: 1 });
    expect(await world.owner.look({ ...claim, runId: 'a', eventId: 'a' })).toBeNull();
    expect(await world.owner.lines()).toEqual([line]);
  });
});

/**
 * The documented patterns, run: each example is written as users of the SDK write it, with its name as the import. Time passes where a
 * test says so.
 */
import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createWorker } from '../../src/engine.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/lib/time.ts';
import {
  emptyTables,
  ended,
  endedRunsOf,
  endEvent,
  endEvents,
  finish,
  NOW,
  objectOf,
  runsOf,
  sendThrough,
  stubOf,
  timeStandsStill,
  traceOf,
  until,
  waiting,
  wake,
} from '../workers/world.ts';
import { apps } from '../workers/worker.ts';
import { lines } from './middleware.ts';
import { done, failAt, forgetAll } from './nursery.ts';

timeStandsStill();
emptyTables();
afterEach(() => {
  forgetAll();
  lines.length = 0;
});

/** Sends it; answers the one run that it starts. */
async function start(event: { name: string; [member: string]: unknown }) {
  const [eventId = ''] = await sendThrough(event);
  const runs = await runsOf(eventId);
  expect(runs).toHaveLength(1);
  return { eventId, runId: runs[0]?.run_id ?? '' };
}

/** Until it has ended, whatever time that takes. */
async function outcome(event: { name: string; [member: string]: unknown }) {
  const { eventId, runId } = await start(event);
  await finish(runId);
  const [run] = await endedRunsOf(eventId);
  return { ...run, runId };
}

/** Lets it be that moment for the schedules; answers the event of this one. */
async function tick(cron: string, moment: string): Promise<string> {
  vi.setSystemTime(Date.parse(moment) - SECOND);
  await createWorker({ apps }).scheduled({} as ScheduledController, env);
  vi.setSystemTime(Date.parse(moment));
  await runDurableObjectAlarm(env.CRON.get(env.CRON.idFromName('dev')));
  return until(async () =>
    env.DB.prepare(
      `select internal_id from event where name = 'inngest/scheduled.timer' and ts = ? and body like ?`,
    )
      .bind(Date.parse(moment), `%${cron}%`)
      .first<string>('internal_id'),
  );
}

async function bodyOf(name: string): Promise<unknown> {
  const body = await env.DB.prepare('select body from event where name = ?').bind(name).first<string>('body');
  return JSON.parse(body ?? 'null');
}

describe('steps', () => {
  test('one after the other, some of them only if (FN-34, MX-16, SR-4, ST-9)', async () => {
    const run = await outcome({ name: 'nursery/delivery.arrived', data: { trays: 2, fragile: false } });
    expect(run).toMatchObject({ status: 'Completed', output: { potted: 24, year: '1970' } });
    expect(done).toEqual(['count', 'fetch', 'plant 24']);
    await outcome({ name: 'nursery/delivery.arrived', data: { trays: 1, fragile: true } });
    expect(done.slice(3)).toEqual(['count', 'fetch', 'help', 'plant 12']);
  });

  test('pages in a loop: the list is complete and in order, whatever fails in between (LP-1, LP-2)', async () => {
    failAt('page 1', new Error('busy'), new Error('busy'));
    const run = await outcome({ name: 'nursery/catalogue.import', data: { pages: 3 } });
    expect(run.output).toEqual(['fern 0', 'moss 0', 'fern 1', 'moss 1', 'fern 2', 'moss 2']);
    expect(done).toEqual(['page 0', 'page 1', 'page 1', 'page 1', 'page 2']);
  });

  test('one id for all turns of a loop, with a sleep in each (ST-4, SL-11)', async () => {
    const run = await outcome({
      name: 'nursery/rows.dry',
      data: { rows: ['a', 'bb', 'ccc'].map((row) => row.length) },
    });
    expect(run.output).toEqual([2, 4, 6]);
    expect(Date.now()).toBe(NOW + 15 * MINUTE);
    const { steps } = await traceOf(run.runId);
    expect(steps.map(({ name }) => name)).toEqual(
      Array.from({ length: 3 }, () => ['water', 'let-it-drain']).flat(),
    );
    expect(new Set(steps.map(({ id }) => id)).size).toBe(6);
  });

  test('side by side, with what each of them returned (PA-1, PA-5, ST-6)', async () => {
    const run = await outcome({ name: 'nursery/sale.planned', data: { of: 'ferns', prices: [10, 6, 2] } });
    expect(run.output).toEqual({ text: 'Sale: ferns', count: 40, prices: [5, 3, 1], total: 9 });
  });

  test('keep what they return; what their closures assign is lost with the entry (MX-11)', async () => {
    const { runId } = await start({ name: 'nursery/seedling.found' });
    await waiting(runId, 'sleep');
    await evictDurableObject(stubOf(runId));
    expect((await finish(runId)).output).toEqual({ assigned: 'nothing', returned: 'Adiantum' });
  });

  test('race: whichever is first (PA-9)', async () => {
    const slow = await outcome({ name: 'nursery/leaf.spotted', data: { leaf: 1 } });
    expect([slow.output, Date.now()]).toEqual(['nobody', NOW + HOUR]);
    const { runId } = await start({ name: 'nursery/leaf.spotted', data: { leaf: 2 } });
    await waiting(runId, 'event');
    await sendThrough({ name: 'nursery/leaf.identified', data: { leaf: 2, as: 'oak' } });
    expect((await ended(runId)).output).toBe('oak');
  });
});

describe('errors', () => {
  const failed = (name: string, data: object = {}) => outcome({ name: `greenhouse/${name}`, data });

  test('without steps the function is tried again, as often as it says (RT-3, HC-7)', async () => {
    failAt('read', new Error('no answer'), new Error('no answer'));
    const run = await failed('sensor.polled', { sensor: 's1' });
    expect(run).toMatchObject({ status: 'Completed', output: { sensor: 's1', attempt: 2 } });
    failAt('read', ...Array.from({ length: 9 }, () => new TypeError('no answer')));
    expect(await failed('sensor.polled')).toMatchObject({ status: 'Failed', output: { name: 'TypeError' } });
    expect(done.filter((what) => what === 'read')).toHaveLength(6);
  });

  test('NonRetriableError ends it at once, with its cause (ER-8 to ER-10)', async () => {
    failAt('look-up', new RangeError('no such row'));
    const run = await failed('plant.wanted', { name: 'triffid' });
    expect(run).toMatchObject({
      status: 'Failed',
      output: {
        message: 'no plant is called triffid',
        cause: { name: 'RangeError', message: 'no such row' },
      },
    });
    expect(done.filter((what) => !what.includes(' failed'))).toEqual(['look-up']);
  });

  test('RetryAfterError says when the next attempt is (ER-11, ER-13)', async () => {
    const { runId } = await start({ name: 'greenhouse/soil.low', data: { busy: [true] } });
    expect(await waiting(runId, 'retry')).toMatchObject({ waiting: [{ until: NOW + 90 * SECOND }] });
    await objectOf(runId).cancel();
  });

  test('a step that has failed for good is a StepError, and another step takes its place (RB-1, ER-15, ER-16)', async () => {
    failAt('shop', new RangeError('sold out'), new RangeError('sold out'));
    const run = await failed('lamp.broken');
    expect(run).toMatchObject({
      status: 'Completed',
      output: { lamp: 'old lamp', from: 'market', why: 'RangeError: sold out' },
    });
    expect(done).toEqual(['shop', 'shop', 'market', 'screw in old lamp']);
    expect(await endEvents('inngest/function.failed', run.runId)).toEqual([]);
  });

  test('steps that undo, and steps that do not matter (RB-2, RB-3, RB-5, ER-18)', async () => {
    failAt('tell', new Error('nobody home'));
    failAt('nail', new Error('bent'));
    expect(await failed('shelf.wanted')).toMatchObject({ status: 'Completed', output: { built: 'nothing' } });
    expect(done).toEqual(['tell', 'saw', 'nail', 'clear away: bent']);
    forgetAll();
    expect((await failed('shelf.wanted')).output).toEqual({ built: 'a shelf' });
  });

  test('a catch that throws: an ordinary error tries the function again, which finds the step failed still (RB-4, ER-20)', async () => {
    failAt('climb', new Error('slipped'), new Error('slipped'));
    const run = await failed('roof.leaks');
    expect(run).toMatchObject({ status: 'Failed', output: { message: 'still leaking, attempt 1' } });
    expect(done.filter((what) => what === 'climb')).toHaveLength(2);
    expect((await traceOf(run.runId)).failures).toHaveLength(2);
    failAt('climb', new RangeError('dizzy'), new RangeError('dizzy'));
    const final = await failed('roof.leaks');
    expect(final).toMatchObject({
      status: 'Failed',
      output: { message: 'too high', cause: { message: 'dizzy' } },
    });
    expect((await traceOf(final.runId)).failures).toHaveLength(1);
  });

  test('onFailure, and one function for all failures (FN-16, OF-7 to OF-12, SY-9)', async () => {
    failAt('light', new Error('no wood'));
    const run = await failed('frost.expected', { temperature: -3 });
    expect(run.status).toBe('Failed');
    const event = await endEvent('inngest/function.failed', run.runId);
    const handlers = await endedRunsOf(event.internalId, 2);
    const own = handlers.find(({ output }) => output !== null);
    expect(own).toMatchObject({ status: 'Completed', output: { handled: run.runId, by: own?.run_id } });
    expect(done).toContain('Error: no wood at -3');
    expect(done).toContain('greenhouse-heat failed: Error: no wood');
  });
});

describe('time', () => {
  test('a function sleeps, in words and in milliseconds (FN-33, SL-1)', async () => {
    await outcome({ name: 'garden/customer.visited', data: { email: 'a@b.test' } });
    expect([done, Date.now()]).toEqual([['write to a@b.test'], NOW + 90 * MINUTE]);
  });

  test('and until dates months away, fixed ones and those of its event (RN-7, SU-1, SU-4, SU-7)', async () => {
    const opensAt = '2060-04-01T08:00:00.000Z';
    await outcome({ name: 'garden/season.planned', data: { opensAt } });
    expect([done, new Date().toISOString()]).toEqual([['open'], '2060-04-01T12:00:00.000Z']);
  });

  test('an event for later starts its function then (TR-17)', async () => {
    const { runId } = await start({
      name: 'garden/reminder.scheduled',
      data: { of: 'tea' },
      ts: NOW + 5 * MINUTE,
    });
    await waiting(runId, 'start');
    expect(done).toEqual([]);
    expect(await finish(runId)).toMatchObject({ output: 'tea', startedAt: NOW + 5 * MINUTE });
  });

  test('a schedule loads what is to be done and sends an event for each, at noon in Paris, winter and summer (AT-15, FN-32, CR-2, CR-10, CR-17, SV-2)', async () => {
    const cron = 'TZ=Europe/Paris 0 12 * * 5';
    const digested = async (moment: string) => {
      const [run] = await endedRunsOf(await tick(cron, moment));
      const output = (run?.output ?? { ids: [] }) as { ids: string[]; cron: string };
      const digests = await Promise.all(output.ids.map((sent) => endedRunsOf(sent)));
      return { cron: output.cron, members: digests.flat().map((each) => each.output) };
    };
    const both = { cron, members: ['m1', 'm2'] };
    expect(await digested('2060-01-02T11:00:00Z')).toEqual(both);
    expect(await digested('2060-04-02T10:00:00Z')).toEqual(both);
    expect(done.filter((what) => what === 'digest to one@garden.test')).toHaveLength(2);
  });
});

describe('waiting for events', () => {
  const joined = (memberId: string) => ({
    name: 'club/member.joined',
    data: { memberId },
    user: { email: `${memberId}@club.test` },
  });

  test('a campaign goes on with the event of its own member (AT-12, WE-2, WE-4)', async () => {
    const { runId } = await start(joined('m1'));
    await waiting(runId, 'event');
    await sendThrough({ name: 'club/plant.planted', data: { memberId: 'm2', plant: 'oak' } });
    await sendThrough({ name: 'club/plant.planted', data: { memberId: 'm1', plant: 'fern' } });
    await ended(runId);
    expect(done).toEqual(['welcome m1@club.test', 'tips on fern']);
  });

  test('or without one when its time is over (AT-12, WE-2)', async () => {
    const { runId } = await start(joined('m3'));
    await waiting(runId, 'event');
    await finish(runId);
    expect([done, Date.now()]).toEqual([['welcome m3@club.test', 'nudge m3@club.test'], NOW + 3 * DAY]);
  });

  test('an expression with the result of an earlier step in it (WE-5)', async () => {
    const { runId } = await start({ name: 'club/trial.started', data: { memberId: 'm4', plan: 'free' } });
    await waiting(runId, 'event');
    const click = (mailId: string, link: string) => ({ name: 'mail/link.clicked', data: { mailId, link } });
    await sendThrough([click('mail-m5', 'home'), click('mail-m4', 'unsubscribe')]);
    await waiting(runId, 'event');
    vi.setSystemTime(NOW + HOUR);
    await sendThrough(click('mail-m4', 'home'));
    await waiting(runId, 'sleep');
    await finish(runId);
    expect([done, Date.now()]).toEqual([['offer', 'tips', 'plan', 'reminder'], NOW + HOUR + 2 * DAY]);
  });

  test('several waits at once (PA-9, WE-11)', async () => {
    const { runId } = await start({ name: 'club/expense.filed', data: { expenseId: 'e1' } });
    await waiting(runId, 'event', 2);
    const decided = (by: string, approved: boolean) => ({
      name: 'club/expense.decided',
      data: { expenseId: 'e1', by, approved },
    });
    await sendThrough(decided('treasurer', false));
    await waiting(runId, 'event', 1);
    await sendThrough(decided('chair', true));
    expect((await ended(runId)).output).toBe('e1 is paid');
  });
});

describe('sending events', () => {
  test('fan-out: one event, many functions, each by itself (FN-35, FN-37, RN-1, RN-9)', async () => {
    failAt('inspect', new Error('mice'));
    const data = { owner: 'Ada', goods: 'jam', food: true };
    const [eventId = ''] = await sendThrough({ name: 'market/stall.opened', data });
    const runs = await endedRunsOf(eventId, 3);
    expect(runs.map(({ status }) => status).toSorted()).toEqual(['Completed', 'Completed', 'Failed']);
    expect(new Set(runs.map((run) => run.run_id)).size).toBe(3);
    const traces = await Promise.all(runs.map((run) => traceOf(run.run_id)));
    expect(traces.filter(({ failures }) => failures.length > 0)).toHaveLength(1);
    const outputs: unknown[] = runs.map(({ output }) => output);
    expect(outputs).toEqual(
      expect.arrayContaining(['Ada', 'jam', expect.objectContaining({ message: 'mice' })]),
    );
  });

  test('a filter that does not match leaves no run, and the event in the history (TR-3, TR-18)', async () => {
    const [eventId = ''] = await sendThrough({
      name: 'market/stall.opened',
      data: { owner: 'Bob', food: false },
    });
    expect(await endedRunsOf(eventId, 2)).toHaveLength(2);
    expect(
      await env.DB.prepare('select name from event where internal_id = ?').bind(eventId).first('name'),
    ).toBe('market/stall.opened');
  });

  test('from a step: one event, many, none (SV-1, SV-11)', async () => {
    const run = await outcome({ name: 'market/day.over', data: { stalls: ['Ada', 'Bob'] } });
    expect(run.output).toEqual([2, 1, 0]);
    await until(() => (done.length === 2 ? true : null));
    expect(done.toSorted()).toEqual(['bill Ada', 'bill Bob']);
  });

  test('by the client, in a handler (SE-1)', async () => {
    const run = await outcome({ name: 'market/cleaning.due' });
    const [id = ''] = run.output as string[];
    expect(await env.DB.prepare('select name from event where internal_id = ?').bind(id).first('name')).toBe(
      'market/cleaned',
    );
  });

  test('an id makes an event count once, however often it is sent (DD-1)', async () => {
    const bill = { name: 'market/bill.due', id: 'bill-7', data: { stall: 'Ada' } };
    const [first = '', second = ''] = await sendThrough([bill, bill]);
    expect(await endedRunsOf(first)).toHaveLength(1);
    expect(await runsOf(second)).toEqual([]);
    expect(done).toEqual(['bill Ada']);
  });

  test('several triggers, told apart by the name of the event (TR-6, TR-8, TR-14)', async () => {
    const amounts = [
      { name: 'market/sale.made', data: { amount: 3 } },
      { name: 'market/sale.returned', data: { amount: 7 } },
    ];
    const outputs = await Promise.all(amounts.map(async (event) => (await outcome(event)).output));
    expect(outputs).toEqual([3, -7]);
    const [none = ''] = await sendThrough({ name: 'market/sale.returned', data: { amount: 5 } });
    expect(await runsOf(none)).toEqual([]);
  });

  test('a wildcard with a filter (TR-9, TR-13)', async () => {
    const run = await outcome({ name: 'market/blog.post.published', data: { author: 'Ada' } });
    expect(run.output).toBe('market/blog.post.published');
    const [none = ''] = await sendThrough({ name: 'market/blog.post.published', data: { author: 'bot' } });
    expect(await runsOf(none)).toEqual([]);
  });

  test('a new version takes over at a moment (VR-7, TR-19)', async () => {
    const weighed = (ts: number) => outcome({ name: 'market/goods.weighed', ts });
    expect((await weighed(NOW + 10 * SECOND - 1)).output).toBe('old scales');
    expect((await weighed(NOW + 10 * SECOND)).output).toBe('new scales');
  });
});

describe('cancelling', () => {
  const placed = (data: object) =>
    start({ name: 'seeds/order.placed', data: { dueAt: '2060-01-15', ...data } });
  /** And cleaned up. */
  const cancelled = async (runId: string) => {
    expect(await ended(runId)).toMatchObject({ status: 'Cancelled' });
    const { internalId } = await endEvent('inngest/function.cancelled', runId);
    expect(await endedRunsOf(internalId)).toMatchObject([{ status: 'Completed' }]);
  };

  test('by an event that matches by an expression; another function cleans up (CX-7, EX-9, CX-24, CX-32, SY-4)', async () => {
    const { runId } = await placed({ orderId: 'o1', customerId: 'c1' });
    await waiting(runId, 'sleep');
    await sendThrough({ name: 'seeds/order.cancelled', data: { orderId: 'o2' } });
    expect(await traceOf(runId)).toMatchObject({ status: 'Running' });
    await sendThrough({ name: 'seeds/order.cancelled', data: { orderId: 'o1' } });
    await cancelled(runId);
    expect(done).toEqual(['put back o1']);
  });

  test('by any of several events, each for its time; or not at all (CX-10, CX-15)', async () => {
    const { runId } = await placed({ orderId: 'o3', customerId: 'c3' });
    await waiting(runId, 'sleep');
    await sendThrough({ name: 'seeds/customer.deleted', data: { customerId: 'c3' } });
    await cancelled(runId);
    const other = await placed({ orderId: 'o4', customerId: 'c4' });
    await waiting(other.runId, 'sleep');
    vi.setSystemTime(NOW + 2 * DAY + 1);
    await sendThrough({ name: 'seeds/customer.deleted', data: { customerId: 'c4' } });
    expect(await finish(other.runId)).toMatchObject({ status: 'Completed', output: 'shipped' });
  });

  test('by an expression over its own event alone (CX-20)', async () => {
    const free = await placed({ orderId: 'o5', plan: 'free' });
    const paid = await placed({ orderId: 'o6', plan: 'paid' });
    await waiting(free.runId, 'sleep');
    await waiting(paid.runId, 'sleep');
    await sendThrough({ name: 'seeds/shop.closed' });
    await cancelled(free.runId);
    expect(await traceOf(paid.runId)).toMatchObject({ status: 'Running' });
    await objectOf(paid.runId).cancel();
    await cancelled(paid.runId);
  });

  test('by the time that it takes, sleeps included (TO-5, TO-7, TO-8)', async () => {
    const { runId } = await start({ name: 'seeds/tray.sown' });
    await waiting(runId, 'sleep');
    expect(await finish(runId)).toMatchObject({ status: 'Cancelled' });
    expect([done, Date.now()]).toEqual([[], NOW + 30 * SECOND]);
    await endEvent('inngest/function.cancelled', runId);
  });
});

describe('invoking', () => {
  /** No time passes here: the one that calls would run out of it. */
  const called = async (event: { name: string; data: object }) => {
    const { eventId } = await start(event);
    return (await endedRunsOf(eventId))[0];
  };

  test('functions of this app and of another one, by themselves and by reference (FN-1, IV-2, IV-9, IV-18, IV-23, IV-26)', async () => {
    const run = await called({ name: 'lab/sample.taken', data: { sample: 'leaf' } });
    expect(run).toMatchObject({
      status: 'Completed',
      output: { values: [6, 7.5], dried: 6.75, year: '1970' },
    });
    expect(done.toSorted()).toEqual(['measure leaf', 'measure leaf!']);
  });

  test('and what becomes of one that fails (IV-13, IV-15)', async () => {
    failAt('measure dust', new TypeError('too small'));
    const run = await called({ name: 'lab/try.wanted', data: { sample: 'dust' } });
    expect(run?.output).toBe('TypeError: too small');
    expect((await called({ name: 'lab/try.wanted', data: { sample: 'bark' } }))?.output).toBe('measured');
  });
});

describe('middleware', () => {
  test('adds clients, bindings and ready-made steps to what a handler gets (MW-21, DI-1)', async () => {
    const run = await outcome({ name: 'kitchen/dish.ordered', data: { grams: 200, what: 'leek' } });
    expect(run.output).toEqual({ grams: 200, pieces: 3, dev: '1' });
    expect((await traceOf(run.runId)).steps.map(({ name }) => name)).toEqual(['weigh', 'chop-it']);
    expect(done).toEqual(['weigh', 'chop leek']);
  });

  test('a logger says once what comes after steps that have finished (HC-11, LG-1)', async () => {
    failAt('weigh', new Error('broken scales'));
    await outcome({ name: 'kitchen/dish.ordered', data: { grams: 200, what: 'leek' } });
    expect(lines.filter((line) => line === 'cook: begins').length).toBeGreaterThan(0);
    expect(lines.filter((line) => line.endsWith('ends'))).toHaveLength(2);
  });

  test('changes what is stored of steps, and what is sent (MW-24, MW-32)', async () => {
    const { runId } = await start({ name: 'bakery/loaf.ordered', data: { secret: 'rye' } });
    await waiting(runId, 'sleep');
    expect((await traceOf(runId)).steps[0]?.output).toBe('hidden {"secret":"rye"}');
    await evictDurableObject(stubOf(runId));
    expect((await finish(runId)).output).toBe(3);
    expect(await bodyOf('bakery/loaf.baked')).toMatchObject({ data: { grain: 'rye', seasoned: true } });
  });
});

describe('declared types', () => {
  test('are types only: what is sent arrives (ES-18)', async () => {
    const run = await outcome({
      name: 'library/reader.joined',
      data: { readerId: 'r1', name: 'Ada' },
      user: { email: 'ada@library.test' },
    });
    expect([run.output, done]).toEqual(['welcome, Ada', ['ada@library.test: welcome, Ada']]);
  });

  test('a book that comes back, and one that does not (ES-17, WE-4)', async () => {
    const lent = (bookId: string) => start({ name: 'library/book.lent', data: { bookId, to: 'r1' } });
    const back = await lent('b1');
    await waiting(back.runId, 'event');
    await sendThrough({ name: 'library/book.returned', data: { bookId: 'b1', worn: true } });
    expect((await ended(back.runId)).output).toBe('worn');
    const kept = await lent('b2');
    await waiting(kept.runId, 'event');
    await wake(kept.runId);
    await ended(kept.runId);
    const fine = await until(async () =>
      env.DB.prepare(`select internal_id from event where name = 'library/fine.due'`).first<string>(
        'internal_id',
      ),
    );
    expect(await endedRunsOf(fine)).toMatchObject([{ output: 'r1 owes 250' }]);
  });
});

/** The Worker as it is shipped, with its example functions, asked the way a newcomer does with curl. */
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Api, type RunAnswer, type TraceAnswer } from './api.ts';
import { LocalServer } from './server.ts';

const PATIENCE_MS = 20_000;

let server: LocalServer;
let api: Api;

beforeAll(async () => {
  server = await LocalServer.start();
  api = new Api(server.url);
});

afterAll(() => server?.dispose());

async function until<Value>(look: () => Promise<Value | undefined>): Promise<Value> {
  for (const since = Date.now(); Date.now() - since < PATIENCE_MS; await wait(50)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new Error('it did not happen');
}

async function sendOne(event: object): Promise<string> {
  return (await api.send(event))[0] ?? '';
}

function runOf(eventId: string): Promise<RunAnswer> {
  return until(async () => (await api.runsOf(eventId))[0]);
}

async function endOf(eventId: string): Promise<TraceAnswer> {
  const { run_id } = await runOf(eventId);
  return until(async () => {
    const trace = await api.trace(run_id);
    return trace.status === 'Running' ? undefined : trace;
  });
}

function order(orderId: string, prices: number[]) {
  return {
    name: 'shop/order.placed',
    data: { orderId, items: prices.map((price, n) => ({ sku: `sku-${n}`, price })) },
  };
}

describe('an order', () => {
  test('is charged at the second attempt, waits for the warehouse, and is confirmed (MX-23, SL-2, SV-1)', async () => {
    const id = await sendOne(order('o-1', [10, 5]));
    const trace = await endOf(id);
    expect(trace).toMatchObject({
      status: 'Completed',
      output: { orderId: 'o-1', total: 15, paid: 'charge-o-1' },
      function_slug: 'shop-process-order',
    });
    expect(trace.steps.map(({ name, status, attempts }) => [name, status, attempts])).toEqual([
      ['validate', 'Completed', 1],
      ['charge', 'Completed', 2],
      ['let the warehouse pack it', 'Completed', 1],
      ['confirm', 'Completed', 1],
    ]);
    expect(trace.steps[1]?.failures).toMatchObject([
      { attempt: 0, error: { message: 'payment provider answered 503' } },
    ]);
    const [confirmed] = await api.events('?name=shop/order.confirmed');
    expect(confirmed).toMatchObject({ data: { orderId: 'o-1', total: 15 } });
    expect(trace.steps[3]?.output).toEqual({ ids: [confirmed?.internal_id] });
  });

  test('says, as long as it waits, what it waits for and until when', async () => {
    const id = await sendOne(order('o-2', [1]));
    const { run_id } = await runOf(id);
    const reasons = new Map<string, number>();
    const last = await until(async () => {
      const trace = await api.trace(run_id);
      for (const { reason, until: end } of trace.waiting) reasons.set(reason, Date.parse(end));
      return trace.status === 'Running' ? undefined : trace;
    });
    expect([...reasons.keys()]).toEqual(['retry', 'sleep']);
    expect(Date.parse(last.ended_at ?? '')).toBeGreaterThanOrEqual(reasons.get('sleep') ?? Infinity);
    expect(last.waiting).toEqual([]);
  });

  test('without items fails at once, without a retry (ER-2, RA-16)', async () => {
    const trace = await endOf(await sendOne(order('o-3', [])));
    expect(trace).toMatchObject({
      status: 'Failed',
      output: { name: 'NonRetriableError', message: 'the order has no items' },
    });
    expect(trace.steps).toMatchObject([{ name: 'validate', status: 'Failed', attempts: 1 }]);
  });
});

test('a report counts its regions side by side and joins the counts (PA-1, PA-5)', async () => {
  const trace = await endOf(
    await sendOne({ name: 'shop/report.requested', data: { regions: ['north', 'south', 'eu'] } }),
  );
  expect(trace).toMatchObject({ status: 'Completed', output: { regions: 3, orders: 84 } });
  expect(trace.steps.map(({ name }) => name)).toEqual(['count north', 'count south', 'count eu']);
});

describe('an import', () => {
  test('of a file that cannot be read fails for good, with the error as its output (RA-16)', async () => {
    const trace = await endOf(await sendOne({ name: 'shop/import.started', data: { file: 'table.xls' } }));
    expect(trace).toMatchObject({ status: 'Failed', output: { message: 'only .csv files can be imported' } });
  });

  test('makes up for the step that fails in it, and completes (RB-2, RB-5)', async () => {
    const trace = await endOf(await sendOne({ name: 'shop/import.started', data: { file: 'table.csv' } }));
    expect(trace).toMatchObject({ status: 'Completed', output: { saved: 2 } });
    expect(trace.steps.map(({ name, status }) => [name, status])).toEqual([
      ['read', 'Completed'],
      ['save', 'Failed'],
      ['save a part', 'Completed'],
    ]);
  });
});

test('an order that sleeps while the server is stopped goes on when it is started again (RN-5)', async () => {
  const id = await sendOne(order('o-4', [3, 4]));
  const { run_id } = await runOf(id);
  await until(async () =>
    (await api.trace(run_id)).waiting.some(({ reason }) => reason === 'sleep') ? true : undefined,
  );
  await server.stop();
  await expect(api.run(run_id)).rejects.toThrow();
  await server.start();
  const trace = await endOf(id);
  expect(trace).toMatchObject({ status: 'Completed', output: { total: 7 } });
  expect(trace.steps.map(({ attempts }) => attempts)).toEqual([1, 2, 1, 1]);
  expect(await api.events('?name=shop/order.confirmed')).toHaveLength(3);
  await expect(
    until(async () => ((await api.runsOf(id))[0]?.status === 'Completed' ? true : undefined)),
  ).resolves.toBe(true);
});

test('the server listens on this machine only, and says that it is open (EA-27)', async () => {
  expect(await (await fetch(server.url)).text()).toMatch(/^Stepwell \d+\.\d+\.\d+\nDevelopment mode: open/);
  expect(server.output).toContain('http://127.0.0.1:');
});

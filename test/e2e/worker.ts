/**
 * The Worker of the kill test: the engine with functions that tell a ledger, an HTTP server in the test's process, when a step's
 * callback begins, and what the handler has seen of the steps before it. Everything random in them comes with the event.
 */
import { env } from 'cloudflare:workers';
import { durableObjects } from '../../durable-objects/index.ts';
import { createWorker } from '../../src/engine.ts';
import { EventSchemas, Inngest, NonRetriableError, stepIdempotencyKey } from '../../src/sdk/index.ts';
import type { Begin, Output, Work } from './ledger.ts';

const { LEDGER_URL } = env as unknown as { LEDGER_URL: string };

/** What starts the functions here, the last one sent by a function itself. */
export type Events = {
  'kill/sequence': { data: Work };
  'kill/parallel': { data: Work };
  'kill/sleeper': { data: Work };
  'kill/flaky': { data: Work };
  'kill/sender': { data: Work };
  'kill/limited': { data: Work };
  'kill/cancelled': { data: Work };
  'kill/cancel': { data: Work };
  'kill/sent': { data: Work };
};

interface Context {
  event: { id: string; data: Work };
  runId: string;
  attempt: number;
  step: { run(id: string, callback: () => Promise<number>): Promise<number> };
}

/** One entry of a handler: runs steps that report to the ledger, and remembers what it has seen of them. */
class Book {
  readonly #context: Context;
  readonly #saw: Record<string, number> = {};
  #began = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  async step(
    name: string,
    extra: Partial<Begin> & { fail?: (attempt: number) => Error | null } = {},
  ): Promise<void> {
    const { step } = this.#context;
    this.#saw[name] = await step.run(name, () => this.#callback(name, extra));
  }

  output(): Output {
    return { key: this.#context.event.data.key, saw: { ...this.#saw } };
  }

  async #callback(name: string, { fail, ...extra }: Parameters<Book['step']>[1] & object): Promise<number> {
    const { event, runId, attempt } = this.#context;
    const begin: Begin = {
      run: runId,
      event: event.id,
      work: event.data,
      step: name,
      attempt,
      saw: { ...this.#saw },
      effect: stepIdempotencyKey(),
      ...extra,
    };
    const answer = await fetch(`${LEDGER_URL}/begin`, { method: 'POST', body: JSON.stringify(begin) });
    const { serial } = await answer.json<{ serial: number }>();
    // So that some kills fall between a step's beginning and its end.
    await pause((event.data.pace * ++this.#began) % 150);
    if (extra.limit !== undefined)
      await fetch(`${LEDGER_URL}/end`, { method: 'POST', body: JSON.stringify({ serial }) });
    const error = fail?.(attempt) ?? null;
    if (error !== null) throw error;
    return serial;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const app = new Inngest({ id: 'kill', schemas: new EventSchemas().fromRecord<Events>() });

const sequence = app.createFunction({ id: 'sequence' }, { event: 'kill/sequence' }, async (context) => {
  const book = new Book(context);
  for (const name of ['a', 'b', 'c', 'd']) await book.step(name);
  await book.step('e', { last: true });
  return book.output();
});

const parallel = app.createFunction({ id: 'parallel' }, { event: 'kill/parallel' }, async (context) => {
  const book = new Book(context);
  await book.step('fork');
  await Promise.all([
    ...['p0', 'p1', 'p2'].map((name) => book.step(name)),
    (async () => {
      await book.step('chain 1');
      await book.step('chain 2');
    })(),
    context.step.sleep('short', 300),
  ]);
  await book.step('join', { last: true });
  return book.output();
});

const sleeper = app.createFunction({ id: 'sleeper' }, { event: 'kill/sleeper' }, async (context) => {
  const { step } = context;
  const book = new Book(context);
  await book.step('before');
  await step.sleep('nap', 400);
  await book.step('between', { slept: { since: 'before', ms: 400 } });
  await Promise.all([step.sleep('night', 2_500), step.sleep('tea', 1_000), book.step('meanwhile')]);
  await book.step('after', { slept: { since: 'between', ms: 2_500 }, last: true });
  return book.output();
});

const flaky = app.createFunction({ id: 'flaky' }, { event: 'kill/flaky' }, async (context) => {
  const book = new Book(context);
  await book.step('shaky', { fail: (attempt) => (attempt < 2 ? new Error('not yet') : null) });
  await book.step('broken', { fail: () => new NonRetriableError('never') }).catch(() => book.step('instead'));
  await book.step('end', { last: true });
  // The code between steps has attempts of its own.
  if (context.attempt === 0) throw new Error('once more');
  return book.output();
});

const sender = app.createFunction({ id: 'sender' }, { event: 'kill/sender' }, async (context) => {
  const { event, runId } = context;
  const book = new Book(context);
  await book.step('prepare');
  const { ids } = await context.step.sendEvent(
    'tell',
    ['left', 'right'].map((tag) => ({ name: 'kill/sent', data: { ...event.data, sender: runId, tag } })),
  );
  await book.step('told', { sent: ids, last: true });
  return book.output();
});

const LIMIT = 3;

const limited = app.createFunction(
  { id: 'limited', concurrency: LIMIT },
  { event: 'kill/limited' },
  async (context) => {
    const book = new Book(context);
    await book.step('x', { limit: LIMIT });
    await context.step.sleep('let others', 200);
    await book.step('y', { limit: LIMIT, last: true });
    return book.output();
  },
);

/** Ends by its cancellation only. */
const cancelled = app.createFunction(
  { id: 'cancelled', cancelOn: [{ event: 'kill/cancel', match: 'data.key' }] },
  { event: 'kill/cancelled' },
  async (context) => {
    const book = new Book(context);
    await book.step('until cancelled 0', { last: true });
    for (let n = 1; n <= 50; n++) {
      await context.step.sleep(`nap ${n}`, 200);
      await book.step(`until cancelled ${n}`);
    }
    await context.step.sleep('for good', '1h');
  },
);

const receiver = app.createFunction({ id: 'receiver' }, { event: 'kill/sent' }, async (context) => {
  const book = new Book(context);
  await book.step('hear');
  await book.step('note', { last: true });
  return book.output();
});

const apps = [
  { client: app, functions: [sequence, parallel, sleeper, flaky, sender, limited, cancelled, receiver] },
];

/** @public wrangler.toml names them. */
export const { Run, Sweeper, Cron, Waits, Signals, Gate } = durableObjects({ apps });

/** @public workerd calls it. */
export default createWorker({ apps });

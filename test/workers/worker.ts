/**
 * The Worker of these tests: the engine with functions that run whatever program the test has put under the name that comes with the
 * event, `test-program` and others with more in their configuration. Tests, Worker and objects share one isolate, so a program may talk
 * to its test directly.
 */
import { durableObjects } from '../../durable-objects/index.ts';
import { createWorker } from '../../src/engine.ts';
import { type Context, type FailureEventArgs, Inngest, InngestMiddleware } from '../../src/sdk/index.ts';
import { examples } from '../examples/index.ts';

const app = new Inngest({ id: 'test' });

export type ProgramContext = Context<typeof app, 'test/program'>;
export type Program = (context: ProgramContext) => unknown;

/** By name. */
export const programs = new Map<string, Program>();

/** Whatever the name of the event. */
function run(context: object): unknown {
  const { program } = (context as ProgramContext).event.data as { program: string };
  const code = programs.get(program);
  if (code === undefined) throw new Error(`no program "${program}"`);
  return code(context as ProgramContext);
}

type EndContext = FailureEventArgs;

/** By name: what functions do that the end of a run starts, if the event that had started that one names it as its `sequel`. */
export const sequels = new Map<string, (context: EndContext) => unknown>();

function runSequel(context: object): unknown {
  const { event } = (context as EndContext).event.data;
  const { sequel: name } = event.data as { sequel?: string };
  return name === undefined ? null : sequels.get(name)?.(context as EndContext);
}

const dressing = new InngestMiddleware({
  name: 'dressing',
  init: () => ({
    onFunctionRun: () => ({
      transformOutput: ({ result, step }) => ({
        result: { data: { dressed: step?.displayName ?? 'the function', was: result.data } },
      }),
    }),
  }),
});

const featured = [
  // As few options as can be: five attempts of everything.
  app.createFunction({ id: 'plain', onFailure: runSequel }, { event: 'test/plain' }, run),
  app.createFunction({ id: 'child', retries: 0 }, { event: 'test/child' }, run),
  app.createFunction({ id: 'fragile', retries: 1, onFailure: runSequel }, { event: 'test/fragile' }, run),
  app.createFunction(
    { id: 'onlooker' },
    { event: 'inngest/function.finished', if: "event.data.function_id == 'test-child'" },
    runSequel,
  ),
  app.createFunction(
    { id: 'mourner', retries: 0 },
    {
      event: 'inngest/function.failed',
      if: "event.data.function_id == 'test-child' || event.data.function_id == 'test-mourner'",
    },
    runSequel,
  ),
  app.createFunction(
    {
      id: 'mortal',
      cancelOn: [
        { event: 'test/cancel', match: 'data.order' },
        { event: 'test/cancel.soon', timeout: '1h' },
      ],
      timeouts: { finish: '1d' },
    },
    { event: 'test/mortal' },
    run,
  ),
  app.createFunction(
    { id: 'lasting', cancelOn: [{ event: 'test/cancel', match: 'data.order' }] },
    { event: 'test/lasting' },
    run,
  ),
  app.createFunction({ id: 'hasty', timeouts: { finish: '30s' } }, { event: 'test/hasty' }, run),
  app.createFunction({ id: 'undertaker' }, { event: 'test/cancel.soon' }, () => 'started'),
  app.createFunction(
    { id: 'cleaner' },
    { event: 'inngest/function.cancelled', if: "event.data.function_id == 'test-mortal'" },
    runSequel,
  ),
  app.createFunction(
    { id: 'picky' },
    { event: 'test/picky', if: "event.data.n > 5 && event.user.plan == 'pro'" },
    ({ event }) => event.user as object,
  ),
  app.createFunction(
    { id: 'wild' },
    { event: 'wild/*', if: 'event.data.go == true' },
    ({ event }) => event.name,
  ),
  app.createFunction({ id: 'dressed', middleware: [dressing] }, { event: 'test/dressed' }, async ({ step }) =>
    step.run('inside', () => 'plain'),
  ),
];

const numbersOf = ({ events }: { events: readonly { data?: unknown }[] }) =>
  events.map(({ data }) => (data as { n: number }).n);

/** Functions whose starts have something to pass, or are collected. */
const gated = [
  app.createFunction(
    { id: 'batch', batchEvents: { maxSize: 100, timeout: '5s' } },
    { event: 'test/batch' },
    numbersOf,
  ),
  app.createFunction(
    {
      id: 'teams',
      batchEvents: { maxSize: 2, timeout: '5s', key: 'event.data.team', if: 'event.data.n > 0' },
    },
    [{ event: 'test/teams' }, { event: 'test/teams.other' }],
    numbersOf,
  ),
  app.createFunction(
    { id: 'bounce', debounce: { period: '5s', timeout: '12s', key: 'event.data.k' } },
    { event: 'test/bounce' },
    numbersOf,
  ),
  app.createFunction(
    { id: 'rated', rateLimit: { limit: 1, period: '4h', key: 'event.data.k' } },
    { event: 'test/rated' },
    numbersOf,
  ),
  app.createFunction(
    {
      id: 'everything',
      debounce: { period: '1s' },
      rateLimit: { limit: 1, period: '1m' },
      singleton: { mode: 'skip' },
      throttle: { limit: 1, period: '1s' },
      concurrency: 1,
      priority: { run: 'event.data.n' },
    },
    { event: 'test/everything' },
    numbersOf,
  ),
  app.createFunction({ id: 'once', idempotency: 'event.data.k' }, { event: 'test/once' }, numbersOf),
  app.createFunction(
    { id: 'sole', singleton: { mode: 'skip', key: 'event.data.k' } },
    { event: 'test/sole' },
    run,
  ),
  app.createFunction(
    { id: 'newest', singleton: { mode: 'cancel', key: 'event.data.k' } },
    { event: 'test/newest' },
    run,
  ),
];

/** Functions with limits on when they start and execute. */
const limited = [
  app.createFunction({ id: 'narrow', concurrency: 1, retries: 1 }, { event: 'test/narrow' }, run),
  app.createFunction({ id: 'wide', concurrency: 3 }, { event: 'test/wide' }, run),
  app.createFunction(
    {
      id: 'tenants',
      concurrency: [
        { limit: 1, key: 'event.data.tenant' },
        { limit: 2, key: '"llm"', scope: 'env' },
      ],
    },
    { event: 'test/tenants' },
    run,
  ),
  app.createFunction({ id: 'slow', throttle: { limit: 1, period: '10s' } }, { event: 'test/slow' }, run),
  app.createFunction(
    { id: 'punctual', concurrency: 1, timeouts: { start: '10s' } },
    { event: 'test/punctual' },
    run,
  ),
];

export const apps = [
  {
    client: app,
    functions: [
      app.createFunction({ id: 'program', retries: 3 }, { event: 'test/program' }, run),
      // Both listen to the same event: one fans out, the other is there to be in its way.
      app.createFunction({ id: 'left' }, { event: 'test/both' }, () => 'left'),
      app.createFunction({ id: 'right' }, { event: 'test/both' }, () => 'right'),
      app.createFunction({ id: 'timer' }, { cron: 'TZ=Europe/Paris */5 * * * *' }, ({ event }) => event),
      ...featured,
      ...gated,
      ...limited,
    ],
  },
  ...examples,
];

export const { Run, Sweeper, Cron, Waits, Signals, Gate } = durableObjects({ apps });

export default createWorker({ apps });

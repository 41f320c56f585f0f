/** Errors: tried again, given up, put off, made up for, and handled when a function has failed. */
import { Inngest, NonRetriableError, RetryAfterError, StepError } from 'stepwell';
import { act, quiet } from './nursery.ts';

const inngest = new Inngest({ id: 'greenhouse', logger: quiet });

const readSensor = inngest.createFunction(
  { id: 'read-sensor', retries: 2 },
  { event: 'greenhouse/sensor.polled' },
  async ({ event, attempt }) => act('read', { sensor: event.data.sensor, attempt }),
);

const findPlant = inngest.createFunction(
  { id: 'find-plant' },
  { event: 'greenhouse/plant.wanted' },
  async ({ event, step }) => {
    const plant = await step.run('look-up', async () => {
      try {
        return act('look-up', { name: event.data.name as string });
      } catch (err) {
        throw new NonRetriableError(`no plant is called ${event.data.name}`, { cause: err });
      }
    });
    await step.run('reserve', () => act('reserve'));
    return plant;
  },
);

const orderSoil = inngest.createFunction(
  { id: 'order-soil' },
  { event: 'greenhouse/soil.low' },
  async ({ event, step }) => {
    return await step.run('order', async () => {
      const reply = act('order', { status: event.data.busy.shift() ? 429 : 200, after: '90' });
      if (reply.status === 429) throw new RetryAfterError('too many orders', `${reply.after}s`);
      return reply.status;
    });
  },
);

/** The first of two suppliers that delivers. */
const buyLamp = inngest.createFunction(
  { id: 'buy-lamp', retries: 1 },
  { event: 'greenhouse/lamp.broken' },
  async ({ step }) => {
    let lamp: string | null = null;
    let from: 'shop' | 'market';
    let why: string | undefined;
    try {
      lamp = await step.run('buy-in-shop', () => act('shop', 'new lamp'));
      from = 'shop';
    } catch (err) {
      why = err instanceof StepError ? `${err.name}: ${err.message}` : 'no step';
      lamp = await step.run('buy-at-market', () => act('market', 'old lamp'));
      from = 'market';
    }
    await step.run('screw-in', () => act(`screw in ${lamp}`));
    return { lamp, from, why };
  },
);

/** Each step can have a step that undoes it; one that does not matter is ignored. */
const buildShelf = inngest.createFunction(
  { id: 'build-shelf', retries: 0 },
  { event: 'greenhouse/shelf.wanted' },
  async ({ step }) => {
    await step.run('tell-neighbours', () => act('tell')).catch(() => {});
    const built = await step
      .run('build', async () => {
        act('saw');
        return act('nail', 'a shelf');
      })
      .catch((err) => step.run('clear-away', () => act(`clear away: ${err.message}`, 'nothing')));
    return { built };
  },
);

/** What goes on after an error that was caught may fail in its own way. */
const repairRoof = inngest.createFunction(
  { id: 'repair-roof', retries: 1 },
  { event: 'greenhouse/roof.leaks' },
  async ({ step, attempt }) => {
    try {
      await step.run('climb-up', () => act('climb'));
    } catch (err) {
      if (err instanceof Error && err.name === 'RangeError')
        throw new NonRetriableError('too high', { cause: err });
      throw new Error(`still leaking, attempt ${attempt}`, { cause: err });
    }
  },
);

const heat = inngest.createFunction(
  {
    id: 'heat',
    name: 'Heat the house',
    retries: 0,
    onFailure: async ({ error, event, step, runId }) => {
      const { temperature } = event.data.event.data;
      await step.run('warn', () => act(`${error.name}: ${error.message} at ${temperature}`));
      return { handled: event.data.run_id, by: runId };
    },
  },
  { event: 'greenhouse/frost.expected' },
  async ({ step }) => {
    await step.run('light-stove', () => act('light'));
  },
);

/** One place for the failures of everything else here. */
const collectFailures = inngest.createFunction(
  { id: 'collect-failures', name: 'Collect failures' },
  { event: 'inngest/function.failed', if: "event.data.function_id.startsWith('greenhouse-')" },
  async ({ event, step }) => {
    await step.run('write-down', async () => {
      const error = event.data.error;
      const again = new Error(error.message);
      again.name = error.name;
      if (error.stack !== undefined) again.stack = error.stack;
      return act(`${event.data.function_id} failed: ${again}`);
    });
  },
);

export const errors = {
  client: inngest,
  functions: [readSensor, findPlant, orderSoil, buyLamp, buildShelf, repairRoof, heat, collectFailures],
};

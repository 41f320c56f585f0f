/** The functions that the bench runs on the engine. */
import { Inngest } from '../../src/sdk/index.ts';
import { totals, work, type Work } from './work.ts';

const client = new Inngest({ id: 'bench' });

const steps = client.createFunction(
  { id: 'steps', retries: 0 },
  { event: 'bench/steps' },
  ({ event, step, runId }) => work(event.data as Work, (id, callback) => step.run(id, callback), runId),
);

const sleeper = client.createFunction(
  { id: 'sleeper', retries: 0 },
  { event: 'bench/sleep' },
  async ({ event, step }) => {
    totals.entered++;
    await step.sleepUntil('nap', new Date((event.data as { until: number }).until));
  },
);

/** The same work with a limit: for each tenant one run executes at a time. */
const tenants = client.createFunction(
  { id: 'tenants', retries: 0, concurrency: { limit: 1, key: 'event.data.tenant' } },
  { event: 'bench/tenants' },
  ({ event, step, runId }) => work(event.data as Work, (id, callback) => step.run(id, callback), runId),
);

export const apps = [{ client, functions: [steps, sleeper, tenants] }];

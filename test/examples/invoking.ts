/** Functions as parts of others. */
import { Inngest, referenceFunction } from 'stepwell';
import * as z from 'zod';
import { act, quiet } from './nursery.ts';

const inngest = new Inngest({ id: 'lab', logger: quiet });
const annex = new Inngest({ id: 'annex' });

const measure = inngest.createFunction(
  { id: 'measure', retries: 0 },
  { event: 'lab/measure' },
  async ({ event, step }) => {
    const value = await step.run('measure', () =>
      act(`measure ${event.data.sample}`, event.data.sample.length * 1.5),
    );
    return { value, at: new Date(0) };
  },
);

/** Lives in another app. */
const dry = annex.createFunction({ id: 'dry' }, { event: 'annex/dry' }, async ({ event }) => ({
  dried: event.data.weight / 2,
}));

const dryer = referenceFunction({
  appId: 'annex',
  functionId: 'dry',
  schemas: { data: z.object({ weight: z.number() }), return: z.object({ dried: z.number() }) },
});
const measuring = referenceFunction<typeof measure>({ functionId: 'measure' });

const analyse = inngest.createFunction(
  { id: 'analyse', retries: 0 },
  { event: 'lab/sample.taken' },
  async ({ event, step }) => {
    const [first, second] = await Promise.all([
      step.invoke('measure-one', { function: measure, data: { sample: event.data.sample } }),
      step.invoke('measure-two', { function: measuring, data: { sample: `${event.data.sample}!` } }),
    ]);
    const { dried } = await step.invoke('dry-it', {
      function: dryer,
      data: { weight: first.value + second.value },
    });
    return { values: [first.value, second.value], dried, year: first.at.slice(0, 4) };
  },
);

const tryOut = inngest.createFunction(
  { id: 'try-out', retries: 0 },
  { event: 'lab/try.wanted' },
  async ({ event, step }) => {
    try {
      await step.invoke('measure', {
        function: measure,
        data: { sample: event.data.sample },
        timeout: '10m',
      });
      return 'measured';
    } catch (err) {
      return `${(err as Error).name}: ${(err as Error).message}`;
    }
  },
);

export const invoking = [
  { client: inngest, functions: [measure, analyse, tryOut] },
  { client: annex, functions: [dry] },
];

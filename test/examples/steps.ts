/** Steps one after the other, in branches, in loops and side by side. */
import { Inngest } from 'stepwell';
import { act } from './nursery.ts';

const inngest = new Inngest({ id: 'nursery' });

const takeDelivery = inngest.createFunction(
  { id: 'take-delivery', name: 'Take a delivery' },
  { event: 'nursery/delivery.arrived' },
  async ({ event, step }) => {
    const plants = await step.run('count', () => act('count', event.data.trays * 12));
    const pots = await step.run('fetch-pots', async () => act('fetch', { clay: plants, at: new Date(0) }));
    if (event.data.fragile) {
      await step.run('ask-for-help', () => act('help'));
    }
    await step.run('plant', () => act(`plant ${pots.clay}`));
    return { potted: pots.clay, year: pots.at.slice(0, 4) };
  },
);

/** Each page is a step of its own; the items are gathered outside of steps. */
const importCatalogue = inngest.createFunction(
  { id: 'import-catalogue' },
  { event: 'nursery/catalogue.import' },
  async ({ event, step }) => {
    const all: string[] = [];
    let cursor: number | null = 0;
    while (cursor !== null) {
      const page: Page = await step.run(`page-${cursor}`, async () =>
        readPage(cursor ?? 0, event.data.pages),
      );
      all.push(...page.items);
      cursor = page.next;
    }
    return all;
  },
);

interface Page {
  items: string[];
  next: number | null;
}

function readPage(n: number, pages: number): Page {
  return act(`page ${n}`, { items: [`fern ${n}`, `moss ${n}`], next: n + 1 < pages ? n + 1 : null });
}

/** One id for every turn of the loop. */
const waterRows = inngest.createFunction(
  { id: 'water-rows' },
  { event: 'nursery/rows.dry' },
  async ({ event, step }) => {
    const litres: number[] = [];
    for (const row of event.data.rows) {
      litres.push(await step.run('water', () => act(`water ${row}`, row * 2)));
      await step.sleep('let-it-drain', '5m');
    }
    return litres;
  },
);

/** Steps begin where they are called; they are awaited together. */
const prepareSale = inngest.createFunction(
  {
    id: 'prepare-sale',
    optimizeParallelism: true,
    checkpointing: { maxRuntime: '5m', bufferedSteps: 2, maxInterval: '10s' },
  },
  { event: 'nursery/sale.planned' },
  async ({ event, step }) => {
    const poster = step.run('print-poster', async () => act('poster', `Sale: ${event.data.of}`));
    const labels = step.run('print-labels', async () => act('labels', 40));
    const [text, count] = await Promise.all([poster, labels]);

    const prices = await Promise.all(
      event.data.prices.map((price: number) => step.run('reduce', () => act(`reduce ${price}`, price / 2))),
    );
    const total = await step.run('add-up', () =>
      prices.reduce((sum: number, price: number) => sum + price, 0),
    );
    return { text, count, prices, total };
  },
);

/** What a closure assigns is lost in the next entry; only what it returns is kept. */
const nameSeedling = inngest.createFunction(
  { id: 'name-seedling' },
  { event: 'nursery/seedling.found' },
  async ({ step }) => {
    let assigned = 'nothing';
    const returned = await step.run('look-up', () => (assigned = 'Adiantum'));
    await step.sleep('overnight', '1 day');
    return { assigned, returned };
  },
);

/** The one that is quicker counts. */
const askExperts = inngest.createFunction(
  { id: 'ask-experts' },
  { event: 'nursery/leaf.spotted' },
  async ({ step }) => {
    const hour = step.sleep('an-hour', '1h').then(() => 'nobody');
    const answer = step
      .waitForEvent('answer', { event: 'nursery/leaf.identified', timeout: '1d', match: 'data.leaf' })
      .then((event) => event?.data.as as string);
    return Promise.race([hour, answer]);
  },
);

export const steps = {
  client: inngest,
  functions: [takeDelivery, importCatalogue, waterRows, prepareSale, nameSeedling, askExperts],
};

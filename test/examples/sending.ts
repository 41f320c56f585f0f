/** One event for many functions, many events for one function, and several triggers. */
import { Inngest } from 'stepwell';
import { act, quiet } from './nursery.ts';

const inngest = new Inngest({ id: 'market', logger: quiet });

/** Fan-out: all of these start by the same event. */
const greet = inngest.createFunction({ id: 'greet' }, { event: 'market/stall.opened' }, async ({ event }) =>
  act(`greet ${event.data.owner}`, event.data.owner as string),
);
const listStall = inngest.createFunction(
  { id: 'list-stall' },
  { event: 'market/stall.opened' },
  async ({ event, step }) =>
    step.run('list', () => act(`list ${event.data.goods}`, event.data.goods as string)),
);
const inspect = inngest.createFunction(
  { id: 'inspect', retries: 0 },
  { event: 'market/stall.opened', if: 'event.data.food == true' },
  async () => act('inspect'),
);

/** One run sends an event for each part of its work. */
const closeDay = inngest.createFunction(
  { id: 'close-day' },
  { event: 'market/day.over' },
  async ({ event, step }) => {
    const sent = await step.sendEvent(
      'bill-everybody',
      event.data.stalls.map((stall: string) => ({ name: 'market/bill.due', data: { stall } })),
    );
    const single = await step.sendEvent('tell-cleaners', {
      name: 'market/cleaning.due',
      id: `clean-${event.id}`,
    });
    const none = await step.sendEvent('nobody', []);
    return [sent.ids.length, single.ids.length, none.ids.length];
  },
);
const writeBill = inngest.createFunction(
  { id: 'write-bill' },
  { event: 'market/bill.due' },
  async ({ event }) => act(`bill ${event.data.stall}`),
);
const clean = inngest.createFunction({ id: 'clean' }, { event: 'market/cleaning.due' }, async () => {
  // Outside of a step, by the client: the seed of the run keeps a second attempt from sending twice.
  const { ids } = await inngest.send({ name: 'market/cleaned' });
  return ids;
});

const keepBooks = inngest.createFunction(
  { id: 'keep-books' },
  [
    { event: 'market/sale.made' },
    { event: 'market/sale.returned', if: 'event.data.amount > 5' },
    { cron: '0 0 1 1 *' },
  ],
  async ({ event }) => {
    if (event.name === 'market/sale.made') return event.data.amount as number;
    if (event.name === 'market/sale.returned') return -event.data.amount;
    return 0;
  },
);

const watchPosts = inngest.createFunction(
  { id: 'watch-posts' },
  { event: 'market/blog.post.*', if: "event.data.author != 'bot'" },
  async ({ event }) => event.name,
);

/** A new version of a function takes over at a moment: both listen, each to its part of the stream. */
const CUT = Date.UTC(2060, 0, 1, 0, 0, 10);
const weighOld = inngest.createFunction(
  { id: 'weigh' },
  { event: 'market/goods.weighed', if: `event.ts < ${CUT}` },
  async () => 'old scales',
);
const weighNew = inngest.createFunction(
  { id: 'weigh-v2' },
  { event: 'market/goods.weighed', if: `event.ts >= ${CUT}` },
  async () => 'new scales',
);

export const sending = {
  client: inngest,
  functions: [
    greet,
    listStall,
    inspect,
    closeDay,
    writeBill,
    clean,
    keepBooks,
    watchPosts,
    weighOld,
    weighNew,
  ],
};

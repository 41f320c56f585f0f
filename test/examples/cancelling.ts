/** Runs that end before their end: by events, by time limits, and what is cleaned up after them. */
import { Inngest } from 'stepwell';
import { act } from './nursery.ts';

const inngest = new Inngest({ id: 'seeds' });

const shipOrder = inngest.createFunction(
  {
    id: 'ship-order',
    cancelOn: [
      { event: 'seeds/order.cancelled', if: 'event.data.orderId == async.data.orderId' },
      { event: 'seeds/customer.deleted', match: 'data.customerId', timeout: '2d' },
      { event: 'seeds/shop.closed', if: "event.data.plan == 'free'" },
    ],
  },
  { event: 'seeds/order.placed' },
  async ({ event, step }) => {
    await step.sleepUntil('until-it-is-paid', event.data.dueAt);
    await step.run('ship', () => act(`ship ${event.data.orderId}`));
    return 'shipped';
  },
);

/** Runs whenever one of the other's runs is cancelled, however that came about. */
const restock = inngest.createFunction(
  { id: 'restock', name: 'Put back what was not shipped' },
  { event: 'inngest/function.cancelled', if: "event.data.function_id == 'seeds-ship-order'" },
  async ({ event, step, logger }) => {
    const original = event.data.event;
    logger.debug(`cancelled: ${original.data.orderId}`);
    await step.run('put-back', () => act(`put back ${original.data.orderId}`));
  },
);

const germinate = inngest.createFunction(
  { id: 'germinate', timeouts: { start: '10s', finish: '30s' } },
  { event: 'seeds/tray.sown' },
  async ({ step }) => {
    await step.sleep('until-it-sprouts', '1h');
    await step.run('look', () => act('look'));
  },
);

export const cancelling = { client: inngest, functions: [shipOrder, restock, germinate] };

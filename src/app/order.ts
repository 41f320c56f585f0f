import { NonRetriableError } from '../sdk/index.ts';
import { inngest } from './client.ts';

/**
 * An order, from checkout to confirmation. Each `step.run` is tried until it succeeds, and its result is stored: whatever crashes or is
 * deployed in between, a step that has finished never runs again.
 */
export const processOrder = inngest.createFunction(
  { id: 'process-order', name: 'Process an order', retries: 4 },
  { event: 'shop/order.placed' },
  async ({ event, step, attempt }) => {
    const order = await step.run('validate', () => {
      // Trying again cannot help here, so say so: the run fails at once.
      if (event.data.items.length === 0) throw new NonRetriableError('the order has no items');
      return { id: event.data.orderId, total: event.data.items.reduce((sum, item) => sum + item.price, 0) };
    });

    // Fails on its first attempt, as payment providers do; the engine waits a little and tries it again.
    const charge = await step.run('charge', () => chargeCard(order.id, order.total, attempt));

    // Costs nothing while it lasts: no process waits, the run's alarm wakes it up again. Up to a year.
    await step.sleep('let the warehouse pack it', '2s');

    // Sent once, even if the run is interrupted right here. Any function that listens to it starts.
    await step.sendEvent('confirm', {
      name: 'shop/order.confirmed',
      data: { orderId: order.id, total: order.total },
    });

    return { orderId: order.id, total: order.total, paid: charge.chargeId };
  },
);

/** Stands for a payment provider that is down at first. */
function chargeCard(orderId: string, total: number, attempt: number) {
  if (attempt === 0) throw new Error('payment provider answered 503');
  return { chargeId: `charge-${orderId}`, total };
}

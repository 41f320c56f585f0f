import { EventSchemas, Inngest } from '../sdk/index.ts';

/** The events of this app: their names and what they carry. `event.data` in every handler is typed by these. */
type Events = {
  'shop/order.placed': { data: { orderId: string; items: { sku: string; price: number }[] } };
  'shop/order.confirmed': { data: { orderId: string; total: number } };
  'shop/report.requested': { data: { regions: string[] } };
  'shop/import.started': { data: { file: string } };
};

/** The id groups this app's functions: a function's full id is `<app id>-<function id>`. */
export const inngest = new Inngest({ id: 'shop', schemas: new EventSchemas().fromRecord<Events>() });

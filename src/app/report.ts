import { inngest } from './client.ts';

/** Fan-in: the regions are counted at the same time, each in a step of its own, and one report is made of all of them. */
export const salesReport = inngest.createFunction(
  { id: 'sales-report', name: 'Sales report' },
  { event: 'shop/report.requested' },
  async ({ event, step }) => {
    const counts = await Promise.all(
      event.data.regions.map((region) =>
        step.run(`count ${region}`, async () => {
          await new Promise((resolve) => setTimeout(resolve, 20));
          return { region, orders: region.length * 7 };
        }),
      ),
    );

    return { regions: counts.length, orders: counts.reduce((sum, count) => sum + count.orders, 0) };
  },
);

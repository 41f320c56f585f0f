/** Events with declared types: whatever they are declared with, handlers, waits, matches and sends are checked by the compiler. */
import {
  EventSchemas,
  type GetEvents,
  type GetFunctionInput,
  type GetStepTools,
  Inngest,
  type InngestFunction,
} from 'stepwell';
import * as z from 'zod';
import { act } from './nursery.ts';

type Lent = { name: 'library/book.lent'; data: { bookId: string; to: string } };
type Returned = { name: 'library/book.returned'; data: { bookId: string; worn: boolean } };

type Records = {
  'library/reader.joined': { data: { readerId: string; name: string }; user: { email: string } };
};

const inngest = new Inngest({
  id: 'library',
  schemas: new EventSchemas()
    .fromRecord<Records>()
    .fromUnion<Lent | Returned>()
    .fromZod({ 'library/fine.due': { data: z.object({ readerId: z.string(), cents: z.number() }) } })
    .fromSchema({ 'library/fine.paid': z.object({ readerId: z.string(), cents: z.number() }) }),
});

type Fine = GetEvents<typeof inngest>['library/fine.due']['data'];
type Step = GetStepTools<typeof inngest>;

const welcome = inngest.createFunction(
  { id: 'welcome' },
  { event: 'library/reader.joined' },
  async ({ event, step }) => mail(step, event.user.email, `welcome, ${event.data.name}`),
);

function mail(step: Step, to: string, text: string): Promise<string> {
  return step.run('mail', () => act(`${to}: ${text}`, text));
}

const lend = inngest.createFunction(
  { id: 'lend', cancelOn: [{ event: 'library/fine.due', if: 'async.data.readerId == event.data.to' }] },
  { event: 'library/book.lent' },
  async ({ event, step }) => {
    const returned = await step.waitForEvent('until-it-is-back', {
      event: 'library/book.returned',
      timeout: '28d',
      match: 'data.bookId',
    });
    if (returned !== null) return returned.data.worn ? 'worn' : 'fine';
    const fine: Fine = { readerId: event.data.to, cents: 250 };
    const { ids } = await step.sendEvent('fine', { name: 'library/fine.due', data: fine });
    return ids.length;
  },
);

const collect = inngest.createFunction(
  { id: 'collect' },
  [{ event: 'library/fine.due' }, { event: 'library/fine.paid' }],
  async (input) => (input.event.name === 'library/fine.due' ? owes(input) : 'paid'),
);

function owes({ event }: GetFunctionInput<typeof inngest, 'library/fine.due' | 'library/fine.paid'>): string {
  return `${event.data.readerId} owes ${event.data.cents}`;
}

const functions: InngestFunction.Any[] = [welcome, lend, collect];

export const typed = { client: inngest, functions };

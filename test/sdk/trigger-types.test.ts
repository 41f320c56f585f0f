/** What the compiler infers and refuses of triggers, cancellation, failure handlers, waits and invocations. */
import { describe, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import {
  EventSchemas,
  Inngest,
  type FailureEventArgs,
  type GetFunctionOutput,
  type InngestFunction,
  type InngestFunctionReference,
  referenceFunction,
} from '../../src/sdk/index.ts';

type Events = {
  'shop/order.created': { data: { orderId: string; total: number; address: { city: string } } };
  'shop/order.paid': { data: { orderId: string; method: 'card' | 'cash' } };
  'crm/*': { data: { email: string } };
};

const plain = new Inngest({ id: 'plain' });
const typed = new Inngest({ id: 'typed', schemas: new EventSchemas().fromRecord<Events>() });

const created = { event: 'shop/order.created' } as const;
const noop = () => {};

describe('triggers', () => {
  test('of a cron give the timer event, or an invocation with any data (FN-22, FN-28, C-6)', () => {
    typed.createFunction({ id: 'f' }, { cron: 'TZ=Europe/Paris 0 12 * * 5' }, ({ event, events }) => {
      expectTypeOf(event.name).toEqualTypeOf<'inngest/scheduled.timer' | 'inngest/function.invoked'>();
      if (event.name === 'inngest/scheduled.timer') expectTypeOf(event.data.cron).toBeString();
      else expectTypeOf(event.data).toBeAny();
      expectTypeOf(events[0].data).toEqualTypeOf<{ cron: string }>();
    });
  });

  test('mixed give the union, told apart by name (FN-27, TR-6, TR-14)', () => {
    const mixed = [{ cron: '0 * * * *' }, { event: 'shop/order.paid', if: 'event.data.total > 1' }] as const;
    typed.createFunction({ id: 'f' }, mixed, ({ event }) => {
      if (event.name === 'inngest/scheduled.timer') expectTypeOf(event.data.cron).toBeString();
      else expectTypeOf(event.data).toEqualTypeOf<{ orderId: string; method: 'card' | 'cash' }>();
    });
  });

  test('take patterns with a filter, and names that a declared pattern covers (FN-40a, TR-13)', () => {
    typed.createFunction({ id: 'f' }, { event: 'shop/*', if: 'event.data.orderId != ""' }, ({ events }) => {
      expectTypeOf(events[0].name).toEqualTypeOf<'shop/order.created' | 'shop/order.paid'>();
    });
    typed.createFunction({ id: 'f' }, { event: 'crm/lead' }, ({ events }) => {
      expectTypeOf(events[0].data).toEqualTypeOf<{ email: string }>();
    });
  });

  test('may come from a variable of type string where no types are declared (ES-19)', () => {
    const event = 'a/b' as string;
    plain.createFunction({ id: 'f' }, { event }, (input) => expectTypeOf(input.event.data).toBeAny());
  });
});

describe('cancelOn', () => {
  const both = { event: 'shop/order.paid', match: 'data.orderId', if: 'true' } as const;
  const unknownEvent = { event: 'shop/order.payd' } as const;
  const unknownPath = { event: 'shop/order.paid', match: 'data.id' } as const;
  const uses = {
    fine: () =>
      typed.createFunction(
        {
          id: 'f',
          cancelOn: [
            { event: 'shop/order.paid', match: 'data.orderId', timeout: '1h' },
            { event: 'shop/order.paid', match: 'data.address.city', timeout: 5_000 },
            { event: 'crm/lead.lost', if: 'async.data.email == event.data.email', timeout: new Date() },
            { event: 'inngest/function.failed' },
          ],
          timeouts: { start: '10s', finish: '18h30m' },
        },
        created,
        noop,
      ),
    // @ts-expect-error -- match or if (FN-14)
    both: () => typed.createFunction({ id: 'f', cancelOn: [both] }, created, noop),
    // @ts-expect-error -- no such event (ES-15)
    unknownEvent: () => typed.createFunction({ id: 'f', cancelOn: [unknownEvent] }, created, noop),
    // @ts-expect-error -- neither event has such a member (ES-17)
    unknownPath: () => typed.createFunction({ id: 'f', cancelOn: [unknownPath] }, created, noop),
    untyped: (path: string) =>
      plain.createFunction({ id: 'f', cancelOn: [{ event: 'x', match: path }] }, { event: 'a' }, noop),
  };

  test('takes declared events, and paths of one of the two (FN-14, ES-15, ES-17)', () => {
    expectTypeOf(uses.fine).returns.toExtend<InngestFunction.Any>();
  });
});

describe('onFailure', () => {
  test('gets the error and the failed event, and the original one inside of it (FN-17, OF-5, OF-7)', () => {
    typed.createFunction(
      {
        id: 'f',
        onFailure: async ({ error, event, events, step, runId }) => {
          expectTypeOf(error).toEqualTypeOf<Error>();
          expectTypeOf(event.name).toEqualTypeOf<'inngest/function.failed'>();
          expectTypeOf(event.data.run_id).toBeString();
          expectTypeOf(event.data.event.name).toEqualTypeOf<
            'shop/order.created' | 'inngest/function.invoked'
          >();
          expectTypeOf(event.data.event.data.address.city).toBeString();
          expectTypeOf(events).toEqualTypeOf<[typeof event]>();
          expectTypeOf(runId).toBeString();
          await step.sendEvent('tell', { name: 'crm/lead.lost', data: { email: 'a@b.c' } });
        },
      },
      created,
      ({ event }) => {
        expectTypeOf(event.data.total).toBeNumber();
      },
    );
  });

  test('has an argument type for handlers that are written elsewhere (PK-7)', () => {
    const onFailure = ({ error, event }: FailureEventArgs) => {
      expectTypeOf(event.data.error.message).toBeString();
      return error.message;
    };
    typed.createFunction({ id: 'f', onFailure }, created, noop);
    plain.createFunction({ id: 'f', onFailure }, [{ event: 'a/b' }, { cron: '* * * * *' }], noop);
  });
});

describe('step.waitForEvent', () => {
  typed.createFunction({ id: 'f' }, created, ({ step }) => {
    const uses = {
      paid: () =>
        step.waitForEvent('a', { event: 'shop/order.paid', timeout: '3 days', match: 'data.orderId' }),
      covered: () => step.waitForEvent('a', { event: 'crm/lead', timeout: 1_000, if: 'true' }),
      finished: () =>
        step.waitForEvent('a', { event: 'inngest/function.finished', timeout: new Date(), lookBack: '1h' }),
      own: () => step.waitForEvent('a', { event: 'shop/order.paid', timeout: 1, match: 'data.address.city' }),
      // @ts-expect-error -- no such event (ES-15)
      unknownEvent: () => step.waitForEvent('a', { event: 'shop/order.payd', timeout: 1 }),
      // @ts-expect-error -- neither event has such a member (ES-17)
      path: () => step.waitForEvent('a', { event: 'shop/order.paid', timeout: 1, match: 'data.id' }),
      // @ts-expect-error -- without a timeout it could wait for ever (WE-1)
      noTimeout: () => step.waitForEvent('a', { event: 'shop/order.paid' }),
      // @ts-expect-error -- match or if (WE-6)
      both: () => step.waitForEvent('a', { event: 'crm/x', timeout: 1, match: 'data.email', if: 'true' }),
      // @ts-expect-error -- a form of version 2 (ST-17)
      old: () => step.waitForEvent('shop/order.paid', { timeout: '1h' }),
    };
    expectTypeOf(uses.paid).returns.resolves.toEqualTypeOf<{
      name: 'shop/order.paid';
      data: { orderId: string; method: 'card' | 'cash' };
      user?: Anything;
      v?: string | undefined;
      id: string;
      ts: number;
    } | null>();
    expectTypeOf<NonNullable<Awaited<ReturnType<typeof uses.covered>>>['data']>().toEqualTypeOf<{
      email: string;
    }>();
    expectTypeOf<NonNullable<Awaited<ReturnType<typeof uses.finished>>>['data']['run_id']>().toBeString();
    return uses;
  });

  plain.createFunction({ id: 'f' }, { event: 'a/b' }, async ({ step, event }) => {
    const got = await step.waitForEvent('a', { event: event.data.name as string, timeout: '1h', match: 'x' });
    expectTypeOf<NonNullable<typeof got>['data']>().toBeAny();
  });

  test('resolves to the event or null, by the declared types (ST-16, WE-1 to WE-3, ES-15, ES-17)', () => {});
});

type Anything = NonNullable<Parameters<typeof plain.send>[0] & { data?: unknown }>['data'] extends infer Data
  ? Data
  : never;

describe('step.invoke', () => {
  const order = typed.createFunction({ id: 'order' }, created, () => ({ at: new Date() }));
  const either = typed.createFunction({ id: 'either' }, [created, { event: 'crm/lead' }], async () => {});
  const timer = typed.createFunction({ id: 'timer' }, { cron: '0 * * * *' }, () => 1);
  const loose = plain.createFunction({ id: 'loose' }, { event: 'a/b' }, () => 'done' as const);
  const described = referenceFunction({
    functionId: 'described',
    appId: 'other',
    schemas: { data: z.object({ n: z.number() }), return: z.object({ sum: z.number() }) },
  });
  const bare = referenceFunction({ functionId: 'bare' });
  const byType = referenceFunction<typeof order>({ functionId: 'order' });
  const data = { orderId: '1', total: 2, address: { city: 'x' } };

  plain.createFunction({ id: 'f' }, { event: 'a/b' }, ({ step }) => {
    const uses = {
      order: () => step.invoke('a', { function: order, data, timeout: '1h' }),
      either: () => step.invoke('a', { function: either, data: { email: 'x' }, user: { id: 1 } }),
      timer: () => step.invoke('a', { function: timer }),
      loose: () => step.invoke('a', { function: loose, data: { anything: 1 } }),
      described: () => step.invoke('a', { function: described, data: { n: 1 } }),
      bare: () => step.invoke('a', { function: bare, data: { anything: 1 }, timeout: 5_000 }),
      byType: () => step.invoke('a', { function: byType, data }),
      id: () => step.invoke('a', { function: 'app-fn', data: { anything: 1 } }),
      // @ts-expect-error -- data of another event (ES-15)
      wrongData: () => step.invoke('a', { function: order, data: { email: 'x' } }),
      // @ts-expect-error -- data is missing
      noData: () => step.invoke('a', { function: order }),
      // @ts-expect-error -- data against its schema (RF-5)
      wrongSchema: () => step.invoke('a', { function: described, data: { n: 'x' } }),
      // @ts-expect-error -- data against the type of the function (RF-8)
      wrongType: () => step.invoke('a', { function: byType, data: {} }),
      // @ts-expect-error -- nothing that can be invoked (ST-19)
      nothing: () => step.invoke('a', { function: { id: 'x' } }),
    };
    expectTypeOf(uses.order).returns.resolves.toEqualTypeOf<{ at: string }>();
    expectTypeOf(uses.either).returns.resolves.toEqualTypeOf<null>();
    expectTypeOf(uses.timer).returns.resolves.toEqualTypeOf<number>();
    expectTypeOf(uses.loose).returns.resolves.toEqualTypeOf<'done'>();
    expectTypeOf(uses.described).returns.resolves.toEqualTypeOf<{ sum: number }>();
    expectTypeOf(uses.bare).returns.resolves.toBeUnknown();
    expectTypeOf(uses.byType).returns.resolves.toEqualTypeOf<{ at: string }>();
    expectTypeOf(uses.id).returns.resolves.toBeUnknown();
    return uses;
  });

  test('takes data and gives the result by the function or its reference (IV-1, IV-2, IV-26, IV-27, RF-5, RF-7, RF-8)', () => {});

  test('GetFunctionOutput reads references too, and nothing of an id (TY-5)', () => {
    expectTypeOf<GetFunctionOutput<typeof described>>().toEqualTypeOf<{ sum: number }>();
    expectTypeOf<GetFunctionOutput<typeof byType>>().toEqualTypeOf<{ at: string }>();
    expectTypeOf<GetFunctionOutput<typeof bare>>().toBeUnknown();
    const any: InngestFunctionReference.Any[] = [described, bare, byType];
    expectTypeOf(any).toBeArray();
  });
});

/** What the compiler infers and refuses. `tsc -p test` is the judge; at run time these tests only construct. */
import { describe, expectTypeOf, test } from 'vitest';
import * as z from 'zod';
import { z as z3 } from 'zod/v3';
import {
  EventSchemas,
  Inngest,
  isInngest,
  isInngestFunction,
  type Context,
  type EventPayload,
  type GetEvents,
  type GetFunctionInput,
  type GetFunctionOutput,
  type GetStepTools,
  type Handler,
  type InngestFunction,
  type Jsonify,
  type LiteralZodEventSchema,
  type StandardSchema,
  type step as ambient,
} from '../../src/sdk/index.ts';

interface Order {
  orderId: string;
  total: number;
}

type Events = {
  'shop/order.created': { data: Order; user: { external_id: string } };
  'shop/order.paid': { data: { orderId: string; method: 'card' | 'cash' } };
  'crm/lead.added': { data: { email: string } };
};

const plain = new Inngest({ id: 'plain' });
const typed = new Inngest({ id: 'typed', schemas: new EventSchemas().fromRecord<Events>() });

/** The payload types of schemas, as a client with them has them. */
type EventsOf<Schemas extends EventSchemas<Record<string, EventPayload>>> = GetEvents<
  Inngest<{ id: string; schemas: Schemas }>
>;

describe('EventSchemas', () => {
  test('fromRecord completes each type with the general members (ES-3, ES-13)', () => {
    type Created = GetEvents<typeof typed>['shop/order.created'];
    expectTypeOf<Created>().toEqualTypeOf<{
      name: 'shop/order.created';
      data: Order;
      user: { external_id: string };
      id?: string | undefined;
      ts?: number | undefined;
      v?: string | undefined;
    }>();
    expectTypeOf<GetEvents<typeof typed>['crm/lead.added']['user']>().toBeAny();
  });

  test('fromRecord takes interfaces too (ES-3)', () => {
    interface Declared {
      'a/b': { data: Order };
    }
    const schemas = new EventSchemas().fromRecord<Declared>();
    expectTypeOf<EventsOf<typeof schemas>['a/b']['data']>().toEqualTypeOf<Order>();
  });

  test('fromRecord accepts a name that is its key and refuses one that is not, except under a pattern (ES-4)', () => {
    new EventSchemas().fromRecord<{ 'a/b': { name: 'a/b'; data: Order } }>();
    new EventSchemas().fromRecord<{ 'a/*': { name: 'a/b' | 'a/c'; data: Order } }>();
    // @ts-expect-error -- the name clashes with the key
    new EventSchemas().fromRecord<{ 'a/b': { name: 'a/c'; data: Order } }>();
  });

  test('fromUnion takes the name from each member (ES-5)', () => {
    type Created = { name: 'a/created'; data: { id: string } };
    type Gone = { name: 'a/deleted' | 'a/purged'; data: { reason: string }; user: { id: string } };
    const schemas = new EventSchemas().fromUnion<Created | Gone>();
    type Found = EventsOf<typeof schemas>;
    expectTypeOf<keyof Found>().toEqualTypeOf<'a/created' | 'a/deleted' | 'a/purged'>();
    expectTypeOf<Found['a/purged']['data']>().toEqualTypeOf<{ reason: string }>();
    expectTypeOf<Found['a/purged']['name']>().toEqualTypeOf<'a/purged'>();
  });

  test('fromGenerated has the form of a record (ES-11)', () => {
    const schemas = new EventSchemas().fromGenerated<{ 'a/b': { data: Order } }>();
    expectTypeOf<EventsOf<typeof schemas>['a/b']['data']>().toEqualTypeOf<Order>();
  });

  test('fromZod takes a record of data and user (ES-6)', () => {
    const schemas = new EventSchemas().fromZod({
      'a/b': { data: z.object({ n: z.number() }), user: z.object({ id: z.string() }) },
      'a/c': {},
    });
    type Found = EventsOf<typeof schemas>;
    expectTypeOf<Found['a/b']['data']>().toEqualTypeOf<{ n: number }>();
    expectTypeOf<Found['a/b']['user']>().toEqualTypeOf<{ id: string }>();
    expectTypeOf<Found['a/c']['data']>().toBeAny();
  });

  test('fromZod takes an array of objects with a literal name (ES-7)', () => {
    const one = z.object({
      name: z.literal('a/one'),
      data: z.object({ n: z.number() }),
    }) satisfies LiteralZodEventSchema;
    const two = z.object({ name: z.literal('a/two'), data: z.object({ s: z.string() }) });
    const schemas = new EventSchemas().fromZod([one, two]);
    type Found = EventsOf<typeof schemas>;
    expectTypeOf<keyof Found>().toEqualTypeOf<'a/one' | 'a/two'>();
    expectTypeOf<Found['a/two']['data']>().toEqualTypeOf<{ s: string }>();
    // @ts-expect-error -- the name is not a literal
    z.object({ name: z.string(), data: z.object({}) }) satisfies LiteralZodEventSchema;
  });

  test('fromZod takes schemas of zod 3 (ES-6, ES-7)', () => {
    const literal = z3.object({ name: z3.literal('a/c'), data: z3.object({ n: z3.number() }) });
    const schemas = new EventSchemas()
      .fromZod({ 'a/b': { data: z3.object({ s: z3.string() }) } })
      .fromZod([literal satisfies LiteralZodEventSchema]);
    type Found = EventsOf<typeof schemas>;
    expectTypeOf<Found['a/b']['data']>().toEqualTypeOf<{ s: string }>();
    expectTypeOf<Found['a/c']['data']>().toEqualTypeOf<{ n: number }>();
  });

  test('fromZod reads the output type of versions of zod that are no Standard Schema yet (ES-6)', () => {
    const old = {} as { _output: { n: number } };
    const schemas = new EventSchemas().fromZod({ 'a/b': { data: old } });
    expectTypeOf<EventsOf<typeof schemas>['a/b']['data']>().toEqualTypeOf<{ n: number }>();
  });

  test('fromSchema describes the data itself, by the output type of any Standard Schema (ES-8, ES-9)', () => {
    const schemas = new EventSchemas().fromSchema({
      'a/b': z.object({ when: z.string().transform((text) => text.length) }),
      'a/c': {} as StandardSchema<{ other: boolean }>,
      'a/d': z.string(),
    });
    type Found = EventsOf<typeof schemas>;
    expectTypeOf<Found['a/b']>().toEqualTypeOf<{
      name: 'a/b';
      data: { when: number };
      user?: Anything;
      id?: string | undefined;
      ts?: number | undefined;
      v?: string | undefined;
    }>();
    expectTypeOf<Found['a/c']['data']>().toEqualTypeOf<{ other: boolean }>();
    expectTypeOf<Found['a/d']['data']>().toBeNever();
  });

  test('sources stack: a later one wins, name by name (ES-1, ES-2)', () => {
    const schemas = new EventSchemas()
      .fromRecord<{
        'a/kept': { data: { first: 1 } };
        'a/replaced': { data: { first: 1 }; user: { id: string } };
      }>()
      .fromSchema({ 'a/replaced': z.object({ second: z.number() }) })
      .fromUnion<{ name: 'a/added'; data: { third: 3 } }>();
    type Found = EventsOf<typeof schemas>;
    expectTypeOf<keyof Found>().toEqualTypeOf<'a/kept' | 'a/replaced' | 'a/added'>();
    expectTypeOf<Found['a/kept']['data']>().toEqualTypeOf<{ first: 1 }>();
    expectTypeOf<Found['a/replaced']['data']>().toEqualTypeOf<{ second: number }>();
    expectTypeOf<Found['a/replaced']['user']>().toBeAny();
  });
});

describe('send', () => {
  const calls = {
    untyped: () => plain.send({ name: 'any/name', data: { anything: [1] } }),
    one: () => typed.send({ name: 'crm/lead.added', data: { email: 'a@b.c' }, id: 'once', ts: 1, v: '2' }),
    many: () =>
      typed.send([
        { name: 'crm/lead.added', data: { email: 'a@b.c' } },
        { name: 'shop/order.paid', data: { orderId: '1', method: 'cash' } },
      ]),
    // @ts-expect-error -- no such event (ES-16)
    unknownName: () => typed.send({ name: 'crm/lead.lost', data: { email: 'a@b.c' } }),
    // @ts-expect-error -- data of another event (ES-16)
    wrongData: () => typed.send({ name: 'crm/lead.added', data: { orderId: '1' } }),
    // @ts-expect-error -- data is missing (ES-16)
    noData: () => typed.send({ name: 'crm/lead.added' }),
    // @ts-expect-error -- user is declared (ES-16)
    noUser: () => typed.send({ name: 'shop/order.created', data: { orderId: '1', total: 2 } }),
    // @ts-expect-error -- the engine's own events are not sent by clients
    internal: () => typed.send({ name: 'inngest/function.failed', data: {} }),
    // @ts-expect-error -- a form of version 1 (SE-14)
    nameFirst: () => plain.send('crm/lead.added', { data: {} }),
  };

  test('takes the declared payloads and answers ids (SE-1, ES-15, ES-16, ES-19)', () => {
    expectTypeOf(calls.one).returns.resolves.toEqualTypeOf<{ ids: string[] }>();
  });

  test('under a declared pattern takes every name that fits', () => {
    const family = new Inngest({
      id: 'family',
      schemas: new EventSchemas().fromRecord<{ 'a/*': { data: { n: number } } }>(),
    });
    expectTypeOf({ name: 'a/x' as const, data: { n: 1 } }).toExtend<Parameters<typeof family.send>[0]>();
    expectTypeOf({ name: 'b/x' as const, data: { n: 1 } }).not.toExtend<Parameters<typeof family.send>[0]>();
  });
});

describe('the handler', () => {
  test('gets the event of its trigger, or an invocation with the same data (FN-24, FN-27)', () => {
    typed.createFunction({ id: 'f' }, { event: 'shop/order.created' }, ({ event, events, ...rest }) => {
      expectTypeOf(event.name).toEqualTypeOf<'shop/order.created' | 'inngest/function.invoked'>();
      expectTypeOf(event.data).toEqualTypeOf<Order>();
      expectTypeOf(event.user).toEqualTypeOf<{ external_id: string }>();
      expectTypeOf(event.id).toBeString();
      expectTypeOf(event.ts).toBeNumber();
      expectTypeOf(events[0].name).toEqualTypeOf<'shop/order.created'>();
      expectTypeOf(events).toBeArray();
      expectTypeOf(rest.runId).toBeString();
      expectTypeOf(rest.attempt).toBeNumber();
      expectTypeOf(rest.maxAttempts).toBeNumber();
      rest.logger.info('text', { with: 'members' });
    });
  });

  test('tells several triggers apart by event.name (TR-14)', () => {
    typed.createFunction(
      { id: 'f' },
      [{ event: 'shop/order.created' }, { event: 'crm/lead.added' }],
      ({ event, events }) => {
        expectTypeOf(events[0].name).toEqualTypeOf<'shop/order.created' | 'crm/lead.added'>();
        if (event.name === 'shop/order.created') expectTypeOf(event.data).toEqualTypeOf<Order>();
        else if (event.name === 'crm/lead.added') expectTypeOf(event.data).toEqualTypeOf<{ email: string }>();
        else expectTypeOf(event.data).toEqualTypeOf<Order | { email: string }>();
      },
    );
  });

  test('gets any data but a literal name where no types are declared (ES-19)', () => {
    plain.createFunction({ id: 'f' }, [{ event: 'a/b' }, { event: 'a/c' }], ({ event, events }) => {
      expectTypeOf(events[0].name).toEqualTypeOf<'a/b' | 'a/c'>();
      expectTypeOf(event.data).toBeAny();
    });
  });

  test('of a pattern gets the declared events that fit it (FN-40a)', () => {
    typed.createFunction({ id: 'f' }, { event: 'shop/*' }, ({ events }) => {
      expectTypeOf(events[0].name).toEqualTypeOf<'shop/order.created' | 'shop/order.paid'>();
    });
    typed.createFunction({ id: 'f' }, { event: 'other/thing.*' }, ({ events }) => {
      expectTypeOf(events[0].name).toEqualTypeOf<`other/thing.${string}`>();
      expectTypeOf(events[0].data).toBeAny();
    });
    plain.createFunction({ id: 'f' }, { event: 'a/*' }, ({ events }) => {
      expectTypeOf(events[0].name).toEqualTypeOf<`a/${string}`>();
    });
  });

  test("gets the engine's own events by their types (ES-14, TR-12)", () => {
    typed.createFunction({ id: 'f' }, { event: 'inngest/function.failed' }, ({ events }) => {
      expectTypeOf(events[0].data.error.message).toBeString();
      expectTypeOf(events[0].data.run_id).toBeString();
    });
    plain.createFunction({ id: 'f' }, { event: 'inngest/function.cancelled' }, ({ events }) => {
      expectTypeOf(events[0].data.function_id).toBeString();
    });
  });

  test('may be synchronous, asynchronous and without steps (FN-41)', () => {
    plain.createFunction({ id: 'f' }, { event: 'a/b' }, () => {});
    plain.createFunction({ id: 'f' }, { event: 'a/b' }, async () => {});
  });
});

describe('createFunction', () => {
  const three = [{ limit: 1 }, { limit: 2 }, { limit: 3 }] as const;
  const app = { limit: 1, key: 'event.data.x', scope: 'app' } as const;
  const throttle = { limit: 1, period: 60 } as const;
  const mistakes = {
    // @ts-expect-error -- no such event
    event: () => typed.createFunction({ id: 'f' }, { event: 'shop/order.creatd' }, () => {}),
    // @ts-expect-error -- one of the events does not exist
    events: () => typed.createFunction({ id: 'f' }, [{ event: 'crm/lead.added' }, { event: 'x' }], () => {}),
    // @ts-expect-error -- no id (FN-3)
    id: () => plain.createFunction({ name: 'f' }, { event: 'a/b' }, () => {}),
    // @ts-expect-error -- out of range (FN-13)
    retries: () => plain.createFunction({ id: 'f', retries: 21 }, { event: 'a/b' }, () => {}),
    // @ts-expect-error -- two limits at most (CC-14)
    concurrency: () => plain.createFunction({ id: 'f', concurrency: three }, { event: 'a/b' }, () => {}),
    // @ts-expect-error -- no such scope (CC-7)
    scope: () => plain.createFunction({ id: 'f', concurrency: app }, { event: 'a/b' }, () => {}),
    // @ts-expect-error -- periods are texts (FN-7)
    throttle: () => plain.createFunction({ id: 'f', throttle }, { event: 'a/b' }, () => {}),
    // @ts-expect-error -- the mode is not optional (SG-1)
    singleton: () => plain.createFunction({ id: 'f', singleton: {} }, { event: 'a/b' }, () => {}),
    // @ts-expect-error -- a filter goes with an event (FN-23)
    filter: () => plain.createFunction({ id: 'f' }, { cron: '* * * * *', if: 'true' }, () => {}),
    // @ts-expect-error -- an event or a cron (FN-22)
    both: () => plain.createFunction({ id: 'f' }, { cron: '* * * * *', event: 'a/b' }, () => {}),
    // @ts-expect-error -- a form of version 2 (FN-2)
    strings: () => plain.createFunction('f', 'a/b', () => {}),
  };

  test('takes every option of flow control (FN-6 to FN-12, FN-16)', () => {
    const key = 'event.data.user';
    const two = [{ limit: 5 }, { limit: 1, key, scope: 'account' }] as const;
    const functions = [
      plain.createFunction({ id: 'a', concurrency: 5, priority: { run: '120' } }, { event: 'a/b' }, () => {}),
      plain.createFunction({ id: 'b', concurrency: two, priority: {} }, { event: 'a/b' }, () => {}),
      plain.createFunction(
        {
          id: 'c',
          concurrency: { limit: 5, key },
          throttle: { limit: 10, period: '1s', burst: 20, key },
          rateLimit: { limit: 1, period: '4h', key },
          debounce: { period: '5s', timeout: '1m', key },
          singleton: { key, mode: 'skip' },
          idempotency: key,
        },
        { event: 'a/b' },
        () => {},
      ),
      plain.createFunction(
        { id: 'd', batchEvents: { maxSize: 100, timeout: '5s', key, if: 'true' } },
        { event: 'a/b' },
        ({ events }) => events.length,
      ),
    ];
    expectTypeOf(functions).toBeArray();
  });

  test('refuses what it does not know (FN-1, FN-2, MG-11)', () => {
    expectTypeOf(mistakes).toBeObject();
  });

  test('results fit any place for functions, and clients any place for clients (TY-6)', () => {
    const one = typed.createFunction({ id: 'one' }, { event: 'crm/lead.added' }, () => 1);
    const two = plain.createFunction({ id: 'two' }, { event: 'a/b' }, async () => ({ two: true }));
    const functions: InngestFunction.Any[] = [one, two];
    const clients: Inngest.Any[] = [plain, typed];
    const alike: { functions: InngestFunction.Like[]; clients: Inngest.Like[] } = { functions, clients };
    const make = (client: Inngest.Any) =>
      client.createFunction({ id: 'made' }, { event: 'a/b' }, ({ event }) => event.data);
    expectTypeOf(make(typed)).toExtend<InngestFunction.Any>();
    expectTypeOf(alike).toBeObject();
  });

  test('guards narrow (PK-12)', () => {
    const value: unknown = plain;
    if (isInngest(value)) expectTypeOf(value.id).toBeString();
    if (isInngestFunction(value)) expectTypeOf(value.options.id).toBeString();
  });
});

describe('step', () => {
  typed.createFunction({ id: 'f' }, { event: 'crm/lead.added' }, ({ step }) => {
    const uses = {
      result: () => step.run('a', () => ({ at: new Date(), n: 1 })),
      nothing: () => step.run({ id: 'a', name: 'A step' }, async () => {}),
      sometimes: () => step.run('a', () => (Math.random() > 2 ? 'text' : undefined)),
      failing: () =>
        step.run('a', () => {
          throw new Error('no');
        }),
      input: () => step.run('a', (n, text) => ({ n, text }), 1, 'two'),
      // @ts-expect-error -- the callback wants a number
      wrongInput: () => step.run('a', (n: number) => n, 'one'),
      sleep: () => [step.sleep('a', '1h'), step.sleep('a', 1_000), step.sleep('a', { total: () => 1 })],
      // @ts-expect-error -- a form of version 2: no id (ST-17)
      sleepWithoutId: () => step.sleep('1h'),
      sleepUntil: () => [
        step.sleepUntil('a', new Date()),
        step.sleepUntil('a', '2027-01-01'),
        step.sleepUntil('a', { epochMilliseconds: 1 }),
      ],
      // @ts-expect-error -- numbers could mean seconds or milliseconds (SU-8)
      sleepUntilNumber: () => step.sleepUntil('a', 1_700_000_000),
      send: () => step.sendEvent('a', [{ name: 'crm/lead.added', data: { email: 'a@b.c' } }]),
      // @ts-expect-error -- data of another event (ES-16)
      sendWrong: () => step.sendEvent('a', { name: 'crm/lead.added', data: { orderId: '1' } }),
    };
    const { models } = step.ai;
    const model = models.openai({ model: 'm' });
    const asks = {
      fetch: () => [
        step.fetch('https://a.example'),
        step.fetch('id', new URL('https://a.example'), { method: 'PUT' }),
      ],
      chat: () => step.ai.infer('a', { model, body: { messages: [] } }),
      claude: () =>
        step.ai.infer('a', {
          model: models.anthropic({ model: 'm', defaultParameters: { max_tokens: 9 } }),
          body: { messages: [{ role: 'user', content: 'hi' }] },
        }),
      gemini: () => step.ai.infer('a', { model: models.gemini({ model: 'm' }), body: { contents: [] } }),
      // @ts-expect-error -- the body of another provider (AI-1)
      mixed: () => step.ai.infer('a', { model: models.gemini({ model: 'm' }), body: { messages: [] } }),
      // @ts-expect-error -- answers are not streamed (AI-10)
      streamed: () => step.ai.infer('a', { model, body: { messages: [], stream: true } }),
      // @ts-expect-error -- Anthropic wants max_tokens
      unlimited: () => models.anthropic({ model: 'm' }),
      wrap: () => step.ai.wrap('a', async (prompt: string) => ({ prompt, at: new Date() }), 'hi'),
      // @ts-expect-error -- the callback wants a text
      wrapWrong: () => step.ai.wrap('a', (prompt: string) => prompt, 1),
    };
    const waits = {
      any: () =>
        step.waitForAny('a', {
          events: [
            { event: 'shop/order.paid', if: 'true' },
            { event: 'shop/order.created', match: 'data.orderId' },
          ],
          timeout: '1h',
        }),
      all: () =>
        step.waitForAll('a', {
          events: [{ event: 'shop/order.paid' }, { event: 'crm/lead.added' }],
          timeout: '1h',
        }),
      // @ts-expect-error -- no such event (ES-16)
      unknown: () => step.waitForAny('a', { events: [{ event: 'shop/none' }], timeout: '1h' }),
      mismatch: () =>
        // @ts-expect-error -- no such member in either of the two
        step.waitForAll('a', { events: [{ event: 'shop/order.paid', match: 'data.no' }], timeout: '1h' }),
      // @ts-expect-error -- how long?
      endless: () => step.waitForAny('a', { events: [{ event: 'shop/order.paid' }] }),
      signal: () =>
        step.waitForSignal<{ at: Date }>('a', { signal: 's', timeout: '1h', onConflict: 'replace' }),
      untyped: () => step.waitForSignal('a', { signal: 's', timeout: '1h' }),
      send: () => step.sendSignal('a', { signal: 's', data: 1 }),
    };
    type Paid = Extract<NonNullable<Answer<typeof waits.any>>, { name: 'shop/order.paid' }>;
    expectTypeOf<Paid['data']['method']>().toEqualTypeOf<'card' | 'cash'>();
    expectTypeOf<NonNullable<Answer<typeof waits.any>>['name']>().toEqualTypeOf<
      'shop/order.paid' | 'shop/order.created'
    >();
    expectTypeOf<NonNullable<Answer<typeof waits.all>>[1]['data']>().toEqualTypeOf<{ email: string }>();
    expectTypeOf<NonNullable<Answer<typeof waits.all>>['length']>().toEqualTypeOf<2>();
    expectTypeOf<Answer<typeof waits.signal>>().toEqualTypeOf<{
      signal: string;
      data: { at: string };
    } | null>();
    expectTypeOf<NonNullable<Answer<typeof waits.untyped>>['data']>().toBeUnknown();
    expectTypeOf<Answer<typeof waits.send>>().toEqualTypeOf<{ runId?: string }>();
    expectTypeOf(asks.fetch).returns.items.resolves.toEqualTypeOf<Response>();
    expectTypeOf<Answer<typeof asks.chat>['choices'][number]['message']['content']>().toEqualTypeOf<
      string | null
    >();
    expectTypeOf<Answer<typeof asks.claude>['usage']['input_tokens']>().toEqualTypeOf<number>();
    expectTypeOf<Answer<typeof asks.gemini>>().toHaveProperty('candidates');
    expectTypeOf(asks.wrap).returns.resolves.toEqualTypeOf<{ prompt: string; at: string }>();
    expectTypeOf<typeof ambient.run>().toEqualTypeOf<GetStepTools<typeof plain>['run']>();
    expectTypeOf(uses.result).returns.resolves.toEqualTypeOf<{ at: string; n: number }>();
    expectTypeOf(uses.nothing).returns.resolves.toEqualTypeOf<null>();
    expectTypeOf(uses.sometimes).returns.resolves.toEqualTypeOf<'text' | null>();
    expectTypeOf(uses.failing).returns.resolves.toBeNever();
    expectTypeOf(uses.input).returns.resolves.toEqualTypeOf<{ n: number; text: string }>();
    expectTypeOf(uses.send).returns.resolves.toEqualTypeOf<{ ids: string[] }>();
    return uses;
  });

  test('tools infer their results in JSON form (ST-1, SR-1, SR-8, SL-1, SU-1, SV-1, TY-8)', () => {});
  test('waits for several events and for signals have their types (ST-29, WS-1, WS-2)', () => {});
  test('requests and inferences have the types of their providers (AI-1, AI-3, AI-11, SF-1, ST-31)', () => {});
});

type Answer<Use extends () => unknown> = Awaited<ReturnType<Use>>;
type Anything = EventPayload['data'];

describe('Jsonify', () => {
  test('is what JSON makes of a value (TY-8)', () => {
    class Money {
      cents = 0;
      format() {
        return String(this.cents);
      }
      toJSON() {
        return { amount: this.cents, read: new Date() };
      }
    }
    expectTypeOf<Jsonify<Money>>().toEqualTypeOf<{ amount: number; read: string }>();
    expectTypeOf<
      Jsonify<{ a: undefined; b: () => void; c: symbol; d: 1; [Symbol.iterator]: 2 }>
    >().toEqualTypeOf<{ d: 1 }>();
    expectTypeOf<Jsonify<{ a: Date | undefined; b?: Date; readonly c: Date }>>().toEqualTypeOf<{
      a?: string;
      b?: string;
      readonly c: string;
    }>();
    expectTypeOf<Jsonify<[Date, undefined, () => void]>>().toEqualTypeOf<[string, null, null]>();
    expectTypeOf<Jsonify<readonly (Date | undefined)[]>>().toEqualTypeOf<readonly (string | null)[]>();
    expectTypeOf<Jsonify<Map<string, Date>>>().toEqualTypeOf<Record<string, never>>();
    expectTypeOf<Jsonify<Record<string, Date>>>().toEqualTypeOf<Record<string, string>>();
    expectTypeOf<Jsonify<{ big: bigint }>>().toEqualTypeOf<{ big: never }>();
    expectTypeOf<Jsonify<unknown>>().toBeUnknown();
    expectTypeOf<Jsonify<{ any: Anything; unknown: unknown; at: Date }>>().toEqualTypeOf<{
      any: Anything;
      unknown: unknown;
      at: string;
    }>();
  });

  test('keeps unions and literals apart', () => {
    type Result = { ok: true; at: Date } | { ok: false; reason: string };
    expectTypeOf<Jsonify<Result>>().toEqualTypeOf<{ ok: true; at: string } | { ok: false; reason: string }>();
  });

  test('follows types that contain themselves', () => {
    interface Tree {
      at: Date;
      children: Tree[];
      parent?: Tree;
    }
    type Form = Jsonify<Tree>;
    expectTypeOf<Form['children'][number]['children'][number]['at']>().toBeString();
    expectTypeOf<NonNullable<Form['parent']>['at']>().toBeString();
  });
});

describe('type helpers', () => {
  test("GetEvents leaves the engine's own events out unless asked (TY-1, TY-2)", () => {
    expectTypeOf<keyof GetEvents<typeof typed>>().toEqualTypeOf<keyof Events>();
    expectTypeOf<'inngest/function.failed'>().toExtend<keyof GetEvents<typeof typed, true>>();
    expectTypeOf<GetEvents<typeof plain>>().toEqualTypeOf<Record<string, EventPayload>>();
  });

  test('GetFunctionInput is the argument of the handler, of all events or one (TY-3)', () => {
    type All = GetFunctionInput<typeof typed>;
    type One = GetFunctionInput<typeof typed, 'crm/lead.added'>;
    expectTypeOf<All['events'][0]['name']>().toEqualTypeOf<keyof Events>();
    expectTypeOf<One['events'][0]['data']>().toEqualTypeOf<{ email: string }>();
    expectTypeOf<Context<typeof typed, 'crm/lead.added'>>().toEqualTypeOf<One>();
    const handler: Handler<typeof typed, 'crm/lead.added'> = ({ event }) => event.data.email;
    typed.createFunction({ id: 'f' }, { event: 'crm/lead.added' }, handler);
    typed.createFunction({ id: 'f' }, { event: 'crm/lead.added' }, (input) => {
      expectTypeOf(input).toEqualTypeOf<One>();
    });
  });

  test('GetStepTools is its step (TY-4)', () => {
    expectTypeOf<GetStepTools<typeof typed>>().toEqualTypeOf<GetFunctionInput<typeof typed>['step']>();
    expectTypeOf<GetStepTools<typeof typed, 'crm/lead.added'>>().toHaveProperty('run');
  });

  test('GetFunctionOutput is the JSON form of the result (TY-5)', () => {
    const dated = typed.createFunction({ id: 'f' }, { event: 'crm/lead.added' }, async () => ({
      at: new Date(),
    }));
    const silent = plain.createFunction({ id: 'f' }, { event: 'a/b' }, async () => {});
    expectTypeOf<GetFunctionOutput<typeof dated>>().toEqualTypeOf<{ at: string }>();
    expectTypeOf<GetFunctionOutput<typeof silent>>().toEqualTypeOf<null>();
    expectTypeOf<GetFunctionOutput<'app-fn'>>().toBeUnknown();
  });
});

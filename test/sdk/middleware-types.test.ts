/** What middleware adds to the types of handlers and of sending. */
import { describe, expectTypeOf, test } from 'vitest';
import {
  dependencyInjectionMiddleware,
  EventSchemas,
  type GetFunctionInput,
  type GetStepTools,
  Inngest,
  InngestMiddleware,
  isInngestMiddleware,
} from '../../src/sdk/index.ts';

type Events = { 'a/b': { data: { n: number } } };

/** Adds `count`, and to the result of sending `sentAt`. */
const counting = (first: number) =>
  new InngestMiddleware({
    name: 'counting',
    init: async () => ({
      onFunctionRun: ({ ctx, fn, reqArgs }) => {
        expectTypeOf(ctx.runId).toBeString();
        expectTypeOf(ctx.event.name).toBeString();
        expectTypeOf(fn.name).toBeString();
        expectTypeOf(reqArgs).toEqualTypeOf<readonly unknown[]>();
        // @ts-expect-error -- not there yet (MW-18)
        void ctx.step;
        return {
          transformInput: async ({ ctx: full, steps }) => {
            expectTypeOf(() => full.step.run('a', () => 1)).returns.resolves.toBeNumber();
            expectTypeOf(steps[0]?.data).toBeUnknown();
            return { ctx: { count: first } };
          },
          transformOutput: ({ result, step }) => {
            expectTypeOf(step?.name).toEqualTypeOf<string | undefined>();
            return { result: { data: result.data } };
          },
          finished: ({ result }) => expectTypeOf(result.error).toBeUnknown(),
        };
      },
      onSendEvent: () => ({
        transformInput: ({ payloads }) => ({ payloads: payloads.map((event) => ({ ...event, v: '1' })) }),
        transformOutput: () => ({ result: { sentAt: 1 } }),
      }),
    }),
  });

const literal = dependencyInjectionMiddleware({ mode: 'fast', count: 'overridden' } as const);

describe('the handler', () => {
  const app = new Inngest({
    id: 'app',
    schemas: new EventSchemas().fromRecord<Events>(),
    middleware: [
      counting(1),
      dependencyInjectionMiddleware({ db: { query: (text: string) => text.length } }),
    ],
  });

  test('gets what client middleware adds, beside its typed input (MW-25, MW-48, DI-1, DI-2)', () => {
    app.createFunction({ id: 'f' }, { event: 'a/b' }, ({ count, db, event, step, attempt }) => {
      expectTypeOf(count).toBeNumber();
      expectTypeOf(db.query).returns.toBeNumber();
      expectTypeOf(event.data).toEqualTypeOf<{ n: number }>();
      expectTypeOf(attempt).toBeNumber();
      expectTypeOf(() => step.run('a', () => new Date())).returns.resolves.toBeString();
    });
    type Input = GetFunctionInput<typeof app>;
    expectTypeOf<Input['count']>().toBeNumber();
    expectTypeOf<GetStepTools<typeof app>>().toEqualTypeOf<Input['step']>();
  });

  test('gets what its own middleware adds on top; the later one wins, literals stay (MW-10, MW-14, MW-49, DI-3)', () => {
    app.createFunction(
      { id: 'f', middleware: [literal], onFailure: ({ mode }) => expectTypeOf(mode).toEqualTypeOf<'fast'>() },
      { event: 'a/b' },
      ({ mode, count }) => {
        expectTypeOf(mode).toEqualTypeOf<'fast'>();
        expectTypeOf(count).toEqualTypeOf<'overridden'>();
      },
    );
  });

  test('keeps the type of what middleware changes under a cast that leaves the key out (MW-50)', () => {
    const decrypting = new InngestMiddleware({
      name: 'decrypting',
      init: () => ({
        onFunctionRun: () => ({
          transformInput: ({ ctx }) => {
            const changed = { event: { ...ctx.event, data: {} }, extra: true };
            // oxlint-disable-next-line typescript/no-unnecessary-type-assertion -- it is for the compiler, which infers from it
            return { ctx: changed as Omit<typeof changed, 'event'> };
          },
        }),
      }),
    });
    const other = new Inngest({
      id: 'app',
      schemas: new EventSchemas().fromRecord<Events>(),
      middleware: [decrypting],
    });
    other.createFunction({ id: 'f' }, { event: 'a/b' }, ({ event, extra }) => {
      expectTypeOf(event.data).toEqualTypeOf<{ n: number }>();
      expectTypeOf(extra).toBeBoolean();
    });
  });

  test('gets typed bindings from reqArgs (MW-52, MW-53)', () => {
    interface Bindings {
      AI: { run(model: string): Promise<string> };
    }
    const bindings = new InngestMiddleware({
      name: 'bindings',
      init: () => ({
        onFunctionRun: ({ reqArgs }) => ({
          transformInput: () => ({ ctx: { env: reqArgs[1] as Bindings } }),
        }),
      }),
    });
    const other = new Inngest({ id: 'app', middleware: [bindings] });
    other.createFunction({ id: 'f' }, { event: 'a/b' }, ({ env }) => {
      expectTypeOf(() => env.AI.run('m')).returns.resolves.toBeString();
    });
  });

  test('is untouched by middleware that adds nothing (MW-16)', () => {
    const silent = new InngestMiddleware({ name: 'silent', init: () => ({}) });
    const other = new Inngest({ id: 'app', middleware: [silent] });
    const none = new Inngest({ id: 'app' });
    expectTypeOf<GetFunctionInput<typeof other>>().toEqualTypeOf<GetFunctionInput<typeof none>>();
  });
});

describe('sending', () => {
  test('resolves to what middleware makes of it, step.sendEvent too (MW-44, MW-51)', () => {
    const app = new Inngest({ id: 'app', middleware: [counting(1)] });
    expectTypeOf(() => app.send({ name: 'a/b' })).returns.resolves.toEqualTypeOf<{
      ids: string[];
      sentAt: number;
    }>();
    app.createFunction({ id: 'f' }, { event: 'a/b' }, ({ step }) => {
      expectTypeOf(() => step.sendEvent('a', { name: 'a/b' })).returns.resolves.toHaveProperty('sentAt');
    });
  });
});

describe('clients and middleware', () => {
  test('fit their general types (TY-6, TY-7, PK-12)', () => {
    const app = new Inngest({ id: 'app', middleware: [counting(1), literal] });
    const clients: Inngest.Any[] = [app];
    const all: InngestMiddleware.Any[] = [counting(1), literal];
    const alike: InngestMiddleware.Like[] = all;
    expectTypeOf(clients).toBeArray();
    expectTypeOf(alike).toBeArray();
    const value: unknown = literal;
    if (isInngestMiddleware(value)) expectTypeOf(value.name).toBeString();
  });
});

/** Middleware: clients and bindings for every handler, ready-made steps, logs. */
import {
  dependencyInjectionMiddleware,
  Inngest,
  InngestMiddleware,
  type Logger,
  ProxyLogger,
  type StepOptionsOrId,
} from 'stepwell';
import { act } from './nursery.ts';

class Scales {
  weigh(grams: number): number {
    return act('weigh', grams);
  }
}

interface Bindings {
  STEPWELL_DEV?: string;
}

/** Hands the Worker's bindings to handlers, as `env`. */
const bindings = new InngestMiddleware({
  name: 'bindings',
  init() {
    return {
      onFunctionRun({ reqArgs }) {
        return {
          transformInput() {
            const env = reqArgs[1] as Bindings;
            return { ctx: { env } };
          },
        };
      },
    };
  },
});

type Actions<Raw extends Functions> = {
  [Name in keyof Raw]: (
    id: StepOptionsOrId,
    ...args: Parameters<Raw[Name]>
  ) => Promise<ReturnType<Raw[Name]>>;
};
type Functions = Record<string, (...args: never[]) => unknown>;

/** Plain functions become steps of every handler. */
function actions<Raw extends Functions>(raw: Raw) {
  return new InngestMiddleware({
    name: 'actions',
    init: () => ({
      onFunctionRun: () => ({
        transformInput: ({ ctx: { step } }) => {
          const steps = Object.entries(raw).map(([name, run]) => [
            name,
            (id: StepOptionsOrId, ...args: never[]) => step.run(id, () => run(...args)),
          ]);
          return { ctx: { action: Object.fromEntries(steps) as Actions<Raw> } };
        },
      }),
    }),
  });
}

/** A logger of one's own for every run, with what is known of it. */
const logging = new InngestMiddleware({
  name: 'logging',
  init({ client }) {
    return {
      onFunctionRun({ ctx, fn }) {
        const facts = { run: ctx.runId, event: ctx.event.name, function: fn.name };
        const given = client.logger as Logger & { child?: (facts: object) => Logger };
        const logger = new ProxyLogger(given.child?.(facts) ?? given);
        return {
          transformInput() {
            return { ctx: { diary: logger } };
          },
          beforeExecution() {
            logger.enable();
          },
          transformOutput({ result: { error } }) {
            if (error) logger.error('failed');
          },
          async beforeResponse() {
            await logger.flush();
          },
        };
      },
    };
  },
});

export const lines: string[] = [];
const say = (line: unknown) => void lines.push(String(line));
const logger = {
  info: say,
  warn: say,
  error: say,
  debug: say,
  child: ({ function: name }: { function?: string }) => ({
    ...logger,
    info: (line: string) => say(`${name ?? '-'}: ${line}`),
  }),
};

const inngest = new Inngest({
  id: 'kitchen',
  logger,
  middleware: [dependencyInjectionMiddleware({ scales: new Scales() }), bindings, logging],
});

const cook = inngest.createFunction(
  {
    id: 'cook',
    middleware: [actions({ chop: (what: string, times: number) => act(`chop ${what}`, times) })],
  },
  { event: 'kitchen/dish.ordered' },
  async ({ event, step, scales, env, action, logger: log, diary }) => {
    log.info('begins');
    diary.info('begins');
    const grams = await step.run('weigh', () => scales.weigh(event.data.grams));
    const pieces = await action.chop('chop-it', event.data.what, 3);
    log.info('ends');
    diary.info('ends');
    return { grams, pieces, dev: env.STEPWELL_DEV };
  },
);

/** Hides from the engine what a step returns, and shows it to the handler again. */
const hiding = new InngestMiddleware({
  name: 'hiding',
  init: () => ({
    onFunctionRun: () => ({
      transformInput: ({ steps }) => ({
        steps: steps.map((step) => ({
          ...step,
          data: step.data === undefined ? undefined : shown(step.data),
        })),
      }),
      transformOutput: ({ result, step }) =>
        step === undefined
          ? undefined
          : { result: { ...result, data: `hidden ${JSON.stringify(result.data)}` } },
    }),
    onSendEvent: () => ({
      transformInput: ({ payloads }) => ({
        payloads: payloads.map((payload) => ({ ...payload, data: { ...payload.data, seasoned: true } })),
      }),
    }),
  }),
});

function shown(data: unknown): unknown {
  return typeof data === 'string' && data.startsWith('hidden ') ? JSON.parse(data.slice(7)) : data;
}

const bakery = new Inngest({ id: 'bakery', middleware: [hiding] });

const bake = bakery.createFunction(
  { id: 'bake' },
  { event: 'bakery/loaf.ordered' },
  async ({ event, step }) => {
    const recipe = await step.run('recipe', () => ({ secret: event.data.secret as string }));
    await step.sleep('rise', '1h');
    await step.sendEvent('tell', { name: 'bakery/loaf.baked', data: { grain: recipe.secret } });
    return recipe.secret.length;
  },
);

export const middleware = [
  { client: inngest, functions: [cook] },
  { client: bakery, functions: [bake] },
];

/** `/v1/functions/:id/flow`: a function's limits, how the lines under them stand, and changes to the limits that hold from now on. */
import { Hono } from 'hono';
import * as z from 'zod';
import { parseDuration } from '../lib/duration.ts';
import { DAY, SECOND } from '../lib/time.ts';
import type { FunctionConfig } from '../protocol/function.ts';
import { limits } from '../protocol/limits.ts';
import type { LimitChange, LimitChoice } from '../protocol/slot.ts';
import { failure, success } from './answer.ts';
import { readJson } from './body.ts';
import type { ApiContext, ApiDeps, ApiEnv } from './deps.ts';
import { lineView } from './views.ts';

export function flowRoutes(deps: ApiDeps): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  routes.get('/v1/functions/:id/flow', (c) => show(deps, c, c.req.param('id')));
  routes.put('/v1/functions/:id/flow', (c) => change(deps, c, c.req.param('id'), put));
  routes.delete('/v1/functions/:id/flow', (c) => change(deps, c, c.req.param('id'), choice));
  return routes;
}

const message = 'expected a whole number, 1 or more';
const count = z.int({ error: message }).min(1, { error: message });
const period = z
  .string({ error: 'expected a duration such as "30s"' })
  .refine((text) => isPeriod(parseDuration(text) ?? 0), {
    error: 'expected a duration from 1 second to 7 days (TH-3)',
  });

function isPeriod(ms: number): boolean {
  return ms >= SECOND && ms <= 7 * DAY;
}

/** Which limit is meant. `key`: as it is shown; without it, all keys that have no change of their own. */
const choice = z.strictObject({
  policy: z.enum(['throttle', 'concurrency'], { error: 'expected "throttle" or "concurrency"' }),
  n: z.int().min(0).default(0),
  key: z.string({ error: 'expected a text' }).optional(),
});

/** What is to hold in place of the configuration; `paused`: nothing begins, and what waits keeps its place. */
const put = choice.extend({
  limit: count.optional(),
  period: period.optional(),
  burst: count.optional(),
  paused: z.boolean({ error: 'expected true or false' }).optional(),
});

async function show(deps: ApiDeps, c: ApiContext, id: string): Promise<Response> {
  const env = c.get('env');
  const config = (await deps.functions.find(env, id))?.config;
  if (config === undefined) return failure(c, 404, 'Function not found');
  const configured = limitsOf(config);
  const scopes = [...new Set(configured.map(({ scope }) => scope))];
  const lines = await Promise.all(
    scopes.map(async (scope) => ({
      scope,
      lines: await deps.gates.lines({ env, functionId: id, scope }),
    })),
  );
  const data = {
    function_slug: id,
    limits: configured,
    lines: lines.flatMap(({ scope, lines: own }) => own.map((line) => ({ scope, ...lineView(line) }))),
  };
  return success(c, data, deps.clock.now());
}

/** A change that is put twice is the same; one that is taken back leaves what is configured. */
async function change(
  deps: ApiDeps,
  c: ApiContext,
  id: string,
  schema: typeof put | typeof choice,
): Promise<Response> {
  const env = c.get('env');
  const config = (await deps.functions.find(env, id))?.config;
  if (config === undefined) return failure(c, 404, 'Function not found');
  const body = schema.safeParse(await readJson(c, limits.requestBytes));
  if (!body.success) return failure(c, 400, problems(body.error));
  const { policy, n, key = null, ...rest } = body.data;
  const to = changeOf(rest);
  const limit = limitsOf(config).find((one) => one.policy === policy && one.n === n);
  if (limit === undefined) return failure(c, 400, `the function has no ${policy} limit number ${n}`);
  if (policy === 'concurrency' && (to?.period ?? to?.burst) !== undefined)
    return failure(c, 400, 'period, burst: only a throttle has them');
  if (schema === put && to === null)
    return failure(c, 400, 'expected at least one of limit, period, burst and paused');
  const chosen: LimitChoice = { env, functionId: id, policy, n, key, scope: limit.scope };
  await deps.gates.change(chosen, to);
  return success(c, { function_slug: id, policy, n, key }, deps.clock.now());
}

function changeOf({ limit, burst, paused, ...rest }: Partial<z.infer<typeof put>>): LimitChange | null {
  const to: LimitChange = {
    ...(limit === undefined ? {} : { limit }),
    ...(rest.period === undefined ? {} : { period: parseDuration(rest.period) ?? 0 }),
    ...(burst === undefined ? {} : { burst }),
    ...(paused === undefined ? {} : { isPaused: paused }),
  };
  return Object.keys(to).length === 0 ? null : to;
}

/** As configured, in the words of the configuration. */
function limitsOf({ concurrency = [], throttle }: FunctionConfig) {
  return [
    ...(throttle === undefined
      ? []
      : [{ policy: 'throttle' as const, scope: 'fn' as const, n: 0, ...throttle }]),
    ...concurrency.map((one, n) => ({ policy: 'concurrency' as const, n, ...one })),
  ];
}

function problems(error: z.ZodError): string {
  return error.issues
    .map(({ path, message: text }) => (path.length === 0 ? text : `${path.join('.')}: ${text}`))
    .join('; ');
}

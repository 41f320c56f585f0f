/** Entering a function: what its handler is called with, and the middleware around the call. */
import type { Memo } from '../protocol/op.ts';
import type { Execution } from './execution.ts';
import type { InngestFunction } from './function.ts';
import { EntryHooks } from './hooks.ts';
import { childOf } from './logger.ts';
import type { MiddlewareHooks, RunHooks, StoredStep } from './middleware.ts';
import { transformInvocation } from './sending.ts';
import { after, fold, type Soon } from './soon.ts';
import type { StepTools } from './steps.ts';
import { stepTools, type ToolOwner } from './tools.ts';
import type { HandlerContext } from './types.ts';

export interface EntryInput {
  /** Id of the app that serves the function. */
  appId: string;
  /** As handlers see them; the first is `event`. */
  events: object[];
  runId: string;
  attempt: number;
  maxAttempts: number;
  /** What the platform called: `[request, env, ctx]` (MW-21). */
  reqArgs?: readonly unknown[];
}

/**
 * Starts the execution with the function's handler. Without middleware the handler is called before this returns, and nothing is awaited
 * that would not be without it.
 */
export function enterFunction(execution: Execution, fn: InngestFunction.Any, input: EntryInput): void {
  const { runId, events } = input;
  const { name: eventName } = events[0] as { name: string };
  const hooks = new EntryHooks(childOf(fn.client.logger, { runID: runId, eventName, functionName: fn.name }));
  const step = stepTools(execution, ownerOf(fn, input.appId));
  const context = {
    event: events[0],
    events,
    step,
    runId,
    attempt: input.attempt,
    maxAttempts: input.maxAttempts,
    logger: hooks.logger,
  } as unknown as HandlerContext;
  const prepare = (registered: readonly MiddlewareHooks[]) =>
    registered.length === 0
      ? after(hooks.replay(execution.stored), () => context)
      : throughMiddleware(execution, hooks, registered, { context, fn, reqArgs: input.reqArgs ?? [] });
  execution.start(() => after(after(fn.middleware, prepare), (complete) => fn.handler(complete)), {
    runId,
    hooks,
    tools: step as unknown as StepTools,
  });
}

interface Args {
  context: HandlerContext;
  fn: InngestFunction.Any;
  reqArgs: readonly unknown[];
}

/** MW-17 to MW-28: the entry's hooks, what they make of the input, and the beginning of the replay. */
function throughMiddleware(
  execution: Execution,
  entry: EntryHooks,
  registered: readonly MiddlewareHooks[],
  { context, fn, reqArgs }: Args,
): Soon<HandlerContext> {
  const ids = [...execution.stored];
  const steps = once(() => ids.map((id) => storedStep(execution.memo(id))));
  const start = {
    ctx: { event: context.event, runId: context.runId },
    get steps() {
      return steps();
    },
    fn,
    reqArgs,
  };
  const made = fold(registered, [] as readonly RunHooks[], (known, { onFunctionRun }) =>
    onFunctionRun === undefined ? known : after(onFunctionRun(start), (hooks) => [...known, hooks ?? {}]),
  );
  return after(made, (hooks) => {
    entry.use(hooks);
    const transform = (input: Input) => transformInput(hooks, input, { fn, reqArgs });
    return after(transform({ ctx: context, steps }), (changed) =>
      after(entry.replay(ids), () => {
        const { ctx } = changed;
        const memos = changed.steps === steps ? [] : changedMemos(ids, execution, changed.steps());
        entry.stored(new Map(memos), (memo) => {
          const given = once(() => [storedStep(memo)]);
          return after(transform({ ctx, steps: given }), (again) =>
            again.steps === given ? memo : memoOf(memo, again.steps()[0]),
          );
        });
        return ctx;
      }),
    );
  });
}

/** Steps are read when somebody looks at them: a run may have many. */
interface Input {
  ctx: HandlerContext;
  steps: () => readonly StoredStep[];
}

/** Each sees what the ones before it have changed (MW-14, MW-24). */
function transformInput(hooks: readonly RunHooks[], first: Input, rest: Omit<Args, 'context'>): Soon<Input> {
  return fold(hooks, first, (known, hook) => {
    if (hook.transformInput === undefined) return known;
    const { ctx, steps } = known;
    const args = {
      ctx,
      get steps() {
        return steps();
      },
      ...rest,
    };
    return after(hook.transformInput(args), (changed) => {
      const replaced = changed?.steps;
      return {
        ctx: changed?.ctx === undefined ? ctx : { ...ctx, ...changed.ctx },
        steps: replaced === undefined ? steps : () => replaced,
      };
    });
  });
}

function changedMemos(
  ids: readonly string[],
  execution: Execution,
  steps: readonly StoredStep[],
): [string, Memo][] {
  return ids.map((id, at) => [id, memoOf(execution.memo(id), steps[at])]);
}

/** A stored outcome as middleware sees it. */
function storedStep(memo: Memo): StoredStep {
  return 'data' in memo ? { data: JSON.parse(memo.data) as unknown } : { error: memo.error };
}

/** The outcome that the handler gets: only data is ever replaced (MW-24). */
function memoOf(memo: Memo, step: StoredStep | undefined): Memo {
  return 'data' in memo && step !== undefined && 'data' in step
    ? { data: JSON.stringify(step.data) ?? 'null' }
    : memo;
}

function once<Value>(make: () => Value): () => Value {
  let made: { value: Value } | null = null;
  return () => (made ??= { value: make() }).value;
}

function ownerOf(fn: InngestFunction.Any, appId: string): ToolOwner {
  const { client, middleware } = fn;
  return {
    appId,
    warnOnce: (message) => client.warnOnce(message),
    send: (payload) => client.send(payload as never),
    invoking: (payload) => after(middleware, (registered) => transformInvocation(registered, payload)),
  };
}

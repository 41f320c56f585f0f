/** Middleware: what wraps every entry of a function and every sending of events (MW group). */
import type { Inngest } from './client.ts';
import type { EventPayload } from './events.ts';
import type { InngestFunction } from './function.ts';
import type { Flat } from './jsonify.ts';
import { after, fold, isPromise, type Soon } from './soon.ts';
import type { SendEventOutput } from './steps.ts';
import { hasTag } from './tag.ts';
import type { HandlerContext } from './types.ts';

const TAG = 'Inngest.Middleware';

export class InngestMiddleware<Options extends MiddlewareOptions = MiddlewareOptions> {
  readonly name: Options['name'];
  readonly init: Options['init'];

  constructor({ name, init }: Options) {
    this.name = name;
    this.init = init;
  }

  get [Symbol.toStringTag](): typeof TAG {
    return TAG;
  }
}

export declare namespace InngestMiddleware {
  /** Any middleware, whatever its types. */
  export type Any = InngestMiddleware;
  /** Also a middleware that another copy of the package has made. */
  export interface Like {
    readonly [Symbol.toStringTag]: typeof TAG;
  }
  /** In the order in which it runs; the empty tuple makes the compiler keep the order. */
  export type Stack = readonly Like[] | [];
}

/** Also true of a middleware that another copy of the package has made (PK-12). */
export function isInngestMiddleware(value: unknown): value is InngestMiddleware.Any {
  return hasTag(value, TAG);
}

export interface MiddlewareOptions {
  /** For people to see. */
  name: string;
  /**
   * Called once, when the client is made, or the function that has this middleware for itself. What it sets up is shared by all runs. It
   * may be asynchronous: sends and runs wait for it.
   */
  init: (args: { client: Inngest.Any; fn?: InngestFunction.Any }) => Soon<MiddlewareHooks>;
}

export interface MiddlewareHooks {
  /** Called once for each entry of a function, see `RunHooks`; answers the hooks of this entry, which may share its variables. */
  onFunctionRun?: (args: RunStart) => Soon<RunHooks>;
  /** Called for each `send`, `step.sendEvent` and `step.invoke`; the hooks of a function's own middleware for `step.invoke` only. */
  onSendEvent?: () => Soon<SendHooks>;
}

/** A step that has an outcome: as the engine stores it. */
export interface StoredStep {
  data?: unknown;
  error?: unknown;
}

interface RunStart {
  readonly ctx: Pick<HandlerContext, 'event' | 'runId'>;
  readonly steps: readonly StoredStep[];
  readonly fn: InngestFunction.Any;
  /** What the platform's handler was called with: `[request, env, ctx]` on Workers, without a request inside of a run's object. */
  readonly reqArgs: readonly unknown[];
}

export interface OutputResult {
  /** What will be stored, before it is written as JSON. */
  data?: unknown;
  /** As it was thrown. */
  error?: unknown;
}

export interface RunStep {
  readonly op: string;
  readonly name: string;
  readonly displayName: string;
}

/**
 * The hooks of one entry: of one call of the handler, which replays the steps that have outcomes and then goes on from there. Behind
 * HTTP each request is an entry, which ends with the first step that it runs. Inside of a run's object an entry lasts longer: its steps
 * run in place, one after the other, it may rest while the run waits, and go on when that is over. A step that is tried again is run by
 * an entry of its own, which ends with it. An entry that is lost with its process, or given up for a newer one, calls nothing more.
 *
 * In this order, each at most once for an entry, except where it says so; those called "after" run from the last middleware to the first,
 * and so does `transformOutput`. A hook that throws fails the entry, as an error of the function would.
 */
export interface RunHooks {
  /**
   * Before the handler is called. `ctx` is merged over its argument, `steps` replaces the data of steps, by position. Called again, with
   * these steps only, for outcomes that come in while the entry lasts; its `ctx` is not used then.
   */
  transformInput?: (
    args: Omit<RunStart, 'ctx'> & { readonly ctx: HandlerContext },
  ) => Soon<{ ctx?: object; steps?: readonly StoredStep[] } | undefined | void>;
  beforeMemoization?: () => unknown;
  /** When the handler has been given the last outcome that was there before. */
  afterMemoization?: () => unknown;
  /** Before new code runs; again when an entry goes on after a rest. */
  beforeExecution?: () => unknown;
  /** When new code has run: the entry is over, or rests. */
  afterExecution?: () => unknown;
  /** For each outcome of a step that ran, and for that of the function. */
  transformOutput?: (args: {
    readonly result: OutputResult;
    readonly step?: RunStep;
  }) => Soon<{ result?: OutputResult } | undefined | void>;
  /** The function has returned or thrown; after an error it may be tried again. */
  finished?: (args: { readonly result: OutputResult }) => unknown;
  /** Last of all, before the engine is told; also before a rest. */
  beforeResponse?: () => unknown;
}

export interface SendHooks {
  transformInput?: (args: {
    readonly payloads: readonly EventPayload[];
  }) => Soon<{ payloads?: EventPayload[] } | undefined | void>;
  /** What it returns is merged over what the caller gets. From the last middleware to the first. */
  transformOutput?: (args: {
    readonly result: SendEventOutput;
  }) => Soon<{ result?: object } | undefined | void>;
}

/** What `init` has answered, in order; a promise as long as that is not known. */
export type Registered = Soon<readonly MiddlewareHooks[]>;

/** Calls `init` of each, one after the other. What fails is told by the promise: to whoever sends or runs. */
export function register(
  given: InngestMiddleware.Stack | undefined,
  args: Parameters<MiddlewareOptions['init']>[0],
  before: Registered = [],
): Registered {
  if (given === undefined || given.length === 0) return before;
  try {
    const registered = after(before, (known) =>
      fold(given as readonly InngestMiddleware.Any[], known, (hooks, { init }) =>
        after(init(args), (made) => [...hooks, made ?? {}]),
      ),
    );
    // Somebody has to look at it, or the runtime reports it; the first who needs it does.
    if (isPromise(registered)) registered.then(undefined, () => {});
    return registered;
  } catch (thrown) {
    const failed = Promise.reject<readonly MiddlewareHooks[]>(thrown);
    failed.catch(() => {});
    return failed;
  }
}

type Answer<Hook> = Hook extends (...args: never) => infer Returned ? Awaited<Returned> : never;

/** What a middleware adds to the argument of handlers. */
type ContextOf<Middleware> = Middleware extends { readonly init: infer Init }
  ? Answer<Init> extends { onFunctionRun: infer Run }
    ? Answer<Run> extends { transformInput: infer Transform }
      ? Answer<Transform> extends { ctx: infer Added }
        ? Known<Added>
        : {}
      : {}
    : {}
  : {};

/** What a middleware adds to the result of sending. */
type ResultOf<Middleware> = Middleware extends { readonly init: infer Init }
  ? Answer<Init> extends { onSendEvent: infer Send }
    ? Answer<Send> extends { transformOutput: infer Transform }
      ? Answer<Transform> extends { result: infer Added }
        ? Known<Added>
        : {}
      : {}
    : {}
  : {};

/** Members with a name, writable, and without those of an index signature, which would hide all others. */
type Known<Value> = {
  -readonly [Key in keyof Value as string extends Key ? never : Key]: Value[Key];
};

/** The later one wins (MW-14). */
type Over<Base, Added> = [keyof Added] extends [never] ? Base : Flat<Omit<Base, keyof Added> & Added>;

/** The argument of handlers with what the middleware adds to it, in order (MW-48). */
export type WithContext<Base, Stack extends readonly unknown[]> = Stack extends readonly [
  infer First,
  ...infer Rest,
]
  ? WithContext<Over<Base, ContextOf<First>>, Rest>
  : Base;

/** What sending resolves to: the hooks run from the last middleware to the first. */
export type SentBy<
  Stack extends readonly unknown[],
  Base extends object = SendEventOutput,
> = Stack extends readonly [...infer Rest, infer Last] ? SentBy<Rest, Over<Base, ResultOf<Last>>> : Base;

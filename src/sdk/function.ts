/** A function as its author defined it. */
import type { Inngest } from './client.ts';
import { restoreError } from './errors.ts';
import { type AnyEvents, internalEvents } from './events.ts';
import { register, type Registered } from './middleware.ts';
import { hasTag } from './tag.ts';
import { cancelConfig, triggerConfig, type Trigger } from './triggers.ts';
import type { FailureContext, FunctionOptions, HandlerContext } from './types.ts';

const TAG = 'Inngest.Function';

/** Options for this side only: they are no part of what the engine is told (FN-28). */
const OWN_OPTIONS = new Set([
  'description',
  'optimizeParallelism',
  'checkpointing',
  'middleware',
  'onFailure',
]);

export declare const TYPES: unique symbol;

export class InngestFunction<Events = AnyEvents, Name extends string = string, Output = unknown> {
  /** For the compiler only. */
  declare readonly [TYPES]: { events: Events; trigger: Name; output: Output };

  readonly client: Inngest.Any;
  readonly options: Readonly<FunctionOptions>;
  readonly triggers: readonly Trigger[];
  /** Whoever calls it gives it the context that fits its triggers. */
  readonly handler: (context: HandlerContext) => unknown;
  /** What the middleware of the client, and then that of this function, has registered. */
  readonly middleware: Registered;

  constructor(
    client: Inngest.Any,
    options: FunctionOptions,
    triggers: readonly Trigger[],
    handler: (context: never) => unknown,
    middleware?: Registered,
  ) {
    this.client = client;
    this.options = options;
    this.triggers = triggers;
    this.handler = handler as (context: HandlerContext) => unknown;
    this.middleware = middleware ?? register(options.middleware, { client, fn: this }, client.middleware);
  }

  get [Symbol.toStringTag](): typeof TAG {
    return TAG;
  }

  get name(): string {
    return this.options.name ?? this.options.id;
  }

  get description(): string | undefined {
    return this.options.description;
  }

  /** The options, under the name that middleware knows them by. */
  get opts(): Readonly<FunctionOptions> {
    return this.options;
  }

  /** Its own id, or with an app's id the composite one (FN-31). */
  id(appId?: string): string {
    return appId === undefined ? this.options.id : `${appId}-${this.options.id}`;
  }

  /** The functions that an app serves which lists this one: itself, and its failure handler if it has one (FN-38). */
  all(): readonly InngestFunction.Any[] {
    const { onFailure } = this.options;
    return onFailure === undefined ? [this] : [this, new FailureFunction(this, onFailure)];
  }

  /**
   * What the engine is told: everything that the author wrote, unchecked, except for `undefined` members.
   * @param appId of the app that serves the function, which need not be the client that made it.
   */
  config(appId: string = this.client.id): Record<string, unknown> {
    const written = Object.entries(this.options).filter(([option]) => !OWN_OPTIONS.has(option));
    const { cancelOn, ...options } = Object.fromEntries(written) as Record<string, unknown>;
    return defined({
      ...options,
      // An id that is missing stays missing, so that a check finds it.
      id: this.options.id ? this.id(appId) : this.options.id,
      name: this.name,
      triggers: this.triggersOf(appId).map((trigger) => defined(triggerConfig(trigger))),
      cancel: Array.isArray(cancelOn) ? cancelOn.map((cancel) => defined(cancelConfig(cancel))) : cancelOn,
    });
  }

  protected triggersOf(_appId: string): readonly Trigger[] {
    return this.triggers;
  }
}

export declare namespace InngestFunction {
  /** Any function, whatever its types. */
  export type Any = InngestFunction<unknown>;
  /** Also a function that another copy of the package has made. */
  export interface Like {
    readonly [Symbol.toStringTag]: typeof TAG;
  }
}

/** What `onFailure` of another function stands for (OF-1, OF-2). */
class FailureFunction extends InngestFunction<unknown> {
  readonly #main: InngestFunction.Any;

  constructor(main: InngestFunction.Any, onFailure: (context: FailureContext) => unknown) {
    const options = { id: `${main.id()}-failure`, name: `${main.name} (failure)`, retries: 1 } as const;
    const handler = (context: FailureContext) =>
      onFailure({ ...context, error: restoreError(context.event.data.error) });
    super(main.client, options, [{ event: internalEvents.FunctionFailed }], handler, main.middleware);
    this.#main = main;
  }

  /** Only the failures of the one function, under the id that it has in this app. */
  protected override triggersOf(appId: string): readonly Trigger[] {
    const id = this.#main.id(appId).replaceAll(/[\\']/g, String.raw`\$&`);
    return this.triggers.map(
      (trigger) => ({ ...trigger, if: `event.data.function_id == '${id}'` }) as Trigger,
    );
  }
}

/** Also true of a function that another copy of the package has made (PK-12). */
export function isInngestFunction(value: unknown): value is InngestFunction.Any {
  return hasTag(value, TAG);
}

function defined(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

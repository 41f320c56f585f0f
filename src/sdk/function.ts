/** A function as its author defined it. */
import type { Inngest } from './client.ts';
import type { AnyEvents } from './events.ts';
import type { EventTrigger, FunctionOptions, HandlerContext } from './types.ts';

const TAG = 'Inngest.Function';

/** Options for this side only: they are no part of what the engine is told (FN-28). */
const OWN_OPTIONS = new Set(['description', 'optimizeParallelism', 'checkpointing']);

export declare const TYPES: unique symbol;

export class InngestFunction<Events = AnyEvents, Name extends string = string, Output = unknown> {
  /** For the compiler only. */
  declare readonly [TYPES]: { events: Events; trigger: Name; output: Output };

  readonly client: Inngest.Any;
  readonly options: Readonly<FunctionOptions>;
  readonly triggers: readonly EventTrigger[];
  /** Whoever calls it gives it the context that fits its triggers. */
  readonly handler: (context: HandlerContext) => unknown;

  constructor(
    client: Inngest.Any,
    options: FunctionOptions,
    triggers: readonly EventTrigger[],
    handler: (context: never) => unknown,
  ) {
    this.client = client;
    this.options = options;
    this.triggers = triggers;
    this.handler = handler as (context: HandlerContext) => unknown;
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

  /** Its own id, or with an app's id the composite one (FN-31). */
  id(appId?: string): string {
    return appId === undefined ? this.options.id : `${appId}-${this.options.id}`;
  }

  /**
   * What the engine is told: everything that the author wrote, unchecked, except for `undefined` members.
   * @param appId of the app that serves the function, which need not be the client that made it.
   */
  config(appId: string = this.client.id): Record<string, unknown> {
    const written = Object.entries(this.options).filter(([option]) => !OWN_OPTIONS.has(option));
    return {
      ...defined(Object.fromEntries(written)),
      // An id that is missing stays missing, so that a check finds it.
      id: this.options.id ? this.id(appId) : this.options.id,
      name: this.name,
      triggers: this.triggers.map((trigger) => defined({ ...trigger })),
    };
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

/** Also true of a function that another copy of the package has made (PK-12). */
export function isInngestFunction(value: unknown): value is InngestFunction.Any {
  return (
    typeof value === 'object' &&
    value !== null &&
    (value as Partial<InngestFunction.Like>)[Symbol.toStringTag] === TAG
  );
}

function defined(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

/** The client: what an app is called, how it reaches its engine, and what its functions are made with. */
import { executionContext } from './context.ts';
import { pickVariables, processVariables, readSettings, type Settings, type Variables } from './env.ts';
import type { Sendable, TriggerName } from './events.ts';
import { InngestFunction } from './function.ts';
import { outgoingEvents } from './outgoing.ts';
import { postEvents } from './send.ts';
import type {
  ClientOptions,
  EventsOfOptions,
  EventTrigger,
  Fetch,
  FunctionOptions,
  HandlerContext,
  Logger,
  OneOrMany,
  SendEventOutput,
  SendOptions,
} from './types.ts';

const TAG = 'Inngest.App';

export class Inngest<Options extends ClientOptions = ClientOptions> {
  readonly id: string;
  readonly appVersion: string | undefined;
  readonly logger: Logger;
  readonly schemas: Options['schemas'];

  /** Private fields, all of them: what prints or serialises a client shows no key (CL-27). */
  readonly #options: ClientOptions;
  readonly #fetch: Fetch;
  /** Null: those of the process, read when they are needed. */
  #variables: Variables | null = null;
  #eventKey: string | undefined;

  constructor(options: Options) {
    if (typeof options.id !== 'string' || options.id === '')
      throw new Error('new Inngest(): `id` is missing');
    // Dropped in silence, it could mean data that its author believes encrypted.
    if ('middleware' in options)
      throw new Error('new Inngest(): `middleware` is not supported by this version');
    this.id = options.id;
    this.appVersion = options.appVersion;
    this.logger = options.logger ?? console;
    this.schemas = options.schemas;
    this.#options = options;
    this.#eventKey = options.eventKey;
    this.#fetch = options.fetch ? givenFetch(options.fetch, this.logger) : (url, init) => fetch(url, init);
  }

  get [Symbol.toStringTag](): typeof TAG {
    return TAG;
  }

  /** The environment that events are sent to, as far as it is known here. */
  get env(): string | null {
    return this.#settings().environment;
  }

  toJSON(): { id: string } {
    return { id: this.id };
  }

  /** Takes these variables in place of the process's, for platforms that hand them over with each request (CL-20). */
  setEnvVars(variables?: object): this {
    this.#variables = variables === undefined ? null : pickVariables(variables);
    return this;
  }

  setEventKey(eventKey: string): void {
    this.#eventKey = eventKey;
  }

  /** Sends events. Await it: a serverless host may stop what is still under way when a request ends. */
  async send(
    payload: OneOrMany<Sendable<EventsOfOptions<Options>>>,
    { env }: SendOptions = {},
  ): Promise<SendEventOutput> {
    const events = outgoingEvents(payload);
    if (events.length === 0) {
      this.logger.warn('send() was called without events: nothing is sent');
      return { ids: [] };
    }
    const run = executionContext.getStore();
    // The host of a run delivers into its own environment.
    if (run !== undefined && env === undefined) return run.send(events);
    const settings = this.#settings();
    const target = { ...settings, environment: env ?? settings.environment };
    return { ids: await postEvents(events, target, this.#fetch) };
  }

  /** A function of this app: its options, the events that start it, and what it does. */
  createFunction<Name extends TriggerName<EventsOfOptions<Options>>, Output>(
    options: FunctionOptions,
    trigger: OneOrMany<EventTrigger<Name>>,
    handler: (context: HandlerContext<EventsOfOptions<Options>, Name>) => Output,
  ): InngestFunction<EventsOfOptions<Options>, Name, Output> {
    const triggers = Array.isArray(trigger) ? trigger : [trigger];
    return new InngestFunction(
      this,
      this.#currentOptions(options),
      triggers.map((each) => this.#currentTrigger(each)),
      handler,
    );
  }

  #settings(): Settings {
    return readSettings(
      { ...this.#options, eventKey: this.#eventKey },
      this.#variables ?? processVariables(),
    );
  }

  /** Forms of older versions (FN-2, FN-20). */
  #currentOptions(options: FunctionOptions | string): FunctionOptions {
    if (typeof options === 'string') {
      this.logger.warn(
        `createFunction("${options}", ...): since v3 the first argument is { id: "${options}" }`,
      );
      return { id: options };
    }
    if (!('fns' in options)) return options;
    this.logger.warn(
      `createFunction({ id: "${options.id}", fns }): since v3 middleware takes the place of \`fns\``,
    );
    const { fns: _fns, ...rest } = options;
    return rest;
  }

  #currentTrigger(trigger: EventTrigger | string): EventTrigger {
    if (typeof trigger !== 'string') return trigger;
    this.logger.warn(
      `createFunction(): since v3 the trigger "${trigger}" is written { event: "${trigger}" }`,
    );
    return { event: trigger };
  }
}

export declare namespace Inngest {
  /** Any client, whatever its types. */
  export type Any = Inngest;
  /** Also a client that another copy of the package has made. */
  export interface Like {
    readonly [Symbol.toStringTag]: typeof TAG;
  }
}

/** Also true of a client that another copy of the package has made (PK-12). */
export function isInngest(value: unknown): value is Inngest.Any {
  return (
    typeof value === 'object' &&
    value !== null &&
    (value as Partial<Inngest.Like>)[Symbol.toStringTag] === TAG
  );
}

/** CL-11: a function that lost its `this` fails in a way that does not say so. */
function givenFetch(given: Fetch, logger: Logger): Fetch {
  let reported = false;
  return async (url, init) => {
    try {
      return await given(url, init);
    } catch (thrown) {
      if (!reported && !(thrown instanceof Error && thrown.message.startsWith('fetch failed'))) {
        reported = true;
        logger.warn('the `fetch` given to the client threw: if it needs its `this`, give it bound');
        logger.error(thrown);
      }
      throw thrown;
    }
  };
}

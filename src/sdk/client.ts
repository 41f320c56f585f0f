/** The client: what an app is called, how it reaches its engine, and what its functions are made with. */
import { executionContext } from './context.ts';
import {
  type ExplicitSettings,
  pickVariables,
  processVariables,
  readSettings,
  type Settings,
  type Variables,
} from './settings.ts';
import type { EventPayload, Sendable, TriggerName } from './events.ts';
import { InngestFunction } from './function.ts';
import { ConsoleLogger, parseLevel, type LogLevel } from './logger.ts';
import { type InngestMiddleware, register, type Registered } from './middleware.ts';
import { outgoingEvents } from './outgoing.ts';
import { postEvents } from './send.ts';
import { sendHooks, transformPayloads, transformSent } from './sending.ts';
import { after } from './soon.ts';
import type { OneOrMany, SendEventOutput } from './steps.ts';
import { hasTag } from './tag.ts';
import type { NameOfTriggers, Trigger } from './triggers.ts';
import type {
  ClientOptions,
  ContextOfOptions,
  EventsOfOptions,
  Fetch,
  FunctionOptions,
  Logger,
  SendOptions,
  SentOfOptions,
  StackOfOptions,
} from './types.ts';

const TAG = 'Inngest.App';

export class Inngest<Options extends ClientOptions = ClientOptions> {
  readonly id: string;
  readonly appVersion: string | undefined;
  readonly logger: Logger;
  readonly schemas: Options['schemas'];
  /** What the middleware has registered. */
  readonly middleware: Registered;

  /** Private fields, all of them: what prints or serialises a client shows no key (CL-27). */
  readonly #options: ClientOptions;
  readonly #fetch: Fetch;
  /** Null: those of the process, read when they are needed. */
  #variables: Variables | null = null;
  #eventKey: string | undefined;
  readonly #warned = new Set<string>();

  constructor(options: Options) {
    if (typeof options.id !== 'string' || options.id === '')
      throw new Error('new Inngest(): `id` is missing');
    this.id = options.id;
    this.appVersion = options.appVersion;
    this.logger = options.logger ?? new ConsoleLogger(() => this.#logLevel());
    this.schemas = options.schemas;
    this.#options = options;
    this.#eventKey = options.eventKey;
    this.#fetch = options.fetch ? givenFetch(options.fetch, this.logger) : (url, init) => fetch(url, init);
    this.middleware = register(options.middleware, { client: this });
  }

  get [Symbol.toStringTag](): typeof TAG {
    return TAG;
  }

  /** The environment that events are sent to, as far as it is known here. */
  get env(): string | null {
    return this.settings().environment;
  }

  /** For the hosts of this client's functions. */
  get fetch(): Fetch {
    return this.#fetch;
  }

  /**
   * What holds for one request that its host got.
   * @param own of the host; it wins over what the client was given. @param record variables that came with the request.
   */
  settings(own: ExplicitSettings = {}, record: object = {}): Settings {
    const explicit = { ...this.#options, eventKey: this.#eventKey, ...own };
    return readSettings(explicit, { ...(this.#variables ?? processVariables()), ...pickVariables(record) });
  }

  /** When all middleware is set up; sends and runs wait for that by themselves. Rejects with what `init` has thrown. */
  get ready(): Promise<void> {
    return Promise.resolve(this.middleware).then(() => {});
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
  ): Promise<SentOfOptions<Options>> {
    const given = (Array.isArray(payload) ? payload : [payload]) as readonly EventPayload[];
    const sent = after(after(this.middleware, sendHooks), (hooks) =>
      after(transformPayloads(hooks, given), (payloads) =>
        after(this.#deliver(outgoingEvents(payloads), env), (answer) => transformSent(hooks, answer)),
      ),
    );
    return (await sent) as SentOfOptions<Options>;
  }

  async #deliver(events: object[], env: string | undefined): Promise<SendEventOutput> {
    if (events.length === 0) {
      this.logger.warn('send() was called without events: nothing is sent');
      return { ids: [] };
    }
    const run = executionContext.getStore();
    // The host of a run delivers into its own environment.
    if (run !== undefined && env === undefined) return run.send(events);
    const settings = this.settings();
    const target = { ...settings, environment: env ?? settings.environment };
    return { ids: await postEvents(events, target, this.#fetch) };
  }

  /** A function of this app: its options, what starts it, and what it does. */
  createFunction<
    const Given extends OneOrMany<Trigger<TriggerName<EventsOfOptions<Options>>>>,
    Output,
    const Stack extends InngestMiddleware.Stack = [],
  >(
    options: FunctionOptions<EventsOfOptions<Options>, NameOfTriggers<Given>, StackOfOptions<Options>, Stack>,
    trigger: Given,
    handler: (context: ContextOfOptions<Options, NameOfTriggers<Given>, Stack>) => Output,
  ): InngestFunction<EventsOfOptions<Options>, NameOfTriggers<Given>, Output> {
    const triggers = (Array.isArray(trigger) ? trigger : [trigger]) as readonly Trigger[];
    return new InngestFunction(
      this,
      this.#currentOptions(options as unknown as FunctionOptions),
      triggers.map((each) => this.#currentTrigger(each)),
      handler,
    );
  }

  /** Says it once, however often the code comes by. */
  warnOnce(message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    this.logger.warn(message);
  }

  #logLevel(): LogLevel {
    const { INNGEST_LOG_LEVEL: text } = this.#variables ?? processVariables();
    const level = parseLevel(text);
    // Asks for the level in its turn: by then it has been said.
    if (level === null) this.warnOnce('INNGEST_LOG_LEVEL names no level: "info" is used');
    return level ?? 'info';
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

  #currentTrigger(trigger: Trigger | string): Trigger {
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
  return hasTag(value, TAG);
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

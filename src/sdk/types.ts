/** What a function author's code is typed with. */
import type { Inngest } from './client.ts';
import type {
  AnyEvents,
  EventOf,
  FailureEventPayload,
  InternalEvents,
  Invocation,
  Received,
  TriggerName,
  WithoutInternal,
} from './events.ts';
import type { Flat } from './jsonify.ts';
import type { InngestMiddleware, SentBy, WithContext } from './middleware.ts';
import type { EventSchemas } from './schemas.ts';
import type { SendEventOutput, StepTools } from './steps.ts';
import type { Duration } from './times.ts';
import type { CancelOn } from './triggers.ts';

export interface Logger {
  info: LogMethod;
  warn: LogMethod;
  error: LogMethod;
  debug: LogMethod;
}
// oxlint-disable-next-line typescript/no-explicit-any -- loggers differ in what they take, and each must fit (LG-1)
type LogMethod = (...args: any[]) => void;

/** Any function that works like the platform's `fetch`; if it needs a `this`, bind it (CL-10). */
export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

export interface ClientOptions {
  /** Identifies the app; a changed id is another app. */
  id: string;
  /** For sending events; wins over `INNGEST_EVENT_KEY`. */
  eventKey?: string | undefined;
  /** Scheme, host and port of the engine; wins over `INNGEST_BASE_URL`. */
  baseUrl?: string | undefined;
  /** Name of the environment to send to; wins over `INNGEST_ENV`. */
  env?: string | undefined;
  /** Whether the engine is a local one; wins over `INNGEST_DEV`. */
  isDev?: boolean | undefined;
  fetch?: Fetch | undefined;
  /** Default: the console, from the level on that `INNGEST_LOG_LEVEL` names. */
  logger?: Logger | undefined;
  /** Of every function and of every send, in this order. */
  middleware?: InngestMiddleware.Stack | undefined;
  /** Types of the events. Default: any event with any data. */
  schemas?: EventSchemas<AnyEvents> | undefined;
  /** Any version text of the app, for people to see. */
  appVersion?: string | undefined;
  checkpointing?: Checkpointing | undefined;
  optimizeParallelism?: boolean | undefined;
}

/**
 * How a function that is called over HTTP reports its steps, whose own setting wins over that of its client (CL-17, FN-19). Inside of a
 * run's object every step is stored where it runs: there is nothing to set.
 */
type Checkpointing =
  | boolean
  | {
      maxRuntime?: Duration | undefined;
      bufferedSteps?: number | undefined;
      maxInterval?: Duration | undefined;
    };

export interface SendOptions {
  /** Environment to send to, in place of the client's. */
  env?: string | undefined;
}

export type Retries =
  | 0
  | 1
  | 2
  | 3
  | 4
  | 5
  | 6
  | 7
  | 8
  | 9
  | 10
  | 11
  | 12
  | 13
  | 14
  | 15
  | 16
  | 17
  | 18
  | 19
  | 20;

/** A length of time in a function's configuration, such as `"30m"` or `"1d12h"`. */
export type TimeStr = `${number}${string}`;

/** How many steps may execute at the same time; what is beyond that waits. */
interface ConcurrencyOption {
  /** 0: no limit. */
  limit: number;
  /** CEL expression over `event`: each of its values has the limit for itself. */
  key?: string | undefined;
  /** Who shares it: the runs of this function (default), of this environment, or all. The latter two need a key. */
  scope?: 'fn' | 'env' | 'account' | undefined;
}

/**
 * When, in what order and whether runs start. Keys are CEL expressions over `event`; each value of a key has its own limit, window,
 * batch or lock.
 */
interface FlowOptions {
  /** Up to two limits. */
  concurrency?:
    | number
    | ConcurrencyOption
    | readonly [ConcurrencyOption]
    | readonly [ConcurrencyOption, ConcurrencyOption]
    | undefined;
  /** Starts of runs in a period; the others wait. `burst`: how many may start at once, default 1. */
  throttle?:
    | { limit: number; period: TimeStr; burst?: number | undefined; key?: string | undefined }
    | undefined;
  /** Starts of runs in a period; the others are skipped. */
  rateLimit?: { limit: number; period: TimeStr; key?: string | undefined } | undefined;
  /** One run, with the last event, when none has come for a period; at the latest `timeout` after the first. */
  debounce?: { period: TimeStr; timeout?: TimeStr | undefined; key?: string | undefined } | undefined;
  /**
   * One run for up to `maxSize` events, or for those that have come `timeout` after the first. `if`: events for which it is not true
   * start their own run.
   */
  batchEvents?:
    | { maxSize: number; timeout: TimeStr; key?: string | undefined; if?: string | undefined }
    | undefined;
  /** CEL expression with the number of seconds by which runs go before others, from -600 to 600. */
  priority?: { run?: string | undefined } | undefined;
  /** At most one run at a time: while one is active others are skipped, or cancel it. */
  singleton?: { mode: 'skip' | 'cancel'; key?: string | undefined } | undefined;
  /** CEL expression: one run for each of its values in 24 hours. */
  idempotency?: string | undefined;
}

export interface FunctionOptions<
  Events = AnyEvents,
  Name extends string = string,
  ClientStack extends readonly unknown[] = [],
  Stack extends InngestMiddleware.Stack = InngestMiddleware.Stack,
> extends FlowOptions {
  /** Identifies the function in its app; must stay the same from deployment to deployment. */
  id: string;
  /** What people see. Default: the id. */
  name?: string | undefined;
  description?: string | undefined;
  /** Attempts after the first one, for each step and for the code between steps. Default: 4. */
  retries?: Retries | undefined;
  /** Up to five; any of them cancels the runs that it fits. */
  cancelOn?: readonly CancelOn<Events, Name>[] | undefined;
  /** Runs are cancelled that begin later than `start` after they were due, or take longer than `finish`. */
  timeouts?: { start?: TimeStr | undefined; finish?: TimeStr | undefined } | undefined;
  /** Called once for each run that has failed for good. It is a function of its own, `<id>-failure`, and may use steps. */
  onFailure?:
    | ((context: WithContext<FailureContext<Events, Name>, [...ClientStack, ...Stack]>) => unknown)
    | undefined;
  /** Of this function only, after that of the client. */
  middleware?: Stack | undefined;
  checkpointing?: Checkpointing | undefined;
  optimizeParallelism?: boolean | undefined;
}

/** What a handler is called with. */
export interface HandlerContext<
  Events = AnyEvents,
  Name extends string = string,
  Sent extends object = SendEventOutput,
> {
  /** What started the run; `event.name` tells several triggers apart. */
  event: Received<EventOf<Events, Name> | Invocation<Events, Name>>;
  /** All events of the batch; without batching, only `event`. */
  events: [Received<EventOf<Events, Name>>, ...Received<EventOf<Events, Name>>[]];
  step: StepTools<Events, Name, Sent>;
  runId: string;
  logger: Logger;
  /** From 0; back at 0 after each step that succeeded. */
  attempt: number;
  /** Retries plus one. */
  maxAttempts: number;
}

/** What `onFailure` is called with. */
export interface FailureContext<Events = AnyEvents, Name extends string = string> extends Omit<
  HandlerContext<Events, 'inngest/function.failed'>,
  'event' | 'events'
> {
  /** Tells of the failed run; its own event is `event.data.event`. */
  event: Received<FailureEventPayload<FailedEvent<Events, Name>>>;
  events: [Received<FailureEventPayload<FailedEvent<Events, Name>>>];
  /** What the run failed with, as a plain `Error` with the name, message, stack and cause of the original. */
  error: Error;
}

type FailedEvent<Events, Name extends string> = HandlerContext<Events, Name>['event'];

/** The argument of an `onFailure` handler. */
export type FailureEventArgs<Payload = HandlerContext['event']> = Omit<FailureContext, 'event' | 'events'> & {
  event: Received<FailureEventPayload<Payload>>;
  events: [Received<FailureEventPayload<Payload>>];
};

type OptionsOf<Client> = Client extends Inngest<infer Options> ? Options : ClientOptions;

type EventsOf<Client> = EventsOfOptions<OptionsOf<Client>>;

export type EventsOfOptions<Options> = Options extends { schemas: EventSchemas<infer Events> }
  ? Events
  : AnyEvents;

export type StackOfOptions<Options> = Options extends { middleware: infer Stack extends readonly unknown[] }
  ? Stack
  : [];

/** What `send` resolves to. */
export type SentOfOptions<Options> = SentBy<StackOfOptions<Options>>;

/** What a handler is called with, its middleware included. */
export type ContextOfOptions<
  Options,
  Name extends string,
  Stack extends readonly unknown[] = [],
> = WithContext<
  HandlerContext<EventsOfOptions<Options>, Name, SentOfOptions<Options>>,
  [...StackOfOptions<Options>, ...Stack]
>;

/** Payload types by event name, without the engine's own events unless the second argument is `true`. */
export type GetEvents<Client extends Inngest.Any, Internal extends boolean = false> = Internal extends true
  ? Flat<EventsOf<Client> & InternalEvents>
  : WithoutInternal<EventsOf<Client>>;

type OwnName<Client extends Inngest.Any> = keyof GetEvents<Client> & TriggerName<EventsOf<Client>>;

/** The argument of a client's handlers, of all its events or of those of the given trigger. */
export type Context<
  Client extends Inngest.Any = Inngest.Any,
  Name extends TriggerName<EventsOf<Client>> = OwnName<Client>,
> = ContextOfOptions<OptionsOf<Client>, Name>;

export type GetFunctionInput<
  Client extends Inngest.Any,
  Name extends TriggerName<EventsOf<Client>> = OwnName<Client>,
> = Context<Client, Name>;

export type Handler<
  Client extends Inngest.Any = Inngest.Any,
  Name extends TriggerName<EventsOf<Client>> = OwnName<Client>,
> = (context: Context<Client, Name>) => unknown;

/** The `step` of a client's handlers. */
export type GetStepTools<
  Client extends Inngest.Any,
  Name extends TriggerName<EventsOf<Client>> = OwnName<Client>,
> = Context<Client, Name> extends { step: infer Tools } ? Tools : never;

/** What a function author's code is typed with. */
import type { Inngest } from './client.ts';
import type {
  AnyEvents,
  EventOf,
  Invocation,
  Received,
  Sendable,
  TriggerName,
  WithoutInternal,
} from './events.ts';
import type { InternalEvents } from './events.ts';
import type { TYPES } from './function.ts';
import type { Flat, Jsonify } from './jsonify.ts';
import type { EventSchemas } from './schemas.ts';

export type OneOrMany<Item> = Item | readonly Item[];

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
  /** Default: the console. */
  logger?: Logger | undefined;
  /** Types of the events. Default: any event with any data. */
  schemas?: EventSchemas<AnyEvents> | undefined;
  /** Any version text of the app, for people to see. */
  appVersion?: string | undefined;
}

export interface SendOptions {
  /** Environment to send to, in place of the client's. */
  env?: string | undefined;
}

export interface SendEventOutput {
  /** One id for each event, in order. */
  ids: string[];
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

export interface FunctionOptions {
  /** Identifies the function in its app; must stay the same from deployment to deployment. */
  id: string;
  /** What people see. Default: the id. */
  name?: string | undefined;
  description?: string | undefined;
  /** Attempts after the first one, for each step and for the code between steps. Default: 4. */
  retries?: Retries | undefined;
}

export interface EventTrigger<Name extends string = string> {
  event: Name;
}

export interface StepOptions {
  /** What the step's result is kept under. */
  id: string;
  /** What people see. Default: the id. */
  name?: string | undefined;
}

/** The first argument of every step tool. */
export type StepOptionsOrId = string | StepOptions;

/** A length of time, as the Temporal proposal has it. */
interface TemporalDuration {
  total(unit: 'milliseconds'): number;
}

/** A `Temporal.Instant` or `Temporal.ZonedDateTime`. */
interface TemporalInstant {
  readonly epochMilliseconds: number;
}

export interface StepTools<Events = AnyEvents> {
  /** Runs the callback once, keeps its result, and retries it alone if it throws. Further arguments are passed to it. */
  run<Input extends unknown[], Output>(
    step: StepOptionsOrId,
    callback: (...input: Input) => Output,
    ...input: Input
  ): Promise<Jsonify<Awaited<Output>>>;
  /** Pauses the run: milliseconds, or a text such as `"30m"`. */
  sleep(step: StepOptionsOrId, time: number | string | TemporalDuration): Promise<void>;
  /** Pauses the run until then. */
  sleepUntil(step: StepOptionsOrId, time: Date | string | TemporalInstant): Promise<void>;
  /** Sends events as a step: once, whatever happens to the run. */
  sendEvent(step: StepOptionsOrId, payload: OneOrMany<Sendable<Events>>): Promise<SendEventOutput>;
}

/** What a handler is called with. */
export interface HandlerContext<Events = AnyEvents, Name extends string = string> {
  /** What started the run; `event.name` tells several triggers apart. */
  event: Received<EventOf<Events, Name> | Invocation<EventOf<Events, Name>>>;
  /** All events of the batch; without batching, only `event`. */
  events: [Received<EventOf<Events, Name>>, ...Received<EventOf<Events, Name>>[]];
  step: StepTools<Events>;
  runId: string;
  logger: Logger;
  /** From 0; back at 0 after each step that succeeded. */
  attempt: number;
  /** Retries plus one. */
  maxAttempts: number;
}

type EventsOf<Client> = Client extends Inngest<infer Options> ? EventsOfOptions<Options> : AnyEvents;

export type EventsOfOptions<Options> = Options extends { schemas: EventSchemas<infer Events> }
  ? Events
  : AnyEvents;

/** Payload types by event name, without the engine's own events unless the second argument is `true`. */
export type GetEvents<Client extends Inngest.Any, Internal extends boolean = false> = Internal extends true
  ? Flat<EventsOf<Client> & InternalEvents>
  : WithoutInternal<EventsOf<Client>>;

/** The argument of a client's handlers, of all its events or of those of the given trigger. */
export type Context<
  Client extends Inngest.Any = Inngest.Any,
  Name extends TriggerName<EventsOf<Client>> = keyof GetEvents<Client> & TriggerName<EventsOf<Client>>,
> = HandlerContext<EventsOf<Client>, Name>;

export type GetFunctionInput<
  Client extends Inngest.Any,
  Name extends TriggerName<EventsOf<Client>> = keyof GetEvents<Client> & TriggerName<EventsOf<Client>>,
> = Context<Client, Name>;

export type Handler<
  Client extends Inngest.Any = Inngest.Any,
  Name extends TriggerName<EventsOf<Client>> = keyof GetEvents<Client> & TriggerName<EventsOf<Client>>,
> = (context: Context<Client, Name>) => unknown;

/** The `step` of a client's handlers. */
export type GetStepTools<
  Client extends Inngest.Any,
  Name extends TriggerName<EventsOf<Client>> = keyof GetEvents<Client> & TriggerName<EventsOf<Client>>,
> = Context<Client, Name>['step'];

/** What a function returns, as others read it: its JSON form, `null` for nothing, `unknown` when only an id is known. */
export type GetFunctionOutput<Function> = Function extends { readonly [TYPES]: { output: infer Output } }
  ? Jsonify<Awaited<Output>>
  : unknown;

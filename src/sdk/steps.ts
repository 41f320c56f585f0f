/** What the step tools are typed with. */
import type { AnyEvents, EventName, EventOf, Received, Sendable } from './events.ts';
import type { GetFunctionOutput, InvokeOptions, InvokeTarget } from './invoke.ts';
import type { Jsonify } from './jsonify.ts';
import type { StepFetch } from './fetch.ts';
import type { MatchOrIf, MatchPath } from './match.ts';
import type { AnyModel, models } from './models.ts';
import type { Duration, Moment, Timeout } from './times.ts';

export interface StepOptions {
  /** What the step's result is kept under. */
  id: string;
  /** What people see. Default: the id. */
  name?: string | undefined;
}

/** The first argument of every step tool. */
export type StepOptionsOrId = string | StepOptions;

export type OneOrMany<Item> = Item | readonly Item[];

/** @typeParam Own names of the events that start the function. */
export interface StepTools<
  Events = AnyEvents,
  Own extends string = string,
  Sent extends object = SendEventOutput,
> {
  /** Runs the callback once, keeps its result, and retries it alone if it throws. Further arguments are passed to it. */
  run<Input extends unknown[], Output>(
    step: StepOptionsOrId,
    callback: (...input: Input) => Output,
    ...input: Input
  ): Promise<Jsonify<Awaited<Output>>>;
  /** Pauses the run: milliseconds, or a text such as `"30m"`. */
  sleep(step: StepOptionsOrId, time: Duration): Promise<void>;
  /** Pauses the run until then. */
  sleepUntil(step: StepOptionsOrId, time: Moment): Promise<void>;
  /** Pauses the run until an event comes that fits; `null` when none has come in time. */
  waitForEvent<Name extends EventName<Events>>(
    step: StepOptionsOrId,
    options: WaitForEventOptions<Events, Own, Name>,
  ): Promise<Received<EventOf<Events, Name>> | null>;
  /**
   * Pauses the run until one of several events comes, the first that fits, which ends the wait for the others; `null` when none has come
   * in time.
   */
  waitForAny<const Names extends readonly EventName<Events>[]>(
    step: StepOptionsOrId,
    options: WaitForEventsOptions<Events, Own, Names>,
  ): Promise<Received<EventOf<Events, Names[number]>> | null>;
  /** Pauses the run until all of several events have come, in whatever order; `null` when one of them has not come in time. */
  waitForAll<const Names extends readonly EventName<Events>[]>(
    step: StepOptionsOrId,
    options: WaitForEventsOptions<Events, Own, Names>,
  ): Promise<{ [At in keyof Names]: Received<EventOf<Events, Names[At]>> } | null>;
  /**
   * Pauses the run until the signal is sent; `null` when it is not in time. One run at most waits for a signal: a second one fails, or
   * takes over with `onConflict: "replace"`, and the first one then only runs out of time.
   */
  waitForSignal<Data = unknown>(
    step: StepOptionsOrId,
    options: WaitForSignalOptions,
  ): Promise<{ signal: string; data: Jsonify<Data> } | null>;
  /** Sends a signal to the run that waits for it; there is no `runId` when none does, and the signal is nobody's then. */
  sendSignal(step: StepOptionsOrId, options: { signal: string; data?: unknown }): Promise<SentSignalOutput>;
  /**
   * Starts another function and resolves with its result. Rejects when that function has failed for good, does not exist, or takes
   * longer than `timeout`; it goes on in that case.
   */
  invoke<Target extends InvokeTarget>(
    step: StepOptionsOrId,
    options: InvokeOptions<Target>,
  ): Promise<GetFunctionOutput<Target>>;
  /** Sends events as a step: once, whatever happens to the run. */
  sendEvent(step: StepOptionsOrId, payload: OneOrMany<Sendable<Events>>): Promise<Sent>;
  /**
   * A request that the engine makes as a step: tried again after a 429, a 5xx and without an answer, and never repeated once it has an
   * answer. With no attempt left the last answer is the result. Bodies are texts. Inside of another step it is a plain `fetch`.
   */
  fetch: StepFetch;
  ai: AiTools;
}

interface AiTools {
  /** An inference that the engine requests, as a step. Resolves with the provider's answer, rejects with the provider's error. */
  infer<Model extends AnyModel>(
    step: StepOptionsOrId,
    options: { model: Model; body: TypesOf<Model>['input'] },
  ): Promise<TypesOf<Model>['output']>;
  /** Like `run`; the trace shows the arguments, without what is named like a key. A method must be bound to its instance. */
  wrap<Input extends unknown[], Output>(
    step: StepOptionsOrId,
    callback: (...input: Input) => Output,
    ...input: Input
  ): Promise<Jsonify<Awaited<Output>>>;
  models: typeof models;
}

type TypesOf<Model extends AnyModel> = NonNullable<Model['~types']>;

export interface SentSignalOutput {
  /** The run that got the signal. */
  runId?: string;
}

interface WaitForSignalOptions {
  /** Its name, such as `"approval/42"`: at most 1,024 characters. */
  signal: string;
  /** How long to wait: milliseconds, a text such as `"3 days"`, or a date. */
  timeout: Timeout;
  /** When another run waits for the signal. Default: `"fail"`. */
  onConflict?: 'fail' | 'replace' | undefined;
}

type WaitForEventOptions<Events, Own extends string, Name extends string> = WaitLimits &
  WaitFor<Events, Own, Name>;

type WaitForEventsOptions<Events, Own extends string, Names extends readonly string[]> = WaitLimits & {
  /** At least one; each with its own `match` or `if`. */
  events: { [At in keyof Names]: WaitFor<Events, Own, Names[At]> };
};

type WaitFor<Events, Own extends string, Name extends string> = {
  /** Its exact name. */
  event: Name;
} & MatchOrIf<MatchPath<Events, Own, Name>>;

interface WaitLimits {
  /** How long to wait: milliseconds, a text such as `"3 days"`, or a date. */
  timeout: Timeout;
  /**
   * How far back events count that came before the wait began, so that one which was quicker than this run is not missed. Default:
   * `"run"`, since the event that started the run; `0` for none. What an earlier wait of the run has got does not count again: waits
   * in a loop get every event, each once.
   */
  lookBack?: Duration | undefined;
}

export interface SendEventOutput {
  /** One id for each event, in order. */
  ids: string[];
}

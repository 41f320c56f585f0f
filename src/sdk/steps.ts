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

type WaitForEventOptions<Events, Own extends string, Name extends string> = {
  /** Its exact name. */
  event: Name;
  /** How long to wait: milliseconds, a text such as `"3 days"`, or a date. */
  timeout: Timeout;
  /**
   * How far back events count that came before the wait began, so that one which was quicker than this run is not missed. Default:
   * `"run"`, since the event that started the run; `0` for none. What an earlier wait of the run has got does not count again: waits
   * in a loop get every event, each once.
   */
  lookBack?: Duration | undefined;
} & MatchOrIf<MatchPath<Events, Own, Name>>;

export interface SendEventOutput {
  /** One id for each event, in order. */
  ids: string[];
}

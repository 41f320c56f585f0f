/** What a function author imports. */
export { Inngest, isInngest } from './client.ts';
export { NonRetriableError, RetryAfterError, StepError } from './errors.ts';
export { internalEvents } from './events.ts';
export type {
  CancelledEventPayload,
  EventPayload,
  FailureEventPayload,
  FinishedEventPayload,
  InvokedEventPayload,
  JsonError,
  ScheduledTimerEventPayload,
} from './events.ts';
export { InngestFunction, isInngestFunction } from './function.ts';
export type { Jsonify } from './jsonify.ts';
export { EventSchemas } from './schemas.ts';
export type { LiteralZodEventSchema, StandardSchema } from './schemas.ts';
export type {
  ClientOptions,
  Context,
  GetEvents,
  GetFunctionInput,
  GetFunctionOutput,
  GetStepTools,
  Handler,
  Logger,
  Retries,
  SendEventOutput,
  StepOptions,
  StepOptionsOrId,
  StepTools,
} from './types.ts';
export { version } from './version.ts';

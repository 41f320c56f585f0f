/** What a function author imports. */
export { Inngest, isInngest } from './client.ts';
export { stepIdempotencyKey } from './context.ts';
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
export { fetch } from './fetch.ts';
export type { DurableFetch } from './fetch.ts';
export { InngestFunction, isInngestFunction } from './function.ts';
export { dependencyInjectionMiddleware } from './inject.ts';
export type { GetFunctionOutput } from './invoke.ts';
export type { Jsonify } from './jsonify.ts';
export { headerKeys, queryKeys, slugify } from './keys.ts';
export { ProxyLogger } from './logger.ts';
export type { LogLevel } from './logger.ts';
export { InngestMiddleware, isInngestMiddleware } from './middleware.ts';
export type { MiddlewareOptions } from './middleware.ts';
export { anthropic, azureOpenai, deepseek, gemini, grok, openai, openaiResponses } from './models.ts';
export type { AiModel } from './models.ts';
export { InngestFunctionReference, referenceFunction } from './reference.ts';
export { EventSchemas } from './schemas.ts';
export type { LiteralZodEventSchema, StandardSchema } from './schemas.ts';
export { step } from './step.ts';
export type { SendEventOutput, SentSignalOutput, StepOptions, StepOptionsOrId, StepTools } from './steps.ts';
export type {
  ClientOptions,
  Context,
  FailureEventArgs,
  GetEvents,
  GetFunctionInput,
  GetStepTools,
  Handler,
  Logger,
  Retries,
  TimeStr,
} from './types.ts';
export { version } from './version.ts';

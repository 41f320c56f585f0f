/** Events as types: what is sent, what a handler receives, and which events a trigger stands for. */
import type { Flat } from './jsonify.ts';

/** Events without a declared type may hold anything (ES-19). */
// oxlint-disable-next-line typescript/no-explicit-any -- user code reads members of it without a check, which `unknown` forbids
type Anything = any;

/** An event as a sender writes it (SE-3 to SE-10). */
export interface EventPayload<Data = Anything> {
  /** Such as `shop/order.created`. */
  name: string;
  data?: Data;
  /** Attributes of the user that the event is about; encrypted where it is stored. */
  user?: Anything;
  /** Idempotency key: of several events with the same id only the first starts functions. */
  id?: string | undefined;
  /** When it happened, in milliseconds since 1970; a time in the future delays the runs that it starts. */
  ts?: number | undefined;
  /** Version of the payload's form. */
  v?: string | undefined;
}

/** Payload types by event name: any name at all, as of a client without schemas. */
export type AnyEvents = Record<string, EventPayload>;

/** Whether names are known, that is, not just `string`. */
type IsTyped<Events> = string extends keyof Events ? false : true;

/** Names of the engine's own events (PK-13). */
export const internalEvents = {
  FunctionFailed: 'inngest/function.failed',
  FunctionInvoked: 'inngest/function.invoked',
  FunctionFinished: 'inngest/function.finished',
  FunctionCancelled: 'inngest/function.cancelled',
  ScheduledTimer: 'inngest/scheduled.timer',
  HttpRequest: 'inngest/http.request',
} as const;

/** An error inside of an event's data. */
export interface JsonError {
  name: string;
  message: string;
  stack?: string;
  cause?: unknown;
}

type InternalPayload<Name extends string, Data> = Flat<
  Omit<EventPayload, 'name' | 'data'> & { name: Name; data: Data }
>;

interface RunReference {
  function_id: string;
  run_id: string;
}

export type FailureEventPayload<Original = EventPayload> = InternalPayload<
  'inngest/function.failed',
  RunReference & { error: JsonError; event: Original; events: Original[] }
>;
export type CancelledEventPayload<Original = EventPayload> = InternalPayload<
  'inngest/function.cancelled',
  RunReference & { error: JsonError; event: Original; events: Original[] }
>;
export type FinishedEventPayload<Original = EventPayload> = InternalPayload<
  'inngest/function.finished',
  RunReference & { correlation_id?: string; event: Original; events: Original[] } & (
      | { result: unknown }
      | { error: JsonError }
    )
>;
export type InvokedEventPayload = InternalPayload<'inngest/function.invoked', Anything>;
export type ScheduledTimerEventPayload = InternalPayload<'inngest/scheduled.timer', { cron: string }>;

/** What triggers and waits may name besides the user's own events (ES-14). */
export interface InternalEvents {
  'inngest/function.failed': FailureEventPayload;
  'inngest/function.cancelled': CancelledEventPayload;
  'inngest/function.finished': FinishedEventPayload;
  'inngest/function.invoked': InvokedEventPayload;
  'inngest/scheduled.timer': ScheduledTimerEventPayload;
  'inngest/http.request': InternalPayload<'inngest/http.request', Anything>;
}

type InternalName = `inngest/${string}`;

/** The user's own events only. */
export type WithoutInternal<Events> = {
  [Name in keyof Events as Name extends InternalName ? never : Name]: Events[Name];
};

/** Names of single events: declared ones, those that a declared pattern covers, and the engine's own (ES-14). */
export type EventName<Events> =
  IsTyped<Events> extends true
    ? { [Key in keyof Events & string]: Covered<Key> }[keyof Events & string] | keyof InternalEvents
    : string;

type Covered<Key> = Key extends `${infer Before}*` ? `${Before}${string}` : Key;

/** Names of single events, and patterns: a `*` directly after `/` or `.` stands for any rest (TR-9). */
export type TriggerName<Events> =
  IsTyped<Events> extends true ? EventName<Events> | `${string}/*` | `${string}.*` : string;

/** What `send` takes. */
export type Sendable<Events> =
  IsTyped<Events> extends true ? WithoutInternal<Events>[keyof WithoutInternal<Events>] : EventPayload;

/** The events that a trigger stands for; of a pattern, those declared events that it matches. */
export type EventOf<Events, Name extends string> = Name extends `${infer Before}*`
  ? Known<Matching<Before extends InternalName ? InternalEvents : Events, Before>, `${Before}${string}`>
  : Known<Name extends keyof InternalEvents ? InternalEvents[Name] : Member<Events, Name>, Name>;

type Matching<Events, Before extends string> = {
  [Name in keyof Events]: Name extends `${Before}${string}` ? Member<Events, Name> : never;
}[keyof Events];

/** `never` where nothing is declared under that name. */
type Member<Events, Name> =
  IsTyped<Events> extends true
    ? Name extends keyof Events
      ? Events[Name]
      : { [Key in keyof Events]: Name extends Covered<Key> ? Events[Key] : never }[keyof Events]
    : never;

type Known<Found, Name extends string> = [Found] extends [never] ? EventPayload & { name: Name } : Found;

/** An event as the engine hands it to a handler: it has an id and a time, whether the sender gave them or not. */
export type Received<Payload> = Payload extends unknown
  ? Flat<Omit<Payload, 'id' | 'ts'> & { id: string; ts: number }>
  : never;

/**
 * A direct invocation brings the data of any of the function's triggers under a name of its own (TR-14); any data at all where only the
 * engine itself triggers the function.
 */
export type Invocation<Events, Name extends string> = [Exclude<Name, keyof InternalEvents>] extends [never]
  ? InvokedEventPayload
  : Invoked<EventOf<Events, Exclude<Name, keyof InternalEvents>>>;

type Invoked<Payload> = Payload extends unknown
  ? Flat<Omit<Payload, 'name'> & { name: 'inngest/function.invoked' }>
  : never;

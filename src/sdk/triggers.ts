/** What starts and what cancels a function: as its author writes it, and as the engine is told (FN-36, FN-37). */
import type { EventName } from './events.ts';
import { expressionOf, type MatchOrIf, type MatchPath } from './match.ts';
import type { Timeout } from './times.ts';

interface EventTrigger<Name extends string = string> {
  /** A name, or a pattern: a `*` directly after `/` or `.` stands for any rest. */
  event: Name;
  /** CEL expression over `event`: without a true answer the event does not start the function. */
  if?: string | undefined;
  cron?: never;
}

interface CronTrigger {
  /** Five fields, in UTC; the prefix `TZ=Europe/Paris ` sets another zone. */
  cron: string;
  /** Each start is put off by a random part of this length of time, such as `"30s"`. */
  jitter?: string | undefined;
  event?: never;
  if?: never;
}

export type Trigger<Name extends string = string> = EventTrigger<Name> | CronTrigger;

/** Names of the events that triggers stand for. */
export type NameOfTriggers<Given> = Given extends readonly (infer Each)[] ? NameOf<Each> : NameOf<Given>;

type NameOf<Each> = Each extends { cron: string }
  ? 'inngest/scheduled.timer'
  : Each extends { event: infer Name extends string }
    ? Name
    : never;

/** Events of which any cancels the runs that it fits. */
export type CancelOn<Events, Own extends string> = {
  [Event in EventName<Events>]: {
    event: Event;
    /** How long after its start a run can be cancelled by this; default: as long as it lives. */
    timeout?: Timeout | undefined;
  } & MatchOrIf<MatchPath<Events, Own, Event>>;
}[EventName<Events>];

export function triggerConfig({ event, if: expression, ...rest }: Trigger): Record<string, unknown> {
  return { event, expression, ...rest };
}

interface WrittenCancel {
  event: string;
  match?: string | undefined;
  if?: string | undefined;
  timeout?: Timeout | undefined;
}

export function cancelConfig(cancel: WrittenCancel): Record<string, unknown> {
  const { match: _match, if: _if, timeout, ...rest } = cancel;
  return { ...rest, if: expressionOf(cancel) ?? undefined, timeout: timeoutText(timeout) };
}

/** A duration text, or an ISO time. What is neither stays as it is: the check names it. */
function timeoutText(timeout: unknown): unknown {
  if (timeout instanceof Date)
    return Number.isNaN(timeout.getTime()) ? String(timeout) : timeout.toISOString();
  if (typeof timeout === 'number') return `${timeout}ms`;
  if (typeof timeout !== 'object' || timeout === null) return timeout;
  if ('epochMilliseconds' in timeout) return timeoutText(new Date(Number(timeout.epochMilliseconds)));
  const { total } = timeout as { total?: (unit: string) => number };
  return typeof total === 'function' ? `${total.call(timeout, 'milliseconds')}ms` : timeout;
}

/** Events chosen by an expression over `event`, which was checked when it was taken. */
import { compile } from '../expr/expression.ts';
import { verdict } from '../expr/results.ts';
import { eventView, type EventView, type StoredEvent } from '../protocol/event.ts';

/** @param user of the event, opened; without it an expression that reads it has no value, which is no match. */
type Condition = (event: StoredEvent, user: EventView['user'] | undefined, now: number) => boolean;

export function condition(source: string): Condition {
  const compiled = compile(source, { place: 'event' });
  if (!compiled.ok) return () => false;
  return (event, user, now) => {
    const view = eventView(event);
    const seen = event.user === undefined ? view : { ...view, user };
    return verdict(compiled.expression.evaluate({ event: seen }, { now })).matched;
  };
}

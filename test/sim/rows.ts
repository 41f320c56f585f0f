/** What the rows of a run's object say, read from outside. */
import type { Json } from '../../src/lib/json.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import type { Run, RunConfig, SettledStep } from '../../src/run/state.ts';
import type { RunObject } from './objects.ts';
import { keyOf } from './store.ts';

export function configIn(rows: RunObject['rows']): RunConfig | null {
  const text = rows.table.get(0)?.head;
  return text === undefined ? null : (JSON.parse(text) as RunConfig);
}

export function runOf({ rows }: RunObject): Run | null {
  const text = rows.table.get(1)?.head;
  return text === undefined ? null : (JSON.parse(text) as Run);
}

/** What started it. */
export function eventsOf({ rows }: RunObject): StoredEvent[] {
  return JSON.parse(rows.table.get(0)?.data ?? '[]') as StoredEvent[];
}

export function eventOf(object: RunObject): StoredEvent | undefined {
  return eventsOf(object)[0];
}

/** From the event's data: which sent event, or which step of another run, it was started by. */
export function causeOf(object: RunObject): string {
  const event = eventOf(object);
  return event === undefined ? '' : keyOf(event);
}

/** JSON text. */
export function outputOf({ rows }: RunObject): string {
  return rows.table.get(1)?.data ?? 'null';
}

/** JSON text of its value, or of the error. */
export function outcomeOf({ rows }: RunObject, step: SettledStep): string {
  return rows.table.get(step.seq + 2)?.data ?? 'null';
}

export function nameAndMessage(error: Json): { name: string; message: string } {
  const { name, message } = error as { name: string; message: string };
  return { name, message };
}

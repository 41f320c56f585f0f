/** Body text to checked events, all or nothing (EA-14): the first bad one refuses the whole request by its index. */
import { isObject, jsonDepth } from '../lib/json.ts';
import { eventInput, type EventInput } from '../protocol/event.ts';
import { limits } from '../protocol/limits.ts';
import { Refusal } from './refusal.ts';

/** The engine's own data of an event; not for senders to set (wire 4.1). */
const INTERNAL_KEY = '_inngest';

export function parseEvents(text: string): EventInput[] {
  if (jsonDepth(text, limits.eventDepth) > limits.eventDepth) {
    throw new Refusal(400, `the body nests deeper than ${limits.eventDepth} levels`);
  }
  const body = parseJson(text);
  const events: unknown[] = Array.isArray(body) ? body : [body];
  if (!Array.isArray(body) && !isObject(body))
    throw new Refusal(400, 'expected an event object or an array of them');
  if (events.length > limits.eventsPerRequest) {
    throw new Refusal(400, `more than ${limits.eventsPerRequest} events in one request`);
  }
  return events.map(checkEvent);
}

/** The parser's own message quotes the text, so it is not passed on. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(400, 'the body is not valid JSON');
  }
}

function checkEvent(value: unknown, index: number): EventInput {
  const at = `events[${index}]`;
  if (!isObject(value)) throw new Refusal(400, `${at}: expected an object`);
  const parsed = eventInput.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Refusal(400, `${[at, ...(issue?.path ?? [])].join('.')}: ${issue?.message ?? 'invalid'}`);
  }
  const event = parsed.data;
  for (const key of ['name', 'id', 'v'] as const) {
    // Half a surrogate pair has no UTF-8, so two different texts would become one in the store.
    if (event[key]?.isWellFormed() === false) throw new Refusal(400, `${at}.${key}: not well-formed Unicode`);
  }
  return withoutInternalData(event);
}

/** A rest pattern copies own properties as they are, `__proto__` included (EVT-26). */
function withoutInternalData(event: EventInput): EventInput {
  if (event.data == null || !Object.hasOwn(event.data, INTERNAL_KEY)) return event;
  const { [INTERNAL_KEY]: _, ...data } = event.data;
  return { ...event, data };
}

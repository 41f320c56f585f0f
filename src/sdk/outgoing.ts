/** Events on their way out: complete, and plain JSON. */
import { isObject } from '../lib/json.ts';

/** One payload or many, as a user gave them, as the engine is to get them (SE-3 to SE-12, SE-27). */
export function outgoingEvents(payload: unknown): object[] {
  const events = (Array.isArray(payload) ? payload : [payload]).map(completed);
  return JSON.parse(toJson(events)) as object[];
}

/** The members that every event has on its way (SE-4, SE-7). */
function completed(payload: unknown): object {
  if (!isObject(payload)) {
    throw new TypeError('expected an event, { name: "...", data: { ... } }, or an array of events');
  }
  const { data, ts, ...rest } = payload;
  return { ...rest, data: data ?? {}, ts: ts ?? Date.now() };
}

/** JSON without what it cannot hold: BigInts, and members that lead back to an object around them, are left out (SE-27). */
export function toJson(value: object): string {
  const around: unknown[] = [];
  // A function, not an arrow: `this` is the object that holds the member.
  function keep(this: unknown, _key: string, member: unknown): unknown {
    if (typeof member === 'bigint') return undefined;
    if (!isObject(member) && !Array.isArray(member)) return member;
    while (around.length > 0 && around.at(-1) !== this) around.pop();
    if (around.includes(member)) return undefined;
    around.push(member);
    return member;
  }
  return JSON.stringify(value, keep);
}

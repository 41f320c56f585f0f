/** Opens the sealed `user` of event views, also of those inside the engine's own events, on the way to user code. */
import { isObject } from '../lib/json.ts';
import { CANCELLED, FAILED, FINISHED, SEALED, type EventView } from '../protocol/event.ts';
import type { Seal } from '../ports.ts';

/** Whether anything has to be opened; only then is it worth a turn. */
export function isSealed(view: EventView): boolean {
  return sealedParts(view).length > 0;
}

/** A copy in which every `user` is open. Rejects where one cannot be opened. */
export async function unseal(
  view: EventView,
  seal: Pick<Seal, 'open'> | null,
  env: string,
): Promise<EventView> {
  if (!isSealed(view)) return view;
  if (seal === null) throw new Error('event.user is sealed: set STEPWELL_ENCRYPTION_KEY');
  const copy = structuredClone(view);
  await Promise.all(
    sealedParts(copy).map(async (part) => {
      (part as { user: EventView['user'] }).user = await seal.open(part.user[SEALED], env);
    }),
  );
  return copy;
}

interface Part {
  user: EventView['user'] & { [SEALED]: string };
}

/**
 * Events about the end of a run hold those that started it, which may be such events too. Senders cannot use their names, so nobody else
 * can put a seal inside `data`; what an invocation brings is the invoker's own.
 */
function sealedParts(view: unknown): Part[] {
  if (!isObject(view)) return [];
  const { name, data } = view;
  const inner = isObject(data) && ENDS.has(name) ? [data['event'], ...asList(data['events'])] : [];
  return [...(hasSeal(view) ? [view] : []), ...inner.flatMap(sealedParts)];
}

const ENDS = new Set<unknown>([FAILED, CANCELLED, FINISHED]);

function hasSeal(part: unknown): part is Part {
  return isObject(part) && isObject(part['user']) && typeof part['user'][SEALED] === 'string';
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

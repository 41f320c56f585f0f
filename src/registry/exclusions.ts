/** Which options of a function exclude one another (IC-1, the matrix of the flow control specification). */
import { isObject } from '../lib/json.ts';
import type { Problem } from './texts.ts';

/** As their authors call them; `cancelOn` arrives as `cancel`. */
const WITHOUT_BATCHES: Record<string, string> = {
  rateLimit: 'rateLimit',
  debounce: 'debounce',
  priority: 'priority',
  idempotency: 'idempotency',
  cancel: 'cancelOn',
  singleton: 'singleton',
};

/** @param written as its author wrote it. */
export function exclusions(written: unknown): Problem[] {
  if (!isObject(written) || !isSet(written['batchEvents'])) return [];
  return Object.entries(WITHOUT_BATCHES)
    .filter(([option]) => isSet(written[option]))
    .map(([, name]) => ({ path: ['batchEvents'], message: `cannot be combined with ${name} (IC-1)` }));
}

/** An empty list of events that cancel asks for nothing. */
function isSet(value: unknown): boolean {
  return value != null && !(Array.isArray(value) && value.length === 0);
}

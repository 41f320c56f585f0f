/** A window after each tick, inside which its run starts (CR-18): spreads the load of schedules that share a boundary. */
import { parseDuration } from '../lib/duration.ts';
import { hashNumber } from '../lib/hash.ts';
import { MINUTE, SECOND } from '../lib/time.ts';

const SHORTEST = SECOND;
const LONGEST = 5 * MINUTE;

/** Milliseconds; null unless the text is a duration from `1s` to `5m`. */
export function parseJitter(text: string): number | null {
  const jitter = parseDuration(text);
  return jitter !== null && jitter >= SHORTEST && jitter <= LONGEST ? jitter : null;
}

/**
 * When the run of a tick starts, less than `jitter` after it. A hash and not a random number, so that whoever plans the tick again
 * finds the same moment.
 */
export function startOf(functionId: string, tick: number, jitter: number): number {
  return tick + (jitter === 0 ? 0 : hashNumber(`${functionId}:${tick}`, jitter));
}

/** Internal ids of events: the same for a repeat of the same request (EA-25), unique otherwise. */
import { sha256Bytes } from '../lib/hash.ts';
import { ulid } from '../lib/ulid.ts';
import { DAY } from '../lib/time.ts';
import type { Entropy } from '../ports.ts';

/** The id of event number `index` of a request. */
export type IdMaker = (index: number) => string;

const ENTROPY_BYTES = 10;

/**
 * Ids from the header `x-inngest-event-id-seed: <unix ms>,<base64 of 10 bytes>`: the last four bytes, a big-endian number, count
 * the events from 1. Null when the header is malformed, which is the same as none (wire 4.3), and when its time is more than a day
 * from now: the store finds and expires events by the time in their ids.
 */
export function idsFromHeader(header: string, now: number): IdMaker | null {
  const [, time, base64] = /^(\d{1,15}),([A-Za-z0-9+/]{14}==)$/.exec(header.trim()) ?? [];
  if (time === undefined || base64 === undefined || Math.abs(Number(time) - now) > DAY) return null;
  const seed = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return (index) => ulid(Number(time), counted(seed, index + 1));
}

/** Ids from any text that names the send, e.g. run and step, and a moment that is the same for every repeat of it. */
export function idsFromText(seed: string, at: number): IdMaker {
  const bytes = sha256Bytes(seed).slice(0, ENTROPY_BYTES);
  return (index) => ulid(at, counted(bytes, index));
}

export function randomIds(now: number, entropy: Entropy): IdMaker {
  const seed = entropy.bytes(ENTROPY_BYTES);
  return (index) => ulid(now, counted(seed, index));
}

/** Distinct for 2^32 events of one seed; they ascend, see `isEarlierSibling`. */
function counted(seed: Uint8Array, count: number): Uint8Array {
  const bytes = seed.slice();
  const view = new DataView(bytes.buffer, ENTROPY_BYTES - 4, 4);
  view.setUint32(0, (view.getUint32(0) + count) >>> 0);
  return bytes;
}

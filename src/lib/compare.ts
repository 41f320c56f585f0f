/** Comparison of secrets: takes the same time wherever they differ. */
import { sha256Bytes } from './hash.ts';

/** Hashes are compared, so that neither the place of a difference nor a length shows. Every candidate is looked at. */
export function isOneOf(candidates: readonly string[], presented: string): boolean {
  const hash = sha256Bytes(presented);
  let found = false;
  for (const candidate of candidates) {
    if (sameBytes(sha256Bytes(candidate), hash)) found = true;
  }
  return found;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

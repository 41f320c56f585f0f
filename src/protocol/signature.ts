/** Signatures of what goes to apps, and of what they answer (SK-6 to SK-11, wire 10.3, 10.4): both sides have the signing key. */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { isOneOf } from '../lib/compare.ts';
import { MINUTE, SECOND } from '../lib/time.ts';

/** How old a signature may be, or how far ahead the other side's clock (SK-9). */
const TOLERANCE = 5 * MINUTE;

const FORM = /^t=(\d{1,15})&s=([0-9a-f]{64})$/;

/** @param body canonical JSON (RFC 8785), exactly as it is sent; `''` for a request without one. */
export function sign(key: string, body: string, now: number): string {
  const seconds = String(Math.floor(now / SECOND));
  return `t=${seconds}&s=${seal(key, body, seconds)}`;
}

/** Whether an answer comes from who has one of the keys. @param body the raw text; Go signs it without its last line feed. */
export function isSigned(keys: readonly string[], header: string | null, body: string, now: number): boolean {
  const [, seconds = '', presented = ''] = FORM.exec(header ?? '') ?? [];
  if (presented === '' || Math.abs(now - Number(seconds) * SECOND) > TOLERANCE) return false;
  const bodies = body.endsWith('\n') ? [body, body.slice(0, -1)] : [body];
  const candidates = keys.flatMap((key) => bodies.map((one) => seal(key, one, seconds)));
  return isOneOf(candidates, presented);
}

/** The key's text after its prefix, not its bytes (SK-7). */
function seal(key: string, body: string, seconds: string): string {
  return bytesToHex(hmac(sha256, utf8ToBytes(secretOf(key)), utf8ToBytes(body + seconds)));
}

const PREFIX = /^signkey-\w+-/;

/** The part of a signing key that is secret (SK-3). */
export function secretOf(key: string): string {
  return key.replace(PREFIX, '');
}

/** As SDKs show that they have the key (wire 10.2). */
export function hashedKey(key: string): string {
  const [prefix = ''] = PREFIX.exec(key) ?? [];
  const secret = secretOf(key);
  const isHex = /^(?:[0-9a-f]{2})+$/i.test(secret);
  return `${prefix}${isHex ? bytesToHex(sha256(hexToBytes(secret))) : secret}`;
}

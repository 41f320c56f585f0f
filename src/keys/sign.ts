/** Signatures of what goes to apps, and of what they answer (SK-6 to SK-11, wire 10.3, 10.4): both sides have the signing key. */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { MINUTE, SECOND } from '../lib/time.ts';
import { type KeyConfig, keysOf, secretOf } from './access.ts';
import { isOneOf } from './compare.ts';

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

/** The signatures of an environment's requests and answers, made and checked now. */
export interface Signatures {
  /**
   * The value of `x-inngest-signature`; null where none is sent: in development, or without a key. Only the current key signs, also
   * during a rotation (SK-19).
   */
  sign: (body: string, env: string) => string | null;
  isSigned: (header: string | null, body: string, env: string) => boolean;
}

export function signatures(config: KeyConfig, clock: { now(): number }): Signatures {
  return {
    sign(body, env) {
      const [key] = keysOf(config, env).signingKeys;
      return config.dev || key === undefined ? null : sign(key, body, clock.now());
    },
    isSigned: (header, body, env) => isSigned(keysOf(config, env).signingKeys, header, body, clock.now()),
  };
}

/** The key's text after its prefix, not its bytes (SK-7). */
function seal(key: string, body: string, seconds: string): string {
  return bytesToHex(hmac(sha256, utf8ToBytes(secretOf(key)), utf8ToBytes(body + seconds)));
}

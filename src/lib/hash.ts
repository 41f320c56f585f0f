/** Synchronous hashes. WebCrypto's are asynchronous, and an `await` between two steps would split one write into two. */
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { ulid } from './ulid.ts';

/** Lower-case hex SHA-1 of the text's UTF-8: the id of a step on the wire (MX-13). */
export function sha1Hex(text: string): string {
  return bytesToHex(sha1(utf8ToBytes(text)));
}

export function sha256Bytes(text: string): Uint8Array {
  return sha256(utf8ToBytes(text));
}

export function sha256Hex(text: string): string {
  return bytesToHex(sha256Bytes(text));
}

/** A whole number from 0 to `below` - 1 that depends on the text alone. */
export function hashNumber(text: string, below: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = sha256Bytes(text);
  return (((a << 24) | (b << 16) | (c << 8) | d) >>> 0) % below;
}

/** A ULID of the given time that otherwise depends on the text alone: made again, it is the same. */
export function hashUlid(ms: number, text: string): string {
  return ulid(ms, sha256Bytes(text).slice(0, 10));
}

/** A UUID that depends on the text alone (version 8, RFC 9562). */
export function hashUuid(text: string): string {
  const bytes = sha256Bytes(text).slice(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytesToHex(bytes);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

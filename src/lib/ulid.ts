/** ULIDs (26 characters of Crockford base32) from a given time and given bytes: nothing here draws a clock or a random number. */

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const TIME_LENGTH = 10;
const ENTROPY_BYTES = 10;

/** @param ms milliseconds since 1970, 0 to 2^48 - 1. @param entropy exactly 10 bytes. */
export function ulid(ms: number, entropy: Uint8Array): string {
  if (entropy.length !== ENTROPY_BYTES) throw new RangeError('a ULID takes 10 bytes of entropy');
  return encodeTime(ms) + encodeEntropy(entropy);
}

export function isUlid(text: string): boolean {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text);
}

/** The time part of a ULID, in milliseconds. */
export function ulidTime(text: string): number {
  let ms = 0;
  for (const letter of text.slice(0, TIME_LENGTH)) ms = ms * 32 + ALPHABET.indexOf(letter);
  return ms;
}

/** Characters without the last four bytes, in which those differ that are counted on from one (src/ingest/ids.ts). */
const COMMON_LENGTH = 19;

/** Whether both were counted on from one, and the first of them before the other. */
export function isEarlierSibling(first: string, other: string): boolean {
  return first.slice(0, COMMON_LENGTH) === other.slice(0, COMMON_LENGTH) && first < other;
}

function encodeTime(ms: number): string {
  if (!Number.isInteger(ms) || ms < 0 || ms > 2 ** 48 - 1)
    throw new RangeError('a ULID time is a 48-bit integer');
  let text = '';
  for (let rest = ms, i = 0; i < TIME_LENGTH; i++, rest = Math.floor(rest / 32))
    text = ALPHABET[rest % 32] + text;
  return text;
}

/** 80 bits, five at a time. */
function encodeEntropy(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(held >> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return text;
}

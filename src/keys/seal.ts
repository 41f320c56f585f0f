/**
 * Encryption of `event.user` at rest (EVT-10): AES-256-GCM under one key per environment, each derived from the deployment's
 * encryption key. The text form is `v1.<base64 of the 12 bytes of iv and the ciphertext>`.
 */
import { isObject, type JsonObject } from '../lib/json.ts';
import type { Entropy, Seal } from '../ports.ts';

const VERSION = 'v1.';
const IV_BYTES = 12;
const encoder = new TextEncoder();

/** @param secret the deployment's encryption key, any long random text. */
export function aesSeal(secret: string, entropy: Entropy): Seal {
  // The keys themselves, never their promises: a promise belongs to the request that made it.
  const keys = new Map<string, CryptoKey>();
  const keyOf = async (env: string): Promise<CryptoKey> => {
    const known = keys.get(env);
    if (known !== undefined) return known;
    const key = await deriveKey(secret, env);
    keys.set(env, key);
    return key;
  };
  return {
    async seal(plain, env) {
      const iv = entropy.bytes(IV_BYTES);
      const text = encoder.encode(JSON.stringify(plain));
      const cipher = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, await keyOf(env), text);
      const bytes = new Uint8Array(IV_BYTES + cipher.byteLength);
      bytes.set(iv);
      bytes.set(new Uint8Array(cipher), IV_BYTES);
      return VERSION + toBase64(bytes);
    },
    async open(sealed, env) {
      if (!sealed.startsWith(VERSION))
        throw new Error('user: sealed in a form that this version does not know');
      const bytes = fromBase64(sealed.slice(VERSION.length));
      const plain = await decrypt(bytes, await keyOf(env));
      const value: unknown = JSON.parse(new TextDecoder().decode(plain));
      if (!isObject(value)) throw new Error('user: expected an object in the seal');
      return value as JsonObject;
    },
  };
}

async function deriveKey(secret: string, env: string): Promise<CryptoKey> {
  const base = await crypto.subtle.importKey('raw', encoder.encode(secret), 'HKDF', false, ['deriveKey']);
  return crypto.subtle.deriveKey(
    {
      name: 'HKDF',
      hash: 'SHA-256',
      salt: new Uint8Array(),
      info: encoder.encode(`stepwell event.user ${env}`),
    },
    base,
    { name: 'AES-GCM', length: 256 },
    false,
    ['encrypt', 'decrypt'],
  );
}

async function decrypt(bytes: Uint8Array<ArrayBuffer>, key: CryptoKey): Promise<ArrayBuffer> {
  const iv = bytes.subarray(0, IV_BYTES);
  try {
    return await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, bytes.subarray(IV_BYTES));
  } catch {
    throw new Error('user: cannot be opened: altered, or sealed under another STEPWELL_ENCRYPTION_KEY');
  }
}

/** In slices: a call has room for so many arguments. */
function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let i = 0; i < bytes.length; i += 8_192) {
    binary += String.fromCharCode(...bytes.subarray(i, i + 8_192));
  }
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = decoded(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function decoded(base64: string): string {
  try {
    return atob(base64);
  } catch {
    throw new Error('user: the seal is not base64');
  }
}

/** Signatures under the keys of an environment. */
import { isSigned, sign } from '../protocol/signature.ts';
import { type KeyConfig, keysOf } from './access.ts';

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

/**
 * Who may do what: event keys open the event API (EK group), signing keys the rest (SK-13, RA-2). Closed by default: without
 * keys nothing is accepted. Development mode asks for none (EA-27, RA-6).
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { hashUuid } from '../lib/hash.ts';
import { isOneOf } from './compare.ts';

/** The part of the deployment's settings that keys depend on. */
export interface KeyConfig {
  dev: boolean;
  eventKeys: readonly string[];
  /** Current key first, then the fallback: both count during a rotation. */
  signingKeys: readonly string[];
}

/** What a key opens. One environment exists so far; keys of branch environments will name others (EA-20). */
export interface Access {
  env: string;
}

/** `keyId` tells keys apart without telling what they are (EVT-39). */
export interface EventAccess extends Access {
  keyId: string;
}

const PREFIX = /^signkey-\w+-/;

/** The one that this deployment is. */
export function environment(config: Pick<KeyConfig, 'dev'>): string {
  return config.dev ? 'dev' : 'production';
}

/** EK-14: with keys configured any other is refused, with none configured all are. An empty key is no key (EA-29). */
export function authorizeEventKey(config: KeyConfig, key: string): EventAccess | null {
  if (key === '' || !(config.dev || isOneOf(config.eventKeys, key))) return null;
  return { env: environment(config), keyId: hashUuid(`event key:${key}`) };
}

/** @param header the `Authorization` header; in development whatever SDKs put there is ignored (`Bearer undefined`, say). */
export function authorizeBearer(config: KeyConfig, header: string | null): Access | null {
  if (config.dev) return { env: environment(config) };
  const presented = /^Bearer +(\S+)$/i.exec(header?.trim() ?? '')?.[1];
  if (presented === undefined) return null;
  const accepted = config.signingKeys.flatMap(acceptedForms);
  return isOneOf(accepted, secretOf(presented)) ? { env: environment(config) } : null;
}

/** The part of a signing key that is secret (SK-3). */
export function secretOf(key: string): string {
  return key.replace(PREFIX, '');
}

/** The key's secret as it is and hashed as SDKs send it, both without prefix. */
function acceptedForms(key: string): string[] {
  const secret = secretOf(key);
  if (secret === '') return [];
  const isHex = /^(?:[0-9a-f]{2})+$/i.test(secret);
  return isHex ? [secret, bytesToHex(sha256(hexToBytes(secret)))] : [secret];
}

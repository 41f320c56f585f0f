/**
 * Who may do what: event keys open the event API (EK group), signing keys the rest (SK-13, RA-2). Closed by default: without
 * keys nothing is accepted. Development mode asks for none (EA-27, RA-6).
 */
import { hashUuid } from '../lib/hash.ts';
import { isOneOf } from '../lib/compare.ts';
import { hashedKey, secretOf } from '../protocol/signature.ts';

/** Current signing key first, then the fallback: both count during a rotation. */
export interface Keys {
  eventKeys: readonly string[];
  signingKeys: readonly string[];
}

/** The part of the deployment's settings that keys depend on. */
export interface KeyConfig extends Keys {
  dev: boolean;
  /** One set for all branch environments (ENV-3). */
  branch?: Keys;
}

/** What a key opens. */
export interface Access {
  env: string;
}

/** `keyId` tells keys apart without telling what they are (EVT-39). */
export interface EventAccess extends Access {
  keyId: string;
}

/** A key of the branch environments that does not say which one (ENV-11). */
export const NO_BRANCH = 'no branch';

const BRANCH = 'branch/';
const BRANCH_NAME = 256;
/** Events that came with a branch key and no name: kept, and nothing listens there (EA-22). */
const NAMELESS = 'branch';

/** The one that this deployment is. */
export function environment(config: Pick<KeyConfig, 'dev'>): string {
  return config.dev ? 'dev' : 'production';
}

/** The keys of an environment. */
export function keysOf(config: KeyConfig, env: string): Keys {
  return env.startsWith(BRANCH) ? (config.branch ?? { eventKeys: [], signingKeys: [] }) : config;
}

/**
 * EK-14: with keys configured any other is refused, with none configured all are. An empty key is no key (EA-29).
 * @param branch the `x-inngest-env` header, which other than branch keys do not look at (EA-20, EA-21).
 */
export function authorizeEventKey(
  config: KeyConfig,
  key: string,
  branch: string | null = null,
): EventAccess | null {
  if (key === '') return null;
  const keyId = hashUuid(`event key:${key}`);
  if (config.dev || isOneOf(config.eventKeys, key)) return { env: environment(config), keyId };
  if (!isOneOf(config.branch?.eventKeys ?? [], key)) return null;
  return { env: branchEnvironment(branch) ?? NAMELESS, keyId };
}

/** @param header the `Authorization` header; in development whatever SDKs put there is ignored (`Bearer undefined`, say). */
export function authorizeBearer(
  config: KeyConfig,
  header: string | null,
  branch: string | null = null,
): Access | typeof NO_BRANCH | null {
  if (config.dev) return { env: environment(config) };
  const presented = /^Bearer +(\S+)$/i.exec(header?.trim() ?? '')?.[1];
  if (presented === undefined) return null;
  const opens = ({ signingKeys }: Keys) => isOneOf(signingKeys.flatMap(acceptedForms), secretOf(presented));
  if (opens(config)) return { env: environment(config) };
  if (config.branch === undefined || !opens(config.branch)) return null;
  const env = branchEnvironment(branch);
  return env === null ? NO_BRANCH : { env };
}

/** ENV-6, ENV-12: there as soon as it is named. */
function branchEnvironment(header: string | null): string | null {
  const name = header?.trim() ?? '';
  return name === '' || [...name].length > BRANCH_NAME ? null : `${BRANCH}${name}`;
}

/** The key's secret as it is and hashed as SDKs send it, both without prefix. */
function acceptedForms(key: string): string[] {
  const secret = secretOf(key);
  return secret === '' ? [] : [secret, hashedKey(secret)];
}

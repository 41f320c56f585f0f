/** The UUIDs that the protocol wants for what has a name here: made of the name, so that they stay the same over all syncs (wire 0.3, 2.5). */
import { hashUuid } from '../lib/hash.ts';

export function accountUuid(): string {
  return hashUuid('account');
}

export function environmentUuid(env: string): string {
  return hashUuid(`environment:${env}`);
}

export function appUuid(env: string, appId: string): string {
  return hashUuid(`app:${env}:${appId}`);
}

/** @param functionId composite, `<app>-<function>`. */
export function functionUuid(env: string, functionId: string): string {
  return hashUuid(`function:${env}:${functionId}`);
}

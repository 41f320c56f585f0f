/** What an app tells of itself: its registration, in-band or not, and its introspection (SH-3, SH-4, SH-27, SH-29). */
import { sha256Hex } from '../../lib/hash.ts';
import { hashedKey } from '../../protocol/signature.ts';
import type { Settings } from '../settings.ts';
import type { InngestFunction } from '../function.ts';
import { version } from '../version.ts';

export interface AppFacts {
  id: string;
  appVersion: string | undefined;
  functions: ReadonlyMap<string, InngestFunction.Any>;
  framework: string;
  settings: Settings;
  /** Where the engine reaches it. */
  url: URL;
  isStreaming: boolean;
}

const CAPABILITIES = { in_band_sync: 'v1', trust_probe: 'v1' };

/** Wire 2.4. */
function functions({ id: appId, functions: served, url }: AppFacts): object[] {
  return [...served.values()].map((fn) => {
    const { id, name, retries, ...rest } = fn.config(appId);
    const own = new URL(url);
    own.searchParams.set('fnId', String(id));
    own.searchParams.set('stepId', 'step');
    const runtime = { type: 'http', url: own.href };
    const attempts = retries === undefined ? {} : { retries: { attempts: retries } };
    return { ...rest, id, name, steps: { step: { id: 'step', name: 'step', runtime, ...attempts } } };
  });
}

/** The body of `POST /fn/register`. */
export function registration(app: AppFacts, deployId: string | null): object {
  const { id, appVersion, framework, url } = app;
  return {
    url: url.href,
    deployType: 'ping',
    framework,
    appName: id,
    ...(appVersion === undefined ? {} : { appVersion }),
    functions: functions(app),
    sdk: `js:v${version}`,
    v: '0.1',
    ...(deployId === null ? {} : { deployId }),
    capabilities: CAPABILITIES,
  };
}

/** The answer to an in-band sync. */
export function inBand(app: AppFacts): object {
  const { id, appVersion, framework, settings, url } = app;
  return {
    app_id: id,
    ...(appVersion === undefined ? {} : { appVersion }),
    capabilities: CAPABILITIES,
    env: settings.environment,
    framework,
    functions: functions(app),
    inspection: inspection(app, true),
    platform: settings.platform,
    sdk: `js:v${version}`,
    sdk_author: 'stepwell',
    sdk_language: 'js',
    sdk_version: version,
    url: url.href,
  };
}

/** @param isTrusted whoever asks has shown that it has the signing key. */
export function inspection(app: AppFacts, isTrusted: boolean): object {
  const { settings, functions: served, isStreaming } = app;
  const { mode, eventKey, signingKeys } = settings;
  const plain = {
    schema_version: '2024-05-24',
    mode,
    function_count: served.size,
    has_event_key: eventKey !== null,
    has_signing_key: signingKeys.length > 0,
    extra: { is_mode_explicit: settings.explicit },
  };
  if (!isTrusted) return plain;
  const { id, framework, url } = app;
  const [key, fallback] = signingKeys;
  return {
    ...plain,
    authentication_succeeded: true,
    app_id: id,
    api_origin: settings.apiUrl,
    event_api_origin: settings.eventUrl,
    capabilities: CAPABILITIES,
    env: settings.environment,
    framework,
    sdk_language: 'js',
    sdk_version: version,
    serve_origin: url.origin,
    serve_path: url.pathname,
    event_key_hash: eventKey === null ? null : shortHash(sha256Hex(eventKey)),
    signing_key_hash: key === undefined ? null : shortHash(hashedSecret(key)),
    signing_key_fallback_hash: fallback === undefined ? null : shortHash(hashedSecret(fallback)),
    extra: { ...plain.extra, is_streaming: isStreaming },
  };
}

function hashedSecret(key: string): string {
  return hashedKey(key).replace(/^signkey-\w+-/, '');
}

function shortHash(hash: string): string {
  return hash.slice(0, 12);
}

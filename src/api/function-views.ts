/** Apps and functions as API clients see them. */
import type { FunctionConfig } from '../protocol/function.ts';
import { appUuid } from '../protocol/uuids.ts';
import type { AppRecord, Pause, RegisteredFunction } from '../ports.ts';
import { rfc3339 } from './answer.ts';

/** As the protocol's development server lists it (wire 1.3), and a little more. */
export function functionView({ config, uuid, version, app }: RegisteredFunction, pause?: Pause) {
  const { id: slug, name, triggers, retries, ...options } = config;
  return {
    id: uuid,
    fv: version,
    name,
    slug,
    triggers,
    steps: app === null ? [] : [{ id: 'step', name: 'step', uri: stepUrl(app.url, config), retries }],
    /** Null: its code is in this Worker. */
    app: app && { id: app.uuid, name: app.id, sdk: app.sdk, url: app.url },
    retries,
    /** Null: it is not (PA-1). */
    paused: pauseView(pause),
    ...options,
  };
}

export function pauseView(pause: Pause | undefined) {
  return pause === undefined ? null : { since: rfc3339(pause.since), runs: pause.mode };
}

function stepUrl(url: string, { id }: FunctionConfig): string {
  const full = new URL(url);
  full.searchParams.set('fnId', id);
  full.searchParams.set('stepId', 'step');
  return full.href;
}

export function appView(env: string, app: AppRecord) {
  const { syncedAt, archivedAt, id, ...rest } = app;
  const [sdkLanguage = '', sdkVersion = ''] = app.sdk.split(':v');
  return {
    id: appUuid(env, id),
    name: id,
    ...rest,
    sdkLanguage,
    sdkVersion,
    syncedAt: rfc3339(syncedAt),
    archivedAt: archivedAt === null ? null : rfc3339(archivedAt),
  };
}

/**
 * Syncs that the engine asks for (AP-30 to AP-34, wire 2.2): in-band where it has a key to sign with, so that the app answers with all
 * that it serves; else the app is asked to register by itself.
 */
import { readAnswer } from './registration.ts';
import { register, type RegisterDeps } from './register.ts';
import { isFromSdk, said, visit, VisitFailed, type Visit, type VisitDeps } from './visit.ts';

export type SyncDeps = RegisterDeps & VisitDeps;

export interface Synced {
  /** The app's id, where it is known which one registered. */
  app: string | null;
  /** Null where an app that registered by itself did not say. */
  modified: boolean | null;
  syncId: string;
}

/** Throws `VisitFailed` and `RegistrationRefused`. @param syncId new. */
export async function sync(deps: SyncDeps, env: string, url: string, syncId: string): Promise<Synced> {
  const isInBand = !deps.keys.dev;
  const answer = await visit(deps, env, isInBand ? url : tied(url, syncId), {
    method: 'PUT',
    body: JSON.stringify({ url }),
    headers: isInBand ? { 'x-inngest-sync-kind': 'in_band' } : {},
  });
  refuseFailure(answer);
  return answer.headers.get('x-inngest-sync-kind') === 'in_band'
    ? takeIn(deps, env, answer, syncId)
    : registered(deps, env, url, answer, syncId);
}

/** AP-23. */
function tied(url: string, syncId: string): string {
  if (!URL.canParse(url)) return url;
  const full = new URL(url);
  full.searchParams.set('deployId', syncId);
  return full.href;
}

function refuseFailure(answer: Visit): void {
  const { status } = answer;
  if (!isFromSdk(answer))
    throw new VisitFailed(`no SDK answered there (status ${status}): is it the URL of an app?`);
  if (status === 401 || status === 403) {
    throw new VisitFailed(
      `the app refused with status ${status}: it has another signing key, or another mode`,
    );
  }
  const reason = said(answer, 'error', 'message', 'code');
  // Python answers 200 whatever became of its registration.
  const hasFailed = status !== 200 || said(answer, 'error') !== null;
  if (hasFailed) throw new VisitFailed(`the app answered ${status}${reason === null ? '' : `: ${reason}`}`);
}

async function takeIn(deps: SyncDeps, env: string, answer: Visit, syncId: string): Promise<Synced> {
  // XL-44.
  if (!deps.isSigned(answer.headers.get('x-inngest-signature'), answer.text, env)) {
    throw new VisitFailed('the answer of the app is not signed with the signing key of this deployment');
  }
  const registration = readAnswer(answer.text);
  const reason = deps.network.refusal(registration.app.url);
  if (reason !== null) throw new VisitFailed(`the app reports an address that may not be called: ${reason}`);
  const { modified } = await register(deps, env, registration, syncId);
  return { app: registration.app.id, modified, syncId };
}

/** AP-33: it has called `/fn/register` by itself. */
async function registered(
  { apps }: SyncDeps,
  env: string,
  url: string,
  answer: Visit,
  syncId: string,
): Promise<Synced> {
  const records = await apps.load(env);
  const app = records?.apps.find((one) => one.url === new URL(url).href)?.id ?? null;
  const modified = answer.json?.['modified'];
  return { app, modified: typeof modified === 'boolean' ? modified : null, syncId };
}

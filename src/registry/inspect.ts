/** How an app is doing, asked of the app itself (AP-43, SR-3, SR-9). */
import { isFromSdk, said, visit, VisitFailed, type Visit, type VisitDeps } from './visit.ts';

export interface Inspection {
  /** What is wrong, in words; empty when nothing is. */
  problems: string[];
  /** Status of the answer; null when there was none. */
  status: number | null;
  sdk: string | null;
  mode: string | null;
  functions: number | null;
  /** Whether both sides have the same signing key; null where keys are not looked at. */
  trusted: boolean | null;
}

export async function inspect(deps: VisitDeps, env: string, url: string): Promise<Inspection> {
  try {
    const answer = await visit(deps, env, url, { method: 'GET', body: null });
    const trusted = deps.keys.dev ? null : await isTrusted(deps, env, url);
    return { ...described(answer), problems: problems(deps, answer, trusted), trusted };
  } catch (error) {
    if (!(error instanceof VisitFailed)) throw error;
    const nothing = { status: null, sdk: null, mode: null, functions: null, trusted: null };
    return { ...nothing, problems: [error.message] };
  }
}

/** The trust probe: only who has the key takes the request and can sign the answer. */
async function isTrusted(deps: VisitDeps, env: string, url: string): Promise<boolean> {
  const probe = new URL(url);
  probe.searchParams.set('probe', 'trust');
  const answer = await visit(deps, env, probe.href, { method: 'POST', body: '{}' });
  return answer.status === 200 && deps.isSigned(answer.headers.get('x-inngest-signature'), answer.text, env);
}

function described(answer: Visit): Omit<Inspection, 'problems' | 'trusted'> {
  const count = answer.json?.['function_count'];
  return {
    status: answer.status,
    sdk: answer.headers.get('x-inngest-sdk'),
    mode: said(answer, 'mode'),
    functions: typeof count === 'number' ? count : null,
  };
}

function problems({ keys }: VisitDeps, answer: Visit, trusted: boolean | null): string[] {
  if (!isFromSdk(answer)) return [`no SDK answers there (status ${answer.status})`];
  const kind = keys.dev ? 'dev' : 'cloud';
  const mode = said(answer, 'mode');
  return [
    ...(trusted === false ? ['the app has another signing key than this deployment'] : []),
    ...(mode !== null && mode !== kind ? [`the app is in ${mode} mode, this server in ${kind} mode`] : []),
    ...(keys.dev && answer.status === 401 ? ['the app is in cloud mode, this server in dev mode'] : []),
  ];
}

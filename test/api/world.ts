/** The HTTP front over ports in memory. */
import { api } from '../../src/api/app.ts';
import type { ApiDeps } from '../../src/api/deps.ts';
import type { Signals } from '../../src/ports.ts';
import type { RunView } from '../../src/protocol/run.ts';
import type { SentSignal } from '../../src/protocol/signal.ts';
import { idAt, NOW } from '../ingest/world.ts';
import { dispatchWorld } from '../dispatch/world.ts';

const SIGNING_KEY = 'signkey-prod-0123456789abcdef';
export const AUTH = { authorization: `Bearer ${SIGNING_KEY}` };

/** One run waits for each of these signals; what was sent is written down. */
class MemorySignals implements Pick<Signals, 'send'> {
  readonly waiting = new Map<string, string>();
  readonly sent: { env: string; signal: string; sent: SentSignal }[] = [];

  async send(env: string, signal: string, sent: SentSignal): Promise<string | null> {
    this.sent.push({ env, signal, sent });
    return this.waiting.get(signal) ?? null;
  }
}

export function apiWorld(keys: Partial<ApiDeps['keys']> = {}) {
  const base = { ...dispatchWorld(), signals: new MemorySignals() };
  const deps: ApiDeps = {
    ...base,
    keys: { dev: false, eventKeys: ['event-key'], signingKeys: [SIGNING_KEY], ...keys },
    version: '1.2.3',
  };
  const app = api(deps);
  const call = async (method: string, path: string, init: RequestInit = {}): Promise<Response> =>
    app.request(path, { method, ...init });
  /** With the signing key; the parsed answer. */
  const get = async (path: string, method = 'GET'): Promise<{ status: number; body: Answer }> => {
    const response = await call(method, path, { headers: AUTH });
    return { status: response.status, body: (await response.json()) as Answer };
  };
  return { ...base, deps, call, get };
}

// oxlint-disable-next-line typescript/no-explicit-any -- answers are looked at from outside
export type Answer = any;

export function view(runId: string, over: Partial<RunView> = {}): RunView {
  return {
    runId,
    env: 'production',
    functionId: 'app-f',
    eventIds: [idAt(1)],
    status: 'Running' as const,
    queuedAt: NOW,
    startedAt: NOW + 1,
    endedAt: null,
    output: null,
    ...over,
  };
}

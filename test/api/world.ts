/** The HTTP front over ports in memory. */
import { api } from '../../src/api/app.ts';
import type { ApiDeps } from '../../src/api/deps.ts';
import { appNetwork } from '../../src/call/network.ts';
import { cancelRun } from '../../src/dispatch/cancel.ts';
import { environment } from '../../src/keys/access.ts';
import { signatures } from '../../src/keys/sign.ts';
import type { Crons, Gates, LineOwner, Signals, Sweeps } from '../../src/ports.ts';
import type { RunView } from '../../src/protocol/run.ts';
import type { SentSignal } from '../../src/protocol/signal.ts';
import type { LimitChange, LimitChoice, LineState } from '../../src/protocol/slot.ts';
import { idAt, NOW } from '../ingest/world.ts';
import { dispatchWorld } from '../dispatch/world.ts';

export const SIGNING_KEY = 'signkey-prod-0123456789abcdef';
export const AUTH = { authorization: `Bearer ${SIGNING_KEY}` };

/** Which environments were to compare their schedules. */
class MemoryCrons implements Pick<Crons, 'sync'> {
  readonly synced: string[] = [];
  fails = false;
  async sync(env: string): Promise<void> {
    if (this.fails) throw new Error('secret-value');
    this.synced.push(env);
  }
}

/** One run waits for each of these signals; what was sent is written down. */
class MemorySignals implements Pick<Signals, 'send'> {
  readonly waiting = new Map<string, string>();
  readonly sent: { env: string; signal: string; sent: SentSignal }[] = [];

  async send(env: string, signal: string, sent: SentSignal): Promise<string | null> {
    this.sent.push({ env, signal, sent });
    return this.waiting.get(signal) ?? null;
  }
}

/** How often a sweep was made sure of. */
class MemorySweeps implements Sweeps {
  armed = 0;
  readonly made = { alarms: 0, asks: 0, reports: 0, events: 0 };
  async arm(): Promise<void> {
    this.armed++;
  }
  async repairs() {
    return this.made;
  }
}

export function apiWorld(keys: Partial<ApiDeps['keys']> = {}) {
  const dev = keys.dev === true;
  const base = {
    ...dispatchWorld(undefined, {}, environment({ dev })),
    signals: new MemorySignals(),
    sweeps: new MemorySweeps(),
  };
  const crons = new MemoryCrons();
  const gates = new RecordedGates();
  /** What the apps answer. */
  const answers = {
    fetch: async (_request: Request): Promise<Response> => new Response(null, { status: 404 }),
  };
  const network = appNetwork(
    { ORDERS: { fetch: (request: Request) => answers.fetch(request) }, PLAIN: 'text' },
    { fetch: (request) => answers.fetch(request), allowsPrivate: dev },
  );
  const health = { backlog: 3, repairs: base.sweeps.made };
  const all = { dev, eventKeys: ['event-key'], signingKeys: [SIGNING_KEY], ...keys };
  const deps: ApiDeps = {
    ...base,
    ...signatures(all, base.clock),
    crons,
    gates,
    eventQueue: { backlog: async () => health.backlog },
    network,
    keys: all,
    cancelRun: (env, runId) => cancelRun(base, env, runId),
    remoteRuns: { checkpoint: async () => null, snapshot: async () => null },
    version: '1.2.3',
    environment: environment(all),
  };
  const app = api(deps);
  const call = async (method: string, path: string, init: RequestInit = {}): Promise<Response> =>
    app.request(path, { method, ...init });
  /** With the signing key; the parsed answer. */
  const get = async (path: string, method = 'GET'): Promise<{ status: number; body: Answer }> => {
    const response = await call(method, path, { headers: AUTH });
    return { status: response.status, body: (await response.json()) as Answer };
  };
  return { ...base, crons, limits: gates, answers, deps, call, get, routes: app.routes };
}

/** Says what it is told to say of lines, and writes changes down. */
class RecordedGates implements Pick<Gates, 'lines' | 'change'> {
  readonly changed: [LimitChoice, LimitChange | null][] = [];
  readonly asked: LineOwner[] = [];
  state: LineState[] = [];

  async lines(owner: LineOwner): Promise<LineState[]> {
    this.asked.push(owner);
    return this.state;
  }

  async change(choice: LimitChoice, to: LimitChange | null): Promise<void> {
    this.changed.push([choice, to]);
  }
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

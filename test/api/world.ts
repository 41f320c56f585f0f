/** The HTTP front over ports in memory. */
import { api } from '../../src/api/app.ts';
import type { ApiDeps } from '../../src/api/deps.ts';
import type { Gates, LineOwner } from '../../src/ports.ts';
import type { RunView } from '../../src/protocol/run.ts';
import type { LimitChange, LimitChoice, LineState } from '../../src/protocol/slot.ts';
import { idAt, NOW } from '../ingest/world.ts';
import { dispatchWorld } from '../dispatch/world.ts';

const SIGNING_KEY = 'signkey-prod-0123456789abcdef';
export const AUTH = { authorization: `Bearer ${SIGNING_KEY}` };

export function apiWorld(keys: Partial<ApiDeps['keys']> = {}) {
  const base = dispatchWorld();
  const gates = new RecordedGates();
  const deps: ApiDeps = {
    ...base,
    gates,
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
  return { ...base, gates, deps, call, get };
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

/** Dispatch in memory: the ports of intake, run objects, functions, and messages that remember what became of them. */
import type { Message } from '../../src/dispatch/delivery.ts';
import { isActive, launch } from '../../src/dispatch/launch.ts';
import type { Resent } from '../../src/dispatch/sweep.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import type { Runs, SignalWaiters, SlotHolders, Waiters, Waits } from '../../src/ports.ts';
import type { Repairs } from '../../src/protocol/rpc.ts';
import { functionConfig } from '../../src/protocol/function.ts';
import type {
  Hold,
  RunCheck,
  RunEnding,
  RunStart,
  RunSummary,
  RunTrace,
  RunView,
  StepAnswer,
} from '../../src/protocol/run.ts';
import { createRegistry } from '../../src/registry/registry.ts';
import { MemoryGates } from '../fakes/gates.ts';
import { world } from '../ingest/world.ts';

class MemoryRuns implements Runs, Waiters, SignalWaiters, SlotHolders {
  /** Every call, repeats included. */
  calls: RunStart[] = [];
  started = new Map<string, RunStart>();
  /** Of runs that end as soon as they are started. */
  endings = new Map<string, RunEnding>();
  checks = new Map<string, RunCheck | Error>();
  asked: string[] = [];
  purged: string[] = [];
  views = new Map<string, RunView | Error>();
  traces = new Map<string, RunTrace>();
  cancelled: string[] = [];
  fail: (run: RunStart) => boolean = () => false;
  atOnce = 0;
  mostAtOnce = 0;

  async start(run: RunStart): Promise<RunEnding | null> {
    this.calls.push(run);
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce);
    await Promise.resolve();
    this.atOnce--;
    if (this.fail(run)) throw new Error('secret-value');
    if (!this.started.has(run.runId)) this.started.set(run.runId, run);
    return this.endings.get(run.runId) ?? null;
  }
  async cancel(runId: string): Promise<'cancelled' | 'ended' | 'unknown'> {
    const view = await this.read(runId);
    if (view === null) return 'unknown';
    if (view.endedAt !== null) return 'ended';
    this.views.set(runId, { ...view, status: 'Cancelled', endedAt: view.queuedAt + 1 });
    this.cancelled.push(runId);
    return 'cancelled';
  }
  readonly holds: ({ runId: string } & Hold)[] = [];
  async hold(runId: string, hold: Hold): Promise<void> {
    if (this.unreachable.has(runId)) throw new Error('secret-value');
    this.holds.push({ runId, ...hold });
  }
  async read(runId: string): Promise<RunView | null> {
    const view = this.views.get(runId) ?? null;
    if (view instanceof Error) throw view;
    return view;
  }
  async trace(runId: string): Promise<RunTrace | null> {
    return this.traces.get(runId) ?? null;
  }
  async check(runId: string): Promise<RunCheck> {
    this.asked.push(runId);
    const check = this.checks.get(runId) ?? { state: 'unknown' };
    if (check instanceof Error) throw check;
    return check;
  }
  /** Runs that cannot be told an answer. */
  readonly unreachable = new Set<string>();
  readonly answers: { runId: string; key: string; answer: StepAnswer }[] = [];
  async grant(): Promise<'taken' | 'gone'> {
    return 'gone';
  }
  async answer(runId: string, key: string, answer: StepAnswer): Promise<'taken'> {
    if (this.unreachable.has(runId)) throw new Error('secret-value');
    this.answers.push({ runId, key, answer });
    return 'taken';
  }
  async tell(): Promise<'gone'> {
    return 'gone';
  }
  async awaits(): Promise<boolean> {
    return false;
  }
  async resume(): Promise<'gone'> {
    return 'gone';
  }
  async purge(runId: string): Promise<void> {
    this.purged.push(runId);
    if (this.checks.get(runId) instanceof Error) throw this.checks.get(runId) as Error;
  }
}

/** Nobody waits; what is delivered is written down. */
class MemoryWaits implements Pick<Waits, 'deliver'> {
  readonly delivered: string[] = [];
  fails = false;
  async deliver(_env: string, name: string, events: StoredEvent[]): Promise<void> {
    if (this.fails) throw new Error('secret-value');
    this.delivered.push(...events.map(({ internalId }) => `${name} ${internalId}`));
  }
}

/** The end of a run from which nothing else follows. */
export function ending(summary: RunSummary): RunEnding {
  return { summary, parent: null, events: [] };
}

export class TestMessage implements Message {
  fate: 'none' | 'acknowledged' | { retriedAfter: number | undefined } = 'none';
  readonly body: unknown;
  readonly attempts: number;
  constructor(body: unknown, attempts = 1) {
    this.body = structuredClone(body);
    this.attempts = attempts;
  }
  ack(): void {
    this.fate = 'acknowledged';
  }
  retry(options?: { delaySeconds?: number }): void {
    this.fate = { retriedAfter: options?.delaySeconds };
  }
}

/** @param functions of this Worker: ids and the names that start them. @param options of all of them. */
export function dispatchWorld(
  functions: Record<string, string[]> = { 'app-f': ['a/b'] },
  options: object = {},
  environment = 'production',
) {
  const base = world();
  const runs = new MemoryRuns();
  const configs = Object.entries(functions).map(([id, names]) =>
    functionConfig.parse({ id, name: id, triggers: names.map((event) => ({ event })), ...options }),
  );
  const registry = createRegistry(base.apps, { environment, configs }, base.clock);
  const resent: Resent = new Map();
  const repairs: (keyof Repairs)[] = [];
  const repaired = (what: keyof Repairs) => void repairs.push(what);
  const ports = { ...base, runs, waits: new MemoryWaits(), functions: registry };
  const gates: MemoryGates = new MemoryGates({
    ...base,
    launch: (window) => launch({ ...ports, gates }, window),
    holders: {
      isActive: (holder) => isActive(ports, environment, holder, base.clock.now()),
      cancel: (runId) => runs.cancel(runId),
    },
  });
  return { ...ports, gates, resent, repairs, repaired };
}

/** One gate, with time and the runs that it tells in the hands of the test. */
import { GateOwner } from '../../durable-objects/gate-owner.ts';
import { functionConfig, type FunctionConfig } from '../../src/protocol/function.ts';
import type { Granted, SlotAsk, SlotLimit } from '../../src/protocol/slot.ts';
import { emptyDisk, memoryWaitsStorage } from '../fakes/waits.ts';
import { registryOf } from '../fakes/registry.ts';

export const START = 1_800_000_000_000;

interface Told {
  runId: string;
  granted: Granted;
}

/** `app-fn` and others, as their authors configure them. */
export function configured(id: string, flow: object): FunctionConfig {
  return functionConfig.parse({ id, name: id, triggers: [{ event: 'test/event' }], ...flow });
}

export class GateWorld {
  now = START;
  readonly disk = emptyDisk();
  functions: FunctionConfig[];
  throttleMode: 'smooth' | 'limit-plus-burst' = 'smooth';
  readonly told: Told[] = [];
  readonly errors: string[] = [];
  /** What a run answers that is told of its slot. */
  tell: (told: Told) => Promise<'taken' | 'gone'> = async () => 'taken';
  owner: GateOwner;

  constructor(...functions: FunctionConfig[]) {
    this.functions = functions;
    this.owner = this.#build();
  }

  /** All that is in memory is lost. */
  crash(): void {
    this.owner = this.#build();
  }

  /** Time passes, and the alarm goes off whenever it is due. */
  async pass(ms: number): Promise<void> {
    const until = this.now + ms;
    while (this.disk.alarm !== null && this.disk.alarm <= until) {
      this.now = Math.max(this.now, this.disk.alarm);
      this.disk.alarm = null;
      await this.owner.alarm();
    }
    this.now = until;
  }

  async ask(runId: string, over: Partial<SlotAsk> = {}): Promise<string> {
    const { is } = await this.owner.acquire(askOf(runId, over));
    return this.#calm(is);
  }

  async release(runId: string, over: Partial<SlotAsk> = {}): Promise<void> {
    const { wait: _, ...claim } = askOf(runId, over);
    await this.#calm(await this.owner.release(claim));
  }

  /** Runs that were told of a slot since the last look. */
  news(): string[] {
    return this.told.splice(0).map(({ runId }) => runId);
  }

  rows(table: 'waiting' | 'lease' | 'rate'): number {
    const exists = this.disk.database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'waiting'").get();
    if (exists === undefined) return 0;
    return Number(this.disk.database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']);
  }

  /** Until those who are to be told have been. */
  async #calm<Value>(value: Value): Promise<Value> {
    await new Promise<void>((resolve) => void setImmediate(resolve));
    return value;
  }

  #build(): GateOwner {
    return new GateOwner({
      storage: memoryWaitsStorage(this.disk),
      clock: { now: () => this.now },
      log: { error: (message) => void this.errors.push(message) },
      functions: registryOf(() => this.functions),
      config: this,
      runs: {
        grant: (runId, granted) => {
          this.told.push({ runId, granted });
          return this.tell({ runId, granted });
        },
      },
      launch: () => Promise.reject(new Error('nothing is collected here')),
      holders: { isActive: async () => true, cancel: async () => 'unknown' },
      abort: (reason) => {
        throw new Error(reason);
      },
    });
  }
}

const LEASE_LIMIT: SlotLimit = { policy: 'concurrency', scope: 'fn', n: 0, key: '' };
export const START_LIMIT: SlotLimit = { policy: 'throttle', scope: 'fn', n: 0, key: '' };

export function askOf(runId: string, over: Partial<SlotAsk> = {}): SlotAsk {
  return {
    env: 'main',
    functionId: 'app-fn',
    runId,
    limit: LEASE_LIMIT,
    score: START,
    eventId: runId,
    turn: 1,
    wait: true,
    ...over,
  };
}

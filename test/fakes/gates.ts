/** The gates of functions in memory: their own code on SQLite, one object for each function. Alarms go off when a test lets time pass. */
import { GateStarts, type StartDeps } from '../../durable-objects/gate-starts.ts';
import type { Clock, StartGates } from '../../src/ports.ts';
import type { GateOf } from '../../src/protocol/gate.ts';
import { emptyDisk, memoryWaitsStorage, type WaitsDisk } from './waits.ts';

interface OneGate {
  starts: GateStarts;
  disk: WaitsDisk;
  /** Counts up: a storage works for one of its lives. */
  life: number;
}

type Deps = Omit<StartDeps, 'transact' | 'planBy'> & { clock: Clock };

export class MemoryGates implements StartGates {
  readonly #deps: Deps;
  readonly #gates = new Map<string, OneGate>();
  /** Calls so far. */
  calls = 0;
  /** Calls fail while this is true. */
  fails = false;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  collect: StartGates['collect'] = async (of, policy, events) => this.#at(of).collect(of, policy, events);
  rate: StartGates['rate'] = async (of, space, entrants) => this.#at(of).rate(entrants, space);
  single: StartGates['single'] = async (of, mode, entrants) => this.#at(of).single(entrants, mode);

  /** All that is in memory is lost, what it was doing never goes on. */
  crash(): void {
    for (const gate of this.#gates.values()) this.#begin(gate);
  }

  /** Those alarms that are due by now. */
  async alarms(): Promise<void> {
    for (const { starts, disk } of this.#gates.values()) {
      if (disk.alarm === null || disk.alarm > this.#deps.clock.now()) continue;
      disk.alarm = null;
      await starts.alarm();
    }
  }

  #at({ env, functionId }: GateOf): GateStarts {
    this.calls++;
    if (this.fails) throw new Error('secret-value');
    const name = `${env} ${functionId}`;
    const known = this.#gates.get(name) ?? this.#make();
    this.#gates.set(name, known);
    return known.starts;
  }

  #make(): OneGate {
    return this.#begin({ disk: emptyDisk(), life: 0 } as OneGate);
  }

  #begin(gate: OneGate): OneGate {
    const { disk } = gate;
    const life = ++gate.life;
    const storage = memoryWaitsStorage(disk, () => gate.life === life);
    const now = () => this.#deps.clock.now();
    gate.starts = new GateStarts(storage, {
      ...this.#deps,
      transact: (work) => storage.transact(() => work(now())),
      planBy: (at) => storage.setAlarm(Math.min(Math.max(at, now() + 1), disk.alarm ?? Infinity)),
    });
    return gate;
  }
}

/** The objects that decide who may start and who may execute: the real owners, as src/objects.ts names them. */
import { GateOwner, type GateDeps } from '../../durable-objects/gate-owner.ts';
import type { Env } from '../../src/env.ts';
import { objectGates } from '../../src/objects.ts';
import type { Gates, StartGates } from '../../src/ports.ts';
import type { GateRpc } from '../../src/protocol/rpc.ts';
import type { Bug } from './bugs.ts';
import { DiskObject } from './disk-object.ts';
import type { Faults } from './faults.ts';
import type { World } from './world.ts';

type SimGatesDeps = Omit<GateDeps, 'storage' | 'abort' | 'clock'> & { bug: Bug };

export class SimGates {
  /** What runs and dispatch are given. */
  readonly gates: Gates & StartGates;
  readonly #world: World;
  readonly #faults: Faults;
  readonly #deps: SimGatesDeps;
  readonly #objects = new Map<string, DiskObject<GateOwner>>();

  constructor(world: World, faults: Faults, deps: SimGatesDeps) {
    this.#world = world;
    this.#faults = faults;
    this.#deps = deps;
    const binding = { idFromName: (name: string) => name, get: (name: string) => this.#stub(name) };
    this.gates = objectGates({ GATE: binding } as unknown as Env);
  }

  get all(): DiskObject<GateOwner>[] {
    return [...this.#objects.values()];
  }

  /** Runs that hold a lease, or wait for one. */
  left(table: 'lease' | 'waiting'): { name: string; runId: string }[] {
    return this.all.flatMap(({ name, disk: { database } }) => {
      const isMade = database.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').get(table) !== undefined;
      const rows = isMade ? database.prepare(`SELECT run FROM ${table}`).all() : [];
      return rows.map(({ run }) => ({ name, runId: String(run) }));
    });
  }

  #stub(name: string): GateRpc {
    const call = <Result>(work: (owner: GateOwner) => Promise<Result>) => this.#object(name).call(work);
    return {
      acquire: (ask) => call((owner) => owner.acquire(ask)),
      release: (claim) => call((owner) => owner.release(claim)),
      collect: (...given) => call((owner) => owner.collect(...given)),
      rate: (...given) => call((owner) => owner.rate(...given)),
      single: (...given) => call((owner) => owner.single(...given)),
      look: (claim) => call((owner) => owner.look(claim)),
      lines: () => call((owner) => owner.lines()),
      change: (...given) => call((owner) => owner.change(...given)),
    };
  }

  #object(name: string): DiskObject<GateOwner> {
    let object = this.#objects.get(name);
    if (object === undefined) {
      const { bug, ...deps } = this.#deps;
      const { clock } = this.#world;
      object = new DiskObject(this.#world, this.#faults, {
        name: `gate ${name}`,
        wakes: bug.gateWakes,
        make: (given, life) => {
          const storage = bug.gateStorage?.(given) ?? given;
          return new GateOwner({ ...deps, storage, clock, abort: () => life.die() });
        },
      });
      this.#objects.set(name, object);
    }
    return object;
  }
}

/**
 * The objects that keep the waits for one event name each. One with which nothing was ever registered has no rows, and is not even made:
 * events pass it.
 */
import { WaitsOwner, type WaitsDeps } from '../../durable-objects/waits-owner.ts';
import { systemTimer } from '../../src/ingest/patience.ts';
import { eventView } from '../../src/protocol/event.ts';
import type { WaitsRpc } from '../../src/protocol/rpc.ts';
import type { WaitsDisk } from '../fakes/waits.ts';
import type { Bug } from './bugs.ts';
import { DiskObject } from './disk-object.ts';
import type { Faults } from './faults.ts';
import type { Outage } from './outages.ts';
import type { World } from './world.ts';

type SimWaitsDeps = Pick<WaitsDeps, 'history' | 'waiters' | 'log'> & {
  bug: Bug;
  outage: Outage;
};

export class SimWaits {
  readonly #world: World;
  readonly #faults: Faults;
  readonly #deps: SimWaitsDeps;
  readonly #objects = new Map<string, DiskObject<WaitsOwner>>();

  constructor(world: World, faults: Faults, deps: SimWaitsDeps) {
    this.#world = world;
    this.#faults = faults;
    this.#deps = deps;
  }

  get all(): DiskObject<WaitsOwner>[] {
    return [...this.#objects.values()];
  }

  /** What src/objects.ts finds behind a binding. */
  stub(name: string): WaitsRpc {
    const { listens = (owner, waits) => owner.listen(waits) } = this.#deps.bug;
    return {
      listen: (waits) => this.#object(name).call((owner) => listens(owner, waits)),
      deliver: (events) => this.#callKnown(name, undefined, (owner) => owner.deliver(events)),
      expire: (runId, key) => this.#callKnown(name, null, (owner) => owner.expire(runId, key)),
      drop: (runId, keys) => this.#callKnown(name, undefined, (owner) => owner.drop(runId, keys)),
    };
  }

  /** Waits that are registered. */
  left(): { name: string; runId: string; key: string }[] {
    return this.all.flatMap(({ name, disk }) =>
      hasRows(disk)
        ? disk.database
            .prepare('SELECT run, key FROM wait')
            .all()
            .map(({ run, key }) => ({ name, runId: String(run), key: String(key) }))
        : [],
    );
  }

  #object(name: string): DiskObject<WaitsOwner> {
    let object = this.#objects.get(name);
    if (object === undefined) {
      const { bug, outage, ...deps } = this.#deps;
      const rest = { clock: this.#world.clock, timer: systemTimer, view: eventView };
      object = new DiskObject(this.#world, this.#faults, {
        name: `waits ${name}`,
        wakes: bug.waitsWake,
        outage,
        make: (storage, life) => new WaitsOwner({ ...deps, ...rest, storage, abort: () => life.die() }),
      });
      this.#objects.set(name, object);
    }
    return object;
  }

  async #callKnown<Result>(
    name: string,
    otherwise: Result,
    work: (owner: WaitsOwner) => Promise<Result>,
  ): Promise<Result> {
    return (await this.#objects.get(name)?.call(work)) ?? otherwise;
  }
}

function hasRows({ database }: WaitsDisk): boolean {
  return database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'wait'").get() !== undefined;
}

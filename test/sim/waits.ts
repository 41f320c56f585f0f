/**
 * The objects that keep the waits for one event name each: rows and an alarm, which survive, and the real `WaitsOwner` in memory, which
 * may be gone at any moment. An object with which nothing was ever registered has no rows, and is not even made: events pass it.
 */
import { WaitsOwner } from '../../durable-objects/waits-owner.ts';
import type { ObjectStorage } from '../../durable-objects/storage.ts';
import { systemTimer } from '../../src/ingest/patience.ts';
import type { Log, Store, Waiters } from '../../src/ports.ts';
import { eventView } from '../../src/protocol/event.ts';
import { MINUTE, SECOND } from '../../src/lib/time.ts';
import type { WaitsRpc } from '../../src/protocol/rpc.ts';
import { emptyDisk, memoryWaitsStorage, type WaitsDisk } from '../fakes/waits.ts';
import { Fault, type Faults } from './faults.ts';
import { Life, within } from './life.ts';
import { untilDeath } from './objects.ts';
import type { World } from './world.ts';

const LATENCY = 4;
const LATE = { least: SECOND, most: 10 * MINUTE };
const ALARM_AGAIN = 2 * SECOND;

interface Incarnation {
  life: Life;
  owner: WaitsOwner;
  /** Calls and alarms under way. */
  busy: number;
}

interface WaitsObject {
  name: string;
  disk: WaitsDisk;
  incarnation: Incarnation | null;
}

export interface SimWaitsDeps {
  history: Pick<Store, 'listEvents' | 'expectWaits'>;
  waiters: Waiters;
  log: Log;
}

export class SimWaits {
  readonly #world: World;
  readonly #faults: Faults;
  readonly #deps: SimWaitsDeps;
  readonly #objects = new Map<string, WaitsObject>();

  constructor(world: World, faults: Faults, deps: SimWaitsDeps) {
    this.#world = world;
    this.#faults = faults;
    this.#deps = deps;
  }

  /** What src/objects.ts finds behind a binding. */
  stub(name: string): WaitsRpc {
    return {
      listen: (waits) => this.#call(this.#object(name), (owner) => owner.listen(waits)),
      deliver: (events) => this.#callKnown(name, undefined, (owner) => owner.deliver(events)),
      expire: (runId, key) => this.#callKnown(name, null, (owner) => owner.expire(runId, key)),
      drop: (runId, keys) => this.#callKnown(name, undefined, (owner) => owner.drop(runId, keys)),
    };
  }

  /** Drops every owner from memory for which nothing is under way. */
  evictAll(): void {
    for (const { incarnation } of this.#objects.values()) if (incarnation?.busy === 0) incarnation.life.die();
  }

  /** Waits that are registered, as `name: run key`. */
  left(): string[] {
    return [...this.#objects.values()].flatMap(({ name, disk }) =>
      hasRows(disk)
        ? disk.database
            .prepare('SELECT run, key FROM wait')
            .all()
            .map(({ run, key }) => `${name}: ${String(run)} ${String(key)}`)
        : [],
    );
  }

  close(): void {
    for (const { disk } of this.#objects.values()) disk.database.close();
  }

  #object(name: string): WaitsObject {
    const known = this.#objects.get(name) ?? { name, disk: emptyDisk(), incarnation: null };
    this.#objects.set(name, known);
    return known;
  }

  async #callKnown<Result>(
    name: string,
    otherwise: Result,
    work: (owner: WaitsOwner) => Promise<Result>,
  ): Promise<Result> {
    const object = this.#objects.get(name);
    return object === undefined ? otherwise : this.#call(object, work);
  }

  async #call<Result>(object: WaitsObject, work: (owner: WaitsOwner) => Promise<Result>): Promise<Result> {
    await this.#world.hop(LATENCY);
    if (this.#faults.strikes('call lost on its way'))
      throw new Fault('the call was lost', this.#world.random.chance(0.5));
    const incarnation = this.#wake(object);
    incarnation.busy++;
    try {
      const result = await untilDeath(incarnation.life, () => work(incarnation.owner));
      await this.#world.hop(LATENCY);
      if (this.#faults.strikes('answer of a call lost'))
        throw new Fault('the answer was lost', this.#world.random.chance(0.5));
      return structuredClone(result);
    } finally {
      incarnation.busy--;
    }
  }

  #wake(object: WaitsObject): Incarnation {
    if (object.incarnation !== null) return object.incarnation;
    const life = new Life(`waits ${object.name}`, this.#world.process);
    life.onDeath(() => (object.incarnation = null));
    const owner = within(
      life,
      () =>
        new WaitsOwner({
          ...this.#deps,
          storage: this.#storage(object, life),
          clock: this.#world.clock,
          timer: systemTimer,
          view: eventView,
          abort: () => life.die(),
        }),
    );
    return (object.incarnation = { life, owner, busy: 0 });
  }

  #storage(object: WaitsObject, life: Life): ObjectStorage {
    const storage = memoryWaitsStorage(object.disk, () => life.isAlive);
    const faults = this.#faults;
    return {
      ...storage,
      transact: (work) => {
        if (life.isAlive && faults.strikes('object crashes before a commit')) life.die();
        if (!life.isAlive) throw new Fault('the object is gone');
        const fails = faults.strikes('a commit fails');
        const result = storage.transact(() => {
          const done = work();
          if (fails) throw new Fault('the transaction was not written');
          return done;
        });
        if (faults.strikes('object crashes after a commit')) life.die();
        return result;
      },
      setAlarm: (at) => {
        storage.setAlarm(at);
        this.#arm(object, at);
      },
    };
  }

  #arm(object: WaitsObject, at: number): void {
    const late = this.#faults.strikes('alarm late') ? this.#faults.between(LATE.least, LATE.most) : 0;
    this.#world.disturbance += late;
    const fire = () => void this.#fire(object, at);
    this.#world.schedule(Math.max(at, this.#world.now) + late, null, fire, { life: this.#world.outside });
  }

  /** One alarm at a time; one that was lost under its object goes off again. */
  async #fire(object: WaitsObject, at: number): Promise<void> {
    const { disk } = object;
    if (disk.alarm !== at || disk.firing !== null) return;
    [disk.firing, disk.alarm] = [at, null];
    const incarnation = this.#wake(object);
    this.#world.note(() => `waits ${object.name} alarm`);
    incarnation.busy++;
    try {
      await untilDeath(incarnation.life, () => incarnation.owner.alarm());
    } catch (error) {
      if (incarnation.life.isAlive)
        this.#world.violated(`waits ${object.name} alarm() threw ${String(error)}`);
      disk.alarm ??= this.#world.now + ALARM_AGAIN;
    }
    incarnation.busy--;
    disk.firing = null;
    if (disk.alarm !== null) this.#arm(object, disk.alarm);
  }
}

function hasRows({ database }: WaitsDisk): boolean {
  return database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'wait'").get() !== undefined;
}

/**
 * An object that keeps rows: its disk and its alarm survive, its owner in memory may be gone at any moment. Runs the real owner
 * between ports that fail.
 */
import type { ObjectStorage } from '../../durable-objects/storage.ts';
import { MINUTE, SECOND } from '../../src/lib/time.ts';
import { emptyDisk, memoryWaitsStorage, type WaitsDisk } from '../fakes/waits.ts';
import { Fault, type Faults } from './faults.ts';
import { Life, within } from './life.ts';
import { untilDeath } from './objects.ts';
import type { Outage } from './outages.ts';
import type { World } from './world.ts';

const LATENCY = 4;
const LATE = { least: SECOND, most: 10 * MINUTE };
/** The platform tries an alarm again whose object was lost under it. */
const ALARM_AGAIN = 2 * SECOND;

export interface DiskOwner {
  alarm(): Promise<void>;
}

interface Incarnation<Owner> {
  life: Life;
  owner: Owner;
  /** Calls and alarms under way. */
  busy: number;
}

export interface DiskObjectOptions<Owner> {
  name: string;
  make: (storage: ObjectStorage, life: Life) => Owner;
  /** An owner is about to begin with what is on the disk. */
  wakes?: ((disk: WaitsDisk) => void) | undefined;
  /** It takes no calls. */
  outage?: Outage;
  /** A transaction was written. */
  committed?: () => void;
  /** When an alarm fires that is set for this time; `Infinity` for never. */
  firesAt?: (at: number) => number;
}

export class DiskObject<Owner extends DiskOwner> {
  readonly disk = emptyDisk();
  readonly name: string;
  readonly #world: World;
  readonly #faults: Faults;
  readonly #options: DiskObjectOptions<Owner>;
  #incarnation: Incarnation<Owner> | null = null;

  constructor(world: World, faults: Faults, options: DiskObjectOptions<Owner>) {
    this.name = options.name;
    this.#world = world;
    this.#faults = faults;
    this.#options = options;
  }

  /** Something was ever written. */
  get isMade(): boolean {
    return this.disk.database.prepare('SELECT 1 FROM sqlite_master').get() !== undefined;
  }

  get isAwake(): boolean {
    return this.#incarnation !== null;
  }

  get isIdle(): boolean {
    return this.#incarnation?.busy === 0;
  }

  /** Its memory is gone. */
  die(): void {
    this.#incarnation?.life.die();
  }

  async call<Result>(work: (owner: Owner) => Promise<Result>): Promise<Result> {
    await this.#world.hop(LATENCY);
    if (this.#options.outage?.isAt(this.#world.now)) throw new Fault('the object is overloaded');
    if (this.#faults.strikes('call lost on its way'))
      throw new Fault('the call was lost', this.#world.random.chance(0.5));
    const incarnation = this.#wake();
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

  #wake(): Incarnation<Owner> {
    if (this.#incarnation !== null) return this.#incarnation;
    const { make, wakes } = this.#options;
    wakes?.(this.disk);
    const life = new Life(`object ${this.name}`, this.#world.process);
    life.onDeath(() => (this.#incarnation = null));
    const owner = within(life, () => make(this.#storage(life), life));
    return (this.#incarnation = { life, owner, busy: 0 });
  }

  #storage(life: Life): ObjectStorage {
    const storage = memoryWaitsStorage(this.disk, () => life.isAlive);
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
        this.#options.committed?.();
        if (faults.strikes('object crashes after a commit')) life.die();
        return result;
      },
      setAlarm: (at) => {
        storage.setAlarm(at);
        this.#arm(at);
      },
    };
  }

  #arm(at: number): void {
    const { firesAt = (time: number) => time } = this.#options;
    const due = firesAt(at);
    if (due === Infinity) return;
    const late = this.#faults.strikes('alarm late') ? this.#faults.between(LATE.least, LATE.most) : 0;
    this.#world.disturbance += late;
    const fire = () => void this.#fire(at);
    this.#world.schedule(Math.max(due, this.#world.now) + late, null, fire, { life: this.#world.outside });
  }

  /** One alarm at a time; one that was lost under its object goes off again. */
  async #fire(at: number): Promise<void> {
    const { disk } = this;
    if (disk.alarm !== at || disk.firing !== null) return;
    [disk.firing, disk.alarm] = [at, null];
    const incarnation = this.#wake();
    this.#world.note(() => `${this.name} alarm`);
    incarnation.busy++;
    try {
      await untilDeath(incarnation.life, () => incarnation.owner.alarm());
    } catch (error) {
      if (incarnation.life.isAlive) this.#world.violated(`${this.name} alarm() threw ${String(error)}`);
      disk.alarm ??= this.#world.now + ALARM_AGAIN;
    }
    incarnation.busy--;
    disk.firing = null;
    if (disk.alarm !== null) this.#arm(disk.alarm);
  }
}

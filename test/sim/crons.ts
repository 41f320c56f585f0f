/** The object of the cron timers, around the real `CronOwner`, and its way into the intake, which fails at times. */
import { CronOwner, type CronDeps } from '../../durable-objects/cron-owner.ts';
import type { Catalog, Crons } from '../../src/ports.ts';
import { DAY } from '../../src/lib/time.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import type { Bug } from './bugs.ts';
import { CronWatch } from './cron-watch.ts';
import { DiskObject } from './disk-object.ts';
import { Fault, type Faults } from './faults.ts';
import type { Outages } from './outages.ts';
import { never } from './life.ts';
import { EPOCH, type World } from './world.ts';

const LATENCY = 8;
/** The schedules of a history come again a year later, when nobody looks any more. */
const HORIZON = EPOCH + 60 * DAY;

type SimCronDeps = Pick<CronDeps, 'accept' | 'log'> & {
  bug: Bug;
  outages: Outages;
  functions: () => Catalog;
};

export class SimCrons implements Pick<Crons, 'sync'> {
  readonly object: DiskObject<CronOwner>;
  readonly #watch: CronWatch;
  readonly #world: World;
  readonly #faults: Faults;
  readonly #deps: SimCronDeps;

  constructor(world: World, faults: Faults, deps: SimCronDeps) {
    this.#world = world;
    this.#faults = faults;
    this.#deps = deps;
    const { bug, functions, log, outages } = deps;
    const { cronStorage = (storage) => storage, cronAccept = (accept) => accept } = bug;
    const accept = cronAccept((events) => this.#accept(events));
    this.object = new DiskObject(world, faults, {
      name: 'crons',
      firesAt: (at) => (at > HORIZON ? Infinity : outages.crons.isAt(at) ? outages.crons.to : at),
      committed: () => this.#watch.committed(),
      make: (storage, life) =>
        new CronOwner({
          functions: { load: () => this.#load() },
          log,
          accept: (events) => (life.isAlive ? accept(events) : never()),
          storage: cronStorage(storage),
          clock: world.clock,
        }),
    });
    this.#watch = new CronWatch(world, functions, this.object.disk.database);
  }

  async sync(env: string): Promise<void> {
    await this.object.call((owner) => owner.sync(env));
  }

  /** With the world at rest. */
  check(isDisturbed: boolean): void {
    this.#watch.check(isDisturbed, HORIZON);
  }

  /** From the store. */
  async #load(): Promise<Catalog> {
    await this.#world.hop(LATENCY);
    if (this.#faults.strikes('store refuses')) throw new Fault('the functions were not read');
    return this.#deps.functions();
  }

  async #accept(events: StoredEvent[]): Promise<void> {
    for (const event of events) this.#watch.handsOver(event);
    if (this.#deps.outages.intake.isAt(this.#world.now) || this.#faults.strikes('intake refuses'))
      throw new Fault('no place took the ticks');
    await this.#deps.accept(events);
    if (this.#faults.strikes('intake fails after it took the events')) throw new Fault('no answer');
    for (const event of events) this.#watch.taken(event);
  }
}

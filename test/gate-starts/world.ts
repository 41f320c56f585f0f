/** A gate's starts in memory, the runs and time, with a hand on each: storage is SQLite and outlives its owner. */
import { GateStarts } from '../../durable-objects/gate-starts.ts';
import type { Holder } from '../../durable-objects/gate-start-rows.ts';
import type { Closed } from '../../src/flow/window.ts';
import { ulid } from '../../src/lib/ulid.ts';
import type { Collectable, Collected, Collecting, Entrant } from '../../src/protocol/gate.ts';
import { emptyDisk, memoryWaitsStorage } from '../fakes/waits.ts';

export const START = 1_900_000_000_000;
const OF = { env: 'main', functionId: 'app-f' };

/** The id of the n-th event or run, of the given time. */
export function idOf(n: number, at = START): string {
  const entropy = new Uint8Array(10);
  new DataView(entropy.buffer).setUint32(6, n);
  return ulid(at, entropy);
}

/** What becomes of the next start of a window's run. `late`: it has started, and fails all the same. `dies`, `late death`: the same, with the object. */
export type Fate = 'starts' | 'fails' | 'late' | 'dies' | 'late death';

export class StartWorld {
  now = START;
  readonly disk = emptyDisk();
  readonly errors: string[] = [];
  /** Every start of a window's run that was durable, repeats included. */
  readonly launched: Closed[] = [];
  /** Fates of the next ones, in order. */
  fates: Fate[] = [];
  /** Runs of entrants that have been started and have not ended. */
  readonly active = new Set<string>();
  readonly started = new Set<string>();
  readonly cancelled: string[] = [];
  asked = 0;
  /** Where the call of `isActive` is held up until a test says so. */
  holding: Promise<void> | null = null;
  #lives = 0;
  #starts = this.#build();

  async collect(policy: Collecting, ...events: Collectable[]): Promise<Collected[]> {
    const collected = this.#starts.collect(OF, policy, events);
    await this.settled();
    return collected;
  }

  rate(space: number, ...entrants: Entrant[]): string[] {
    return this.#starts.rate(entrants, space);
  }

  single(mode: 'skip' | 'cancel', ...entrants: Entrant[]): Promise<string[]> {
    return this.#starts.single(entrants, mode);
  }

  start(runId: string): void {
    if (this.started.has(runId)) return;
    this.started.add(runId);
    this.active.add(runId);
  }

  /** All that is in memory is lost, what it was doing never goes on. */
  crash(): void {
    this.#lives++;
    this.#starts = this.#build();
  }

  /** Lets time pass, alarm by alarm. */
  async until(time: number): Promise<void> {
    for (let alarms = 0; this.disk.alarm !== null && this.disk.alarm <= time; alarms++) {
      if (alarms > 2_000) throw new Error('the alarm is set again and again');
      this.now = Math.max(this.now, this.disk.alarm);
      await this.fire();
    }
    this.now = Math.max(this.now, time);
  }

  /** An alarm in which the object dies is given again by the platform. */
  async fire(): Promise<void> {
    const lives = this.#lives;
    const { alarm } = this.disk;
    this.disk.alarm = null;
    await Promise.race([this.#starts.alarm(), this.#died()]);
    if (lives !== this.#lives) this.disk.alarm = alarm;
    await this.settled();
  }

  /** Work in the background has come to its end. */
  async settled(): Promise<void> {
    for (let turns = 0; turns < 20; turns++) await Promise.resolve();
  }

  rows(table: string): number {
    const { database } = this.disk;
    const known = database.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').all(table).length > 0;
    return known ? database.prepare(`SELECT 1 FROM ${table}`).all().length : 0;
  }

  async #died(): Promise<void> {
    const lives = this.#lives;
    for (let turns = 0; turns < 200 && lives === this.#lives; turns++) await Promise.resolve();
  }

  #build(): GateStarts {
    const life = this.#lives;
    const isAlive = () => life === this.#lives;
    const storage = memoryWaitsStorage(this.disk, isAlive);
    return new GateStarts(storage, {
      log: { error: (message) => void this.errors.push(message) },
      transact: (work) => storage.transact(() => work(this.now)),
      planBy: (at) => {
        const next = Math.max(at, this.now + 1);
        if (this.disk.alarm === null || this.disk.alarm > next) storage.setAlarm(next);
      },
      launch: (window) => this.#launch(window, isAlive),
      holders: {
        isActive: ({ runId }: Holder) => this.#isActive(runId),
        cancel: async (runId) => {
          if (!this.started.has(runId)) return 'unknown';
          this.cancelled.push(runId);
          return this.active.delete(runId) ? 'cancelled' : 'ended';
        },
      },
    });
  }

  async #launch(window: Closed, isAlive: () => boolean): Promise<void> {
    await Promise.resolve();
    if (!isAlive()) return new Promise(() => undefined);
    const fate = this.fates.shift() ?? 'starts';
    if (fate === 'starts' || fate.startsWith('late')) this.launched.push(structuredClone(window));
    if (fate.endsWith('dies') || fate.endsWith('death')) {
      this.crash();
      return new Promise(() => undefined);
    }
    if (fate !== 'starts') throw new Error('no answer');
    return undefined;
  }

  async #isActive(runId: string): Promise<boolean> {
    this.asked++;
    await (this.holding ?? Promise.resolve());
    // One that was let in and has not started is on its way.
    return this.active.has(runId) || !this.started.has(runId);
  }
}

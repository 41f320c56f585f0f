/** The sweeper's object: durable-objects/sweeper.ts without the platform, around the real sweep. */
import { sweep, type SweepDeps } from '../../src/dispatch/sweep.ts';
import type { Repairs, SweeperRpc } from '../../src/protocol/rpc.ts';
import { HOUR, MINUTE, SECOND } from '../../src/lib/time.ts';
import { Life, within } from './life.ts';
import type { World } from './world.ts';

const FIRST = 5 * SECOND;
const AFTER_TROUBLE = MINUTE;
/** While nothing else is due the next sweep is late by up to this much: days of idle minutes show nothing. */
const IDLE_MOST = 6 * HOUR;

export class SimSweeper implements SweeperRpc {
  readonly #world: World;
  readonly #deps: () => SweepDeps;
  /** Sweeps in a row in which nothing but sweeping was left to happen. */
  idleSweeps = 0;
  readonly counted: Repairs = { alarms: 0, asks: 0, reports: 0, events: 0 };
  #alarm: number | null = null;

  constructor(world: World, deps: () => SweepDeps) {
    this.#world = world;
    this.#deps = deps;
  }

  async arm(): Promise<void> {
    await this.#world.hop(5);
    if (this.#alarm === null) this.#next(FIRST);
  }

  async repairs(): Promise<Repairs> {
    return this.counted;
  }

  #next(delay: number): void {
    const at = this.#world.now + delay;
    this.#alarm = at;
    const fire = () => void (this.#alarm === at && this.#sweep());
    this.#world.schedule(at, null, fire, { life: this.#world.outside, isBackground: true });
  }

  #sweep(): void {
    const life = new Life('sweep', this.#world.process);
    this.#next(AFTER_TROUBLE);
    void within(life, async () => {
      const idle = this.#world.nextAt() === null;
      const { nextIn } = await sweep(this.#deps());
      life.end();
      this.idleSweeps = idle ? this.idleSweeps + 1 : 0;
      const next = this.#world.nextAt() ?? Infinity;
      this.#next(Math.min(Math.max(next - this.#world.now, nextIn), nextIn === MINUTE ? IDLE_MOST : nextIn));
    });
  }
}

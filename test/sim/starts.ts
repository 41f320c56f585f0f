/**
 * The way from dispatch to the objects. Now and then there is a function on which it fails nearly always, for as long as the history
 * lasts: what the objects of one function do to all of its events when they are overloaded, or run bad code.
 */
import type { Runs } from '../../src/ports.ts';
import { Fault } from './faults.ts';
import type { Program } from './programs.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

const LATENCY = 20;

/** How often a start fails, and how often such a start has worked in truth. */
export interface Trouble {
  functionId: string;
  fails: number;
  worked: number;
}

export function planTrouble(random: Random, programs: readonly Program[]): Trouble | null {
  if (!random.chance(0.2)) return null;
  const { id: functionId } = random.pick(programs);
  return { functionId, fails: random.pick([1, 0.9, 0.7]), worked: random.pick([0, 0, 0.2]) };
}

export class Starts {
  /** By internal id: starts of this event of which dispatch saw an error. */
  readonly failed = new Map<string, number>();
  readonly #world: World;
  readonly #random: Random;
  readonly #trouble: Trouble | null;
  readonly #runs: Pick<Runs, 'start'>;

  constructor(world: World, random: Random, trouble: Trouble | null, runs: Pick<Runs, 'start'>) {
    this.#world = world;
    this.#random = random;
    this.#trouble = trouble;
    this.#runs = runs;
  }

  readonly start: Runs['start'] = async (run) => {
    try {
      if (run.functionId !== this.#trouble?.functionId || !this.#random.chance(this.#trouble.fails))
        return await this.#runs.start(run);
      if (this.#random.chance(this.#trouble.worked)) await this.#runs.start(run);
      await this.#world.hop(LATENCY);
      throw new Fault(`${run.functionId} cannot be started`);
    } catch (error) {
      const id = run.events[0]?.internalId ?? '';
      this.failed.set(id, (this.failed.get(id) ?? 0) + 1);
      throw error;
    }
  };
}

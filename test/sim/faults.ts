/** What goes wrong, and how often: so many faults to a history, then the world heals. */
import type { Random } from './random.ts';
import type { World } from './world.ts';

/** How often each kind comes up, per opportunity. */
const ODDS = {
  'store refuses': 0.04,
  'store fails after it took effect': 0.04,
  'store stalls': 0.03,
  'store outage': 0.003,
  'queue refuses': 0.05,
  'queue fails after it took the messages': 0.05,
  'message delivered twice': 0.08,
  'message late': 0.1,
  'call lost on its way': 0.06,
  'answer of a call lost': 0.06,
  'object crashes before a commit': 0.015,
  'object crashes after a commit': 0.015,
  'a commit fails': 0.01,
  'object crashes between effects': 0.02,
  'object crashes before a report': 0.05,
  'object crashes after a report': 0.05,
  'alarm late': 0.05,
  'object crashes': 0.012,
  'object evicted': 0.012,
  'work killed': 0.01,
  'process crashes': 0.004,
  'clock jumps': 0.006,
} as const;

export type FaultKind = keyof typeof ODDS;

/** An error that the world made up. Code under test may let it go unhandled; any other it may not. */
export class Fault extends Error {
  readonly retryable: boolean;

  constructor(message: string, retryable = false) {
    super(message);
    this.name = 'Fault';
    this.retryable = retryable;
  }
}

export class Faults {
  readonly injected = new Map<FaultKind, number>();
  readonly #world: World;
  readonly #random: Random;
  readonly #rate: number;
  #left: number;

  constructor(world: World, random: Random, limit: number) {
    this.#world = world;
    this.#random = random;
    this.#left = limit;
    this.#rate = random.pick([0.3, 1, 1, 3]);
  }

  get isHealed(): boolean {
    return this.#left <= 0;
  }

  heal(): void {
    this.#left = 0;
  }

  /** Whether it happens now. */
  strikes(kind: FaultKind): boolean {
    if (this.#left <= 0 || !this.#random.chance(ODDS[kind] * this.#rate)) return false;
    this.#left--;
    this.injected.set(kind, (this.injected.get(kind) ?? 0) + 1);
    this.#world.note(() => `FAULT ${kind}`);
    return true;
  }

  between(least: number, most: number): number {
    return this.#random.between(least, most);
  }

  pick<Item>(items: readonly Item[]): Item {
    return this.#random.pick(items);
  }
}

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
  'intake refuses': 0.1,
  'intake fails after it took the events': 0.1,
  'object crashes': 0.012,
  'object evicted': 0.012,
  'work killed': 0.01,
  'process crashes': 0.004,
  'clock jumps': 0.006,
} as const;

export type FaultKind = keyof typeof ODDS;

/** In some histories only what belongs together comes up, and so much more often. */
const FOCUS = { share: 0.5, factor: 4, more: 3 };
/** A run that is lost twenty times in a row is given up, which is right. */
const MOST = 18;
const TOGETHER: readonly FaultKind[][] = [
  ['call lost on its way', 'answer of a call lost'],
  ['object crashes before a commit', 'object crashes after a commit', 'a commit fails'],
  ['object crashes between effects', 'object crashes before a report', 'object crashes after a report'],
  ['object crashes', 'object evicted'],
  ['work killed', 'process crashes'],
  ['store refuses', 'store fails after it took effect', 'store stalls', 'store outage'],
  ['queue refuses', 'queue fails after it took the messages', 'message delivered twice'],
  ['message late', 'alarm late', 'clock jumps'],
  ['intake refuses', 'intake fails after it took the events'],
];

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
  readonly #focus: ReadonlySet<FaultKind> | null;
  #left: number;

  /** @param most however many it would be. */
  constructor(world: World, random: Random, limit: number, most = Infinity) {
    this.#world = world;
    this.#random = random;
    this.#rate = random.pick([0.3, 1, 1, 3]);
    this.#focus = random.chance(FOCUS.share)
      ? new Set([...random.pick(TOGETHER), ...random.pick(TOGETHER)])
      : null;
    this.#left = Math.min(this.#focus === null ? limit : Math.min(limit * FOCUS.more, MOST), most);
  }

  get isHealed(): boolean {
    return this.#left <= 0;
  }

  heal(): void {
    this.#left = 0;
  }

  /** Whether it happens now. */
  strikes(kind: FaultKind): boolean {
    if (this.#left <= 0 || !this.#random.chance(this.#odds(kind))) return false;
    this.#left--;
    this.injected.set(kind, (this.injected.get(kind) ?? 0) + 1);
    this.#world.note(() => `FAULT ${kind}`);
    return true;
  }

  #odds(kind: FaultKind): number {
    if (this.#focus === null) return ODDS[kind] * this.#rate;
    return this.#focus.has(kind) ? Math.min(ODDS[kind] * FOCUS.factor, 0.5) : 0;
  }

  between(least: number, most: number): number {
    return this.#random.between(least, most);
  }

  pick<Item>(items: readonly Item[]): Item {
    return this.#random.pick(items);
  }
}

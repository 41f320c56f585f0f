/**
 * What may die: the process, a request or a queue batch that it works on, one incarnation of an object. Whoever is part of a dead life
 * goes on to run in this test process for the rest of its turn, so every port looks here first, and does nothing for the dead.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

export class Life {
  readonly name: string;
  #isAlive = true;
  readonly #siblings: Set<Life> | null;
  readonly #children = new Set<Life>();
  readonly #onDeath = new Set<() => void>();

  constructor(name: string, parent: Life | null) {
    this.name = name;
    this.#siblings = parent === null ? null : parent.#children;
    this.#siblings?.add(this);
    if (parent !== null && !parent.isAlive) this.#isAlive = false;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get children(): readonly Life[] {
    return [...this.#children];
  }

  die(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#siblings?.delete(this);
    for (const child of this.#children) child.die();
    for (const told of this.#onDeath) told();
    this.#onDeath.clear();
  }

  /** A life that ended as it should. */
  end(): void {
    this.#siblings?.delete(this);
  }

  /** @returns how to be told no more. */
  onDeath(told: () => void): () => void {
    if (!this.#isAlive) told();
    else this.#onDeath.add(told);
    return () => void this.#onDeath.delete(told);
  }
}

const current = new AsyncLocalStorage<Life>();

export function currentLife(): Life {
  const life = current.getStore();
  if (life === undefined) throw new Error('nothing in the simulation runs outside of a life');
  return life;
}

export function isSimulated(): boolean {
  return current.getStore() !== undefined;
}

export function within<Result>(life: Life, work: () => Result): Result {
  return current.run(life, work);
}

/** What the dead wait for. */
export function never(): Promise<never> {
  return new Promise(() => undefined);
}

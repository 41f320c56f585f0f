/** The outside world as the user code of one incarnation has it. */
import { SECOND } from '../../src/lib/time.ts';
import { type Life, never } from './life.ts';
import type { Stage } from './user-code.ts';
import type { RunWatch } from './watch.ts';
import type { World } from './world.ts';

/** After an attempt was given up its answer may come this much later. */
const LATE = 60 * SECOND;

export class Stand implements Stage {
  readonly runId: string;
  readonly #world: World;
  readonly #life: Life;
  readonly #watch: RunWatch;
  readonly #attemptOf: (key: string) => number | undefined;
  /** Since when each thing that will be answered is waited for, by kind. */
  readonly #open = { step: new Set<{ since: number }>(), pause: new Set<{ since: number }>(), hang: 0 };
  /** A step has begun that takes a while. */
  onStep: () => void = () => undefined;
  readonly #late = new Map<string, (() => void)[]>();

  constructor(
    world: World,
    life: Life,
    watch: RunWatch,
    runId: string,
    attemptOf: (key: string) => number | undefined,
  ) {
    this.#world = world;
    this.#life = life;
    this.#watch = watch;
    this.runId = runId;
    this.#attemptOf = attemptOf;
    watch.onFailure = (key) => this.#answerLate(key);
  }

  get isAlive(): boolean {
    return this.#life.isAlive;
  }

  /** A step is under way. */
  get isExecuting(): boolean {
    return this.#open.step.size > 0;
  }

  /** User code waits for the outside. */
  get isWaiting(): boolean {
    return this.#open.step.size + this.#open.pause.size + this.#open.hang > 0;
  }

  /** Since when the oldest answer is awaited that must not seem late: `now` when none may be late at all. */
  get waitingSince(): number {
    if (this.#open.pause.size > 0) return -Infinity;
    return Math.min(Infinity, ...[...this.#open.step].map(({ since }) => since));
  }

  now(): number {
    return this.#world.now;
  }

  /** The handler is called. */
  enters<Result>(handler: () => Result): Result {
    this.#watch.enteredAt ??= this.#world.now;
    return handler();
  }

  begins(key: string): number {
    const attempt = this.#attemptOf(key);
    this.#watch.begins(key, attempt);
    this.#world.note(() => `${this.runId} ${key} begins, attempt ${attempt}`);
    return attempt ?? 0;
  }

  /** An attempt was given up: what it waited for comes now. */
  #answerLate(key: string): void {
    for (const answer of this.#late.get(key) ?? []) {
      const at = this.#world.now + this.#world.random.between(0, LATE);
      this.#world.schedule(at, `late answer to ${this.runId} ${key}`, answer, { life: this.#life });
    }
    this.#late.delete(key);
  }

  done(key: string, attempt: number): void {
    this.#watch.did(key, attempt);
  }

  decided(key: string, branch: number): void {
    if (this.#life.isAlive) this.#watch.decided(key, branch);
  }

  async answer(ms: number, kind: 'step' | 'pause'): Promise<void> {
    const wait = { since: this.#world.now };
    this.#open[kind].add(wait);
    if (kind === 'step') this.onStep();
    await new Promise<void>((resolve) => {
      this.#world.schedule(this.#world.now + ms, `answer to ${this.runId}`, resolve, { life: this.#life });
    });
    this.#open[kind].delete(wait);
  }

  hang(): Promise<never> {
    this.#open.hang++;
    return never();
  }

  async lateAnswer(key: string): Promise<void> {
    const answers = this.#late.get(key) ?? [];
    this.#open.hang++;
    await new Promise<void>((resolve) => void this.#late.set(key, [...answers, resolve]));
    this.#open.hang--;
  }

  /** Events on their way out of the run. */
  async sending<Result>(send: () => Promise<Result>): Promise<Result> {
    const wait = { since: this.#world.now };
    this.#open.step.add(wait);
    try {
      return await send();
    } finally {
      this.#open.step.delete(wait);
    }
  }
}

/**
 * Time and order. One scheduler decides what happens next: the clock stands still while anything is due, and of all that is due one
 * thing is picked at random. Between two decisions all promises of the code under test have run as far as they can.
 *
 * The code's own timers (`setTimeout`) are tasks here as well, so nothing waits for a real clock.
 */
import { Heap } from './heap.ts';
import { currentLife, isSimulated, Life, within } from './life.ts';
import type { Clock } from '../../src/ports.ts';
import type { Random } from './random.ts';

export const EPOCH = Date.UTC(2030, 0, 1);

export interface Task {
  at: number;
  order: number;
  /** For the log; null for what is not worth a line. */
  label: string | null;
  life: Life;
  run: () => void;
  /** Would go on for ever by itself: it does not keep a history from coming to rest. */
  isBackground: boolean;
}

export interface TaskOptions {
  life?: Life;
  isBackground?: boolean;
}

const realImmediate = globalThis.setImmediate;
const TIMER = 'timer';

export class World {
  now = EPOCH;
  readonly clock: Clock = { now: () => this.now };
  readonly random: Random;
  /** The outside: senders, and the platform itself. */
  readonly outside = new Life('outside', null);
  /** The Worker's process, with everything in its memory. */
  process = new Life('process', null);
  readonly violations: string[] = [];
  readonly log: string[] | null;
  turns = 0;
  /** Those of the present moment. */
  turnsNow = 0;
  #movedAt = EPOCH;
  /** By how much faults may have held things up. */
  disturbance = 0;
  #order = 0;
  readonly #later = new Heap<Task>();
  #due: Task[] = [];

  constructor(random: Random, isLogged: boolean) {
    this.random = random;
    this.log = isLogged ? [] : null;
  }

  note(line: () => string): void {
    this.log?.push(`${String(this.now - EPOCH).padStart(10)} ${line()}`);
  }

  violated(what: string): void {
    if (this.violations.length < 20 && !this.violations.includes(what)) this.violations.push(what);
    this.note(() => `VIOLATED ${what}`);
  }

  schedule(at: number, label: string | null, run: () => void, options: TaskOptions = {}): Task {
    const { life = currentLife(), isBackground = false } = options;
    const task = { at, order: this.#order++, label, life, run, isBackground };
    this.#later.push(task);
    return task;
  }

  /** Goes on a moment later, unless the one who waits has died by then. */
  hop(most: number): Promise<void> {
    const life = currentLife();
    return new Promise((resolve) => {
      this.schedule(this.now + this.random.between(0, most), null, resolve, { life });
    });
  }

  /** When the next thing happens that is no background task; null when nothing would. */
  nextAt(): number | null {
    let next = Infinity;
    for (const task of this.#due) if (isReal(task)) next = this.now;
    for (const task of this.#later.items) if (task.at < next && isReal(task)) next = task.at;
    return next === Infinity ? null : next;
  }

  /** One decision and everything that follows from it at once. @returns false when nothing is left to decide. */
  async turn(): Promise<boolean> {
    const task = this.#next();
    if (task === null) return false;
    this.turns++;
    this.turnsNow = this.now === this.#movedAt ? this.turnsNow + 1 : 0;
    this.#movedAt = this.now;
    const { label } = task;
    if (label !== null && label !== TIMER) this.note(() => label);
    this.#run(task);
    await settled();
    return true;
  }

  /** Timers of 0 ms that are due: what the code under test takes for the end of its turn. */
  async finishTurn(): Promise<void> {
    for (;;) {
      this.#collect();
      const at = this.#due.findIndex((task) => task.label === TIMER && task.life.isAlive);
      if (at === -1) return;
      this.#run(...(this.#due.splice(at, 1) as [Task]));
      await settled();
    }
  }

  /** The global timers, for as long as a history is simulated. @returns how to put the real ones back. */
  installTimers(): () => void {
    const { setTimeout, clearTimeout } = globalThis;
    // Whoever is not part of the simulation (the test runner) keeps the real ones.
    const set = (run: () => void, ms = 0) =>
      isSimulated() ? this.schedule(this.now + ms, TIMER, run) : setTimeout(run, ms);
    const clear = (timer?: Task | null) => {
      if (timer != null && 'isBackground' in timer) timer.run = () => undefined;
      else clearTimeout(timer ?? undefined);
    };
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
    return () => void Object.assign(globalThis, { setTimeout, clearTimeout });
  }

  #next(): Task | null {
    for (;;) {
      this.#collect();
      if (this.#due.length === 0) {
        const later = this.#later.peek();
        if (later === undefined) return null;
        if (later.life.isAlive) this.now = Math.max(this.now, later.at);
        else this.#later.pop();
        continue;
      }
      const [task] = this.#due.splice(this.random.between(0, this.#due.length - 1), 1);
      if (task?.life.isAlive) return task;
    }
  }

  #collect(): void {
    for (
      let task = this.#later.peek();
      task !== undefined && task.at <= this.now;
      task = this.#later.peek()
    ) {
      this.#later.pop();
      if (task.life.isAlive) this.#due.push(task);
    }
  }

  #run(task: Task): void {
    try {
      within(task.life, task.run);
    } catch (error) {
      this.violated(`${task.label} threw ${String(error)}`);
    }
  }
}

function isReal(task: Task): boolean {
  return !task.isBackground && task.life.isAlive;
}

/** Nothing under test waits for anything but promises and our own tasks, so one turn of the event loop runs all that can run. */
function settled(): Promise<void> {
  return new Promise((resolve) => void realImmediate(resolve));
}

/**
 * Watches one run from outside: what its object commits, and what user code does. Says at once what must never happen. The numbers are
 * those of the invariants in src/run/apply.ts.
 */
import type { Changes } from '../../src/run/transition.ts';
import type { Run, SettledStep } from '../../src/run/state.ts';
import type { World } from './world.ts';

const HANDLER = '';

export class RunWatch {
  readonly #world: World;
  readonly #runId: string;
  ended: string | null = null;
  endedAt: number | null = null;
  /** When its code was called for the first time. */
  enteredAt: number | null = null;
  cancelledAt: number | null = null;
  program: string | null = null;
  maxAttempts = Infinity;
  /** By the step's name, which is its key in the program. */
  readonly settled = new Map<string, SettledStep>();
  readonly failures = new Map<string, string[]>();
  /** Which branch was first, by node. */
  readonly decisions = new Map<string, number>();
  /** Attempts that did what they were for. */
  readonly done = new Map<string, Set<number>>();
  /** An attempt of a step has failed, or was given up. */
  onFailure: (key: string) => void = () => undefined;
  /** Steps that had been told to run when the run was cancelled: their code may still be on its way. */
  #allowed = new Set<string>();
  /** Before what is being committed. */
  #wasCancelled = false;
  #pending: Changes[] = [];
  /** What waits for its time: steps by their keys, and the handler. */
  readonly #due = new Map<string, number>();

  constructor(world: World, runId: string) {
    this.#world = world;
    this.#runId = runId;
  }

  /** A change inside a transaction. */
  writes(changes: Changes): void {
    this.#pending.push(changes);
  }

  rolledBack(): void {
    this.#pending = [];
  }

  /** @param executing the steps that user code has been told to run. @param alarm as it is set now; undefined: its gates wake it. */
  committed(executing: ReadonlySet<string>, alarm: number | null | undefined): void {
    this.#wasCancelled = this.cancelledAt !== null;
    for (const changes of this.#pending) this.#take(changes);
    this.#pending = [];
    if (this.cancelledAt !== null && !this.#wasCancelled) this.#allowed = new Set(executing);
    if (alarm !== undefined && this.ended === null && this.program !== null)
      this.#checkAlarm(executing, alarm ?? Infinity);
  }

  #checkAlarm(executing: ReadonlySet<string>, alarm: number): void {
    if (alarm === Infinity) return this.#violated('(4) is open and has no alarm');
    if (this.cancelledAt !== null) return;
    const dues = [...this.#due].flatMap(([key, due]) => (executing.has(key) ? [] : [due]));
    const due = Math.max(Math.min(...dues), this.#world.now + 1);
    if (alarm > due) this.#violated('(4) has an alarm that is later than what is due');
  }

  /** The callback of a step is entered. */
  begins(key: string, attempt: number | undefined): void {
    if (this.ended !== null) this.#violated(`(1) step ${key} begins after the run has ended`);
    if (this.cancelledAt !== null && !this.#allowed.delete(key))
      this.#violated(`(5) step ${key} begins after the cancellation`);
    if (this.settled.has(key)) this.#violated(`(2) step ${key}, which is finished, runs again`);
    if (attempt === undefined) return this.#violated(`step ${key} runs and the run does not know it`);
    if (attempt > 0 && (this.#due.get(key) ?? 0) > this.#world.now) {
      this.#violated(`step ${key} is tried again before its time`);
    }
    const failed = this.failures.get(key)?.length ?? 0;
    if (attempt !== failed)
      this.#violated(`(3) step ${key} runs as attempt ${attempt} after ${failed} failures`);
    if (attempt >= this.maxAttempts) this.#violated(`step ${key} is tried more often than allowed`);
  }

  did(key: string, attempt: number): void {
    const attempts = this.done.get(key) ?? new Set();
    this.done.set(key, attempts.add(attempt));
  }

  decided(key: string, branch: number): void {
    const before = this.decisions.get(key);
    if (before === undefined) this.decisions.set(key, branch);
    else if (before !== branch)
      this.#violated(`${key} was decided for branch ${before}, and for ${branch} in a replay`);
  }

  #take({ config, run, step }: Changes): void {
    if (this.ended !== null && (run !== undefined || step !== undefined))
      this.#violated('(1) changes after it has ended');
    if (config !== undefined) {
      if (this.program !== null) this.#violated('begins twice');
      this.program = config.functionId;
      this.maxAttempts = config.maxAttempts;
    }
    if (run !== undefined) this.#takeRun(run);
    if (step !== undefined) this.#takeStep(step);
  }

  #takeRun(run: Run): void {
    if (run.end !== null) [this.ended, this.endedAt] = [run.end.status, run.end.at];
    if (this.cancelledAt === null && run.end?.status === 'Cancelled') this.cancelledAt = run.end.at;
    this.cancelledAt ??= run.cancelAt;
    const due = this.#due.get(HANDLER) ?? Infinity;
    const goesOn = run.end === null && run.cancelAt === null && due !== Infinity;
    if (goesOn && due > this.#world.now && (run.due ?? 0) < due)
      this.#violated('enters the handler before its time');
    this.#due.set(HANDLER, run.due ?? Infinity);
    this.#world.note(
      () => `${this.#runId} ${run.end?.status ?? `entry ${run.entry} attempt ${run.attempt}`}`,
    );
  }

  #takeStep({ step, data }: NonNullable<Changes['step']>): void {
    if (this.#wasCancelled && step.op !== 'StepRun' && !this.failures.has(step.name))
      this.#violated(`(5) step ${step.name} is planned after the cancellation`);
    const before = this.settled.get(step.name);
    if (before !== undefined) {
      const same =
        step.state === 'settled' &&
        data === undefined &&
        step.ok === before.ok &&
        step.order === before.order;
      if (!same) this.#violated(`(2) step ${step.name} has its outcome changed`);
      return;
    }
    const failures = step.failures.map(({ error }) => `${error.name}: ${error.message}`);
    const known = this.failures.get(step.name)?.length ?? 0;
    if (failures.length < known) this.#violated(`step ${step.name} forgets a failure`);
    this.failures.set(step.name, failures);
    if (failures.length > known) this.onFailure(step.name);
    this.#due.set(step.name, step.state === 'waiting' ? step.due : Infinity);
    if (step.state === 'settled') this.settled.set(step.name, step);
    this.#world.note(
      () =>
        `${this.#runId} ${step.name} ${step.state}${step.state === 'settled' && !step.ok ? ' with an error' : ''}`,
    );
  }

  #violated(what: string): void {
    this.#world.violated(`${this.#runId} ${what}`);
  }
}

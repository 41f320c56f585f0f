/**
 * One call of a function by an engine: the handler is entered with what is stored of its steps, and goes on until there is something to
 * report. The same execution core as inside of a run's object; this is its other host, and it keeps nothing between calls.
 *
 * What is reported (wire 3.8): the end; or one new step that was run at once; or all new steps, for the engine to plan; or, in a call for
 * one planned step, what came of that one.
 */
import { SECOND } from '../../lib/time.ts';
import type { Memo, When } from '../../protocol/op.ts';
import { type EntryInput, enterFunction } from '../entry.ts';
import {
  afterTurn,
  Execution,
  type ExecutionHost,
  type ReachedStep,
  type StepOutcome,
} from '../execution.ts';
import type { InngestFunction } from '../function.ts';
import { planned, ran, type WireOp } from './ops.ts';

/** How long the handler may take to come to the step that it is called for (SH-22). */
const SEARCH = 10 * SECOND;

export interface Call extends Omit<EntryInput, 'appId'> {
  appId: string;
  /** The planned step that is to be run; null: the handler is to go on. */
  target: string | null;
  /** New steps may not be run at once. */
  planOnly: boolean;
  /** Outcomes of settled steps, in the order in which they were settled. */
  memos: ReadonlyMap<string, Memo>;
}

export type CallResult =
  | { is: 'ended'; outcome: StepOutcome }
  | { is: 'ops'; ops: WireOp[]; isFinal: boolean; retryAfter: When | null }
  /** The step that it was called for is not there; with those that are. */
  | { is: 'notFound'; found: string[] };

/** Never rejects. */
export function runCall(
  fn: InngestFunction.Any,
  call: Call,
  outside: Pick<ExecutionHost, 'send' | 'sendSignal'>,
): Promise<CallResult> {
  return new Promise((resolve) => {
    const entered = new Entered(call, outside, resolve);
    entered.enter(fn);
  });
}

class Entered {
  readonly #call: Call;
  readonly #execution: Execution;
  readonly #resolve: (result: CallResult) => void;
  readonly #found: ReachedStep[] = [];
  readonly #search: ReturnType<typeof setTimeout> | null;
  #isLooking = false;
  #isReporting = false;

  constructor(
    call: Call,
    outside: Pick<ExecutionHost, 'send' | 'sendSignal'>,
    resolve: (result: CallResult) => void,
  ) {
    const { memos, target } = call;
    this.#call = call;
    this.#resolve = resolve;
    this.#search = target === null ? null : setTimeout(() => this.#missing(), SEARCH);
    this.#execution = new Execution({
      ...outside,
      settled: [...memos.keys()],
      isSettled: (id) => memos.has(id),
      memo: (id) => memos.get(id) ?? { data: 'null' },
      reached: (step) => this.#reached(step),
      ended: (outcome) => this.#ended(outcome),
    });
  }

  enter(fn: InngestFunction.Any): void {
    enterFunction(this.#execution, fn, this.#call);
  }

  #reached(step: ReachedStep): void {
    this.#found.push(step);
    if (this.#call.target === null) void this.#look();
    else if (step.id === this.#call.target) void this.#run(step);
  }

  #ended(outcome: StepOutcome): void {
    if (this.#isReporting) return;
    if (this.#call.target === null) this.#report({ is: 'ended', outcome });
    else this.#missing();
  }

  /** Once the handler has come as far as it comes without the outcome of a new step. */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    do {
      await afterTurn();
      // Among stored outcomes there may be a timer of the execution's own.
      if (this.#execution.isReplaying) await new Promise((go) => void setTimeout(go, 0));
    } while (this.#execution.isReplaying);
    if (this.#isReporting) return;
    const [first, ...more] = this.#found;
    if (first === undefined) return;
    if (more.length === 0 && first.kind.op === 'StepRun' && !this.#call.planOnly) return this.#run(first);
    this.#isReporting = true;
    await this.#execution.rest();
    this.#report({ is: 'ops', ops: this.#found.map(planned), isFinal: false, retryAfter: null });
  }

  async #run(step: ReachedStep): Promise<void> {
    if (this.#isReporting) return;
    this.#isReporting = true;
    // The engine does the work of all other steps.
    if (step.kind.op !== 'StepRun') return this.#missing();
    const outcome = await this.#execution.run(step.id, true);
    const { final: isFinal = false, retryAfter = null } = outcome.ok ? {} : outcome;
    this.#report({ is: 'ops', ops: [ran(step, outcome)], isFinal, retryAfter });
  }

  #missing(): void {
    this.#report({ is: 'notFound', found: this.#found.map(({ id }) => id) });
  }

  #report(result: CallResult): void {
    this.#isReporting = true;
    if (this.#search !== null) clearTimeout(this.#search);
    this.#execution.stop();
    this.#resolve(result);
  }
}

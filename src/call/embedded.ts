/**
 * User code inside the run's own object. Steps are journalled where they run: no HTTP, no signing, no re-execution per step.
 *
 * Owns the live executions, which a restart may lose at any moment: `main`, the handler, and one `alone` for each step that is being
 * retried (the handler entered once more, with that attempt's number, in which only that step runs). The journal decides everything:
 * what may begin (`began`), whose answer counts (`reported`), which handler is current (its entry number).
 */
import { SECOND } from '../protocol/limits.ts';
import type { Op } from '../protocol/op.ts';
import type { Clock } from '../ports.ts';
import type { RunState } from '../run/state.ts';
import {
  afterTurn,
  Execution,
  type ExecutionHost,
  type ReachedStep,
  type StepOutcome,
} from '../sdk/execution.ts';
import { stepTools } from '../sdk/tools.ts';
import type { Call, Caller, RunHandle } from './caller.ts';

/** How long the code may take to reach a step that is to be retried; then that attempt has failed (VR-10). */
const SEARCH = 10 * SECOND;

/** A function's code; `context` is what its handler is given. */
export type Handler = (context: object) => unknown;

export interface EmbeddedDeps {
  find(functionId: string): Handler | undefined;
  /** Sends from inside a run; the same seed and moment give the same ids (SV-9). */
  send(
    events: object[],
    from: { env: string; runId: string; seed: string; at: number },
  ): Promise<{ ids: string[] }>;
  clock: Clock;
  /** The events as the handler sees them, fresh copies each time. A promise only where something is sealed. */
  open(run: RunHandle): object[] | Promise<object[]>;
}

export class EmbeddedCaller implements Caller {
  readonly #run: RunHandle;
  readonly #deps: EmbeddedDeps;
  #main: { entry: number; execution: Execution } | null = null;
  readonly #alone = new Map<string, Execution>();
  #parkScheduled = false;

  constructor(run: RunHandle, deps: EmbeddedDeps) {
    this.#run = run;
    this.#deps = deps;
  }

  call(call: Call): void {
    const { run } = this.#state();
    if (run.end !== null || call.entry !== run.entry) return;
    if (call.step !== null) this.#retry(call.step);
    else if (this.#main?.entry === call.entry) this.#main.execution.settle();
    else this.#enter(call);
    this.#schedulePark();
  }

  stop(): void {
    this.#main?.execution.stop();
    this.#main = null;
    for (const execution of this.#alone.values()) execution.stop();
    this.#alone.clear();
  }

  /** Enters the handler. An older entry is given up; a step that it left executing goes on, and is waited for by the new one. */
  #enter({ entry, attempt }: Call): void {
    this.#main?.execution.stop();
    const execution: Execution = new Execution(
      this.#host(
        (step) => this.#reached(execution, step),
        (outcome) => this.#ended(entry, outcome),
      ),
    );
    this.#main = { entry, execution };
    this.#start(execution, attempt);
  }

  #reached(execution: Execution, step: ReachedStep): void {
    const { id, name, kind } = step;
    if (!this.#state().waiting.has(id) && !this.#state().live.steps.has(id)) {
      if (kind.op === 'Sleep')
        this.#run.feed({ type: 'reported', op: { op: 'Sleep', id, name, attempt: 0, until: kind.until } });
      else this.#begin(execution, step);
    }
    this.#schedulePark();
  }

  #begin(execution: Execution, { id, name, kind }: ReachedStep): void {
    this.#run.feed({ type: 'began', id, name, attempt: 0, recorded: 'sends' in kind });
    if (this.#state().live.steps.has(id)) void this.#runStep(execution, { id, name }, 0);
  }

  /** The handler once more, in which only this step runs and every other one without an outcome stays open. */
  #retry({ id, attempt }: { id: string; attempt: number }): void {
    const name = this.#state().live.steps.get(id)?.name ?? id;
    let found = false;
    const missing = (outcome?: StepOutcome) => {
      if (found || this.#alone.get(id) !== execution) return;
      const message = `the function does not reach the step "${name}" any more, which was to be retried`;
      const error = outcome?.ok === false ? outcome.error : { name: 'StepNotFound', message };
      this.#report({ id, name }, attempt, { ok: false, error, final: false });
    };
    const execution: Execution = new Execution(
      this.#host((step) => {
        if (step.id !== id) return;
        found = true;
        void this.#runStep(execution, { id, name }, attempt);
      }, missing),
    );
    this.#alone.get(id)?.stop();
    this.#alone.set(id, execution);
    this.#start(execution, attempt);
    if (!found) setTimeout(missing, SEARCH);
  }

  async #runStep(execution: Execution, step: { id: string; name: string }, attempt: number): Promise<void> {
    const outcome = await execution.run(step.id);
    this.#report(step, attempt, outcome);
  }

  #report({ id, name }: { id: string; name: string }, attempt: number, outcome: StepOutcome): void {
    const alone = this.#alone.get(id);
    if (alone !== undefined && this.#state().live.steps.get(id)?.attempt === attempt) {
      alone.stop();
      this.#alone.delete(id);
    }
    this.#run.feed({ type: 'reported', op: toOp({ id, name, attempt }, outcome) });
  }

  #ended(entry: number, outcome: StepOutcome): void {
    if (outcome.ok) this.#run.feed({ type: 'returned', entry, output: outcome.data });
    else this.#run.feed({ type: 'threw', entry, ...withoutOk(outcome) });
  }

  #start(execution: Execution, attempt: number): void {
    const { config } = this.#state();
    const enter = (events: object[]) => {
      const handler = this.#deps.find(config.functionId);
      execution.start(() => {
        if (handler === undefined)
          throw new Error(`function "${config.functionId}" is not part of this deployment`);
        return handler({
          event: events[0],
          events,
          step: stepTools(execution),
          runId: config.runId,
          attempt,
          maxAttempts: config.maxAttempts,
        });
      });
    };
    const events = this.#deps.open(this.#run);
    if (!(events instanceof Promise)) return enter(events);
    const failed = (error: unknown) =>
      execution.start(() => {
        throw error;
      });
    void events.then(enter, failed);
  }

  #host(reached: ExecutionHost['reached'], ended: ExecutionHost['ended']): ExecutionHost {
    const run = this.#run;
    const { env, runId } = this.#state().config;
    return {
      reached,
      ended,
      settled: run.settled,
      isSettled: (id) => this.#state().steps.get(id)?.state === 'settled',
      memo: (id) => {
        // Its promise settles now, and all that is waited for then may be a timer.
        this.#schedulePark();
        return run.memo(id);
      },
      send: (events, stepId, nth) => {
        const at = stepId === null ? undefined : this.#firstBegan(stepId);
        const seed = `${runId}:${stepId ?? 'handler'}:${nth}`;
        return this.#deps.send(events, { env, runId, seed, at: at ?? this.#deps.clock.now() });
      },
    };
  }

  /**
   * Once the handler's turn is over: if no step executes and all that it waits for is a timer of the journal, the run is parked. A
   * hint only: a handler that does go on (it waits for something else as well) is taken as it comes, and replayed if it is lost.
   */
  #schedulePark(): void {
    if (this.#parkScheduled || this.#state().waiting.size === 0) return;
    this.#parkScheduled = true;
    void afterTurn().then(() => {
      this.#parkScheduled = false;
      const { live, waiting, run } = this.#state();
      if (this.#main?.entry !== run.entry || live.phase !== 'executing' || live.steps.size > 0) return;
      for (const id of this.#main.execution.waitingFor()) if (!waiting.has(id)) return;
      this.#run.feed({ type: 'parked', entry: run.entry });
    });
  }

  #firstBegan(id: string): number | undefined {
    const { steps, live } = this.#state();
    return steps.get(id)?.startedAt ?? live.steps.get(id)?.since;
  }

  #state(): RunState {
    const { state } = this.#run;
    if (state === null) throw new Error('user code is only called for a run that has started');
    return state;
  }
}

function toOp(step: { id: string; name: string; attempt: number }, outcome: StepOutcome): Op {
  if (outcome.ok) return { op: 'StepRun', ...step, data: outcome.data };
  return { op: 'StepError', ...step, ...withoutOk(outcome) };
}

function withoutOk({ error, final, retryAfter }: Extract<StepOutcome, { ok: false }>) {
  return { error, final, ...(retryAfter === undefined ? {} : { retryAfter }) };
}

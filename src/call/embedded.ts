/**
 * User code inside the run's own object. Steps are journalled where they run: no HTTP, no signing, no re-execution per step.
 *
 * Owns the live executions, which a restart may lose at any moment: `main`, the handler, and one `alone` for each step that is being
 * retried (the handler entered once more, with that attempt's number, in which only that step runs). The journal decides everything:
 * what may begin (`began`), whose answer counts (`reported`), which handler is current (its entry number).
 */
import { SECOND } from '../lib/time.ts';
import { serializeError } from '../protocol/error.ts';
import { eventView, SEALED, type EventView } from '../protocol/event.ts';
import type { AIGateway, Gateway, InvokeFunction, StepTool, WaitForEvent } from '../protocol/op.ts';
import { readSignal, type SentSignal } from '../protocol/signal.ts';
import type { Clock } from '../ports.ts';
import type { RunState } from '../run/state.ts';
import {
  afterTurn,
  Execution,
  type ExecutionHost,
  type ReachedStep,
  type StepOutcome,
} from '../sdk/execution.ts';
import { enterFunction } from '../sdk/entry.ts';
import { NonRetriableError } from '../sdk/errors.ts';
import type { InngestFunction } from '../sdk/function.ts';
import { waitProblem } from './ask.ts';
import type { Call, Caller, RunHandle } from './caller.ts';
import { shownRequest } from './gateway.ts';
import { toOp, withoutOk } from './outcome.ts';

/** How long the code may take to reach a step that is to be retried; then that attempt has failed (VR-10). */
const SEARCH = 10 * SECOND;

/** A function of this Worker, and the app that serves it. */
export interface EmbeddedCode {
  fn: InngestFunction.Any;
  appId: string;
}

export interface EmbeddedDeps {
  find(functionId: string): EmbeddedCode | undefined;
  /** What the platform called, as middleware sees it: `[request, env, state]` (MW-21). */
  reqArgs: readonly unknown[];
  /** Sends from inside a run; the same seed and moment give the same ids (SV-9). */
  send(
    events: object[],
    from: { env: string; runId: string; seed: string; at: number },
  ): Promise<{ ids: string[] }>;
  /** Answers the run that gets the signal; the same id is the same act of sending. */
  signal(signal: SentSignal, to: { env: string; signal: string }): Promise<string | null>;
  /** Makes the request of a step; never rejects. @param isLast no further attempt will be made. */
  request(request: Gateway | AIGateway, isLast: boolean): Promise<StepOutcome>;
  clock: Clock;
  /** Events as the handler sees them, their sealed parts opened. A promise only where something is sealed. */
  open(events: EventView[], env: string): object[] | Promise<object[]>;
  /** Rejects where the deployment has no encryption key. */
  seal(user: object, env: string): Promise<string>;
}

export class EmbeddedCaller implements Caller {
  readonly #run: RunHandle;
  readonly #deps: EmbeddedDeps;
  #main: { entry: number; execution: Execution } | null = null;
  readonly #alone = new Map<string, Execution>();
  /** Steps that the core did not let begin: they wait for the next call. */
  readonly #withheld: { execution: Execution; step: ReachedStep }[] = [];
  #parkScheduled = false;
  /** What of the run's settled steps executions may see: all of them, once what is sealed in their outcomes is open. */
  readonly #visible: string[] = [];
  readonly #opened = new Map<string, string>();
  #isOpening = false;

  constructor(run: RunHandle, deps: EmbeddedDeps) {
    this.#run = run;
    this.#deps = deps;
  }

  call(call: Call): void {
    const { run, live } = this.#state();
    // Of several things that are due at once a later one may begin a new entry; a step's retry is none of that entry's.
    const isCurrent =
      call.step === null
        ? call.entry === run.entry
        : live.steps.get(call.step.id)?.attempt === call.step.attempt;
    if (run.end !== null || !isCurrent) return;
    this.#reveal();
    if (call.step !== null) this.#retry(call.step);
    else if (this.#main?.entry === call.entry) {
      this.#main.execution.settle();
      this.#offerAgain();
    } else this.#enter(call);
    this.#schedulePark();
  }

  stop(): void {
    this.#main?.execution.stop();
    this.#main = null;
    this.#withheld.length = 0;
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
    const { steps, live } = this.#state();
    if (!steps.has(id) && !live.steps.has(id)) {
      if (isRun(kind)) this.#begin(execution, step);
      else if (kind.op === 'InvokeFunction') void this.#invoke({ ...kind, id, name, attempt: 0 });
      else if (kind.op === 'WaitForEvent') this.#wait({ ...kind, id, name, attempt: 0 });
      else this.#run.feed({ type: 'reported', op: { ...kind, id, name, attempt: 0 } });
    }
    this.#schedulePark();
  }

  /** WE-20: a wait that could never be answered fails the run, and never leaves it hanging. */
  #wait(op: WaitForEvent): void {
    const error = waitProblem(op);
    if (error === null) return this.#run.feed({ type: 'reported', op });
    this.#run.feed({ type: 'threw', entry: this.#state().run.entry, error, final: true });
  }

  async #invoke(op: InvokeFunction): Promise<void> {
    const { user, ...payload } = JSON.parse(op.payload) as { user?: object };
    if (user === undefined) return this.#run.feed({ type: 'reported', op });
    try {
      const sealed = await this.#deps.seal(user, this.#state().config.env);
      this.#run.feed({
        type: 'reported',
        op: { ...op, payload: JSON.stringify({ ...payload, user: sealed }) },
      });
    } catch (error) {
      this.#report(op, 0, { ok: false, error: serializeError(error), final: true });
    }
  }

  #begin(execution: Execution, step: ReachedStep): void {
    const { id, name, kind } = step;
    this.#run.feed({ type: 'began', id, name, attempt: 0, recorded: 'sends' in kind, ...shownOf(kind) });
    if (this.#state().live.steps.has(id)) void this.#runStep(execution, step, 0);
    else this.#withheld.push({ execution, step });
  }

  /** The steps that might not begin when the handler reached them. */
  #offerAgain(): void {
    for (const { execution, step } of this.#withheld.splice(0))
      if (execution === this.#main?.execution) this.#reached(execution, step);
  }

  /** The handler once more, in which only this step runs and every other one without an outcome stays open. */
  #retry({ id, attempt }: { id: string; attempt: number }): void {
    const name = this.#state().live.steps.get(id)?.name ?? id;
    let found = false;
    let search: ReturnType<typeof setTimeout> | null = null;
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
        if (search !== null) clearTimeout(search);
        void this.#runStep(execution, step, attempt);
      }, missing),
    );
    this.#alone.get(id)?.stop();
    this.#alone.set(id, execution);
    this.#start(execution, attempt);
    if (!found) search = setTimeout(missing, SEARCH);
  }

  async #runStep(execution: Execution, step: ReachedStep, attempt: number): Promise<void> {
    const { id, kind } = step;
    const outcome =
      kind.op === 'Gateway' || kind.op === 'AIGateway'
        ? await this.#deps.request(kind, attempt + 1 >= this.#state().config.maxAttempts)
        : // A step that is retried alone ends the entry that it runs in.
          await execution.run(id, execution === this.#alone.get(id));
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
    const { runId, maxAttempts, functionId } = config;
    const enter = (events: object[]) => {
      const code = this.#deps.find(functionId);
      if (code !== undefined) {
        const { fn, appId } = code;
        return enterFunction(execution, fn, {
          appId,
          events,
          runId,
          attempt,
          maxAttempts,
          reqArgs: this.#deps.reqArgs,
        });
      }
      execution.start(() => {
        throw new Error(`function "${functionId}" is not part of this deployment`);
      });
    };
    const events = this.#deps.open(this.#run.events().map(eventView), config.env);
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
      settled: this.#visible,
      isSettled: (id) => {
        const step = this.#state().steps.get(id);
        return step?.state === 'settled' && step.order < this.#visible.length;
      },
      memo: (id) => {
        // Its promise settles now, and all that is waited for then may be a timer.
        this.#schedulePark();
        const opened = this.#opened.get(id);
        return opened === undefined ? run.memo(id) : { data: opened };
      },
      send: (events, stepId, nth) => {
        const at = stepId === null ? undefined : this.#firstBegan(stepId);
        const seed = `${runId}:${stepId ?? 'handler'}:${nth}`;
        return this.#deps.send(events, { env, runId, seed, at: at ?? this.#deps.clock.now() });
      },
      sendSignal: async (written, stepId, nth) => {
        const read = readSignal(written, `${runId}:${stepId ?? 'handler'}:${nth}`);
        if (typeof read === 'string') throw new NonRetriableError(`step.sendSignal: ${read}`);
        const receiver = await this.#deps.signal(read.sent, { env, signal: read.signal });
        return receiver === null ? {} : { runId: receiver };
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
      if (this.#main?.entry !== run.entry || live.phase !== 'executing') return;
      // What is asked for must be heard first; but code that was lost before has given news.
      const isHeard = live.asks.size === 0;
      if (live.steps.size > 0 || !(isHeard || run.losses > 0)) return;
      for (const id of this.#main.execution.waitingFor()) if (!waiting.has(id)) return;
      if (isHeard) void this.#main.execution.rest();
      this.#run.feed({ type: 'parked', entry: run.entry });
    });
  }

  /** In the order of settling: what comes after a sealed outcome waits until that one is open. */
  #reveal(): void {
    const { settled } = this.#run;
    for (let next = settled[this.#visible.length]; next !== undefined; next = settled[this.#visible.length]) {
      if (this.#isHidden(next)) {
        if (!this.#isOpening) void this.#openOutcome(next);
        return;
      }
      this.#visible.push(next);
    }
  }

  #isHidden(id: string): boolean {
    if (this.#opened.has(id) || this.#state().steps.get(id)?.op !== 'WaitForEvent') return false;
    const memo = this.#run.memo(id);
    return 'data' in memo && memo.data.includes(SEALED);
  }

  async #openOutcome(id: string): Promise<void> {
    this.#isOpening = true;
    const memo = this.#run.memo(id);
    const text = 'data' in memo ? memo.data : 'null';
    try {
      const [event] = await this.#deps.open([JSON.parse(text) as EventView], this.#state().config.env);
      this.#opened.set(id, JSON.stringify(event));
      this.#isOpening = false;
      this.#reveal();
      this.#main?.execution.settle();
      for (const execution of this.#alone.values()) execution.settle();
    } catch (error) {
      this.#isOpening = false;
      this.#ended(this.#state().run.entry, { ok: false, error: serializeError(error), final: false });
    }
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

type RunOp = 'StepRun' | (Gateway | AIGateway)['op'];

/** Whether something is to be done for it here, which takes attempts. */
function isRun(kind: ReachedStep['kind']): kind is Extract<ReachedStep['kind'], { op: RunOp }> {
  return kind.op === 'StepRun' || kind.op === 'Gateway' || kind.op === 'AIGateway';
}

/** What people see of such a step. */
function shownOf(kind: ReachedStep['kind']): { tool?: StepTool; input?: string } {
  if (kind.op === 'Gateway' || kind.op === 'AIGateway') return shownRequest(kind);
  if (kind.op !== 'StepRun') return {};
  const { tool, input } = kind;
  return { ...(tool === undefined ? {} : { tool }), ...(input === undefined ? {} : { input }) };
}

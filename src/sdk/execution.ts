/**
 * The execution core: one entry of a handler against the stored outcomes of its steps. The same code runs inside a run's object
 * and behind `serve()`; what differs is the host.
 *
 * Who owns what: the host owns the journal and decides what to run; the execution owns the handler's promises.
 * Invariants:
 *   1. A step that has an outcome never runs again; its promise settles from the journal.
 *   2. Outcomes settle in the order in which they were stored, as far as the handler still asks for them in time, and each has a turn
 *      of its own: so a race that was decided once is decided the same way in every replay (MX-27).
 *   3. After `stop` no tool call reaches the host, and nothing is reported.
 *   4. Without middleware nothing is awaited for its sake: what happens in one turn is one write.
 */
import { hashUuid, sha1Hex } from '../lib/hash.ts';
import type { SerializedError } from '../protocol/error.ts';
import { serializeError } from '../protocol/error.ts';
import type {
  AIGateway,
  Gateway,
  InvokeFunction,
  Memo,
  Sleep,
  StepTool,
  WaitForEvent,
  WaitForSignal,
  When,
} from '../protocol/op.ts';
import { executionContext, type ExecutionContext } from './context.ts';
import {
  isNonRetriable,
  isRetryAfter,
  isStepError,
  NonRetriableError,
  retryAfterOf,
  StepError,
} from './errors.ts';
import type { RunStep } from './middleware.ts';
import { after, isPromise, type Soon } from './soon.ts';
import type { SentSignalOutput, StepTools } from './steps.ts';

/** Microtasks after which a handler that goes on at all has reached its next step. */
const TURN = 64;

/** A step that the handler has reached and that has no outcome. */
export interface ReachedStep {
  id: string;
  name: string;
  /**
   * `sends`: the callback sends events, whose ids are made from the moment at which the step first began. `input`: what it is given, for
   * the trace, as JSON text.
   */
  kind:
    | { op: 'StepRun'; tool?: StepTool; sends?: true; input?: string }
    | Gateway
    | AIGateway
    | Pick<Sleep, 'op' | 'until'>
    | Pick<WaitForEvent, 'op' | 'event' | 'expression' | 'or' | 'timeout' | 'lookBack'>
    | Pick<WaitForSignal, 'op' | 'signal' | 'timeout' | 'conflict'>
    | Pick<InvokeFunction, 'op' | 'functionId' | 'payload' | 'timeout'>;
}

export type StepOutcome =
  | { ok: true; data: string }
  | { ok: false; error: SerializedError; final: boolean; retryAfter?: When };

export interface ExecutionHost {
  isSettled(id: string): boolean;
  /** The stored outcome of a settled step. */
  memo(id: string): Memo;
  /** Ids of settled steps in the order in which they were settled; grows while the execution lives. */
  settled: readonly string[];
  /** Called during the handler's own turn: the host may run the step (`Execution.run`) or leave it pending. */
  reached(step: ReachedStep): void;
  ended(outcome: StepOutcome): void;
  /** @param nth counts the sends of one execution of the step, or of the handler where `stepId` is null. */
  send(events: object[], stepId: string | null, nth: number): Promise<{ ids: string[] }>;
  /** The same for a signal. */
  sendSignal(signal: object, stepId: string | null, nth: number): Promise<SentSignalOutput>;
}

/** What user code has come to. */
export type Result = { ok: true; data: unknown } | { ok: false; error: unknown };

/** What is to happen around user code. What it throws counts as an error of the function. */
export interface ExecutionHooks {
  /** New code is about to run. */
  begin(): Soon<void>;
  /** A stored outcome is about to be given to the handler: answers what it gets. */
  settling(id: string, memo: Memo): Soon<Memo>;
  /** The callback of a step has run. `isLast`: nothing more of this entry will. */
  stepEnded(result: Result, step: RunStep, isLast: boolean): Soon<Result>;
  /** The handler has returned or thrown. */
  ended(result: Result): Soon<Result>;
  /** A step goes on before others that were settled earlier and have not been asked for. Never throws. */
  overtook(name: string): void;
  /** The handler waits, maybe for a long time. Never throws or rejects. */
  rest(): Soon<void>;
}

/** Which run is entered, and what is around it. */
interface Entry {
  runId: string;
  hooks: ExecutionHooks;
  tools: StepTools;
}

type Kind = ReachedStep['kind'];

interface Pending {
  name: string;
  callback: (() => unknown) | null;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export class Execution {
  readonly #host: ExecutionHost;
  /** Steps that the handler has asked for and whose promises are open. */
  readonly #pending = new Map<string, Pending>();
  readonly #used = new Set<string>();
  readonly #nextIndex = new Map<string, number>();
  /** How far `settled` has been followed, and which ids before that the handler had not asked for yet. */
  #position = 0;
  readonly #skipped = new Set<string>();
  #skipScheduled = false;
  /** A promise has just been settled, and the handler has not yet gone as far as that takes it. */
  #inTurn = false;
  #stopped = false;
  #entry: Entry | null = null;

  constructor(host: ExecutionHost) {
    this.#host = host;
  }

  /** Ids of the steps that have an outcome. */
  get stored(): readonly string[] {
    return this.#host.settled;
  }

  /** The stored outcome of a step. */
  memo(id: string): Memo {
    return this.#host.memo(id);
  }

  /** Enters the handler; its outcome goes to `host.ended`, in a later turn at the earliest. */
  start(handler: () => unknown, entry: Entry | null = null): void {
    if (this.#stopped) return;
    this.#entry = entry;
    const finish = entry && ((result: Result) => (this.#stopped ? result : entry.hooks.ended(result)));
    void executionContext.run(this.#context(null), async () => {
      const outcome = await attempt(handler, finish);
      if (!this.#stopped) this.#host.ended(outcome);
    });
  }

  /** The run is parked: whatever the handler waits for may take long. It goes on where it is if it is still there then. */
  rest(): Soon<void> {
    return this.#stopped ? undefined : this.#entry?.hooks.rest();
  }

  /** Stored outcomes are still being given to the handler, which may come to further steps. */
  get isReplaying(): boolean {
    return this.#inTurn || this.#skipScheduled || this.#hasSettledPending();
  }

  /** The handler is not continued any more: its promises stay open for ever. */
  stop(): void {
    this.#stopped = true;
    this.#pending.clear();
  }

  has(id: string): boolean {
    return this.#pending.has(id);
  }

  /** Every step that the handler waits for. */
  waitingFor(): Iterable<string> {
    return this.#pending.keys();
  }

  /**
   * A tool call of the handler.
   * @param kind a function where it takes work, which is done for a step without an outcome only.
   * @param callback null where the engine itself does the work.
   */
  step(options: StepId, kind: Kind | (() => Soon<Kind>), callback: (() => unknown) | null): Promise<unknown> {
    if (executionContext.getStore()?.insideStep === true) return Promise.reject(nested(options));
    const { id: userId, name } = typeof options === 'string' ? { id: options, name: options } : options;
    const id = this.#nextId(userId);
    return new Promise((resolve, reject) => {
      if (this.#stopped) return;
      this.#pending.set(id, { name: name ?? userId, callback, resolve, reject });
      if (!this.#host.isSettled(id)) this.#reach(id, name ?? userId, kind);
      else if (this.#skipped.size > 0 && !this.#inTurn) this.#endTurn();
      else this.settle();
    });
  }

  /**
   * Runs the callback of a reached step. Never rejects.
   * @param isLast the entry is only for this step: it ends with it.
   */
  async run(id: string, isLast = false): Promise<StepOutcome> {
    const { callback = null, name = id } = this.#pending.get(id) ?? {};
    if (callback === null) throw new Error('only a reached step with a callback can be run');
    const hooks = this.#entry?.hooks;
    const step = { op: 'StepRun', name, displayName: name };
    const finish = hooks === undefined ? null : (result: Result) => hooks.stepEnded(result, step, isLast);
    return executionContext.run(this.#context(id), () => attempt(callback, finish));
  }

  /** Tells the host of a step without an outcome: at once, unless middleware takes its time. */
  #reach(id: string, name: string, kind: Kind | (() => Soon<Kind>)): void {
    const tell = (known: Kind) => {
      if (!this.#pending.has(id)) return;
      if (this.#host.isSettled(id)) this.settle();
      else this.#host.reached({ id, name, kind: known });
    };
    this.#guard(() =>
      after(this.#entry?.hooks.begin(), () => after(typeof kind === 'function' ? kind() : kind, tell)),
    );
  }

  /** What fails here, outside of the handler's own code, ends the entry. */
  #guard(work: () => Soon<void>): void {
    try {
      const done = work();
      if (isPromise(done)) done.then(undefined, (thrown: unknown) => this.#fail(thrown));
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #fail(thrown: unknown): void {
    if (this.#stopped) return;
    this.stop();
    this.#host.ended(failure(thrown));
  }

  /** The journal has grown: settles what the handler waits for, in stored order, one a turn. */
  settle(): void {
    if (this.#inTurn || this.#stopped) return;
    const next = this.#nextToSettle();
    if (next !== null) this.#release(next);
    else if (!this.#skipScheduled && this.#hasSettledPending()) this.#scheduleSkip();
  }

  /** The step whose promise settles now; null if the one whose turn it is has not been asked for. */
  #nextToSettle(): string | null {
    for (const id of this.#skipped) {
      if (!this.#pending.has(id)) continue;
      this.#skipped.delete(id);
      return id;
    }
    const id = this.#host.settled[this.#position];
    if (id === undefined || !this.#pending.has(id)) return null;
    this.#position++;
    return id;
  }

  /** MX-12: the first use of an id is hashed as it is, later ones with `:1`, `:2`, ... */
  #nextId(userId: string): string {
    let index = this.#nextIndex.get(userId) ?? 0;
    let id = sha1Hex(index === 0 ? userId : `${userId}:${index}`);
    while (this.#used.has(id)) id = sha1Hex(`${userId}:${++index}`);
    this.#nextIndex.set(userId, index + 1);
    this.#used.add(id);
    return id;
  }

  /** Settles the promise of a step that the handler has asked for; the next one when this one's turn is over. */
  #release(id: string): void {
    const memo = this.#host.memo(id);
    this.#inTurn = true;
    this.#guard(() =>
      after(this.#entry?.hooks.settling(id, memo) ?? memo, (outcome) => this.#resolve(id, outcome)),
    );
  }

  #resolve(id: string, memo: Memo): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if ('data' in memo) pending?.resolve(JSON.parse(memo.data));
    else pending?.reject(new StepError(id, memo.error));
    this.#endTurn();
  }

  /** What comes next waits until the handler has asked for all that it asks for now: of that, what was settled earlier goes first (MX-27). */
  #endTurn(): void {
    this.#inTurn = true;
    void afterTurn().then(() => {
      this.#inTurn = false;
      this.settle();
    });
  }

  #hasSettledPending(): boolean {
    for (const id of this.#pending.keys()) if (this.#host.isSettled(id)) return true;
    return false;
  }

  /**
   * The step that was settled next has not been asked for. The handler may still be on its way to it, so it gets a turn; then the
   * earliest of those that it does wait for is settled: the code has changed, or waits for something else in between.
   */
  #scheduleSkip(): void {
    this.#skipScheduled = true;
    setTimeout(() => {
      this.#skipScheduled = false;
      if (this.#stopped) return;
      const { settled } = this.#host;
      const next = settled.findIndex((id, at) => at >= this.#position && this.#pending.has(id));
      if (next !== -1) this.#skipTo(next);
      this.settle();
    }, 0);
  }

  #skipTo(next: number): void {
    const passedOver = this.#host.settled.slice(this.#position, next);
    const { name } = this.#pending.get(this.#host.settled[next] ?? '') ?? {};
    for (const id of passedOver) this.#skipped.add(id);
    if (passedOver.length > 0 && name !== undefined) this.#entry?.hooks.overtook(name);
    this.#position = next;
  }

  #context(stepId: string | null): ExecutionContext {
    let sends = 0;
    return {
      insideStep: stepId !== null,
      tools: this.#entry?.tools ?? null,
      send: (events) => this.#host.send(events, stepId, sends++),
      sendSignal: (signal) => this.#host.sendSignal(signal, stepId, sends++),
      idempotencyKey: () =>
        stepId === null ? null : hashUuid(`step ${stepId} of run ${this.#entry?.runId ?? ''}`),
    };
  }
}

/** A step's id, or its id and the name that people see (ST-2). */
export type StepId = string | { id: string; name?: string };

/** In microtasks, not a timer: what happens in one turn is then one write. */
export async function afterTurn(): Promise<void> {
  for (let i = 0; i < TURN; i++) await Promise.resolve();
}

/** Calls user code and turns whatever comes of it into an outcome. */
async function attempt(
  code: () => unknown,
  finish: ((result: Result) => Soon<Result>) | null,
): Promise<StepOutcome> {
  let result: Result;
  try {
    result = { ok: true, data: await code() };
  } catch (error) {
    result = { ok: false, error };
  }
  if (finish !== null) {
    try {
      const finished = finish(result);
      result = isPromise(finished) ? await finished : finished;
    } catch (error) {
      result = { ok: false, error };
    }
  }
  return result.ok ? success(result.data) : failure(result.error);
}

function success(data: unknown): StepOutcome {
  try {
    return { ok: true, data: JSON.stringify(data) ?? 'null' };
  } catch (thrown) {
    const reason =
      thrown instanceof Error && /BigInt/.test(thrown.message)
        ? 'a BigInt'
        : 'a circular reference or a toJSON that throws';
    const error = {
      name: 'OutputNotSerializable',
      message: `the output cannot be written as JSON: it holds ${reason}`,
    };
    return { ok: false, error, final: true };
  }
}

function failure(thrown: unknown): StepOutcome {
  const error = serializeError(thrown);
  try {
    if (isNonRetriable(thrown) || isStepError(thrown)) return { ok: false, error, final: true };
    if (isRetryAfter(thrown)) return { ok: false, error, final: false, retryAfter: retryAfterOf(thrown) };
  } catch {
    // Something that throws when it is looked at: an ordinary error.
  }
  return { ok: false, error, final: false };
}

function nested(options: StepId): Error {
  const id = typeof options === 'string' ? options : options.id;
  return new NonRetriableError(
    `step "${id}" was called inside the callback of another step: call it before or after that step instead`,
  );
}

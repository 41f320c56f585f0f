/**
 * User code behind the SDK protocol, in another process: every call says all that the run knows, and is answered with what to do
 * next. One call at a time lets the handler go on (a discovery); steps that it planned have calls of their own, side by side.
 *
 * Owns the calls under way, which a restart may lose at any moment: the alarm then makes them again. The journal decides everything:
 * a call belongs to an entry of the handler or to an attempt of a step, and its answer counts only while that is the current one.
 */
import { hashUlid } from '../lib/hash.ts';
import { serializeError } from '../protocol/error.ts';
import type { AIGateway, Gateway } from '../protocol/op.ts';
import type { AppNetwork, Clock, Registry } from '../ports.ts';
import type { Checkpoint, CheckpointResult, RunSnapshot } from '../protocol/run.ts';
import { currentAttempt, type RunState } from '../run/state.ts';
import type { RunInput } from '../run/transition.ts';
import { toOp } from './outcome.ts';
import type { StepOutcome } from '../sdk/execution.ts';
import { waitProblem } from './ask.ts';
import type { Call, Caller, RunHandle } from './caller.ts';
import { shownRequest } from './gateway.ts';
import { Knowledge, type KnowledgeDeps } from './knowledge.ts';
import { failed, type Reply } from './reply.ts';
import { callBody, callHeaders, callUrl, DISCOVERY, type CallFacts } from './request.ts';
import { callApp } from './transport.ts';
import { BadOp, checkpointOps, inOrder, meaningOf, type Meaning, type WireOp } from './wire-ops.ts';

export interface HttpDeps extends KnowledgeDeps {
  registered: Registry['find'];
  network: Pick<AppNetwork, 'fetch'>;
  /** Makes the request of a step; never rejects. @param isLast no further attempt will be made. */
  request(request: Gateway | AIGateway, isLast: boolean): Promise<StepOutcome>;
  /** Of this deployment. */
  kind: 'dev' | 'cloud';
  /** The value of `x-inngest-signature`; null where no key is set. */
  sign: (body: string, env: string) => string | null;
  /** Rejects where the deployment has no encryption key. */
  seal(user: object, env: string): Promise<string>;
  clock: Clock;
}

interface LiveCall {
  /** What it is about: an attempt of a step, or, with null, the handler. */
  step: { id: string; attempt: number } | null;
  entry: number;
  attempt: number;
  requestId: string;
  /** Higher than that of a call that was lost. */
  generation: number;
  /** Settled steps that it tells of. */
  seen: number;
  abort: AbortController;
}

interface Answer {
  version: number | null;
  meanings: Meaning[];
}

type Threw = Extract<RunInput, { type: 'threw' }>;
type Failed = Extract<Reply, { is: 'failed' }>;

/** From this version on the handler is called once all that it waits for is settled, before that after each of it (wire 3.8). */
const COALESCES = 2;

export class HttpCaller implements Caller {
  readonly #run: RunHandle;
  readonly #deps: HttpDeps;
  readonly #knowledge: Knowledge;
  #main: LiveCall | null = null;
  readonly #alone = new Map<string, LiveCall>();
  /** Settled steps that the handler has been told of; null when that is not known. */
  #seen: number | null = null;
  /** Answers in a row that said nothing. */
  #empty = 0;
  /** While an answer is being taken the handler is not called: it is once all of it is written. */
  #isTaking = false;
  #calls = 0;

  constructor(run: RunHandle, deps: HttpDeps) {
    this.#run = run;
    this.#deps = deps;
    this.#knowledge = new Knowledge(run, deps);
  }

  call({ entry, step }: Call): void {
    const { run, live } = this.#state();
    if (run.end !== null) return;
    if (step === null) {
      if (entry === run.entry && !this.#isTaking) this.#goOn();
    } else if (live.steps.get(step.id)?.attempt === step.attempt)
      this.#callStep(step, this.#isPlanned(step.id));
  }

  stop(): void {
    for (const live of [this.#main, ...this.#alone.values()]) live?.abort.abort();
    this.#main = null;
    this.#alone.clear();
  }

  /** The call goes on afterwards, whatever it was about, as the one that lets the handler go on. */
  checkpoint({ requestId, generation, ops }: Checkpoint): CheckpointResult {
    const { run, live: executing } = this.#state();
    const live = [this.#main, ...this.#alone.values()].find((one) => one?.requestId === requestId);
    const isLost = this.#main === null && executing.phase === 'unknown';
    const isOld = live != null && generation !== undefined && generation !== live.generation;
    if (run.end !== null || isOld || (live == null && !isLost)) return { is: 'stale' };
    const parsed = checkpointOps(ops, (id) => currentAttempt(this.#state(), id) ?? 0);
    if (!parsed.ok) return { is: 'bad', problem: parsed.problem };
    this.#take(() => {
      if (live?.step != null) this.#alone.delete(live.step.id);
      this.#run.feed(...parsed.ops.map((op): RunInput => ({ type: 'reported', op })));
      if (live == null) return;
      live.step = null;
      live.entry = this.#state().run.entry;
      live.seen = this.#run.settled.length;
      this.#main = live;
    });
    return { is: 'saved' };
  }

  async snapshot(): Promise<RunSnapshot> {
    await this.#knowledge.refresh(false);
    const { events, memos } = this.#knowledge.state();
    return { events: `[${events.join(',')}]`, steps: `{${memos.join(',')}}` };
  }

  /** Calls the handler if there is something new for it; if there is not, and nothing else goes on, the run is parked. */
  #goOn(): void {
    const { run, live } = this.#state();
    if (run.end !== null || run.due !== null || run.cancelAt !== null) return;
    if (this.#main?.entry === run.entry) return;
    if (this.#hasNews()) this.#discover();
    else if (live.phase === 'executing' && live.steps.size + live.asks.size === 0)
      this.#run.feed({ type: 'parked', entry: run.entry });
  }

  #hasNews(): boolean {
    const { run, waiting, steps } = this.#state();
    const { settled } = this.#run;
    // With nothing to wait for, only the handler knows how to go on.
    if (waiting.size === 0) return true;
    if (this.#seen === settled.length) return false;
    if ((run.version ?? -1) < COALESCES) return true;
    return settled.slice(this.#seen ?? 0).some((id) => steps.get(id)?.race === true);
  }

  #discover(): void {
    const { run } = this.#state();
    this.#main?.abort.abort();
    this.#main = this.#live(null, run.attempt);
    void this.#follow(this.#main, DISCOVERY);
  }

  /** A step that was not planned is found by the handler again, on its way. */
  #callStep(step: { id: string; attempt: number }, isTargeted: boolean): void {
    const before = this.#alone.get(step.id);
    if (before?.step?.attempt === step.attempt) return;
    before?.abort.abort();
    const live = this.#live(step, step.attempt);
    this.#alone.set(step.id, live);
    void this.#follow(live, isTargeted ? step.id : DISCOVERY);
  }

  async #follow(live: LiveCall, stepId: string): Promise<void> {
    const reply = await this.#ask(live, stepId);
    const answer = await this.#read(live, reply);
    if (!this.#isCurrent(live)) return this.#late(live, answer);
    this.#forget(live);
    if ('error' in answer) this.#failed(live, answer);
    else this.#take(() => this.#act(live, stepId, answer));
    // Who says nothing, and waits for nothing, is called again at once, and after that whenever the alarm goes off.
    if (this.#empty < 2 || this.#state().waiting.size > 0) this.#goOn();
  }

  /** Never rejects. */
  async #ask(live: LiveCall, stepId: string): Promise<Reply> {
    const { config, waiting, run } = this.#state();
    try {
      const found = await this.#deps.registered(config.env, config.functionId);
      if (found?.app == null)
        return failed('FunctionNotFound', `no app serves "${config.functionId}" any more`);
      const isGo = found.app.sdk.startsWith('go:');
      await this.#knowledge.refresh(isGo);
      if (live.abort.signal.aborted) return failed('Aborted', 'not wanted any more');
      live.seen = this.#run.settled.length;
      const facts: CallFacts = {
        runId: config.runId,
        functionUuid: found.uuid,
        stepId,
        attempt: live.attempt,
        maxAttempts: config.maxAttempts,
        planOnly: waiting.size > (live.step === null ? 0 : 1),
        version: run.version ?? -1,
        requestId: live.requestId,
        generation: live.generation,
      };
      const body = callBody(facts, this.#knowledge.state(), isGo);
      const headers = callHeaders(facts, live.seen, this.#deps.sign(body, config.env), this.#deps.kind);
      const init = { method: 'POST', headers, body, signal: live.abort.signal };
      const url = callUrl(found.app.url, config.functionId, stepId);
      return await callApp(this.#deps.network, url, init, () => this.#deps.clock.now());
    } catch (error) {
      return { is: 'failed', error: serializeError(error), final: false };
    }
  }

  /** What the answer means; an operation that cannot be carried out fails all of it, before any of it has an effect. */
  async #read(live: LiveCall, reply: Reply): Promise<Answer | Failed> {
    if (reply.is === 'failed') return reply;
    if (reply.is === 'returned') return { version: null, meanings: [reply] };
    const { ops, version, is: _, ...how } = reply;
    const attempt = (id: string) => this.#attemptOf(live, id);
    try {
      return { version, meanings: await this.#meanings(ops, { ...how, attempt }) };
    } catch (error) {
      const message = error instanceof BadOp ? error.message : serializeError(error).message;
      return { is: 'failed', error: { name: 'BadResponse', message }, final: false };
    }
  }

  async #meanings(ops: WireOp[], context: Parameters<typeof meaningOf>[1]): Promise<Meaning[]> {
    const meanings = inOrder(ops).map((op) => meaningOf(op, context));
    return Promise.all(
      meanings.map(async (meaning) =>
        meaning.is === 'op' && meaning.op.op === 'InvokeFunction' && meaning.op.payload.includes('"user":')
          ? { is: 'op', op: { ...meaning.op, payload: await this.#sealed(meaning.op.payload) } }
          : meaning,
      ),
    );
  }

  async #sealed(payload: string): Promise<string> {
    const { user, ...rest } = JSON.parse(payload) as { user?: object };
    if (user === undefined) return payload;
    return JSON.stringify({ ...rest, user: await this.#deps.seal(user, this.#state().config.env) });
  }

  #act(live: LiveCall, stepId: string, { version, meanings }: Answer): void {
    const inputs = meanings.flatMap((meaning) => this.#inputOf(live, meaning));
    const spoke: RunInput[] = version === null ? [] : [{ type: 'spoke', version }];
    this.#run.feed(...spoke, ...inputs);
    for (const meaning of meanings) {
      if (meaning.is === 'gateway') this.#gateway(meaning.id, meaning.request);
      if (meaning.is === 'returned') this.#end({ type: 'returned', output: meaning.output });
      if (meaning.is === 'op' && meaning.op.op === 'WaitForEvent') {
        const error = waitProblem(meaning.op);
        if (error !== null) this.#end({ type: 'threw', error, final: true });
      }
    }
    if (live.step !== null) this.#missing(live.step, stepId, meanings);
    this.#empty = meanings.every(({ is }) => is === 'nothing') ? this.#empty + 1 : 0;
  }

  #end(input: { type: 'returned'; output: string } | Pick<Threw, 'type' | 'error' | 'final'>): void {
    this.#run.feed({ ...input, entry: this.#state().run.entry });
  }

  #inputOf(live: LiveCall, meaning: Meaning): RunInput[] {
    if (meaning.is === 'gateway') {
      const { id, name, request } = meaning;
      return [
        {
          type: 'began',
          id,
          name,
          attempt: this.#attemptOf(live, id),
          recorded: true,
          ...shownRequest(request),
        },
      ];
    }
    if (meaning.is !== 'op') return [];
    const { op } = meaning;
    return op.op === 'WaitForEvent' && waitProblem(op) !== null ? [] : [{ type: 'reported', op }];
  }

  /** Not while it is being made already, nor once the step is no longer to be run. */
  #gateway(id: string, request: Gateway | AIGateway): void {
    const attempt = this.#state().live.steps.get(id)?.attempt;
    if (attempt === undefined || this.#alone.has(id)) return;
    const live = this.#live({ id, attempt }, attempt);
    this.#alone.set(id, live);
    const name = this.#nameOf(id);
    const isLast = attempt + 1 >= this.#state().config.maxAttempts;
    void this.#deps.request(request, isLast).then((outcome) => {
      if (!this.#isCurrent(live)) return;
      this.#forget(live);
      // The app is asked anew whatever a provider says (wire 3.11).
      const last = !outcome.ok && request.op === 'AIGateway' ? { ...outcome, final: false } : outcome;
      this.#run.feed({ type: 'reported', op: toOp({ id, name, attempt }, last) });
      this.#goOn();
    });
  }

  /** The answer says nothing of the step that the call was about: its code has changed, or is not where it was. */
  #missing(step: { id: string; attempt: number }, stepId: string, meanings: readonly Meaning[]): void {
    if (this.#state().live.steps.get(step.id)?.attempt !== step.attempt || this.#alone.has(step.id)) return;
    const isPlanned = meanings.some(
      (one) => one.is === 'op' && one.op.op === 'StepPlanned' && one.op.id === step.id,
    );
    if (isPlanned && stepId === DISCOVERY) return this.#callStep(step, true);
    const name = this.#nameOf(step.id);
    const message = `the function does not reach the step "${name}" any more, which was to be run`;
    // What was found on the way may not be there again; what was planned is looked for as often as it would be run.
    const final = stepId === DISCOVERY;
    const error = { name: 'StepNotFound', message };
    this.#run.feed({ type: 'reported', op: toOp({ ...step, name }, { ok: false, error, final }) });
  }

  /** A failure of the function, not of a step. The call is made again as often as the function may be tried; then the run has failed. */
  #failed({ step, entry }: LiveCall, { error, final, retryAfter }: Failed): void {
    const how = retryAfter === undefined ? {} : { retryAfter };
    if (step === null) {
      this.#seen = null;
      this.#run.feed({ type: 'threw', entry, error, final, ...how });
    } else if (final || step.attempt + 1 >= this.#state().config.maxAttempts) {
      this.#end({ type: 'threw', error, final: true });
    } else {
      const name = this.#nameOf(step.id);
      this.#run.feed({ type: 'reported', op: { op: 'StepError', ...step, name, error, final, ...how } });
    }
  }

  /** Of an attempt that is no longer current: counted, and changes nothing. */
  #late({ step }: LiveCall, answer: Answer | Failed): void {
    if (step === null || 'error' in answer || this.#run.state?.run.end !== null) return;
    for (const meaning of answer.meanings) {
      if (meaning.is !== 'op' || meaning.op.id !== step.id) continue;
      this.#run.feed({ type: 'reported', op: { ...meaning.op, attempt: step.attempt } });
    }
  }

  /** What is written in it has its effects after all of it. */
  #take(work: () => void): void {
    this.#isTaking = true;
    try {
      work();
    } finally {
      this.#isTaking = false;
    }
  }

  #isCurrent(live: LiveCall): boolean {
    const { state } = this.#run;
    // It may have been emptied meanwhile.
    if (state === null || state.run.end !== null) return false;
    if (live.step === null) return this.#main === live && live.entry === state.run.entry;
    const { id, attempt } = live.step;
    return this.#alone.get(id) === live && state.live.steps.get(id)?.attempt === attempt;
  }

  #forget(live: LiveCall): void {
    if (live.step !== null) this.#alone.delete(live.step.id);
    else {
      this.#main = null;
      this.#seen = live.seen;
    }
  }

  #live(step: LiveCall['step'], attempt: number): LiveCall {
    const { config, run } = this.#state();
    const what = `${config.runId}:${run.entry}:${step?.id ?? DISCOVERY}:${attempt}:${++this.#calls}`;
    const requestId = hashUlid(this.#deps.clock.now(), what);
    const generation = run.losses + 1;
    return { step, entry: run.entry, attempt, requestId, generation, seen: 0, abort: new AbortController() };
  }

  #attemptOf({ step }: LiveCall, id: string): number {
    return step?.id === id ? step.attempt : (currentAttempt(this.#state(), id) ?? 0);
  }

  #isPlanned(id: string): boolean {
    return this.#state().steps.get(id)?.planned === true;
  }

  #nameOf(id: string): string {
    const { steps, live } = this.#state();
    return steps.get(id)?.name ?? live.steps.get(id)?.name ?? id;
  }

  #state(): RunState {
    const { state } = this.#run;
    if (state === null) throw new Error('user code is only called for a run that has started');
    return state;
  }
}

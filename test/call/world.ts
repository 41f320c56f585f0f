/**
 * One run in memory, with its real owner and its real embedded caller: the journal is a fake, the clock is moved by hand. User code
 * goes on in real turns of the event loop, so nothing here waits for time to pass.
 */
import { RunOwner } from '../../durable-objects/owner.ts';
import { EmbeddedCaller } from '../../src/call/embedded.ts';
import { HttpCaller, type HttpDeps } from '../../src/call/http.ts';
import type { Caller, RunHandle } from '../../src/call/caller.ts';
import type { EventView, StoredEvent } from '../../src/protocol/event.ts';
import type { AIGateway, Gateway } from '../../src/protocol/op.ts';
import type { RunEnding, RunSummary, RunTrace, StepAnswer } from '../../src/protocol/run.ts';
import type { SentSignal, SignalWait } from '../../src/protocol/signal.ts';
import type { Wait } from '../../src/protocol/wait.ts';
import type { Gates, Signals, Waits } from '../../src/ports.ts';
import type { RunFlow } from '../../src/protocol/flow.ts';
import type { SlotAnswer, SlotAsk, SlotClaim } from '../../src/protocol/slot.ts';
import type { RunConfig } from '../../src/run/state.ts';
import type { StepOutcome } from '../../src/sdk/execution.ts';
import { Inngest } from '../../src/sdk/index.ts';
import type { stepTools } from '../../src/sdk/tools.ts';
import { copyRows, memoryJournal, noRows, type JournalRows, type MemoryJournal } from '../fakes/journal.ts';

export const NOW = 1_800_000_000_000;

/** What a handler is given. */
export interface Context {
  event: { name: string; data: Record<string, unknown> };
  events: unknown[];
  step: ReturnType<typeof stepTools>;
  runId: string;
  attempt: number;
  maxAttempts: number;
}

export type Code = (context: Context) => unknown;

const event: StoredEvent = {
  internalId: '01J0000000000000000000EVNT',
  env: 'main',
  name: 'shop/order.placed',
  data: { n: 1 },
  ts: NOW,
  receivedAt: NOW,
};

type Limits = Pick<
  RunConfig,
  'maxAttempts' | 'maxSteps' | 'stepRuntime' | 'retryInterval' | 'cancelOn' | 'startWithin' | 'finishWithin'
>;

export interface WorldOptions extends Partial<Limits> {
  /** Who starts the run waits for its end, however long that takes; otherwise not at all. */
  isAwaited?: boolean;
  /** The object is lost at this transaction: before it is written, or after that and before anything is done about it. */
  lostAt?: { transaction: number; written: boolean };
  startAt?: number;
  flow?: RunFlow;
  runId?: string;
  functionId?: string;
  /** What differs in the event that starts the run. */
  event?: Partial<StoredEvent>;
  /** The code is outside: how it is reached. `isBusy`: a call is under way. */
  remote?: Omit<HttpDeps, 'clock' | 'open' | 'seal'> & { isBusy(): boolean };
}

interface Sent {
  events: object[];
  seed: string;
  at: number;
}

/** An object in memory; the next one is made from its rows. */
interface Life {
  owner: RunOwner;
  caller: Caller;
  journal: MemoryJournal;
  lost: boolean;
}

export class World {
  now = NOW;
  /** What the handler runs; a deploy replaces it, or leaves the function out. */
  code: Code;
  isListed = true;
  readonly reported: RunSummary[] = [];
  readonly endings: RunEnding[] = [];
  /** Ends that the run reported itself, rather than answer them to who started it. */
  reports = 0;
  /** Events that the engine has accepted for the run. */
  readonly emitted: StoredEvent[] = [];
  readonly waits = new RecordedWaits();
  readonly signals = new RecordedSignals();
  readonly gates = new RecordedGates();
  readonly sent: Sent[] = [];
  /** Requests that the engine was to make for steps; `respond` makes them. */
  readonly requests: { request: Gateway | AIGateway; isLast: boolean }[] = [];
  respond: () => Promise<StepOutcome> = () => Promise.reject(new Error('no request is expected'));
  /** What the engine logged; nothing, unless the journal is broken. */
  readonly errors: string[] = [];
  /** How often the handler was entered. */
  entries = 0;
  transactions = 0;
  #rows: JournalRows = noRows();
  #life: Life;
  readonly #options: WorldOptions;

  constructor(code: Code, options: WorldOptions = {}) {
    this.code = code;
    this.#options = options;
    this.#life = this.#live();
  }

  get owner(): RunOwner {
    return this.#life.owner;
  }

  get rows(): JournalRows {
    return this.#rows;
  }

  get ended(): boolean {
    return this.owner.state?.run.end != null;
  }

  get status(): string {
    return this.owner.state?.run.end?.status ?? 'Running';
  }

  /** JSON value. */
  get output(): unknown {
    const text = this.#life.journal.output();
    return text === null ? null : (JSON.parse(text) as unknown);
  }

  trace(): Promise<RunTrace | null> {
    return this.owner.trace();
  }

  async start(): Promise<this> {
    const startAt = this.#options.startAt ?? this.now;
    const request = {
      runId: this.#options.runId ?? 'run',
      env: 'main',
      functionId: this.#options.functionId ?? 'app-fn',
      events: [{ ...event, ...this.#options.event }],
      startAt,
      queuedAt: NOW,
      ...(this.#options.flow && { flow: this.#options.flow }),
    };
    const answers = [await this.owner.start(request)];
    await this.quiet();
    // Whoever starts a run does it again until it is done.
    answers.push(await this.owner.start(request));
    await this.quiet();
    // Its end is told by an answer or by a report.
    const [ending] = answers.filter((answer) => answer !== null);
    if (ending !== undefined && this.endings.length === 0) this.#told(ending);
    return this;
  }

  /** Until user code gives no more news, without any time passing. */
  async quiet(): Promise<this> {
    for (let calm = 0, seen = -1; calm < 4; calm++) {
      if (this.#life.lost) this.revive();
      if (this.transactions !== seen || this.#options.remote?.isBusy() === true) calm = 0;
      seen = this.transactions;
      await new Promise<void>((resolve) => void setTimeout(resolve, 0));
    }
    return this;
  }

  /** Moves the clock to the alarm and lets it go off. */
  async ring(): Promise<this> {
    const at = this.#rows.alarm;
    if (at === null) throw new Error('no alarm is set: nothing would ever happen again');
    this.now = Math.max(this.now, at);
    await this.owner.alarm();
    if (this.errors.length > 0) throw new Error(this.errors.join());
    // An alarm during which the object is lost goes off again.
    if (this.#life.lost && this.#rows.alarm === null) this.#rows.alarm = this.now;
    return this.quiet();
  }

  /** The platform has forgotten it. */
  loseAlarm(): this {
    this.#rows.alarm = null;
    return this;
  }

  async pass(ms: number): Promise<this> {
    const until = this.now + ms;
    while (this.#rows.alarm !== null && this.#rows.alarm <= until) await this.ring();
    this.now = until;
    return this;
  }

  async toEnd(rings = 500): Promise<this> {
    for (let n = 0; !this.ended; n++) {
      if (n === rings) throw new Error(`the run has not ended after ${rings} alarms`);
      await this.ring();
    }
    return this;
  }

  async run(): Promise<this> {
    await this.start();
    return this.toEnd();
  }

  /** The object is lost with all that it had in memory. */
  crash(): this {
    this.#life.lost = true;
    this.revive();
    return this;
  }

  revive(): void {
    this.#life.caller.stop();
    this.#life = this.#live();
  }

  #live(): Life {
    const journal = memoryJournal(this.#rows);
    const life = { journal, lost: false } as Life;
    life.owner = new RunOwner({
      journal: this.#mortal(life, journal),
      clock: { now: () => this.now },
      timer: (_ms, fire) => {
        if (this.#options.isAwaited !== true) fire();
        return () => undefined;
      },
      log: { error: (message) => void this.errors.push(message) },
      caller: (run) => this.#caller(life, run),
      freeze: async () => ({
        maxAttempts: this.#options.maxAttempts ?? 5,
        maxSteps: this.#options.maxSteps ?? 1_000,
        stepRuntime: this.#options.stepRuntime ?? 7_200_000,
        retryInterval: this.#options.retryInterval === undefined ? 1_000 : this.#options.retryInterval,
        cancelOn: this.#options.cancelOn ?? [],
        startWithin: this.#options.startWithin ?? null,
        finishWithin: this.#options.finishWithin ?? null,
        ...(this.#options.remote === undefined ? {} : { remote: true as const }),
      }),
      report: async (ending) => {
        this.reports++;
        this.#told(ending);
      },
      waits: this.waits,
      signals: this.signals,
      gates: this.gates,
      emit: async (emitted) => void this.emitted.push(emitted),
      abort: () => {
        life.lost = true;
      },
    });
    return life;
  }

  #told(ending: RunEnding): void {
    this.endings.push(ending);
    this.reported.push(ending.summary);
  }

  /** A journal whose object is lost at the transaction that the options name. */
  #mortal(life: Life, journal: MemoryJournal): MemoryJournal {
    return {
      ...journal,
      alarmFired: () => {
        if (!life.lost) journal.alarmFired();
      },
      transact: (work, now) => {
        if (life.lost) return;
        const { lostAt } = this.#options;
        this.transactions++;
        const dies = this.transactions === lostAt?.transaction;
        if (!dies || lostAt?.written) journal.transact(work, now);
        if (!dies) return;
        life.lost = true;
        // What the dying object still does must not be seen.
        this.#rows = copyRows(journal.rows);
      },
    };
  }

  #caller(life: Life, run: RunHandle): Caller {
    const handle: RunHandle = {
      get state() {
        return run.state;
      },
      settled: run.settled,
      events: () => run.events(),
      memo: (id) => run.memo(id),
      feed: (...inputs) => {
        if (!life.lost) run.feed(...inputs);
      },
    };
    const open = (views: EventView[]) =>
      views.map(({ name, data, id, ts }) => ({ name, data, id, ts, user: {} }));
    const seal = async (user: object) => JSON.stringify(user);
    const { remote } = this.#options;
    if (remote !== undefined) {
      life.caller = new HttpCaller(handle, { ...remote, clock: { now: () => this.now }, open, seal });
    } else life.caller = this.#embedded(handle);
    return {
      call: (call) => {
        if (!life.lost) life.caller.call(call);
      },
      stop: () => {
        if (!life.lost) life.caller.stop();
      },
      checkpoint: (checkpoint) => life.caller.checkpoint?.(checkpoint) ?? { is: 'stale' },
      snapshot: async () => life.caller.snapshot?.() ?? { events: '[]', steps: '{}' },
    };
  }

  #embedded(handle: RunHandle): EmbeddedCaller {
    const quiet = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };
    const client = new Inngest({ id: 'app', logger: quiet });
    const fn = client.createFunction({ id: 'fn' }, { event: 'shop/order.placed' }, (context) => {
      this.entries++;
      return this.code(context as unknown as Context);
    });
    return new EmbeddedCaller(handle, {
      find: () => (this.isListed ? { fn, appId: 'app' } : undefined),
      reqArgs: [],
      clock: { now: () => this.now },
      signal: async (sent, { signal }) => {
        this.signals.sent.push({ signal, ...sent });
        return this.signals.receiver;
      },
      request: (request, isLast) => {
        this.requests.push({ request, isLast });
        return this.respond();
      },
      send: async (events, { seed, at }) => {
        this.sent.push({ events, seed, at });
        return { ids: events.map((_, n) => `${seed}:${n}`) };
      },
      open: (views) => views.map(({ name, data, ts }) => ({ name, data, ts })),
      seal: async (user) => JSON.stringify(user),
    });
  }
}

/** What runs ask of the waits, written down; tests answer. */
class RecordedWaits implements Pick<Waits, 'listen' | 'expire' | 'drop'> {
  readonly listening: Wait[] = [];
  readonly expired: string[] = [];
  readonly droppedKeys: string[] = [];
  /** What came in time, by key. */
  readonly inTime = new Map<string, StoredEvent>();
  fails = false;

  async listen(waits: Wait[]): Promise<void> {
    if (this.fails) throw new Error('down');
    this.listening.push(...waits);
  }

  async expire(_env: string, _name: string, _runId: string, key: string): Promise<StoredEvent | null> {
    if (this.fails) throw new Error('down');
    this.expired.push(key);
    return this.inTime.get(key) ?? null;
  }

  async drop(_env: string, _name: string, _runId: string, keys: string[]): Promise<void> {
    this.droppedKeys.push(...keys);
  }
}

/** What runs ask of the gates, written down; answered as the test says, `granted` at first. */
class RecordedGates implements Pick<Gates, 'acquire' | 'release' | 'look'> {
  readonly asked: SlotAsk[] = [];
  readonly released: SlotClaim[] = [];
  answer: (ask: SlotAsk) => SlotAnswer | Promise<SlotAnswer> = () => ({ is: 'granted' });

  async acquire(ask: SlotAsk): Promise<SlotAnswer> {
    this.asked.push(ask);
    return this.answer(ask);
  }

  async release(claim: SlotClaim): Promise<void> {
    this.released.push(claim);
  }

  async look(): Promise<null> {
    return null;
  }
}

/** The same for signals. */
class RecordedSignals implements Pick<Signals, 'listen' | 'expire' | 'drop'> {
  readonly listening: SignalWait[] = [];
  readonly expired: string[] = [];
  readonly dropped: string[] = [];
  readonly sent: (SentSignal & { signal: string })[] = [];
  /** Whether another run waits. */
  isTaken = false;
  /** Who gets what is sent. */
  receiver: string | null = null;
  /** What came in time. */
  inTime: StepAnswer | null = null;

  async listen(wait: SignalWait): Promise<'listening' | 'taken'> {
    this.listening.push(wait);
    return this.isTaken ? 'taken' : 'listening';
  }

  async expire(_env: string, signal: string): Promise<StepAnswer | null> {
    this.expired.push(signal);
    return this.inTime;
  }

  async drop(_env: string, signal: string): Promise<void> {
    this.dropped.push(signal);
  }
}

/** A promise that others settle. */
export function gate<T = unknown>() {
  let open!: (value: T) => void;
  let fail!: (error: unknown) => void;
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}

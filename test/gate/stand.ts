/**
 * Runs with their real owners and gates with theirs, in one process and one seeded order: calls take time, get lost on their way or on
 * their way back, and whoever is in it crashes. What user code does here is a number of bursts, with sleeps and failures between them.
 */
import { GateOwner } from '../../durable-objects/gate-owner.ts';
import { RunOwner } from '../../durable-objects/owner.ts';
import type { Call, Caller, RunHandle } from '../../src/call/caller.ts';
import { parseDuration } from '../../src/lib/duration.ts';
import { SECOND } from '../../src/lib/time.ts';
import type { RunFlow } from '../../src/protocol/flow.ts';
import type { FunctionConfig } from '../../src/protocol/function.ts';
import type { SlotLimit } from '../../src/protocol/slot.ts';
import { memoryJournal, noRows, type JournalRows } from '../fakes/journal.ts';
import { emptyDisk, memoryWaitsStorage, type WaitsDisk } from '../fakes/waits.ts';
import { Heap } from '../sim/heap.ts';
import { Random } from '../sim/random.ts';
import { START } from './world.ts';
import { registryOf } from '../fakes/registry.ts';

export interface RunPlan {
  runId: string;
  functionId: string;
  flow: RunFlow;
  /** Bursts after the first, and what ends the one before: a sleep, or a failure with a retry. */
  parts: ('sleep' | 'fail')[];
  /** Seconds. */
  startsAt: number;
  /** Seconds after its start at which somebody cancels it; its own start timeout. */
  cancelledAfter?: number;
  startWithin?: number;
}

export interface StandPlan {
  seed: number;
  functions: FunctionConfig[];
  runs: RunPlan[];
  /** Deployments with other limits: seconds after the beginning, and the functions from then on. */
  deploys?: { at: number; functions: FunctionConfig[] }[];
  /** Chance of each: a call or its answer lost, and a crash at each step of time. */
  faults: { lost: number; crash: number };
}

interface Thing {
  life: number;
  wake: () => void;
}

interface Run extends Thing {
  plan: RunPlan;
  rows: JournalRows;
  owner: RunOwner;
  /** Moments at which its code was entered. */
  entered: number[];
  isExecuting: boolean;
}

interface Gate extends Thing {
  disk: WaitsDisk;
  owner: GateOwner;
}

/** Longer than a burst and all that may come before it. */
const HELD = 100 * SECOND;
const STUCK = 6 * 3_600 * SECOND;

export class Stand {
  now = START;
  readonly runs = new Map<string, Run>();
  readonly gates = new Map<string, Gate>();
  readonly problems: string[] = [];
  isHealed = false;
  readonly #plan: StandPlan;
  #functions: FunctionConfig[];
  /** Limits of lately: what was given under one of them may still be held. */
  #former: { until: number; functions: FunctionConfig[] }[] = [];
  readonly #random: Random;
  readonly #heap = new Heap<{ at: number; order: number; run: () => void }>();
  #order = 0;

  constructor(plan: StandPlan) {
    this.#plan = plan;
    this.#functions = plan.functions;
    this.#random = new Random(plan.seed);
  }

  /** What went wrong. */
  async play(): Promise<string[]> {
    for (const plan of this.#plan.runs) this.#at(plan.startsAt * SECOND, () => this.#start(plan));
    for (const { at, functions } of this.#plan.deploys ?? [])
      this.#at(at * SECOND, () => this.#deploy(functions));
    while (this.problems.length === 0 && this.#hasOpenRuns()) {
      if (this.now - START > STUCK) this.#complain(`does not end: ${this.#open().join()}`);
      else if (!(await this.#step()))
        this.#complain(`nothing would ever happen again: ${this.#open().join()}`);
    }
    this.isHealed = true;
    const until = this.now + 120 * SECOND;
    while (this.problems.length === 0 && this.#heap.peek() !== undefined && this.now < until)
      await this.#step();
    if (this.problems.length === 0) this.#judge();
    return this.problems;
  }

  async #step(): Promise<boolean> {
    const next = this.#heap.pop();
    if (next === undefined) return false;
    this.now = Math.max(this.now, next.at);
    next.run();
    await new Promise<void>((resolve) => void setImmediate(resolve));
    if (!this.isHealed && this.#random.chance(this.#plan.faults.crash)) this.#crashSomebody();
    this.#watchAlarms();
    return true;
  }

  #judge(): void {
    for (const [name, { disk }] of this.gates) {
      for (const table of ['lease', 'waiting']) {
        const found = disk.database.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').get(table);
        const rows = found === undefined ? [] : disk.database.prepare(`SELECT * FROM ${table}`).all();
        if (rows.length > 0) this.#complain(`${name}: ${table} is not empty: ${JSON.stringify(rows)}`);
      }
    }
    for (const run of this.runs.values()) this.#judgeEnd(run);
  }

  #judgeEnd({ plan, owner, entered }: Run): void {
    const { runId, startsAt, cancelledAfter, startWithin } = plan;
    const end = owner.state?.run.end;
    if (end?.status === 'Completed') return;
    const after = ((end?.at ?? 0) - START) / SECOND - startsAt;
    const isTimeout = startWithin !== undefined && entered.length === 0 && after <= startWithin + 1;
    const isCancelled = cancelledAfter !== undefined && after >= cancelledAfter;
    if (end?.status !== 'Cancelled' || !(isTimeout || isCancelled))
      this.#complain(`${runId} is ${end?.status} after ${after} s`);
  }

  /** Objects begin anew with the new code. */
  #deploy(functions: FunctionConfig[]): void {
    this.#former.push({ until: this.now + HELD, functions: this.#functions });
    this.#functions = functions;
    for (const thing of [...this.runs.values(), ...this.gates.values()]) this.#crash(thing);
  }

  #complain(text: string): void {
    this.problems.push(`seed ${this.#plan.seed}, ${(this.now - START) / SECOND} s: ${text}`);
  }

  #hasOpenRuns(): boolean {
    return this.runs.size < this.#plan.runs.length || this.#open().length > 0;
  }

  #open(): string[] {
    return [...this.runs.values()]
      .filter(({ owner }) => owner.state?.run.end == null)
      .map(({ plan }) => plan.runId);
  }

  #at(delay: number, run: () => void): void {
    this.#heap.push({ at: this.now + delay, order: this.#order++, run });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#at(ms, resolve));
  }

  #watchAlarms(): void {
    for (const thing of [...this.runs.values(), ...this.gates.values()]) thing.wake();
  }

  #crashSomebody(): void {
    const things = [...this.runs.values(), ...this.gates.values()];
    if (things.length === 0) return;
    this.#crash(this.#random.pick(things));
  }

  #crash(thing: Run | Gate): void {
    thing.life++;
    if ('plan' in thing) {
      thing.isExecuting = false;
      thing.owner = this.#runOwner(thing);
    } else thing.owner = this.#gateOwner(thing);
  }

  /** A call from one object to another. The caller may be gone when its answer comes. */
  async #call<Result>(from: Thing, work: () => Promise<Result>): Promise<Result> {
    const { life } = from;
    const isLost = () => !this.isHealed && this.#random.chance(this.#plan.faults.lost);
    await this.#pause(this.#random.between(1, 40));
    let outcome: () => Result;
    if (isLost()) outcome = fails;
    else {
      const result = structuredClone(await work());
      outcome = isLost() ? fails : () => result;
    }
    await this.#pause(this.#random.between(1, 40));
    return from.life === life ? outcome() : new Promise<never>(() => undefined);
  }

  #start(plan: RunPlan): void {
    const run = { plan, rows: noRows(), life: 0, entered: [], isExecuting: false } as unknown as Run;
    run.owner = this.#runOwner(run);
    run.wake = this.#alarmOf(() => ({
      at: run.rows.alarm,
      fire: () => run.owner.alarm(),
    }));
    this.runs.set(plan.runId, run);
    const event = {
      internalId: `E${plan.runId}`,
      env: 'main',
      name: 'e',
      data: {},
      ts: this.now,
      receivedAt: this.now,
    };
    if (plan.cancelledAfter !== undefined)
      this.#at(plan.cancelledAfter * SECOND, () => void run.owner.cancel());
    void run.owner.start({
      runId: plan.runId,
      env: 'main',
      functionId: plan.functionId,
      events: [event],
      queuedAt: this.now,
      startAt: this.now,
      flow: plan.flow,
    });
  }

  #alarmOf(look: () => { at: number | null; fire: () => Promise<void> }): () => void {
    let planned: number | null = null;
    return () => {
      const { at } = look();
      if (at === null || at === planned) return;
      planned = at;
      this.#at(Math.max(0, at - this.now), () => {
        planned = null;
        const due = look();
        if (due.at !== null && due.at <= this.now) void due.fire();
      });
    };
  }

  #runOwner(run: Run): RunOwner {
    const { life } = run;
    const isAlive = () => run.life === life;
    const journal = memoryJournal(run.rows);
    return new RunOwner({
      journal: {
        ...journal,
        transact: (work, now) => {
          if (isAlive()) journal.transact(work, now);
        },
      },
      clock: { now: () => this.now },
      timer: () => () => undefined,
      log: { error: () => undefined },
      caller: (handle) => this.#code(run, handle, isAlive),
      freeze: async () => ({
        maxAttempts: 100,
        maxSteps: 100,
        stepRuntime: 7_200_000,
        retryInterval: 3 * SECOND,
        cancelOn: [],
        startWithin: run.plan.startWithin === undefined ? null : run.plan.startWithin * SECOND,
        finishWithin: null,
      }),
      report: async () => undefined,
      waits: { listen: async () => undefined, expire: async () => null, drop: async () => undefined },
      signals: { listen: async () => 'listening', expire: async () => null, drop: async () => undefined },
      emit: async () => undefined,
      abort: (reason) => this.#complain(reason),
      gates: {
        acquire: (ask) => this.#call(run, () => this.#gate(ask.limit).owner.acquire(ask)),
        look: async () => null,
        release: (claim) => this.#call(run, () => this.#gate(claim.limit).owner.release(claim)),
      },
    });
  }

  #gate({ scope, key }: SlotLimit): Gate {
    const name = `${scope} ${key}`;
    let gate = this.gates.get(name);
    if (gate === undefined) {
      gate = { life: 0, disk: emptyDisk() } as Gate;
      const made = gate;
      made.owner = this.#gateOwner(made);
      made.wake = this.#alarmOf(() => ({
        at: made.disk.alarm,
        fire: () => {
          made.disk.alarm = null;
          return made.owner.alarm();
        },
      }));
      this.gates.set(name, made);
    }
    return gate;
  }

  #gateOwner(gate: Gate): GateOwner {
    const { life } = gate;
    return new GateOwner({
      storage: memoryWaitsStorage(gate.disk, () => gate.life === life),
      clock: { now: () => this.now },
      log: { error: () => undefined },
      functions: registryOf(() => this.#functions),
      config: { throttleMode: 'smooth' },
      runs: {
        grant: (runId, granted) =>
          this.#call(gate, async () => (await this.runs.get(runId)?.owner.grant(granted)) ?? 'gone'),
      },
      launch: async () => undefined,
      holders: { isActive: async () => false, cancel: async () => 'unknown' },
      abort: (reason) => this.#complain(reason),
    });
  }

  /** User code: one burst for each call that finds none under way. */
  #code(run: Run, handle: RunHandle, isAlive: () => boolean): Caller {
    let current = 0;
    const leave = () => {
      current++;
      if (isAlive()) run.isExecuting = false;
    };
    return {
      call: ({ entry }: Call) => {
        if (!isAlive() || run.isExecuting) return;
        this.#enter(run);
        const mine = ++current;
        this.#at(this.#random.between(1, 35) * SECOND, () => {
          if (isAlive() && mine === current) this.#goOn(run, handle, entry, leave);
        });
      },
      stop: leave,
    };
  }

  #goOn(run: Run, handle: RunHandle, entry: number, leave: () => void): void {
    const { state } = handle;
    if (state === null) return;
    const done = state.run.failures.length + state.steps.size;
    const part = run.plan.parts[done];
    const asleep = [...state.steps.values()].some((step) => step.state === 'waiting');
    leave();
    if (part === undefined && !asleep) handle.feed({ type: 'returned', entry, output: '1' });
    else if (part === 'fail' && !asleep)
      handle.feed({ type: 'threw', entry, error: { name: 'Error', message: 'x' }, final: false });
    else {
      const id = `s${done}`;
      const until = { in: this.#random.between(2, 22) * SECOND };
      if (!asleep) handle.feed({ type: 'reported', op: { op: 'Sleep', id, name: id, attempt: 0, until } });
      handle.feed({ type: 'parked', entry });
    }
  }

  #enter(run: Run): void {
    run.isExecuting = true;
    if (run.entered.length === 0) this.#judgeStart(run.plan);
    run.entered.push(this.now);
    for (const { scope, key } of run.plan.flow.concurrency ?? []) {
      const line = `${scope} ${key}`;
      const executing = [...this.runs.values()].filter(
        (other) =>
          other.isExecuting && other.plan.flow.concurrency?.some((one) => `${one.scope} ${one.key}` === line),
      );
      const limit = Math.max(...executing.map(({ plan }) => this.#limitOf(plan, line)));
      if (executing.length > limit)
        this.#complain(
          `${executing.length} execute under ${line} of ${limit}: ${executing.map(({ plan }) => plan.runId).join()}`,
        );
    }
  }

  /** Of those who share a line each has a limit of its own, and one of the larger may come while one of the smaller is on its way (CC-31). */
  #limitOf({ functionId, flow }: RunPlan, line: string): number {
    const n = flow.concurrency?.find((one) => `${one.scope} ${one.key}` === line)?.n ?? 0;
    const former = this.#former.filter(({ until }) => this.now < until).map(({ functions }) => functions);
    const configs = [this.#functions, ...former].flat().filter(({ id }) => id === functionId);
    return Math.max(...configs.map((config) => config.concurrency?.[n]?.limit ?? Infinity));
  }

  /** TH-14: from the beginning there are never more starts than the burst and one for each interval. */
  #judgeStart({ functionId, flow }: RunPlan): void {
    const throttle = this.#plan.functions.find(({ id }) => id === functionId)?.throttle;
    if (flow.throttle === undefined || throttle === undefined) return;
    const others = [...this.runs.values()].filter(
      ({ plan, entered }) => plan.functionId === functionId && entered.length > 0,
    );
    const interval = (parseDuration(throttle.period) ?? 0) / throttle.limit;
    if (others.length + 1 > throttle.burst + (this.now - START) / interval)
      this.#complain(`${others.length + 1} starts of ${functionId}`);
  }
}

function fails(): never {
  throw new Error('lost');
}

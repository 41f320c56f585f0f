/** The real parts put together on simulated ports, as src/compose.ts and durable-objects/index.ts do it on the platform's. */
import { acceptEvents, type IntakeDeps } from '../../src/ingest/accept.ts';
import { acceptInternal } from '../../src/ingest/internal.ts';
import { systemTimer } from '../../src/ingest/patience.ts';
import { consumeRuns, type RunsDeps } from '../../src/dispatch/close.ts';
import { consumeEvents, type EventsDeps } from '../../src/dispatch/consume.ts';
import { isActive, launch } from '../../src/dispatch/launch.ts';
import type { Message } from '../../src/dispatch/delivery.ts';
import { isHeardAgain } from '../../src/dispatch/flow.ts';
import { promptDispatch } from '../../src/dispatch/prompt.ts';
import { sweep, type SweepDeps } from '../../src/dispatch/sweep.ts';
import type { Env } from '../../src/env.ts';
import { memoryApps } from '../fakes/apps.ts';
import { memoryCancellations } from '../fakes/cancellations.ts';
import { objectRuns, objectWaits } from '../../src/objects.ts';
import type { Catalog, Gates, Log, Runs, SlotHolders, StartGates, Waiters, Waits } from '../../src/ports.ts';
import { DAY } from '../../src/lib/time.ts';
import type { FunctionConfig } from '../../src/protocol/function.ts';
import type { DeadMessage, EventsMessage, RunsMessage } from '../../src/protocol/message.ts';
import type { Bug } from './bugs.ts';
import type { Faults } from './faults.ts';
import { SimCrons } from './crons.ts';
import type { DiskObject, DiskOwner } from './disk-object.ts';
import { Life, within } from './life.ts';
import { FlowWatch } from './flow-watch.ts';
import { StartWatch } from './start-watch.ts';
import { SimGates } from './gates.ts';
import { RunObjects } from './objects.ts';
import type { Outages } from './outages.ts';
import type { Program } from './programs.ts';
import { SimQueue } from './queue.ts';
import type { Random } from './random.ts';
import { ENV } from './senders.ts';
import { Starts, type Trouble } from './starts.ts';
import { keyOf, simStore, type SimStore } from './store.ts';
import { SimSweeper } from './sweeper.ts';
import { SimWaits } from './waits.ts';
import type { World } from './world.ts';
import { registryOf } from '../fakes/registry.ts';

export const RETENTION = 400 * DAY;

export interface EngineOptions {
  programs: Map<string, Program>;
  stepRuntime: number;
  retryInterval: number | null;
  /** The platform's queues keep their messages over a stop of the process; the local ones do not. */
  queuesLast: boolean;
  /** What starts fail by, and a stream of its own for that. */
  trouble: Trouble | null;
  outages: Outages;
  /** Something went wrong on purpose. */
  isDisturbed: () => boolean;
  chance: Random;
  bug: Bug;
}

export class SimEngine {
  readonly db: SimStore;
  readonly objects: RunObjects;
  /** What requests come in by. */
  front: IntakeDeps;
  readonly runs: Runs & Waiters & SlotHolders;
  readonly waitsObjects: SimWaits;
  readonly crons: SimCrons;
  readonly gates: SimGates;
  readonly flow: FlowWatch;
  readonly gated: StartWatch;
  readonly sweeper: SimSweeper;
  readonly starts: Starts;
  /** What was given up. */
  readonly dead: DeadMessage[] = [];
  /** Events that were in a queue alone when it lost its messages, by the `key` in their data. */
  readonly lost = new Set<string>();
  readonly #intake: IntakeDeps;
  readonly #world: World;
  readonly #queuesLast: boolean;
  readonly #events: SimQueue<EventsMessage>;
  readonly #ended: SimQueue<RunsMessage>;
  readonly #functions = registryOf(() => this.#catalog.configs);
  #catalog: Catalog;
  readonly #log: Log;
  readonly #waits: Waits;
  readonly #apps = memoryApps();
  readonly #cancellations = memoryCancellations();
  readonly #gates: Gates & StartGates;
  #resent: SweepDeps['resent'] = new Map();

  constructor(
    world: World,
    faults: Faults,
    { bug, queuesLast, trouble, outages, chance, isDisturbed, ...options }: EngineOptions,
  ) {
    this.#world = world;
    this.#queuesLast = queuesLast;
    this.#catalog = catalogOf(options.programs.values());
    this.#log = {
      error: (message, { error }) =>
        world.note(() => `log: ${message} ${error instanceof Error ? error.message : ''}`),
    };
    this.db = simStore(world, faults, RETENTION);
    Object.assign(this.db.store, bug.store?.({ ...this.db.store }));
    this.gated = new StartWatch(world);
    const { store } = this.db;
    this.db = { ...this.db, store: { ...store, claim: this.gated.claim((claims) => store.claim(claims)) } };
    const consume = (messages: readonly Message[]) => consumeEvents(messages, this.#dispatch());
    this.#events = new SimQueue('EVENTS', world, faults, consume, outages.events);
    this.#ended = new SimQueue('RUNS', world, faults, (messages) => consumeRuns(messages, this.#dispatch()));
    this.sweeper = new SimSweeper(world, () => this.#sweep());
    const intake: IntakeDeps = {
      store: this.db.store,
      events: this.#events,
      clock: world.clock,
      log: this.#log,
      timer: systemTimer,
      seal: null,
      entropy: { bytes: (length) => world.random.bytes(length) },
      arm: () => this.arm().catch(() => undefined),
      isHeardAgain: (event) => isHeardAgain(this.#functions, event),
    };
    this.objects = new RunObjects(world, faults, {
      ...options,
      report: (ending) => this.#ended.send([{ runs: [ending] }]),
      emit: (event) => acceptInternal(intake, [bug.emits?.(event) ?? event]),
      send: async (events, from) => ({ ids: await acceptEvents(intake, events, from) }),
      waits: {
        listen: (waits) => this.#waits.listen(waits),
        expire: (...wait) => this.#waits.expire(...wait),
        drop: (...waits) => this.#waits.drop(...waits),
      },
      hasLeftWaits: (runId) =>
        !isDisturbed() && this.waitsObjects.left().some((wait) => wait.runId === runId),
      gates: () => this.#gates,
      executes: (object) => this.flow.executes(object),
      ended: (runId) => this.flow.ended(runId),
      outage: outages.answers,
      log: this.#log,
      ...bug.objects,
    });
    const binding = { idFromName: (id: string) => id, get: (id: string) => this.objects.stub(id) };
    const runs = objectRuns({ RUN: binding } as unknown as Env);
    this.runs = { ...runs, ...bug.runs?.(runs) };
    this.waitsObjects = new SimWaits(world, faults, {
      history: this.db.store,
      waiters: { ...runs, ...bug.waiters?.(runs) },
      log: this.#log,
      outage: outages.waits,
      bug,
    });
    this.crons = new SimCrons(world, faults, {
      functions: () => this.#catalog,
      accept: (events) => acceptInternal(intake, events),
      log: this.#log,
      outages,
      bug,
    });
    const names = { idFromName: (name: string) => name, get: (name: string) => this.waitsObjects.stub(name) };
    const waits = objectWaits({ WAITS: names } as unknown as Env);
    this.#waits = { ...waits, ...bug.waits?.(waits) };
    this.flow = new FlowWatch(world, {
      programs: options.programs,
      awake: () => this.objects.awake(),
      gates: { left: (table) => this.gates.left(table) },
      isDisturbed,
    });
    this.gates = new SimGates(world, faults, {
      log: this.#log,
      functions: this.#functions,
      config: { throttleMode: 'smooth' },
      runs: this.flow.holders(this.runs),
      // By another way than that of starts, which may fail for as long as the history lasts.
      launch: (window) => launch({ ...this.#dispatch(), runs: this.runs }, window),
      holders: {
        isActive: (holder) => isActive({ runs: this.runs, store: this.db.store }, ENV, holder, world.now),
        cancel: (runId) => this.runs.cancel(runId),
      },
      bug,
    });
    const { gates } = this.gates;
    const faulty = { ...gates, ...bug.gates?.(gates) };
    this.#gates = { ...this.flow.gates(faulty), ...this.gated.gates(faulty) };
    this.starts = new Starts(world, chance, trouble, this.runs);
    this.#intake = intake;
    this.front = this.#open();
  }

  /** Objects that keep rows, other than runs. */
  diskObjects(): DiskObject<DiskOwner>[] {
    return [...this.waitsObjects.all, ...this.gates.all, this.crons.object];
  }

  /** As src/engine.ts does it; schedules only where there are any. */
  async arm(): Promise<void> {
    const hasCrons = this.crons.object.isMade || this.#catalog.configs.some(isCron);
    await Promise.all([this.sweeper.arm(), hasCrons ? this.crons.sync(ENV) : null]);
  }

  /** Other code: everything begins anew. */
  deploy(programs: Iterable<Program>): void {
    this.#catalog = catalogOf(programs);
    this.crash();
  }

  close(): void {
    for (const { disk } of this.diskObjects()) disk.database.close();
  }

  /** Everything in memory is gone, the local queues' messages with it; rows and alarms are kept. */
  crash(): void {
    this.#world.note(() => 'the process stops and starts again');
    this.#world.process.die();
    this.#world.process = new Life('process', null);
    this.#resent = new Map();
    this.front = this.#open();
    this.#ended.restart(this.#queuesLast);
    for (const { events = [] } of this.#events.restart(this.#queuesLast)) {
      for (const key of events.map(keyOf)) if (!this.db.stored.has(key)) this.lost.add(key);
    }
  }

  /** A sweep outside of the simulated order of things: what has expired goes. */
  async sweepNow(): Promise<void> {
    await within(this.#world.process, () => sweep({ ...this.#sweep(), store: this.db.inside }));
  }

  /** A new process has nothing to do yet. */
  #open(): IntakeDeps {
    return { ...this.#intake, prompt: promptDispatch({ ...this.#dispatch(), events: this.#events }) };
  }

  #dispatch(): EventsDeps & RunsDeps {
    return {
      store: this.db.store,
      runs: { ...this.runs, start: this.starts.start },
      waits: this.#waits,
      gates: this.#gates,
      seal: null,
      functions: this.#functions,
      dead: { send: async (letters) => void this.dead.push(...letters) },
      clock: this.#world.clock,
      log: this.#log,
    };
  }

  #sweep(): SweepDeps {
    const { store } = this.db;
    return {
      store,
      events: this.#events,
      runs: this.runs,
      waits: this.#waits,
      apps: this.#apps,
      cancellations: this.#cancellations,
      gates: this.#gates,
      seal: null,
      functions: this.#functions,
      clock: this.#world.clock,
      log: this.#log,
      resent: this.#resent,
      repaired: (what) => void this.sweeper.counted[what]++,
    };
  }
}

function catalogOf(programs: Iterable<Program>): Catalog {
  return { version: 0, configs: [...programs].map(configOf) };
}

function configOf({ id, triggers, crons, maxAttempts, flow }: Program): FunctionConfig {
  return {
    id,
    name: id,
    triggers: [...triggers.map((event) => ({ event })), ...crons],
    retries: maxAttempts - 1,
    ...flow,
  };
}

function isCron({ triggers }: FunctionConfig): boolean {
  return triggers.some((trigger) => 'cron' in trigger);
}

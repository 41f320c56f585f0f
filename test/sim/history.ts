/**
 * One history: events are sent, functions run, things go wrong, the world heals and comes to rest. All of it follows from the seed and
 * from nothing else.
 */
import { DAY, HOUR, MINUTE, SECOND } from '../../src/lib/time.ts';
import { NO_BUG, type Bug } from './bugs.ts';
import { evictAll, strike } from './chaos.ts';
import { RETENTION, SimEngine } from './engine.ts';
import { Fault, Faults, type FaultKind } from './faults.ts';
import { checkEmptied, checkWorld } from './invariants.ts';
import { Life, within } from './life.ts';
import { untilDeath } from './objects.ts';
import { addAsks, addCrons, addFlow, generatePrograms, reschedule, type Program } from './programs.ts';
import { endOf, lengthOf, planOutages, type Outages } from './outages.ts';
import { Random } from './random.ts';
import { planCrowd, planEvents, planSignals, Senders } from './senders.ts';
import { planTrouble, type Trouble } from './starts.ts';
import { EPOCH, World } from './world.ts';

export interface Options {
  seed: number;
  /** Drop every owner from memory as soon as its turn is over. */
  alwaysEvict?: boolean;
  /** Histories that have nothing of this are left out. */
  about?: 'asks' | 'crons' | 'flow';
  /** Bounds, for making a failing history smaller: no more events, cancellations and faults than so many. */
  events?: number;
  cancels?: number;
  faults?: number;
  bug?: Bug;
  isLogged?: boolean;
}

export interface Outcome {
  violations: string[];
  log: string[];
  faults: ReadonlyMap<FaultKind, number>;
  events: number;
  cancels: number;
  runs: number;
  turns: number;
}

/** A history that takes more is not coming to rest. */
const TURNS = 120_000;
/** Nothing real needs as many at one moment: it goes round in circles. */
const TURNS_AT_ONCE = 5_000;
/** Days: a sweep asks about a run once a day at least. */
const IDLE_SWEEPS = 20;
const STREAM = {
  plan: 0,
  programs: 1,
  order: 2,
  faults: 3,
  cancels: 4,
  trouble: 5,
  asks: 6,
  crons: 7,
  outages: 8,
  /** Not 9: the histories of sim.test.ts in which something was wrong once have no flow control so. */
  flow: 11,
};

/** The last history that was begun: they share the process's timers, so there is one at a time. */
let last: Promise<unknown> = Promise.resolve();

export function simulate(options: Options): Promise<Outcome> {
  const outcome = last.then(() => simulateNow(options));
  last = outcome.catch(() => undefined);
  return outcome;
}

async function simulateNow(options: Options): Promise<Outcome> {
  const history = new History(options);
  const uninstall = history.world.installTimers();
  const unlisten = listenForRejections(history.world);
  try {
    await history.run();
  } finally {
    unlisten();
    uninstall();
    history.close();
  }
  return history.outcome();
}

/** The code under test may leave an error unhandled that its world made up, for the object is given up then; never one of its own. */
function listenForRejections(world: World): () => void {
  const others = process.listeners('unhandledRejection');
  const listener = (reason: unknown) => {
    if (!(reason instanceof Fault))
      world.violated(`unhandled: ${reason instanceof Error ? reason.stack : String(reason)}`);
  };
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', listener);
  return () => {
    process.removeAllListeners('unhandledRejection');
    for (const other of others) process.on('unhandledRejection', other);
  };
}

class History {
  readonly world: World;
  readonly #options: Options;
  readonly #faults: Faults;
  readonly #programs: Map<string, Program>;
  readonly #engine: SimEngine;
  readonly #senders: Senders;
  readonly #stepRuntime: number;
  readonly #healsAt: number;
  readonly #trouble: Trouble | null;
  readonly #outages: Outages;
  readonly #cancelled = new Set<string>();
  readonly #meantToCancel = new Set<string>();
  #cancels = 0;
  #isDeployed = false;

  constructor(options: Options) {
    const { seed, bug = NO_BUG } = options;
    const plan = Random.stream(seed, STREAM.plan);
    const period = plan.pick([SECOND, MINUTE, HOUR, 12 * HOUR]);
    const faults = plan.chance(0.1) ? 0 : plan.between(1, 14);
    const stepRuntime = plan.pick([2 * MINUTE, 5 * MINUTE]);
    const retryInterval = plan.pick([null, null, SECOND, MINUTE]);
    const queuesLast = plan.chance(0.5);
    this.#options = options;
    this.#stepRuntime = stepRuntime;
    this.#healsAt = EPOCH + period + plan.between(MINUTE, plan.pick([HOUR, 3 * DAY]));
    this.world = new World(Random.stream(seed, STREAM.order), options.isLogged ?? false);
    this.#faults = new Faults(this.world, Random.stream(seed, STREAM.faults), faults, options.faults);
    const asks = Random.stream(seed, STREAM.asks);
    const generated = generatePrograms(Random.stream(seed, STREAM.programs), stepRuntime);
    const crons = Random.stream(seed, STREAM.crons);
    const asking = addAsks(asks, generated, stepRuntime, options.about === 'asks' ? 1 : undefined);
    const timed = addCrons(crons, asking, stepRuntime, options.about === 'crons' ? 1 : undefined);
    const flow = Random.stream(seed, STREAM.flow);
    const programs = addFlow(flow, timed, options.about === 'flow' ? 1 : undefined);
    const isFlowing = programs !== timed;
    const chance = Random.stream(seed, STREAM.trouble);
    this.#trouble = planTrouble(chance, programs);
    this.#outages = planOutages(Random.stream(seed, STREAM.outages), period);
    this.world.disturbance = lengthOf(this.#outages);
    this.#programs = new Map(programs.map((program) => [program.id, program]));
    this.#engine = new SimEngine(this.world, this.#faults, {
      programs: this.#programs,
      stepRuntime,
      retryInterval,
      queuesLast,
      trouble: this.#trouble,
      outages: this.#outages,
      isDisturbed: () => this.#isDisturbed(),
      chance,
      bug,
    });
    this.#senders = new Senders(this.world, () => this.#engine.front);
    const planned = isFlowing ? planCrowd(flow, period) : planEvents(plan, plan.between(1, 5), period);
    const events = [...planned, ...planSignals(asks, programs, planned, period)];
    for (const event of events.slice(0, options.events)) this.#senders.plan(event);
    this.#planCancels(Random.stream(seed, STREAM.cancels), period);
    if (programs.some((program) => program.crons.length > 0)) this.#planDeploys(crons);
  }

  async run(): Promise<void> {
    const { world } = this;
    for (const program of this.#programs.values()) world.note(() => `function ${JSON.stringify(program)}`);
    while (await world.turn()) {
      if (this.#options.alwaysEvict) {
        await world.finishTurn();
        evictAll(this.#engine);
      }
      if (world.now >= this.#healsAt && !this.#faults.isHealed) this.#heal();
      strike(world, this.#engine, this.#faults, this.#stepRuntime);
      if (world.turnsNow > TURNS_AT_ONCE)
        return world.violated(`time stands still after ${TURNS_AT_ONCE} turns`);
      if (world.turns > TURNS) return world.violated(`not at rest after ${TURNS} turns`);
      if (await this.#isAtRest()) break;
    }
    await this.#check();
  }

  #isDisturbed(): boolean {
    const { injected } = this.#faults;
    // What is dropped from memory, or deployed over, takes with it what it was about to send: a sweep sends it.
    if (this.#options.alwaysEvict === true || this.#isDeployed) return true;
    return injected.size > 0 || this.#trouble !== null || lengthOf(this.#outages) > 0;
  }

  close(): void {
    this.#engine.close();
  }

  outcome(): Outcome {
    const { world } = this;
    return {
      violations: world.violations,
      log: world.log ?? [],
      faults: this.#faults.injected,
      events: this.#senders.sent.length,
      cancels: this.#cancels,
      runs: this.#engine.objects.all.size,
      turns: world.turns,
    };
  }

  #heal(): void {
    this.world.note(() => 'the world heals');
    this.#faults.heal();
  }

  /** Only sweeps are left to happen, and they find nothing to do, or find the same for days. */
  async #isAtRest(): Promise<boolean> {
    const { sweeper, db } = this.#engine;
    if (sweeper.idleSweeps < 2) return false;
    const isOut = this.world.now < endOf(this.#outages);
    if (isOut || !this.#faults.isHealed) {
      if (!isOut) this.#heal();
      sweeper.idleSweeps = 0;
      return false;
    }
    const open = await db.inside.runsToCheck(Infinity, 1);
    const undispatched = await db.inside.undispatched(Infinity, 1);
    return sweeper.idleSweeps >= IDLE_SWEEPS || (open.length === 0 && undispatched.length === 0);
  }

  async #check(): Promise<void> {
    const { world } = this;
    const scene = {
      world,
      engine: this.#engine,
      programs: this.#programs,
      stepRuntime: this.#stepRuntime,
      sent: this.#senders.sent,
      cancelled: this.#cancelled,
      isDisturbed: this.#isDisturbed(),
      meantToCancel: this.#meantToCancel,
    };
    await checkWorld(scene);
    if (world.violations.length > 0) return;
    world.now += RETENTION + 2 * DAY;
    const sweeping = { isDone: false };
    const emptied = this.#engine.sweepNow().finally(() => (sweeping.isDone = true));
    while (!sweeping.isDone && (await world.turn()));
    await emptied;
    checkEmptied(scene);
  }

  #planCancels(random: Random, period: number): void {
    const count = random.chance(0.3) ? random.between(1, 3) : 0;
    for (let n = 0; n < Math.min(count, this.#options.cancels ?? count); n++) {
      this.#cancels++;
      const at = EPOCH + random.between(0, random.pick([period, period, HOUR, 3 * DAY]));
      this.world.schedule(at, 'somebody cancels a run', () => void this.#cancel(random), {
        life: this.world.outside,
      });
    }
  }

  #planDeploys(random: Random): void {
    const { world } = this;
    const arm = { life: world.outside };
    world.schedule(EPOCH + random.between(0, HOUR), null, () => this.#arm(), arm);
    if (!random.chance(0.5)) return;
    const at = EPOCH + random.between(0, random.pick([HOUR, DAY, 2 * DAY]));
    const deploy = () => {
      const programs = reschedule(random, this.#programs.values());
      world.note(() => `crons are now ${JSON.stringify(programs.flatMap(({ crons }) => crons))}`);
      this.#isDeployed = true;
      this.#engine.deploy(programs);
      this.#arm();
    };
    world.schedule(at, 'a deployment', deploy, { life: world.outside });
  }

  /** What the platform does every minute; here until the schedules are known. */
  #arm(): void {
    const { world } = this;
    const life = new Life('arm', world.process);
    void within(life, () => this.#engine.arm()).then(
      () => life.end(),
      () => life.die(),
    );
    life.onDeath(() => {
      world.schedule(world.now + MINUTE, null, () => this.#arm(), { life: world.outside });
    });
  }

  async #cancel(random: Random): Promise<void> {
    const { world } = this;
    const runIds = [...this.#engine.objects.all.keys()];
    if (runIds.length === 0) return;
    const runId = random.pick(runIds);
    const life = new Life('cancellation', world.process);
    this.#meantToCancel.add(runId);
    try {
      const answer = await untilDeath(life, () => this.#engine.runs.cancel(runId));
      world.note(() => `cancellation of ${runId}: ${answer}`);
      if (answer === 'cancelled') this.#cancelled.add(runId);
    } catch (error) {
      if (!(error instanceof Fault)) world.violated(`cancel threw ${String(error)}`);
    }
    within(world.outside, () => life.end());
  }
}

/**
 * The platform's objects: each is rows and an alarm, which survive, and an owner in memory, which may be gone at any moment. Runs the real
 * `RunOwner` and the real `EmbeddedCaller` between ports that fail.
 */
import type { StoredEvent } from '../../src/protocol/event.ts';
import { Inngest } from '../../src/sdk/index.ts';
import { RunOwner, type JournalPort, type OwnerDeps } from '../../durable-objects/owner.ts';
import { systemTimer } from '../../src/ingest/patience.ts';
import type { Caller, RunHandle } from '../../src/call/caller.ts';
import { EmbeddedCaller, type EmbeddedDeps } from '../../src/call/embedded.ts';
import type { Gates, Log } from '../../src/ports.ts';
import { MINUTE, SECOND } from '../../src/lib/time.ts';
import type { RunRpc } from '../../src/protocol/rpc.ts';
import type { RunEnding } from '../../src/protocol/run.ts';
import type { apply } from '../../src/run/apply.ts';
import { isQueued, type RunConfig, type RunState } from '../../src/run/state.ts';
import { memoryJournal, noRows, type JournalRows } from '../fakes/journal.ts';
import { Fault, type Faults } from './faults.ts';
import { Life, never, within } from './life.ts';
import type { Outage } from './outages.ts';
import type { Program } from './programs.ts';
import { Stand } from './stand.ts';
import { play } from './user-code.ts';
import { RunWatch } from './watch.ts';
import type { Task, World } from './world.ts';

const LATENCY = 4;
const ALARM_LATE = { least: SECOND, most: 10 * MINUTE };
/** The platform tries an alarm again whose object was lost under it. */
const ALARM_AGAIN = 2 * SECOND;

/** An owner in memory. */
export interface Incarnation {
  life: Life;
  owner: RunOwner;
  /** Calls, alarms and reports under way. */
  busy: number;
  stand: Stand;
}

export class RunObject {
  readonly id: string;
  readonly rows: JournalRows = noRows();
  readonly watch: RunWatch;
  incarnation: Incarnation | null = null;
  isAlarmRunning = false;
  armed: { at: number; task: Task } | null = null;

  constructor(id: string, watch: RunWatch) {
    this.id = id;
    this.watch = watch;
  }

  get name(): string {
    return this.id;
  }

  get isIdle(): boolean {
    return this.incarnation?.busy === 0 && !this.incarnation.stand.isWaiting;
  }

  die(): void {
    this.incarnation?.life.die();
  }
}

export interface ObjectDeps {
  programs: Map<string, Program>;
  stepRuntime: number;
  retryInterval: number | null;
  report(ending: RunEnding): Promise<void>;
  emit(event: StoredEvent): Promise<void>;
  send: EmbeddedDeps['send'];
  waits: OwnerDeps['waits'];
  /** Whether a wait of this run is registered somewhere though nothing has gone wrong. */
  hasLeftWaits(runId: string): boolean;
  gates: () => Gates;
  /** A step of it has begun. */
  executes(object: RunObject): void;
  ended(runId: string): void;
  /** Runs are told of nothing. */
  outage: Outage;
  log: Log;
  /** A fault that is put in on purpose, see bugs.ts. */
  apply?: typeof apply;
  forgetsAlarm?: (object: RunObject) => boolean;
  answers?: (owner: RunOwner) => Pick<RunRpc, 'resume' | 'answer'>;
}

export class RunObjects {
  readonly all = new Map<string, RunObject>();
  readonly #world: World;
  readonly #faults: Faults;
  readonly #deps: ObjectDeps;

  constructor(world: World, faults: Faults, deps: ObjectDeps) {
    this.#world = world;
    this.#faults = faults;
    this.#deps = deps;
  }

  /** What src/objects.ts finds behind a binding. */
  stub(runId: string): RunRpc {
    const call = <Result>(work: (owner: RunOwner) => Promise<Result>) => this.#call(runId, work);
    const { answers = (owner) => owner, outage } = this.#deps;
    const told: typeof call = (work) =>
      outage.isAt(this.#world.now) ? Promise.reject(new Fault('the object is overloaded')) : call(work);
    return {
      start: (request) => call((owner) => owner.start(request)),
      cancel: () => told((owner) => owner.cancel()),
      hold: (given) => told((owner) => owner.hold(given)),
      read: () => call((owner) => owner.read()),
      trace: () => call((owner) => owner.trace()),
      resume: (key, event) => told((owner) => answers(owner).resume(key, event)),
      answer: (key, answer) => told((owner) => answers(owner).answer(key, answer)),
      grant: (granted) => call((owner) => owner.grant(granted)),
      awaits: (key) => call((owner) => owner.awaits(key)),
      check: () => call((owner) => owner.check()),
      purge: () => call((owner) => owner.purge()),
    };
  }

  awake(): RunObject[] {
    return [...this.all.values()].filter(({ incarnation }) => incarnation !== null);
  }

  async #call<Result>(runId: string, work: (owner: RunOwner) => Promise<Result>): Promise<Result> {
    await this.#world.hop(LATENCY);
    if (this.#faults.strikes('call lost on its way'))
      throw new Fault('the call was lost', this.#world.random.chance(0.5));
    const object = this.#object(runId);
    const incarnation = this.#wake(object);
    incarnation.busy++;
    const result = await untilDeath(incarnation.life, () => work(incarnation.owner));
    incarnation.busy--;
    await this.#world.hop(LATENCY);
    if (this.#faults.strikes('answer of a call lost'))
      throw new Fault('the answer was lost', this.#world.random.chance(0.5));
    return structuredClone(result);
  }

  #object(id: string): RunObject {
    let object = this.all.get(id);
    if (object === undefined) {
      object = new RunObject(id, new RunWatch(this.#world, id));
      this.all.set(id, object);
    }
    return object;
  }

  #wake(object: RunObject): Incarnation {
    if (object.incarnation !== null) return object.incarnation;
    const life = new Life(`object ${object.id}`, this.#world.process);
    life.onDeath(() => (object.incarnation = null));
    const stand: Stand = new Stand(this.#world, life, object.watch, object.id, (key) =>
      attemptOf(owner, key),
    );
    stand.onStep = () => this.#deps.executes(object);
    const owner: RunOwner = within(life, () => new RunOwner(this.#ownerDeps(object, life, stand)));
    return (object.incarnation = { life, owner, busy: 0, stand });
  }

  #ownerDeps(object: RunObject, life: Life, stand: Stand): OwnerDeps {
    const { programs, stepRuntime, retryInterval, log, waits, gates } = this.#deps;
    return {
      journal: this.#journal(object, life),
      clock: this.#world.clock,
      timer: systemTimer,
      log,
      caller: (run) => this.#caller(run, life, stand),
      freeze: async ({ functionId, startAt }) => ({
        maxAttempts: programs.get(functionId)?.maxAttempts ?? 1,
        maxSteps: 1_000,
        stepRuntime,
        retryInterval,
        cancelOn: cancelOn(programs.get(functionId), startAt),
        startWithin: null,
        finishWithin: null,
      }),
      waits: {
        listen: (given) => this.#under(object, () => waits.listen(given)),
        expire: (...wait) => this.#under(object, () => waits.expire(...wait)),
        drop: (...given) => this.#under(object, () => waits.drop(...given)),
      },
      signals: { listen: never, expire: never, drop: never },
      gates: {
        acquire: (ask) => this.#under(object, () => gates().acquire(ask)),
        release: (claim) => this.#under(object, () => gates().release(claim)),
        look: (claim) => gates().look(claim),
      },
      emit: (event) => this.#under(object, () => this.#deps.emit(event)),
      report: (ending) => this.#report(object, life, ending),
      abort: () => life.die(),
      ...(this.#deps.apply === undefined ? {} : { apply: this.#deps.apply }),
    };
  }

  /** A call to others: the object is not idle before it has its answer. */
  async #under<Result>({ incarnation }: RunObject, call: () => Promise<Result>): Promise<Result> {
    if (incarnation !== null) incarnation.busy++;
    try {
      return await call();
    } finally {
      if (incarnation !== null) incarnation.busy--;
    }
  }

  /** Between two effects the object may be gone. */
  #caller(run: RunHandle, life: Life, stand: Stand): Caller {
    const { programs, send } = this.#deps;
    const find = (functionId: string) => {
      const program = programs.get(functionId);
      if (program === undefined) return undefined;
      const quiet = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };
      const client = new Inngest({ id: 'app', logger: quiet });
      const fn = client.createFunction({ id: 'f' }, { event: 'x' }, (context) =>
        life.isAlive ? stand.enters(() => play(program, stand, context)) : never(),
      );
      return { fn, appId: 'app' };
    };
    const inner = new EmbeddedCaller(run, {
      find,
      send: (events, from) => (life.isAlive ? stand.sending(() => send(events, from)) : never()),
      clock: this.#world.clock,
      open: (views) => views.map(({ name, data, ts }) => ({ name, data, ts })),
      seal: never,
      request: never,
      signal: never,
      reqArgs: [],
    });
    const lives = () => {
      if (life.isAlive && this.#faults.strikes('object crashes between effects')) life.die();
      return life.isAlive;
    };
    return {
      call: (call) => void (lives() && inner.call(call)),
      stop: () => void (lives() && inner.stop()),
    };
  }

  async #report(object: RunObject, life: Life, ending: RunEnding): Promise<void> {
    if (this.#faults.strikes('object crashes before a report')) life.die();
    if (!life.isAlive) return never();
    const { incarnation } = object;
    if (incarnation !== null) incarnation.busy++;
    try {
      await this.#deps.report(ending);
    } finally {
      if (incarnation !== null) incarnation.busy--;
    }
    if (this.#faults.strikes('object crashes after a report')) life.die();
    if (!life.isAlive) return never();
  }

  /** Of a dead incarnation nothing is written, and it is not told so: it goes no further anyway. */
  #journal(object: RunObject, life: Life): JournalPort {
    const { rows, watch } = object;
    const journal = memoryJournal(rows);
    const faults = this.#faults;
    return {
      ...journal,
      transact: (work, now) => {
        if (life.isAlive && faults.strikes('object crashes before a commit')) life.die();
        if (!life.isAlive) return;
        const fails = faults.strikes('a commit fails');
        const alarmBefore = rows.alarm;
        try {
          journal.transact(() => {
            const next = work();
            if (fails) throw new Fault('the transaction was not written');
            return next;
          }, now);
        } catch (error) {
          watch.rolledBack();
          throw error;
        }
        if (this.#deps.forgetsAlarm?.(object)) rows.alarm = alarmBefore;
        const wasOpen = watch.ended === null;
        const { state } = object.incarnation?.owner ?? { state: null };
        watch.committed(executing(state), state !== null && isQueued(state.live) ? undefined : rows.alarm);
        if (wasOpen && watch.ended !== null) {
          this.#checkDropped(object);
          this.#deps.ended(object.id);
        }
        this.#arm(object);
        if (faults.strikes('object crashes after a commit')) life.die();
      },
      write: (changes, events) => {
        journal.write(changes, events);
        watch.writes(changes);
      },
      // What the dead had in memory may never have been written.
      stepData: (seq) => journal.stepData(seq) ?? (life.isAlive ? null : '{}'),
      alarmFired: () => void (life.isAlive && journal.alarmFired()),
      rearm: async (at) => {
        if (!life.isAlive) await never();
        await journal.rearm(at);
        this.#arm(object);
      },
      erase: async () => {
        if (!life.isAlive) await never();
        await journal.erase();
      },
    };
  }

  /** Nothing is left of its waits, unless a call was lost: then they stay until somebody comes for them. */
  #checkDropped({ id }: RunObject): void {
    const check = () => {
      if (this.#deps.hasLeftWaits(id)) this.#world.violated(`${id} has ended and still waits for events`);
    };
    const { outside, now } = this.#world;
    this.#world.schedule(now + MINUTE, null, check, { life: outside, isBackground: true });
  }

  #arm(object: RunObject): void {
    const { alarm } = object.rows;
    const { armed } = object;
    // One that was set to another time goes off for nothing, in a year maybe: no history waits for that.
    if (armed !== null) armed.task.isBackground = armed.at !== alarm;
    if (alarm === null || alarm === armed?.at) return;
    const late = this.#faults.strikes('alarm late')
      ? this.#faults.between(ALARM_LATE.least, ALARM_LATE.most)
      : 0;
    const fire = () => void this.#fire(object, alarm);
    this.#world.disturbance += late;
    const task = this.#world.schedule(alarm + late, null, fire, { life: this.#world.outside });
    object.armed = { at: alarm, task };
  }

  /** One alarm at a time; one that was lost under its object goes off again. */
  async #fire(object: RunObject, alarm: number): Promise<void> {
    if (object.armed?.at === alarm) object.armed = null;
    if (object.rows.alarm !== alarm || object.isAlarmRunning) return;
    const incarnation = this.#wake(object);
    this.#world.note(() => `${object.id} alarm`);
    object.isAlarmRunning = true;
    incarnation.busy++;
    try {
      await untilDeath(incarnation.life, () => incarnation.owner.alarm());
    } catch (error) {
      if (incarnation.life.isAlive) this.#world.violated(`${object.id} alarm() threw ${String(error)}`);
      object.rows.alarm ??= this.#world.now + ALARM_AGAIN;
    }
    incarnation.busy--;
    object.isAlarmRunning = false;
    this.#arm(object);
  }
}

/** The names of steps that user code, or somebody else, has been told of. */
function executing(state: RunState | null): ReadonlySet<string> {
  const asked = [...(state?.live.asks ?? [])].flatMap((id) => state?.steps.get(id)?.name ?? []);
  return new Set([...[...(state?.live.steps.values() ?? [])].map(({ name }) => name), ...asked]);
}

function cancelOn(program: Program | undefined, startAt: number): RunConfig['cancelOn'] {
  if (program?.cancelOn == null) return [];
  const { event, n, timeout } = program.cancelOn;
  return [{ event, expression: `async.data.n == ${n}`, until: startAt + timeout }];
}

function attemptOf(owner: RunOwner, key: string): number | undefined {
  for (const step of owner.state?.live.steps.values() ?? []) if (step.name === key) return step.attempt;
  return undefined;
}

/** Work inside a life, seen from outside of it: fails when that life ends first. */
export function untilDeath<Result>(life: Life, work: () => Promise<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    const forget = life.onDeath(() => reject(new Fault(`${life.name} was lost`, true)));
    within(life, work).then(resolve, reject).finally(forget);
  });
}

/**
 * The owner of one gate: the one place where it is decided who may start and who may execute under a part of a function's keys, or of
 * those that an environment or the account shares (FC-8). Knows nothing of the platform, so that the simulator runs it as it is.
 *
 * Commit first, act second: what is decided is written in one transaction with the alarm, and only then is anybody told. What is in
 * memory here may be lost at any moment.
 */
import * as z from 'zod';
import { inPool } from '../src/dispatch/pool.ts';
import { parseDuration } from '../src/lib/duration.ts';
import { MINUTE, SECOND } from '../src/lib/time.ts';
import type { Config } from '../src/env.ts';
import type { FunctionConfig } from '../src/protocol/function.ts';
import {
  collectable,
  collecting,
  entrant,
  gateOf,
  type Collectable,
  type Collected,
  type Collecting,
  type Entrant,
  type GateOf,
} from '../src/protocol/gate.ts';
import type { GateRpc } from '../src/protocol/rpc.ts';
import {
  limitChange,
  limitChoice,
  slotAsk,
  slotClaim,
  type LimitChange,
  type LimitChoice,
  type LineState,
  type SlotAnswer,
  type SlotAsk,
  type SlotClaim,
  type SlotState,
} from '../src/protocol/slot.ts';
import type { Clock, Log, Registry, SlotHolders } from '../src/ports.ts';
import { GateSlots, type Limit, type Parcel } from './gate-slots.ts';
import { GateStarts, type StartDeps } from './gate-starts.ts';
import type { ObjectStorage } from './storage.ts';

export interface GateDeps extends Pick<StartDeps, 'launch' | 'holders'> {
  storage: ObjectStorage;
  clock: Clock;
  log: Log;
  functions: Pick<Registry, 'known' | 'find'>;
  runs: SlotHolders;
  /** What a throttle's `burst` is: so many starts at once, or so many beyond the limit (TH-16). */
  config: Pick<Config, 'throttleMode'>;
  /** Gives this owner up: it may not be used any more. */
  abort(reason: string): void;
}

/** Runs told at a time. */
const AT_ONCE = 25;
/** When an alarm could not do its work it is tried again this much later. */
const AGAIN = 5 * SECOND;

export class GateOwner implements GateRpc {
  readonly #deps: GateDeps;
  readonly #slots: GateSlots;
  readonly #starts: GateStarts;
  /** When the alarm is due; undefined until the platform was asked. */
  #armed: number | null | undefined;
  /** Functions of apps elsewhere, by `kind`, as they were found last; null: there is no such function. */
  readonly #found = new Map<string, FunctionConfig | null>();
  /** Kinds of which nothing was known when it was asked: to be found. Nobody passes until then. */
  readonly #unknown = new Set<string>();

  constructor(deps: GateDeps) {
    this.#deps = deps;
    this.#slots = new GateSlots(deps.storage, {
      limitOf: (kind, line) => this.#limitOf(kind, line),
      planBy: (at) => this.#armBy(at),
    });
    this.#starts = new GateStarts(deps.storage, {
      ...deps,
      transact: (work) => this.#transact(work),
      planBy: (at) => this.#armBy(at),
    });
  }

  async collect(of: GateOf, policy: Collecting, events: Collectable[]): Promise<Collected[]> {
    const given = z.array(collectable).parse(events);
    await this.#wake();
    return this.#starts.collect(gateOf.parse(of), collecting.parse(policy), given);
  }

  async rate(space: number, entrants: Entrant[]): Promise<string[]> {
    const given = z.array(entrant).parse(entrants);
    await this.#wake();
    return this.#starts.rate(given, z.number().positive().parse(space));
  }

  async single(mode: 'skip' | 'cancel', entrants: Entrant[]): Promise<string[]> {
    const given = z.array(entrant).parse(entrants);
    await this.#wake();
    return this.#starts.single(given, z.enum(['skip', 'cancel']).parse(mode));
  }

  async acquire(given: SlotAsk): Promise<SlotAnswer> {
    const ask = slotAsk.parse(given);
    this.#unknown.add(JSON.stringify([ask.env, ask.functionId, ask.limit.n]));
    await this.#learn();
    await this.#wake();
    const { answer, parcels } = this.#transact((now) => this.#slots.acquire(ask, now));
    void this.#tellAll(parcels);
    return answer;
  }

  async release(given: SlotClaim): Promise<void> {
    const claim = slotClaim.parse(given);
    await this.#wake();
    void this.#tellAll(this.#transact((now) => this.#slots.release(claim, now)));
  }

  async look(given: SlotClaim): Promise<SlotState | null> {
    return this.#slots.look(slotClaim.parse(given), this.#deps.clock.now());
  }

  async lines(): Promise<LineState[]> {
    return this.#slots.lines(this.#deps.clock.now());
  }

  async change(given: LimitChoice, to: LimitChange | null): Promise<void> {
    const { env, functionId, n, policy, key } = limitChoice.parse(given);
    const body = to === null ? null : JSON.stringify(limitChange.parse(to));
    await this.#wake();
    this.#transact((now) => this.#slots.change(JSON.stringify([env, functionId, n]), policy, key, body, now));
    await this.alarm();
  }

  /** Never throws: the platform gives an alarm up after six throws, and those who wait with it. */
  async alarm(): Promise<void> {
    this.#armed = null;
    try {
      await this.#learn();
      const parcels = this.#transact((now) => {
        const due = this.#slots.due(now);
        this.#slots.plan(now);
        return due;
      });
      await Promise.all([this.#tellAll(parcels), this.#starts.alarm()]);
    } catch (error) {
      this.#deps.log.error('gate: an alarm failed, it is tried again', { error });
      this.#armBy(this.#deps.clock.now() + AGAIN);
    }
  }

  /** The platform may have lost an alarm. */
  async #wake(): Promise<void> {
    if (this.#armed !== undefined) return;
    const armed = await this.#deps.storage.alarm();
    if (this.#armed !== undefined) return;
    this.#armed = armed !== null && armed < this.#deps.clock.now() - MINUTE ? null : armed;
    if (this.#armed !== null) return;
    this.#transact((now) => {
      this.#slots.plan(now);
      this.#starts.plan(now);
    });
  }

  /** Never rejects: whoever could not be told is told again. */
  async #tellAll(parcels: readonly Parcel[]): Promise<void> {
    try {
      let rest = parcels;
      while (rest.length > 0) rest = (await inPool(rest, AT_ONCE, (parcel) => this.#tell(parcel))).flat();
    } catch (error) {
      this.#deps.log.error('gate: it was not written down who was told', { error });
    }
  }

  /** Answers who is to be told because of that. */
  async #tell(parcel: Parcel): Promise<Parcel[]> {
    const { runId, granted } = parcel;
    let outcome: 'taken' | 'gone';
    try {
      outcome = await this.#deps.runs.grant(runId, granted);
    } catch (error) {
      this.#deps.log.error('gate: a run was not told of its slot', { runId, error });
      return [];
    }
    return this.#transact((now) => this.#slots.told(parcel, outcome, now));
  }

  /** Rejects when the registry cannot be read and a function is not known at all. */
  async #learn(): Promise<void> {
    for (const kind of this.#unknown) {
      const [env, functionId] = JSON.parse(kind) as [string, string];
      this.#found.set(kind, (await this.#deps.functions.find(env, functionId))?.config ?? null);
      this.#unknown.delete(kind);
    }
  }

  #configOf(kind: string, env: string, functionId: string): FunctionConfig | null | undefined {
    const own = this.#deps.functions.known(env).configs.find(({ id }) => id === functionId);
    const config = own ?? this.#found.get(kind);
    if (config === undefined) {
      this.#unknown.add(kind);
      this.#armBy(this.#deps.clock.now());
    }
    return config;
  }

  #limitOf(kind: string, line: string): Limit {
    const [env, functionId, n] = JSON.parse(kind) as [string, string, number];
    const config = this.#configOf(kind, env, functionId);
    if (config === undefined) return { policy: 'concurrency', limit: 0 };
    const limit = config === null ? null : limitIn(config, line, n);
    const now = this.#slots
      .changes(kind, line)
      .reduce((so, body) => changed(so, JSON.parse(body) as LimitChange), limit);
    if (now?.policy !== 'throttle' || this.#deps.config.throttleMode === 'smooth') return now;
    return { ...now, rate: { ...now.rate, burst: now.rate.limit + now.rate.burst } };
  }

  /** Rows and alarm together. */
  #transact<Result>(work: (now: number) => Result): Result {
    const now = this.#deps.clock.now();
    try {
      return this.#deps.storage.transact(() => work(now));
    } catch (error) {
      // Memory may be ahead of what is stored: it must not be used any more.
      this.#deps.abort('a transaction of a gate could not be written');
      throw error;
    }
  }

  /** Not later than this; a later alarm is moved, an earlier one stays. One in the past might never fire. */
  #armBy(at: number): void {
    const next = Math.max(at, this.#deps.clock.now() + 1);
    if (this.#armed != null && this.#armed <= next) return;
    this.#deps.storage.setAlarm(next);
    this.#armed = next;
  }
}

function limitIn({ concurrency, throttle }: FunctionConfig, line: string, n: number): Limit {
  if (line.startsWith('throttle:')) {
    if (throttle === undefined) return null;
    const { limit, period, burst } = throttle;
    return { policy: 'throttle', rate: { limit, burst, period: parseDuration(period) ?? 0 } };
  }
  const own = concurrency?.[n];
  return own === undefined ? null : { policy: 'concurrency', limit: own.limit };
}

/** A limit that the function does not have any more has no changes either. */
function changed(limit: Limit, { isPaused, limit: most, period, burst }: LimitChange): Limit {
  if (limit === null) return null;
  if (isPaused === true) return { policy: 'concurrency', limit: 0 };
  if (limit.policy === 'concurrency') return { ...limit, limit: most ?? limit.limit };
  const { rate } = limit;
  return {
    ...limit,
    rate: { limit: most ?? rate.limit, period: period ?? rate.period, burst: burst ?? rate.burst },
  };
}

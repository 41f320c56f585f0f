/** Watches from outside what flow control lets happen: who executes under a limit at a time, and how many start. */
import type { Gates, SlotHolders, StartGates } from '../../src/ports.ts';
import { parseDuration } from '../../src/lib/duration.ts';
import { SECOND } from '../../src/lib/time.ts';
import { LEASE, type SlotLimit } from '../../src/protocol/slot.ts';
import type { RunConfig } from '../../src/run/state.ts';
import type { SimGates } from './gates.ts';
import type { RunObject } from './objects.ts';
import type { Program } from './programs.ts';
import { configIn } from './rows.ts';
import type { World } from './world.ts';

type Line = Pick<SlotLimit, 'scope' | 'n' | 'key'>;

export interface FlowWatchDeps {
  programs: ReadonlyMap<string, Program>;
  awake: () => RunObject[];
  gates: Pick<SimGates, 'left'>;
  /** Something went wrong on purpose. */
  isDisturbed: () => boolean;
}

/** By then everybody has been told of a burst's end; a lease that is not given back lasts longer. */
const GIVEN_BACK = 20 * SECOND;

export class FlowWatch {
  readonly #world: World;
  readonly #deps: FlowWatchDeps;
  /** By run and limit: since when its lease is certain to be known to the gate. */
  readonly #leases = new Map<string, number>();
  /** By run, limit and turn: when the run was told of its slot for the first time. */
  readonly #told = new Map<string, number>();
  /** By run: when it asked for its throttled start. */
  readonly #asked = new Map<string, number>();

  constructor(world: World, deps: FlowWatchDeps) {
    this.#world = world;
    this.#deps = deps;
  }

  /** The gates as runs see them. */
  gates(gates: Gates & StartGates): Gates & StartGates {
    return {
      ...gates,
      acquire: async (ask) => {
        const { now } = this.#world;
        const { runId, limit } = ask;
        if (limit.policy === 'throttle' && !this.#asked.has(runId)) this.#asked.set(runId, now);
        const answer = await gates.acquire(ask);
        if (answer.is === 'granted' && limit.policy === 'concurrency') this.#holds(runId, limit.n, now);
        return answer;
      },
    };
  }

  /** The runs as the gates see them. */
  holders(runs: SlotHolders): SlotHolders {
    return {
      grant: (runId, granted) => {
        const name = JSON.stringify([runId, granted]);
        const first = this.#told.get(name) ?? this.#world.now;
        this.#told.set(name, first);
        if (granted.policy === 'concurrency') this.#holds(runId, granted.n, first);
        return runs.grant(runId, granted);
      },
    };
  }

  /** A step of the run has begun. */
  executes(object: RunObject): void {
    const config = object.incarnation?.owner.state?.config;
    for (const limit of config?.flow?.concurrency ?? []) this.#checkLine(lineOf(config, limit));
  }

  /** The run has ended: if nothing went wrong, what it held is free soon. */
  ended(runId: string): void {
    const { outside, now } = this.#world;
    const check = () => {
      if (this.#deps.isDisturbed()) return;
      if (this.#deps.gates.left('lease').some((lease) => lease.runId === runId))
        this.#world.violated(`${runId} has ended and still holds a lease`);
    };
    this.#world.schedule(now + GIVEN_BACK, null, check, { life: outside, isBackground: true });
  }

  /** At the end of all. */
  check(objects: Iterable<RunObject>): void {
    for (const table of ['lease', 'waiting'] as const) {
      for (const { name, runId } of this.#deps.gates.left(table))
        this.#world.violated(`${name}: ${runId} is ${table} at the end of all`);
    }
    const starts = [...objects].flatMap((object) => this.#startOf(object));
    for (const group of Map.groupBy(starts, ({ line }) => line).values()) this.#checkRate(group);
  }

  #holds(runId: string, n: number, since: number): void {
    const name = `${runId} ${n}`;
    this.#leases.set(name, Math.max(this.#leases.get(name) ?? -Infinity, since));
  }

  /** CC-17: whoever executes without a lease has lost it, because for so long nothing that it said has come through (CC-23). */
  #checkLine(line: string): void {
    const found = this.#deps.awake().flatMap(({ id, incarnation }) => {
      const state = incarnation?.owner.state;
      if (state == null || state.run.end !== null || incarnation?.stand.isExecuting !== true) return [];
      const { config } = state;
      const limit = config.flow?.concurrency?.find((one) => lineOf(config, one) === line);
      return limit !== undefined && this.#hasLease(id, limit.n)
        ? [{ id, limit: this.#deps.programs.get(config.functionId)?.flow.concurrency?.[limit.n]?.limit ?? 0 }]
        : [];
    });
    // Of those who share a line each has a limit of its own (CC-31).
    const limit = Math.max(0, ...found.map((one) => one.limit));
    if (found.length > limit)
      this.#world.violated(
        `${found.length} execute under ${line} of ${limit}: ${found.map(({ id }) => id).join()}`,
      );
  }

  #hasLease(runId: string, n: number): boolean {
    if (!this.#deps.isDisturbed()) return true;
    return this.#world.now - (this.#leases.get(`${runId} ${n}`) ?? -Infinity) < LEASE;
  }

  #startOf({ id, rows, watch }: RunObject): Start[] {
    const asked = this.#asked.get(id);
    const config = configIn(rows);
    const throttle = this.#deps.programs.get(watch.program ?? '')?.flow.throttle;
    if (asked === undefined || throttle === undefined || watch.enteredAt === null) return [];
    const line = `${config?.functionId} ${config?.flow?.throttle}`;
    const interval = (parseDuration(throttle.period) ?? 0) / throttle.limit;
    return [{ line, asked, entered: watch.enteredAt, burst: throttle.burst, interval }];
  }

  /** TH-14: whoever asked after one moment and started before another was let in between them. */
  #checkRate(starts: Start[]): void {
    for (const { asked: from } of starts) {
      for (const { entered: to, burst, interval, line } of starts) {
        const among = starts.filter(({ asked, entered }) => asked >= from && entered <= to).length;
        if (to >= from && among > burst + Math.floor((to - from) / interval))
          return this.#world.violated(`${among} starts of ${line} in ${(to - from) / SECOND} s`);
      }
    }
  }
}

interface Start {
  line: string;
  asked: number;
  /** Its code, for the first time. */
  entered: number;
  burst: number;
  interval: number;
}

function lineOf(config: RunConfig | undefined, { scope, key }: Line): string {
  return scope === 'fn' ? `${config?.functionId} ${key}` : `${scope} ${key}`;
}

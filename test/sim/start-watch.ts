/**
 * Watches what becomes of the starts of functions that collect events, or skip them: each event is in one run or in none, and the
 * reason for none is in the index.
 */
import type { EventRecord, StartGates, Store } from '../../src/ports.ts';
import { spacing } from '../../src/flow/rate.ts';
import { parseDuration } from '../../src/lib/duration.ts';
import { DAY } from '../../src/lib/time.ts';
import { runIdOf } from '../../src/protocol/run.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import type { Collectable, Entrant } from '../../src/protocol/gate.ts';
import type { RunObject } from './objects.ts';
import { hasStartGates, listening, type Program } from './programs.ts';
import { eventsOf } from './rows.ts';
import { ENV } from './senders.ts';
import { allEvents } from './store.ts';
import type { World } from './world.ts';

const REASONS = { rateLimit: 'rate_limited', idempotency: 'duplicate', singleton: 'singleton' } as const;
type Skipping = keyof typeof REASONS;

/** What there is when all is over. */
export interface AtRest {
  objects: ReadonlyMap<string, RunObject>;
  store: Store;
  /** Whether an event was given up. */
  isGone: (event: StoredEvent) => boolean;
}

/** What came of one who asked. */
interface Asked extends Entrant {
  object: RunObject | undefined;
  /** When it was skipped; null when it was not. */
  skippedAt: number | null;
}

export class StartWatch {
  readonly #world: World;
  /** By internal id: the event as it was collected, and the run that it went into. */
  readonly #collected = new Map<string, { event: Collectable; runId: string }>();
  /** By run id. */
  readonly #entrants = new Map<string, Entrant>();

  constructor(world: World) {
    this.#world = world;
  }

  /** The gates as dispatch sees them. */
  gates({ collect, rate, single }: { [Name in keyof StartGates]: StartGates[Name] }): StartGates {
    return {
      collect: async (of, policy, events) => {
        const answers = await collect(of, policy, events);
        const byId = new Map(events.map((event) => [event.eventId, event]));
        for (const answer of answers) this.#isCollected(byId.get(answer.eventId), answer.runId);
        return answers;
      },
      rate: (of, space, entrants) => rate(of, space, this.#asks(entrants)),
      single: (of, mode, entrants) => single(of, mode, this.#asks(entrants)),
    };
  }

  claim(claim: Store['claim']): Store['claim'] {
    return (claims) => claim(this.#asks(claims));
  }

  async check(programs: Iterable<Program>, end: AtRest): Promise<void> {
    const events = await allEvents(end.store, ENV);
    for (const program of programs) {
      if (!hasStartGates(program)) continue;
      const heard = events.filter((record) => isHeard(program, record));
      const { batchEvents, debounce } = program.flow;
      if (batchEvents !== undefined || debounce !== undefined) this.#checkCollected(program, heard, end);
      else await this.#checkSkipped(program, heard, end);
    }
  }

  #isCollected(event: Collectable | undefined, into: string): void {
    if (event === undefined) return this.#world.violated('a gate answers what it was not asked');
    const before = this.#collected.get(event.eventId)?.runId ?? into;
    if (before !== into)
      this.#world.violated(`${event.eventId} is collected into ${before} and into ${into}`);
    this.#collected.set(event.eventId, { event, runId: into });
  }

  #asks<One extends Entrant>(entrants: One[]): One[] {
    for (const { key, runId: id, at } of entrants) this.#entrants.set(id, { key, runId: id, at });
    return entrants;
  }

  /** BA-10, DB-10: every event is in one window, and every window becomes its run. */
  #checkCollected(
    { id, flow: { batchEvents } }: Program,
    heard: EventRecord[],
    { objects, isGone }: AtRest,
  ): void {
    for (const { event } of heard)
      if (!isGone(event) && !this.#collected.has(event.internalId))
        this.#world.violated(`${event.internalId} was not collected by ${id}`);
    const windows = Map.groupBy(this.#collected.values(), ({ runId: into }) => into);
    for (const [into, members] of windows) {
      const object = objects.get(into);
      const events = object === undefined ? [] : eventsOf(object).map(({ internalId }) => internalId);
      const lost = batchEvents === undefined ? [newest(members)] : members.map(({ event }) => event);
      for (const { eventId } of lost)
        if (!events.includes(eventId)) this.#world.violated(`${eventId} is not in its run ${into}`);
      if (events.length > (batchEvents?.maxSize ?? 1))
        this.#world.violated(`${into} has ${events.length} events`);
    }
    const all = [...objects.values()].filter(({ watch }) => watch.program === id).flatMap(eventsOf);
    const own = all.filter(({ target }) => target === undefined).map(({ internalId }) => internalId);
    if (new Set(own).size < own.length) this.#world.violated(`an event is in two runs of ${id}`);
  }

  async #checkSkipped(program: Program, heard: EventRecord[], end: AtRest): Promise<void> {
    const option = skipping(program);
    const asked: Asked[] = [];
    for (const { event } of heard) {
      const id = runIdOf(event, program.id);
      const entrant = this.#entrants.get(id);
      if (entrant !== undefined) asked.push(await this.#became(entrant, event, option, end));
      else if (!end.isGone(event) && !heard.some((one) => this.#isRepeat(event, one, program)))
        this.#world.violated(`${id} did not ask for its ${option}`);
    }
    for (const group of Map.groupBy(asked, ({ key }) => key).values()) {
      if (option === 'singleton') this.#checkSingle(group);
      else this.#checkSpace(group, spaceOf(program));
    }
  }

  /** A run, or a record that says why there is none (FC-10). */
  async #became(entrant: Entrant, event: StoredEvent, option: Skipping, end: AtRest): Promise<Asked> {
    const { runId: id } = entrant;
    const record = await end.store.findRun(ENV, id);
    const object = end.objects.get(id);
    const isRun = (object?.rows.table.size ?? 0) > 0;
    const skippedAt = record?.status === 'Skipped' ? record.endedAt : null;
    if (!end.isGone(event) && isRun === (skippedAt !== null))
      this.#world.violated(`${id} ${isRun ? 'is a run and' : 'is no run and not'} skipped`);
    if (skippedAt !== null && record?.reason !== REASONS[option])
      this.#world.violated(`${id} is skipped because of ${record?.reason}, not of its ${option}`);
    return { ...entrant, object, skippedAt };
  }

  /** Of another event with its id, which did ask (ID-5). */
  #isRepeat(event: StoredEvent, { event: other }: EventRecord, { id }: Program): boolean {
    return event.id !== undefined && other.id === event.id && this.#entrants.has(runIdOf(other, id));
  }

  /**
   * RL-9, ID-9: those that passed are so far apart, and the others too close to one that did. The day of a key begins when it is claimed,
   * which may be long after its event came (ID-15).
   */
  #checkSpace(asked: Asked[], space: number): void {
    const passed = asked.filter(({ skippedAt }) => skippedAt === null);
    for (const one of asked) {
      const { disturbance } = this.#world;
      const reach = space + (one.skippedAt === null ? -disturbance : disturbance);
      const near = passed.some((other) => other !== one && Math.abs(other.at - one.at) < reach);
      if (near === (one.skippedAt === null))
        this.#world.violated(
          `${one.runId} is ${near ? 'not skipped though' : 'skipped and nothing'} near passed`,
        );
    }
  }

  /** SG-2: one at a time, and nobody is skipped for nothing. */
  #checkSingle(asked: Asked[]): void {
    const runs = asked.flatMap(({ runId: id, object, skippedAt }) => {
      const { enteredAt = null, endedAt = null } = object?.watch ?? {};
      return skippedAt === null ? [{ id, from: enteredAt, to: endedAt ?? Infinity }] : [];
    });
    for (const { id, from } of runs) {
      const other = runs.find((one) => one.id !== id && isDuring(from, one));
      if (other !== undefined) this.#world.violated(`${id} and ${other.id} are active together`);
    }
    for (const { runId: id, at, skippedAt } of asked)
      if (skippedAt !== null && !runs.some(({ to }) => to >= at))
        this.#world.violated(`${id} is skipped and nobody was active`);
  }
}

function isHeard({ id, triggers }: Program, { event }: EventRecord): boolean {
  return event.target === undefined && listening([{ id, triggers }], event.name).length > 0;
}

function isDuring(at: number | null, { from, to }: { from: number | null; to: number }): boolean {
  return at !== null && from !== null && at >= from && at < to;
}

function newest(members: { event: Collectable }[]): Collectable {
  const order = ({ receivedAt, eventId }: Collectable) => `${receivedAt} ${eventId}`;
  const [last] = members.map(({ event }) => event).toSorted((a, b) => (order(a) < order(b) ? 1 : -1));
  return last as Collectable;
}

function skipping({ flow }: Program): Skipping {
  return (Object.keys(REASONS) as Skipping[]).find((option) => flow[option] !== undefined) ?? 'singleton';
}

/** Between two that pass. */
function spaceOf({ flow: { rateLimit } }: Program): number {
  if (rateLimit === undefined) return DAY;
  return spacing({ limit: rateLimit.limit, period: parseDuration(rateLimit.period) ?? 0 });
}

/** Those outside: senders of events, who try again where they can, and somebody who cancels runs. */
import { acceptRequest, type IntakeDeps } from '../../src/ingest/accept.ts';
import { Refusal } from '../../src/ingest/refusal.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/lib/time.ts';
import { Fault } from './faults.ts';
import { Life, within } from './life.ts';
import { untilDeath } from './objects.ts';
import { KINDS, NAMES, nodesOf, type Program } from './programs.ts';
import type { Random } from './random.ts';
import { EPOCH, type World } from './world.ts';

export const ENV = 'prod';
/** Before and after the moment at which a run begins, or its time to wait is over. */
const AROUND: [number, number][] = [
  [-20, 50],
  [0, SECOND],
  [-3 * SECOND, 0],
];

/** One event of the history. Those with the same `id` are one event for the engine. */
export interface PlannedEvent {
  /** Travels in the event's data, so that its runs are found. */
  key: string;
  at: number;
  name: string;
  id: string | null;
  /** Base64 of ten bytes: repeats of the request give the same internal ids. */
  seed: string | null;
  /** In the future, at times. */
  ts: number | null;
  /** What waits tell events apart by. */
  n?: number;
  /** Too large for a queue message. */
  isLarge: boolean;
}

export interface Sent {
  event: PlannedEvent;
  accepted: boolean;
  /** When it was sent, again and again until it was accepted. */
  at: number[];
}

export function planEvents(random: Random, count: number, period: number): PlannedEvent[] {
  return Array.from({ length: count }, (_, index) => {
    const at = EPOCH + random.between(0, period);
    const id = random.chance(0.5) ? `id-${random.between(0, count * 2)}` : null;
    const seed = random.chance(0.6) ? btoa(String.fromCharCode(...random.bytes(10))) : null;
    const ts = random.chance(0.15) ? at + random.between(-MINUTE, HOUR) : null;
    const key = id ?? `event-${index}`;
    // Events with one id are sent within a day, and so have one set of runs: they had better say the same.
    const name = id === null ? random.pick(NAMES) : (NAMES[Number(id.slice(3)) % NAMES.length] ?? '');
    return { key, at, name, id, seed, ts, isLarge: random.chance(0.04) };
  });
}

/** Many at a time, each with an `n`. */
export function planCrowd(random: Random, period: number): PlannedEvent[] {
  const most = random.pick([SECOND, MINUTE, period]);
  return planEvents(random, random.between(3, 14), most).map((event) => ({
    ...event,
    n: Number(event.key.split('-')[1]) % KINDS,
  }));
}

/**
 * What functions wait for, and are cancelled by: at any moment, whether somebody waits or not, and mostly when a run begins or its time
 * to wait is over. @param events what starts runs.
 */
export function planSignals(
  random: Random,
  programs: readonly Program[],
  events: readonly PlannedEvent[],
  period: number,
): PlannedEvent[] {
  const wanted = programs.flatMap(wantedBy);
  if (wanted.length === 0) return [];
  const somewhen = () => EPOCH + random.between(0, random.pick([period, HOUR, 3 * DAY]));
  const close = (timeout: number) =>
    random.pick(events).at + random.pick([0, timeout]) + random.between(...random.pick(AROUND));
  const signal = ({ event, n, timeout }: Wanted) => ({
    name: event,
    n: n === null || random.chance(0.2) ? random.between(0, KINDS - 1) : n,
    at: random.chance(0.3) ? somewhen() : Math.max(close(timeout), EPOCH),
  });
  return Array.from({ length: random.between(0, 10) }, (_, index) => ({
    ...signal(random.pick(wanted)),
    key: `signal-${index}`,
    id: null,
    seed: btoa(String.fromCharCode(...random.bytes(10))),
    ts: null,
    isLarge: random.chance(0.04),
  }));
}

interface Wanted {
  event: string;
  n: number | null;
  timeout: number;
}

function wantedBy(program: Program): Wanted[] {
  const waits = [...nodesOf(program).values()].filter((node) => node.kind === 'wait');
  return program.cancelOn === null ? waits : [...waits, program.cancelOn, program.cancelOn];
}

export class Senders {
  readonly sent: Sent[] = [];
  readonly #world: World;
  readonly #intake: () => IntakeDeps;

  /** @param intake of the present process. */
  constructor(world: World, intake: () => IntakeDeps) {
    this.#world = world;
    this.#intake = intake;
  }

  plan(event: PlannedEvent): void {
    const sent = { event, accepted: false, at: [] };
    this.sent.push(sent);
    this.#later(event.at, sent);
  }

  #later(at: number, sent: Sent): void {
    const run = () => void this.#post(sent);
    this.#world.schedule(at, `${sent.event.key} (${sent.event.name}) is sent`, run, {
      life: this.#world.outside,
    });
  }

  async #post(sent: Sent): Promise<void> {
    sent.at.push(this.#world.now);
    const life = new Life('request', this.#world.process);
    try {
      await untilDeath(life, () => this.#request(life, sent.event, sent.at[0] ?? 0));
      sent.accepted = true;
      this.#world.note(() => `${sent.event.key} is accepted`);
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof Fault))
        this.#world.violated(`intake threw ${String(error)}`);
      this.#world.note(() => `${sent.event.key} is not accepted: ${String(error)}`);
      // Without an id or a seed a repeat would be another event.
      if (sent.event.id === null && sent.event.seed === null) return;
      within(this.#world.outside, () =>
        this.#later(this.#world.now + this.#world.random.between(SECOND, MINUTE), sent),
      );
    }
  }

  #request(
    life: Life,
    { key, name, n, id, seed, ts, isLarge }: PlannedEvent,
    first: number,
  ): Promise<string[]> {
    const data = {
      key,
      ...(n === undefined ? {} : { n }),
      ...(isLarge ? { padding: 'x'.repeat(62_000) } : {}),
    };
    const event = { name, data, id, ts };
    const text = JSON.stringify(this.#world.random.chance(0.5) ? event : [event]);
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(text));
        controller.close();
      },
    });
    const header = seed === null ? null : `${first},${seed}`;
    const works: Promise<unknown>[] = [];
    const background = (work: Promise<unknown>) => void works.push(work);
    const answer = acceptRequest(this.#intake(), {
      env: ENV,
      body,
      contentLength: null,
      seed: header,
      background,
    });
    // As on the platform: what goes on in the background ends with the last of it.
    void Promise.allSettled([answer])
      .then(() => Promise.allSettled(works))
      .then(() => life.end());
    return answer;
  }
}

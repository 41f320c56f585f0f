/**
 * A queue: at least once, in any order. The local one keeps its messages in memory, and they are gone with the process.
 */
import type { Sender } from '../../src/ports.ts';
import type { Message } from '../../src/dispatch/delivery.ts';
import { MINUTE, SECOND } from '../../src/lib/time.ts';
import { Fault, type Faults } from './faults.ts';
import { Life, within } from './life.ts';
import type { Outage } from './outages.ts';
import type { World } from './world.ts';

const LATENCY = 5;
const DELIVERY = 50;
const LATE = { least: SECOND, most: 10 * MINUTE };
const RETRIES = 100;
const CONCURRENCY = 2;

interface Kept {
  body: string;
  attempts: number;
  at: number;
}

/** One message of a batch in progress, and what its consumer said of it. */
interface Handed extends Message {
  kept: Kept;
  fate: 'none' | 'acked' | { retryIn: number };
}

export class SimQueue<Body> implements Sender<Body> {
  readonly #name: string;
  readonly #world: World;
  readonly #faults: Faults;
  readonly #consume: (messages: readonly Message[]) => Promise<void>;
  /** It takes messages and delivers none. */
  readonly #outage: Outage | undefined;
  #waiting: Kept[] = [];
  readonly #underWay = new Set<Kept>();
  #batches = 0;

  constructor(
    name: string,
    world: World,
    faults: Faults,
    consume: (messages: readonly Message[]) => Promise<void>,
    outage?: Outage,
  ) {
    this.#name = name;
    this.#world = world;
    this.#faults = faults;
    this.#consume = consume;
    this.#outage = outage;
  }

  async send(messages: Body[]): Promise<void> {
    await this.#world.hop(LATENCY);
    if (this.#faults.strikes('queue refuses')) throw new Fault(`${this.#name}: not sent`);
    for (const message of messages)
      this.#keep({ body: JSON.stringify(message), attempts: 0, at: this.#arrival() });
    await this.#world.hop(LATENCY);
    if (this.#faults.strikes('queue fails after it took the messages'))
      throw new Fault(`${this.#name}: no answer`);
  }

  /** With a new process: delivers what was under way once more, or has lost everything. @returns what was lost. */
  restart(isKept: boolean): Body[] {
    const all = [...this.#waiting, ...this.#underWay];
    this.#waiting = [];
    this.#underWay.clear();
    this.#batches = 0;
    if (!isKept) return all.map(({ body }) => JSON.parse(body) as Body);
    for (const kept of all) this.#keep(kept);
    return [];
  }

  #arrival(): number {
    const late = this.#faults.strikes('message late') ? this.#faults.between(LATE.least, LATE.most) : 0;
    return this.#world.now + this.#world.random.between(0, DELIVERY) + late;
  }

  #keep(kept: Kept): void {
    this.#waiting.push(kept);
    this.#wake(kept.at);
  }

  #wake(at: number): void {
    this.#world.schedule(at, null, () => this.#deliver(), { life: this.#world.process });
  }

  #deliver(): void {
    const { now, random } = this.#world;
    const ready = this.#waiting.filter((kept) => kept.at <= now);
    if (ready.length === 0 || this.#batches >= CONCURRENCY) return;
    if (this.#outage?.isAt(now)) return this.#wake(this.#outage.to);
    const batch: Kept[] = [];
    const size = random.between(1, Math.min(ready.length, 100));
    while (batch.length < size) batch.push(...ready.splice(random.between(0, ready.length - 1), 1));
    this.#waiting = this.#waiting.filter((kept) => !batch.includes(kept));
    this.#batches++;
    this.#world.note(() => `${this.#name} delivers ${size} of ${size + ready.length}`);
    for (const kept of batch) this.#underWay.add(kept);
    void this.#work(batch.map(handed));
    if (ready.length > 0) this.#wake(now);
  }

  async #work(batch: Handed[]): Promise<void> {
    const life = new Life(`${this.#name} batch`, this.#world.process);
    const { process } = this.#world;
    let isOk = true;
    await new Promise<void>((resolve) => {
      life.onDeath(() => resolve());
      const failed = (error: unknown) => {
        isOk = false;
        this.#world.violated(`the consumer of ${this.#name} threw ${String(error)}`);
      };
      void within(life, () => this.#consume(batch))
        .catch(failed)
        .then(resolve);
    });
    if (!process.isAlive) return;
    const isWhole = life.isAlive && isOk;
    life.end();
    this.#batches--;
    for (const message of batch) this.#settle(message, isWhole);
    this.#wake(this.#world.now);
  }

  #settle({ kept, fate }: Handed, isWhole: boolean): void {
    const { now } = this.#world;
    this.#underWay.delete(kept);
    if (isWhole && (fate === 'acked' || fate === 'none')) {
      if (this.#faults.strikes('message delivered twice'))
        this.#keep({ ...kept, at: now + this.#faults.between(0, MINUTE) });
      return;
    }
    const retryIn = typeof fate === 'object' ? fate.retryIn : 0;
    if (kept.attempts > RETRIES)
      return this.#world.violated(`${this.#name}: a message was tried ${RETRIES} times`);
    this.#keep({ ...kept, at: now + retryIn });
  }
}

function handed(kept: Kept): Handed {
  kept.attempts++;
  const message: Handed = {
    kept,
    fate: 'none',
    body: JSON.parse(kept.body) as unknown,
    attempts: kept.attempts,
    ack: () => void (message.fate = 'acked'),
    retry: (options) => void (message.fate = { retryIn: (options?.delaySeconds ?? 0) * SECOND }),
  };
  return message;
}

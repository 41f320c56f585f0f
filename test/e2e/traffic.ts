/** Senders that never stop: events are posted whether the server is up or not, and what it has answered 200 to is remembered. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Api } from './api.ts';
import type { Ledger, Work } from './ledger.ts';
import { between, oneOf, type Random } from './random.ts';
import type { Events } from './worker.ts';

/** What is sent from outside. */
export type Name = Exclude<keyof Events, 'kill/sent' | 'kill/cancel'>;

export interface Accepted {
  internalId: string;
  name: Name;
  key: string;
  /** Sent with an id, as one of two events with that id. */
  isKeyed: boolean;
}

interface Sent {
  name: Name | 'kill/cancel';
  id?: string;
  data: Work & Record<string, unknown>;
}

const NAMES: [Name, ...Name[]] = [
  'kill/sequence',
  'kill/sequence',
  'kill/parallel',
  'kill/parallel',
  'kill/sleeper',
  'kill/sleeper',
  'kill/flaky',
  'kill/flaky',
  'kill/sender',
  'kill/limited',
  'kill/cancelled',
];

const TICK_MS = 25;
/** A sender that was not answered does something else for so long. */
const DISAPPOINTED_MS = 500;
const POSTS_AT_ONCE = 24;

export class Traffic {
  /** By internal id. */
  readonly accepted = new Map<string, Accepted>();
  refused = 0;
  readonly #api: Api;
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #open = new Set<Promise<void>>();
  /** Keys of accepted events whose runs have not got to their last step. */
  readonly #unfinished = new Set<string>();
  /** Keys whose runs have been told to end. */
  readonly #cancelled = new Set<string>();
  #count = 0;
  #pending = 0;
  #isOn = true;

  constructor(api: Api, ledger: Ledger, random: Random) {
    this.#api = api;
    this.#ledger = ledger;
    this.#random = random;
  }

  /** Runs of accepted events that have not got to their last step. */
  inFlight(): number {
    for (const { work, isLast } of this.#ledger.runs.values()) if (isLast) this.#unfinished.delete(work.key);
    return this.#unfinished.size;
  }

  /** Keeps about so many runs in flight until `stop`. */
  async run(target: number): Promise<void> {
    while (this.#isOn) {
      const missing = target - this.inFlight() - this.#pending;
      if (missing > 0 && this.#open.size < POSTS_AT_ONCE)
        this.#track(this.#post(between(this.#random, 1, Math.min(missing, 10))));
      this.cancelStarted();
      await wait(TICK_MS);
    }
  }

  /** Runs that have begun, and that end by their cancellation only, are cancelled. */
  cancelStarted(): void {
    for (const { work, steps } of this.#ledger.runs.values()) {
      const hasBegun = steps.has('until cancelled 1') && !this.#cancelled.has(work.key);
      if (!hasBegun) continue;
      this.#cancelled.add(work.key);
      this.#track(this.#untilAccepted([{ name: 'kill/cancel', data: { key: work.key, pace: 1 } }]));
    }
  }

  /** Resolves when nothing is on its way any more; what is to be sent until it is accepted has been. */
  async stop(): Promise<void> {
    this.#isOn = false;
    while (this.#open.size > 0) await Promise.all(this.#open);
  }

  #track(work: Promise<void>): void {
    this.#open.add(work);
    void work.finally(() => this.#open.delete(work));
  }

  async #post(size: number): Promise<void> {
    const events = Array.from({ length: size }, () => this.#event());
    switch (oneOf(this.#random, ['once', 'once', 'twice', 'twice later', 'until accepted'])) {
      case 'once':
        return void (await this.#send(events));
      case 'twice':
        return this.#twice(events, 0);
      case 'twice later':
        return this.#twice(events, between(this.#random, 100, 4_000));
      case 'until accepted':
        return this.#untilAccepted(events);
    }
  }

  async #twice(events: Sent[], pause: number): Promise<void> {
    const keyed = events.map((event) => ({ ...event, id: event.data.key }));
    const first = this.#send(keyed);
    await wait(pause);
    await Promise.all([first, this.#send(keyed)]);
  }

  /** As the SDKs do it: the seed makes all tries one request. */
  async #untilAccepted(events: Sent[]): Promise<void> {
    const bytes = Uint8Array.from({ length: 10 }, () => between(this.#random, 0, 255));
    const headers = { 'x-inngest-event-id-seed': `${Date.now()},${Buffer.from(bytes).toString('base64')}` };
    while (!(await this.#send(events, headers))) continue;
  }

  async #send(events: Sent[], headers: Record<string, string> = {}): Promise<boolean> {
    this.#pending += events.length;
    try {
      const ids = await this.#api.send(events, headers);
      for (const [index, { name, id, data }] of events.entries()) {
        const internalId = ids[index] ?? '';
        if (name === 'kill/cancel') continue;
        this.accepted.set(internalId, { internalId, name, key: data.key, isKeyed: id !== undefined });
        this.#unfinished.add(data.key);
      }
      return true;
    } catch {
      this.refused += events.length;
      await wait(DISAPPOINTED_MS);
      return false;
    } finally {
      this.#pending -= events.length;
    }
  }

  #event(): Sent {
    const key = `key-${++this.#count}`;
    return { name: oneOf(this.#random, NAMES), data: { key, pace: between(this.#random, 1, 100) } };
  }
}

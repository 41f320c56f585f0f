/** The ports in memory, with faults on demand, for tests of intake, dispatch and the API. */
import type { IntakeDeps } from '../../src/ingest/accept.ts';
import { aesSeal } from '../../src/keys/seal.ts';
import type { Clock, Entropy, Log, Sender, Store } from '../../src/ports.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import { DAY } from '../../src/lib/time.ts';
import type { DeadMessage, EventsMessage } from '../../src/protocol/message.ts';
import { memoryApps } from '../fakes/apps.ts';
import { memoryCancellations } from '../fakes/cancellations.ts';
import { memoryStore } from '../fakes/store.ts';

export const NOW = Date.UTC(2026, 10, 20, 12);

class StepClock implements Clock {
  time = NOW;
  now(): number {
    return this.time;
  }
}

/** Bytes that count up, so that every draw is new. */
export class CountingEntropy implements Entropy {
  #next = 100;
  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#next++ & 0xff);
  }
}

class MemoryQueue<Message> implements Sender<Message> {
  sent: Message[] = [];
  behaviour: 'takes' | 'refuses' | 'stalls' = 'takes';
  async send(messages: Message[]): Promise<void> {
    if (this.behaviour === 'refuses') throw new Error('queue down');
    if (this.behaviour === 'stalls') return new Promise(() => undefined);
    this.sent.push(...structuredClone(messages));
  }
}

class MemoryLog implements Log {
  lines: { message: string; fields: Record<string, unknown> }[] = [];
  error(message: string, fields: Record<string, unknown>): void {
    this.lines.push({ message, fields });
  }
}

/** Timers that go off when they are told to. */
class ManualTimer {
  pending = new Set<() => void>();
  readonly start = (_ms: number, fire: () => void): (() => void) => {
    this.pending.add(fire);
    return () => this.pending.delete(fire);
  };
  /** Lets everything settle, then fires what is still waited for. */
  async fire(): Promise<void> {
    await settle();
    const due = [...this.pending];
    this.pending.clear();
    for (const fire of due) fire();
    await settle();
  }
}

/** Lets every promise that can go on do so; WebCrypto needs turns of the event loop. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A store whose methods can be made to fail or to stall. */
function faultyStore(inner: Store) {
  const faults = new Map<keyof Store, (...args: never[]) => Promise<unknown> | undefined>();
  const store = new Proxy(inner, {
    get(target, name: keyof Store) {
      const method = target[name] as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]) => {
        const fault = faults.get(name)?.(...(args as never[]));
        return fault === undefined ? method.apply(target, args) : fault;
      };
    },
  });
  return { store, faults };
}

export function world() {
  const clock = new StepClock();
  const entropy = new CountingEntropy();
  const apps = memoryApps();
  const memory = memoryStore({ retention: 30 * DAY, versionOf: (env) => apps.versionOf(env) });
  const { store, faults } = faultyStore(memory);
  const events = new MemoryQueue<EventsMessage>();
  const dead = new MemoryQueue<DeadMessage>();
  const log = new MemoryLog();
  const timers = new ManualTimer();
  const cancellations = memoryCancellations();
  const seal = aesSeal('a secret of the tests', entropy);
  const intake: IntakeDeps = {
    clock,
    entropy,
    store,
    events,
    log,
    seal,
    timer: timers.start,
    arm: async () => undefined,
  };
  return { clock, entropy, apps, cancellations, store, faults, events, dead, log, timers, seal, intake };
}

export function stored(internalId: string, over: Partial<StoredEvent> = {}): StoredEvent {
  return { internalId, env: 'production', name: 'a/b', data: {}, ts: NOW, receivedAt: NOW, ...over };
}

/** `01` and so on: a valid id for test number `n`, received at about `NOW`. */
export function idAt(n: number, ms = NOW): string {
  const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  const encode = (value: number, length: number): string =>
    Array.from({ length }, (_, i) => alphabet[Math.floor(value / 32 ** (length - 1 - i)) % 32]).join('');
  return encode(ms, 10) + encode(n, 16);
}

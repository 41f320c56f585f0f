/** One signal's object and the runs that wait for it, as they behave: a run asks until it is acknowledged, and takes its first answer. */
import { SignalsOwner } from '../../durable-objects/signals-owner.ts';
import { HOUR } from '../../src/lib/time.ts';
import type { StepAnswer } from '../../src/protocol/run.ts';
import type { SentSignal, SignalWait } from '../../src/protocol/signal.ts';
import { memoryWaitsStorage } from '../fakes/waits.ts';
import { ObjectLife } from '../fakes/life.ts';

export const START = 1_700_000_000_000;

export function waitOf(runId: string, over: Partial<SignalWait> = {}): SignalWait {
  return { env: 'main', signal: 'task/1', runId, key: 'k', until: START + HOUR, conflict: 'fail', ...over };
}

export function sentOf(id: string): SentSignal {
  return { id, answer: JSON.stringify({ signal: 'task/1', data: id }) };
}

export interface Doings {
  /** On the way to a run and back: may fail, or never come. */
  way?: <Value>(call: () => Value) => Promise<Value>;
}

export class SignalsWorld extends ObjectLife<SignalsOwner> {
  /** What a run has got in the end, by its id; without an entry it waits. */
  readonly outcomes = new Map<string, string | null>();
  readonly told: string[] = [];
  readonly errors: string[] = [];
  readonly doings: Doings;
  owner: SignalsOwner;

  constructor(doings: Doings = {}) {
    super(START);
    this.doings = doings;
    this.owner = this.build();
  }

  /** Nothing is left of the object. */
  get isEmpty(): boolean {
    const tables = this.disk.database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table'").all();
    return tables.length === 0 && this.disk.alarm === null;
  }

  /** As a run's owner answers. */
  take(runId: string, answer: StepAnswer): 'taken' | 'gone' {
    this.told.push(runId);
    if (this.outcomes.has(runId)) return 'gone';
    this.outcomes.set(runId, (JSON.parse(answer.data) as { data: string }).data);
    return 'taken';
  }

  protected build(): SignalsOwner {
    const life = this.lives;
    const isAlive = () => life === this.lives;
    const { way = async (call) => call() } = this.doings;
    /** To an object that is gone nothing comes back. */
    const going = async <Value>(call: () => Value): Promise<Value> => {
      const settled = await way(call).then(
        (value) => () => value,
        (error: unknown) => () => {
          throw error;
        },
      );
      return isAlive() ? settled() : new Promise<never>(() => undefined);
    };
    return new SignalsOwner({
      storage: memoryWaitsStorage(this.disk, isAlive),
      clock: { now: () => this.now },
      timer: (ms, fire) => {
        const timer = { at: this.now + ms, fire };
        if (isAlive()) this.timers.push(timer);
        return () => void (this.timers = this.timers.filter((other) => other !== timer));
      },
      log: { error: (message) => void this.errors.push(message) },
      waiters: {
        tell: (runId, _key, answer) => going(() => this.take(runId, answer)),
        awaits: (runId) => going(() => !this.outcomes.has(runId)),
      },
      erase: async () => {
        this.disk.database.exec('DROP TABLE waiter; DROP TABLE sent');
        this.disk.alarm = null;
      },
      abort: (reason) => {
        if (isAlive()) throw new Error(reason);
      },
    });
  }
}

/** One signal's object and the runs that wait for it, as they behave: a run asks until it is acknowledged, and takes its first answer. */
import { SignalsOwner } from '../../durable-objects/signals-owner.ts';
import { HOUR } from '../../src/lib/time.ts';
import type { StepAnswer } from '../../src/protocol/run.ts';
import type { SentSignal, SignalWait } from '../../src/protocol/signal.ts';
import { emptyDisk, memoryWaitsStorage, type WaitsDisk } from '../fakes/waits.ts';

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

export class SignalsWorld {
  now = START;
  readonly disk: WaitsDisk = emptyDisk();
  /** What a run has got in the end, by its id; without an entry it waits. */
  readonly outcomes = new Map<string, string | null>();
  readonly told: string[] = [];
  readonly errors: string[] = [];
  readonly doings: Doings;
  timers: { at: number; fire: () => void }[] = [];
  lives = 0;
  owner: SignalsOwner;

  constructor(doings: Doings = {}) {
    this.doings = doings;
    this.owner = this.#build();
  }

  crash(): void {
    this.lives++;
    this.timers = [];
    if (this.disk.firing !== null) this.disk.alarm = Math.min(this.disk.firing, this.disk.alarm ?? Infinity);
    this.disk.firing = null;
    this.owner = this.#build();
  }

  advance(ms: number): void {
    this.now += ms;
    const due = this.timers.filter(({ at }) => at <= this.now);
    this.timers = this.timers.filter(({ at }) => at > this.now);
    for (const { fire } of due) fire();
  }

  get isAlarmDue(): boolean {
    return this.disk.alarm !== null && this.disk.alarm <= this.now && this.disk.firing === null;
  }

  async fireAlarm(): Promise<void> {
    const { lives } = this;
    this.disk.firing = this.disk.alarm;
    this.disk.alarm = null;
    await this.owner.alarm();
    if (lives === this.lives) this.disk.firing = null;
  }

  async nextAlarm(): Promise<void> {
    if (this.disk.alarm === null) throw new Error('no alarm is set');
    this.advance(Math.max(0, this.disk.alarm - this.now));
    await this.fireAlarm();
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

  #build(): SignalsOwner {
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

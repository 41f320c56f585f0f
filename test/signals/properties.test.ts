/** Any order of waits, sends, deadlines, lost calls and crashes of one signal's object: nobody gets a signal twice, no sender is told wrong. */
import { array, assert, asyncProperty, boolean, constantFrom, integer, nat, record } from 'fast-check';
import { expect, test } from 'vitest';
import { SECOND } from '../../src/lib/time.ts';
import type { SignalWait } from '../../src/protocol/signal.ts';
import { sentOf, SignalsWorld, START, waitOf } from './world.ts';

interface Plan {
  runs: { at: number; span: number; conflict: SignalWait['conflict']; isCancelled: boolean }[];
  sends: number[];
  tape: number[];
}

const RUNS = Number(process.env['SIGNALS_RUNS'] ?? 400);

const run = record({
  at: nat(20),
  span: integer({ min: 1, max: 30 }),
  conflict: constantFrom('fail' as const, 'replace' as const),
  isCancelled: boolean(),
});
const plan = record({
  runs: array(run, { minLength: 1, maxLength: 4 }),
  sends: array(nat(40), { minLength: 1, maxLength: 4 }),
  tape: array(nat(999), { minLength: 20, maxLength: 200, size: 'max' }),
});

/** Where a call stands still until the tape says how it goes on. */
interface Stop {
  goOn(how: 'on' | 'lost'): void;
}

class History {
  readonly #plan: Plan;
  readonly #tape: number[];
  readonly #stops: Stop[] = [];
  readonly #world: SignalsWorld;
  readonly #wrong: string[] = [];
  /** What the sender of each signal was told in the end. */
  readonly #receivers = new Map<string, string | null>();
  /** Runs that are known to wait, or to have waited. */
  readonly #listening = new Set<string>();
  readonly #cancelled = new Set<string>();
  readonly #failed = new Set<string>();
  /** Signals that were nobody's while a run waited alone, and that run: it must have got another one. */
  readonly #missed = new Map<string, string>();
  /** Signals and the runs that were over when their senders were answered. */
  readonly #wasOver = new Set<string>();
  /** Calls into the object that are under way. */
  readonly #mourners = new Set<(reason: Error) => void>();
  #busy = 0;

  constructor(given: Plan) {
    this.#plan = given;
    this.#tape = [...given.tape];
    this.#world = new SignalsWorld({ way: (call) => this.#way(call) });
  }

  /** What went wrong. */
  async run(): Promise<string[]> {
    this.#plan.runs.forEach((one, n) => void this.#wait(`R${n}`, one));
    this.#plan.sends.forEach((at, n) => void this.#send(`S${n}`, at));
    for (let calm = 0, steps = 0; calm < 3; steps++) {
      if (steps > 20_000) throw new Error('it does not end');
      await new Promise<void>((resolve) => void setImmediate(resolve));
      calm = this.#step() ? 0 : calm + 1;
    }
    this.#check();
    return this.#wrong;
  }

  /** One thing goes on; false when nothing is left. */
  #step(): boolean {
    const draw = this.#tape.shift() ?? 0;
    const world = this.#world;
    if (world.isAlarmDue && draw % 3 === 0) {
      void world.fireAlarm();
      return true;
    }
    const stop = this.#stops.splice(draw % Math.max(this.#stops.length, 1), 1)[0];
    if (stop === undefined) {
      if (this.#busy === 0 && world.disk.alarm === null) return false;
      this.#pass(world.disk.alarm !== null && this.#busy === 0 ? world.disk.alarm - world.now : SECOND);
      return true;
    }
    if (this.#tape.length > 0 && draw % 7 === 0) this.#crash();
    stop.goOn(this.#tape.length > 0 && draw % 5 === 0 ? 'lost' : 'on');
    if (draw % 4 === 0) this.#pass(SECOND);
    return true;
  }

  #pass(ms: number): void {
    this.#world.advance(Math.max(0, ms));
    if (this.#world.isAlarmDue) void this.#world.fireAlarm();
  }

  /** There and back: lost on the way it was never made, lost on the way back it was. */
  async #way<Value>(call: () => Value): Promise<Value> {
    await this.#stop();
    const value = call();
    await this.#stop();
    return value;
  }

  #stop(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stops.push({ goOn: (how) => (how === 'on' ? resolve() : reject(new Error('lost'))) });
    });
  }

  /** A call to the object, again and again until it is answered; one that dies with the object is lost. */
  async #call<Value>(make: () => Promise<Value>): Promise<Value> {
    for (;;) {
      const { promise: death, reject } = Promise.withResolvers<never>();
      try {
        await this.#stop();
        this.#mourners.add(reject);
        const value = await Promise.race([make(), death]);
        await this.#stop();
        return value;
      } catch {
        // Made again.
      } finally {
        this.#mourners.delete(reject);
      }
    }
  }

  #crash(): void {
    this.#world.crash();
    for (const reject of this.#mourners) reject(new Error('the object died'));
  }

  async #until(at: number): Promise<void> {
    while (this.#world.now < START + at * SECOND) await this.#stop().catch(() => undefined);
  }

  async #wait(runId: string, { at, span, conflict, isCancelled }: Plan['runs'][number]): Promise<void> {
    this.#busy++;
    const { outcomes } = this.#world;
    await this.#until(at);
    const until = START + (at + span) * SECOND;
    const wait = waitOf(runId, { until, conflict });
    const heard = await this.#call(() => this.#world.owner.listen(wait));
    if (heard === 'taken' && !outcomes.has(runId)) {
      this.#failed.add(runId);
      outcomes.set(runId, null);
    }
    this.#listening.add(runId);
    if (isCancelled) await this.#until(at + Math.ceil(span / 2));
    if (isCancelled && !outcomes.has(runId)) {
      this.#cancelled.add(runId);
      outcomes.set(runId, null);
      await this.#call(() => this.#world.owner.drop(runId, 'k'));
    }
    while (this.#world.now < until && !outcomes.has(runId)) await this.#stop().catch(() => undefined);
    if (!outcomes.has(runId)) {
      const found = await this.#call(() => this.#world.owner.expire(runId, 'k'));
      if (!outcomes.has(runId))
        outcomes.set(runId, found === null ? null : (JSON.parse(found.data) as { data: string }).data);
    }
    this.#busy--;
  }

  async #send(id: string, at: number): Promise<void> {
    this.#busy++;
    await this.#until(at);
    const waiting = this.#surelyWaiting();
    const receiver = await this.#call(() => this.#world.owner.send(sentOf(id)));
    this.#receivers.set(id, receiver);
    if (waiting !== null && receiver === null) this.#missed.set(id, waiting);
    for (const runId of this.#world.outcomes.keys()) this.#wasOver.add(`${id} ${runId}`);
    this.#busy--;
  }

  /** Null where more than one run could be meant. */
  #surelyWaiting(): string | null {
    if (this.#plan.runs.length > 1) return null;
    const [only] = this.#plan.runs;
    const isListening = this.#listening.has('R0') && !this.#world.outcomes.has('R0');
    const end = START + ((only?.at ?? 0) + (only?.span ?? 0)) * SECOND;
    return isListening && this.#world.now + 20 * SECOND < end ? 'R0' : null;
  }

  #check(): void {
    const { outcomes } = this.#world;
    for (const [id, receiver] of this.#receivers) this.#checkSignal(id, receiver);
    for (const [id, runId] of this.#missed) {
      if (outcomes.get(runId) === null && !this.#cancelled.has(runId))
        this.#wrong.push(`${id} was nobody's though ${runId} waited`);
    }
    if (this.#failed.size > 0 && this.#plan.runs.length === 1) this.#wrong.push('a run was in its own way');
    if (outcomes.size !== this.#plan.runs.length) this.#wrong.push('a run waits for ever');
    if (!this.#world.isEmpty) this.#wrong.push('something is left of the signal');
  }

  #checkSignal(id: string, receiver: string | null): void {
    const got = [...this.#world.outcomes].filter(([, signal]) => signal === id).map(([runId]) => runId);
    if (got.length > 1) this.#wrong.push(`${id} was got by ${got.join(' and ')}`);
    if (receiver === null) {
      if (got.length > 0) this.#wrong.push(`${got[0]} got ${id}, its sender heard of nobody`);
      return;
    }
    // A run that is over and still listed (its call came late, or it was cancelled) may be named when it cannot be asked.
    const isOver = this.#cancelled.has(receiver) || this.#wasOver.has(`${id} ${receiver}`);
    if (got[0] !== receiver && !isOver)
      this.#wrong.push(`the sender of ${id} heard of ${receiver}, but ${got[0]} got it`);
  }
}

test(
  'every signal has one receiver at most, and its sender hears of the right one (WS-1, RA-22)',
  async () => {
    const property = asyncProperty(plan, async (one) => {
      expect(await new History(one).run()).toEqual([]);
    });
    await assert(property, { numRuns: RUNS });
  },
  60_000 + RUNS * 20,
);

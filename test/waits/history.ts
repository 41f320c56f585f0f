/**
 * One history of a waits object: senders, runs, the object, time and crashes take turns in an order that a tape of numbers decides.
 * Then all is put right and runs to its end, and what came of every wait is held against the history of events.
 */
import { byReceipt } from '../../src/match/waits.ts';
import { SECOND } from '../../src/lib/time.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import type { EventRecord } from '../../src/ports.ts';
import type { Wait } from '../../src/protocol/wait.ts';
import { event, waitFor, WaitsWorld } from './world.ts';

interface WaitPlan {
  expression: string | null;
  id: string;
  span: number;
}

export interface Plan {
  waits: WaitPlan[];
  events: { id: string; n: number }[];
  /** Events come to the history as they are received, and are delivered before the next are. */
  isOrdered: boolean;
  tape: number[];
}

interface Sent {
  event: StoredEvent;
  insertedAt: number;
  deliveredAt: number;
}

/** A run, with its one wait. */
interface Waiting {
  wait: Wait;
  isHeard: boolean;
  calls: number;
  listenedAt: number;
  /** Undefined until there is one; null: none by the deadline. */
  outcome: string | null | undefined;
  /** What the run was told, whether or not it survived that. */
  told: Set<string>;
  /** When the call began that decided that there was none, whether or not its answer arrived. */
  noneAt: number;
  /** When a call to expire it began that has not been answered. */
  expiring: number;
}

interface Call {
  ok(): void;
  fail(): void;
}

const NEVER = Infinity;
const STEPS = [1, 500, SECOND, 5 * SECOND, 20 * SECOND];

export class History {
  readonly #plan: Plan;
  readonly #world: WaitsWorld;
  readonly #sent: Sent[] = [];
  readonly #waiting: Waiting[] = [];
  readonly #problems: string[] = [];
  readonly #log: string[] = [];
  #calls: Call[] = [];
  #turn = 0;
  #isHealed = false;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#world = new WaitsWorld({
      page: (read) => this.#outside(read),
      tell: (told, each) => this.#outside(() => this.#resumed(told.runId, each)),
    });
  }

  /** What went wrong. */
  async run(): Promise<string[]> {
    for (let i = 0; i + 1 < this.#plan.tape.length; i += 2) {
      const choices = this.#choices();
      const number = this.#plan.tape[i] ?? 0;
      const [name, act] = choices[number % choices.length] ?? ['nothing', () => undefined];
      this.#turn++;
      this.#log.push(`${this.#turn} ${name}`);
      act(Math.floor(number / choices.length));
      await this.#settle(this.#plan.tape[i + 1] ?? 0);
    }
    await this.#heal();
    for (const waiting of this.#waiting) this.#judge(waiting);
    return this.#problems.length === 0 ? [] : [...this.#problems, ...this.#log];
  }

  #choices(): [string, (n: number) => void][] {
    const { events, waits, isOrdered } = this.#plan;
    const undelivered = this.#sent.filter((sent) => sent.insertedAt < NEVER && sent.deliveredAt === NEVER);
    const hidden = this.#sent.filter((sent) => sent.insertedAt === NEVER);
    const mayReceive = this.#sent.length < events.length && !(isOrdered && undelivered.length > 0);
    const choices: [string, (n: number) => void][] = [
      ['time passes', (n) => this.#world.advance(STEPS[n % STEPS.length] ?? 1)],
      ['the object crashes', () => this.#crash()],
    ];
    if (mayReceive) choices.push(['events are received', (n) => this.#receive(isOrdered ? 1 + (n % 3) : 1)]);
    for (const sent of hidden.slice(0, 2)) choices.push(['an event is stored', () => this.#insert(sent)]);
    if (undelivered.length > 0) {
      choices.push(['all are delivered', () => this.#deliver(undelivered)]);
      if (!isOrdered) choices.push(['the last is delivered', () => this.#deliver(undelivered.slice(-1))]);
    }
    const [old] = this.#sent.filter((sent) => sent.deliveredAt < NEVER);
    if (old !== undefined) choices.push(['one is delivered again', () => this.#deliver([old])]);
    if (this.#waiting.length < waits.length) choices.push(['a run waits', () => this.#begin()]);
    for (const waiting of this.#waiting) choices.push(...this.#choicesOf(waiting));
    for (const call of this.#calls.slice(0, 3)) {
      choices.push(['an answer', () => this.#end(call, 'ok')], ['an answer', () => this.#end(call, 'ok')]);
      choices.push(['a failure', () => this.#end(call, 'fail')]);
    }
    if (this.#world.isAlarmDue) choices.push(['the alarm', () => void this.#world.fireAlarm()]);
    return choices;
  }

  #choicesOf(waiting: Waiting): [string, (n: number) => void][] {
    if (waiting.outcome !== undefined || waiting.calls > 1) return [];
    if (!waiting.isHeard) return [[`${waiting.wait.key} listens`, () => this.#listen(waiting)]];
    if (this.#world.now < waiting.wait.until) return [];
    return [
      [`${waiting.wait.key} expires`, () => this.#expire(waiting, true)],
      [`${waiting.wait.key} expires, the run crashes`, () => this.#expire(waiting, false)],
    ];
  }

  #receive(count: number): void {
    for (const { id, n } of this.#plan.events.slice(this.#sent.length, this.#sent.length + count)) {
      const data = id === 'none' ? {} : { id, n, isBig: n > 1 };
      const sent: Sent = {
        event: event(this.#sent.length, this.#world.now, data),
        insertedAt: NEVER,
        deliveredAt: NEVER,
      };
      this.#sent.push(sent);
      if (this.#plan.isOrdered) this.#insert(sent);
    }
  }

  #insert(sent: Sent): void {
    sent.insertedAt = this.#turn;
    this.#world.store(sent.event);
  }

  #deliver(some: Sent[]): void {
    const delivery = this.#world.owner.deliver(some.toReversed().map((sent) => sent.event));
    void this.#ofThisLife(delivery, () => {
      for (const sent of some) {
        sent.deliveredAt = Math.min(sent.deliveredAt, this.#turn);
        this.#world.markDispatched(sent.event.internalId);
      }
    });
  }

  #begin(): void {
    const key = `w${this.#waiting.length}`;
    const { now } = this.#world;
    const { expression, id, span } = this.#plan.waits[this.#waiting.length] as WaitPlan;
    const wait = waitFor(key, { expression, given: { data: { id } }, since: now, until: now + span });
    this.#waiting.push({
      wait,
      isHeard: false,
      calls: 0,
      listenedAt: NEVER,
      outcome: undefined,
      told: new Set(),
      noneAt: NEVER,
      expiring: NEVER,
    });
  }

  #listen(waiting: Waiting): void {
    waiting.listenedAt = Math.min(waiting.listenedAt, this.#turn);
    waiting.calls++;
    void this.#ofThisLife(
      this.#world.owner.listen([waiting.wait]),
      () => (waiting.isHeard = true),
      () => waiting.calls--,
    );
  }

  #expire(waiting: Waiting, survives: boolean): void {
    const { runId, key } = waiting.wait;
    const begun = this.#turn;
    waiting.calls++;
    waiting.expiring = Math.min(waiting.expiring, begun);
    void this.#ofThisLife(
      this.#world.owner.expire(runId, key),
      (answer) => this.#expired(waiting, answer, begun, survives),
      () => {
        waiting.calls--;
        waiting.expiring = NEVER;
      },
    );
  }

  #expired(waiting: Waiting, answer: StoredEvent | null, begun: number, survives: boolean): void {
    if (answer !== null) waiting.told.add(answer.internalId);
    // A run that has its event has told so, and its wait is forgotten.
    else if (typeof waiting.outcome === 'string') return;
    else {
      waiting.told.add('none');
      waiting.noneAt = Math.min(waiting.noneAt, begun);
    }
    if (survives) waiting.outcome ??= answer?.internalId ?? null;
  }

  #resumed(runId: string, each: StoredEvent | null): 'taken' | 'gone' {
    const waiting = this.#waiting.find(({ wait }) => wait.runId === runId);
    if (waiting === undefined || each === null) throw new Error('no such run');
    waiting.told.add(each.internalId);
    waiting.outcome ??= each.internalId;
    return waiting.outcome === each.internalId ? 'taken' : 'gone';
  }

  #crash(): void {
    this.#world.crash();
    this.#calls = [];
    for (const waiting of this.#waiting) {
      // Decided by the object, which forgot the wait, and not heard by the run: what is stored from now on is too late.
      if (waiting.isHeard && waiting.expiring < NEVER && !this.#world.hasWait(waiting.wait.runId))
        waiting.noneAt = Math.min(waiting.noneAt, waiting.expiring);
      waiting.calls = 0;
      waiting.expiring = NEVER;
    }
  }

  /** A call out of the object, which waits for its answer; a failure may come before or after it was heard. */
  #outside<Value extends EventRecord[] | string>(work: () => Value): Promise<Value> {
    if (this.#isHealed) return Promise.resolve(work());
    const { promise, resolve, reject } = Promise.withResolvers<Value>();
    this.#calls.push({
      ok: () => resolve(work()),
      fail: () => {
        if (this.#turn % 2 === 0) work();
        reject(new Error('failed'));
      },
    });
    return promise;
  }

  #end(call: Call, how: keyof Call): void {
    this.#calls = this.#calls.filter((other) => other !== call);
    call[how]();
  }

  /** Who called an object that crashed learns nothing but that. */
  async #ofThisLife<Value>(
    promise: Promise<Value>,
    then: (value: Value) => void,
    over: () => void = () => undefined,
  ): Promise<void> {
    const { lives } = this.#world;
    const work = await promise.then(
      (value) => () => then(value),
      () => () => undefined,
    );
    if (lives !== this.#world.lives) return;
    work();
    over();
  }

  /** Lets promises run: to their end, or some of them, so that a crash can come in the middle. */
  async #settle(number: number): Promise<void> {
    if (number % 2 === 1) for (let i = 0; i < number % 24; i++) await Promise.resolve();
    else await new Promise((resolve) => setImmediate(resolve));
  }

  async #heal(): Promise<void> {
    this.#turn++;
    this.#isHealed = true;
    for (const call of this.#calls) call.ok();
    this.#calls = [];
    await this.#settle(0);
    while (this.#waiting.length < this.#plan.waits.length) this.#begin();
    for (let i = 0; i < 60 && !this.#isOver(); i++) await this.#round();
    if (!this.#isOver()) this.#problems.push('it did not come to an end');
  }

  async #round(): Promise<void> {
    this.#turn++;
    for (const sent of this.#sent) if (sent.insertedAt === NEVER) this.#insert(sent);
    const undelivered = this.#sent.filter((sent) => sent.deliveredAt === NEVER);
    if (undelivered.length > 0) this.#deliver(undelivered);
    await this.#settle(0);
    for (const waiting of this.#waiting) for (const [, act] of this.#choicesOf(waiting).slice(0, 1)) act(0);
    await this.#settle(0);
    this.#world.advance(5 * SECOND);
    if (this.#world.isAlarmDue) void this.#world.fireAlarm();
    await this.#settle(0);
  }

  #isOver(): boolean {
    const isDone = this.#waiting.every(({ outcome }) => outcome !== undefined);
    return isDone && this.#sent.every((sent) => sent.deliveredAt < NEVER) && this.#isEmpty();
  }

  #isEmpty(): boolean {
    return this.#waiting.every(({ isHeard }) => !isHeard) || this.#world.count('wait') === 0;
  }

  #judge({ wait, outcome, told, listenedAt, noneAt }: Waiting): void {
    const say = (text: string) => this.#problems.push(`${wait.key}: ${text}`);
    if (told.size > 1) say(`was told ${[...told].join(' and ')}`);
    const fit = this.#sent
      .filter((sent) => isFor(wait, sent.event))
      .toSorted((a, b) => byReceipt(a.event, b.event));
    const got = fit.find((sent) => sent.event.internalId === outcome);
    if (this.#plan.isOrdered && (fit[0]?.event.internalId ?? null) !== outcome)
      say(`got ${outcome}, the model says ${fit[0]?.event.internalId}`);
    if (outcome === null) {
      for (const sent of fit) if (sent.insertedAt < noneAt) say(`missed ${sent.event.internalId}`);
    } else if (got === undefined) say(`got ${outcome}, which is not for it`);
    else {
      for (const sent of fit.slice(0, fit.indexOf(got)))
        if (sent.insertedAt < listenedAt || sent.deliveredAt < got.insertedAt)
          say(`got ${outcome}, although ${sent.event.internalId} was known before`);
    }
  }
}

/** The naive model: what the expressions of the plans mean. */
function isFor({ expression, given, since, until }: Wait, { receivedAt, data }: StoredEvent): boolean {
  if (receivedAt < since || receivedAt >= until) return false;
  if (expression === null) return true;
  const { id } = given['data'] as { id: string };
  if (expression.includes('isBig')) return data['isBig'] === true;
  if (expression.includes('n >')) return typeof data['n'] === 'number' && data['n'] > 1;
  return data['id'] === id;
}

/**
 * What the functions of test/e2e/worker.ts report, kept where no kill reaches it. A callback says when it begins and gets a serial
 * number, which is its step's result; later steps say which numbers they saw. A number that was seen has therefore been stored:
 * from then on its step may never begin again, and nobody may see another number.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface Work {
  key: string;
  /** From 1; spreads the time that steps take. */
  pace: number;
  /** In events that a run sent: that run, and which of its events this is. */
  sender?: string;
  tag?: string;
}

export interface Begin {
  run: string;
  event: string;
  work: Work;
  step: string;
  attempt: number;
  /** Results of the run's other steps, as far as the handler knows them. */
  saw: Record<string, number>;
  /** Ids that `step.sendEvent` answered. */
  sent?: string[];
  /** A sleep of this length lies between the beginning of that step and of this one. */
  slept?: { since: string; ms: number };
  /** What the step would give to an API that takes idempotency keys: one effect for each. */
  effect: string;
  /** It counts against the function's limit of concurrency until its end is reported. */
  limit?: number;
  /** Nothing but the handler's return comes after this step. */
  last?: boolean;
}

export interface Output {
  key: string;
  saw: Record<string, number>;
}

interface StepBook {
  begins: { serial: number; attempt: number; at: number }[];
  /** The number that was seen; null as long as nobody has. */
  sealed: number | null;
  effect: string;
}

export interface RunBook {
  id: string;
  event: string;
  work: Work;
  steps: Map<string, StepBook>;
  sent: string[];
  /** Its last step has begun. */
  isLast: boolean;
}

export class Ledger {
  readonly runs = new Map<string, RunBook>();
  /** Broken promises, in words. */
  readonly violations: string[] = [];
  /** By idempotency key: the one step that it belongs to. */
  readonly effects = new Map<string, string>();
  /** Most limited steps that executed at the same time. */
  mostAtOnce = 0;
  /** Serial numbers of limited steps that execute. */
  readonly #limited = new Set<number>();
  readonly #server: Server;
  #serial = 0;

  private constructor() {
    this.#server = createServer((request, response) => {
      void text(request).then((body) => {
        if (request.url === '/end') this.#limited.delete((JSON.parse(body) as { serial: number }).serial);
        const isBegin = request.url === '/begin';
        const serial = isBegin ? this.#begin(JSON.parse(body) as Begin, Date.now()) : null;
        response.end(JSON.stringify({ serial }));
      });
    });
  }

  static async open(): Promise<Ledger> {
    const ledger = new Ledger();
    ledger.#server.keepAliveTimeout = 60_000;
    ledger.#server.listen(0, '127.0.0.1');
    await once(ledger.#server, 'listening');
    return ledger;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Nothing executes any more: everything was killed. */
  forgetLimited(): void {
    this.#limited.clear();
  }

  /** The step has this result, wherever that was seen: in a later step, in a trace, in the run's output. */
  seal(run: string, step: string, serial: number): void {
    const book = this.runs.get(run)?.steps.get(step);
    if (book === undefined) return this.#violated(run, step, 'was seen before it began');
    if (!book.begins.some((begin) => begin.serial === serial))
      this.#violated(run, step, `never had the result ${serial}`);
    if (book.sealed !== null && book.sealed !== serial) {
      this.#violated(run, step, `changed its result from ${book.sealed} to ${serial}`);
    }
    book.sealed ??= serial;
  }

  /** Beginnings of one attempt beyond its first: their ends were not stored before a kill. */
  repeats(): number {
    let count = 0;
    for (const { steps } of this.runs.values()) {
      for (const { begins } of steps.values())
        count += begins.length - new Set(begins.map(({ attempt }) => attempt)).size;
    }
    return count;
  }

  count(): number {
    let count = 0;
    for (const { steps } of this.runs.values())
      for (const { begins } of steps.values()) count += begins.length;
    return count;
  }

  #begin(begin: Begin, at: number): number {
    const { run: id, event, work } = begin;
    let run = this.runs.get(id);
    if (run === undefined)
      this.runs.set(id, (run = { id, event, work, steps: new Map(), sent: [], isLast: false }));
    for (const [step, serial] of Object.entries(begin.saw)) this.seal(id, step, serial);
    let book = run.steps.get(begin.step);
    if (book === undefined)
      run.steps.set(begin.step, (book = { begins: [], sealed: null, effect: begin.effect }));
    if (book.sealed !== null) this.#violated(id, begin.step, 'began again after its result had been seen');
    if ((book.begins.at(-1)?.attempt ?? 0) > begin.attempt)
      this.#violated(id, begin.step, 'went back to an earlier attempt');
    const serial = ++this.#serial;
    book.begins.push({ serial, attempt: begin.attempt, at });
    this.#checkEffect(begin, book);
    this.#checkLimit(begin, serial);
    this.#checkSleep(run, begin, at);
    if (begin.sent !== undefined) run.sent = begin.sent;
    if (begin.last === true) run.isLast = true;
    return serial;
  }

  #checkEffect({ run, step, effect }: Begin, book: StepBook): void {
    const place = `${run} ${step}`;
    if (book.effect !== effect) this.#violated(run, step, 'has another idempotency key than before');
    if ((this.effects.get(effect) ?? place) !== place)
      this.#violated(run, step, 'has the idempotency key of another step');
    this.effects.set(effect, place);
  }

  #checkLimit({ run, step, limit }: Begin, serial: number): void {
    if (limit === undefined) return;
    this.#limited.add(serial);
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#limited.size);
    if (this.#limited.size > limit) this.#violated(run, step, `is one of ${this.#limited.size} at a time`);
  }

  #checkSleep(run: RunBook, { step, slept }: Begin, at: number): void {
    if (slept === undefined) return;
    const before = run.steps.get(slept.since);
    const since = before?.begins.find(({ serial }) => serial === before.sealed)?.at ?? Infinity;
    if (!(at - since >= slept.ms))
      this.#violated(run.id, step, `came ${at - since} ms after "${slept.since}", not ${slept.ms}`);
  }

  #violated(run: string, step: string, what: string): void {
    this.violations.push(`run ${run}, step "${step}": ${what}`);
  }
}

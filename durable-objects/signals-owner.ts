/**
 * The owner of one signal: knows which run waits for it, decides who gets what is sent, and tells the run. Knows nothing of the platform,
 * so that the simulator runs it as it is.
 *
 *  1. One run at most waits for the signal. One that registers while another waits fails, or takes over (WS-1).
 *  2. A signal is for the run that waits when it comes, or for nobody: that is decided here, in one transaction, before the run is told.
 *     At a wait's deadline the run asks here too: it was matched, or it never will be.
 *  3. A match stays until its run took it, or wants it no more. After a crash the alarm tells the run.
 *  4. Calls come late and twice: a wait that its run wants no more keeps nobody else from waiting, and takes nothing over.
 */
import { DAY, HOUR, SECOND } from '../src/lib/time.ts';
import { within, type Timer } from '../src/ingest/patience.ts';
import type { StepAnswer } from '../src/protocol/run.ts';
import type { SignalsRpc } from '../src/protocol/rpc.ts';
import { sentSignal, signalWait, type SentSignal, type SignalWait } from '../src/protocol/signal.ts';
import type { Clock, Log, SignalWaiters } from '../src/ports.ts';
import type { ObjectStorage } from './storage.ts';
import { SignalRows, type Waiter } from './signals-rows.ts';

export interface SignalsDeps {
  storage: ObjectStorage;
  clock: Clock;
  timer: Timer;
  log: Log;
  waiters: SignalWaiters;
  /** Everything stored, the alarm too: signals have many names. */
  erase(): Promise<void>;
  /** Gives this owner up: it may not be used any more. */
  abort(reason: string): void;
}

/** For a run's answer. */
const PATIENCE = 10 * SECOND;
/** A run that could not be told is told again when the match is twice as old, within these bounds. */
const AGAIN = { least: 5 * SECOND, most: HOUR };

export class SignalsOwner implements SignalsRpc {
  readonly #deps: SignalsDeps;
  readonly #rows: SignalRows;
  /** Matches whose run is being told now. */
  readonly #telling = new Set<string>();
  /** What the alarm was last set to; undefined when that is not known. */
  #armed: number | null | undefined;

  constructor(deps: SignalsDeps) {
    this.#deps = deps;
    this.#rows = new SignalRows(deps.storage);
  }

  /** Rejects when a run that is in the way cannot be asked: it is to be repeated then. */
  async listen(given: SignalWait): Promise<'listening' | 'taken'> {
    const wait = signalWait.parse(given);
    for (;;) {
      if (this.#rows.find(wait) !== null) return 'listening';
      const other = this.#rows.open(this.#now());
      if (other === null) {
        this.#transact(() => this.#rows.insert(wait, wait.until + DAY));
        return 'listening';
      }
      const verdict = await this.#conflict(wait, other);
      // While the runs were asked everything may have changed.
      if (this.#rows.find(wait) === null && this.#rows.find(other)?.state === 'open') {
        if (verdict === 'taken') return 'taken';
        if (verdict === 'unwanted') return 'listening';
        this.#transact(() => {
          if (verdict === 'gone') this.#rows.remove(other);
          else this.#rows.replace(other);
          this.#rows.insert(wait, wait.until + DAY);
        });
      }
    }
  }

  /** The run that gets it; null when none waits. */
  async send(given: SentSignal): Promise<string | null> {
    const sent = sentSignal.parse(given);
    for (;;) {
      const before = this.#rows.sentTo(sent.id);
      if (before !== null) return before;
      const now = this.#now();
      const waiter = this.#rows.open(now);
      if (waiter === null) return null;
      this.#transact(() => this.#rows.match(waiter, sent, now, { told: now + AGAIN.least, sent: now + DAY }));
      const told = await this.#tell({ ...waiter, answer: sent.answer });
      if (told === 'late') return waiter.runId;
      // What a run has claimed it wants no second time.
      const isTaken = told === 'taken' || this.#rows.find(waiter)?.state === 'claimed';
      this.#transact(() => {
        this.#rows.remove(waiter);
        if (!isTaken) this.#rows.forget(sent.id);
      });
      if (isTaken) return waiter.runId;
      // This object had not heard yet that the run is over: the signal is for whoever has come since.
    }
  }

  async expire(runId: string, key: string): Promise<StepAnswer | null> {
    const row = this.#rows.find({ runId, key });
    if (row === null) return null;
    const { answer } = row;
    this.#transact(() => (answer === null ? this.#rows.remove(row) : this.#rows.claim(row)));
    return answer === null ? null : { ok: true, data: answer };
  }

  async drop(runId: string, key: string): Promise<void> {
    if (this.#rows.find({ runId, key }) !== null) this.#transact(() => this.#rows.remove({ runId, key }));
  }

  /** Never throws: the platform gives an alarm up after six throws. */
  async alarm(): Promise<void> {
    this.#armed = null;
    try {
      await this.#lookAtAll();
    } catch (error) {
      this.#deps.log.error('signals: an alarm failed, it is tried again', { error });
      this.#deps.storage.setAlarm(this.#now() + AGAIN.least);
    }
  }

  async #lookAtAll(): Promise<void> {
    const now = this.#now();
    for (const row of this.#rows.due(now)) {
      const isLate = row.answer !== null && (await this.#tell(row)) === 'late';
      const again = Math.min(Math.max(now - row.until, AGAIN.least), AGAIN.most);
      this.#transact(() => (isLate ? this.#rows.postpone(row, now + again) : this.#rows.remove(row)));
    }
    this.#transact(() => this.#rows.forgetSent(now));
    if (this.#rows.nextDue() !== null) return;
    this.#rows.erased();
    await this.#deps.erase();
  }

  /** Of two waits for the signal. `gone`: the other one is over. `unwanted`: this one is. */
  async #conflict(wait: SignalWait, other: Waiter): Promise<'taken' | 'replaces' | 'gone' | 'unwanted'> {
    const { waiters } = this.#deps;
    const [isOtherWanted, isWanted] = await Promise.all([
      waiters.awaits(other.runId, other.key),
      waiters.awaits(wait.runId, wait.key),
    ]);
    if (!isWanted) return 'unwanted';
    if (!isOtherWanted) return 'gone';
    return wait.conflict === 'fail' ? 'taken' : 'replaces';
  }

  /** `late`: it is not known whether the run took it; the alarm tells it again. Never rejects. */
  async #tell({ runId, key, answer }: Waiter): Promise<'taken' | 'gone' | 'late'> {
    const name = `${runId} ${key}`;
    if (answer === null || this.#telling.has(name)) return 'late';
    this.#telling.add(name);
    try {
      const told = this.#deps.waiters.tell(runId, key, { ok: true, data: answer });
      return await within(told, PATIENCE, this.#deps.timer);
    } catch (error) {
      this.#deps.log.error('signals: a run was not told', { runId, key, error });
      return 'late';
    } finally {
      this.#telling.delete(name);
    }
  }

  /** Rows, and the alarm that is the earliest of their times. */
  #transact(work: () => void): void {
    const { storage } = this.#deps;
    try {
      storage.transact(() => {
        work();
        const next = this.#rows.nextDue();
        if (next !== null && next !== this.#armed) storage.setAlarm(next);
        this.#armed = next;
      });
    } catch (error) {
      // Memory may be ahead of what is stored: it must not be used any more.
      this.#deps.abort('a transaction of signals could not be written');
      throw error;
    }
  }

  #now(): number {
    return this.#deps.clock.now();
  }
}

/**
 * What a call tells of its run, as canonical JSON: the events and the outcomes of its steps, opened where they are sealed. Each is read
 * and written out once in the life of the object, so that a call costs the engine no more for a run that has come far.
 */
import { SEALED, eventView, type EventView } from '../protocol/event.ts';
import type { Memo } from '../protocol/op.ts';
import type { RunHandle } from './caller.ts';
import { canonical, memoText, type CallState } from './request.ts';

export interface KnowledgeDeps {
  /** Events as user code sees them, their sealed parts opened. A promise only where something is sealed. */
  open(events: EventView[], env: string): object[] | Promise<object[]>;
}

export class Knowledge {
  readonly #run: RunHandle;
  readonly #deps: KnowledgeDeps;
  #events: string[] | null = null;
  /** In the order of ids, as the wire wants them. */
  readonly #ids: string[] = [];
  readonly #memos: string[] = [];

  constructor(run: RunHandle, deps: KnowledgeDeps) {
    this.#run = run;
    this.#deps = deps;
  }

  /** Complete after `refresh`, as long as no turn passes. */
  state(): CallState {
    return { events: this.#events ?? [], memos: this.#memos, settled: this.#run.settled };
  }

  /** Rejects where something sealed cannot be opened. */
  async refresh(hasErrorData: boolean): Promise<void> {
    const { state, settled } = this.#run;
    if (state === null) throw new Error('user code is only called for a run that has started');
    const { env } = state.config;
    if (this.#events === null) {
      const events = await this.#deps.open(this.#run.events().map(eventView), env);
      this.#events ??= events.map(canonical);
    }
    // More may be settled while one of them is opened.
    for (let next = settled[this.#ids.length]; next !== undefined; next = settled[this.#ids.length]) {
      const step = state.steps.get(next);
      if (step === undefined) throw new Error('a settled step is in the journal');
      const memo = this.#run.memo(next);
      const opened = isSealed(memo) && step.op === 'WaitForEvent' ? await this.#opened(memo, env) : memo;
      this.#place(next, memoText(step, opened, hasErrorData));
    }
  }

  #place(id: string, memo: string): void {
    let [from, to] = [0, this.#ids.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#ids[middle] ?? '') < id) from = middle + 1;
      else to = middle;
    }
    this.#ids.splice(from, 0, id);
    this.#memos.splice(from, 0, `${canonical(id)}:${memo}`);
  }

  async #opened({ data }: { data: string }, env: string): Promise<Memo> {
    const [event] = await this.#deps.open([JSON.parse(data) as EventView], env);
    return { data: JSON.stringify(event) };
  }
}

function isSealed(memo: Memo): memo is { data: string } {
  return 'data' in memo && memo.data.includes(SEALED);
}

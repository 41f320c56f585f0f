/** A host of an execution that the test plays by hand. */
import { sha1Hex } from '../../src/lib/hash.ts';
import type { Memo } from '../../src/protocol/op.ts';
import { Execution, type ReachedStep, type StepOutcome } from '../../src/sdk/execution.ts';
import { enterFunction } from '../../src/sdk/entry.ts';
import type { InngestFunction } from '../../src/sdk/index.ts';
import { stepTools } from '../../src/sdk/tools.ts';

export const turn = () => new Promise<void>((resolve) => void setTimeout(resolve, 0));

/** A host with some outcomes stored already, in this order. */
export function host(stored: [string, Memo][] = []) {
  const memos = new Map(stored.map(([id, memo]) => [sha1Hex(id), memo]));
  const reached: ReachedStep[] = [];
  const ended: StepOutcome[] = [];
  const signals: { signal: object; stepId: string | null; nth: number }[] = [];
  const sends: { events: object[]; stepId: string | null; nth: number }[] = [];
  const settled = [...memos.keys()];
  const execution = new Execution({
    settled,
    isSettled: (id) => memos.has(id),
    memo: (id) => memos.get(id) ?? { data: 'null' },
    reached: (step) => void reached.push(step),
    ended: (outcome) => void ended.push(outcome),
    send: async (events, stepId, nth) => {
      sends.push({ events, stepId, nth });
      return { ids: [] };
    },
    sendSignal: async (signal, stepId, nth) => {
      signals.push({ signal, stepId, nth });
      return { runId: 'receiver' };
    },
  });
  return {
    execution,
    reached,
    ended,
    sends,
    signals,
    step: stepTools(execution),
    names: () => reached.map((step) => step.name),
    /** The journal has one more outcome. */
    store: (id: string, memo: Memo) => {
      memos.set(sha1Hex(id), memo);
      settled.push(sha1Hex(id));
      execution.settle();
    },
    run: async (handler: () => unknown) => {
      execution.start(handler);
      await turn();
    },
  };
}

export const value = (data: unknown): Memo => ({ data: JSON.stringify(data) });

/** A run of a function as a run's object plays it: steps run in place, everything else waits until the test stores an outcome. */
export function runOf(fn: InngestFunction.Any, stored: [string, Memo][] = []) {
  const played = host(stored);
  const { execution, reached, ended } = played;
  let seen = 0;
  const sent = { attempt: 0, maxAttempts: 5, events: [{ name: 'a/b', data: { n: 1 }, id: 'e', ts: 1 }] };
  return {
    ...played,
    /** The outcomes of steps that ran, by name. */
    outcomes: [] as [string, StepOutcome][],
    /** Enters the handler, and goes on until it only waits. */
    async enter(input: { events?: object[]; appId?: string; runId?: string; reqArgs?: unknown[] } = {}) {
      enterFunction(execution, fn, { ...sent, runId: 'run', appId: 'app', ...input });
      await this.goOn();
      return this;
    },
    async goOn() {
      await turn();
      for (; seen < reached.length; await turn()) await this.take(reached[seen++]);
    },
    async take(step: ReachedStep | undefined) {
      if (step?.kind.op !== 'StepRun') return;
      const outcome = await execution.run(step.id);
      this.outcomes.push([step.name, outcome]);
      if (outcome.ok) played.store(step.name, { data: outcome.data });
      else if (outcome.final) played.store(step.name, { error: outcome.error });
    },
    /** The value that the function has returned. */
    get output(): unknown {
      const [outcome] = ended;
      return outcome?.ok === true ? JSON.parse(outcome.data) : outcome;
    },
  };
}

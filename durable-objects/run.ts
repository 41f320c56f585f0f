/** One object per run: puts a `RunOwner` on the platform's storage, alarm and queue. */
import { DurableObject } from 'cloudflare:workers';
import { EmbeddedCaller, type EmbeddedDeps } from '../src/call/embedded.ts';
import type { Env } from '../src/env.ts';
import { utf8Length } from '../src/lib/json.ts';
import type { RunRpc } from '../src/protocol/rpc.ts';
import type { StoredEvent } from '../src/protocol/event.ts';
import { limits } from '../src/protocol/limits.ts';
import type { RunStart, StepAnswer } from '../src/protocol/run.ts';
import { Journal } from './journal.ts';
import { RunOwner, type OwnerDeps } from './owner.ts';

export type RunDeps = EmbeddedDeps &
  Pick<OwnerDeps, 'clock' | 'timer' | 'log' | 'freeze' | 'waits' | 'signals' | 'emit'>;

/** @param dependencies made once per object, from its bindings. */
export function runObject(dependencies: (env: Env) => RunDeps) {
  return class Run extends DurableObject<Env> implements RunRpc {
    readonly #owner: RunOwner;

    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env);
      const deps = dependencies(env);
      this.#owner = new RunOwner({
        ...deps,
        journal: new Journal(ctx.storage),
        caller: (run) => new EmbeddedCaller(run, deps),
        report: async (ending) => {
          const fits = utf8Length(JSON.stringify(ending)) <= limits.messageBytes;
          await env.RUNS.send(fits ? { runs: [ending] } : { ids: [ending.summary.runId] });
        },
        abort: (reason) => ctx.abort(reason),
      });
    }

    start(request: RunStart) {
      return this.#owner.start(request);
    }

    cancel() {
      return this.#owner.cancel();
    }

    read() {
      return this.#owner.read();
    }

    trace() {
      return this.#owner.trace();
    }

    check() {
      return this.#owner.check();
    }

    resume(key: string, event: StoredEvent) {
      return this.#owner.resume(key, event);
    }

    answer(key: string, answer: StepAnswer) {
      return this.#owner.answer(key, answer);
    }

    awaits(key: string) {
      return this.#owner.awaits(key);
    }

    purge() {
      return this.#owner.purge();
    }

    override alarm() {
      return this.#owner.alarm();
    }
  };
}

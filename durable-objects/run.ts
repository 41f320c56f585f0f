/** One object per run: puts a `RunOwner` on the platform's storage, alarm and queue. */
import { DurableObject } from 'cloudflare:workers';
import type { Caller, RunHandle } from '../src/call/caller.ts';
import { EmbeddedCaller, type EmbeddedDeps } from '../src/call/embedded.ts';
import { HttpCaller, type HttpDeps } from '../src/call/http.ts';
import type { Env } from '../src/env.ts';
import { utf8Length } from '../src/lib/json.ts';
import type { RemoteRunRpc, RunRpc } from '../src/protocol/rpc.ts';
import type { StoredEvent } from '../src/protocol/event.ts';
import { limits } from '../src/protocol/limits.ts';
import type { Checkpoint, Hold, RunEnding, RunStart, StepAnswer } from '../src/protocol/run.ts';
import type { Granted } from '../src/protocol/slot.ts';
import { Journal } from './journal.ts';
import { RunOwner, type OwnerDeps } from './owner.ts';

export type RunDeps = EmbeddedDeps &
  HttpDeps &
  Pick<OwnerDeps, 'clock' | 'timer' | 'log' | 'freeze' | 'waits' | 'signals' | 'gates' | 'emit'>;

/** @param dependencies made once per object, from its bindings. */
export function runObject(dependencies: (env: Env) => RunDeps) {
  return class Run extends DurableObject<Env> implements RunRpc, RemoteRunRpc {
    readonly #owner: RunOwner;

    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env);
      const deps = dependencies(env);
      this.#owner = new RunOwner({
        ...deps,
        journal: new Journal(ctx.storage),
        caller: (run) => callerOf(run, deps),
        report: (ending) => report(env, ending),
        abort: (reason) => ctx.abort(reason),
      });
    }

    start(request: RunStart) {
      return this.#owner.start(request);
    }

    cancel() {
      return this.#owner.cancel();
    }

    hold(hold: Hold) {
      return this.#owner.hold(hold);
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

    checkpoint(name: string, checkpoint: Checkpoint) {
      return this.#owner.checkpoint(name, checkpoint);
    }

    snapshot(name: string) {
      return this.#owner.snapshot(name);
    }

    grant(granted: Granted) {
      return this.#owner.grant(granted);
    }

    purge() {
      return this.#owner.purge();
    }

    override alarm() {
      return this.#owner.alarm();
    }
  };
}

async function report({ RUNS }: Env, ending: RunEnding): Promise<void> {
  const fits = utf8Length(JSON.stringify(ending)) <= limits.messageBytes;
  await RUNS.send(fits ? { runs: [ending] } : { ids: [ending.summary.runId] });
}

/** Where the run's code is is known once it has started. */
function callerOf(run: RunHandle, deps: RunDeps): Caller {
  let chosen: EmbeddedCaller | HttpCaller | undefined;
  const caller = () =>
    (chosen ??=
      run.state?.config.remote === true ? new HttpCaller(run, deps) : new EmbeddedCaller(run, deps));
  const remote = () => {
    const one = caller();
    return one instanceof HttpCaller ? one : null;
  };
  return {
    call: (call) => caller().call(call),
    stop: () => caller().stop(),
    checkpoint: (checkpoint) => remote()?.checkpoint(checkpoint) ?? { is: 'stale' },
    snapshot: async () => remote()?.snapshot() ?? { events: '[]', steps: '{}' },
  };
}

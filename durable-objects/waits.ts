/** One object per environment and event name: puts a `WaitsOwner` on the platform's storage and alarm. */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../src/env.ts';
import type { StoredEvent } from '../src/protocol/event.ts';
import type { WaitsRpc } from '../src/protocol/rpc.ts';
import type { Wait } from '../src/protocol/wait.ts';
import { objectStorage } from './storage.ts';
import { WaitsOwner, type WaitsDeps } from './waits-owner.ts';

/** @param dependencies made once per object, from its bindings. */
export function waitsObject(dependencies: (env: Env) => Omit<WaitsDeps, 'storage' | 'abort'>) {
  return class Waits extends DurableObject<Env> implements WaitsRpc {
    readonly #owner: WaitsOwner;

    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env);
      this.#owner = new WaitsOwner({
        ...dependencies(env),
        storage: objectStorage(ctx.storage),
        abort: (reason) => ctx.abort(reason),
      });
    }

    listen(waits: Wait[]) {
      return this.#owner.listen(waits);
    }

    deliver(events: StoredEvent[]) {
      return this.#owner.deliver(events);
    }

    expire(runId: string, key: string) {
      return this.#owner.expire(runId, key);
    }

    drop(runId: string, keys: string[]) {
      return this.#owner.drop(runId, keys);
    }

    override alarm() {
      return this.#owner.alarm();
    }
  };
}

/** One object per environment and signal: puts a `SignalsOwner` on the platform's storage and alarm. */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../src/env.ts';
import type { SignalsRpc } from '../src/protocol/rpc.ts';
import type { SentSignal, SignalWait } from '../src/protocol/signal.ts';
import { SignalsOwner, type SignalsDeps } from './signals-owner.ts';
import { objectStorage } from './storage.ts';

/** @param dependencies made once per object, from its bindings. */
export function signalsObject(dependencies: (env: Env) => Omit<SignalsDeps, 'storage' | 'erase' | 'abort'>) {
  return class Signals extends DurableObject<Env> implements SignalsRpc {
    readonly #owner: SignalsOwner;

    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env);
      this.#owner = new SignalsOwner({
        ...dependencies(env),
        storage: objectStorage(ctx.storage),
        erase: () => ctx.storage.deleteAll(),
        abort: (reason) => ctx.abort(reason),
      });
    }

    listen(wait: SignalWait) {
      return this.#owner.listen(wait);
    }

    send(sent: SentSignal) {
      return this.#owner.send(sent);
    }

    expire(runId: string, key: string) {
      return this.#owner.expire(runId, key);
    }

    drop(runId: string, key: string) {
      return this.#owner.drop(runId, key);
    }

    override alarm() {
      return this.#owner.alarm();
    }
  };
}

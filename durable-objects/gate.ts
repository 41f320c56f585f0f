/** One object per part of a function's keys: puts a `GateOwner` on the platform's storage and alarm. */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../src/env.ts';
import type { Collectable, Collecting, Entrant, GateOf } from '../src/protocol/gate.ts';
import type { GateRpc } from '../src/protocol/rpc.ts';
import type { LimitChange, LimitChoice, SlotAsk, SlotClaim } from '../src/protocol/slot.ts';
import { GateOwner, type GateDeps } from './gate-owner.ts';
import { objectStorage } from './storage.ts';

/** @param dependencies made once per object, from its bindings. */
export function gateObject(dependencies: (env: Env) => Omit<GateDeps, 'storage' | 'abort'>) {
  return class Gate extends DurableObject<Env> implements GateRpc {
    readonly #owner: GateOwner;

    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env);
      this.#owner = new GateOwner({
        ...dependencies(env),
        storage: objectStorage(ctx.storage),
        abort: (reason) => ctx.abort(reason),
      });
    }

    acquire(ask: SlotAsk) {
      return this.#owner.acquire(ask);
    }

    release(claim: SlotClaim) {
      return this.#owner.release(claim);
    }

    collect(of: GateOf, policy: Collecting, events: Collectable[]) {
      return this.#owner.collect(of, policy, events);
    }

    rate(space: number, entrants: Entrant[]) {
      return this.#owner.rate(space, entrants);
    }

    single(mode: 'skip' | 'cancel', entrants: Entrant[]) {
      return this.#owner.single(mode, entrants);
    }

    look(claim: SlotClaim) {
      return this.#owner.look(claim);
    }

    lines() {
      return this.#owner.lines();
    }

    change(choice: LimitChoice, to: LimitChange | null) {
      return this.#owner.change(choice, to);
    }

    override alarm() {
      return this.#owner.alarm();
    }
  };
}

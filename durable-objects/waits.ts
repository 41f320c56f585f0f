/** One object per environment and event name: puts a `WaitsOwner` on the platform's storage and alarm. */
import { DurableObject } from 'cloudflare:workers';
import type { Env } from '../src/env.ts';
import type { StoredEvent } from '../src/protocol/event.ts';
import type { WaitsRpc } from '../src/protocol/rpc.ts';
import type { Wait } from '../src/protocol/wait.ts';
import { WaitsOwner, type WaitsDeps } from './waits-owner.ts';
import type { WaitsStorage } from './waits-rows.ts';

/** @param dependencies made once per object, from its bindings. */
export function waitsObject(dependencies: (env: Env) => Omit<WaitsDeps, 'storage' | 'abort'>) {
  return class Waits extends DurableObject<Env> implements WaitsRpc {
    readonly #owner: WaitsOwner;

    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env);
      this.#owner = new WaitsOwner({
        ...dependencies(env),
        storage: waitsStorage(ctx.storage),
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

function waitsStorage(storage: DurableObjectStorage): WaitsStorage {
  return {
    read: <Row>(query: string, ...values: (string | number | null)[]) =>
      storage.sql.exec(query, ...values) as Iterable<unknown> as Iterable<Row>,
    write: (statement, ...values) => void storage.sql.exec(statement, ...values),
    transact: (work) => storage.transactionSync(work),
    alarm: () => storage.getAlarm(),
    // Not awaited: the write is part of the turn's transaction.
    setAlarm: (at) => void storage.setAlarm(at),
  };
}

/** One object per environment: puts a `CronOwner` on the platform's storage and alarm. */
import { DurableObject } from 'cloudflare:workers';
import { systemClock } from '../src/clock.ts';
import type { Env } from '../src/env.ts';
import { consoleLog } from '../src/log.ts';
import { MINUTE } from '../src/lib/time.ts';
import type { CronRpc } from '../src/protocol/rpc.ts';
import { CronOwner, type CronDeps } from './cron-owner.ts';
import { objectStorage } from './storage.ts';

/** @param dependencies made at the first call, and not before: with bad settings the object must still be able to set its alarm. */
export function cronObject(dependencies: (env: Env) => Omit<CronDeps, 'storage'>) {
  return class Cron extends DurableObject<Env> implements CronRpc {
    #made: CronOwner | undefined;

    async sync(name: string) {
      await this.#owner().sync(name);
    }

    async skipped() {
      return this.#owner().skipped();
    }

    /** Never throws: see `CronOwner.alarm`. */
    override async alarm() {
      try {
        await this.#owner().alarm();
      } catch (error) {
        consoleLog.error('cron: an alarm failed', { error });
        await this.ctx.storage.setAlarm(systemClock.now() + MINUTE);
      }
    }

    #owner(): CronOwner {
      return (this.#made ??= new CronOwner({
        ...dependencies(this.env),
        storage: objectStorage(this.ctx.storage),
      }));
    }
  };
}

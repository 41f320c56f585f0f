/**
 * The one object that sweeps: owns its alarm, and the count of what sweeps had to put right. Once armed it stays armed for ever: every alarm sets the next one before
 * it begins, so that a crash in the middle of a sweep costs ten seconds and not the sweeps to come.
 */
import { DurableObject } from 'cloudflare:workers';
import { sweep, type Resent, type SweepDeps } from '../src/dispatch/sweep.ts';
import type { Env } from '../src/env.ts';
import { SECOND } from '../src/lib/time.ts';
import type { Repairs, SweeperRpc } from '../src/protocol/rpc.ts';
import { systemClock } from '../src/clock.ts';
import { consoleLog } from '../src/log.ts';

const SOON = 5 * SECOND;
const AFTER_TROUBLE = 10 * SECOND;

const REPAIRS = 'repairs';
const NONE: Repairs = { alarms: 0, asks: 0, reports: 0, events: 0 };

/** @param dependencies made at each sweep: bad settings are met again, and put right, without a restart. */
export function sweeperObject(dependencies: (env: Env) => Omit<SweepDeps, 'resent' | 'repaired'>) {
  return class Sweeper extends DurableObject<Env> implements SweeperRpc {
    readonly #resent: Resent = new Map();

    /** Soon, not only some time: who arms has just started, and what stopped before it may have left work behind. */
    async arm(): Promise<void> {
      const alarm = await this.ctx.storage.getAlarm();
      if (alarm === null || alarm > systemClock.now() + SOON) await this.#next(SOON);
    }

    async repairs(): Promise<Repairs> {
      return { ...NONE, ...(await this.ctx.storage.get<Partial<Repairs>>(REPAIRS)) };
    }

    /** Never throws: the platform gives an alarm up after six throws. */
    override async alarm(): Promise<void> {
      try {
        await this.#next(AFTER_TROUBLE);
        const found = { ...NONE };
        const repaired = (what: keyof Repairs) => void found[what]++;
        const { nextIn } = await sweep({ ...dependencies(this.env), resent: this.#resent, repaired });
        await this.#count(found);
        await this.#next(nextIn);
      } catch (error) {
        consoleLog.error('sweeper: a sweep failed', { error });
      }
    }

    /** A sweep that is lost half-way has put right what is not counted. */
    async #count(found: Repairs): Promise<void> {
      if (Object.values(found).every((count) => count === 0)) return;
      const before = await this.repairs();
      const kinds = Object.keys(NONE) as (keyof Repairs)[];
      const sums = kinds.map((kind) => [kind, before[kind] + found[kind]]);
      await this.ctx.storage.put(REPAIRS, Object.fromEntries(sums));
      consoleLog.error('sweeper: what had stood still was put right', { ...found });
    }

    async #next(delay: number): Promise<void> {
      await this.ctx.storage.setAlarm(systemClock.now() + delay);
    }
  };
}

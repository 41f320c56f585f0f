/** Flow control: a gate with a long line whose runs take what they are told at once, and tenants that share a function. */
import { gateObject } from '../../durable-objects/gate.ts';
import { systemClock } from '../../src/clock.ts';
import type { Env } from '../../src/env.ts';
import { consoleLog } from '../../src/log.ts';
import { functionConfig } from '../../src/protocol/function.ts';
import type { SlotAsk } from '../../src/protocol/slot.ts';
import { countedContext } from './count.ts';
import { registryOf } from '../fakes/registry.ts';

const ONE_AT_A_TIME = functionConfig.parse({
  id: 'bench-line',
  name: 'line',
  triggers: [{ event: 'bench/line' }],
  concurrency: 1,
});

const BareGate = gateObject(() => ({
  clock: systemClock,
  log: consoleLog,
  functions: registryOf(() => [ONE_AT_A_TIME]),
  config: { throttleMode: 'smooth' },
  runs: { grant: async () => 'taken' },
  launch: async () => undefined,
  holders: { isActive: async () => false, cancel: async () => 'unknown' },
}));

/** The n-th of a line, in its order. */
export function claim(n: number): SlotAsk {
  const runId = `R${String(n).padStart(9, '0')}`;
  const limit = { policy: 'concurrency', scope: 'fn', n: 0, key: '' } as const;
  const who = { env: 'bench', functionId: 'bench-line', runId, eventId: runId };
  return { ...who, limit, score: 0, turn: 1, wait: true };
}

export class LineGate extends BareGate {
  constructor(ctx: DurableObjectState, env: Env) {
    super(countedContext(ctx), env);
  }

  /** Those of these numbers ask, one after the other. */
  async fill(from: number, to: number): Promise<void> {
    for (let n = from; n < to; n++) await this.acquire(claim(n));
  }
}

/**
 * The Worker of the bench: the engine as it is deployed, with the bench's functions, and the floors and Workflows beside it. The
 * measuring loops run in here (measure.ts), because the development server's proxy takes longer than most of what they measure.
 */
import { durableObjects } from '../../durable-objects/index.ts';
import { createWorker } from '../../src/engine.ts';
import type { RunStart } from '../../src/protocol/run.ts';
import type { Granted, SlotAsk, SlotClaim } from '../../src/protocol/slot.ts';
import { count, countDeliveries, countedContext, countedEnv } from './count.ts';
import type { BenchEnv } from './env.ts';
import { arrive } from './floors.ts';
import { apps } from './functions.ts';
import { measures, type Measures } from './measure.ts';

const objects = durableObjects({ apps });
const engine = createWorker({ apps });

export { LineGate } from './flow.ts';
export { Floor } from './floors.ts';
export { BenchWorkflow } from './workflow.ts';
export const { Sweeper, Cron, Waits, Signals } = objects;

export class Run extends objects.Run {
  constructor(ctx: DurableObjectState, env: BenchEnv) {
    super(countedContext(ctx), countedEnv(env));
  }

  override start(request: RunStart) {
    count('objectRequests');
    return super.start(request);
  }

  override grant(granted: Granted) {
    count('objectRequests');
    return super.grant(granted);
  }

  override alarm() {
    count('objectRequests');
    return super.alarm();
  }
}

export class Gate extends objects.Gate {
  constructor(ctx: DurableObjectState, env: BenchEnv) {
    super(countedContext(ctx), countedEnv(env));
  }

  override acquire(ask: SlotAsk) {
    count('objectRequests');
    return super.acquire(ask);
  }

  override release(claim: SlotClaim) {
    count('objectRequests');
    return super.release(claim);
  }

  override alarm() {
    count('objectRequests');
    return super.alarm();
  }
}

export default {
  async fetch(request: Request, env: BenchEnv, ctx: ExecutionContext): Promise<Response> {
    const { pathname } = new URL(request.url);
    const send = async (events: object[]) => {
      count('requests');
      const body = JSON.stringify(events);
      const response = await engine.fetch(
        new Request('http://bench/e/key', { method: 'POST', body }),
        countedEnv(env),
        ctx,
      );
      if (response.status !== 200)
        throw new Error(`intake answered ${response.status}: ${await response.text()}`);
    };
    const measure: ((to: typeof send, args: never) => Promise<unknown>) | undefined =
      measures[pathname.slice(1) as keyof Measures];
    if (measure === undefined) return new Response('ready');
    try {
      return Response.json(await measure(send, await request.json<never>()));
    } catch (error) {
      return new Response(error instanceof Error ? error.stack : String(error), { status: 500 });
    }
  },

  async queue(batch: MessageBatch, env: BenchEnv): Promise<void> {
    if (batch.queue === 'floor') return arrive(batch);
    countDeliveries(batch);
    await engine.queue(batch, countedEnv(env));
  },
};

/** The same work on Cloudflare Workflows. */
import { WorkflowEntrypoint, type WorkflowEvent, type WorkflowStep } from 'cloudflare:workers';
import type { BenchEnv } from './env.ts';
import { work, type Work } from './work.ts';

export class BenchWorkflow extends WorkflowEntrypoint<BenchEnv, Work> {
  override run(event: Readonly<WorkflowEvent<Work>>, step: WorkflowStep): Promise<number> {
    return work(event.payload, (id, callback) =>
      step.do(id, async () => {
        await callback();
        return { ok: true };
      }),
    );
  }
}

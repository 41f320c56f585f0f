/** The consumer of RUNS: writes the summaries of runs that ended to the index. */
import { runsMessage } from '../protocol/message.ts';
import type { RunSummary } from '../protocol/run.ts';
import type { Store } from '../ports.ts';
import { bury, type DeliveryDeps, giveBack, issueText, type Message } from './delivery.ts';

export interface RunsDeps extends DeliveryDeps {
  store: Pick<Store, 'closeRuns'>;
}

/** One batch for all; a summary that is lost all the same is fetched by a sweep. */
export async function consumeRuns(messages: readonly Message[], deps: RunsDeps): Promise<void> {
  const good: Message[] = [];
  const summaries: RunSummary[] = [];
  const bad: Promise<void>[] = [];
  for (const message of messages) {
    const parsed = runsMessage.safeParse(message.body);
    if (parsed.success) {
      good.push(message);
      summaries.push(...parsed.data.runs);
    } else
      bad.push(bury(deps, message, { queue: 'runs', reason: issueText(parsed.error), body: message.body }));
  }
  const closed = await close(deps, summaries);
  for (const message of good) {
    if (closed) message.ack();
    else giveBack(message);
  }
  await Promise.all(bad);
}

async function close(deps: RunsDeps, summaries: RunSummary[]): Promise<boolean> {
  if (summaries.length === 0) return true;
  try {
    await deps.store.closeRuns(summaries);
    return true;
  } catch (error) {
    deps.log.error('dispatch: summaries of runs were not written', { runs: summaries.length, error });
    return false;
  }
}

/**
 * The consumer of RUNS: what follows from the end of runs that went on for a while. Whoever invoked the run is told; then its row in the
 * index is closed and the events about its end are stored, in one batch: as long as the row is open a sweep asks the run again, so
 * nothing of this is lost.
 */
import { runsMessage } from '../protocol/message.ts';
import type { RunEnding } from '../protocol/run.ts';
import type { Runs } from '../ports.ts';
import { carryOut, type CarryDeps, settleEnds, tellParents } from './carry-out.ts';
import { bury, type DeliveryDeps, giveBack, issueText, type Message } from './delivery.ts';
import { inPool } from './pool.ts';

export type RunsDeps = CarryDeps & DeliveryDeps & { runs: Pick<Runs, 'check'> };

const AT_ONCE = 24;

/** One batch for all. */
export async function consumeRuns(messages: readonly Message[], deps: RunsDeps): Promise<void> {
  const good: Message[] = [];
  const endings: RunEnding[] = [];
  const ids: string[] = [];
  const bad: Promise<void>[] = [];
  for (const message of messages) {
    const parsed = runsMessage.safeParse(message.body);
    if (parsed.success) {
      good.push(message);
      endings.push(...parsed.data.runs);
      ids.push(...parsed.data.ids);
    } else
      bad.push(bury(deps, message, { queue: 'runs', reason: issueText(parsed.error), body: message.body }));
  }
  const closed = await close(deps, endings, ids);
  for (const message of good) {
    if (closed) message.ack();
    else giveBack(message);
  }
  await Promise.all(bad);
}

async function close(deps: RunsDeps, endings: RunEnding[], ids: string[]): Promise<boolean> {
  try {
    for (const check of await inPool(ids, AT_ONCE, (runId) => deps.runs.check(runId))) {
      if (check.state === 'ended') endings.push(check.ending);
    }
    await concludeRuns(deps, endings);
    return true;
  } catch (error) {
    deps.log.error('dispatch: the ends of runs were not concluded', { runs: endings.length, error });
    return false;
  }
}

/** Every part may be repeated. Rejects when a part was not done; then those rows stay open. */
export async function concludeRuns(deps: CarryDeps, endings: RunEnding[]): Promise<void> {
  if (endings.length === 0) return;
  const told = await tellParents(deps, endings);
  const { plans, admitted } = await settleEnds(deps, told);
  // What of these fails is stored, and found by a sweep.
  await carryOut(deps, plans, admitted, AT_ONCE, new Map());
  if (told.length < endings.length) throw new Error('not everyone was told of the end of a run');
}

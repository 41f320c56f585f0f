/**
 * The consumer of RUNS: what follows from the end of runs. Whoever invoked the run is told, its end is announced by events, and last
 * its row in the index is closed: as long as that is open a sweep asks the run again, so nothing of this is lost.
 */
import { runsMessage } from '../protocol/message.ts';
import type { RunEnding } from '../protocol/run.ts';
import type { Runs, Store } from '../ports.ts';
import { bury, type DeliveryDeps, giveBack, issueText, type Message } from './delivery.ts';
import { inPool } from './pool.ts';
import { dispatchWave, type WaveDeps } from './wave.ts';

export type EndingDeps = WaveDeps & { runs: Pick<Runs, 'answer'>; store: Store };
export type RunsDeps = EndingDeps & DeliveryDeps & { runs: Pick<Runs, 'check'> };

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

/** Every part may be repeated. Rejects when a part was not done; then the rows stay open. */
export async function concludeRuns(deps: EndingDeps, endings: RunEnding[]): Promise<void> {
  if (endings.length === 0) return;
  await inPool(
    endings.flatMap((ending) => ending.parent ?? []),
    AT_ONCE,
    ({ to, answer }) => deps.runs.answer(to.runId, to.key, answer),
  );
  const events = endings.flatMap((ending) => ending.events);
  if (events.length > 0) {
    const outcomes = await dispatchWave(deps, events, AT_ONCE);
    // What is only not dispatched is stored, and found by a sweep.
    if ([...outcomes.values()].some((outcome) => outcome.is === 'store'))
      throw new Error('the store did not take the events');
  }
  await deps.store.closeRuns(endings.map((ending) => ending.summary));
}

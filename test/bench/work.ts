/**
 * The work that every side does, written once against "run this callback as a step", and what user code sees of its own progress:
 * one isolate holds the Worker, its objects and its workflows, so a variable here is seen by all of them.
 */
import { bindings } from './env.ts';

/** What a step's callback waits for: nothing, a timer, another object's answer, which no unsaved write may precede, or that it is let go. */
export type Turn = 'none' | 'timer' | 'call' | 'held';

export type Work = {
  key: string;
  steps: number;
  turn: Turn;
  parallel?: boolean;
};

export interface Progress {
  /** When the first line of user code ran. */
  entered: number;
  /** When the handler had each step's result (sequential work only). */
  stamps: number[];
  /** When its last line ran. */
  ended: number;
  /** Of the engine's run. */
  runId: string;
}

export const progress = new Map<string, Progress>();

/** Runs whose last line has been reached, sleepers left out. */
export const totals = { entered: 0, ended: 0 };

export async function work(
  { key, steps, turn, parallel = false }: Work,
  step: (id: string, callback: () => Promise<unknown>) => Promise<unknown>,
  runId = '',
): Promise<number> {
  const seen: Progress = { entered: performance.now(), stamps: [], ended: 0, runId };
  totals.entered++;
  const callback = () => turns[turn]();
  if (parallel) await Promise.all(Array.from({ length: steps }, (_, i) => step(`step ${i}`, callback)));
  else {
    for (let i = 0; i < steps; i++) {
      await step(`step ${i}`, callback);
      seen.stamps.push(performance.now());
    }
  }
  seen.ended = performance.now();
  progress.set(key, seen);
  totals.ended++;
  return steps;
}

/** Steps of the turn `held` go on when this is false. */
export const hold = { isOn: false };

const turns: Record<Turn, () => Promise<unknown>> = {
  none: async () => ({ ok: true }),
  timer: async () => {
    await scheduler.wait(0);
    return { ok: true };
  },
  held: async () => {
    while (hold.isOn) await scheduler.wait(5);
  },
  call: async () => {
    await bindings.FLOOR.getByName('answers').answer();
    return { ok: true };
  },
};

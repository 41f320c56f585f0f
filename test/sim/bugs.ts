/** Faults of the engine, put in on purpose through its ports, to prove that the simulator finds them. */
import type { Store } from '../../src/ports.ts';
import { apply } from '../../src/run/apply.ts';
import { currentAttempt } from '../../src/run/state.ts';
import type { ObjectDeps } from './objects.ts';

export interface Bug {
  store?: Partial<Store>;
  objects?: Partial<Pick<ObjectDeps, 'report' | 'apply' | 'forgetsAlarm'>>;
}

export const NO_BUG: Bug = {};

export const bugs = {
  /** The outbox entry of a run that ended is dropped, and the sweep does not look for such runs. */
  'report lost': {
    store: { runsToCheck: async () => [] },
    objects: { report: async () => undefined },
  },
  /** Rows are written and the alarm is not. */
  'alarm forgotten': {
    objects: { forgetsAlarm: ({ rows }) => rows.table.size > 3 },
  },
  /** However seldom an event has failed, it is given up. */
  'first failure taken for the last': {
    store: { countFailure: async (ids) => new Map(ids.map((id) => [id, 1_000])) },
  },
  /** Late answers are taken for current ones. */
  'fence missing': {
    objects: {
      apply: (state, input, now) => {
        if (state === null) return apply(state, input, now);
        if (input.type === 'reported') {
          const attempt = currentAttempt(state, input.op.id) ?? input.op.attempt;
          return apply(state, { ...input, op: { ...input.op, attempt } }, now);
        }
        return 'entry' in input
          ? apply(state, { ...input, entry: state.run.entry }, now)
          : apply(state, input, now);
      },
    },
  },
} satisfies Record<string, Bug>;

/** The step tools at run time: what each asks of the execution (ST group of the SDK specification). */
import { parseDuration } from '../lib/duration.ts';
import { executionContext } from './context.ts';
import type { Execution, StepId } from './execution.ts';
import { outgoingEvents } from './outgoing.ts';

/** Anything with an instant in it, as the Temporal proposal has it. */
interface Instant {
  epochMilliseconds: number;
}

/** A length of time, as the Temporal proposal has it. */
interface TemporalDuration {
  total(unit: 'milliseconds'): number;
}

export function stepTools(execution: Execution) {
  return {
    run: (id: StepId, callback: (...input: unknown[]) => unknown, ...input: unknown[]) =>
      execution.step(id, { op: 'StepRun' }, () => callback(...input)),

    sleep: async (id: StepId, time: number | string | TemporalDuration) => {
      await execution.step(id, { op: 'Sleep', until: { in: milliseconds(time) } }, null);
    },

    sleepUntil: async (id: StepId, time: string | Date | Instant) => {
      await execution.step(id, { op: 'Sleep', until: { at: instant(time) } }, null);
    },

    /** A step that sends: its ids come from run and step, so a repeated attempt sends the same events again (SV-3). */
    sendEvent: (id: StepId, payload: unknown) =>
      execution.step(id, { op: 'StepRun', sends: true }, () =>
        executionContext.getStore()?.send(outgoingEvents(payload)),
      ),
  };
}

function milliseconds(time: number | string | TemporalDuration): number {
  const ms =
    typeof time === 'number'
      ? time
      : typeof time === 'string'
        ? parseDuration(time)
        : time.total('milliseconds');
  if (ms === null || !Number.isFinite(ms))
    throw new TypeError('step.sleep: expected milliseconds or a text such as "30m"');
  return ms;
}

function instant(time: string | Date | Instant): number {
  const ms =
    typeof time === 'string'
      ? Date.parse(time)
      : time instanceof Date
        ? time.getTime()
        : time?.epochMilliseconds;
  if (typeof ms !== 'number' || !Number.isFinite(ms)) {
    throw new TypeError('step.sleepUntil: expected a Date or a date text such as "2027-01-01T00:00:00Z"');
  }
  return ms;
}

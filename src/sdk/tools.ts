/** The step tools at run time: what each asks of the execution (ST group of the SDK specification). */
import { isObject } from '../lib/json.ts';
import { executionContext } from './context.ts';
import type { Execution, ReachedStep, StepId } from './execution.ts';
import { readInvocation, type InvocationPayload, type Invoker } from './invoke.ts';
import { expressionOf } from './match.ts';
import { outgoingEvents, toJson } from './outgoing.ts';
import { requestTools } from './requests.ts';
import { after, type Soon } from './soon.ts';
import { type Duration, instant, milliseconds, type Moment, type Timeout, when } from './times.ts';

/** The function whose handler the tools are for. */
export interface ToolOwner extends Invoker {
  send(payload: unknown): Promise<unknown>;
  /** What is to be sent in place of the payload; a promise only where middleware has a say in it. */
  invoking(payload: InvocationPayload): Soon<InvocationPayload>;
}

const nobody: ToolOwner = {
  appId: null,
  warnOnce: () => {},
  send: async (payload) => executionContext.getStore()?.send(outgoingEvents(payload)),
  invoking: (payload) => payload,
};

export function stepTools(execution: Execution, owner: ToolOwner = nobody) {
  return {
    run: (id: StepId, callback: (...input: unknown[]) => unknown, ...input: unknown[]) =>
      execution.step(id, { op: 'StepRun' }, () => callback(...input)),

    sleep: async (id: StepId, time: Duration) => {
      await execution.step(id, { op: 'Sleep', until: { in: milliseconds(time, 'step.sleep') } }, null);
    },

    sleepUntil: async (id: StepId, time: Moment) => {
      await execution.step(id, { op: 'Sleep', until: { at: instant(time, 'step.sleepUntil') } }, null);
    },

    waitForEvent: async (id: StepId, options: WaitOptions) => execution.step(id, waitOf(options), null),

    waitForAny: async (id: StepId, options: WaitsOptions) => {
      const [first, ...more] = waitsOf(options, 'step.waitForAny');
      const or = more.map(({ event, expression }) => ({ event, expression }));
      return execution.step(id, or.length === 0 ? first : { ...first, or }, null);
    },

    /** A step for each event. Their deadline is the same, so that when one is out of time none is left waiting. */
    waitForAll: async (id: StepId, options: WaitsOptions) => {
      const { id: base, name = base } = typeof id === 'string' ? { id } : id;
      const steps = waitsOf(options, 'step.waitForAll').map((kind, n) =>
        execution.step({ id: `${base}.${n}`, name: `${name}: ${kind.event}` }, kind, null),
      );
      const events = await Promise.all(steps);
      return events.includes(null) ? null : events;
    },

    waitForSignal: async (id: StepId, options: SignalOptions) => execution.step(id, signalOf(options), null),

    sendSignal: async (id: StepId, options: { signal: string; data?: unknown }) => {
      if (!isObject(options) || !isName(options.signal))
        throw new TypeError('step.sendSignal: expected { signal, data }');
      const { signal, data = null } = options;
      return execution.step(id, { op: 'StepRun', tool: 'step.sendSignal' }, () =>
        executionContext.getStore()?.sendSignal(JSON.parse(toJson({ signal, data })) as typeof options),
      );
    },

    invoke: async (id: StepId, options: unknown) => {
      const { payload, ...target } = readInvocation(options, owner);
      return execution.step(
        id,
        () =>
          after(owner.invoking(payload), (sent) => ({
            op: 'InvokeFunction',
            ...target,
            payload: toJson(sent),
          })),
        null,
      );
    },

    /** A step that sends: its ids come from run and step, so a repeated attempt sends the same events again (SV-3). */
    sendEvent: (id: StepId, payload: unknown) =>
      execution.step(id, { op: 'StepRun', tool: 'step.sendEvent', sends: true }, () => owner.send(payload)),

    ...requestTools(execution),
  };
}

interface WaitOptions {
  event: string;
  timeout: Timeout;
  match?: string | undefined;
  if?: string | undefined;
  /** `'run'`, or a length of time. */
  lookBack?: Duration | undefined;
}

type EventWait = Extract<ReachedStep['kind'], { op: 'WaitForEvent' }>;

/** ST-16, WE-1. */
function waitOf(options: WaitOptions, tool = 'step.waitForEvent'): EventWait {
  if (!isObject(options) || typeof options.event !== 'string' || options.timeout == null)
    throw new TypeError(`${tool}: expected { event, timeout }`);
  const { event, timeout, lookBack = 'run' } = options;
  return {
    op: 'WaitForEvent',
    event,
    expression: expressionOf(options),
    timeout: when(timeout, `${tool}: timeout`),
    lookBack: lookBack === 'run' ? 'run' : milliseconds(lookBack, `${tool}: lookBack`),
  };
}

/** Several events for one deadline. */
interface WaitsOptions extends Pick<WaitOptions, 'timeout' | 'lookBack'> {
  events: readonly Omit<WaitOptions, 'timeout' | 'lookBack'>[];
}

function waitsOf(options: WaitsOptions, tool: string): [EventWait, ...EventWait[]] {
  const { events, ...common } = isObject(options) ? options : ({} as WaitsOptions);
  const [first, ...more] = Array.isArray(events)
    ? events.map((one) => waitOf({ ...one, ...common }, tool))
    : [];
  if (first === undefined) throw new TypeError(`${tool}: expected { events: [{ event }, ...], timeout }`);
  return [first, ...more];
}

interface SignalOptions {
  signal: string;
  timeout: Timeout;
  onConflict?: 'fail' | 'replace' | undefined;
}

/** ST-29, WS-1. */
function signalOf(options: SignalOptions): Extract<ReachedStep['kind'], { op: 'WaitForSignal' }> {
  if (!isObject(options) || !isName(options.signal) || options.timeout == null)
    throw new TypeError('step.waitForSignal: expected { signal, timeout }');
  const { signal, timeout, onConflict = 'fail' } = options;
  if (onConflict !== 'fail' && onConflict !== 'replace')
    throw new TypeError('step.waitForSignal: onConflict: expected "fail" or "replace"');
  return {
    op: 'WaitForSignal',
    signal,
    timeout: when(timeout, 'step.waitForSignal: timeout'),
    conflict: onConflict,
  };
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

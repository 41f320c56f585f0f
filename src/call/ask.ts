/** What a run asks of others, in their words: derived from its stored state, so that asking twice is asking once. */
import { compile } from '../expr/expression.ts';
import { bind, compileWait } from '../expr/wait.ts';
import { hashUlid } from '../lib/hash.ts';
import type { JsonObject } from '../lib/json.ts';
import type { SerializedError } from '../protocol/error.ts';
import { eventView, INVOKED, type StoredEvent } from '../protocol/event.ts';
import type { WaitForEvent } from '../protocol/op.ts';
import type { Wait } from '../protocol/wait.ts';
import type { EventCondition } from '../protocol/op.ts';
import type { SignalWait } from '../protocol/signal.ts';
import { askingStep, askKeys, type RunConfig, type RunState, type WaitingStep } from '../run/state.ts';

/** The wait of a step or of a `cancelOn`, by its key; null when there is none. */
export function waitOf(state: RunState, events: StoredEvent[], key: string): Wait | null {
  return key.startsWith('cancel:') ? cancelWait(state, events, key) : eventWait(state, events, key);
}

function cancelWait({ config }: RunState, events: StoredEvent[], key: string): Wait | null {
  const cancel = config.cancelOn[Number(key.slice('cancel:'.length))];
  if (cancel === undefined) return null;
  // CX-13: the run may begin long after the event that started it came.
  return {
    ...baseOf(config, events, key, cancel),
    except: config.eventIds,
    kind: 'cancel',
    since: began(config, events),
    until: cancel.until,
  };
}

/** Why the wait could never be answered; null when it can. */
export function waitProblem(op: WaitForEvent): SerializedError | null {
  const wrong = [op, ...(op.or ?? [])]
    .map(({ expression }) => (expression === null ? null : compileWait(expression)))
    .find((compiled) => compiled?.ok === false);
  if (wrong?.ok !== false) return null;
  const { message, position } = wrong.error;
  const text = `step "${op.name}": ${message} at ${position.line}:${position.column}`;
  return { name: 'InvalidExpression', message: text };
}

function eventWait(state: RunState, events: StoredEvent[], key: string): Wait | null {
  const { config } = state;
  const step = askingStep(state, key);
  if (step?.state !== 'waiting' || step.ask?.for !== 'event') return null;
  const { ask, due } = step;
  const condition = [ask, ...(ask.or ?? [])][askKeys(step.id, ask).indexOf(key)];
  if (condition === undefined) return null;
  const since = ask.since ?? began(config, events);
  return {
    ...baseOf(config, events, key, condition),
    // A loop of waits that look back gets every event, and each once.
    except: [...config.eventIds, ...gotBefore(state.steps, ask.after)],
    kind: 'resume',
    since,
    until: due,
  };
}

function baseOf(
  { env, runId }: RunConfig,
  events: StoredEvent[],
  key: string,
  { event, expression }: EventCondition,
) {
  return { env, runId, key, event, expression, given: given(expression, events) };
}

/** Those of waits that were over before this one began: waits side by side get the same event (WE-11). */
function gotBefore(steps: RunState['steps'], after: number): string[] {
  return [...steps.values()].flatMap((step) =>
    step.state === 'settled' && step.order < after && step.got !== undefined ? [step.got] : [],
  );
}

/** When the event that started the run was received. */
function began({ queuedAt }: RunConfig, [event]: StoredEvent[]): number {
  return event?.receivedAt ?? queuedAt;
}

/** The wait of a step for a signal; null when there is none. */
export function signalWaitOf({ config, steps }: RunState, key: string): SignalWait | null {
  const step = steps.get(key);
  if (step?.state !== 'waiting' || step.ask?.for !== 'signal') return null;
  const { signal, conflict } = step.ask;
  return { env: config.env, signal, runId: config.runId, key, until: step.due, conflict };
}

/** What the expression reads of the run's own event; nothing else of it leaves the run. */
function given(expression: string | null, events: StoredEvent[]): JsonObject {
  const [event] = events;
  const compiled = expression === null ? null : compile(expression, { place: 'pair' });
  if (event === undefined || compiled?.ok !== true) return {};
  // As plain JSON: objects without a prototype cannot be sent to another object.
  return JSON.parse(JSON.stringify(bind(compiled.expression, eventView(event)).event)) as JsonObject;
}

/** The event that starts an invoked function (IV-7). Its ids come from run and step. @param payload JSON text of `{ data, user, v }`, `user` sealed. */
export function invocation(
  { config }: RunState,
  step: WaitingStep,
  functionId: string,
  payload: string,
): StoredEvent {
  const { data, user, v } = JSON.parse(payload) as { data?: JsonObject; user?: string; v?: string };
  return {
    internalId: hashUlid(step.startedAt, `${config.runId}:${step.id}:invoke`),
    env: config.env,
    name: INVOKED,
    data: data ?? {},
    ...(user === undefined ? {} : { user }),
    ...(v === undefined ? {} : { v }),
    ts: step.startedAt,
    receivedAt: step.startedAt,
    source: { kind: 'run', id: config.runId },
    target: { functionId, parent: { runId: config.runId, key: step.id } },
  };
}

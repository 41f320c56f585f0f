/** What a run asks of others, in their words: derived from its stored state, so that asking twice is asking once. */
import { compile } from '../expr/expression.ts';
import { bind } from '../expr/wait.ts';
import { hashUlid } from '../lib/hash.ts';
import type { JsonObject } from '../lib/json.ts';
import { eventView, type StoredEvent } from '../protocol/event.ts';
import type { Wait } from '../protocol/wait.ts';
import type { RunState, WaitingStep } from '../run/state.ts';

/** The wait of a step or of a `cancelOn`, by its key; null when there is none. */
export function waitOf({ config, steps }: RunState, events: StoredEvent[], key: string): Wait | null {
  const cancel = key.startsWith('cancel:') ? config.cancelOn[Number(key.slice('cancel:'.length))] : undefined;
  const step = steps.get(key);
  const ask = step?.state === 'waiting' && step.ask?.for === 'event' ? step.ask : undefined;
  const base = { env: config.env, runId: config.runId, key };
  if (cancel !== undefined) {
    const { event, expression, until } = cancel;
    return {
      ...base,
      except: config.eventIds,
      kind: 'cancel',
      event,
      expression,
      until,
      // CX-13: the run may begin long after the event that started it came.
      since: events[0]?.receivedAt ?? config.queuedAt,
      given: given(expression, events),
    };
  }
  if (ask === undefined || step?.state !== 'waiting') return null;
  const { event, expression, after } = ask;
  const since = ask.since ?? events[0]?.receivedAt ?? config.queuedAt;
  return {
    ...base,
    // A loop of waits that look back gets every event, and each once.
    except: [...config.eventIds, ...gotBefore(steps, after)],
    kind: 'resume',
    event,
    expression,
    since,
    until: step.due,
    given: given(expression, events),
  };
}

/** Those of waits that were over before this one began: waits side by side get the same event (WE-11). */
function gotBefore(steps: RunState['steps'], after: number): string[] {
  return [...steps.values()].flatMap((step) =>
    step.state === 'settled' && step.order < after && step.got !== undefined ? [step.got] : [],
  );
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
    name: 'inngest/function.invoked',
    data: data ?? {},
    ...(user === undefined ? {} : { user }),
    ...(v === undefined ? {} : { v }),
    ts: step.startedAt,
    receivedAt: step.startedAt,
    source: { kind: 'run', id: config.runId },
    target: { functionId, parent: { runId: config.runId, key: step.id } },
  };
}

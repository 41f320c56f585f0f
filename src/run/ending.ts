/**
 * What follows from the end of a run, derived from its stored state: asked for twice, it is the same, ids included. So nothing has
 * to be remembered between the end and the telling, and a crash neither loses nor doubles an event (SY-16).
 */
import { hashUlid } from '../lib/hash.ts';
import type { JsonObject, Json } from '../lib/json.ts';
import type { SerializedError } from '../protocol/error.ts';
import { CANCELLED, eventView, FAILED, failureChain, FINISHED, type StoredEvent } from '../protocol/event.ts';
import type { RunEnding, StepAnswer } from '../protocol/run.ts';
import type { RunState } from './state.ts';
import { runSummary } from './view.ts';

/** @param events what started the run. Null while it goes on. */
export function runEnding(state: RunState, output: string | null, events: StoredEvent[]): RunEnding | null {
  const summary = runSummary(state, output);
  const { end } = state.run;
  if (summary === null || end === null) return null;
  const { parent } = state.config;
  const answer = parent === null ? null : answerOf(state, end.status, output ?? 'null');
  return {
    summary,
    parent: parent === null || answer === null ? null : { to: parent, answer },
    events: endEvents(state, end, output ?? 'null', events),
  };
}

/** IV-14: the error of a child that failed is its own; the engine speaks for one that was cancelled (IV-17). */
function answerOf({ config }: RunState, status: string, output: string): StepAnswer {
  if (status === 'Completed') return { ok: true, data: output };
  if (status === 'Failed') return { ok: false, data: output };
  const message = `the invoked function "${config.functionId}" was cancelled, run ${config.runId}`;
  const error: SerializedError = { name: 'NonRetriableError', message, code: 'functionCancelled' };
  return { ok: false, data: JSON.stringify(error) };
}

/**
 * A run that was started by the end of another one does not announce its own, or two functions could keep each other going for ever:
 * none at all after `finished`, and after `failed` only its own failure, which names the functions that led to it (OF-13).
 */
function endEvents(
  state: RunState,
  end: { status: string; at: number },
  output: string,
  events: StoredEvent[],
): StoredEvent[] {
  const cause = events[0]?.name;
  if (cause === FINISHED) return [];
  const facts = factsOf(state, end.status, output, events);
  const own = end.status === 'Failed' ? [FAILED] : end.status === 'Cancelled' ? [CANCELLED] : [];
  const names = cause === FAILED ? own.filter((name) => name === FAILED) : [...own, FINISHED];
  return names.map((name) => endEvent(state, end.at, name, facts));
}

function endEvent({ config }: RunState, at: number, name: string, data: JsonObject): StoredEvent {
  const internalId = hashUlid(at, `${config.runId}:${name}`);
  const base = { internalId, env: config.env, name, data, ts: at, receivedAt: at };
  // Failed and cancelled carry the run's id (wire 4.4).
  return name === FINISHED ? base : { ...base, id: config.runId };
}

function factsOf({ config }: RunState, status: string, output: string, events: StoredEvent[]): JsonObject {
  const views = events.map((event) => eventView(event) as unknown as JsonObject);
  return {
    function_id: config.functionId,
    run_id: config.runId,
    ...(config.parent === null ? {} : { correlation_id: `${config.parent.runId}.${config.parent.key}` }),
    ...outcome(status, output),
    event: views[0] ?? null,
    events: views,
    _inngest: {
      status,
      chain: [...(events[0] === undefined ? [] : failureChain(events[0])), config.functionId],
    },
  };
}

function outcome(status: string, output: string): JsonObject {
  const value = JSON.parse(output) as Json;
  if (status === 'Completed') return { result: value };
  if (status === 'Cancelled') {
    return { error: { error: 'function cancelled', message: 'function cancelled', name: 'Error' } };
  }
  const error = value as unknown as SerializedError;
  return {
    error: { ...error, error: error.name, __serialized: true } as unknown as JsonObject,
    result: value,
  };
}

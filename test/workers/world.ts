/**
 * What the tests in workerd share: runs begun with a program, and time, which moves only when a test says so. The clock stands in the far
 * future, so that no alarm fires by itself: alarms go by the real clock.
 */
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { afterEach, beforeEach, vi } from 'vitest';
import type { Json } from '../../src/lib/json.ts';
import { ulid } from '../../src/lib/ulid.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import type { RunRpc } from '../../src/protocol/rpc.ts';
import type { RunStart, RunTrace, RunView, Waiting } from '../../src/protocol/run.ts';
import type { FailureEventArgs } from '../../src/sdk/index.ts';
import { type Program, programs, sequels } from './worker.ts';

export const NOW = Date.UTC(2060, 0, 1);

/** Turns without any change after which nothing more is taken to happen by itself. */
const CALM_TURNS = 2;
/** Alarms after which a run is taken never to end. */
export const WAKES = 60;

let count = 0;

export function timeStandsStill(): void {
  beforeEach(() => void vi.setSystemTime(NOW));
  afterEach(() => void vi.useRealTimers());
}

/** What other tests left behind is none of a test's business. */
export function emptyTables(): void {
  afterEach(async () => {
    for (const table of ['event', 'event_part', 'event_key', 'run'])
      await env.DB.prepare(`delete from ${table}`).run();
  });
}

/** A real turn: timers and answers of other objects come through. */
export function turn(ms = 1): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Polls for at most two seconds of real time. */
export async function until<Value>(
  look: () => Promise<Value | null> | Value | null,
  what = 'it',
): Promise<Value> {
  for (let tries = 0; tries < 1_000; tries++) {
    const value = await look();
    if (value !== null) return value;
    await turn(2);
  }
  throw new Error(`${what} did not happen`);
}

/**
 * Where the test waits for the object, or the object for the test. Looked at again and again: whoever awaited a promise of the other
 * one would go on inside of that one's context, and be gone with it.
 */
export class Gate<Value = void> {
  #open: { value: Value } | null = null;

  open(value: Value): void {
    this.#open ??= { value };
  }

  async passed(): Promise<Value> {
    while (this.#open === null) await turn();
    return this.#open.value;
  }
}

export function unique(prefix = 'n'): string {
  return `${prefix}-${++count}`;
}

export function newId(): string {
  const entropy = crypto.getRandomValues(new Uint8Array(10));
  return ulid(Date.now(), entropy);
}

export function anEvent(change: Partial<StoredEvent> = {}): StoredEvent {
  const now = Date.now();
  return {
    internalId: newId(),
    env: 'dev',
    name: 'test/program',
    data: {},
    ts: now,
    receivedAt: now,
    ...change,
  };
}

/** Stubs break when their object is aborted, so every use makes its own. */
export function stubOf(runId: string): DurableObjectStub {
  return env.RUN.get(env.RUN.idFromName(runId));
}

export function objectOf(runId: string): RunRpc {
  return stubOf(runId) as unknown as RunRpc;
}

export function startOf(
  program: Program,
  data: StoredEvent['data'] = {},
  change: Partial<RunStart> = {},
): RunStart {
  const name = unique('program');
  programs.set(name, program);
  const event = anEvent({ data: { ...data, program: name } });
  const now = Date.now();
  return {
    runId: newId(),
    env: 'dev',
    functionId: 'test-program',
    events: [event],
    queuedAt: now,
    startAt: now,
    ...change,
  };
}

export async function runRow(runId: string) {
  return env.DB.prepare('select * from run where run_id = ?').bind(runId).first();
}

/** Begins a run of the program as dispatch does; answers its id. */
export async function begin(program: Program, data: StoredEvent['data'] = {}): Promise<string> {
  const start = startOf(program, data);
  await objectOf(start.runId).start(start);
  return start.runId;
}

/** From inside: the test runner does not let a method called `trace` be called on a stub. */
export async function traceOf(runId: string): Promise<RunTrace> {
  const trace = await runInDurableObject(stubOf(runId), (run) => (run as unknown as RunRpc).trace());
  if (trace === null) throw new Error('the run has not started');
  return trace;
}

/** Waits until nothing more happens without an alarm. */
export async function calm(runId: string): Promise<RunTrace> {
  let before = '';
  for (let same = 0; same < CALM_TURNS;) {
    await turn();
    const now = JSON.stringify(await traceOf(runId));
    same = now === before ? same + 1 : 0;
    before = now;
  }
  return JSON.parse(before) as RunTrace;
}

export function alarmOf(stub: DurableObjectStub): Promise<number | null> {
  return runInDurableObject(stub, (_, state) => state.storage.getAlarm());
}

/** Everything that the object has stored, as text. */
export function storedText(stub: DurableObjectStub): Promise<string> {
  return runInDurableObject(stub, (_, { storage }) => {
    const tables = storage.sql.exec<{ name: string }>(
      `select name from sqlite_master where type = 'table' and name not like '\\_cf%' escape '\\'`,
    );
    return JSON.stringify(
      tables.toArray().map(({ name }) => storage.sql.exec(`select * from ${name}`).toArray()),
    );
  });
}

/** Lets time pass until the run's alarm, and fires it. */
export async function wake(runId: string): Promise<void> {
  const at = await alarmOf(stubOf(runId));
  if (at === null) throw new Error('nothing would ever wake the run');
  if (at > Date.now()) vi.setSystemTime(at);
  await runDurableObjectAlarm(stubOf(runId));
}

/** Wakes the run as often as it takes. */
export async function finish(runId: string): Promise<RunView> {
  for (let wakes = 0; wakes < WAKES; wakes++) {
    const trace = await calm(runId);
    if (trace.status !== 'Running') return trace;
    await wake(runId);
  }
  throw new Error(`the run has not ended after ${WAKES} alarms`);
}

/** Ends the object as a crash of its host does; its storage is what was written. */
export async function crash(runId: string): Promise<void> {
  await runInDurableObject(stubOf(runId), (_, state) => state.abort('crash')).catch(() => undefined);
}

async function post(events: object, headers: Record<string, string> = {}): Promise<Response> {
  return exports.default.fetch('https://stepwell.test/e/key', {
    method: 'POST',
    headers,
    body: JSON.stringify(events),
  });
}

/** Internal ids. */
export async function send(events: object): Promise<string[]> {
  const answer = await post(events);
  if (answer.status !== 200) throw new Error(`not accepted: ${answer.status}`);
  return (await answer.json<{ ids: string[] }>()).ids;
}

interface RunAnswer {
  run_id: string;
  status: string;
  output: unknown;
}

export async function runsOf(eventId: string): Promise<RunAnswer[]> {
  const answer = await exports.default.fetch(`https://stepwell.test/v1/events/${eventId}/runs`);
  return (await answer.json<{ data: RunAnswer[] }>()).data;
}

/** The runs of an event, once the index says that all of them have ended. */
export function endedRunsOf(eventId: string, howMany = 1): Promise<RunAnswer[]> {
  return until(async () => {
    const runs = await runsOf(eventId);
    return runs.length === howMany && runs.every(({ status }) => status !== 'Running') ? runs : null;
  }, `the end of ${howMany} runs`);
}

/** Waits until the run waits for this and nothing of it executes. */
export async function waiting(runId: string, reason: Waiting['reason'], howMany = 1): Promise<RunTrace> {
  return until(async () => {
    const trace = await traceOf(runId).catch(() => null);
    return trace?.waiting.filter((one) => one.reason === reason).length === howMany ? calm(runId) : null;
  }, `the run's waiting for ${howMany} ${reason}`);
}

/** Sends events and waits until all that they lead to is done. */
export async function sendThrough(events: object): Promise<string[]> {
  const ids = await send(events);
  for (const id of ids) await dispatched(id);
  return ids;
}

export async function dispatched(internalId: string): Promise<void> {
  const query = env.DB.prepare('select dispatched_at from event where internal_id = ?').bind(internalId);
  await until(() => query.first<number>('dispatched_at'), 'the dispatch');
}

export async function ended(runId: string): Promise<RunTrace> {
  return until(async () => {
    const trace = await traceOf(runId);
    return trace.status === 'Running' ? null : trace;
  }, 'the end of the run');
}

interface EndEvent {
  internalId: string;
  id: string | null;
  ts: number;
  data: Record<string, Json>;
}

export async function endEvents(name: string, runId: string): Promise<EndEvent[]> {
  const { results } = await env.DB.prepare('select * from event where name = ?').bind(name).all();
  return results
    .map((row) => ({
      internalId: String(row['internal_id']),
      id: row['id'] as string | null,
      ts: Number(row['ts']),
      data: (JSON.parse(String(row['body'])) as { data: Record<string, Json> }).data,
    }))
    .filter(({ data }) => data['run_id'] === runId);
}

export async function endEvent(name: string, runId: string): Promise<EndEvent> {
  return until(async () => (await endEvents(name, runId))[0] ?? null, `${name} of the run`);
}

interface Launch {
  name?: string;
  data?: object;
  user?: object;
}

export function named(program: Program): string {
  const name = unique('program');
  programs.set(name, program);
  return name;
}

/** Sends an event that starts one run of the program. */
export async function launch(program: Program, { name = 'test/program', data, user }: Launch = {}) {
  const event = { name, data: { ...data, program: named(program) }, ...(user === undefined ? {} : { user }) };
  const [eventId = ''] = await send(event);
  const runId = await until(async () => (await runsOf(eventId))[0]?.run_id ?? null, 'the run');
  return { eventId, runId };
}

/** A sequel that records what it is called with. */
export function recording(after: (context: FailureEventArgs) => unknown = () => null) {
  const seen: FailureEventArgs[] = [];
  const sequel = unique('sequel');
  sequels.set(sequel, (context) => {
    seen.push(context);
    return after(context);
  });
  return { sequel, seen };
}

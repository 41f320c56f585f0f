/** Counts what the platform would bill: storage rows, object requests, queue operations, D1 rows. Does nothing until asked to. */
import type { BenchEnv } from './env.ts';

export interface Counts {
  /** Rows written in objects, by their cursors' `rowsWritten`. */
  objectRows: number;
  /** `setAlarm` and `deleteAlarm`: one row each. */
  alarmRows: number;
  /** Calls to objects and alarms that went off. */
  objectRequests: number;
  /** Written, read and deleted, for each 64 KB of a message. */
  queueOperations: number;
  d1Rows: number;
  d1Batches: number;
  /** HTTP requests to the Worker. */
  requests: number;
}

const UNIT = 64 * 1024;
let counts: Counts | null = null;

export function startCounting(): void {
  counts = {
    objectRows: 0,
    alarmRows: 0,
    objectRequests: 0,
    queueOperations: 0,
    d1Rows: 0,
    d1Batches: 0,
    requests: 0,
  };
}

export function stopCounting(): Counts | null {
  const counted = counts;
  counts = null;
  return counted;
}

export function count(what: keyof Counts, n = 1): void {
  if (counts !== null) counts[what] += n;
}

/** A delivery is a read, and its acknowledgement a delete. */
export function countDeliveries(batch: MessageBatch): void {
  for (const { body } of batch.messages) count('queueOperations', 2 * units(body));
}

/** Puts counting methods over those of an object's storage; only while counting, so that timings are of the bare ones. */
export function countedContext(ctx: DurableObjectState): DurableObjectState {
  if (counts === null) return ctx;
  const { storage } = ctx;
  const exec = storage.sql.exec.bind(storage.sql);
  const setAlarm = storage.setAlarm.bind(storage);
  const deleteAlarm = storage.deleteAlarm.bind(storage);
  define(storage.sql, 'exec', (query: string, ...values: unknown[]) => {
    const cursor = exec(query, ...values);
    // The development server's own book of names exists only there.
    if (!query.includes('__miniflare')) count('objectRows', cursor.rowsWritten);
    return cursor;
  });
  define(storage, 'setAlarm', (at: number | Date) => (count('alarmRows'), setAlarm(at)));
  define(storage, 'deleteAlarm', () => (count('alarmRows'), deleteAlarm()));
  return ctx;
}

const known = new WeakMap<BenchEnv, BenchEnv>();

export function countedEnv(env: BenchEnv): BenchEnv {
  const made = known.get(env) ?? {
    ...env,
    DB: database(env.DB),
    EVENTS: queue(env.EVENTS),
    RUNS: queue(env.RUNS),
  };
  known.set(env, made);
  return made;
}

/** Everything that the engine writes to D1 goes in batches. */
function database(db: D1Database): D1Database {
  const batch = async (statements: D1PreparedStatement[]) => {
    const results = await db.batch(statements);
    count('d1Batches');
    count(
      'd1Rows',
      results.reduce((rows, { meta }) => rows + meta.rows_written, 0),
    );
    return results;
  };
  return { prepare: (query: string) => db.prepare(query), batch } as unknown as D1Database;
}

function queue<Body>(real: Queue<Body>): Queue<Body> {
  return {
    send: (body: Body, options?: QueueSendOptions) => {
      count('queueOperations', units(body));
      return real.send(body, options);
    },
    sendBatch: (messages: MessageSendRequest<Body>[], options?: QueueSendBatchOptions) => {
      for (const { body } of messages) count('queueOperations', units(body));
      return real.sendBatch(messages, options);
    },
  } as unknown as Queue<Body>;
}

function units(body: unknown): number {
  return Math.ceil(JSON.stringify(body).length / UNIT);
}

function define(object: object, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, configurable: true });
}

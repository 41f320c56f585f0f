/**
 * Every documented limit, in one place (LM group of the functions specification, EVT and EA groups of the events one).
 * Sizes are bytes of UTF-8 JSON, times are milliseconds.
 */
import { DAY, HOUR, MINUTE, SECOND } from '../lib/time.ts';

const KB = 1024;
const MB = 1024 * KB;

export const limits = {
  /** Characters (code points) of an event name (EVT-3, TR-20). */
  eventName: 256,
  /** Characters of a signal's name, and UTF-16 units of its data as JSON. */
  signalName: 1_024,
  signalText: 600_000,
  /** Characters of an event's own id (EVT-16). */
  eventId: 256,
  /** One event, and the raw body of one request (EVT, EA-11, LM-7). */
  eventBytes: 3 * MB,
  requestBytes: 3 * MB,
  eventsPerRequest: 5_000,
  /** Nesting of objects and arrays in one request: SQLite's own JSON functions stop at 1,000. */
  eventDepth: 1_000,
  /** `ts` of an event: 1980-01-01 to 2100-01-01 (EVT-18). */
  tsMin: 315_532_800_000,
  tsMax: 4_102_444_800_000,
  /** How long an event id suppresses later events with the same id (DD-2). */
  idempotency: 24 * HOUR,
  /** Characters of an app's id (AP-4). */
  appId: 256,
  /** The body of one registration. */
  registrationBytes: 4 * MB,
  triggersPerFunction: 10,
  /** Events that may cancel the runs of one function (CX-4). */
  cancelsPerFunction: 5,
  /** `concurrency` entries of one function (CC-14), events and bytes of one batch (BA-2, BA-12). */
  concurrencyPerFunction: 2,
  batchEvents: 100,
  batchBytes: 10 * MB,
  /** Shortest `timeouts.start` and `timeouts.finish`; the longest is that of a sleep (TO-12). */
  timeoutMin: SECOND,
  retriesMax: 20,
  retriesDefault: 4,
  /** One step's or the function's output; everything a run holds; steps in a run (LM-3 to LM-5). */
  outputBytes: 4 * MB,
  stateBytes: 32 * MB,
  /** Characters of what a step was given that its trace shows; longer is left out. */
  inputText: 256 * KB,
  stepsPerRun: 1_000,
  /** One call of an app: what is larger the app fetches (wire 3.9). One answer of an app (wire 3.5). */
  callBytes: 4 * MB,
  answerBytes: 8 * MB,
  /** One execution of a step, and of the code between two steps (LM-2, ST-11). */
  stepRuntime: 2 * HOUR,
  /** Longest sleep or wait (SL-4). */
  sleep: 366 * DAY,
  /** Longest `RetryAfterError` (ER-14). */
  retryAfter: 365 * DAY,
  /** Message and stack of a stored error (ER-7). */
  errorText: 64 * KB,
  /** A queue message holds 128 KB, its overhead included, and is billed by 64 KB: a larger event travels by id alone. */
  messageBytes: 60 * KB,
  messageEvents: 100,
  /** Ids in one message: its consumer holds all their events at once, each of up to `eventBytes`. */
  messageIds: 10,
  /** SQLite rows hold 2 MB: longer texts are stored in pieces of this many UTF-16 units (three bytes each at most). */
  rowText: 600_000,
} as const;

/** Waits before retry 1, 2, 3, ... and for every later one; plus a jitter of 0 to `RETRY_JITTER` (RT-11). */
export const RETRY_DELAYS: readonly number[] = [
  15 * SECOND,
  30 * SECOND,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  20 * MINUTE,
  40 * MINUTE,
  HOUR,
  2 * HOUR,
];
export const RETRY_JITTER = 30 * SECOND;

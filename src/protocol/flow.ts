/**
 * Flow control as its author configures it, checked (sections 2 to 9 of the flow control specification), and what of it travels with a
 * run. Keys are CEL texts over `event`, durations texts as `parseDuration` reads them. What excludes what is in src/registry.
 */
import * as z from 'zod';
import { parseDuration } from '../lib/duration.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../lib/time.ts';
import { limits } from './limits.ts';

export const expression = z.string({ error: 'expected an expression' });
const key = expression.optional();

/** @param range in words, as the message has it. */
function duration(least: number, most: number, range: string) {
  return z.string({ error: `expected a duration, ${range}` }).refine(
    (text) => {
      const ms = parseDuration(text);
      return ms !== null && ms >= least && ms <= most;
    },
    { error: `expected a duration, ${range}` },
  );
}

function count(least: number, most: number, message: string) {
  return z.number({ error: message }).int({ error: message }).min(least, { error: message }).max(most, {
    error: message,
  });
}

const ANY = Number.MAX_SAFE_INTEGER;

const concurrencyLimit = z
  .strictObject(
    {
      limit: count(0, ANY, 'expected a whole number, 0 or more (CC-4)').optional(),
      key,
      scope: z
        .enum(['fn', 'env', 'account'], { error: 'expected "fn", "env" or "account" (CC-7)' })
        .default('fn'),
    },
    { error: 'expected a number or an object' },
  )
  .refine(({ scope, key: own }) => scope === 'fn' || own !== undefined, {
    path: ['key'],
    error: 'a limit of the scope "env" or "account" needs a key (CC-11)',
  });

/** CC-1, CC-2: a number, one limit, or a list of them. CC-3: 0 is no limit. */
const concurrency = z
  .preprocess(
    (written) => (Array.isArray(written) ? written : [written]).map(asLimit),
    z.array(concurrencyLimit).refine((list) => list.length <= limits.concurrencyPerFunction, {
      error: `at most ${limits.concurrencyPerFunction} limits (CC-14)`,
    }),
  )
  .transform((all) => all.flatMap(({ limit = 0, ...rest }) => (limit > 0 ? [{ ...rest, limit }] : [])));

function asLimit(written: unknown): unknown {
  return typeof written === 'number' ? { limit: written } : written;
}

const atLeastOne = 'expected a whole number, 1 or more';

const throttle = z.strictObject(
  {
    limit: count(1, ANY, `${atLeastOne} (TH-2)`),
    period: duration(SECOND, 7 * DAY, 'from 1 second to 7 days (TH-3)').refine(
      (text) => (parseDuration(text) ?? 0) % SECOND === 0,
      { error: 'expected a whole number of seconds (TH-3)' },
    ),
    burst: count(1, ANY, `${atLeastOne} (TH-4)`).default(1),
    key,
  },
  { error: 'expected an object' },
);

const rateLimit = z.strictObject(
  {
    limit: count(1, ANY, `${atLeastOne} (RL-2)`),
    period: duration(SECOND, 24 * HOUR, 'from 1 second to 24 hours (RL-3)'),
    key,
  },
  { error: 'expected an object' },
);

const debounce = z
  .strictObject(
    {
      period: duration(SECOND, 7 * DAY, 'from 1 second to 7 days (DB-2)'),
      timeout: duration(SECOND, limits.sleep, 'from the period to 366 days (DB-8)').optional(),
      key,
    },
    { error: 'expected an object' },
  )
  .refine(
    ({ period, timeout }) =>
      timeout === undefined || (parseDuration(timeout) ?? 0) >= (parseDuration(period) ?? 0),
    { path: ['timeout'], error: 'expected at least the period (DB-8)' },
  );

const batchEvents = z.strictObject(
  {
    maxSize: count(1, limits.batchEvents, `expected a whole number from 1 to ${limits.batchEvents} (BA-2)`),
    timeout: duration(SECOND, MINUTE, 'from 1 to 60 seconds (BA-3)'),
    key,
    /** Events for which it is not true start their own runs at once (BA-13). */
    if: expression.optional(),
  },
  { error: 'expected an object' },
);

const priority = z.strictObject({ run: expression.optional() }, { error: 'expected an object' });

const singleton = z.strictObject(
  { mode: z.enum(['skip', 'cancel'], { error: 'expected "skip" or "cancel" (SG-1)' }), key },
  { error: 'expected an object' },
);

/** The options of a function that are about flow control. */
export const flowOptions = {
  concurrency: concurrency.optional(),
  throttle: throttle.optional(),
  rateLimit: rateLimit.optional(),
  debounce: debounce.optional(),
  batchEvents: batchEvents.optional(),
  priority: priority.optional(),
  singleton: singleton.optional(),
  /** A key: one run for each of its values in 24 hours (ID-8, ID-9). */
  idempotency: expression.optional(),
};

/** A key, evaluated: a text that is the same for equal values only; `''` is that of all events without one (FC-6). */
const keyValue = z.string();

const asksOfStart = {
  /** The key under which its start is throttled. */
  throttle: keyValue.optional(),
  /** `n`: which of the function's `concurrency`. No two have the same scope and key (CC-15). */
  concurrency: z
    .array(z.object({ n: z.number(), scope: z.enum(['fn', 'env', 'account']), key: keyValue }))
    .optional(),
};

/**
 * What a run asks for before it may start, and before each burst. Keys are evaluated (FC-5); limits are not part of it: they are
 * looked up when they are needed (FN-11).
 */
export const runFlow = z.object({
  /** Place in every queue, in milliseconds since 1970, smallest first: when it was due, minus its priority (PR-10); ties by run id. */
  score: z.number(),
  ...asksOfStart,
});
export type RunFlow = z.infer<typeof runFlow>;

/** All that flow control asks of one event for one function, its keys evaluated; an empty one asks nothing. */
export const asks = z.object({
  batch: keyValue.optional(),
  debounce: keyValue.optional(),
  idempotency: keyValue.optional(),
  rateLimit: keyValue.optional(),
  singleton: keyValue.optional(),
  /** Seconds by which it goes before others (PR-10). */
  priority: z.number().optional(),
  ...asksOfStart,
});
export type Asks = z.infer<typeof asks>;

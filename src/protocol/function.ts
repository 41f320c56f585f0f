/**
 * A function's configuration as the engine keeps it, whether its code lives in this Worker or elsewhere: what its author wrote,
 * checked. Schedules, expressions and durations stay texts; whoever uses one reads it with what it was checked with. The checks that
 * need more than this folder has are in src/registry.
 *
 * Lengths are looked at by `refine`: zod's own `min` and `max` also look at what is neither a text nor a list, and throw where its
 * `length` cannot be compared.
 */
import * as z from 'zod';
import { parseDuration } from '../lib/duration.ts';
import { isObject } from '../lib/json.ts';
import { parseInstant } from '../lib/time.ts';
import { expression, flowOptions } from './flow.ts';
import { limits } from './limits.ts';
import type { When } from './op.ts';

/** `*` may end a name directly after `/` or `.`, with text before it (TR-9 to TR-11). */
function wildcardInPlace(name: string): boolean {
  const star = name.indexOf('*');
  return star === -1 || (star === name.length - 1 && star > 1 && /[/.]/.test(name[star - 1] ?? ''));
}

const eventName = z
  .string({ error: 'expected an event name' })
  .refine((name) => name.trim() !== '', { error: 'event name is empty' })
  .refine((name) => [...name].length <= limits.eventName, {
    error: `event name is longer than ${limits.eventName} characters (TR-20)`,
  });

const eventTrigger = z.strictObject(
  {
    event: eventName.refine(wildcardInPlace, {
      error: '"*" may only end a name, directly after "/" or "." (TR-10)',
    }),
    /** CEL over `event`: the trigger handles an event only if this is true (TR-3). */
    expression: expression.optional(),
  },
  { error: 'expected an object' },
);
type EventTrigger = z.infer<typeof eventTrigger>;

const noFilter = z.never({ error: 'a filter goes with an event, not with a cron (TR-5)' }).optional();

const cronTrigger = z.strictObject({
  /** `[TZ=<zone> ]<schedule>` (CR-1 to CR-3). */
  cron: z.string({ error: 'expected a schedule' }),
  /** Each occurrence starts at some moment of this window after it (CR-18). */
  jitter: z.string({ error: 'expected a duration such as "30s"' }).optional(),
  event: z.never({ error: 'a trigger has an event or a cron, not both' }).optional(),
  expression: noFilter,
  if: noFilter,
});
type CronTrigger = Pick<z.infer<typeof cronTrigger>, 'cron' | 'jitter'>;

export type Trigger = EventTrigger | CronTrigger;

/** Not a union: of a trigger that is wrong it could only say that it is neither the one nor the other. */
const trigger = z.unknown().transform((written, context): Trigger => {
  const schema = isObject(written) && 'cron' in written ? cronTrigger : eventTrigger;
  const parsed = schema.safeParse(written);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues)
    context.issues.push({ ...issue, input: written } as z.core.$ZodRawIssue);
  return z.NEVER;
});

/** A duration or an instant; null for anything else (DU-6). */
export function parseWhen(text: string): When | null {
  const at = parseInstant(text);
  if (at !== null) return { at };
  const ms = parseDuration(text);
  return ms === null ? null : { in: ms };
}

/** One entry of `cancelOn` (CX-3). */
const cancellation = z.strictObject({
  event: eventName.refine((name) => !name.includes('*'), {
    error: 'expected the exact name of an event: wildcards do not cancel (CX-5)',
  }),
  /** CEL over `event`, the run's own, and `async`, the incoming one; without it any event of the name cancels (CX-7, CX-9). */
  if: expression.optional(),
  /** How long after it was triggered a run may be cancelled by this, or until when (CX-10); see `parseWhen`. */
  timeout: z
    .string({ error: 'expected a duration such as "1h" or an ISO 8601 instant' })
    .refine(isTimeout, {
      error: 'expected a duration such as "1h", at most a year, or an ISO 8601 instant (CX-10)',
    })
    .optional(),
});

function isTimeout(text: string): boolean {
  const when = parseWhen(text);
  return when !== null && ('at' in when || when.in <= limits.sleep);
}

/** As `parseDuration` reads it. */
const timeout = z.string({ error: 'expected a duration such as "45m" (TO-1)' }).refine(
  (text) => {
    const ms = parseDuration(text);
    return ms !== null && ms >= limits.timeoutMin && ms <= limits.sleep;
  },
  { error: 'expected a duration such as "45m", from 1 second to 366 days (TO-12)' },
);

export const functionConfig = z.strictObject({
  /** Composite id, `<app>-<function>` (FN-7). */
  id: z.string({ error: 'expected a string' }).refine((id) => id !== '', { error: 'id is empty (FN-13)' }),
  name: z.string(),
  triggers: someTriggers(1),
  /** Retries after the first attempt, for each step and for the code between steps (RT-3). */
  retries: z
    .number({ error: 'expected a number' })
    .int({ error: 'expected a whole number (RT-4)' })
    .min(0, { error: 'at least 0 (RT-4)' })
    .max(limits.retriesMax, { error: `at most ${limits.retriesMax} (RT-4)` })
    .default(limits.retriesDefault),
  /** Alternatives (CX-15). */
  cancel: z
    .array(cancellation, { error: 'expected a list' })
    .refine((events) => events.length <= limits.cancelsPerFunction, {
      error: `at most ${limits.cancelsPerFunction} events that cancel (CX-4)`,
    })
    .optional(),
  /** How long a run may wait for its start, and how long it may take from then on (TO-3, TO-5). */
  timeouts: z
    .strictObject({ start: timeout.optional(), finish: timeout.optional() }, { error: 'expected an object' })
    .optional(),
  ...flowOptions,
});
export type FunctionConfig = z.infer<typeof functionConfig>;

/** Of an app elsewhere: without triggers it is there to be invoked (wire 2.4). */
export const remoteFunctionConfig = functionConfig.extend({ triggers: someTriggers(0) });

function someTriggers(least: number) {
  return z
    .array(trigger, { error: 'expected a list' })
    .refine((triggers) => triggers.length >= least, { error: 'a function needs at least one trigger (FN-3)' })
    .transform(distinct)
    .refine((triggers) => triggers.length <= limits.triggersPerFunction, {
      error: `at most ${limits.triggersPerFunction} different triggers (TR-7)`,
    });
}

/** TR-7: exact duplicates count once. */
function distinct(triggers: Trigger[]): Trigger[] {
  const seen = new Set<string>();
  return triggers.filter((one) => {
    const text = JSON.stringify('cron' in one ? [one.cron, one.jitter] : [one.event, one.expression, null]);
    return !seen.has(text) && seen.add(text);
  });
}

/** A function's configuration as the engine keeps it, whether its code lives in this Worker or elsewhere. */
import { z } from 'zod';
import { limits } from './limits.ts';

/** `*` may end a name directly after `/` or `.`, with text before it (TR-9 to TR-11). */
function wildcardInPlace(name: string): boolean {
  const star = name.indexOf('*');
  return star === -1 || (star === name.length - 1 && star > 1 && /[/.]/.test(name[star - 1] ?? ''));
}

export const eventTrigger = z.strictObject({
  event: z
    .string({ error: 'expected an event name' })
    .refine((name) => name.trim() !== '', { error: 'event name is empty' })
    .refine((name) => [...name].length <= limits.eventName, {
      error: `event name is longer than ${limits.eventName} characters (TR-20)`,
    })
    .refine(wildcardInPlace, { error: '"*" may only end a name, directly after "/" or "." (TR-10)' }),
});
export type EventTrigger = z.infer<typeof eventTrigger>;

export const functionConfig = z.strictObject({
  /** Composite id, `<app>-<function>` (FN-7). */
  id: z.string({ error: 'expected a string' }).min(1, { error: 'id is empty (FN-13)' }),
  name: z.string(),
  triggers: z
    .array(eventTrigger)
    .min(1, { error: 'a function needs at least one trigger (FN-3)' })
    .transform(distinct)
    .refine((triggers) => triggers.length <= limits.triggersPerFunction, {
      error: `at most ${limits.triggersPerFunction} different triggers (TR-7)`,
    }),
  /** Retries after the first attempt, for each step and for the code between steps (RT-3). */
  retries: z
    .number({ error: 'expected a number' })
    .int({ error: 'expected a whole number (RT-4)' })
    .min(0, { error: 'at least 0 (RT-4)' })
    .max(limits.retriesMax, { error: `at most ${limits.retriesMax} (RT-4)` })
    .default(limits.retriesDefault),
});
export type FunctionConfig = z.infer<typeof functionConfig>;

/** TR-7: exact duplicates count once. */
function distinct(triggers: EventTrigger[]): EventTrigger[] {
  const seen = new Set<string>();
  return triggers.filter(({ event }) => !seen.has(event) && seen.add(event));
}

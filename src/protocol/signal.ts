/** A run's wait for a signal: what it registers with the object of that signal. */
import * as z from 'zod';
import { limits } from './limits.ts';

/** As its sender writes it. */
const signalRequest = z.object(
  {
    signal: z
      .string({ error: 'expected a text' })
      .refine((name) => name !== '', { error: 'expected a name' })
      .refine((name) => name.length <= limits.signalName, {
        error: `longer than ${limits.signalName} characters`,
      }),
    data: z.unknown().optional(),
  },
  { error: 'expected an object' },
);

export const signalWait = z.object({
  env: z.string(),
  signal: z.string(),
  runId: z.string(),
  /** Names the wait within its run: the step's id. */
  key: z.string(),
  /** A signal that comes at this moment or later is not for it. */
  until: z.number(),
  /** Of a signal that another run waits for: whether this wait fails, or takes over and leaves the other one to its deadline. */
  conflict: z.enum(['fail', 'replace']),
});
export type SignalWait = z.infer<typeof signalWait>;

/** One act of sending. */
export const sentSignal = z.object({
  /** The same again is the same act: it changes nothing, and has the same answer. */
  id: z.string(),
  /** JSON text of what the waiting step gets: `{ signal, data }`. */
  answer: z.string(),
});
export type SentSignal = z.infer<typeof sentSignal>;

/** A text is what is wrong with the request. @param written plain JSON. @param id of this act of sending. */
export function readSignal(written: unknown, id: string): { signal: string; sent: SentSignal } | string {
  const parsed = signalRequest.safeParse(written);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `${issue?.path.join('.') || 'the body'}: ${issue?.message}`;
  }
  const { signal, data = null } = parsed.data;
  const answer = JSON.stringify({ signal, data });
  if (answer.length > limits.signalText) return `data: longer than ${limits.signalText} characters of JSON`;
  return { signal, sent: { id, answer } };
}

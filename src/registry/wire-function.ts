/** One function as SDKs register it (wire 2.4), in the shape that the engine keeps (src/protocol/function.ts). */
import * as z from 'zod';
import { isObject } from '../lib/json.ts';
import { remoteFunctionConfig } from '../protocol/function.ts';
import { limits } from '../protocol/limits.ts';

const attempts = z
  .number({ error: 'expected a number' })
  .int({ error: 'expected a whole number' })
  .min(0, { error: 'at least 0' })
  // More than the limit is the limit (wire 2.4).
  .transform((retries) => Math.min(retries, limits.retriesMax));

const step = z.object(
  {
    runtime: z.object(
      { url: z.string().refine((url) => URL.canParse(url), { error: 'expected an absolute URL' }) },
      { error: 'expected an object' },
    ),
    retries: z.object({ attempts: attempts.optional() }, { error: 'expected an object' }).optional(),
  },
  { error: 'expected an object' },
);

const outside = z.object({
  // Whatever its name is.
  steps: z
    .record(z.string(), step, { error: 'expected an object with one step' })
    .refine((steps) => Object.keys(steps).length === 1, { error: 'expected exactly one step' }),
  // Go writes them here too.
  retries: attempts.optional(),
});

/** What is taken over as it is written. */
const OPTIONS = 'triggers cancel timeouts throttle rateLimit debounce priority singleton idempotency'.split(
  ' ',
);

/** @returns what is wrong with what only the wire has, and all the rest as an author would write it, to be checked. */
export function wireFunction(written: unknown): { config: unknown; problems: string[] } {
  if (!isObject(written)) return { config: written, problems: [] };
  const parsed = outside.safeParse(written);
  const problems = parsed.error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];
  const { name } = written;
  const id = written['id'] ?? (typeof name === 'string' ? slug(name) : undefined);
  const options = OPTIONS.filter((option) => written[option] !== undefined);
  const config = {
    id,
    name: name ?? id,
    ...Object.fromEntries(options.map((option) => [option, lowerCase(written[option])])),
    triggers: written['triggers'] ?? [],
    ...batches(written['batchEvents']),
    ...(written['concurrency'] === undefined ? {} : { concurrency: concurrency(written['concurrency']) }),
    ...retriesOf(parsed.data),
  };
  return {
    config: known(config),
    problems: [...problems, ...repeatedTriggers(written['triggers']), ...tinyBatches(written['batchEvents'])],
  };
}

/** FN-10. */
function known(config: object): unknown {
  const copy = structuredClone(config);
  for (const issue of remoteFunctionConfig.safeParse(config).error?.issues ?? []) {
    if (issue.code !== 'unrecognized_keys') continue;
    const owner = issue.path.reduce<unknown>((at, name) => (at as Record<PropertyKey, unknown>)[name], copy);
    for (const key of issue.keys) Reflect.deleteProperty(owner as object, key);
  }
  return copy;
}

function retriesOf(parsed: z.infer<typeof outside> | undefined): { retries?: number } {
  const [only] = Object.values(parsed?.steps ?? {});
  const retries = only?.retries?.attempts ?? parsed?.retries;
  return retries === undefined ? {} : { retries };
}

/** A number, a limit, a list of them, or Go's `{ fn, step }` with such lists. */
function concurrency(written: unknown): unknown {
  if (typeof written === 'number') return written;
  const { fn, step: steps } = isObject(written) ? written : {};
  const limited = fn === undefined && steps === undefined ? [written] : [fn ?? [], steps ?? []];
  return limited.flat().map(lowerCase);
}

/** The wire has a default for how long a batch waits (wire 2.4). */
function batches(written: unknown): { batchEvents?: unknown } {
  if (written === undefined) return {};
  return { batchEvents: isObject(written) ? { timeout: '60s', ...written } : written };
}

/** Names that stand for a choice come in several cases: `Skip`, `Env`. */
function lowerCase(option: unknown): unknown {
  if (!isObject(option)) return option;
  const { mode, scope } = option;
  return {
    ...option,
    ...(typeof mode === 'string' ? { mode: mode.toLowerCase() } : {}),
    ...(typeof scope === 'string' ? { scope: scope.toLowerCase() } : {}),
  };
}

/** Wire 2.4, case 16: what an author may write in this Worker, and no SDK elsewhere. */
function tinyBatches(written: unknown): string[] {
  return isObject(written) && written['maxSize'] === 1 ? ['batchEvents.maxSize: expected at least 2'] : [];
}

function repeatedTriggers(triggers: unknown): string[] {
  if (!Array.isArray(triggers)) return [];
  const texts = triggers.map((trigger) => JSON.stringify(trigger));
  return texts.flatMap((one, index) =>
    texts.indexOf(one) === index ? [] : [`triggers[${index}]: the function has this trigger already`],
  );
}

/** For functions without an id, by old clients. */
function slug(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
}

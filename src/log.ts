/** The log on the platform's console: one line of JSON each. */
import type { Log } from './ports.ts';

const FRAMES = 8;

export const consoleLog: Log = {
  error(message, fields) {
    const line = Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, plain(value)]));
    console.error(JSON.stringify({ level: 'error', message, ...line }));
  },
};

/**
 * Errors as name, flags and place. Their texts stay out: a parser's quotes what it read, drizzle's lists the parameters, a user's
 * function says what it likes. D1's own are about tables and columns, and without them nobody finds a missing migration.
 */
function plain(value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const { name, stack, code, overloaded, retryable } = value as Error & Record<string, unknown>;
  const frames = (typeof stack === 'string' ? stack : '').split('\n').filter((line) => /^\s+at /.test(line));
  const database = [value, value.cause]
    .flatMap((error) => (error instanceof Error ? [error.message] : []))
    .find(isD1);
  return {
    name,
    code,
    database,
    overloaded,
    retryable,
    at: frames.slice(0, FRAMES).map((line) => line.trim()),
  };
}

function isD1(text: string): boolean {
  return text.startsWith('D1_') && text.length < 300;
}

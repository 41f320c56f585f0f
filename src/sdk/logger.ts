/** Loggers: the console with a level, and the one that handlers get, which is silent while code is only replayed (LG group). */
import { isObject } from '../lib/json.ts';
import type { Logger } from './types.ts';

const LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug'] as const;

export type LogLevel = (typeof LEVELS)[number];

const METHODS = ['error', 'warn', 'info', 'debug'] as const;

type Method = (typeof METHODS)[number];

/** The default logger: the console, from a level on. */
export class ConsoleLogger implements Logger {
  readonly #console = console;
  readonly #level: () => LogLevel;

  /** @param level read at each line, since settings may come with the first request only. */
  constructor(level: () => LogLevel) {
    this.#level = level;
  }

  error(...args: unknown[]): void {
    this.#log('error', args);
  }

  warn(...args: unknown[]): void {
    this.#log('warn', args);
  }

  info(...args: unknown[]): void {
    this.#log('info', args);
  }

  debug(...args: unknown[]): void {
    this.#log('debug', args);
  }

  #log(method: Method, args: unknown[]): void {
    if (LEVELS.indexOf(method) <= LEVELS.indexOf(this.#level())) this.#console[method](...args);
  }
}

/** EV-21. Null for what is no level. */
export function parseLevel(text: string | undefined): LogLevel | null {
  if (text === undefined) return 'info';
  return LEVELS.find((level) => level === text.trim().toLowerCase()) ?? null;
}

/**
 * The logger of a handler. Off while the handler is only replayed, so that no line appears twice (LG-3, LG-4). Whatever else the given
 * logger can do is reached through it (LG-10).
 */
export class ProxyLogger implements Logger {
  readonly #logger: Logger;
  #enabled = false;

  constructor(logger: Logger) {
    this.#logger = logger;
    return new Proxy<ProxyLogger>(this, {
      get: (own, key) => memberOf(key in own ? own : logger, key),
    });
  }

  info(...args: unknown[]): void {
    this.#log('info', args);
  }

  warn(...args: unknown[]): void {
    this.#log('warn', args);
  }

  error(...args: unknown[]): void {
    this.#log('error', args);
  }

  /** Dropped where the given logger has no such level (LG-9). */
  debug(...args: unknown[]): void {
    this.#log('debug', args);
  }

  enable(): void {
    this.#enabled = true;
  }

  disable(): void {
    this.#enabled = false;
  }

  /** Lets a logger write what it holds back: by its own `flush`, or by a turn of the event loop (LG-5). */
  async flush(): Promise<void> {
    if (this.#logger instanceof ConsoleLogger || this.#logger === console) return;
    if (hasFlush(this.#logger)) await this.#logger.flush();
    else await new Promise<void>((resolve) => void setTimeout(resolve, 0));
  }

  #log(method: Method, args: unknown[]): void {
    const logger: Partial<Logger> = this.#logger;
    if (this.#enabled) logger[method]?.(...args);
  }
}

function memberOf(owner: object, key: PropertyKey): unknown {
  const member: unknown = Reflect.get(owner, key, owner);
  return typeof member === 'function' ? (member.bind(owner) as unknown) : member;
}

export function hasFlush(logger: object): logger is { flush(): unknown } {
  return typeof (logger as { flush?: unknown }).flush === 'function';
}

/** What a logger's lines of one run are marked with, if it can do that (LG-6). */
interface RunMarks {
  runID: string;
  eventName: string;
  functionName: string;
}

/** The child that a logger makes for a run; the logger itself if it makes none. */
export function childOf(logger: Logger, marks: RunMarks): Logger {
  const { child } = logger as Logger & { child?: unknown };
  if (typeof child !== 'function') return logger;
  try {
    const made: unknown = child.call(logger, marks);
    return isObject(made) || typeof made === 'function' ? (made as unknown as Logger) : logger;
  } catch (thrown) {
    logger.error('the logger could not make a child for a run; it is used itself', thrown);
    return logger;
  }
}

/**
 * From an event and a function that it starts to what flow control asks, and in which order (FC-7):
 *
 *   batch or debounce        collects events; what follows is asked for the batch, or for the last event
 *   idempotency, else rate limit     no run
 *   singleton                no run, or the end of the other one
 *   throttle, concurrency    asked by the run itself, which waits for them: `RunStart.flow`
 *
 * Keys are evaluated here and nowhere else, once, when the event is matched (FC-5). The policies, one file each, do not know one another.
 */
import { compile, type Evaluation, type Expression, type Place } from '../expr/expression.ts';
import { keyOf, priorityOf, verdict } from '../expr/results.ts';
import { readsUser } from '../expr/syntax.ts';
import { SECOND } from '../lib/time.ts';
import { eventView, type EventView, type StoredEvent } from '../protocol/event.ts';
import type { Asks } from '../protocol/flow.ts';
import type { FunctionConfig } from '../protocol/function.ts';
import type { RunStart } from '../protocol/run.ts';

/** The flow control of one function, its expressions compiled. */
export interface Controls {
  readonly config: FunctionConfig;
  /** Null for a text that does not compile, which the registry refuses or, of a priority, warns of. */
  readonly expressions: ReadonlyMap<string, Expression | null>;
  /** Some expression reads what is sealed until somebody opens it (EX-19). */
  readonly readsUser: boolean;
}

const known = new WeakMap<FunctionConfig, Controls | null>();

/** Null for a function without any: nothing of this folder is for it. */
export function controlsOf(config: FunctionConfig): Controls | null {
  const found = known.get(config);
  if (found !== undefined) return found;
  const controls = hasControls(config) ? compileAll(config) : null;
  known.set(config, controls);
  return controls;
}

function hasControls(config: FunctionConfig): boolean {
  const { concurrency, throttle, rateLimit, debounce, batchEvents, priority, singleton, idempotency } =
    config;
  const some = throttle ?? rateLimit ?? debounce ?? batchEvents ?? priority ?? singleton ?? idempotency;
  return some !== undefined || (concurrency ?? []).length > 0;
}

function compileAll(config: FunctionConfig): Controls {
  const expressions = new Map<string, Expression | null>();
  const add = (text: string | undefined, place: Place) => {
    if (text === undefined) return;
    const compiled = compile(text, { place });
    expressions.set(`${place} ${text}`, compiled.ok ? compiled.expression : null);
  };
  const { concurrency = [], throttle, rateLimit, debounce, batchEvents, singleton } = config;
  for (const keyed of [...concurrency, throttle, rateLimit, debounce, batchEvents, singleton])
    add(keyed?.key, 'key');
  add(config.idempotency, 'key');
  add(batchEvents?.if, 'event');
  add(config.priority?.run, 'event');
  const all = [...expressions.values()].filter((expression) => expression !== null);
  return { config, expressions, readsUser: all.some(({ node }) => readsUser(node)) };
}

export interface AskOptions {
  /** The event's `user`, opened; needed where `readsUser` says so. */
  user?: EventView['user'];
  /** Something has no value for this event: for people, without values of the event (FC-6, EX-77). */
  warn: (message: string) => void;
}

/** An event that is meant for one function, a cron tick or an invocation, is not collected (IC-2). */
export function ask(controls: Controls, event: StoredEvent, options: AskOptions): Asks {
  const { batchEvents, debounce, idempotency, rateLimit, singleton, throttle } = controls.config;
  const words = new Words(controls, event, options);
  const isCollected = event.target === undefined;
  const isBatched = isCollected && batchEvents !== undefined && words.isTrue(batchEvents.if);
  return {
    ...(isBatched && { batch: words.shared('batchEvents', batchEvents.key) }),
    ...(isCollected && debounce && { debounce: words.shared('debounce', debounce.key) }),
    // ID-11: the one overrides the other.
    ...(idempotency === undefined
      ? rateLimit && words.own('rateLimit', rateLimit.key)
      : words.own('idempotency', idempotency)),
    ...(singleton && { singleton: words.shared('singleton', singleton.key) }),
    ...words.priority(),
    ...(throttle && { throttle: words.shared('throttle', throttle.key) }),
    ...slots(controls.config, words),
  };
}

/** What asks one thing of a queue twice asks it once, with the lower limit (CC-15). A batch has no key of its own (BA-18). */
function slots({ concurrency = [], batchEvents }: FunctionConfig, words: Words): Pick<Asks, 'concurrency'> {
  const queues = new Map<string, { n: number; scope: 'fn' | 'env' | 'account'; key: string }>();
  for (const [n, { scope, key: text, limit }] of concurrency.entries()) {
    const key = batchEvents === undefined ? words.shared('concurrency', text) : SHARED;
    const same = queues.get(`${scope} ${key}`);
    if (same === undefined || limit < (concurrency[same.n]?.limit ?? 0))
      queues.set(`${scope} ${key}`, { n, scope, key });
  }
  return queues.size === 0 ? {} : { concurrency: [...queues.values()] };
}

/** The one key of all events that have none (FC-6), and of policies without one. */
const SHARED = '';

/** The expressions of one function about one event. */
class Words {
  readonly #controls: Controls;
  readonly #event: StoredEvent;
  readonly #options: AskOptions;
  #view: EventView | undefined;

  constructor(controls: Controls, event: StoredEvent, options: AskOptions) {
    this.#controls = controls;
    this.#event = event;
    this.#options = options;
  }

  shared(option: string, text: string | undefined): string {
    return text === undefined ? SHARED : (this.#key(option, text, false) ?? SHARED);
  }

  /** Nothing where there is no value: the control is left out then (FC-6), rather than work lost. */
  own(
    option: 'idempotency' | 'rateLimit',
    text: string | undefined,
  ): Pick<Asks, 'idempotency' | 'rateLimit'> {
    const key = text === undefined ? SHARED : this.#key(option, text, true);
    return key === null ? {} : { [option]: key };
  }

  isTrue(text: string | undefined): boolean {
    if (text === undefined) return true;
    const { matched, warning } = verdict(this.#evaluate(text, 'event'));
    if (warning !== null) this.#options.warn(`batchEvents.if: ${warning}`);
    return matched;
  }

  priority(): Pick<Asks, 'priority'> {
    const text = this.#controls.config.priority?.run;
    if (text === undefined) return {};
    const { seconds, warning } = priorityOf(this.#evaluate(text, 'event'));
    if (warning !== null) this.#options.warn(`priority.run: ${warning}`);
    return seconds === 0 ? {} : { priority: seconds };
  }

  #key(option: string, text: string, falseIsMissing: boolean): string | null {
    const key = keyOf(this.#evaluate(text, 'key'), { falseIsMissing });
    if (key.kind === 'key') return key.id;
    this.#options.warn(`${option}: ${key.warning ?? 'the key has no value'}`);
    return null;
  }

  #evaluate(text: string, place: Place): Evaluation {
    const event = this.#event;
    const { user } = this.#options;
    const expression = this.#controls.expressions.get(`${place} ${text}`) ?? null;
    if (expression === null) return failed('the expression does not compile');
    if (event.user !== undefined && user === undefined && readsUser(expression.node))
      return failed('event.user is sealed');
    this.#view ??= { ...eventView(event), user: user ?? {} };
    // Not the time of this delivery: another one must come to the same result.
    return expression.evaluate({ event: this.#view }, { now: event.receivedAt });
  }
}

function failed(message: string): Evaluation {
  return { ok: false, error: { kind: 'data', message, position: { offset: 0, line: 1, column: 1 } } };
}

/**
 * When a run is due, and its place among others, once nothing is left to be asked before it. A factor below 0 puts the start off
 * (PR-13); one above moves it forward only in a queue.
 */
export function due(
  { priority = 0, throttle, concurrency }: Asks,
  at: number,
): Pick<RunStart, 'startAt' | 'flow'> {
  const score = at - priority * SECOND;
  const startAt = Math.max(at, score);
  if (throttle === undefined && concurrency === undefined) return { startAt };
  const keys = { ...(throttle === undefined ? {} : { throttle }), ...(concurrency && { concurrency }) };
  return { startAt, flow: { score, ...keys } };
}

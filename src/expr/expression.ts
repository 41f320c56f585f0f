/**
 * Expressions: CEL in the dialect that the hosted product's users know, compiled to closures.
 * This is the entrance of the folder; results.ts says what a result means where it is used, wait.ts matches events to waits.
 *
 * 1. Nothing here throws: errors are values, with a place in the source.
 * 2. Messages name paths and types, never values of events.
 * 3. An evaluation ends after a counted number of units, whatever the data.
 * 4. A condition is never dropped or guessed: what cannot be decided is no match (EX-36).
 */
import { compiler, type Run } from './compile.ts';
import { compileError, positionOf, Problem, type CompileError, type EvaluationError } from './errors.ts';
import { DEFAULT_FUEL, exhausted, type Frame } from './fuel.ts';
import { parse } from './parse.ts';
import { read, type Scope } from './read.ts';
import { some, weight, type Node } from './syntax.ts';
import { Failure, type Outcome, type Value } from './values.ts';

/** Where expressions are used, and what they may name there. */
const places = {
  /** `if` of triggers, batches and bulk cancellations; priority. */
  event: { roots: ['event'], clock: true },
  /** `if` and `match` of waits and cancellations. */
  pair: { roots: ['event', 'async'], clock: true },
  /** Keys: they must not change with the time. */
  key: { roots: ['event'], clock: false },
} as const satisfies Record<string, Scope>;

export type Place = keyof typeof places;

export interface CompileOptions {
  readonly place: Place;
  /**
   * The hosted product's reading of what is missing: `missing < 5` holds, and `event.x == async.x` holds when both lack `x`.
   * Ours lets neither through (EX-50, EX-51).
   */
  readonly parity?: boolean;
}

/** Plain JSON; `async` where the place has it. */
export interface Roots {
  readonly event?: object;
  readonly async?: object;
}

interface Context {
  /** Milliseconds since 1970, for `now()`. */
  readonly now: number;
  /** Units of cost; 10,000 if not given. */
  readonly fuel?: number;
}

export type Evaluation =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: EvaluationError };

export interface Expression {
  readonly source: string;
  readonly parity: boolean;
  readonly node: Node;
  evaluate(roots: Roots, context: Context): Evaluation;
}

export type Compilation =
  | { readonly ok: true; readonly expression: Expression }
  | { readonly ok: false; readonly error: CompileError };

/** Costs far more than an evaluation: once per version of a function, or once per text of a wait; the caller keeps it. */
export function compile(source: string, { place, parity = false }: CompileOptions): Compilation {
  try {
    const node = read(parse(source), source, places[place]);
    return { ok: true, expression: { source, parity, node, evaluate: evaluator(node, source, parity) } };
  } catch (error) {
    if (error instanceof Problem) return { ok: false, error: compileError(source, error) };
    throw error;
  }
}

const NO_SLOTS: Value[] = [];

/** @param node the expression, or a part of it that names no variable of a macro outside. */
export function evaluator(node: Node, source: string, parity: boolean): Expression['evaluate'] {
  const run = compiler(parity).compile(node);
  const cost = weight(node);
  const loops = some(node, (part) => part.kind === 'macro');
  return ({ event = null, async = null }, { now, fuel = DEFAULT_FUEL }) => {
    const frame: Frame = {
      event: event as Value,
      async: async as Value,
      now,
      fuel: fuel - cost,
      slots: loops ? [] : NO_SLOTS,
    };
    const value = frame.fuel < 0 ? null : guarded(run, frame, node.at);
    if (frame.fuel < 0) return failed(source, exhausted(node.at), 'cost');
    return value instanceof Failure ? failed(source, value, 'data') : { ok: true, value };
  };
}

/** One expression must never stop the evaluation of others (EX-76), not even by a fault of ours. */
function guarded(run: Run, frame: Frame, at: number): Outcome {
  try {
    return run(frame);
  } catch {
    return new Failure('the expression could not be evaluated', at);
  }
}

function failed(source: string, { message, at }: Failure, kind: EvaluationError['kind']): Evaluation {
  return { ok: false, error: { kind, message, position: positionOf(source, at) } };
}

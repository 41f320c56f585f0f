/** Short words for the tests of expressions. */
import {
  compile,
  type Evaluation,
  type Expression,
  type Place,
  type Roots,
} from '../../src/expr/expression.ts';
import type { CompileError } from '../../src/expr/errors.ts';
import { scalarText } from '../../src/expr/text.ts';
import { Double, Opaque, type Value } from '../../src/expr/values.ts';

export const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);

export interface Given extends Roots {
  data?: object;
  place?: Place;
  parity?: boolean;
  fuel?: number;
}

export function expression(source: string, { place = 'pair', parity = false }: Given = {}): Expression {
  const compiled = compile(source, { place, parity });
  if (!compiled.ok) throw new Error(`${source}: ${compiled.error.message}`);
  return compiled.expression;
}

export function evaluate(source: string, given: Given = {}): Evaluation {
  const { data = {}, event = { name: 'a/b', data, ts: NOW }, async = {}, fuel } = given;
  return expression(source, given).evaluate({ event, async }, { now: NOW, ...(fuel ? { fuel } : {}) });
}

/** The result as plain data: doubles as numbers, ints beyond 2^53 as texts with `n`, times as texts, map literals as objects; errors as `error: <message>`. */
export function value(source: string, given: Given = {}): unknown {
  const result = evaluate(source, given);
  return result.ok ? plain(result.value) : `error: ${result.error.message}`;
}

export function plain(result: Value): unknown {
  if (result instanceof Double) return result.value;
  if (result instanceof Opaque) return scalarText(result);
  if (typeof result === 'bigint') return `${result}n`;
  if (Array.isArray(result)) return result.map(plain);
  if (result instanceof Map) return Object.fromEntries([...result].map(([key, item]) => [key, plain(item)]));
  return result;
}

export function problem(source: string, place: Place = 'pair'): CompileError {
  const compiled = compile(source, { place });
  if (compiled.ok) throw new Error(`compiled: ${source}`);
  return compiled.error;
}

/** Whether the expression compiles there. */
export function compiles(source: string, place: Place): boolean {
  return compile(source, { place }).ok;
}

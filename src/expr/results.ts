/** What the result of an expression means where it is used (EX-12, EX-13, EX-67 to EX-74). */
import { sha256Hex } from '../lib/hash.ts';
import type { Evaluation } from './expression.ts';
import { identityOf } from './identity.ts';
import { canonicalJson, scalarText } from './text.ts';
import { numeric, typeName } from './values.ts';

/** `warning` is for the function's page (EX-77). */
export interface Verdict {
  readonly matched: boolean;
  readonly warning: string | null;
}

/** Only `true` matches (EX-13). */
export function verdict(evaluation: Evaluation): Verdict {
  if (!evaluation.ok) return { matched: false, warning: evaluation.error.message };
  const { value } = evaluation;
  if (typeof value === 'boolean') return { matched: value, warning: null };
  return { matched: false, warning: `the condition gave ${typeName(value)} instead of a boolean` };
}

export type KeyResult =
  | {
      readonly kind: 'key';
      /** Equal for equal values only (EX-68). */
      readonly id: string;
      /** For people: cut to 256 characters (EX-73). */
      readonly text: string;
    }
  /** What a missing key means differs by the place (EX-70). */
  | { readonly kind: 'missing'; readonly warning: string | null };

const MAX_TEXT = 256;

/** @param falseIsMissing for rate limits and idempotency (EX-71). */
export function keyOf(evaluation: Evaluation, { falseIsMissing = false } = {}): KeyResult {
  if (!evaluation.ok) return { kind: 'missing', warning: evaluation.error.message };
  const { value } = evaluation;
  if (value === null || (value === false && falseIsMissing)) return { kind: 'missing', warning: null };
  const id = identityOf(value);
  if (id === null) return { kind: 'missing', warning: 'the key nests too deeply' };
  const text = scalarText(value) ?? canonicalJson(value) ?? '';
  return { kind: 'key', id, text: cut(text) };
}

function cut(text: string): string {
  if (text.length <= MAX_TEXT) return text;
  const hash = `#${sha256Hex(text).slice(0, 16)}`;
  return text.slice(0, MAX_TEXT - hash.length) + hash;
}

const PRIORITY_RANGE = 600;

/** Whole seconds within the range; 0 for everything that is no number (EX-74). */
export function priorityOf(evaluation: Evaluation): {
  readonly seconds: number;
  readonly warning: string | null;
} {
  if (!evaluation.ok) return { seconds: 0, warning: evaluation.error.message };
  const number = Number(numeric(evaluation.value) ?? Number.NaN);
  if (Number.isNaN(number)) {
    return { seconds: 0, warning: `the priority is ${typeName(evaluation.value)} instead of a number` };
  }
  const seconds = Math.trunc(Math.max(-PRIORITY_RANGE, Math.min(PRIORITY_RANGE, number)));
  return { seconds: seconds + 0, warning: null };
}

/** One of the five fields of a schedule: `*`, numbers, names, ranges, steps, and lists of these (CR-7). */

export interface FieldRule {
  name: string;
  min: number;
  max: number;
  /** Three-letter names; the first one stands for `min`. */
  names?: readonly string[];
  /** The largest value is another way to write the smallest: 7 is Sunday, and so is 0. */
  wraps?: true;
}

export interface Field {
  /** What matches, ascending. */
  values: readonly number[];
  /** No restriction: a part of the field is `*`, with no step or the step 1. */
  any: boolean;
  /** A part of the field is `*` or has a step. */
  stepped: boolean;
}

const PART = /^(?:\*|([a-z]+|\d+)(?:-([a-z]+|\d+))?)(?:\/(\d+))?$/i;

/** A text instead of a field says what was expected and what was found. */
export function parseField(rule: FieldRule, text: string): Field | string {
  const values = new Set<number>();
  let any = false;
  let stepped = false;
  for (const part of text.split(',')) {
    const parsed = parsePart(rule, part);
    if (typeof parsed === 'string') return parsed;
    const { from, to, step } = parsed;
    for (let value = from; value <= to; value += step ?? 1) {
      values.add(rule.wraps && value === rule.max ? rule.min : value);
    }
    any ||= part === '*' || part === '*/1';
    stepped ||= part === '*' || step !== null;
  }
  return { values: [...values].toSorted((a, b) => a - b), any, stepped };
}

interface Part {
  from: number;
  to: number;
  step: number | null;
}

function parsePart(rule: FieldRule, part: string): Part | string {
  const match = PART.exec(part);
  if (match === null) return `expected *, ${valuesOf(rule)}, a range or a step such as */2, found "${part}"`;
  const [, first, last, stepText] = match;
  const step = stepText === undefined ? null : Number(stepText);
  // `*` and `5/15` run to the end of the field; Sunday is at its start already.
  const end = rule.wraps ? rule.max - 1 : rule.max;
  const steps = end - rule.min + 1;
  if (step !== null && (step < 1 || step > steps)) {
    return `expected a step from 1 to ${steps}, found "/${stepText}"`;
  }
  if (first === undefined) return { from: rule.min, to: end, step };
  const from = valueOf(rule, first);
  if (from === null) return `expected ${valuesOf(rule)}, found "${first}"`;
  const to = last === undefined ? (step === null ? from : end) : valueOf(rule, last);
  if (to === null) return `expected ${valuesOf(rule)}, found "${last}"`;
  return upwards(rule, { from, to, step }) ?? `expected a range that runs upwards, found "${part}"`;
}

/** Sunday may stand at either end of a range: `fri-sun`, `7-2`. */
function upwards(rule: FieldRule, range: Part): Part | null {
  if (range.from <= range.to) return range;
  if (rule.wraps && range.to === rule.min) return { ...range, to: rule.max };
  if (rule.wraps && range.from === rule.max) return { ...range, from: rule.min };
  return null;
}

function valueOf({ min, max, names = [] }: FieldRule, text: string): number | null {
  const named = names.indexOf(text.toLowerCase());
  const value = named === -1 ? (/^\d+$/.test(text) ? Number(text) : NaN) : min + named;
  return value >= min && value <= max ? value : null;
}

function valuesOf({ min, max, names }: FieldRule): string {
  const numbers = `a number from ${min} to ${max}`;
  return names === undefined ? numbers : `${numbers}, ${names[0]} to ${names.at(-1)}`;
}

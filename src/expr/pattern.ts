/**
 * `matches` (EX-65): RE2, so that time is linear in the text. Linear is not yet cheap: a pattern such as `(a|b)*a(a|b){20}`
 * makes the library build a state for almost every character, so the size of the pattern is bounded and both sizes are charged.
 */
import { RE2JS } from '@bufbuild/re2';

/** Instructions of a pattern that stands in the expression, and of one that comes with the data. */
const LITERAL_SIZE = 2_000;
const DYNAMIC_SIZE = 200;
/** The library keeps the states that it built. It is given a new start after so many characters. */
const RENEW_AFTER = 10_000;

export interface Pattern {
  /** Units of fuel for a text of this length. */
  cost(length: number): number;
  test(text: string): boolean;
}

export type Compiled = { ok: true; pattern: Pattern } | { ok: false; reason: string };

/** A pattern written in the expression. */
export function literalPattern(source: string): Compiled {
  return build(source, LITERAL_SIZE, 0, 16);
}

/**
 * A pattern from the data: smaller, charged for the worst case, and without Unicode classes,
 * whose tables the library makes at their first use in about 100 ms.
 */
export function dynamicPattern(source: string): Compiled {
  return build(source, DYNAMIC_SIZE, RE2JS.DISABLE_UNICODE_GROUPS, 1);
}

/** About the number of instructions. A pattern is given to the library only when this is known to be small. */
export function patternSize(source: string): number {
  // What stands before each open group; the size so far; the size of what a repetition would repeat.
  const open: number[] = [];
  let sum = 0;
  let last = 0;
  for (let i = 0; i < source.length; i++) {
    const letter = source[i] ?? '';
    const repetition = letter === '{' ? REPETITION.exec(source.slice(i, i + 16)) : null;
    if (repetition !== null) {
      const times = timesOf(repetition);
      sum += last * (times - 1);
      last *= times;
      i += repetition[0].length - 1;
    } else if (letter === '(') {
      open.push(sum);
      [sum, last] = [2, 0];
    } else if (letter === ')') {
      last = sum;
      sum += open.pop() ?? 0;
    } else {
      const size = '*+?'.includes(letter) ? 1 : 2;
      last = size === 1 ? last + 1 : 2;
      sum += size;
      i = atomEnd(source, i);
    }
  }
  return open.reduce((all, size) => all + size, sum);
}

const REPETITION = /^\{(\d+)(?:,(\d*))?\}/;

/** `{2,}` is two copies and a loop. */
function timesOf([, least, most]: RegExpExecArray): number {
  return Math.max(1, Number(least) + (most === '' ? 1 : 0), Number(most ?? 0));
}

/** The last place of an escape or a class. */
function atomEnd(source: string, at: number): number {
  if (source[at] === '[') return classEnd(source, at);
  return source[at] === '\\' ? at + 1 : at;
}

function classEnd(source: string, start: number): number {
  let i = start + 1;
  if (source[i] === '^') i++;
  if (source[i] === ']') i++;
  while (i < source.length && source[i] !== ']') i += source[i] === '\\' ? 2 : 1;
  return i;
}

function build(source: string, limit: number, flags: number, discount: number): Compiled {
  const size = patternSize(source);
  if (size > limit) return { ok: false, reason: 'the pattern is too large' };
  try {
    let regex = RE2JS.compile(source, flags);
    let seen = 0;
    const test = (text: string) => {
      if (seen > RENEW_AFTER) {
        regex = RE2JS.compile(source, flags);
        seen = 0;
      }
      seen += text.length;
      return regex.test(text);
    };
    return { ok: true, pattern: { cost: (length) => 1 + ((length + 1) * size) / discount / 4, test } };
  } catch {
    return { ok: false, reason: 'the pattern is not a valid RE2 expression' };
  }
}

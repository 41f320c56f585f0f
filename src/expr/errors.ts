/** What is wrong with an expression, and where (EX-75). */

/** Line and column count from 1, the offset from 0. Columns and offsets are UTF-16 units. */
export interface Position {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

export interface CompileError {
  readonly message: string;
  readonly position: Position;
  /** The line in question and a caret below the place. */
  readonly excerpt: string;
  /** What to write instead, for the common slips. */
  readonly hint?: string;
}

/** Names paths, types and a place; never a value. */
export interface EvaluationError {
  /** `cost`: the evaluation ran out of fuel. `data`: the expression has no value for this data. */
  readonly kind: 'cost' | 'data';
  readonly message: string;
  readonly position: Position;
}

/** Thrown while an expression is read and compiled, and caught there. */
export class Problem extends Error {
  readonly at: number;
  readonly hint: string | undefined;
  constructor(message: string, at: number, hint?: string) {
    super(message);
    this.at = at;
    this.hint = hint;
  }
}

/** Longest part of a line shown on either side of the place. */
const CONTEXT = 60;

export function positionOf(source: string, offset: number): Position {
  const before = source.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { offset, line: before.split('\n').length, column: offset - lineStart + 1 };
}

export function compileError(source: string, { message, at, hint }: Problem): CompileError {
  const offset = Math.max(0, Math.min(at, source.length));
  const position = positionOf(source, offset);
  const error = { message, position, excerpt: excerptOf(source, position) };
  return hint === undefined ? error : { ...error, hint };
}

function excerptOf(source: string, { offset, column }: Position): string {
  const start = offset - (column - 1);
  const end = source.indexOf('\n', offset);
  const from = Math.max(start, offset - CONTEXT);
  const to = Math.min(end === -1 ? source.length : end, offset + CONTEXT);
  return `${source.slice(from, to)}\n${' '.repeat(offset - from)}^`;
}

/** One text for logs, replies and run errors; the caller puts function and option before it. */
export function describe({ message, position, excerpt, hint }: CompileError): string {
  const place = `line ${position.line}, column ${position.column}`;
  return `${message} (${place})\n${excerpt}${hint === undefined ? '' : `\n${hint}`}`;
}

/** A hint for the place where reading stopped. */
export function hintAt(source: string, at: number): string | undefined {
  const near = source.slice(Math.max(0, at - 3), at + 3);
  const word = /^\w+/.exec(source.slice(at))?.[0] ?? '';
  for (const [wrong, hint] of SLIPS) {
    if (wrong.test(near) || wrong.test(word)) return hint;
  }
  if (/\bnot\s+$/i.test(source.slice(0, at))) return NOT;
  return source.includes('{{') ? TEMPLATE : undefined;
}

const TEMPLATE = 'An expression is no template: write the path itself, without braces.';
const NOT = 'Write ! for "not".';
const SLIPS: readonly (readonly [RegExp, string])[] = [
  [/===/, 'Write == for equality.'],
  [/!==/, 'Write != for inequality.'],
  [/\{\{|\}\}/, TEMPLATE],
  [/\?\?/, 'Write x != null ? x : y for a default.'],
  [/\?\./, 'Write a plain dot: what is missing reads as null.'],
  [/^and$/i, 'Write && for "and".'],
  [/^or$/i, 'Write || for "or".'],
  [/^not$/i, NOT],
  [/(^|[^=!<>])=($|[^=])/, 'Write == to compare; there is no assignment.'],
  [/(^|[^&])&($|[^&])/, 'Write && for "and".'],
  [/(^|[^|])\|($|[^|])/, 'Write || for "or".'],
];

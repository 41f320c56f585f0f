/** Source text to the library's syntax tree. Nothing but this file and read.ts knows the library. */
import { Environment, ParseError, type ASTNode } from '@marcbachmann/cel-js';
import { utf8Length } from '../lib/json.ts';
import { hintAt, Problem } from './errors.ts';

/** EX-4. */
const MAX_SOURCE = 4_096;
export const MAX_NESTING = 64;

/** Lists and calls are bounded by the length of the source. */
const grammar = new Environment({
  limits: {
    maxDepth: MAX_NESTING,
    maxAstNodes: 2 * MAX_SOURCE,
    maxListElements: MAX_SOURCE,
    maxMapEntries: MAX_SOURCE,
    maxCallArguments: MAX_SOURCE,
  },
});

export function parse(source: string): ASTNode {
  const length = source.length > MAX_SOURCE ? source.length : utf8Length(source);
  if (length > MAX_SOURCE) throw new Problem(`the expression is longer than ${MAX_SOURCE} bytes`, 0);
  if (source.trim() === '') throw new Problem('the expression is empty', 0);
  try {
    return grammar.parse(source).ast;
  } catch (error) {
    if (error instanceof ParseError) throw translate(source, error);
    // The library descends by recursion; what overflows the stack nests too deeply.
    throw new Problem(tooDeep, 0);
  }
}

export const tooDeep = `the expression nests more than ${MAX_NESTING} levels deep`;

/** The library's codes in our words. */
function translate(source: string, error: ParseError): Problem {
  const at = error.range?.start ?? 0;
  return new Problem(reason(source, error, at), at, hintAt(source, at));
}

function reason(source: string, { code, summary, range }: ParseError, at: number): string {
  switch (code) {
    case 'limit_exceeded':
      return tooDeep;
    case 'unexpected_token':
    case 'unexpected_character':
    case 'expected_token': {
      const found = source.slice(at, Math.max(range?.end ?? 0, at + 1));
      return found.trim() === '' ? 'the expression ends too early' : `unexpected ${found}`;
    }
    case 'reserved_identifier':
      return 'a reserved word cannot be used as a name';
    case 'invalid_macro_argument':
      return 'a macro needs a name as its first argument, such as list.all(x, …)';
    default:
      return lowerFirst(summary);
  }
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

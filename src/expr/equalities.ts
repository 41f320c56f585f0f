/**
 * The index of expressions (EX-78 to EX-81): equalities that must hold for the whole to be true, so that an event finds
 * by lookup what it may match. The index only narrows: what it finds is evaluated in full.
 *
 * Whatever makes the whole true makes every part of the outermost `&&` true; so each part of the form
 * `path == constant` may be looked up by (path, identity of the constant).
 */
import { valueAt } from './access.ts';
import { isMatch } from './chain.ts';
import { evaluator, type Expression, type Roots } from './expression.ts';
import { scalarIdentity } from './identity.ts';
import { pathOf, some, type Key, type Node, type Root } from './syntax.ts';
import { Double, Failure, Opaque, type Value } from './values.ts';

export interface Equality {
  readonly path: readonly Key[];
  /** The path as one text, for a column. */
  readonly pathText: string;
  /** The identity that `identityAt` must find at the path. */
  readonly identity: string;
}

export interface Index {
  readonly equalities: readonly Equality[];
  /** The expression cannot be true for any event: an equality with nothing, or a false part without the unknown root. */
  readonly never: boolean;
}

const NOW = 0;

/**
 * @param over the root that is not known yet.
 * @param given what is known: the run's event, when `over` is `async`.
 */
export function index(expression: Expression, over: Root, given: Roots = {}): Index {
  const { node } = expression;
  const equalities: Equality[] = [];
  for (const part of node.kind === 'and' ? node.items : [node]) {
    const found = inspect(part, expression, over, given);
    if (found === 'never') return { equalities: [], never: true };
    if (found !== null) equalities.push(found);
  }
  return { equalities, never: false };
}

function inspect(part: Node, by: Expression, over: Root, given: Roots): Equality | 'never' | null {
  if (isKnown(part, over)) {
    const value = valueOf(part, by, given);
    return value === undefined || value === true ? null : 'never';
  }
  if (part.kind !== 'chain' || part.rest.length !== 1 || part.rest[0]?.op !== '==') return null;
  const { operand } = part.rest[0];
  const [known, unknown] = isKnown(part.first, over) ? [part.first, operand] : [operand, part.first];
  const path = pathOf(unknown);
  if (path === null || !isKnown(known, over)) return null;
  const value = valueOf(known, by, given);
  if (value === null) return !by.parity && isMatch(known, unknown) ? 'never' : null;
  return value === undefined ? null : equality(path.keys, value);
}

/** An error can make nothing true, and is no value; nothing is said of what costs too much to know. */
function valueOf(node: Node, { source, parity }: Expression, given: Roots): Value | undefined | Opaque {
  const result = evaluator(node, source, parity)(given, { now: NOW });
  if (result.ok) return result.value;
  return result.error.kind === 'cost' ? undefined : new Failure(result.error.message, node.at);
}

/** Neither the unknown root nor the clock is read. */
function isKnown(node: Node, over: Root): boolean {
  return !some(
    node,
    (part) =>
      (part.kind === 'root' && part.root === over) ||
      (part.kind === 'call' && part.definition.clock === true),
  );
}

function equality(path: readonly Key[], value: Value | Opaque): Equality | 'never' | null {
  // Events hold JSON: neither times nor errors are found in them.
  if (value instanceof Opaque && !(value instanceof Double)) return 'never';
  const identity = scalarIdentity(value);
  return identity === null ? null : { path, pathText: pathText(path), identity };
}

function pathText(path: readonly Key[]): string {
  return JSON.stringify(path);
}

/** What an event has at a path, as equalities name it; null when it has nothing that an equality could name. */
export function identityAt(event: object, path: readonly Key[]): string | null {
  return scalarIdentity(valueAt(event as Value, path));
}

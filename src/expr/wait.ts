/**
 * Waits and cancellations: an expression over `event`, which is known when the wait begins, and `async`, the incoming event.
 * What the expression can read of `event` is kept beside its text; nothing is written into the text, so it has one meaning
 * before and after, and all waits of one text share one compiled expression (EX-79, EX-80).
 */
import { valueAt } from './access.ts';
import { compileError, Problem } from './errors.ts';
import { index, type Index } from './equalities.ts';
import { compile, type Compilation, type Expression } from './expression.ts';
import { partsOf, pathOf, readsUser, type Key, type Node } from './syntax.ts';
import type { Value } from './values.ts';

export interface Wait extends Index {
  /**
   * The part of the run's event that the expression can read: to be stored with the wait.
   * A candidate is tested by `expression.evaluate({ event, async }, context)`.
   */
  readonly event: object;
}

/** @param event the run's event, or the part of it that an earlier `bind` returned. */
export function bind(expression: Expression, event: object): Wait {
  const part = excerpt(expression.node, event);
  return { ...index(expression, 'async', { event: part }), event: part };
}

/** What the node reads of the event, with the same paths. */
function excerpt(node: Node, event: object): object {
  const paths: (readonly Key[])[] = [];
  collect(node, paths);
  if (paths.some((path) => path.length === 0)) return event;
  const part: Tree = Object.create(null) as Tree;
  for (const path of paths) {
    const within = paths.some(
      (other) => other.length < path.length && other.every((key, i) => key === path[i]),
    );
    if (!within) copy(event, part, path);
  }
  return part;
}

type Tree = { [key: string]: Value | Tree };

function collect(node: Node, paths: (readonly Key[])[]): void {
  const path = pathOf(node);
  if (path === null) for (const part of partsOf(node)) collect(part, paths);
  else if (path.root === 'event') {
    const item = path.keys.findIndex((key) => typeof key === 'number');
    paths.push(item === -1 ? path.keys : path.keys.slice(0, item));
  }
}

/** No path lies within another one, so what is written to is always ours. */
function copy(event: object, part: Tree, path: readonly Key[]): void {
  const value = valueAt(event as Value, path);
  if (value === null) return;
  let at = part;
  for (const key of path.slice(0, -1)) at = (at[key] ??= Object.create(null) as Tree) as Tree;
  at[String(path.at(-1))] = value;
}

/**
 * An expression for a wait or a cancellation. `user` is encrypted at rest (EVT-10), and what a wait compares is stored with it: so these
 * expressions may not read it.
 */
export function compileWait(source: string): Compilation {
  const compiled = compile(source, { place: 'pair' });
  if (!compiled.ok || !readsUser(compiled.expression.node)) return compiled;
  const message = '`user` is encrypted and cannot be compared here: put what you match on into `data`';
  return { ok: false, error: compileError(source, new Problem(message, compiled.expression.node.at)) };
}

/** `match` is short for an equality of one path in both events (EX-25, WE-4). */
export function matchExpression(path: string): string {
  const direct = `event.${path}`;
  const compiled = compile(direct, { place: 'event' });
  if (compiled.ok && pathOf(compiled.expression.node) !== null) return `${direct} == async.${path}`;
  // Segments that are no identifiers, such as `data.order-id`.
  const quoted = path
    .split('.')
    .map((segment) => `[${JSON.stringify(segment)}]`)
    .join('');
  return `event${quoted} == async${quoted}`;
}

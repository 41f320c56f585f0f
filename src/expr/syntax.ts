/** The syntax tree that everything here works on: names are resolved, constants are values, chains are flat. */
import { never } from '../lib/never.ts';
import type { Sum } from './arithmetic.ts';
import type { Relation } from './compare.ts';
import type { Definition } from './functions.ts';
import type { Pattern } from './pattern.ts';
import type { Value } from './values.ts';

/** `event` started the run, or is about to; `async` is the incoming event that is matched against it (EX-14, EX-15). */
export type Root = 'event' | 'async';

export type BinaryOp = Sum | Relation | '==' | '!=' | 'in';
export type MacroName = 'all' | 'exists' | 'exists_one' | 'map' | 'filter';

export type Node = {
  /** Offset in the source. */
  readonly at: number;
} & (
  | { readonly kind: 'constant'; readonly value: Value }
  | { readonly kind: 'root'; readonly root: Root }
  | { readonly kind: 'variable'; readonly slot: number; readonly name: string }
  | { readonly kind: 'field'; readonly object: Node; readonly name: string }
  | { readonly kind: 'index'; readonly object: Node; readonly key: Node }
  | { readonly kind: 'list'; readonly items: readonly Node[] }
  | { readonly kind: 'map'; readonly entries: readonly (readonly [Node, Node])[] }
  | { readonly kind: 'has'; readonly target: Node }
  | { readonly kind: 'not'; readonly operand: Node }
  | { readonly kind: 'negate'; readonly operand: Node }
  | { readonly kind: 'and' | 'or'; readonly items: readonly Node[] }
  | { readonly kind: 'choose'; readonly condition: Node; readonly yes: Node; readonly no: Node }
  | { readonly kind: 'chain'; readonly first: Node; readonly rest: readonly ChainLink[] }
  | CallNode
  | MacroNode
);

/** Operators of one precedence, applied from left to right: `a + b - c`. */
export interface ChainLink {
  readonly op: BinaryOp;
  readonly at: number;
  readonly operand: Node;
}

interface CallNode {
  readonly kind: 'call';
  readonly name: string;
  readonly definition: Definition;
  /** The receiver of a method comes first. */
  readonly args: readonly Node[];
  readonly pattern?: Pattern;
}

interface MacroNode {
  readonly kind: 'macro';
  readonly name: MacroName;
  readonly range: Node;
  readonly slot: number;
  readonly condition: Node | null;
  readonly body: Node;
}

/** The parts of a node, in the order of evaluation. */
export function partsOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case 'field':
      return [node.object];
    case 'index':
      return [node.object, node.key];
    case 'list':
    case 'and':
    case 'or':
      return node.items;
    case 'map':
      return node.entries.flat();
    case 'has':
      return [node.target];
    case 'not':
    case 'negate':
      return [node.operand];
    case 'choose':
      return [node.condition, node.yes, node.no];
    case 'chain':
      return [node.first, ...node.rest.map(({ operand }) => operand)];
    case 'call':
      return node.args;
    case 'macro':
      return [node.range, ...(node.condition === null ? [] : [node.condition]), node.body];
    case 'constant':
    case 'root':
    case 'variable':
      return [];
    default:
      return never(node);
  }
}

/** Whether a part of the node, or the node itself, is what is looked for. */
export function some(node: Node, found: (part: Node) => boolean): boolean {
  return found(node) || partsOf(node).some((part) => some(part, found));
}

/** Units of fuel for one evaluation of the node, without the turns of its macros, which pay for themselves. */
export function weight(node: Node): number {
  if (node.kind === 'macro') return 1 + weight(node.range);
  return partsOf(node).reduce((sum, part) => sum + weight(part), 1);
}

export type Key = string | number;
export interface Path {
  readonly root: Root;
  readonly keys: readonly Key[];
}

/** `event.a["b"][0]`, if the node is nothing but that. */
export function pathOf(node: Node): Path | null {
  const keys: Key[] = [];
  for (let at = node; ;) {
    if (at.kind === 'root') return { root: at.root, keys: keys.toReversed() };
    if (at.kind === 'field') {
      keys.push(at.name);
      at = at.object;
    } else if (at.kind === 'index' && at.key.kind === 'constant' && isKey(at.key.value)) {
      keys.push(at.key.value);
      at = at.object;
    } else return null;
  }
}

function isKey(value: Value): value is Key {
  return typeof value === 'string' || typeof value === 'number';
}

/** What a node is called in messages: its path, or what kind of thing it is. Constants may hold user data and are not shown. */
export function label(node: Node): string {
  if (node.kind === 'root') return node.root;
  if (node.kind === 'variable') return node.name;
  if (node.kind === 'field') return `${label(node.object)}.${node.name}`;
  if (node.kind === 'index') {
    const index = node.key.kind === 'constant' && typeof node.key.value === 'number' ? node.key.value : '…';
    return `${label(node.object)}[${index}]`;
  }
  if (node.kind === 'call' || node.kind === 'macro') return `the result of ${node.name}`;
  return node.kind === 'constant' ? 'a constant' : 'a part of the expression';
}

/** Whether the `user` of an event may be read: also by what takes the event as a whole, or a member by a name that is not known before. */
export function readsUser(node: Node): boolean {
  const member = memberOfEvent(node);
  if (member !== null) return member === 'user';
  return node.kind === 'root' || partsOf(node).some(readsUser);
}

function memberOfEvent(node: Node): string | null {
  if (node.kind === 'field') return node.object.kind === 'root' ? node.name : null;
  if (node.kind !== 'index' || node.object.kind !== 'root' || node.key.kind !== 'constant') return null;
  return typeof node.key.value === 'string' ? node.key.value : null;
}

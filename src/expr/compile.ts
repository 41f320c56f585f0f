/** The syntax tree to closures: each node becomes one function of the evaluation's frame. */
import { compileAccess, compileHas } from './access.ts';
import { compileChain, compileNegate } from './chain.ts';
import type { Frame } from './fuel.ts';
import type { Call } from './functions.ts';
import { compileChoose, compileJunction, compileNot } from './logic.ts';
import { compileMacro } from './macros.ts';
import { never } from '../lib/never.ts';
import { label, type Node } from './syntax.ts';
import { Failure, mapKey, typeName, type MapKey, type Outcome, type Value } from './values.ts';

/** Never throws; an error is a value. */
export type Run = (frame: Frame) => Outcome;

export interface Compiler {
  readonly compile: (node: Node) => Run;
  /** Null sorts below what it is compared with, and is equal to null in `event.x == async.x` (EX-50, EX-51). */
  readonly parity: boolean;
}

export function compiler(parity: boolean): Compiler {
  const self: Compiler = { parity, compile: (node) => compileNode(node, self) };
  return self;
}

function compileNode(node: Node, by: Compiler): Run {
  switch (node.kind) {
    case 'constant': {
      const { value } = node;
      return () => value;
    }
    case 'root':
    case 'field':
    case 'index':
      return compileAccess(node, by);
    case 'variable': {
      const { slot } = node;
      return (frame) => frame.slots[slot] ?? null;
    }
    case 'list':
      return compileList(node.items.map(by.compile));
    case 'map':
      return compileMap(node, by);
    case 'has':
      return compileHas(by.compile(node.target));
    case 'not':
      return compileNot(node, by);
    case 'negate':
      return compileNegate(node, by);
    case 'and':
    case 'or':
      return compileJunction(node, by);
    case 'choose':
      return compileChoose(node, by);
    case 'chain':
      return compileChain(node, by);
    case 'call':
      return compileCall(node, by);
    case 'macro':
      return compileMacro(node, by);
    default:
      return never(node);
  }
}

function compileList(items: readonly Run[]): Run {
  return (frame) => {
    const values: Value[] = [];
    for (const item of items) {
      const value = item(frame);
      if (value instanceof Failure) return value;
      values.push(value);
    }
    return values;
  };
}

function compileMap({ entries, at }: Extract<Node, { kind: 'map' }>, { compile }: Compiler): Run {
  const pairs = entries.map(([key, value]) => [compile(key), compile(value)] as const);
  return (frame) => {
    const map = new Map<MapKey, Value>();
    for (const [readKey, readValue] of pairs) {
      const key = readKey(frame);
      if (key instanceof Failure) return key;
      const value = readValue(frame);
      if (value instanceof Failure) return value;
      const own = mapKey(key);
      if (own === undefined) return new Failure(`a map cannot have ${typeName(key)} as a key`, at);
      if (map.has(own)) return new Failure('a map has the same key twice', at);
      map.set(own, value);
    }
    return map;
  };
}

function compileCall(node: Extract<Node, { kind: 'call' }>, { compile }: Compiler): Run {
  const { run, ofNull = null } = node.definition;
  const [first, second] = node.args.map(compile);
  const call: Call = { name: node.name, at: node.at, labels: node.args.map(label), pattern: node.pattern };
  if (first === undefined) return (frame) => run(frame, call, null, null);
  return (frame) => {
    const a = first(frame);
    if (a instanceof Failure) return a;
    const b = second === undefined ? null : second(frame);
    if (b instanceof Failure) return b;
    return a === null || (b === null && second !== undefined) ? ofNull : run(frame, call, a, b);
  };
}

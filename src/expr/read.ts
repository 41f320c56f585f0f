/**
 * The library's syntax tree to ours. Everything that can be known to be wrong before evaluation is found here:
 * unknown names and functions, wrong numbers of arguments, invalid literals, the clock where it is refused.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import { UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { never } from '../lib/never.ts';
import { Problem } from './errors.ts';
import type { Frame } from './fuel.ts';
import { functions, type Definition } from './functions.ts';
import { MAX_NESTING, tooDeep } from './parse.ts';
import { literalPattern } from './pattern.ts';
import type { BinaryOp, ChainLink, MacroName, Node, Root } from './syntax.ts';
import { Failure, INT_MAX, toDouble, toInt, type Value } from './values.ts';

/** What expressions of a place may use. */
export interface Scope {
  readonly roots: readonly Root[];
  /** Whether `now()` and its like are allowed (EX-64). */
  readonly clock: boolean;
}

interface Reading extends Scope {
  readonly source: string;
  /** Variables of the macros around, by name; the last one hides those before it. */
  readonly variables: readonly { readonly name: string; readonly slot: number }[];
}

type NodeOf<Op extends ASTNode['op']> = Extract<ASTNode, { op: Op }>;

/** @param root what the library read from `source`. */
export function read(root: ASTNode, source: string, scope: Scope): Node {
  return readNode(root, { ...scope, source, variables: [] });
}

function readNode(node: ASTNode, reading: Reading): Node {
  if (isBinary(node)) return chain(node, reading);
  switch (node.op) {
    case 'value':
      return { kind: 'constant', at: node.start, value: literal(node) };
    case 'id':
      return name(node, reading);
    case '.':
      return { kind: 'field', at: node.start, object: readNode(node.args[0], reading), name: node.args[1] };
    case '[]':
      return readIndex(node, reading);
    case 'call':
      return readCall(node.args[0], null, node.args[1], node, reading);
    case 'rcall':
      return readCall(node.args[0], node.args[1], node.args[2], node, reading);
    case 'list':
      return list(node, reading);
    case 'map':
      return {
        kind: 'map',
        at: node.start,
        entries: node.args.map(([key, value]) => [readNode(key, reading), readNode(value, reading)] as const),
      };
    case '!_':
    case '-_':
      return unary(node, reading);
    case '?:':
      return choose(node, reading);
    case '||':
    case '&&':
      return logic(node, reading);
    case '.?':
    case '[?]':
      throw new Problem('optional values are not supported', node.start);
    default:
      return never(node);
  }
}

function literal(node: NodeOf<'value'>): Value {
  const value = node.args;
  if (value instanceof Uint8Array) throw new Problem('bytes are not supported', node.start);
  if (value instanceof UnsignedInt) return literalInt(value.value, node.start);
  if (typeof value === 'bigint') return literalInt(value, node.start);
  return typeof value === 'number' ? toDouble(value) : value;
}

function literalInt(value: bigint, at: number): Value {
  const int = toInt(value);
  if (int === undefined) throw new Problem('the number is beyond 64 bits', at);
  return int;
}

function name(node: NodeOf<'id'>, { variables, roots }: Reading): Node {
  const variable = variables.findLast((known) => known.name === node.args);
  if (variable !== undefined) return { kind: 'variable', at: node.start, ...variable };
  const root = roots.find((known) => known === node.args);
  if (root !== undefined) return { kind: 'root', at: node.start, root };
  throw new Problem(
    `undeclared reference to ${node.args}`,
    node.start,
    node.args === 'async'
      ? 'async exists only in waits and cancellations, where an incoming event is matched.'
      : `Only ${roots.join(' and ')} can be named here. A text needs quotes: "${node.args}".`,
  );
}

function readIndex(node: NodeOf<'[]'>, reading: Reading): Node {
  const object = readNode(node.args[0], reading);
  const key = readNode(node.args[1], reading);
  return { kind: 'index', at: node.start, object, key };
}

function list(node: NodeOf<'list'>, reading: Reading): Node {
  const items = node.args.map((item) => readNode(item, reading));
  const values: Value[] = [];
  for (const item of items) if (item.kind === 'constant') values.push(item.value);
  return values.length === items.length
    ? { kind: 'constant', at: node.start, value: values }
    : { kind: 'list', at: node.start, items };
}

/** Signs pile up without braces around them, so the library does not count them as nesting. */
function unary(node: NodeOf<'!_' | '-_'>, reading: Reading): Node {
  const signs: NodeOf<'!_' | '-_'>[] = [];
  let inner: ASTNode = node;
  while (inner.op === '!_' || inner.op === '-_') {
    signs.push(inner);
    inner = inner.args;
  }
  if (signs.length > MAX_NESTING) throw new Problem(tooDeep, node.start);
  // The smallest int can only be written with its sign.
  const smallest = inner.op === 'value' && inner.args === INT_MAX + 1n && signs.at(-1)?.op === '-_';
  const operand: Node = smallest
    ? { kind: 'constant', at: signs.pop()?.start ?? inner.start, value: -(INT_MAX + 1n) }
    : readNode(inner, reading);
  return signs.reduceRight<Node>((below, sign) => {
    if (sign.op === '-_') return { kind: 'negate', at: sign.start, operand: below };
    return { kind: 'not', at: sign.start, operand: condition(below, '!') };
  }, operand);
}

function choose(node: NodeOf<'?:'>, reading: Reading): Node {
  const [test, yes, no] = node.args;
  return {
    kind: 'choose',
    at: node.start,
    condition: condition(readNode(test, reading), '?'),
    yes: readNode(yes, reading),
    no: readNode(no, reading),
  };
}

/** `a && b && c` as one node, however it is nested. */
function logic(node: NodeOf<'||' | '&&'>, reading: Reading): Node {
  const kind = node.op === '&&' ? 'and' : 'or';
  const operands: ASTNode[] = [];
  let left: ASTNode = node;
  while (left.op === node.op) {
    operands.push(left.args[1]);
    left = left.args[0];
  }
  operands.push(left);
  const items = operands.toReversed().flatMap((operand) => {
    const item = condition(readNode(operand, reading), node.op);
    return item.kind === kind ? item.items : [item];
  });
  return { kind, at: node.start, items };
}

/** Only booleans are conditions (EX-13, EX-29): a literal of another type is a slip, most often a default value after `||`. */
function condition(node: Node, op: string): Node {
  const wrong = node.kind === 'constant' && typeof node.value !== 'boolean' && node.value !== null;
  if (!wrong) return node;
  const hint = op === '||' ? 'For a default value write x != null ? x : y.' : undefined;
  throw new Problem(`"${op}" needs a boolean`, node.at, hint);
}

const PRECEDENCE: Record<BinaryOp, number> = {
  '==': 1,
  '!=': 1,
  '<': 2,
  '<=': 2,
  '>': 2,
  '>=': 2,
  in: 2,
  '+': 3,
  '-': 3,
  '*': 4,
  '/': 4,
  '%': 4,
};

type Binary = NodeOf<BinaryOp>;

function isBinary(node: ASTNode): node is Binary {
  return Object.hasOwn(PRECEDENCE, node.op);
}

/** Operators of one precedence read from left to right without recursion: a sum may have a thousand terms. */
function chain(node: Binary, reading: Reading): Node {
  const rest: ChainLink[] = [];
  let left: ASTNode = node;
  while (isBinary(left) && PRECEDENCE[left.op] === PRECEDENCE[node.op]) {
    const [before, operand]: readonly [ASTNode, ASTNode] = left.args;
    rest.push({ op: left.op, at: left.start, operand: readNode(operand, reading) });
    left = before;
  }
  return { kind: 'chain', at: node.start, first: readNode(left, reading), rest: rest.toReversed() };
}

/** Number of arguments without the receiver. */
const MACROS: Record<MacroName, readonly number[]> = {
  all: [2],
  exists: [2],
  exists_one: [2],
  filter: [2],
  map: [2, 3],
};

function isMacro(text: string): text is MacroName {
  return Object.hasOwn(MACROS, text);
}

function readCall(
  called: string,
  receiver: ASTNode | null,
  args: readonly ASTNode[],
  node: ASTNode,
  reading: Reading,
): Node {
  const nameAt = receiver === null ? node.start : reading.source.indexOf(called, receiver.end);
  if (receiver !== null && isMacro(called)) return macro(called, receiver, args, { nameAt, reading });
  if (receiver === null && called === 'has') return has(args, nameAt, reading);
  const definition = functions.get(called);
  const wanted = receiver === null ? 'function' : 'method';
  if (definition === undefined || (definition.form !== wanted && definition.form !== 'both')) {
    throw new Problem(`unknown ${wanted} ${called}`, nameAt, otherForm(called, definition));
  }
  if (definition.clock === true && !reading.clock) {
    throw new Problem(
      `${called} is not allowed in a key: a key must be the same whenever it is computed`,
      nameAt,
    );
  }
  const all = (receiver === null ? args : [receiver, ...args]).map((arg) => readNode(arg, reading));
  const [least, most] = definition.arity;
  if (all.length < least || all.length > most) {
    throw new Problem(`wrong number of arguments for ${called}`, nameAt);
  }
  return prepared({ kind: 'call', at: nameAt, name: called, definition, args: all });
}

function otherForm(called: string, definition: Definition | undefined): string | undefined {
  if (definition !== undefined)
    return definition.form === 'method' ? `Write x.${called}(…).` : `Write ${called}(x).`;
  return isMacro(called) ? `Write list.${called}(x, …).` : undefined;
}

/** What a call with literal arguments allows to do once: compile the pattern of `matches`, read a date. */
function prepared(node: Extract<Node, { kind: 'call' }>): Node {
  const values: Value[] = [];
  for (const arg of node.args) if (arg.kind === 'constant') values.push(arg.value);
  const last = node.args.at(-1);
  if (node.name === 'matches' && last?.kind === 'constant' && typeof last.value === 'string') {
    const compiled = literalPattern(last.value);
    if (!compiled.ok) throw new Problem(`matches: ${compiled.reason}`, last.at);
    return { ...node, pattern: compiled.pattern };
  }
  if (node.definition.fold !== true || values.length < node.args.length || values.includes(null)) return node;
  const frame: Frame = { event: null, async: null, now: 0, fuel: MAX_NESTING, slots: [] };
  const call = { name: node.name, at: node.at, labels: ['a constant'] };
  const value = node.definition.run(frame, call, values[0] ?? null, null);
  if (value instanceof Failure) throw new Problem(value.message, node.args[0]?.at ?? node.at);
  return { kind: 'constant', at: node.at, value };
}

function has(args: readonly ASTNode[], at: number, reading: Reading): Node {
  const [arg] = args;
  const target = arg === undefined || args.length > 1 ? undefined : readNode(arg, reading);
  if (target?.kind !== 'field' && target?.kind !== 'index') {
    throw new Problem('has needs one field, such as has(event.data.x)', at);
  }
  return { kind: 'has', at, target };
}

function macro(
  called: MacroName,
  receiver: ASTNode,
  args: readonly ASTNode[],
  { nameAt, reading }: { nameAt: number; reading: Reading },
): Node {
  const [variable, second, third] = args;
  if (!MACROS[called].includes(args.length) || variable?.op !== 'id' || second === undefined) {
    throw new Problem(`${called} needs a name and an expression, such as list.${called}(x, …)`, nameAt);
  }
  const slot = reading.variables.length;
  const variables = [...reading.variables, { name: variable.args, slot }];
  const inside: Reading = { ...reading, variables };
  const range = readNode(receiver, reading);
  const decides = called !== 'map';
  const body = readNode(third ?? second, inside);
  return {
    kind: 'macro',
    at: nameAt,
    name: called,
    range,
    slot,
    condition: third === undefined ? null : condition(readNode(second, inside), called),
    body: decides ? condition(body, called) : body,
  };
}

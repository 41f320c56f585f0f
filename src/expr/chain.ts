/** Operators with two operands. */
import { arithmetic, negate, type Site } from './arithmetic.ts';
import { equal, member, relate, type Relation } from './compare.ts';
import type { Compiler, Run } from './compile.ts';
import { FREE_TEXT, type Frame } from './fuel.ts';
import { never } from '../lib/never.ts';
import { label, pathOf, type BinaryOp, type ChainLink, type Node } from './syntax.ts';
import { Failure, type Outcome } from './values.ts';

type Chain = Extract<Node, { kind: 'chain' }>;
type Apply = (a: Outcome, b: Outcome, frame: Frame) => Outcome;

export function compileChain(node: Chain, by: Compiler): Run {
  const first = by.compile(node.first);
  const [link, ...others] = node.rest;
  if (link === undefined) return first;
  const operand = by.compile(link.operand);
  if (link.op === '==' && others.length === 0) {
    const present = !by.parity && isMatch(node.first, link.operand);
    return compileEquality(first, operand, link.at, present);
  }
  const apply = bind(node.first, link, by);
  if (others.length === 0) return (frame) => apply(first(frame), operand(frame), frame);
  const links = others.map((other) => ({ apply: bind(null, other, by), run: by.compile(other.operand) }));
  return (frame) => {
    let value = apply(first(frame), operand(frame), frame);
    for (const { apply: next, run } of links) value = next(value, run(frame), frame);
    return value;
  };
}

/** Most expressions are one of these. @param present whether null equals nothing. */
function compileEquality(first: Run, second: Run, at: number, present: boolean): Run {
  return (frame) => {
    const a = first(frame);
    const b = second(frame);
    if (typeof a === 'string' && typeof b === 'string' && a.length <= FREE_TEXT) return a === b;
    return present && (a === null || b === null) ? false : equal(a, b, frame, at);
  };
}

/** @param left the left operand, if it is one node. */
function bind(left: Node | null, { op, at, operand }: ChainLink, { parity }: Compiler): Apply {
  const leftName = left === null ? 'the part before it' : label(left);
  const site: Site = { at, left: leftName, right: label(operand) };
  if (op === '==' && !parity && left !== null && isMatch(left, operand)) return sameAndPresent(site);
  return applyOf(op, site, parity);
}

/**
 * `event.x == async.x`, which is what `match` stands for (EX-25): a field that both events lack is no match (EX-50).
 * It holds wherever this form stands, so that a further condition never lets more events through.
 */
export function isMatch(left: Node, right: Node): boolean {
  const [a, b] = [pathOf(left), pathOf(right)];
  if (a === null || b === null || a.root === b.root || a.keys.length !== b.keys.length) return false;
  return a.keys.every((key, i) => key === b.keys[i]);
}

function sameAndPresent(site: Site): Apply {
  const same = equals(site.at);
  return (a, b, frame) => (a === null || b === null ? false : same(a, b, frame));
}

function applyOf(op: BinaryOp, site: Site, parity: boolean): Apply {
  const { at } = site;
  switch (op) {
    case '==':
      return equals(at);
    case '!=': {
      const same = equals(at);
      return (a, b, frame) => {
        const result = same(a, b, frame);
        return result instanceof Failure ? result : result !== true;
      };
    }
    case '<':
    case '<=':
    case '>':
    case '>=':
      return relates(op, at, parity);
    case 'in':
      return (a, b, frame) => member(a, b, frame, at);
    case '+':
      return plus(site);
    case '-':
    case '*':
    case '/':
    case '%':
      return (a, b, frame) => arithmetic(op, a, b, site, frame);
    default:
      return never(op);
  }
}

/** Short texts and numbers are most of what is compared. */
function equals(at: number): Apply {
  return (a, b, frame) => {
    if (typeof a === 'number' && typeof b === 'number') return a === b;
    if (typeof a === 'string' && typeof b === 'string' && a.length <= FREE_TEXT) return a === b;
    return equal(a, b, frame, at);
  };
}

const ofNumbers: Record<Relation, (a: number, b: number) => boolean> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};

function relates(op: Relation, at: number, parity: boolean): Apply {
  const holds = ofNumbers[op];
  return (a, b, frame) =>
    typeof a === 'number' && typeof b === 'number' ? holds(a, b) : relate(op, a, b, frame, at, parity);
}

function plus(site: Site): Apply {
  return (a, b, frame) => {
    if (typeof a === 'string' && typeof b === 'string' && a.length + b.length <= FREE_TEXT) return a + b;
    return arithmetic('+', a, b, site, frame);
  };
}

export function compileNegate(node: Extract<Node, { kind: 'negate' }>, { compile }: Compiler): Run {
  const operand = compile(node.operand);
  const site: Site = { at: node.at, left: '', right: label(node.operand) };
  return (frame) => negate(operand(frame), site);
}

/**
 * `&&`, `||`, `!` and `?:` (EX-28 to EX-30, EX-33). Null counts as false; any other value that is no boolean is an error.
 * `false && <error>` is false and `true || <error>` is true, in either order.
 */
import type { Compiler, Run } from './compile.ts';
import { label, type Node } from './syntax.ts';
import { Failure, typeName, type Outcome } from './values.ts';

/** @param of what the condition is called in messages. */
export function truthOf(value: Outcome, op: string, of: string, at: number): boolean | Failure {
  if (typeof value === 'boolean') return value;
  if (value === null) return false;
  if (value instanceof Failure) return value;
  return new Failure(`"${op}" needs a boolean, not ${typeName(value)} (${of})`, at);
}

interface Condition {
  readonly run: Run;
  readonly of: string;
  readonly at: number;
}

function conditions(nodes: readonly Node[], { compile }: Compiler): readonly Condition[] {
  return nodes.map((node) => ({ run: compile(node), of: label(node), at: node.at }));
}

/** `&&` and `||`: one of the two answers decides, whatever failed before it and without what comes after (EX-33). */
export function compileJunction(node: Extract<Node, { kind: 'and' | 'or' }>, by: Compiler): Run {
  const items = conditions(node.items, by);
  const decides = node.kind === 'or';
  const operator = decides ? '||' : '&&';
  return (frame) => {
    let failure: Failure | null = null;
    for (const { run, of, at } of items) {
      const result = run(frame);
      if (result === !decides) continue;
      const value = truthOf(result, operator, of, at);
      if (value === decides) return decides;
      if (typeof value !== 'boolean') failure ??= value;
    }
    return failure ?? !decides;
  };
}

export function compileNot(node: Extract<Node, { kind: 'not' }>, { compile }: Compiler): Run {
  const operand = compile(node.operand);
  const of = label(node.operand);
  return (frame) => {
    const value = truthOf(operand(frame), '!', of, node.at);
    return value instanceof Failure ? value : !value;
  };
}

export function compileChoose(node: Extract<Node, { kind: 'choose' }>, { compile }: Compiler): Run {
  const [condition, yes, no] = [compile(node.condition), compile(node.yes), compile(node.no)];
  const of = label(node.condition);
  return (frame) => {
    const value = truthOf(condition(frame), '?', of, node.at);
    if (value instanceof Failure) return value;
    return value ? yes(frame) : no(frame);
  };
}

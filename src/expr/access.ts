/** Reading of fields (EX-16 to EX-18, EX-47, EX-57). Only own properties of plain objects and items of lists exist. */
import type { Compiler, Run } from './compile.ts';
import type { Frame } from './fuel.ts';
import { pathOf, type Key, type Node, type Root } from './syntax.ts';
import { Failure, itemAt, select, type Outcome, type Value } from './values.ts';

export function compileAccess(
  node: Extract<Node, { kind: 'root' | 'field' | 'index' }>,
  { compile }: Compiler,
): Run {
  const path = pathOf(node);
  if (path !== null) return compilePath(path.root, path.keys);
  if (node.kind === 'field') {
    const object = compile(node.object);
    const { name } = node;
    return (frame) => select(object(frame), name);
  }
  if (node.kind !== 'index') return () => null;
  const object = compile(node.object);
  const key = compile(node.key);
  return (frame) => itemAt(object(frame), key(frame));
}

function compilePath(root: Root, keys: readonly Key[]): Run {
  const [first, second] = keys;
  if (typeof first === 'string' && typeof second === 'string' && keys.length === 2) {
    return root === 'event'
      ? (frame) => own(own(frame.event, first), second)
      : (frame) => own(own(frame.async, first), second);
  }
  return (frame) => valueAt(rootOf(frame, root), keys);
}

function rootOf(frame: Frame, root: Root): Value {
  return root === 'event' ? frame.event : frame.async;
}

/** A field of JSON data. */
function own(object: Value, key: string): Value {
  if (typeof object !== 'object' || object === null || Array.isArray(object)) return null;
  const value = (object as Record<string, Value>)[key];
  // `hasOwn` is the slower question, so it is asked last.
  return value !== undefined && Object.hasOwn(object, key) ? value : null;
}

/** What lies at a path of JSON data; null when nothing does. */
export function valueAt(data: Value, keys: readonly Key[]): Value {
  let value = data;
  for (const key of keys) {
    if (value === null) return null;
    value = typeof key === 'string' ? own(value, key) : (itemAt(value, key) as Value);
  }
  return value;
}

/** Present and not null (EX-57). */
export function compileHas(target: Run): Run {
  return (frame): Outcome => {
    const value = target(frame);
    return value instanceof Failure ? value : value !== null;
  };
}

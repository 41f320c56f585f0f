/** `all`, `exists`, `exists_one`, `map`, `filter` (EX-55, EX-61), over the items of a list or the keys of a map. */
import type { Compiler, Run } from './compile.ts';
import { charge, chargeKeys, exhausted, type Frame } from './fuel.ts';
import { truthOf } from './logic.ts';
import { label, weight, type MacroName, type Node } from './syntax.ts';
import {
  Failure,
  isList,
  isMapValue,
  isObjectValue,
  keysOf,
  typeName,
  type Outcome,
  type Value,
} from './values.ts';

type Macro = Extract<Node, { kind: 'macro' }>;

interface Loop {
  readonly node: Macro;
  readonly condition: Run | null;
  readonly body: Run;
  /** Fuel for one turn. */
  readonly turn: number;
}

export function compileMacro(node: Macro, { compile }: Compiler): Run {
  const range = compile(node.range);
  const loop: Loop = {
    node,
    condition: node.condition === null ? null : compile(node.condition),
    body: compile(node.body),
    turn: 1 + weight(node.body) + (node.condition === null ? 0 : weight(node.condition)),
  };
  const run = kinds[node.name];
  return (frame) => {
    const value = range(frame);
    if (value instanceof Failure) return value;
    const items = itemsOf(value);
    if (items === undefined) return notIterable(node, value);
    if (items !== value && !chargeKeys(frame, items.length)) return exhausted(node.at);
    return run(items, frame, loop);
  };
}

function itemsOf(value: Value): readonly Value[] | undefined {
  if (isList(value)) return value;
  if (value === null) return [];
  return isMapValue(value) || isObjectValue(value) ? keysOf(value) : undefined;
}

function notIterable({ name, range, at }: Macro, value: Value): Failure {
  return new Failure(`${name} needs a list or a map, not ${typeName(value)} (${label(range)})`, at);
}

const kinds: Record<MacroName, (items: readonly Value[], frame: Frame, loop: Loop) => Outcome> = {
  all: (items, frame, loop) => quantify(items, frame, loop, false),
  exists: (items, frame, loop) => quantify(items, frame, loop, true),
  exists_one: existsOne,
  filter,
  map,
};

/** Reads one turn's condition; an empty tank is the last word. */
function turnOf(item: Value, frame: Frame, { node, body, turn }: Loop): boolean | Failure {
  if (!charge(frame, turn)) return exhausted(node.at);
  frame.slots[node.slot] = item;
  return truthOf(body(frame), node.name, 'its condition', node.at);
}

/** The item that decides ends the loop; errors count only if none does. */
function quantify(items: readonly Value[], frame: Frame, loop: Loop, deciding: boolean): Outcome {
  let failure: Failure | null = null;
  for (const item of items) {
    const value = turnOf(item, frame, loop);
    if (value === deciding) return deciding;
    if (value instanceof Failure) {
      if (frame.fuel < 0) return value;
      failure ??= value;
    }
  }
  return failure ?? !deciding;
}

function existsOne(items: readonly Value[], frame: Frame, loop: Loop): Outcome {
  let count = 0;
  for (const item of items) {
    const value = turnOf(item, frame, loop);
    if (value instanceof Failure) return value;
    if (value) count++;
  }
  return count === 1;
}

function filter(items: readonly Value[], frame: Frame, loop: Loop): Outcome {
  const kept: Value[] = [];
  for (const item of items) {
    const value = turnOf(item, frame, loop);
    if (value instanceof Failure) return value;
    if (value) kept.push(item);
  }
  return kept;
}

function map(items: readonly Value[], frame: Frame, { node, condition, body, turn }: Loop): Outcome {
  const made: Value[] = [];
  for (const item of items) {
    if (!charge(frame, turn)) return exhausted(node.at);
    frame.slots[node.slot] = item;
    const wanted = condition === null || truthOf(condition(frame), 'map', 'its condition', node.at);
    if (wanted instanceof Failure) return wanted;
    if (!wanted) continue;
    const value = body(frame);
    if (value instanceof Failure) return value;
    made.push(value);
  }
  return made;
}

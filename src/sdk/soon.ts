/** Waiting only where there is something to wait for: each `await` too many could split a run's first write in two. */

export type Soon<Value> = Value | PromiseLike<Value>;

export function isPromise<Value>(value: Soon<Value>): value is PromiseLike<Value> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  );
}

/** Goes on with the value: at once, or when it is there. */
export function after<Value, Next>(value: Soon<Value>, go: (value: Value) => Soon<Next>): Soon<Next> {
  return isPromise(value) ? Promise.resolve(value).then((known) => go(known)) : go(value);
}

/** One item after the other, each from what the one before has made. */
export function fold<Item, State>(
  items: readonly Item[],
  first: State,
  step: (state: State, item: Item) => Soon<State>,
): Soon<State> {
  let state = first;
  for (const [at, item] of items.entries()) {
    const next = step(state, item);
    if (isPromise(next)) return foldOn(items.slice(at + 1), next, step);
    state = next;
  }
  return state;
}

async function foldOn<Item, State>(
  items: readonly Item[],
  first: PromiseLike<State>,
  step: (state: State, item: Item) => Soon<State>,
): Promise<State> {
  let state = await first;
  for (const item of items) state = await step(state, item);
  return state;
}

/** What the examples do their work with: it writes down what was asked for, and fails as often as a test says. */

/** In order. */
export const done: string[] = [];

const troubles = new Map<string, Error[]>();

export function act<Result = null>(what: string, result: Result = null as Result): Result {
  done.push(what);
  const trouble = troubles.get(what)?.shift();
  if (trouble !== undefined) throw trouble;
  return result;
}

/** The next times that this is asked for. */
export function failAt(what: string, ...errors: Error[]): void {
  troubles.set(what, errors);
}

export function forgetAll(): void {
  done.length = 0;
  troubles.clear();
}

const nothing = () => {};
export const quiet = { info: nothing, warn: nothing, error: nothing, debug: nothing };

/** Ends a switch over a closed union: a new member fails to compile until every case is written. */
export function never(value: never): never {
  throw new Error(`unreachable case of type ${typeof value}`);
}

/** Things of this package are known by a tag, so that those which another copy of it has made are known too (PK-12). */
export function hasTag(value: unknown, tag: string): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    (value as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === tag
  );
}

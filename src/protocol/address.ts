/** What the URL of an app says: by which way it is reached. */

const BINDING = /^([a-z0-9_-]+)\.binding$/;

/** Name of the service binding, for a URL such as `http://orders.binding/api/inngest`: in lower case, as hosts are. */
export function bindingOf(url: string): string | null {
  return URL.canParse(url) ? (BINDING.exec(new URL(url).hostname)?.[1] ?? null) : null;
}

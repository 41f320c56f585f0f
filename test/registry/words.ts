/** Functions as their authors may have written them, right or wrong, and what the check says of them. */
import { checkApps, type App, type ListedFunction } from '../../src/registry/check.ts';
import { Inngest } from '../../src/sdk/index.ts';

type Anything = { id?: string; [option: string]: unknown };

/** What a function's author may have written, right or wrong, as an SDK hands it on. */
export function written(
  _: string,
  { id, name, ...options }: Anything,
  triggers: unknown = { event: 'a/b' },
): ListedFunction {
  const config = (appId: string) => ({
    ...options,
    id: id ? `${appId}-${id}` : id,
    name: name ?? id ?? '',
    triggers: [triggers].flat(),
  });
  return { config };
}

export function app(id: string, ...functions: App['functions']): App {
  return { client: { id }, functions };
}

/** A function made with our own SDK. */
export function made(appId: string, options: Anything) {
  return new Inngest({ id: appId }).createFunction(options as { id: string }, { event: 'a/b' }, () => {});
}

/** The lines of the error, without the first. */
export function problems(...apps: App[]): string[] {
  try {
    checkApps(apps);
  } catch (error) {
    return (error as Error).message.split('\n').slice(1);
  }
  return [];
}

/** The lines for one function with these options. */
export function problemsOf(options: Anything, triggers?: unknown): string[] {
  return problems(app('shop', written('shop', { id: 'f', ...options }, triggers)));
}

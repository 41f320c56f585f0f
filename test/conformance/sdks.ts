/**
 * The official TypeScript SDKs, as published, and our own; one of them in a process, as the former share a global. Imported by names that
 * the compiler does not follow: their declarations bring the browser's types with them, which differ from the platform's.
 */
import type { Handler } from './world.ts';

/** What the tests use of either of them; what handlers are given is the SDKs' own affair. */
// oxlint-disable-next-line typescript/no-explicit-any -- see above
export type Tools = any;

interface Client {
  createFunction(...definition: unknown[]): unknown;
}

export interface Sdk {
  name: string;
  /** As registered. */
  sdk: string;
  client(options?: object): Client;
  /** The two differ in where the triggers are written. */
  fn(client: Client, options: object, handler: (context: Tools) => unknown): unknown;
  handler(client: Client, functions: unknown[], options?: object): Handler;
  /** The setting that makes it stream its answers. */
  streaming: unknown;
  reference(of: { appId: string; functionId: string }): unknown;
  errors: {
    NonRetriableError: new (message: string) => Error;
    RetryAfterError: new (message: string, after: string) => Error;
  };
}

const EVENT = { event: 'shop/order.placed' };

type Differences = Pick<Sdk, 'name' | 'sdk' | 'fn' | 'streaming'>;

async function load(differences: Differences): Promise<Sdk> {
  const { name } = differences;
  const { Inngest, referenceFunction, ...errors } = (await import(name)) as {
    Inngest: new (options: object) => Client;
    referenceFunction: Sdk['reference'];
  } & Sdk['errors'];
  // Of their adapters, the one for Workers: it streams.
  const { serve } = (await import(`${name}/cloudflare`)) as {
    serve: (options: object) => (request: Request, env: object) => Promise<Response>;
  };
  const quiet = { info() {}, warn() {}, error() {}, debug() {} };
  return {
    ...differences,
    errors,
    reference: referenceFunction,
    client: (options) => new Inngest({ id: 'app', isDev: true, logger: quiet, ...options }),
    handler: (client, functions, options) => {
      const handle = serve({ client, functions, ...options });
      return (request) => handle(request, {});
    },
  };
}

export const v3 = () =>
  load({
    name: 'inngest-v3',
    sdk: 'js:v3.54.2',
    streaming: 'force',
    fn: (client, options, handler) => client.createFunction({ id: 'fn', ...options }, EVENT, handler),
  });

export const v4 = () =>
  load({
    name: 'inngest-v4',
    sdk: 'js:v4.24.0',
    streaming: true,
    fn: (client, options, handler) =>
      client.createFunction({ id: 'fn', triggers: [EVENT], ...options }, handler),
  });

/** By the names that users have them by. */
export const stepwell = () =>
  load({
    name: 'stepwell',
    sdk: 'js:v0.1.0',
    streaming: 'force',
    fn: (client, options, handler) => client.createFunction({ id: 'fn', ...options }, EVENT, handler),
  });

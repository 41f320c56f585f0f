/** The one part of Node's library that the SDK uses; Node's own types would bring in globals that Workers do not have. */
declare module 'node:async_hooks' {
  export class AsyncLocalStorage<Store> {
    run<Result>(store: Store, callback: () => Result): Result;
    getStore(): Store | undefined;
  }
}

/** Dependency injection (DI group). */
import { InngestMiddleware } from './middleware.ts';

/** Adds the members of an object to the argument of every handler; the same objects each time, not copies (DI-4). */
export function dependencyInjectionMiddleware<const Context extends object>(ctx: Context) {
  return new InngestMiddleware({
    name: 'Dependency injection',
    init: () => ({ onFunctionRun: () => ({ transformInput: () => ({ ctx }) }) }),
  });
}

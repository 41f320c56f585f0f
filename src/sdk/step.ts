/** The step tools without a context at hand: those of the function that is running (ST-31). */
import { executionContext } from './context.ts';
import { models } from './models.ts';
import type { StepTools } from './steps.ts';

type Call = (tools: StepTools, given: never) => unknown;

/** The tool is called in the caller's own turn: step ids are counted in the order of the calls. */
function running(call: Call) {
  return async (...given: unknown[]) => {
    const tools = executionContext.getStore()?.tools;
    if (tools == null) throw new Error(HELP);
    return call(tools, given as never);
  };
}

const HELP =
  '`step` of the package works inside of a running function only: elsewhere there is nothing that keeps its result';

type Given<Name extends keyof StepTools> = StepTools[Name] extends (...given: infer All) => unknown
  ? All
  : never;

export const step = {
  run: running((tools, given: Given<'run'>) => tools.run(...given)),
  sleep: running((tools, given: Given<'sleep'>) => tools.sleep(...given)),
  sleepUntil: running((tools, given: Given<'sleepUntil'>) => tools.sleepUntil(...given)),
  waitForEvent: running((tools, given: Given<'waitForEvent'>) => tools.waitForEvent(...given)),
  waitForAny: running((tools, given: Given<'waitForAny'>) => tools.waitForAny(...given)),
  waitForAll: running((tools, given: Given<'waitForAll'>) => tools.waitForAll(...given)),
  waitForSignal: running((tools, given: Given<'waitForSignal'>) => tools.waitForSignal(...given)),
  sendSignal: running((tools, given: Given<'sendSignal'>) => tools.sendSignal(...given)),
  invoke: running((tools, given: Given<'invoke'>) => tools.invoke(...given)),
  sendEvent: running((tools, given: Given<'sendEvent'>) => tools.sendEvent(...given)),
  fetch: running((tools, given: Given<'fetch'>) => tools.fetch(...given)),
  ai: {
    infer: running((tools, given: Parameters<StepTools['ai']['infer']>) => tools.ai.infer(...given)),
    wrap: running((tools, given: Parameters<StepTools['ai']['wrap']>) => tools.ai.wrap(...given)),
    models,
  },
} as unknown as StepTools;

/** The functions of every environment, when none ever registers. */
import type { Functions } from '../../src/ports.ts';
import type { FunctionConfig } from '../../src/protocol/function.ts';

export function fixed(configs: readonly FunctionConfig[]): Functions {
  const catalog = { version: 0, configs };
  return { known: () => catalog, load: async () => catalog };
}

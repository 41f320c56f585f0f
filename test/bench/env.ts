/** The bench Worker's bindings: the engine's, and those of what it is measured against. */
import { env } from 'cloudflare:workers';
import type { Env } from '../../src/env.ts';
import type { LineGate } from './flow.ts';
import type { Floor } from './floors.ts';
import type { Work } from './work.ts';

export interface BenchEnv extends Env {
  FLOOR: DurableObjectNamespace<Floor>;
  LINE_GATE: DurableObjectNamespace<LineGate>;
  FLOOR_QUEUE: Queue<{ key: string }>;
  WORKFLOWS: Workflow<Work>;
}

export const bindings = env as unknown as BenchEnv;

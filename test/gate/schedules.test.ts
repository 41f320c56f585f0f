import { expect, it } from 'vitest';
import type { RunFlow } from '../../src/protocol/flow.ts';
import { SECOND } from '../../src/lib/time.ts';
import { Random } from '../sim/random.ts';
import { type RunPlan, Stand, type StandPlan } from './stand.ts';
import { configured, START } from './world.ts';

/** Schedules of each kind; GATE_RUNS asks for more. */
const RUNS = Number(process.env['GATE_RUNS'] ?? 50);
const TIMEOUT = 60_000 + RUNS * 100;

/** @param more how much higher all limits on concurrency are. */
function functions(more = 0) {
  return [
    configured('app-one', { concurrency: 2 + more }),
    configured('app-two', {
      concurrency: [
        { limit: 1 + more, key: 'event.data.k' },
        { limit: 3 + more, key: '"llm"', scope: 'env' },
      ],
    }),
    configured('app-three', {
      concurrency: [
        { limit: 2 + more, key: '"llm"', scope: 'env' },
        { limit: 2 + more, key: 'event.data.k', scope: 'account' },
      ],
      throttle: { limit: 1, period: '4s', burst: 2 },
    }),
  ];
}

/** `isLively`: runs are cancelled, time out before their start, and deployments change limits. */
type Kind = StandPlan['faults'] & { isLively?: boolean };

function flowOf(functionId: string, score: number, key: string): RunFlow {
  if (functionId === 'app-one') return { score, concurrency: [{ n: 0, scope: 'fn', key: '' }] };
  if (functionId === 'app-two')
    return {
      score,
      concurrency: [
        { n: 0, scope: 'fn', key: `two ${key}` },
        { n: 1, scope: 'env', key: 'llm' },
      ],
    };
  return {
    score,
    throttle: '',
    concurrency: [
      { n: 0, scope: 'env', key: 'llm' },
      { n: 1, scope: 'account', key },
    ],
  };
}

function planOf(seed: number, ids: string[], { isLively = false, ...faults }: Kind): StandPlan {
  const random = new Random(seed);
  const count = random.between(3, 12);
  const runs = Array.from({ length: count }, (_, n): RunPlan => {
    const functionId = random.pick(ids);
    const startsAt = random.between(0, 20);
    return {
      runId: `R${n}`,
      functionId,
      flow: flowOf(functionId, START + startsAt * SECOND, random.pick(['x', 'y'])),
      parts: Array.from({ length: random.between(0, 3) }, () => random.pick(['sleep', 'fail'])),
      startsAt,
      ...(isLively && random.chance(0.2) && { cancelledAfter: random.between(0, 100) }),
      ...(isLively && random.chance(0.3) && { startWithin: random.between(1, 60) }),
    };
  });
  const deploys = Array.from({ length: isLively ? random.between(0, 3) : 0 }, () => ({
    at: random.between(5, 150),
    functions: functions(random.between(0, 3)),
  }));
  return { seed, functions: functions(), runs, deploys, faults };
}

/** The first schedules that went wrong. */
async function wrong(ids: string[], kind: Kind, first = 1): Promise<string[]> {
  const problems: string[] = [];
  for (let seed = first; seed < first + RUNS && problems.length < 3; seed++)
    problems.push(...(await new Stand(planOf(seed, ids, kind)).play()));
  return problems;
}

const CALM = { lost: 0, crash: 0 };
const ROUGH = { lost: 0.08, crash: 0.02 };

it(
  'under one limit no more execute than it says, and all leases come back (CC-17, CC-26)',
  async () => expect(await wrong(['app-one'], CALM)).toEqual([]),
  TIMEOUT,
);

it(
  'under one limit, with calls lost and owners killed, it is so too (CC-23, FA-3)',
  async () => expect(await wrong(['app-one'], ROUGH)).toEqual([]),
  TIMEOUT,
);

it(
  'functions that name two limits each, in different order, neither block one another nor hold one in vain (CC-27, CC-29)',
  async () => expect(await wrong(['app-two', 'app-three'], CALM)).toEqual([]),
  TIMEOUT,
);

it(
  'and with calls lost and owners killed it is so too (CC-27 to CC-31)',
  async () => expect(await wrong(['app-one', 'app-two', 'app-three'], ROUGH)).toEqual([]),
  TIMEOUT,
);

it(
  'and while runs are cancelled, time out, and limits change under them (CC-36, CX-22, TO-11, TH-14)',
  async () => {
    const lively = { ...ROUGH, isLively: true };
    expect(await wrong(['app-one', 'app-two', 'app-three'], lively, 10_000)).toEqual([]);
  },
  TIMEOUT,
);

/**
 * Random programs, lost at every single transaction: before it is written, and after that but before anything is done about it. What
 * is finished never runs again, races stay decided, and the end is that of the straight run.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sha1Hex } from '../../src/lib/hash.ts';
import { never } from '../../src/lib/never.ts';
import { gate, World, type Context, type WorldOptions } from './world.ts';

type Program =
  | { kind: 'step'; id: string; turns: number; fails: number }
  | { kind: 'sleep'; id: string; ms: number }
  | { kind: 'seq' | 'all' | 'race' | 'settled'; parts: Program[] }
  | { kind: 'catch'; part: Program };

const ids = fc.constantFrom('a', 'b', 'c');
const { program } = fc.letrec<{ program: Program }>((tie) => ({
  program: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('step' as const),
        id: ids,
        turns: fc.constantFrom(0, 0, 1, 2),
        fails: fc.constantFrom(0, 0, 0, 1, 9),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('sleep' as const),
        id: ids,
        ms: fc.constantFrom(0, 500, 2_000),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constantFrom('seq' as const, 'all' as const, 'race' as const, 'settled' as const),
        parts: fc.array(tie('program'), { minLength: 1, maxLength: 3 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('catch' as const), part: tie('program') }) },
  ),
}));

interface Seen {
  /** What went wrong that no ending shows. */
  faults: string[];
}

/** The handler that a program describes. */
function handler(root: Program, world: () => World, seen: Seen) {
  return async ({ step, attempt }: Context) => {
    let races = 0;
    const uses = new Map<string, number>();
    const hashOf = (id: string) => {
      const nth = uses.get(id) ?? 0;
      uses.set(id, nth + 1);
      return sha1Hex(nth === 0 ? id : `${id}:${nth}`);
    };
    const go = async (part: Program): Promise<unknown> => {
      switch (part.kind) {
        case 'step': {
          const hash = hashOf(part.id);
          return await step.run(part.id, () => {
            if (world().owner.state?.steps.get(hash)?.state === 'settled')
              seen.faults.push(`${part.id} ran again`);
            return work(part, attempt);
          });
        }
        case 'sleep':
          hashOf(part.id);
          return await step.sleep(part.id, part.ms);
        case 'seq': {
          const results = [];
          for (const one of part.parts) results.push(await go(one));
          return results;
        }
        case 'all':
          return await Promise.all(part.parts.map(go));
        case 'settled':
          return (await Promise.allSettled(part.parts.map(go))).map((result) => result.status);
        case 'race': {
          const race = races++;
          const winner = await Promise.race(
            part.parts.map((one, n) =>
              go(one).then(
                () => n,
                () => -1 - n,
              ),
            ),
          );
          const decided = await step.run(`race ${race}`, () => winner);
          if (decided !== winner)
            seen.faults.push(`race ${race} was decided for ${String(decided)}, then for ${winner}`);
          return winner;
        }
        case 'catch':
          return await go(part.part).catch((error: Error) => error.message);
        default:
          return never(part);
      }
    };
    return await go(root);

    async function work(part: Extract<Program, { kind: 'step' }>, nth: number): Promise<string> {
      for (let n = 0; n < part.turns; n++) await new Promise<void>((resolve) => void setTimeout(resolve, 0));
      if (nth < part.fails) throw new Error(`no ${part.id}`);
      return part.id;
    }
  };
}

function hasRace(part: Program): boolean {
  if (part.kind === 'race') return true;
  if ('parts' in part) return part.parts.some(hasRace);
  return part.kind === 'catch' && hasRace(part.part);
}

async function ran(root: Program, lostAt: WorldOptions['lostAt'], alwaysLost = false) {
  const seen: Seen = { faults: [] };
  const world: World = new World(
    handler(root, () => world, seen),
    {
      maxAttempts: 3,
      ...(lostAt === undefined ? {} : { lostAt }),
    },
  );
  await world.start();
  for (let rings = 0; !world.ended; rings++) {
    if (rings > 200) throw new Error('the run does not end');
    if (alwaysLost) world.crash();
    await world.ring();
  }
  expect(seen.faults).toEqual([]);
  // Stacks differ with what else the event loop did.
  const output = JSON.stringify(world.output, (key, value: unknown) => (key === 'stack' ? undefined : value));
  return { status: world.status, output, transactions: world.transactions };
}

describe('a program that is lost', () => {
  test('at every single transaction ends as the straight run does (RN-5, AT-7, MX-17)', async () => {
    await fc.assert(
      fc.asyncProperty(program, async (root) => {
        const straight = await ran(root, undefined);
        const ends = { status: straight.status, output: straight.output };
        for (let transaction = 1; transaction <= Math.min(straight.transactions, 40); transaction++) {
          for (const written of [false, true]) {
            const { status, output } = await ran(root, { transaction, written });
            if (!hasRace(root))
              expect({ status, output, transaction, written }).toEqual({ ...ends, transaction, written });
          }
        }
      }),
      { numRuns: 25, interruptAfterTimeLimit: 5_000 },
    );
  }, 60_000);

  test('in the middle of a step runs that one again from its beginning (MX-21)', async () => {
    const seen: string[] = [];
    const middle = gate();
    const world = await new World(async ({ step }) => {
      await step.run('whole', () => void seen.push('whole'));
      await step.run('half', async () => {
        seen.push('begun');
        await middle.promise;
        seen.push('done');
      });
    }).start();
    expect(seen).toEqual(['whole', 'begun']);
    middle.open(null);
    await world.crash().toEnd();
    expect(seen.filter((what) => what === 'whole')).toHaveLength(1);
    expect(seen.filter((what) => what === 'begun')).toHaveLength(2);
    expect(world.status).toBe('Completed');
  });

  test('at every alarm ends as the straight run does: nothing is kept in memory alone (FN-38)', async () => {
    await fc.assert(
      fc.asyncProperty(program, async (root) => {
        const straight = await ran(root, undefined);
        const { status, output } = await ran(root, undefined, true);
        if (!hasRace(root))
          expect({ status, output }).toEqual({ status: straight.status, output: straight.output });
      }),
      { numRuns: 150, interruptAfterTimeLimit: 3_000 },
    );
  }, 60_000);
});

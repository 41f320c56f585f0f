/**
 * A run is killed at each of its awaits in turn and woken by nothing but its alarm. It must end as if nothing had happened, and no step
 * of which the handler has seen the result may run again.
 */
import { abortAllDurableObjects, evictDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, test } from 'vitest';
import { NonRetriableError } from '../../src/sdk/index.ts';
import {
  begin,
  calm,
  crash,
  finish,
  objectOf,
  startOf,
  stubOf,
  timeStandsStill,
  turn,
  wake,
  WAKES,
} from './world.ts';
import type { ProgramContext } from './worker.ts';

timeStandsStill();

/** How an object can go without notice. */
const ENDS: Record<string, (runId: string) => Promise<void>> = {
  aborted: crash,
  'aborted with all others': () => abortAllDurableObjects(),
};

/** One program under attack: counts its awaits, and lets it hang for ever at one of them. */
class Attack {
  readonly #at: ReadonlySet<number>;
  readonly #seen = new Set<string>();
  readonly violations: string[] = [];
  readonly begun: string[] = [];
  /** Places of the awaits, in the order in which they were reached. */
  readonly places: string[] = [];
  isHanging = false;

  /** @param at which awaits to hang at, counted from 1 over all entries. */
  constructor(...at: number[]) {
    this.#at = new Set(at);
  }

  readonly program = async ({ step, attempt, runId }: ProgramContext) => {
    await this.#await('entered');
    const a = await this.#step(step, 'a', () => 'a');
    await this.#await('after a');
    const [b, c] = await Promise.all([
      this.#step(step, 'b', () => 'b'),
      this.#step(step, 'c', () => 'c'),
      step.sleep('short', '30s'),
    ]);
    await this.#await('after b and c');
    await step.sleep('long', '1h');
    await this.#await('after the sleep');
    const d = await this.#step(step, 'd', () => {
      if (attempt === 0) throw new Error('try again');
      return 'd';
    });
    await this.#await('after d');
    const e = await this.#step(step, 'e', () => {
      throw new NonRetriableError('never');
    }).catch(() => 'caught');
    await step.sendEvent('send', { name: 'test/sent', data: { run: runId } });
    await this.#await('at the end');
    return [a, b, c, d, e];
  };

  async #step(step: ProgramContext['step'], name: string, work: () => unknown): Promise<unknown> {
    try {
      return await step.run(name, async () => {
        if (this.#seen.has(name)) this.violations.push(`"${name}" ran after its result had been seen`);
        this.begun.push(name);
        await this.#await(`in ${name}`);
        const result = work();
        await this.#await(`late in ${name}`);
        return result;
      });
    } finally {
      this.#seen.add(name);
    }
  }

  async #await(place: string): Promise<void> {
    this.places.push(place);
    if (this.#at.has(this.places.length)) {
      this.isHanging = true;
      await new Promise(() => undefined);
    }
    await turn(0);
  }
}

const OUTPUT = ['a', 'b', 'c', 'd', 'caught'];

async function sentBy(runId: string): Promise<number> {
  const query = `select count(*) as count from event where name = 'test/sent' and body like ?`;
  return (await env.DB.prepare(query).bind(`%${runId}%`).first<number>('count')) ?? NaN;
}

async function expectHealed(runId: string, attack: Attack): Promise<void> {
  expect(await finish(runId)).toMatchObject({ status: 'Completed', output: OUTPUT });
  expect(attack.violations).toEqual([]);
  expect(await sentBy(runId)).toBe(1);
}

/** What the undisturbed run passes. */
const PLACES = [
  ['entered', 'in a', 'late in a', 'after a'],
  ['in b', 'in c', 'late in b', 'late in c', 'after b and c'],
  ['after the sleep', 'in d'],
  // The second attempt of d: the handler anew, in which only that step runs.
  ['entered', 'after a', 'after b and c', 'after the sleep', 'in d', 'late in d', 'after d'],
  ['in e', 'at the end'],
].flat();

test('the undisturbed run begins every attempt of a step once (RT-3, MX-8)', async () => {
  const straight = new Attack();
  await expectHealed(await begin(straight.program), straight);
  expect(straight.begun).toEqual(['a', 'b', 'c', 'd', 'd', 'e']);
  expect(straight.places).toEqual(PLACES);
});

describe.each(Object.entries(ENDS))('an object that is %s', (_, end) => {
  test.each(PLACES.map((place, index) => [index + 1, place] as const))(
    'at await %i (%s) loses nothing (RN-5, MX-7)',
    async (at) => {
      const attack = new Attack(at);
      const runId = await begin(attack.program);
      await driveToHang(runId, attack);
      await end(runId);
      await expectHealed(runId, attack);
    },
  );
});

/** Wakes the run until it hangs. */
async function driveToHang(runId: string, attack: Attack): Promise<void> {
  for (let wakes = 0; wakes < WAKES && !attack.isHanging; wakes++) {
    await calm(runId);
    if (!attack.isHanging) await wake(runId);
  }
  expect(attack.isHanging).toBe(true);
}

test('a run that is killed at every one of its awaits comes to its end, a place further each time (MX-18)', async () => {
  const all = PLACES.map((_, index) => index + 1).filter((at) => at % 3 === 0);
  const attack = new Attack(...all);
  const runId = await begin(attack.program);
  for (let kills = 0; kills < all.length; kills++) {
    await driveToHang(runId, attack);
    attack.isHanging = false;
    await crash(runId);
  }
  await expectHealed(runId, attack);
});

test('a run whose object is evicted before every alarm comes to its end (FN-38, MX-25, SL-2)', async () => {
  const ran: number[] = [];
  const runId = await begin(async ({ step }) => {
    for (let day = 0; day < 5; day++) {
      await step.sleep('night', '1d');
      await step.run('day', () => void ran.push(day));
    }
    return 'done';
  });
  for (let wakes = 0; wakes < WAKES && (await calm(runId)).status === 'Running'; wakes++) {
    await evictDurableObject(stubOf(runId));
    await wake(runId);
  }
  expect(await finish(runId)).toMatchObject({ status: 'Completed', output: 'done' });
  expect(ran).toEqual([0, 1, 2, 3, 4]);
});

test.each(Array.from({ length: 24 }, (_, turns) => turns))(
  'a run that is killed %i turns after its beginning loses nothing (RN-5)',
  async (turns) => {
    const attack = new Attack();
    const start = startOf(attack.program);
    const started = objectOf(start.runId)
      .start(start)
      .catch(() => undefined);
    for (let i = 0; i < turns; i++) await turn(0);
    await crash(start.runId);
    await started;
    // As dispatch does when it is not answered.
    await objectOf(start.runId).start(start);
    await expectHealed(start.runId, attack);
  },
);

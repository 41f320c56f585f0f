import {
  array,
  assert,
  asyncProperty,
  constant,
  constantFrom,
  integer,
  nat,
  record,
  type Arbitrary,
} from 'fast-check';
import { expect, it } from 'vitest';
import { SECOND } from '../../src/lib/time.ts';
import { History, type Plan } from './history.ts';

/** Histories of each kind; WAITS_RUNS asks for more. */
const RUNS = Number(process.env['WAITS_RUNS'] ?? 300);
const TIMEOUT = 60_000 + RUNS * 20;

const wait = record({
  expression: constantFrom(
    'event.data.id == async.data.id',
    'event.data.id == async.data.id',
    'async.data.n > 1',
    'async.data.isBig == true',
    null,
  ),
  id: constantFrom('a', 'b'),
  span: integer({ min: 1, max: 60 }).map((seconds) => seconds * SECOND),
});
const sent = record({ id: constantFrom('a', 'b', 'none'), n: integer({ min: 0, max: 3 }) });

function plan(isOrdered: boolean): Arbitrary<Plan> {
  return record({
    waits: array(wait, { minLength: 1, maxLength: 3 }),
    events: array(sent, { maxLength: 8 }),
    isOrdered: constant(isOrdered),
    tape: array(nat(10_000), { minLength: 20, maxLength: 240, size: 'max' }),
  });
}

/** 2 and 3 of the owner's invariants, whatever the order of sends, look-backs, failures and crashes. */
async function holds(isOrdered: boolean): Promise<void> {
  const property = asyncProperty(plan(isOrdered), async (one) => {
    expect(await new History(one).run()).toEqual([]);
  });
  await assert(property, { numRuns: RUNS });
}

it('events in order: every wait gets exactly the event that the history says', () => holds(true), TIMEOUT);

it(
  'events in any order: no wait misses one, gets two, or gets a later one than it knew of',
  () => holds(false),
  TIMEOUT,
);

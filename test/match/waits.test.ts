import { describe, expect, it } from 'vitest';
import {
  Conditions,
  EVERYWHERE,
  firstMatch,
  NOWHERE,
  placeOf,
  searches,
  type Offer,
  type Place,
} from '../../src/match/waits.ts';
import type { JsonObject } from '../../src/lib/json.ts';
import type { Wait } from '../../src/protocol/wait.ts';

const NOW = 1_700_000_000_000;

function wait(expression: string | null, over: Partial<Wait> = {}): Wait {
  const given = { data: { id: 'o-1', n: 3, isPaid: true } };
  const names = { env: 'main', event: 'order/paid', runId: 'RUN', key: 'step' };
  return { ...names, kind: 'resume', expression, given, since: NOW, until: NOW + 100, except: [], ...over };
}

function offer(data: JsonObject, over: Partial<Offer['event']> = {}): Offer {
  const names = { internalId: 'EVENT', env: 'main', name: 'order/paid' };
  return { event: { ...names, data, ts: NOW, receivedAt: NOW, ...over }, view: { data } };
}

const conditions = new Conditions();
const place = (expression: string | null, crowd: (at: Place) => number = () => 0) =>
  placeOf(wait(expression), conditions, crowd);
const matches = (given: Wait, ...offers: Offer[]) => firstMatch(given, offers, conditions, NOW);

describe('the place of a wait (EX-79 to EX-81)', () => {
  const path = (...keys: string[]) => JSON.stringify(['data', ...keys]);

  it.each([
    ['event.data.id == async.data.id', { path: path('id'), value: 's:o-1' }],
    ['async.data.n == 3.0', { path: path('n'), value: 'n:3' }],
    ['async.data.isPaid == true && async.data.n == event.data.n', { path: path('n'), value: 'n:3' }],
    ['async.data.isPaid == event.data.isPaid', { path: path('isPaid'), value: 'b:true' }],
    [null, EVERYWHERE],
    ['async.data.n > event.data.n', EVERYWHERE],
    ['async.data.id == "a" || async.data.id == "b"', EVERYWHERE],
    ['event.data.gone == async.data.gone', NOWHERE],
    ['async.data.id === 1', NOWHERE],
  ])('%s', (expression, expected) => {
    expect(place(expression)).toEqual(expected);
  });

  it('is that of the equality which the fewest others share', () => {
    const expression = 'async.data.type == "paid" && async.data.id == event.data.id';
    expect(place(expression, ({ path: at }) => (at === path('type') ? 5 : 1)).path).toBe(path('id'));
  });

  it('is where an event with that value looks, and every event looks where nothing is known', () => {
    const [everywhere, ...found] = searches([offer({ id: 'o-1', n: 3 })], ['', '-', path('id'), path('x')]);
    expect(everywhere).toMatchObject(EVERYWHERE);
    expect(found).toMatchObject([{ path: path('id'), value: 's:o-1' }]);
  });
});

describe('the event of a wait', () => {
  it('is the earliest received, then the one with the lower id (WE-13, CX-13)', () => {
    const [search] = searches(
      [
        offer({}, { internalId: 'C', receivedAt: NOW + 1 }),
        offer({}, { internalId: 'B' }),
        offer({}, { internalId: 'A' }),
      ],
      [],
    );
    expect(matches(wait(null), ...(search?.offers ?? []))?.event.internalId).toBe('A');
  });

  it.each<[string, Wait, Offer]>([
    ['came too early', wait(null), offer({}, { receivedAt: NOW - 1 })],
    ['came too late', wait(null), offer({}, { receivedAt: NOW + 100 })],
    ['started the run (WE-17)', wait(null, { except: ['EVENT'] }), offer({})],
    [
      'came before that one in the same request (CX-13, CX-14)',
      wait(null, { except: ['01J00000000000000000000002'] }),
      offer({}, { internalId: '01J00000000000000000000001' }),
    ],
    ['has another name', wait(null), offer({}, { name: 'order/other' })],
    ['is of another environment', wait(null), offer({}, { env: 'test' })],
    ['does not match', wait('event.data.id == async.data.id'), offer({ id: 'o-2' })],
    ['has no value for the expression (WE-21)', wait('async.data.id.size() > int("x")'), offer({ id: 'o' })],
    ['makes the expression something else than true', wait('async.data.id'), offer({ id: 'true' })],
  ])('is none that %s', (_, given, one) => {
    expect(matches(given, one)).toBeNull();
  });

  it('may be in the same request, or have a lower id in another one (CX-13)', () => {
    const given = wait(null, { except: ['01J00000000000000000000002'] });
    expect(matches(given, offer({}, { internalId: '01J00000000000000000000003' }))).not.toBeNull();
    const other = wait(null, { except: ['01J0000000Z000000000000002'] });
    expect(matches(other, offer({}, { internalId: '01J0000000A000000000000001' }))).not.toBeNull();
  });

  it('is found by an expression that was thrown out of the cache', () => {
    for (let n = 0; n < 1_200; n++) conditions.of(`async.data.n == ${n}`);
    expect(matches(wait('event.data.id == async.data.id'), offer({ id: 'o-1' }))).not.toBeNull();
  });
});

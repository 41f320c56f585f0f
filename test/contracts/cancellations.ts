/** What every place for bulk cancellations must do. Run on D1 and on the fake. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Cancellation, CancellationProgress, Cancellations } from '../../src/ports.ts';
import { idAt, NOW } from '../ingest/world.ts';

const FRESH: CancellationProgress = { since: 0, pass: null, matched: 0, cancelled: 0, endedAt: null };

function aCancellation(n: number, change: Partial<Cancellation> = {}): Cancellation {
  const range = { startedAfter: null, startedBefore: NOW, expression: null, createdAt: NOW };
  return { id: idAt(n), env: 'production', appId: 'app', functionId: 'app-f', ...range, ...change };
}

/** `make` gives an empty one. */
export function cancellationsContract(name: string, make: () => Promise<Cancellations>): void {
  describe(`bulk cancellations in ${name}`, () => {
    let cancellations: Cancellations;
    beforeEach(async () => {
      cancellations = await make();
    });

    test('one is found as it was made, and a repeat changes nothing (BC-3)', async () => {
      const asked = aCancellation(1, { startedAfter: 5, expression: 'event.data.é == "🙂"' });
      await cancellations.create(asked);
      await cancellations.advance(asked.id, { ...FRESH, since: 5, matched: 1 });
      await cancellations.create(asked);
      expect(await cancellations.list('production', 10)).toEqual([
        { ...asked, ...FRESH, since: 5, matched: 1 },
      ]);
    });

    test('lists are by environment, newest first, in pages (BC-10)', async () => {
      for (const n of [1, 3, 2]) await cancellations.create(aCancellation(n));
      await cancellations.create(aCancellation(4, { env: 'other' }));
      const ids = async (...page: [number, string?]) =>
        (await cancellations.list('production', ...page)).map(({ id }) => id);
      expect(await ids(2)).toEqual([idAt(3), idAt(2)]);
      expect(await ids(2, idAt(2))).toEqual([idAt(1)]);
    });

    test('those with work left are found, the oldest first, until they have ended (BC-12)', async () => {
      for (const n of [2, 1, 3]) await cancellations.create(aCancellation(n));
      const progress = { ...FRESH, since: 9, pass: { cursor: idAt(7), until: 8 }, matched: 2, cancelled: 1 };
      await cancellations.advance(idAt(1), progress);
      await cancellations.advance(idAt(2), { ...FRESH, endedAt: NOW });
      expect(await cancellations.open(10)).toEqual([
        { ...aCancellation(1), ...progress },
        { ...aCancellation(3), ...FRESH },
      ]);
      expect(await cancellations.open(1)).toHaveLength(1);
      await cancellations.forget(NOW);
      expect(await cancellations.list('production', 10)).toHaveLength(3);
      await cancellations.forget(NOW + 1);
      expect((await cancellations.list('production', 10)).map(({ id }) => id)).toEqual([idAt(3), idAt(1)]);
    });

    test('one that is removed has no work left, and does not come back (BC-10)', async () => {
      await cancellations.create(aCancellation(1));
      expect(await cancellations.remove('other', idAt(1))).toBe(false);
      expect(await cancellations.remove('production', idAt(1))).toBe(true);
      expect(await cancellations.remove('production', idAt(1))).toBe(false);
      await cancellations.advance(idAt(1), FRESH);
      expect(await cancellations.open(10)).toEqual([]);
    });
  });
}

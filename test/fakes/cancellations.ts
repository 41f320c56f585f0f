/** Bulk cancellations in memory; held to the same contract as D1 (test/contracts/cancellations.ts). */
import type { CancellationRecord, Cancellations } from '../../src/ports.ts';
import { beginning } from '../../src/store/cancellations.ts';

export function memoryCancellations(): Cancellations {
  const rows = new Map<string, CancellationRecord>();
  const sorted = () =>
    [...rows.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1)).map((row) => ({ ...row }));
  return {
    async create(asked) {
      if (!rows.has(asked.id)) rows.set(asked.id, { ...asked, ...beginning(asked) });
    },
    async list(env, limit, cursor) {
      const own = sorted().filter((row) => row.env === env && (cursor === undefined || row.id < cursor));
      return own.toReversed().slice(0, limit);
    },
    async remove(env, id) {
      return rows.get(id)?.env === env && rows.delete(id);
    },
    async open(limit) {
      return sorted()
        .filter(({ endedAt }) => endedAt === null)
        .slice(0, limit);
    },
    async advance(id, progress) {
      const row = rows.get(id);
      if (row !== undefined) Object.assign(row, structuredClone(progress));
    },
    async forget(before) {
      for (const { id, endedAt } of sorted()) if (endedAt !== null && endedAt < before) rows.delete(id);
    },
  };
}

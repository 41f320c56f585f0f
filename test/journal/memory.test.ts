import { describe, test } from 'vitest';
import { journalCases } from '../contracts/journal.ts';
import { memoryJournal, noRows } from '../fakes/journal.ts';

describe('the journal in memory', () => {
  test.each(Object.entries(journalCases))('%s', async (_, run) => {
    const rows = noRows();
    await run(() => memoryJournal(rows));
  });
});

import { NonRetriableError } from '../sdk/index.ts';
import { inngest } from './client.ts';

/** Fails for good, to show what that looks like: the run ends as `Failed`, with the error as its output. */
export const importFile = inngest.createFunction(
  { id: 'import-file', name: 'Import a file', retries: 1 },
  { event: 'shop/import.started' },
  async ({ event, step }) => {
    const rows = await step.run('read', () => readFile(event.data.file));

    // A step that has failed for good throws into the handler, where it can be caught and made up for.
    const saved = await step
      .run('save', () => saveRows(rows))
      .catch(() => step.run('save a part', () => rows.length - 1));

    return { saved };
  },
);

function readFile(file: string): string[] {
  if (!file.endsWith('.csv')) throw new NonRetriableError('only .csv files can be imported');
  return ['header', 'first', 'second'];
}

function saveRows(rows: string[]): number {
  throw new NonRetriableError(`the table holds no ${rows.length} rows more`);
}

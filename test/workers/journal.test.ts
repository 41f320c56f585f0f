import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, test } from 'vitest';
import { Journal } from '../../durable-objects/journal.ts';
import { journalCases } from '../contracts/journal.ts';

describe('the journal on an object’s storage', () => {
  test.each(Object.entries(journalCases))('%s', async (name, run) => {
    const stub = env.RUN.get(env.RUN.idFromName(`journal: ${name}`));
    await runInDurableObject(stub, async (_, state) => run(() => new Journal(state.storage)));
  });
});

import { join } from 'node:path';
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

/** The Worker that the tests of `workers` talk to. */
const testWorker = 'test/workers/worker.ts';

/** Where .ci/run wants the counts. */
const report = process.env['TEST_REPORT'];

export default defineConfig({
  root: join(import.meta.dirname, '..'),
  test: {
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    projects: [
      {
        extends: true,
        test: {
          name: 'core',
          environment: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/workers/**', 'test/examples/**', 'test/e2e/**', 'test/conformance/**'],
        },
      },
      {
        extends: true,
        plugins: [
          cloudflareTest(async () => ({
            main: testWorker,
            wrangler: { configPath: 'wrangler.toml' },
            miniflare: {
              // test/workers/setup.ts applies the migrations before each file.
              bindings: {
                TEST_MIGRATIONS: await readD1Migrations('migrations'),
                STEPWELL_DEV: '1',
                STEPWELL_RETRY_INTERVAL: '1m',
                STEPWELL_ENCRYPTION_KEY: 'for-tests-only',
              },
            },
          })),
        ],
        test: {
          name: 'workers',
          include: ['test/{workers,examples}/**/*.test.ts'],
          setupFiles: ['test/workers/setup.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'conformance',
          environment: 'node',
          include: ['test/conformance/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          // Each file starts a whole server: one file at a time.
          name: 'e2e',
          environment: 'node',
          include: ['test/e2e/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});

import { defineConfig } from 'drizzle-kit';

/** Paths count from the project's root, where `npm run db:generate` runs. */
export default defineConfig({
  dialect: 'sqlite',
  schema: './src/store/schema.ts',
  out: './migrations',
});

/** The contract of registrations on D1 with the real migrations. */
import { env } from 'cloudflare:workers';
import { DAY } from '../../src/lib/time.ts';
import { d1Apps } from '../../src/store/apps.ts';
import { d1Store } from '../../src/store/d1.ts';
import { appsContract } from '../contracts/apps.ts';

const TABLES = ['app', 'app_function', 'event', 'run'];

appsContract('D1', async () => {
  await env.DB.batch(TABLES.map((table) => env.DB.prepare(`delete from ${table}`)));
  return { apps: d1Apps(env.DB), store: d1Store(env.DB, { retention: DAY }) };
});

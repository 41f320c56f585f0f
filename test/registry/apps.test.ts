import { appsContract } from '../contracts/apps.ts';
import { memoryApps } from '../fakes/apps.ts';
import { memoryStore } from '../fakes/store.ts';
import { DAY } from '../../src/lib/time.ts';

appsContract('memory', async () => {
  const apps = memoryApps();
  return { apps, store: memoryStore({ retention: DAY, versionOf: (env) => apps.versionOf(env) }) };
});

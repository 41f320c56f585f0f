import { RETENTION, storeContract } from '../contracts/store.ts';
import { memoryStore } from '../fakes/store.ts';

storeContract('in memory', async () => memoryStore({ retention: RETENTION }));

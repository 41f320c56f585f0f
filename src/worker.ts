/** The Worker that is deployed: the engine with the functions of src/app. Nothing imports this file. */
import { durableObjects } from '../durable-objects/index.ts';
import { apps } from './app/index.ts';
import { createWorker } from './engine.ts';

export const { Run, Sweeper, Cron, Waits, Signals, Gate } = durableObjects({ apps });

export default createWorker({ apps });

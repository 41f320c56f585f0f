/** The one place where time and chance enter the engine; everything else is given them (src/ports.ts). */
import type { Clock, Entropy } from './ports.ts';

export const systemClock: Clock = { now: () => Date.now() };

export const systemEntropy: Entropy = { bytes: (length) => crypto.getRandomValues(new Uint8Array(length)) };

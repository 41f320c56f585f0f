/** A batch or a debounce: events that become one run when it closes. */
import { hashUlid } from '../lib/hash.ts';
import { ulidTime } from '../lib/ulid.ts';
import type { Asks } from '../protocol/flow.ts';
import type { Collectable, Collecting, GateOf } from '../protocol/gate.ts';
import { addToBatch } from './batch.ts';
import { addToDebounce } from './debounce.ts';

export interface Window extends GateOf {
  /** Of the run that comes of it. */
  runId: string;
  openedAt: number;
  closesAt: number;
  /** Internal ids: of a batch all, as they came, of a debounce the last one. */
  events: string[];
  /** Receipt of the last one. */
  lastAt: number;
  bytes: number;
  asks: Asks;
  /** Events with which a batch is full: as configured when it was opened (BA-24). */
  maxSize?: number;
}

/** It takes no further event: its run is to start. */
export interface Closed extends Window {
  closedAt: number;
}

/** One event for a window, and the window that it opens if none is. */
export interface Addition {
  event: Collectable;
  open: (closesAt: number) => Window;
}

/** @param window the open one of the event's key. @returns it with the event, and the event that is now certain to be no run's first. */
export function collect(
  window: Window | null,
  of: GateOf,
  event: Collectable,
  policy: Collecting,
  now: number,
): { window: Window; absorbed: string | null } {
  const { asks, receivedAt: lastAt } = event;
  const runId = collectedRunId(of, event.eventId);
  const open = (closesAt: number): Window => ({
    env: of.env,
    functionId: of.functionId,
    runId,
    openedAt: now,
    closesAt,
    events: [],
    lastAt,
    bytes: 0,
    asks,
  });
  const add = { event, open };
  return policy.by === 'batch'
    ? addToBatch(window, add, policy, now)
    : addToDebounce(window, add, policy, now);
}

/** Made of the event that opens it: of what the same event starts otherwise, nothing has this id. */
function collectedRunId({ env, functionId }: GateOf, first: string): string {
  return hashUlid(ulidTime(first), `collected:${env}:${first}:${functionId}`);
}

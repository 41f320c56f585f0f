/** What must hold of events that were given up: they had failed often enough themselves, and nobody waits for what they never started. */
import type { EventRecord, RunRecord } from '../../src/ports.ts';
import { allEvents, keyOf as nameOf } from './store.ts';
import type { SimEngine } from './engine.ts';
import { hasStartGates, startedBy, type Program } from './programs.ts';
import { ENV } from './senders.ts';
import type { World } from './world.ts';

/** Failed starts that an event has at least before it is given up. */
const FAILURES = 8;

/** @returns the events that were given up, by the `key` in their data. */
export async function checkDead(
  world: World,
  engine: SimEngine,
  programs: ReadonlyMap<string, Program>,
): Promise<ReadonlySet<string>> {
  const { inside } = engine.db;
  const events = await allEvents(inside, ENV);
  const dead = events.filter(({ deadReason }) => deadReason !== null);
  const named = new Set(engine.dead.flatMap(({ body }) => (body as { ids?: string[] }).ids ?? []));
  const isGated = (id: string) => hasStartGates(programs.get(id) ?? { flow: {} });
  // What failed at a gate is not counted here.
  const isCounted = ![...programs.keys()].some(isGated);
  for (const id of named)
    if (isCounted && !hasFailed(engine, id)) world.violated(`${id} is given up too early`);
  for (const record of dead) {
    const { internalId } = record.event;
    const all = await inside.runsOfEvent(ENV, internalId);
    const rows = all.filter(({ functionId }) => !isGated(functionId));
    const started = startedBy(programs.values(), record.event).filter(({ id }) => !isGated(id));
    if (!named.has(internalId)) world.violated(`${internalId} is dead and no letter says so`);
    if (rows.length !== started.length)
      world.violated(`${internalId} is dead and has ${rows.length} runs in the index`);
    for (const row of rows) checkRow(world, engine, record, row);
  }
  return new Set(dead.map(({ event }) => nameOf(event)));
}

function hasFailed(engine: SimEngine, internalId: string): boolean {
  return (engine.starts.failed.get(internalId) ?? 0) >= FAILURES;
}

function checkRow(world: World, engine: SimEngine, { deadReason }: EventRecord, row: RunRecord): void {
  const isStarted = (engine.objects.all.get(row.runId)?.rows.table.size ?? 0) > 0;
  if (isStarted) return;
  const output = JSON.stringify({ name: 'NotStarted', message: `the event was given up: ${deadReason}` });
  if (row.status !== 'Failed' || row.output !== output)
    world.violated(`${row.runId} was never started and is ${row.status} with ${row.output}`);
}

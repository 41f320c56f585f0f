/** What befalls the world between two of its turns. */
import { DAY, HOUR, MINUTE, SECOND } from '../../src/lib/time.ts';
import type { SimEngine } from './engine.ts';
import type { Faults } from './faults.ts';
import type { World } from './world.ts';

const JUMPS = [SECOND, MINUTE, 10 * MINUTE, HOUR, DAY];

export function strike(world: World, engine: SimEngine, faults: Faults, stepRuntime: number): void {
  if (faults.isHealed) return;
  const awake = inMemory(engine);
  if (awake.length > 0 && faults.strikes('object crashes')) drop(world, faults.pick(awake), 'crashes');
  const idle = inMemory(engine).filter(({ isIdle }) => isIdle);
  if (idle.length > 0 && faults.strikes('object evicted')) drop(world, faults.pick(idle), 'is evicted');
  const work = world.process.children.filter(({ name }) => !name.startsWith('object'));
  if (work.length > 0 && faults.strikes('work killed')) {
    const life = faults.pick(work);
    world.note(() => `${life.name} is killed`);
    life.die();
  }
  if (faults.strikes('clock jumps')) jump(world, engine, faults, stepRuntime);
  if (faults.strikes('process crashes')) engine.crash();
}

/** The mode in which nothing stays in memory: every owner goes as soon as nothing that it waits for needs it. */
export function evictAll(engine: SimEngine): void {
  for (const object of inMemory(engine)) if (object.isIdle) object.die();
}

/** What may be gone. */
interface InMemory {
  name: string;
  /** Nothing that it waits for needs it. */
  isIdle: boolean;
  die(): void;
}

function inMemory(engine: SimEngine): InMemory[] {
  return [...engine.objects.awake(), ...engine.diskObjects().filter(({ isAwake }) => isAwake)];
}

function drop(world: World, object: InMemory, how: string): void {
  world.note(() => `${object.name} ${how}`);
  object.die();
}

/** Never so far that an answer which the program says comes in time would come too late. */
function jump(world: World, engine: SimEngine, faults: Faults, stepRuntime: number): void {
  const since = engine.objects.awake().map(({ incarnation }) => incarnation?.stand.waitingSince ?? Infinity);
  const most = Math.min(Infinity, ...since) + stepRuntime * 0.7;
  const to = Math.min(world.now + faults.pick(JUMPS), most);
  if (to <= world.now) return;
  world.note(() => `the clock jumps by ${Math.round((to - world.now) / SECOND)} s`);
  world.disturbance += to - world.now;
  world.now = Math.floor(to);
}

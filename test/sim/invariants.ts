/** What must hold once the world is at rest, whatever happened before. */
import type { RunRecord } from '../../src/ports.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import type { Json } from '../../src/lib/json.ts';
import { limits } from '../../src/protocol/limits.ts';
import { HOUR, SECOND } from '../../src/lib/time.ts';
import type { Run } from '../../src/run/state.ts';
import { Answers } from './answers.ts';
import { checkDead } from './dead.ts';
import type { SimEngine } from './engine.ts';
import { cancelledWithin, expected, type Expected, type Seen } from './model.ts';
import type { RunObject } from './objects.ts';
import { hasStartGates, listening, nodesOf, type Program } from './programs.ts';
import { causeOf, nameAndMessage, outcomeOf, outputOf, runOf } from './rows.ts';
import { ENV, type Sent } from './senders.ts';
import { keyOf } from './store.ts';
import type { World } from './world.ts';

/** What the keys of steps that send begin with. */
const SENDS = 'e';

export interface Scene {
  world: World;
  engine: SimEngine;
  programs: Map<string, Program>;
  stepRuntime: number;
  sent: Sent[];
  /** Something went wrong on purpose. */
  isDisturbed: boolean;
  /** Runs whose cancellation was confirmed. */
  cancelled: ReadonlySet<string>;
  /** Runs that somebody has tried to cancel. */
  meantToCancel: ReadonlySet<string>;
}

export async function checkWorld(scene: Scene): Promise<void> {
  const { world, engine } = scene;
  const wrong = (what: string) => world.violated(what);
  const dead = await checkDead(world, engine, scene.programs);
  const { inside } = engine.db;
  const undispatched = await inside.undispatched(Infinity, 1_000);
  engine.crons.check(scene.isDisturbed);
  engine.flow.check(engine.objects.all.values());
  const isGivenUp = (event: StoredEvent) => dead.has(keyOf(event));
  const { all: objects } = engine.objects;
  await engine.gated.check(scene.programs.values(), { objects, store: inside, isGone: isGivenUp });
  for (const { name, runId, key } of engine.waitsObjects.left())
    wrong(`${name}: ${runId} ${key} is waited for at the end of all`);
  if (undispatched.length > 0) wrong(`${undispatched.length} events are not dispatched`);
  const open = await inside.runsToCheck(Infinity, 1_000);
  if (open.length > 0) wrong(`${open.length} runs are open in the index`);
  const repairs = Object.entries(engine.sweeper.counted).filter(([, count]) => count > 0);
  if (!scene.isDisturbed && repairs.length > 0)
    wrong(`undisturbed, the sweep had to repair ${repairs.join(' ')}`);
  const started = [...engine.objects.all.values()].filter(({ rows }) => rows.table.size > 0);
  const runs = Map.groupBy(started, (object) => `${causeOf(object)} ${object.watch.program}`);
  const posts = Map.groupBy(scene.sent, ({ event }) => event.key);
  for (const [name, { length }] of runs) {
    const allowed = periods(posts.get(name.split(' ')[0] ?? '') ?? []);
    const isGated = hasStartGates(scene.programs.get(name.split(' ')[1] ?? '') ?? { flow: {} });
    // A repeat of an event is collected as well (ID-7).
    if (length > allowed && !isGated) wrong(`${name} has ${length} runs`);
  }
  for (const [key, sent] of posts) if (!dead.has(key)) checkSent(scene, key, sent, runs);
  const isGone = (key: string) => engine.lost.has(key) || dead.has(key);
  const answers = await Answers.of(scene, started);
  answers.check();
  for (const object of started) {
    await checkRun(scene, object);
    checkSteps(scene, object, (key) => runs.has(`${key} app-child`) || isGone(key));
  }
}

/** An accepted event has a run of each function that listens to it; one that was refused has them too or has none. */
function checkSent(
  { world, engine, programs }: Scene,
  key: string,
  sent: Sent[],
  runs: ReadonlyMap<string, unknown>,
): void {
  const plain = [...programs.values()].filter((program) => !hasStartGates(program));
  const wanted = listening(plain, sent[0]?.event.name ?? '');
  const have = wanted.filter(({ id }) => runs.has(`${key} ${id}`)).length;
  const isAccepted = sent.some(({ accepted }) => accepted) && !engine.lost.has(key);
  if (have === wanted.length || (have === 0 && !isAccepted)) return;
  world.violated(`${key} (${isAccepted ? '' : 'not '}accepted) has ${have} of its ${wanted.length} runs`);
}

/** Events with one id are one event if they are sent within a day. */
function periods(sent: Sent[]): number {
  const at = sent.flatMap((post) => post.at);
  return Math.max(...at) - Math.min(...at) < limits.idempotency - HOUR ? 1 : at.length;
}

async function checkRun(scene: Scene, object: RunObject): Promise<void> {
  const { watch, rows, id } = object;
  const wrong = (what: string) => scene.world.violated(`${id} ${what}`);
  const program = scene.programs.get(watch.program ?? '');
  const run = runOf(object);
  if (program === undefined || run?.end == null) return wrong('has not ended');
  if (rows.alarm !== null) wrong('has ended and has an alarm');
  const output = outputOf(object);
  checkIndex(await scene.engine.db.inside.findRun(ENV, id), run.end.status, output, wrong);
  if (run.end.status === 'Cancelled') return checkCancelled(scene, object, program);
  if (scene.cancelled.has(id)) wrong(`was cancelled and is ${run.end.status}`);
  const model = expected(program, scene.stepRuntime, {
    decided: (key) => watch.decisions.get(key),
    sent: (key) => sendProblem(object, key),
    answered: (key) => answerOf(object, program, key),
  });
  if (typeof model === 'string') return wrong(model);
  if (model.status !== run.end.status) wrong(`is ${run.end.status} and should be ${model.status}`);
  const value = JSON.parse(output) as Json;
  const seen = run.end.status === 'Failed' ? nameAndMessage(value) : value;
  if (!isSame(seen, model.output)) {
    wrong(`has the output ${JSON.stringify(seen)} and should have ${JSON.stringify(model.output)}`);
  }
  checkFailures(object, model, run, wrong);
}

/** What was done for a step's outcome. @param isTaken whether an event that was sent came to something. */
function checkSteps({ world }: Scene, { watch, id }: RunObject, isTaken: (key: string) => boolean): void {
  for (const { name, ok, op } of watch.settled.values()) {
    if (!ok || op !== 'StepRun') continue;
    const isDone = name.startsWith(SENDS) ? isTaken(`${id}/${name}`) : watch.done.has(name);
    if (!isDone) world.violated(`${id} step ${name} has an outcome and did nothing`);
  }
}

function checkIndex(
  record: RunRecord | null,
  status: string,
  output: string,
  wrong: (what: string) => void,
): void {
  if (record === null) return wrong('is not in the index');
  if (record.status !== status) wrong(`is ${record.status} in the index and ${status} in its object`);
  if (!record.outputInObject && record.output !== output)
    wrong('has another output in the index than in its object');
}

/** Cancelled soon, not when somebody happens to look. */
function checkCancelled({ world, stepRuntime }: Scene, { watch, id }: RunObject, program: Program): void {
  const took = (watch.endedAt ?? Infinity) - (watch.cancelledAt ?? 0);
  const allowed = cancelledWithin(program, stepRuntime) + world.disturbance;
  if (took > allowed) world.violated(`${id} took ${Math.round(took / SECOND)} s to be cancelled`);
}

function checkFailures(
  { watch }: RunObject,
  { failures, mayHang }: Expected,
  run: Run,
  wrong: (what: string) => void,
): void {
  for (const [key, expectedFailures] of failures) {
    const seen = watch.failures.get(key) ?? [];
    if (!isSame(seen, expectedFailures))
      wrong(`step ${key} failed with ${JSON.stringify(seen)}, not ${JSON.stringify(expectedFailures)}`);
  }
  if (!mayHang && run.failures.some(({ error }) => error.name === 'TimeoutError'))
    wrong('timed out though nothing hangs');
}

function sendProblem(object: RunObject, key: string): { name: string; message: string } | null {
  const step = object.watch.settled.get(key);
  if (step === undefined || step.ok) return null;
  return nameAndMessage(JSON.parse(outcomeOf(object, step)) as Json);
}

function answerOf(object: RunObject, program: Program, key: string): ReturnType<Seen['answered']> {
  const step = object.watch.settled.get(key);
  if (step === undefined) return undefined;
  const value = JSON.parse(outcomeOf(object, step)) as Json;
  if (!step.ok) return { problem: nameAndMessage(value) };
  if (nodesOf(program).get(key)?.kind === 'invoke') return { value };
  return { value: (value as { data: { key: string } } | null)?.data.key ?? null };
}

/** After the last retention period nothing may be left. */
export function checkEmptied({ world, engine }: Scene): void {
  for (const { id, rows } of engine.objects.all.values()) {
    if (rows.table.size > 0 || rows.alarm !== null) world.violated(`${id} is not emptied after its time`);
  }
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

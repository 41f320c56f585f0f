/** Functions as data: generated from a seed, played as real handlers (user-code.ts) and worked out on paper (model.ts). */
import { never as unreachable } from '../../src/lib/never.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/lib/time.ts';
import { CANCELLED, FAILED, failureChain, FINISHED, type StoredEvent } from '../../src/protocol/event.ts';
import type { flowOptions } from '../../src/protocol/flow.ts';
import type { FunctionConfig } from '../../src/protocol/function.ts';
import type { Random } from './random.ts';

/** What one attempt of a step's callback does. `late`: answers after its attempt was given up. */
export interface Attempt {
  outcome: 'ok' | 'error' | 'retryAfter' | 'nonRetriable' | 'hang' | 'late';
  /** Waits this long for the outside first. */
  wait: number;
}

export interface StepNode {
  kind: 'step';
  key: string;
  /** Several steps may share one; `key` is theirs alone. */
  id: string;
  /** By attempt; those beyond the list succeed at once. */
  attempts: Attempt[];
}

/** The handler itself throws or hangs as long as its attempt is below `times`. */
export interface SiteNode {
  kind: 'site';
  key: string;
  how: 'error' | 'retryAfter' | 'nonRetriable' | 'hang';
  times: number;
}

/** Another function is run. `timeout` null: as long as it takes. */
export interface InvokeNode {
  kind: 'invoke';
  key: string;
  functionId: string;
  timeout: number | null;
}

/** An event of this name is waited for; with this `n` in its data, if there is one. */
export interface WaitNode {
  kind: 'wait';
  key: string;
  event: string;
  n: number | null;
  timeout: number;
  lookBack: number | 'run';
}

export type Node =
  | StepNode
  | SiteNode
  | { kind: 'sleep'; key: string; ms: number; form: 'for' | 'until' }
  | { kind: 'send'; key: string }
  | InvokeNode
  | WaitNode
  | { kind: 'all' | 'race'; key: string; branches: Node[][] }
  | { kind: 'try'; key: string; body: Node[]; fallback: Node[] }
  /** Always throws. */
  | { kind: 'fail'; key: string }
  /** The handler waits for something that is no step. */
  | { kind: 'pause'; key: string; ms: number }
  /** So many turns of the microtask queue. */
  | { kind: 'tick'; key: string; turns: number };

interface CronTrigger {
  cron: string;
  jitter?: string;
}

type Flow = Pick<FunctionConfig, keyof typeof flowOptions>;

export interface Program {
  id: string;
  /** Event names that it listens to. */
  triggers: string[];
  /** Schedules. */
  crons: CronTrigger[];
  maxAttempts: number;
  nodes: Node[];
  /** By an event with this `n` in its data, so long after the start. */
  cancelOn: { event: string; n: number; timeout: number } | null;
  flow: Flow;
}

export const CHILD = 'sim/child';
/** What runs wait for, and what cancels them. */
const SIGNALS = ['sim/signal', 'sim/stop'] as const;
/** How many values `n` has. */
export const KINDS = 2;
/** How long is waited for them. */
const TIMEOUTS = [0, 5, SECOND, MINUTE, HOUR, 3 * DAY];
export const NAMES = ['sim/a', 'sim/b.one', 'sim/b.two'];
const PLAIN = { crons: [], cancelOn: null, flow: {} };
const TRIGGERS = [['sim/a'], ['sim/b.*'], ['sim/b.one', 'sim/a'], ['sim/*']];

export function generatePrograms(random: Random, stepRuntime: number): Program[] {
  const programs = Array.from({ length: random.between(1, 3) }, (_, index) => {
    const maxAttempts = random.between(1, 4);
    const nodes = new Generator(random, maxAttempts, stepRuntime).top();
    // `sim/*` would listen to what functions send, its own function included.
    const triggers = random.pick(TRIGGERS).flatMap((name) => (name === 'sim/*' ? NAMES : [name]));
    return { ...PLAIN, id: `app-f${index}`, triggers, maxAttempts, nodes };
  });
  const child = new Generator(random, 2, stepRuntime);
  const nodes = [child.step()];
  return [...programs, { ...PLAIN, id: 'app-child', triggers: [CHILD], maxAttempts: 2, nodes }];
}

/** In some histories runs ask of others: functions to run, events to come, events that cancel them; and somebody listens to their ends. */
export function addAsks(random: Random, programs: Program[], stepRuntime: number, odds = 0.6): Program[] {
  if (!random.chance(odds)) return programs;
  const ids = programs.map(({ id }) => id);
  for (const [index, program] of programs.entries()) {
    if (program.id === 'app-child') continue;
    // Only those that come later, or none would ever end.
    const callable = [...ids.slice(index + 1), 'app-child', 'app-nobody'];
    // Much of what happens before they are asked would keep many from being asked at all.
    if (random.chance(0.6)) program.nodes = [new Generator(random, program.maxAttempts, stepRuntime).step()];
    for (let count = random.between(1, 4); count > 0; count--) {
      const place = random.pick(places(program.nodes));
      const ask = random.chance(0.4) ? invoke(random, `i${count}`, callable) : wait(random, `w${count}`);
      place.splice(random.between(0, place.length), 0, ask);
    }
    if (random.chance(0.6)) {
      const timeout = random.pick([MINUTE, HOUR, 3 * DAY]);
      program.cancelOn = { event: SIGNALS[1], n: random.between(0, KINDS - 1), timeout };
    }
  }
  if (random.chance(0.75)) return programs;
  const triggers = random.pick([[FAILED], [CANCELLED], [FINISHED], [FAILED, FINISHED]]);
  // It sends nothing and invokes nobody, or the ends of those would keep it going for ever.
  const ends = new Generator(random, 2, stepRuntime);
  const nodes = [ends.step(), ends.step()];
  return [...programs, { ...PLAIN, id: 'app-ends', triggers, maxAttempts: 2, nodes }];
}

/** Some ticks of the history's first days each, then none for a year: a history comes to rest. */
const SCHEDULES = [
  '0 * 1 1 *',
  '*/10 0-2 1 1 *',
  '*/5 4 1 1 *',
  '*/2 1 1 1 *',
  '30 */4 1-3 1 *',
  'TZ=Europe/Paris 0 */3 1-2 1 *',
];

function schedules(random: Random): CronTrigger[] {
  return Array.from({ length: random.between(1, 2) }, () => {
    const cron = random.pick(SCHEDULES);
    return random.chance(0.6) ? { cron } : { cron, jitter: random.pick(['20s', '90s', '5m']) };
  });
}

/** In some histories functions run by the clock. */
export function addCrons(random: Random, programs: Program[], stepRuntime: number, odds = 0.2): Program[] {
  if (!random.chance(odds)) return programs;
  const timed = Array.from({ length: random.between(1, 2) }, (_, n) => {
    const nodes = [new Generator(random, 2, stepRuntime).step()];
    return { ...PLAIN, id: `app-cron${n}`, triggers: [], crons: schedules(random), maxAttempts: 2, nodes };
  });
  return [...programs, ...timed];
}

/** In some histories functions wait for one another. */
export function addFlow(random: Random, programs: Program[], odds = 0.2): Program[] {
  if (!random.chance(odds)) return programs;
  return programs.map((program, index) => {
    const { throttle, ...rest } = random.chance(0.75) ? limitsOf(random) : {};
    // What comes by the clock would only pile up in front of it.
    const limits = throttle === undefined || program.crons.length > 0 ? rest : { ...rest, throttle };
    // Nobody invokes the first one: whoever invokes another one hears of its end.
    const gate = index === 0 && random.chance(0.6) ? startGate(random) : {};
    return { ...program, flow: { ...limits, ...gate } };
  });
}

/** Its events are collected, or some of them skipped. */
export function hasStartGates({ flow: { batchEvents, debounce, ...flow } }: Pick<Program, 'flow'>): boolean {
  return (batchEvents ?? debounce ?? flow.rateLimit ?? flow.idempotency ?? flow.singleton) !== undefined;
}

function startGate(random: Random): Flow {
  const keyed = random.chance(0.5) ? { key: KEY } : {};
  const period = random.pick(['2s', '30s', '10m']);
  return random.pick<() => Flow>([
    () => ({ batchEvents: { maxSize: random.between(2, 5), timeout: random.pick(['1s', '1m']), ...keyed } }),
    () => ({ debounce: { period, ...(random.chance(0.4) ? { timeout: '15m' } : {}), ...keyed } }),
    () => ({ rateLimit: { limit: random.between(1, 3), period, ...keyed } }),
    () => ({ idempotency: KEY }),
    () => ({ singleton: { mode: 'skip', ...keyed } }),
  ])();
}

const KEY = 'event.data.n';
/** Somebody else's limit is met here. */
const SHARED = { key: '"shared"', scope: 'env' } as const;

function limitsOf(random: Random): Flow {
  const limit = () => random.between(1, 2);
  const concurrency = random.pick<() => NonNullable<Flow['concurrency']>>([
    () => [{ limit: limit(), scope: 'fn' }],
    () => [{ limit: limit(), scope: 'fn', key: KEY }],
    () => [{ ...SHARED, limit: limit() }],
    () => [
      { limit: 1, scope: 'fn', key: KEY },
      { ...SHARED, limit: limit() },
    ],
  ])();
  const throttle = {
    limit: limit(),
    period: random.pick(['10s', '1m', '20m']),
    burst: limit(),
    ...(random.chance(0.3) ? { key: KEY } : {}),
  };
  return {
    ...(random.chance(0.8) ? { concurrency } : {}),
    ...(random.chance(0.4) ? { throttle } : {}),
    ...(random.chance(0.3) ? { priority: { run: `${KEY} * 30` } } : {}),
  };
}

/** The same functions with other schedules, or without. */
export function reschedule(random: Random, programs: Iterable<Program>): Program[] {
  return [...programs].map((program) => {
    if (program.crons.length === 0 || random.chance(0.4)) return program;
    const kept = random.chance(0.5) ? program.crons.slice(0, 1) : [];
    return { ...program, crons: random.chance(0.25) ? [] : [...kept, ...schedules(random)] };
  });
}

/** Every sequence of a program. */
function places(nodes: Node[]): Node[][] {
  return [nodes, ...nodes.flatMap((node) => inner(node).flatMap(places))];
}

function inner(node: Node): Node[][] {
  if (node.kind === 'all' || node.kind === 'race') return node.branches;
  return node.kind === 'try' ? [node.body, node.fallback] : [];
}

/** A program's nodes by their keys. */
export function nodesOf({ nodes }: Program): ReadonlyMap<string, Node> {
  return new Map(
    places(nodes)
      .flat()
      .map((node) => [node.key, node]),
  );
}

function invoke(random: Random, key: string, callable: string[]): Node {
  const timeout = random.chance(0.25) ? random.pick([SECOND, MINUTE, HOUR, 3 * DAY]) : null;
  return { kind: 'invoke', key, functionId: random.pick(callable), timeout };
}

function wait(random: Random, key: string): Node {
  const n = random.chance(0.7) ? random.between(0, KINDS - 1) : null;
  const timeout = random.pick(TIMEOUTS);
  const lookBack = random.pick(['run', 'run', 0, MINUTE, 3 * HOUR] as const);
  return { kind: 'wait', key, event: random.chance(0.8) ? SIGNALS[0] : SIGNALS[1], n, timeout, lookBack };
}

class Generator {
  readonly #random: Random;
  readonly #maxAttempts: number;
  readonly #stepRuntime: number;
  #keys = 0;
  #pauses = 3;

  constructor(random: Random, maxAttempts: number, stepRuntime: number) {
    this.#random = random;
    this.#maxAttempts = maxAttempts;
    this.#stepRuntime = stepRuntime;
  }

  /** Sites and pauses are only found here: the model follows them in the order of the code. */
  top(): Node[] {
    const nodes: Node[] = [];
    for (let length = this.#random.between(1, 5); length > 0; length--) {
      const kind = this.#random.weighted({ node: 80, site: 12, pause: 8 });
      if (kind === 'site') nodes.push(this.#site());
      else if (kind === 'pause' && this.#pauses-- > 0) {
        nodes.push({ kind: 'pause', key: this.#key('p'), ms: this.#random.between(0, 2 * SECOND) });
      } else nodes.push(this.#node(2));
    }
    return nodes;
  }

  step(id?: string): StepNode {
    const random = this.#random;
    const key = this.#key('s');
    const attempts: Attempt[] = [];
    const failures = random.chance(0.65) ? 0 : random.between(1, this.#maxAttempts + 1);
    for (let n = 0; n < failures; n++) {
      const outcome = random.weighted({ error: 70, retryAfter: 10, nonRetriable: 8, hang: 6, late: 10 });
      attempts.push({ outcome, wait: this.#wait() });
    }
    attempts.push({ outcome: 'ok', wait: this.#wait() });
    return { kind: 'step', key, id: id ?? key, attempts };
  }

  #node(depth: number): Node {
    const random = this.#random;
    const weights = { step: 44, sleep: 12, send: 6, tick: 4, repeat: 5, fail: 2, all: 12, race: 9, try: 10 };
    const kind = random.weighted(depth > 0 ? weights : { ...weights, repeat: 0, all: 0, race: 0, try: 0 });
    switch (kind) {
      case 'step':
        return this.step();
      case 'repeat':
        return this.step('again');
      case 'sleep':
        return { kind, key: this.#key('z'), ms: this.#sleep(), form: random.chance(0.7) ? 'for' : 'until' };
      case 'send':
        return { kind, key: this.#key('e') };
      case 'tick':
        return { kind, key: this.#key('t'), turns: random.between(1, 12) };
      case 'fail':
        return { kind, key: this.#key('f') };
      case 'all':
      case 'race':
        return { kind, key: this.#key(kind), branches: this.#branches(depth - 1) };
      case 'try':
        return {
          kind,
          key: this.#key('try'),
          body: this.#sequence(2, depth - 1),
          fallback: this.#sequence(1, depth - 1),
        };
      default:
        return unreachable(kind);
    }
  }

  /**
   * Each begins with a step: between code without one and an outcome in the journal a race is decided anew in every replay. Steps that
   * share an id get their numbers in the order of the calls, which only straight code fixes.
   */
  #branches(depth: number): Node[][] {
    return Array.from({ length: this.#random.between(2, 3) }, () => {
      const nodes = this.#sequence(2, depth).map(unshared);
      return ['tick', 'fail', 'try'].includes(nodes[0]?.kind ?? '') ? [this.step(), ...nodes] : nodes;
    });
  }

  #sequence(most: number, depth: number): Node[] {
    return Array.from({ length: this.#random.between(1, most) }, () => this.#node(depth));
  }

  #site(): SiteNode {
    const how = this.#random.weighted({ error: 60, retryAfter: 15, nonRetriable: 10, hang: 15 });
    return { kind: 'site', key: this.#key('x'), how, times: this.#random.between(1, this.#maxAttempts) };
  }

  #wait(): number {
    const length = this.#random.weighted({ none: 60, short: 28, long: 12 });
    if (length === 'none') return 0;
    return this.#random.between(1, length === 'short' ? 5 * SECOND : this.#stepRuntime / 4);
  }

  #sleep(): number {
    const random = this.#random;
    return random.between(0, random.pick([0, 10, 10 * SECOND, MINUTE, HOUR, 3 * DAY]));
  }

  #key(kind: string): string {
    return `${kind}${this.#keys++}`;
  }
}

/** The functions that an event starts. A function whose own failure led to it is not started by it. */
export function startedBy(programs: Iterable<Program>, event: StoredEvent): Program[] {
  const { target } = event;
  if (target !== undefined) return [...programs].filter(({ id }) => id === target.functionId);
  const chain = failureChain(event);
  return listening(programs, event.name).filter(({ id }) => !chain.includes(id));
}

/** The functions that an event of this name starts. */
export function listening<One extends Pick<Program, 'triggers'>>(
  programs: Iterable<One>,
  name: string,
): One[] {
  return [...programs].filter(({ triggers }) => triggers.some((trigger) => listens(trigger, name)));
}

function listens(trigger: string, name: string): boolean {
  return trigger.endsWith('*') ? name.startsWith(trigger.slice(0, -1)) : trigger === name;
}

function unshared(node: Node): Node {
  if (node.kind === 'step') return { ...node, id: node.key };
  if (node.kind !== 'try') return node;
  return { ...node, body: node.body.map(unshared), fallback: node.fallback.map(unshared) };
}

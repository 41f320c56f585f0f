/** Functions as data: generated from a seed, played as real handlers (user-code.ts) and worked out on paper (model.ts). */
import { never as unreachable } from '../../src/lib/never.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/protocol/limits.ts';
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

export type Node =
  | StepNode
  | SiteNode
  | { kind: 'sleep'; key: string; ms: number; form: 'for' | 'until' }
  | { kind: 'send'; key: string }
  | { kind: 'all' | 'race'; key: string; branches: Node[][] }
  | { kind: 'try'; key: string; body: Node[]; fallback: Node[] }
  /** Always throws. */
  | { kind: 'fail'; key: string }
  /** The handler waits for something that is no step. */
  | { kind: 'pause'; key: string; ms: number }
  /** So many turns of the microtask queue. */
  | { kind: 'tick'; key: string; turns: number };

export interface Program {
  id: string;
  /** Event names that it listens to. */
  triggers: string[];
  maxAttempts: number;
  nodes: Node[];
}

export const CHILD = 'sim/child';
export const NAMES = ['sim/a', 'sim/b.one', 'sim/b.two'];
const TRIGGERS = [['sim/a'], ['sim/b.*'], ['sim/b.one', 'sim/a'], ['sim/*']];

export function generatePrograms(random: Random, stepRuntime: number): Program[] {
  const programs = Array.from({ length: random.between(1, 3) }, (_, index) => {
    const maxAttempts = random.between(1, 4);
    const nodes = new Generator(random, maxAttempts, stepRuntime).top();
    // `sim/*` would listen to what functions send, its own function included.
    const triggers = random.pick(TRIGGERS).flatMap((name) => (name === 'sim/*' ? NAMES : [name]));
    return { id: `app-f${index}`, triggers, maxAttempts, nodes };
  });
  const child = new Generator(random, 2, stepRuntime);
  return [...programs, { id: 'app-child', triggers: [CHILD], maxAttempts: 2, nodes: [child.step()] }];
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

function unshared(node: Node): Node {
  if (node.kind === 'step') return { ...node, id: node.key };
  if (node.kind !== 'try') return node;
  return { ...node, body: node.body.map(unshared), fallback: node.fallback.map(unshared) };
}

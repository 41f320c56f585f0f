/**
 * What must become of a run: its program worked out in a plain loop, straight through, without an engine. What only the order of things
 * in time decides (which branch was first) is taken as the handler saw it; that it always saw the same is checked elsewhere.
 */
import { never as unreachable } from '../../src/lib/never.ts';
import { SECOND } from '../../src/lib/time.ts';
import type { Node, Program, SiteNode, StepNode } from './programs.ts';

export interface Expected {
  status: 'Completed' | 'Failed';
  /** What the handler returned, or `{ name, message }` of the error that it failed with. */
  output: unknown;
  /** Failures of each step that the result depends on, as `name: message`. */
  failures: Map<string, string[]>;
  /** Steps and handler attempts that may time out. */
  mayHang: boolean;
}

export interface Seen {
  /** Which branch was first; undefined when that was never decided. */
  decided(key: string): number | undefined;
  /** Whether a step that sends found somebody to take its event, which depends on the faults. */
  sent(key: string): { name: string; message: string } | null;
  /** What came of a step that asks others; undefined when nothing did. Whether that is right is checked elsewhere. */
  answered(key: string): { value: unknown } | { problem: Problem } | undefined;
}

interface Problem {
  name: string;
  message: string;
}

/** Thrown where the run cannot have come to. */
class Contradiction extends Error {}

class Thrown extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

export function expected(program: Program, stepRuntime: number, seen: Seen): Expected | string {
  const model = new Model(program.maxAttempts, stepRuntime, seen);
  try {
    return { status: 'Completed', output: model.sequence(program.nodes), ...model.notes };
  } catch (thrown) {
    if (thrown instanceof Contradiction) return thrown.message;
    if (!(thrown instanceof Thrown)) throw thrown;
    return { status: 'Failed', output: thrown.problem, ...model.notes };
  }
}

class Model {
  readonly notes: Pick<Expected, 'failures' | 'mayHang'> = { failures: new Map(), mayHang: false };
  readonly #maxAttempts: number;
  readonly #stepRuntime: number;
  readonly #seen: Seen;
  /** Those that the handler has passed: a step's retry passes them again, with its own attempt. */
  readonly #sites: SiteNode[] = [];

  constructor(maxAttempts: number, stepRuntime: number, seen: Seen) {
    this.#maxAttempts = maxAttempts;
    this.#stepRuntime = stepRuntime;
    this.#seen = seen;
  }

  sequence(nodes: Node[]): unknown[] {
    return nodes.map((node) => this.#node(node));
  }

  #node(node: Node): unknown {
    switch (node.kind) {
      case 'step':
        return this.#step(node);
      case 'send':
        return this.#send(node.key);
      case 'all':
        return this.#all(node);
      case 'race':
        return {
          winner: this.#first(node.key),
          value: this.sequence(node.branches[this.#first(node.key)] ?? []),
        };
      case 'invoke':
      case 'wait':
        return this.#ask(node.key);
      case 'try':
        return this.#try(node);
      case 'site':
        return this.#site(node);
      case 'fail':
        throw new Thrown({ name: 'Error', message: `${node.key} fails` });
      case 'sleep':
      case 'pause':
      case 'tick':
        return null;
      default:
        return unreachable(node);
    }
  }

  #step(node: StepNode): unknown {
    const failures: string[] = [];
    this.notes.failures.set(node.key, failures);
    for (let attempt = 0; ; attempt++) {
      const problem = this.#passes(attempt, node.key) ?? this.#attempt(node, attempt);
      if (problem === null) return `${node.key}#${attempt}`;
      failures.push(`${problem.name}: ${problem.message}`);
      if (problem.name === 'NonRetriableError' || attempt + 1 >= this.#maxAttempts) throw new Thrown(problem);
    }
  }

  #attempt({ key, attempts }: StepNode, attempt: number): Problem | null {
    const outcome = attempts[attempt]?.outcome ?? 'ok';
    if (outcome === 'ok') return null;
    if (outcome === 'hang' || outcome === 'late') {
      this.notes.mayHang = true;
      return { name: 'TimeoutError', message: `the step gave no news for ${this.#stepRuntime} ms` };
    }
    const names = { error: 'Error', retryAfter: 'RetryAfterError', nonRetriable: 'NonRetriableError' };
    return { name: names[outcome], message: `${key} fails at ${attempt}` };
  }

  /** A retry enters the handler with the step's attempt: a site that does not let that one through fails the step's attempt. */
  #passes(attempt: number, key: string): Problem | null {
    if (attempt === 0) return null;
    const site = this.#sites.find(({ times }) => attempt < times);
    if (site === undefined) return null;
    if (site.how !== 'hang') return siteProblem(site);
    const message = `the function does not reach the step "${key}" any more, which was to be retried`;
    return { name: 'StepNotFound', message };
  }

  #send(key: string): unknown {
    const problem = this.#seen.sent(key);
    if (problem !== null) throw new Thrown(problem);
    return 'sent';
  }

  #ask(key: string): unknown {
    const answer = this.#seen.answered(key);
    if (answer === undefined) throw new Contradiction(`${key}: the handler went on without an answer`);
    if (!('problem' in answer)) return answer.value;
    // The invoked function's own, maybe.
    if (answer.problem.name === 'TimeoutError') this.notes.mayHang = true;
    throw new Thrown(answer.problem);
  }

  #all({ key, branches }: { key: string; branches: Node[][] }): unknown {
    const first = this.#seen.decided(key);
    if (first === undefined) return branches.map((nodes) => this.sequence(nodes));
    this.sequence(branches[first] ?? []);
    throw new Contradiction(`${key}: branch ${first} failed, which it cannot`);
  }

  #try({ body, fallback }: { body: Node[]; fallback: Node[] }): unknown {
    try {
      return { ok: this.sequence(body) };
    } catch (thrown) {
      if (!(thrown instanceof Thrown)) throw thrown;
      return {
        caught: `${thrown.problem.name}: ${thrown.problem.message}`,
        fallback: this.sequence(fallback),
      };
    }
  }

  /** Passed once the handler has failed often enough, and then after every step's success again. */
  #site(site: SiteNode): unknown {
    if (site.how === 'hang') this.notes.mayHang = true;
    const reachedAs = Math.max(0, ...this.#sites.map(({ times }) => times));
    if (site.times > reachedAs && (site.how === 'nonRetriable' || site.times >= this.#maxAttempts)) {
      if (site.how === 'hang')
        throw new Thrown({
          name: 'TimeoutError',
          message: `the function gave no news for ${this.#stepRuntime} ms`,
        });
      throw new Thrown(siteProblem(site));
    }
    this.#sites.push(site);
    return 'passed';
  }

  #first(key: string): number {
    const first = this.#seen.decided(key);
    if (first === undefined)
      throw new Contradiction(`${key}: the handler went on before the race was decided`);
    return first;
  }
}

function siteProblem({ key, how }: SiteNode): Problem {
  const names = {
    error: 'Error',
    retryAfter: 'RetryAfterError',
    nonRetriable: 'NonRetriableError',
    hang: 'TimeoutError',
  };
  return { name: names[how], message: `${key} throws` };
}

/** How much later than asked a run may be cancelled: what executes is waited for, what was lost is found by a watchdog. */
export function cancelledWithin(program: Program, stepRuntime: number): number {
  const canHang = JSON.stringify(program.nodes).match(/"(hang|late)"/) !== null;
  return (canHang ? stepRuntime * 2 : stepRuntime / 2) + 90 * SECOND;
}

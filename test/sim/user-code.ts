/** Plays a program as the handler of a function, on the engine's own step tools. */
import { never as unreachable } from '../../src/lib/never.ts';
import { RetryAfterError, NonRetriableError } from '../../src/sdk/errors.ts';
import type { stepTools } from '../../src/sdk/tools.ts';
import { SECOND } from '../../src/lib/time.ts';
import { never } from './life.ts';
import {
  CHILD,
  type Attempt,
  type InvokeNode,
  type Node,
  type Program,
  type SiteNode,
  type StepNode,
  type WaitNode,
} from './programs.ts';

/** What user code has of the outside world. Of a dead incarnation nothing must be heard any more. */
export interface Stage {
  readonly isAlive: boolean;
  readonly runId: string;
  now(): number;
  /** A step's callback begins. @returns which attempt it is. */
  begins(key: string): number;
  done(key: string, attempt: number): void;
  /** Which branch was first. */
  decided(key: string, branch: number): void;
  /** Something outside that answers after a while. */
  answer(ms: number, kind: 'step' | 'pause'): Promise<void>;
  hang(): Promise<never>;
  /** Answers after this attempt was given up. */
  lateAnswer(key: string): Promise<void>;
}

interface Context {
  step: ReturnType<typeof stepTools>;
  attempt: number;
}

export function play(program: Program, stage: Stage, context: object): Promise<unknown> {
  return new Player(stage, context as Context).sequence(program.nodes);
}

class Player {
  readonly #stage: Stage;
  readonly #context: Context;

  constructor(stage: Stage, context: Context) {
    this.#stage = stage;
    this.#context = context;
  }

  async sequence(nodes: Node[]): Promise<unknown[]> {
    const values: unknown[] = [];
    for (const node of nodes) {
      if (!this.#stage.isAlive) await never();
      values.push(await this.#node(node));
    }
    return values;
  }

  #node(node: Node): unknown {
    const { step } = this.#context;
    const stage = this.#stage;
    switch (node.kind) {
      case 'step':
        return step.run({ id: node.id, name: node.key }, () => this.#callback(node));
      case 'sleep':
        return this.#sleep(node);
      case 'send':
        return this.#send(node.key);
      case 'invoke':
        return this.#invoke(node);
      case 'wait':
        return this.#wait(node);
      case 'all':
        return this.#all(node);
      case 'race':
        return this.#race(node);
      case 'try':
        return this.#try(node);
      case 'site':
        return this.#site(node);
      case 'fail':
        throw new Error(`${node.key} fails`);
      case 'pause':
        return stage.answer(node.ms, 'pause').then(() => null);
      case 'tick':
        return ticks(node.turns);
      default:
        return unreachable(node);
    }
  }

  #callback(node: StepNode): unknown {
    if (!this.#stage.isAlive) return never();
    const attempt = this.#stage.begins(node.key);
    const how = node.attempts[attempt] ?? { outcome: 'ok', wait: 0 };
    if (how.wait > 0 || how.outcome === 'hang' || how.outcome === 'late')
      return this.#slowly(node, attempt, how);
    return this.#finish(node, attempt, how);
  }

  async #slowly(node: StepNode, attempt: number, how: Attempt): Promise<unknown> {
    const stage = this.#stage;
    if (how.wait > 0) await stage.answer(how.wait, 'step');
    if (how.outcome === 'hang') await stage.hang();
    if (how.outcome === 'late') await stage.lateAnswer(node.key);
    if (!stage.isAlive) await never();
    return this.#finish(node, attempt, how);
  }

  #finish({ key }: StepNode, attempt: number, { outcome }: Attempt): unknown {
    const message = `${key} fails at ${attempt}`;
    if (outcome === 'error') throw new Error(message);
    if (outcome === 'nonRetriable') throw new NonRetriableError(message);
    if (outcome === 'retryAfter') throw new RetryAfterError(message, 7 * SECOND);
    if (outcome === 'late') return `${key} late`;
    this.#stage.done(key, attempt);
    return `${key}#${attempt}`;
  }

  #sleep({ key, ms, form }: Extract<Node, { kind: 'sleep' }>): Promise<unknown> {
    const { step } = this.#context;
    const sleep =
      form === 'for'
        ? step.sleep({ id: key, name: key }, ms)
        : step.sleepUntil({ id: key, name: key }, new Date(this.#stage.now() + ms));
    return sleep.then(() => null);
  }

  async #send(key: string): Promise<unknown> {
    await this.#context.step.sendEvent(
      { id: key, name: key },
      { name: CHILD, data: { key: `${this.#stage.runId}/${key}` } },
    );
    return 'sent';
  }

  #invoke({ key, functionId, timeout }: InvokeNode): Promise<unknown> {
    return this.#context.step.invoke(
      { id: key, name: key },
      { function: functionId, data: { key: `${this.#stage.runId}/${key}` }, timeout },
    );
  }

  /** @returns the name of the event that came. */
  async #wait({ key, event, n, timeout, lookBack }: WaitNode): Promise<unknown> {
    const found = await this.#context.step.waitForEvent(
      { id: key, name: key },
      { event, timeout, lookBack, ...(n === null ? {} : { if: `async.data.n == ${n}` }) },
    );
    return (found as { data: { key: string } } | null)?.data.key ?? null;
  }

  async #all({ key, branches }: { key: string; branches: Node[][] }): Promise<unknown> {
    let first: number | null = null;
    const all = branches.map(async (nodes, index) => {
      try {
        return await this.sequence(nodes);
      } catch (error) {
        first ??= index;
        throw error;
      }
    });
    try {
      return await Promise.all(all);
    } catch (error) {
      this.#stage.decided(key, first ?? -1);
      throw error;
    }
  }

  async #race({ key, branches }: { key: string; branches: Node[][] }): Promise<unknown> {
    const all = branches.map(async (nodes, winner) => {
      try {
        return { winner, value: await this.sequence(nodes) };
      } catch (error) {
        return { winner, error: error as Error };
      }
    });
    const first = await Promise.race(all);
    this.#stage.decided(key, first.winner);
    if ('error' in first) throw first.error;
    return first;
  }

  async #try({ body, fallback }: { body: Node[]; fallback: Node[] }): Promise<unknown> {
    try {
      return { ok: await this.sequence(body) };
    } catch (error) {
      const { name, message } = error as Error;
      return { caught: `${name}: ${message}`, fallback: await this.sequence(fallback) };
    }
  }

  async #site({ key, how, times }: SiteNode): Promise<unknown> {
    if (this.#context.attempt >= times) return 'passed';
    if (how === 'hang') await this.#stage.hang();
    const message = `${key} throws`;
    if (how === 'nonRetriable') throw new NonRetriableError(message);
    if (how === 'retryAfter') throw new RetryAfterError(message, 3 * SECOND);
    throw new Error(message);
  }
}

async function ticks(turns: number): Promise<null> {
  for (let n = 0; n < turns; n++) await Promise.resolve();
  return null;
}

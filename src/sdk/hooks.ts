/**
 * The hooks of one entry at run time: which of them are due when. What the types of middleware promise (`RunHooks`) is kept here.
 * Everything is synchronous as long as the hooks are (see soon.ts).
 */
import type { Memo } from '../protocol/op.ts';
import type { ExecutionHooks, Result } from './execution.ts';
import { hasFlush, ProxyLogger } from './logger.ts';
import type { OutputResult, RunHooks, RunStep } from './middleware.ts';
import { after, fold, isPromise, type Soon } from './soon.ts';
import type { Logger } from './types.ts';

type Plain =
  | 'beforeMemoization'
  | 'afterMemoization'
  | 'beforeExecution'
  | 'afterExecution'
  | 'beforeResponse';

/** `beginning` holds what the hooks before new code are waited for with. */
type Phase = { is: 'replaying' | 'resting' | 'over' } | { is: 'executing'; beginning: Soon<void> };

export class EntryHooks implements ExecutionHooks {
  readonly logger: ProxyLogger;
  readonly #plain: Logger;
  #hooks: readonly RunHooks[] = [];
  #phase: Phase = { is: 'replaying' };
  /** Steps that had an outcome when the entry began, and that the handler has not been given yet. */
  #replaying = new Map<string, Memo | null>();
  #hasOvertaken = false;
  #readStored: ((memo: Memo) => Soon<Memo>) | null = null;

  constructor(logger: Logger) {
    this.#plain = logger;
    this.logger = new ProxyLogger(logger);
  }

  use(hooks: readonly RunHooks[]): void {
    this.#hooks = hooks;
  }

  /** @param stored ids of the steps that have an outcome. */
  replay(stored: readonly string[]): Soon<void> {
    this.#replaying = new Map(stored.map((id) => [id, null]));
    return after(this.#call('beforeMemoization'), () => (stored.length === 0 ? this.begin() : undefined));
  }

  /** What `transformInput` has made of stored steps; and how it is asked about those that come in later. */
  stored(changed: ReadonlyMap<string, Memo>, read: (memo: Memo) => Soon<Memo>): void {
    for (const [id, memo] of changed) this.#replaying.set(id, memo);
    this.#readStored = read;
  }

  begin(): Soon<void> {
    if (this.#phase.is === 'executing') return this.#phase.beginning;
    if (this.#phase.is === 'over') return undefined;
    const replayed =
      this.#phase.is === 'replaying' ? this.#call('afterMemoization', 'last first') : undefined;
    const phase: Phase = { is: 'executing', beginning: undefined };
    this.#phase = phase;
    phase.beginning = after(replayed, () => {
      this.logger.enable();
      return this.#call('beforeExecution');
    });
    if (isPromise(phase.beginning))
      phase.beginning.then(
        () => (phase.beginning = undefined),
        () => {},
      );
    return phase.beginning;
  }

  settling(id: string, memo: Memo): Soon<Memo> {
    const known = this.#replaying.get(id);
    const isReplayed = this.#replaying.delete(id);
    const isLast = !isReplayed || this.#replaying.size === 0;
    const read = isReplayed ? (known ?? memo) : (this.#readStored?.(memo) ?? memo);
    return after(read, (outcome) => (isLast ? after(this.begin(), () => outcome) : outcome));
  }

  stepEnded(result: Result, step: RunStep, isLast: boolean): Soon<Result> {
    const executed = isLast ? this.#executed() : undefined;
    return after(executed, () =>
      after(this.#output(result, step), (changed) =>
        isLast ? after(this.#respond(), () => changed) : changed,
      ),
    );
  }

  ended(result: Result): Soon<Result> {
    return after(this.begin(), () =>
      after(this.#executed(), () =>
        after(this.#output(result), (changed) =>
          after(this.#finished(changed), () => after(this.#respond(), () => changed)),
        ),
      ),
    );
  }

  /** Once an entry: one change of the code moves many steps (VR-1, VR-3). */
  overtook(name: string): void {
    if (this.#hasOvertaken) return;
    this.#hasOvertaken = true;
    try {
      this.#plain.warn(
        `step "${name}" goes on before steps that had finished earlier: the order of steps has changed`,
      );
    } catch {
      // A logger that fails stops no run.
    }
  }

  rest(): Soon<void> {
    if (this.#phase.is !== 'executing') return undefined;
    this.#phase = { is: 'resting' };
    const failed = (thrown: unknown) =>
      this.#plain.error('middleware failed before the run came to rest', thrown);
    try {
      const done = after(this.#call('afterExecution', 'last first'), () => this.#respond());
      return isPromise(done) ? done.then(undefined, failed) : done;
    } catch (thrown) {
      return failed(thrown);
    }
  }

  #executed(): Soon<void> {
    this.#phase = { is: 'over' };
    return this.#call('afterExecution', 'last first');
  }

  /** The logger comes first, as if it were middleware of its own (MW-11). Inside of a run's object nothing else has to be waited for. */
  #respond(): Soon<void> {
    const flushed = hasFlush(this.#plain) ? this.logger.flush() : undefined;
    return after(flushed, () => this.#call('beforeResponse'));
  }

  #call(name: Plain, order: 'first first' | 'last first' = 'first first'): Soon<void> {
    const hooks = order === 'first first' ? this.#hooks : this.#hooks.toReversed();
    return fold(hooks, undefined as void, (_, hook) => hook[name]?.() as Soon<void>);
  }

  #output(result: Result, step?: RunStep): Soon<Result> {
    const first: OutputResult = result.ok
      ? { data: result.data }
      : { error: result.error === undefined ? new Error('undefined') : result.error };
    const changed = fold(this.#hooks.toReversed(), first, (known, { transformOutput }) =>
      transformOutput === undefined
        ? known
        : after(transformOutput({ result: known, ...(step === undefined ? {} : { step }) }), (made) => ({
            ...known,
            ...made?.result,
          })),
    );
    return after(changed, ({ data, error }): Result => {
      if (error === undefined) return { ok: true, data };
      // LG-7: the logger is the first of the middleware, and this hook runs from the last one on.
      this.logger.error(error);
      return { ok: false, error };
    });
  }

  #finished(result: Result): Soon<void> {
    const told: OutputResult = result.ok ? { data: result.data } : { error: result.error };
    return fold(
      this.#hooks,
      undefined as void,
      (_, { finished }) => finished?.({ result: told }) as Soon<void>,
    );
  }
}

/** The objects as ports: names to stubs, and which failures of a call are worth a second try. */
import type { Env } from './env.ts';
import { chunks } from './lib/chunks.ts';
import { hashNumber, sha256Hex } from './lib/hash.ts';
import { utf8Length } from './lib/json.ts';
import type {
  Crons,
  Gates,
  LineOwner,
  RemoteRuns,
  Runs,
  Signals,
  SignalWaiters,
  SlotHolders,
  StartGates,
  Sweeps,
  Waiters,
  Waits,
} from './ports.ts';
import type { GateOf } from './protocol/gate.ts';
import { limits } from './protocol/limits.ts';
import type {
  CronRpc,
  GateRpc,
  RemoteRunRpc,
  RunRpc,
  SignalsRpc,
  SweeperRpc,
  WaitsRpc,
} from './protocol/rpc.ts';
import type { SlotClaim } from './protocol/slot.ts';
import type { Wait } from './protocol/wait.ts';

const TRIES = 3;

export function objectRuns(env: Env): Runs & Waiters & SignalWaiters & SlotHolders & RemoteRuns {
  // The platform's mapped stub types cannot take recursive JSON in; what the class implements is said here instead.
  const run = (runId: string) => env.RUN.get(env.RUN.idFromName(runId)) as unknown as RunRpc & RemoteRunRpc;
  return {
    start: (start) => retrying(() => run(start.runId).start(start)),
    cancel: (runId) => retrying(() => run(runId).cancel()),
    hold: (runId, hold) => retrying(() => run(runId).hold(hold)),
    read: (runId) => retrying(() => run(runId).read()),
    trace: (runId) => retrying(() => run(runId).trace()),
    resume: (runId, key, event) => retrying(() => run(runId).resume(key, event)),
    answer: (runId, key, answer) => retrying(() => run(runId).answer(key, answer)),
    tell: (runId, key, answer) => run(runId).answer(key, answer),
    awaits: (runId, key) => retrying(() => run(runId).awaits(key)),
    checkpoint: (runId, name, checkpoint) => retrying(() => run(runId).checkpoint(name, checkpoint)),
    snapshot: (runId, name) => retrying(() => run(runId).snapshot(name)),
    grant: (runId, granted) => retrying(() => run(runId).grant(granted)),
    check: (runId) => retrying(() => run(runId).check()),
    purge: (runId) => retrying(() => run(runId).purge()),
  };
}

export function objectSweeps(env: Env): Sweeps {
  const sweeper = () => env.SWEEPER.get(env.SWEEPER.idFromName('sweeper')) as unknown as SweeperRpc;
  return {
    arm: () => retrying(() => sweeper().arm()),
    repairs: () => retrying(() => sweeper().repairs()),
  };
}

export function objectCrons(env: Env): Crons {
  const timers = (name: string) => env.CRON.get(env.CRON.idFromName(name)) as unknown as CronRpc;
  return {
    sync: (name) => retrying(() => timers(name).sync(name)),
    skipped: (name) => retrying(() => timers(name).skipped()),
  };
}

/** The platform takes names of 1,024 bytes; an event's may have four for each of its 256 characters. */
const NAME_BYTES = 1_000;

/** The first colon ends the environment: a branch's name may have one too. @param name of whatever users name. */
function named(objects: DurableObjectNamespace, env: string, name: string): DurableObjectStub {
  const full = `${encodeURIComponent(env)}:${name}`;
  return objects.get(objects.idFromName(utf8Length(full) <= NAME_BYTES ? full : `#${sha256Hex(full)}`));
}

export function objectSignals({ SIGNALS }: Pick<Env, 'SIGNALS'>): Signals {
  const object = (env: string, signal: string) => named(SIGNALS, env, signal) as unknown as SignalsRpc;
  return {
    listen: (wait) => retrying(() => object(wait.env, wait.signal).listen(wait)),
    send: (env, signal, sent) => retrying(() => object(env, signal).send(sent)),
    expire: (env, signal, runId, key) => retrying(() => object(env, signal).expire(runId, key)),
    drop: (env, signal, runId, key) => retrying(() => object(env, signal).drop(runId, key)),
  };
}

export function objectWaits({ WAITS }: Pick<Env, 'WAITS'>): Waits {
  const object = (env: string, event: string) => named(WAITS, env, event) as unknown as WaitsRpc;
  return {
    async listen(waits) {
      const groups = [...Map.groupBy(waits, ({ env, event }) => JSON.stringify([env, event])).values()];
      await Promise.all(
        groups.map((group) => {
          const [{ env, event }] = group as [Wait];
          return retrying(() => object(env, event).listen(group));
        }),
      );
    },
    async deliver(env, name, events) {
      const sorted = events.toSorted((a, b) => a.receivedAt - b.receivedAt);
      for (const batch of chunks(sorted, limits.messageEvents)) {
        await retrying(() => object(env, name).deliver(batch));
      }
    },
    expire: (env, name, runId, key) => retrying(() => object(env, name).expire(runId, key)),
    drop: (env, name, runId, keys) => retrying(() => object(env, name).drop(runId, keys)),
  };
}

function shortened(name: string): string {
  return utf8Length(name) <= NAME_BYTES ? name : `#${sha256Hex(name)}`;
}

/** Gates of one function, environment or account: one for each part of the keys, so that their names can be listed. */
const PARTS = Array.from({ length: 16 }, (_, part) => part);

export function objectGates({ GATE }: { GATE: DurableObjectNamespace }): Gates & StartGates {
  const gate = (name: string) => GATE.get(GATE.idFromName(name)) as unknown as GateRpc;
  const of = ({ limit, ...claim }: SlotClaim) => gate(gateName({ ...claim, ...limit }, limit.key));
  /** All of one gate in one call, the gates side by side. */
  const inParts = async <Item extends { key: string }, Answer>(
    owner: GateOf,
    items: Item[],
    call: (gate: GateRpc, own: Item[]) => Promise<Answer[]>,
  ): Promise<Answer[]> => {
    const parts = [...Map.groupBy(items, ({ key }) => gateName({ ...owner, scope: 'fn' }, key))];
    return (await Promise.all(parts.map(([name, own]) => retrying(() => call(gate(name), own))))).flat();
  };
  return {
    acquire: (ask) => retrying(() => of(ask).acquire(ask)),
    release: (claim) => retrying(() => of(claim).release(claim)),
    look: (claim) => retrying(() => of(claim).look(claim)),
    lines: async (owner) =>
      (await Promise.all(partNames(owner).map((name) => retrying(() => gate(name).lines())))).flat(),
    async change(choice, to) {
      const names = choice.key === null ? partNames(choice) : [gateName(choice, choice.key)];
      await Promise.all(names.map((name) => retrying(() => gate(name).change(choice, to))));
    },
    collect: (owner, policy, events) => inParts(owner, events, (one, own) => one.collect(owner, policy, own)),
    rate: (owner, space, entrants) => inParts(owner, entrants, (one, own) => one.rate(space, own)),
    single: (owner, mode, entrants) => inParts(owner, entrants, (one, own) => one.single(mode, own)),
  };
}

function partNames(owner: LineOwner): string[] {
  return PARTS.map((part) => partName(owner, part));
}

/** By the part of the keys that this one is in. */
function gateName(owner: LineOwner, key: string): string {
  return partName(owner, key === '' ? 0 : hashNumber(key, PARTS.length));
}

/** Who shares the limit comes first, and the first colon ends the environment. No function's id is without a dash (FN-7). */
function partName({ env, functionId, scope }: LineOwner, part: number): string {
  const place = encodeURIComponent(env);
  const owner = { fn: `${place}:${functionId}`, env: `${place}:env`, account: '*:account' }[scope];
  return shortened(`${owner}:${part}`);
}

/** Every call may be repeated. A broken stub stays broken, so each try makes its own; an overloaded object is left alone. */
async function retrying<Result>(call: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (attempt === TRIES || !isRetryable(error)) throw error;
    }
  }
}

function isRetryable(error: unknown): boolean {
  const { retryable, overloaded } = error as { retryable?: boolean; overloaded?: boolean };
  return retryable === true && overloaded !== true;
}

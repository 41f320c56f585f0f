/** Faults of the engine, put in on purpose through its ports, to prove that the simulator finds them. */
import type { ObjectStorage } from '../../durable-objects/storage.ts';
import { hashUlid } from '../../src/lib/hash.ts';
import { HOUR } from '../../src/lib/time.ts';
import type { Gates, Runs, StartGates, Store, Waiters, Waits } from '../../src/ports.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import type { WaitsRpc } from '../../src/protocol/rpc.ts';
import type { Wait } from '../../src/protocol/wait.ts';
import { apply } from '../../src/run/apply.ts';
import { currentAttempt } from '../../src/run/state.ts';
import type { WaitsDisk } from '../fakes/waits.ts';
import { Fault } from './faults.ts';
import type { Options } from './history.ts';
import type { ObjectDeps } from './objects.ts';

type Accept = (events: StoredEvent[]) => Promise<void>;

/** Each in place of a port, or of a part of one. */
export interface Bug {
  /** Histories in which it shows itself soon. */
  shows?: Pick<Options, 'about' | 'alwaysEvict'>;
  store?: (store: Store) => Partial<Store>;
  objects?: Partial<Pick<ObjectDeps, 'report' | 'apply' | 'forgetsAlarm' | 'answers'>>;
  /** The runs as dispatch sees them; as the waits see them. */
  runs?: (runs: Runs) => Partial<Runs>;
  waiters?: (waiters: Waiters) => Partial<Waiters>;
  /** What a run emits. */
  emits?: (event: StoredEvent) => StoredEvent;
  /** The waits as runs and dispatch see them. */
  waits?: (waits: Waits) => Partial<Waits>;
  listens?: (owner: WaitsRpc, waits: Wait[]) => Promise<void>;
  /** An object of waits begins with what is on its disk. */
  waitsWake?: (disk: WaitsDisk) => void;
  /** The gates as runs and dispatch see them. */
  gates?: (gates: Gates & StartGates) => Partial<Gates & StartGates>;
  gateStorage?: (storage: ObjectStorage) => ObjectStorage;
  /** A gate begins with what is on its disk. */
  gateWakes?: (disk: WaitsDisk) => void;
  cronStorage?: (storage: ObjectStorage) => ObjectStorage;
  cronAccept?: (accept: Accept) => Accept;
}

export const NO_BUG: Bug = {};

const ASKS = { about: 'asks' } as const;
const FLOW = { about: 'flow' } as const;
const CRONS = { about: 'crons' } as const;

let made = 0;

function anotherId({ internalId }: StoredEvent): string {
  return hashUlid(Date.UTC(2030, 0, 1), `${internalId} ${made++}`);
}

/** Statements about this table are written after the transaction, by themselves. */
function outside(table: string) {
  return (storage: ObjectStorage): ObjectStorage => {
    let held: (() => void)[] = [];
    return {
      ...storage,
      write: (statement, ...values) => {
        const write = () => storage.write(statement, ...values);
        if (statement.includes(`INTO ${table} `)) held.push(write);
        else write();
      },
      transact: (work) => {
        held = [];
        const result = storage.transact(work);
        for (const write of held) write();
        return result;
      },
    };
  };
}

/** Such statements are left out. */
function without(words: string) {
  return (storage: ObjectStorage): ObjectStorage => ({
    ...storage,
    write: (statement, ...values) => {
      if (!statement.includes(words)) storage.write(statement, ...values);
    },
  });
}

export const bugs = {
  /** The outbox entry of a run that ended is dropped, and the sweep does not look for such runs. */
  'report lost': {
    store: () => ({ runsToCheck: async () => [] }),
    objects: { report: async () => undefined },
  },
  /** Rows are written and the alarm is not. */
  'alarm forgotten': {
    objects: { forgetsAlarm: ({ rows }) => rows.table.size > 3 },
  },
  /** However seldom an event has failed, it is given up. */
  'first failure taken for the last': {
    store: () => ({ countFailure: async (ids) => new Map(ids.map((id) => [id, 1_000])) }),
  },
  /** Late answers are taken for current ones. */
  'fence missing': {
    objects: {
      apply: (state, input, now) => {
        if (state === null) return apply(state, input, now);
        if (input.type === 'reported') {
          const attempt = currentAttempt(state, input.op.id) ?? input.op.attempt;
          return apply(state, { ...input, op: { ...input.op, attempt } }, now);
        }
        return 'entry' in input
          ? apply(state, { ...input, entry: state.run.entry }, now)
          : apply(state, input, now);
      },
    },
  },
  'waits forget their outbox at a restart': {
    shows: { ...ASKS, alwaysEvict: true },
    waitsWake: ({ database }) => {
      const exists = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'wait'").get();
      if (exists !== undefined) database.exec('DELETE FROM wait WHERE event IS NOT NULL');
    },
  },
  'a wait is acknowledged before it is stored': {
    shows: { ...ASKS, alwaysEvict: true },
    listens: async (owner, waits) => void owner.listen(waits).catch(() => undefined),
  },
  'look-back skipped': {
    shows: ASKS,
    store: (store) => ({
      listEvents: async (query) => (query.undispatched === undefined ? [] : store.listEvents(query)),
    }),
  },
  /** The first delivery of each event fails, which alone is no fault: then it is not dispatched at many a deadline. */
  'no last look at the deadline': {
    shows: ASKS,
    waits: (waits) => {
      const tried = new Set<string>();
      return {
        deliver: async (env, name, events) => {
          const isNew = events.some((event) => !tried.has(event.internalId));
          for (const event of events) tried.add(event.internalId);
          if (isNew) throw new Fault('overloaded');
          await waits.deliver(env, name, events);
        },
      };
    },
    store: (store) => ({
      listEvents: async (query) => (query.undispatched === true ? [] : store.listEvents(query)),
    }),
  },
  'an event matches after the deadline': {
    shows: ASKS,
    listens: (owner, waits) => owner.listen(waits.map((wait) => ({ ...wait, until: wait.until + HOUR }))),
  },
  'the latest event is taken, not the first': {
    shows: ASKS,
    store: (store) => ({
      listEvents: async (query) => (await store.listEvents(query)).slice(0, 1),
    }),
  },
  "drop takes another run's wait": {
    shows: ASKS,
    waits: (waits) => {
      const runIds = new Set<string>();
      return {
        listen: (given) => {
          for (const { runId } of given) runIds.add(runId);
          return waits.listen(given);
        },
        drop: async (env, event, _, keys) => {
          for (const runId of runIds) await waits.drop(env, event, runId, keys);
        },
      };
    },
  },
  'a resume is applied twice': {
    shows: ASKS,
    objects: {
      answers: (owner) => {
        const answer: typeof owner.answer = async (id, given) => {
          if (owner.state?.steps.has(id)) owner.feed({ type: 'answered', id, answer: given });
          return 'taken';
        };
        return { answer, resume: (key, event) => answer(key, { ok: true, data: JSON.stringify(event) }) };
      },
      apply: (state, input, now) => {
        const step = input.type === 'answered' ? state?.steps.get(input.id) : undefined;
        if (state === null || step?.state !== 'settled') return apply(state, input, now);
        const open = {
          ...step,
          state: 'waiting',
          due: now,
          attempt: 0,
          ask: { for: 'run', functionId: '' },
        } as const;
        return apply({ ...state, steps: new Map(state.steps).set(step.id, open) }, input, now);
      },
    },
  },
  "a child's answer is lost on the first failure": {
    shows: ASKS,
    runs: (runs) => ({ answer: (...answer) => runs.answer(...answer).catch(() => 'gone') }),
  },
  'an invocation has another id each time': {
    shows: ASKS,
    emits: (event) => ({ ...event, internalId: anotherId(event) }),
  },
  'the end of a run drops no waits': {
    shows: ASKS,
    waits: () => ({ drop: async () => undefined }),
  },
  'a cancelling event is forgotten': {
    shows: ASKS,
    waiters: () => ({ cancel: async () => undefined }),
  },
  'a step begins after the cancellation': {
    objects: {
      apply: (state, input, now) =>
        state === null || !(input.type === 'began' || input.type === 'reported')
          ? apply(state, input, now)
          : apply({ ...state, run: { ...state.run, cancelAt: null } }, input, now),
    },
  },
  'the end is announced under another id each time': {
    runs: (runs) => ({
      check: async (runId) => {
        const check = await runs.check(runId);
        if (check.state !== 'ended') return check;
        const events = check.ending.events.map((event) => ({ ...event, internalId: anotherId(event) }));
        return { ...check, ending: { ...check.ending, events } };
      },
    }),
  },
  'the end is not announced when the store fails': {
    shows: ASKS,
    store: (store) => ({
      settle: (settlement, now) =>
        store.settle(settlement, now).catch(() => store.settle({ ...settlement, arrivals: [] }, now)),
    }),
  },
  'a tick is settled before its start is stored': { shows: CRONS, cronStorage: outside('start') },
  'a tick is started before it is settled': { shows: CRONS, cronStorage: outside('plan') },
  'a start is dropped before the intake took it': {
    shows: CRONS,
    cronAccept: (accept) => (events) => accept(events).catch(() => undefined),
  },
  'a tick has another id each time': {
    shows: CRONS,
    cronAccept: (accept) => (events) =>
      accept(events.map((event) => ({ ...event, internalId: anotherId(event) }))),
  },
  'every missed tick starts': {
    shows: CRONS,
    cronStorage: (storage) => ({
      ...storage,
      write: (statement, ...values) => {
        storage.write(statement, ...values);
        if (!statement.includes('INTO skipped ')) return;
        const [functionId, ticks] = values as [string, string];
        for (const { at, cron } of JSON.parse(ticks) as { at: number; cron: string }[])
          storage.write('INSERT OR REPLACE INTO start VALUES (?, ?, ?, ?, 1)', functionId, at, cron, at);
      },
    }),
  },
  'a lease is not given back': { shows: FLOW, gates: () => ({ release: async () => undefined }) },
  'a lease is not renewed': {
    shows: FLOW,
    gates: (gates) => {
      const granted = new Set<string>();
      return {
        acquire: async (ask) => {
          const name = `${ask.runId} ${ask.limit.policy} ${ask.limit.n} ${ask.turn}`;
          if (granted.has(name)) return { is: 'granted' };
          const answer = await gates.acquire(ask);
          if (answer.is === 'granted') granted.add(name);
          return answer;
        },
      };
    },
  },
  'a grant is lost at a restart': {
    shows: { ...FLOW, alwaysEvict: true },
    gateWakes: ({ database }) => {
      const exists = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'lease'").get();
      if (exists !== undefined) database.exec('DELETE FROM lease WHERE told = 0');
    },
  },
  'of two limits one is enough': {
    shows: FLOW,
    gates: (gates) => ({
      acquire: async (ask) => {
        const answer = await gates.acquire(ask);
        return answer.is === 'full' ? { is: 'granted' } : answer;
      },
    }),
  },
  'a batch is launched before it is stored': {
    shows: FLOW,
    gateStorage: (storage) => ({
      ...storage,
      write: (statement, ...values) => {
        const [run, key] = values;
        if (statement.includes('INTO window ') && key === null)
          storage.write('DELETE FROM window WHERE run = ?', run ?? '');
        else storage.write(statement, ...values);
      },
    }),
  },
  'a debounce forgets the newest event': {
    shows: FLOW,
    gateStorage: (storage) => ({
      ...storage,
      write: (statement, ...values) => {
        if (!statement.includes('INTO window ')) return storage.write(statement, ...values);
        const [run, key, due, body] = values as [string, string, number, string];
        const [known] = storage.read<{ body: string }>('SELECT body FROM window WHERE run = ?', run);
        const { events } = JSON.parse(known?.body ?? body) as { events: string[] };
        storage.write(statement, run, key, due, JSON.stringify({ ...JSON.parse(body), events }));
      },
    }),
  },
  'a rate limit forgets who has passed': { shows: FLOW, gateStorage: without('INTO pass ') },
  'a singleton lets all in': {
    shows: FLOW,
    gates: () => ({ single: async (_, __, entrants) => entrants.map(({ runId }) => runId) }),
  },
  'a key is not claimed': {
    shows: FLOW,
    store: () => ({ claim: async (claims) => new Set(claims.map(({ runId }) => runId)) }),
  },
  'a skipped start leaves no record': {
    shows: FLOW,
    store: (store) => ({
      settle: (settlement, now) =>
        store.settle(
          { ...settlement, ended: settlement.ended?.filter(({ status }) => status !== 'Skipped') ?? [] },
          now,
        ),
    }),
  },
  "the throttle's time is not stored": { shows: FLOW, gateStorage: without('INTO rate ') },
  'skipped ticks are not listed': {
    shows: CRONS,
    cronStorage: without('INTO skipped '),
  },
} satisfies Record<string, Bug>;

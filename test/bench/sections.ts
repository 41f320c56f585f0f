/**
 * What is measured and what it is held against. What is compared is interleaved: each repeat measures every side once, in turn, so
 * that a slow minute of the machine slows all of them. Figures are medians over the repeats.
 */
import { billOf, billTable, type Bill } from './bill.ts';
import type { Latency, Side, Worked } from './measure.ts';
import { mean, median, ratioAtLeast, ratioAtMost, valueAtMost, type Line } from './report.ts';
import type { Server } from './server.ts';
import type { Turn } from './work.ts';

export interface Bench {
  server: Server;
  quick: boolean;
  /** What fits no line of the table. */
  say: (text: string) => void;
  bills: Bill[];
}

type Section = (bench: Bench) => Promise<Line[]>;

/** As many starts at a time as dispatch makes. */
const AT_ONCE = 48;
/** An object that has nothing to do is evicted after 10 s. */
const EVICTED = 12_000;

export const sections: Record<string, Section> = {
  floors,
  sequential,
  latency,
  fanout,
  parallel,
  intake,
  bill,
  sleeping,
};

async function floors(bench: Bench): Promise<Line[]> {
  const loops = await repeat(bench.quick ? 2 : 5, {
    microtask: () => bench.server.measure('floorLoop', { kind: 'microtask', rows: 2_000 }),
    sync: () => bench.server.measure('floorLoop', { kind: 'sync', rows: 500 }),
    timer: () => bench.server.measure('floorLoop', { kind: 'timer', rows: 500 }),
    call: () => bench.server.measure('floorLoop', { kind: 'call', rows: 500 }),
    named: async () =>
      (await bench.server.measure('freshObjects', { count: 100, atOnce: AT_ONCE, named: true })) / 100,
    drawn: async () =>
      (await bench.server.measure('freshObjects', { count: 100, atOnce: AT_ONCE, named: false })) / 100,
    queue: () => bench.server.measure('queueHop', {}),
    d1: () => bench.server.measure('d1Batch', {}),
  });
  return [
    told('floor: insert and a microtask', median(loops.microtask), 'ms'),
    told('floor: insert and sync', median(loops.sync), 'ms'),
    told('floor: insert and a timer', median(loops.timer), 'ms'),
    told('floor: insert and a call to another object', median(loops.call), 'ms'),
    told('floor: fresh object with a row, by name', median(loops.named), 'ms'),
    told('floor: fresh object with a row, by drawn id', median(loops.drawn), 'ms'),
    told('floor: queue hop', median(loops.queue), 'ms'),
    told('floor: D1 batch, 2 statements of 50 rows', median(loops.d1), 'ms'),
  ];
}

async function sequential(bench: Bench): Promise<Line[]> {
  const { server, quick } = bench;
  const lines: Line[] = [];
  const repeats = quick ? 2 : 5;
  for (const steps of quick ? [100, 1_000] : [10, 100, 1_000]) {
    const sync = () => server.measure('floorLoop', { kind: 'sync', rows: Math.max(steps, 100) });
    const run = (turn: Turn, side: Side = 'engine') => server.measure('work', { side, steps, turn });
    const called = () => server.measure('floorLoop', { kind: 'call', rows: Math.max(steps, 100) });
    const took = await repeat(repeats, {
      sync,
      called,
      none: () => run('none'),
      timer: () => run('timer'),
      call: () => run('call'),
    });
    // A thousand steps of Workflows take some seconds.
    const rival = await repeat(steps === 1_000 ? 1 : repeats, {
      timer: () => run('timer', 'workflows'),
      none: () => run('none', 'workflows'),
    });
    const per = (all: Worked[]) => median(all.map(({ ms }) => ms)) / steps;
    const floor = { name: 'insert and sync', value: median(took.sync) };
    const name = (callback: string) => `${steps} steps, ${callback}, each`;
    // Short runs are mostly their start; the targets are for the step.
    const long = steps >= 100;
    lines.push(
      {
        what: name('a timer'),
        value: per(took.timer),
        unit: 'ms',
        against: floor,
        ...(long && { target: ratioAtMost(1.5) }),
      },
      // The call alone takes half a floor; that much no engine can save.
      {
        what: name('a call'),
        value: per(took.call),
        unit: 'ms',
        against: { name: 'insert and a call', value: median(took.called) },
        ...(long && { target: ratioAtMost(1.5) }),
      },
      { what: name('a call'), value: per(took.call), unit: 'ms', against: floor },
      { what: name('no wait'), value: per(took.none), unit: 'ms', ...(long && { target: valueAtMost(0.1) }) },
      {
        what: name('a timer'),
        value: per(took.timer),
        unit: 'ms',
        against: { name: 'Workflows', value: per(rival.timer) },
      },
      {
        what: name('no wait'),
        value: per(took.none),
        unit: 'ms',
        against: { name: 'Workflows', value: per(rival.none) },
      },
    );
    if (steps === 1_000) lines.push(growth(took.timer));
  }
  return lines;
}

/** The last hundred steps against the first hundred; the very first ones wait for the storage of a new object. */
function growth(worked: Worked[]): Line {
  const skip = 10;
  const first = median(worked.map(({ steps }) => mean(steps.slice(skip, 100 + skip))));
  const last = median(worked.map(({ steps }) => mean(steps.slice(-100))));
  const against = { name: 'steps 11 to 110', value: first };
  return { what: 'steps 901 to 1,000, each', value: last, unit: 'ms', against, target: ratioAtMost(1.5) };
}

async function latency({ server, quick }: Bench): Promise<Line[]> {
  const one = (side: Side) => async () => {
    await server.measure('idle', {});
    return server.measure('latency', { side });
  };
  const took = await repeat(quick ? 9 : 25, {
    engine: one('engine'),
    workflows: one('workflows'),
    d1: () => server.measure('d1Batch', {}),
    fresh: () => server.measure('freshObjects', { count: 1, atOnce: 1, named: true }),
  });
  const of = (all: Latency[], what: keyof Latency) => median(all.map((each) => each[what]));
  const parts = median(took.d1) + median(took.fresh);
  const rival = { name: 'Workflows', value: of(took.workflows, 'finished') };
  return [
    {
      what: 'event to finished, idle, one step',
      value: of(took.engine, 'finished'),
      unit: 'ms',
      against: rival,
      target: ratioAtMost(0.5),
    },
    {
      what: 'the same',
      value: of(took.engine, 'finished'),
      unit: 'ms',
      against: { name: 'a D1 batch, a fresh object', value: parts },
    },
    {
      what: 'event to first line of user code',
      value: of(took.engine, 'entered'),
      unit: 'ms',
      against: { name: 'Workflows', value: of(took.workflows, 'entered') },
      target: valueAtMost(50),
    },
    told('event to listed as completed', of(took.engine, 'listed'), 'ms'),
  ];
}

async function fanout({ server, quick }: Bench): Promise<Line[]> {
  const events = quick ? 200 : 1_000;
  const run = (side: Side, steps: number) => async () => {
    await server.measure('idle', {});
    // Workflows is slower, and its rate does not depend on the number.
    const count = side === 'engine' ? events : events / 2;
    return perSecond(count, (await server.measure('fanOut', { side, events: count, steps })).ms);
  };
  const floor = (named: boolean) => async () =>
    perSecond(events, await server.measure('freshObjects', { count: events, atOnce: AT_ONCE, named }));
  const took = await repeat(quick ? 2 : 3, {
    named: floor(true),
    one: run('engine', 1),
    drawn: floor(false),
    three: run('engine', 3),
    workflowsOne: run('workflows', 1),
    workflowsThree: run('workflows', 3),
  });
  const named = { name: 'fresh objects by name', value: median(took.named) };
  const line = (steps: string, value: number, against: Line['against'], target?: Line['target']): Line => ({
    what: `fan-out, ${events} events, ${steps}`,
    value,
    unit: 'runs/s',
    ...(against && { against }),
    ...(target && { target }),
  });
  return [
    line('one step', median(took.one), named, ratioAtLeast(0.8)),
    line('three steps', median(took.three), named, ratioAtLeast(0.8)),
    line('one step', median(took.one), { name: 'fresh objects by drawn id', value: median(took.drawn) }),
    line(
      'one step',
      median(took.one),
      { name: 'Workflows', value: median(took.workflowsOne) },
      ratioAtLeast(2),
    ),
    line(
      'three steps',
      median(took.three),
      { name: 'Workflows', value: median(took.workflowsThree) },
      ratioAtLeast(2),
    ),
  ];
}

async function parallel({ server, quick }: Bench): Promise<Line[]> {
  const run = (side: Side) => async () =>
    (await server.measure('work', { side, steps: 100, turn: 'timer', parallel: true })).ms;
  const took = await repeat(quick ? 3 : 7, { engine: run('engine'), workflows: run('workflows') });
  const against = { name: 'Workflows', value: median(took.workflows) };
  return [{ what: '100 parallel steps, all', value: median(took.engine), unit: 'ms', against }];
}

async function intake({ server, quick }: Bench): Promise<Line[]> {
  const events = quick ? 200 : 1_000;
  const send = (perRequest: number, atOnce: number) => async () => {
    const ms = await server.measure('intake', { events, perRequest, atOnce });
    await server.measure('idle', {});
    return perSecond(events, ms);
  };
  const took = await repeat(quick ? 2 : 5, { single: send(1, 32), batched: send(100, 4) });
  return [
    told('intake, one event a request, 32 at a time', median(took.single), 'events/s'),
    told('intake, 100 events a request, 4 at a time', median(took.batched), 'events/s'),
  ];
}

async function bill({ server, quick, say, bills }: Bench): Promise<Line[]> {
  await server.measure('idle', {});
  const events = quick ? 3 : 5;
  for (const steps of [1, 10, 100])
    bills.push(billOf(steps, await server.measure('bill', { steps, events }), events));
  say(`One run, sent alone, whole life:\n${billTable(bills)}\n`);
  const rows = bills.map(({ counts }) => counts.objectRows + counts.alarmRows);
  const [one = NaN, ten = NaN, hundred = NaN] = rows;
  return [
    { what: 'row writes a step', value: (hundred - ten) / 90, unit: 'rows', target: valueAtMost(4) },
    told('row writes of a run of one step, objects and D1', one + (bills[0]?.counts.d1Rows ?? NaN), 'rows'),
  ];
}

/** Nothing is in memory of a run that sleeps: its object has been evicted, some seconds after it last did anything. */
async function sleeping({ server, quick, say }: Bench): Promise<Line[]> {
  // The platform opens three files for every object that is awake, and all wake up at once.
  const wanted = quick ? 1_000 : 10_000;
  const events = Math.min(wanted, Math.floor(server.files / 3.5));
  if (events < wanted) say(`${events} sleeping runs instead of ${wanted}: \`ulimit -n\` is ${server.files}.`);
  await server.measure('idle', {});
  // How long falling asleep takes is tried out first; then the objects have 10 s to be evicted, and some more.
  const trial = await server.measure('fanOut', { side: 'engine', events: 200, steps: 1 });
  await pause(quick ? 0 : 15_000);
  const before = server.memory();
  const wake = Date.now() + (trial.ms / 200) * events + (quick ? 1.5 : 2) * EVICTED;
  const { ms, since } = await server.measure('sleep', { events, until: wake });
  const margin = wake - Date.now();
  const isAsleep = margin >= EVICTED;
  if (!isAsleep)
    say('Some went to sleep too late to be evicted before they were to wake: no figure for memory.');
  await pause(margin - 1_000);
  const asleep = server.memory();
  await pause(wake - Date.now());
  const from = Date.now();
  while ((await server.measure('ended', { since })) < events) {
    if (Date.now() - from > 300_000)
      throw new Error(`sleeping: not all of ${events} runs have ended after five minutes`);
    await pause(200);
  }
  const took = Date.now() - from;
  return [
    told(`${events} runs, started and put to sleep`, perSecond(events, ms), 'runs/s'),
    ...(isAsleep ? [told('memory of a sleeping run', (asleep - before) / events / 1024, 'KB')] : []),
    told('all woken at one moment, ended and listed', perSecond(events, took), 'runs/s'),
    told('the same, for all', took / 1000, 's'),
  ];
}

function told(what: string, value: number, unit: string): Line {
  return { what, value, unit };
}

function perSecond(count: number, ms: number): number {
  return (count / ms) * 1000;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(ms, 0)));
}

/** Each side once, in turn, and that so many times. */
async function repeat<Sides extends Record<string, () => Promise<unknown>>>(
  times: number,
  sides: Sides,
): Promise<{ [Name in keyof Sides]: Awaited<ReturnType<Sides[Name]>>[] }> {
  const all: Record<string, unknown[]> = {};
  for (let time = 0; time < times; time++) {
    for (const [name, measure] of Object.entries(sides)) (all[name] ??= []).push(await measure());
  }
  return all as { [Name in keyof Sides]: Awaited<ReturnType<Sides[Name]>>[] };
}

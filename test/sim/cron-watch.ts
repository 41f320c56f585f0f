/**
 * Watches the rows of the cron timers from outside: every tick of a schedule is settled once, as a start or as skipped, and stays so
 * (CR-12); of ticks that were missed together only the most recent one starts (CR-13); a schedule that has changed is planned from
 * then on (CR-14).
 */
import type { DatabaseSync } from 'node:sqlite';
import { parseSchedule, type Schedule } from '../../src/cron/schedule.ts';
import { nextTick } from '../../src/cron/ticks.ts';
import type { Catalog } from '../../src/ports.ts';
import { MINUTE, SECOND } from '../../src/lib/time.ts';
import type { StoredEvent } from '../../src/protocol/event.ts';
import type { World } from './world.ts';

/** Starts that come due almost together are no sign of an outage. */
const GRACE = MINUTE;
/** What an undisturbed start may take (CR-12). */
const PROMPT = SECOND;

interface Plan {
  functionId: string;
  texts: string[];
  since: number;
  next: number;
}

interface Start {
  functionId: string;
  tick: number;
  due: number;
  tried: number;
}

interface Rows {
  plans: Map<string, Plan>;
  starts: Map<string, Start>;
  /** Names of ticks. */
  skipped: Set<string>;
}

/** What is known of a tick: a start is on the disk, was handed over at least once, was taken by the intake; or it was skipped. */
type Fate = 'start' | 'tried' | 'taken' | 'skipped';

export class CronWatch {
  /** By the tick's name. */
  readonly #fates = new Map<string, Fate>();
  readonly #world: World;
  readonly #functions: () => Catalog;
  readonly #database: DatabaseSync;
  /** Of functions that have been taken away. */
  readonly #dropped = new Set<string>();
  #before: Rows = { plans: new Map(), starts: new Map(), skipped: new Set() };
  /** By how much the latest of all starts was taken after it was due. */
  #lateness = 0;

  constructor(world: World, functions: () => Catalog, database: DatabaseSync) {
    this.#world = world;
    this.#functions = functions;
    this.#database = database;
  }

  /** Something was written. */
  committed(): void {
    const before = this.#before;
    const rows = this.#read();
    for (const functionId of before.plans.keys())
      if (!rows.plans.has(functionId)) this.#dropped.add(functionId);
    for (const name of rows.skipped) if (!before.skipped.has(name)) this.#isSkipped(name, rows);
    for (const name of before.skipped)
      if (!rows.skipped.has(name) && !this.#isDropped(name))
        this.#wrong(`${name} is no longer listed as skipped`);
    for (const [name, start] of rows.starts) this.#isToStart(name, start, before, rows);
    for (const name of before.starts.keys()) if (!rows.starts.has(name)) this.#isGone(name);
    for (const plan of rows.plans.values()) this.#isPlanned(plan, before.plans.get(plan.functionId));
    this.#before = rows;
  }

  handsOver({ target, ts }: StoredEvent): void {
    const name = tickName(target?.functionId ?? '', ts);
    const fate = this.#fates.get(name);
    if (fate !== 'tried' && fate !== 'taken')
      this.#wrong(`${name} is handed over and was ${fate ?? 'never planned'}`);
  }

  taken({ target, ts }: StoredEvent): void {
    const name = tickName(target?.functionId ?? '', ts);
    this.#fates.set(name, 'taken');
    const due = this.#before.starts.get(name)?.due ?? this.#world.now;
    this.#lateness = Math.max(this.#lateness, this.#world.now - due);
  }

  /** With the world at rest. @param isDisturbed whether anything may have come late. @param horizon until when alarms have fired. */
  check(isDisturbed: boolean, horizon: number): void {
    const now = Math.min(this.#world.now, horizon);
    const { plans, starts } = this.#read();
    for (const name of starts.keys()) this.#wrong(`${name} is still to be started`);
    for (const { functionId, next } of plans.values())
      if (next <= now) this.#wrong(`${functionId} was due at ${next} and nothing happens`);
    for (const { id, triggers } of this.#functions().configs) {
      const isCron = triggers.some((trigger) => 'cron' in trigger);
      if (isCron !== plans.has(id)) this.#wrong(`${id} is ${isCron ? 'not ' : ''}planned`);
    }
    if (!isDisturbed && this.#lateness > PROMPT) this.#wrong(`a tick was ${this.#lateness} ms late`);
  }

  #isSkipped(name: string, { starts }: Rows): void {
    const fate = this.#fates.get(name);
    if (!hasLater(starts, name, Infinity)) this.#wrong(`${name} is skipped and none is later`);
    if (fate !== undefined && fate !== 'start') this.#wrong(`${name} is skipped and was ${fate}`);
    this.#fates.set(name, 'skipped');
  }

  #isToStart(name: string, { tried, due }: Start, before: Rows, { starts }: Rows): void {
    const fate = this.#fates.get(name);
    const isNew = !before.starts.has(name);
    if (isNew && fate !== undefined) this.#wrong(`${name} is to start again and was ${fate}`);
    if (tried === 1 && (isNew || before.starts.get(name)?.tried === 0)) {
      const { now } = this.#world;
      if (due <= now - GRACE && hasLater(starts, name, now))
        this.#wrong(`${name} starts and a later one is due`);
      if (due > now) this.#wrong(`${name} starts before its time`);
    }
    if (fate !== 'taken') this.#fates.set(name, tried === 1 ? 'tried' : 'start');
  }

  #isGone(name: string): void {
    const fate = this.#fates.get(name);
    if (fate === 'taken' || fate === 'skipped' || this.#isDropped(name)) return;
    this.#wrong(`${name} is forgotten and was ${fate}`);
  }

  #isPlanned(plan: Plan, before: Plan | undefined): void {
    const { functionId, texts, since, next } = plan;
    const isSame = before?.texts.join() === texts.join();
    if (!isSame && texts.join() !== this.#textsOf(functionId).join())
      this.#wrong(`${functionId} is planned with schedules that it does not have`);
    if (!isSame && since !== this.#world.now)
      this.#wrong(`${functionId} has changed and is not planned from now`);
    if (nextTick(schedules(texts), since)?.at !== next) this.#wrong(`${functionId} has another next tick`);
    if (before !== undefined) this.#areSettled(plan, before);
  }

  /** Of the ticks that the plan has passed all but the last are skipped, and the last one starts. */
  #areSettled({ functionId, texts, since }: Plan, before: Plan): void {
    const kept = schedules(before.texts.filter((text) => texts.includes(text)));
    const passed = ticksOf(kept, before.since, since);
    for (const at of passed) {
      const name = tickName(functionId, at);
      const fate = this.#fates.get(name);
      const isLast = at === passed.at(-1);
      if (fate === undefined) this.#wrong(`${name} is lost`);
      else if (isLast === (fate === 'skipped'))
        this.#wrong(`${name} is ${fate}${isLast ? ' for nothing' : ''}`);
    }
  }

  #textsOf(functionId: string): string[] {
    const triggers = this.#functions().configs.find(({ id }) => id === functionId)?.triggers ?? [];
    return triggers.flatMap((trigger) => ('cron' in trigger ? [trigger.cron] : []));
  }

  #isDropped(name: string): boolean {
    return this.#dropped.has(parts(name)[0]);
  }

  #read(): Rows {
    const rows = (table: string): Record<string, unknown>[] => {
      const exists = this.#database.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').get(table);
      return exists === undefined
        ? []
        : this.#database.prepare(`SELECT function AS functionId, * FROM ${table}`).all();
    };
    const plans = rows('plan').map(
      (row) => ({ ...row, texts: JSON.parse(String(row['texts'])) as string[] }) as Plan,
    );
    const starts = rows('start') as unknown as Start[];
    const skipped = rows('skipped').flatMap(({ functionId, ticks }) =>
      (JSON.parse(String(ticks)) as { at: number }[]).map(({ at }) => tickName(String(functionId), at)),
    );
    return {
      plans: new Map(plans.map((plan) => [plan.functionId, plan])),
      starts: new Map(starts.map((start) => [tickName(start.functionId, start.tick), start])),
      skipped: new Set(skipped),
    };
  }

  #wrong(what: string): void {
    this.#world.violated(`cron: ${what}`);
  }
}

/** Whether a later tick of the same function has a start that is due by then. */
function hasLater(starts: Rows['starts'], name: string, by: number): boolean {
  const [functionId, tick] = parts(name);
  return [...starts.values()].some(
    (other) => other.functionId === functionId && other.tick > tick && other.due <= by,
  );
}

export function tickName(functionId: string, tick: number): string {
  return `${functionId}@${new Date(tick).toISOString()}`;
}

function parts(name: string): [functionId: string, tick: number] {
  const [functionId = '', tick = ''] = name.split('@');
  return [functionId, Date.parse(tick)];
}

function ticksOf(own: Schedule[], after: number, until: number): number[] {
  const ticks: number[] = [];
  for (let tick = nextTick(own, after); tick !== null && tick.at <= until; tick = nextTick(own, tick.at))
    ticks.push(tick.at);
  return ticks;
}

function schedules(texts: readonly string[]): Schedule[] {
  return texts.flatMap((text) => {
    const parsed = parseSchedule(text);
    return parsed.ok ? [parsed.schedule] : [];
  });
}

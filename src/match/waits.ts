/**
 * Waits and events: under which place of the index a wait is kept, where an event looks for waits, and which event a wait gets.
 * The waits' object keeps the rows (durable-objects/waits-rows.ts); the decisions are here.
 */
import { identityAt, type Equality } from '../expr/equalities.ts';
import { compile, type Expression } from '../expr/expression.ts';
import { verdict } from '../expr/results.ts';
import { bind } from '../expr/wait.ts';
import { isEarlierSibling } from '../lib/ulid.ts';
import type { StoredEvent } from '../protocol/event.ts';
import type { Wait } from '../protocol/wait.ts';

/** Where a wait is found: by what an event has at one path. */
export interface Place {
  readonly path: string;
  readonly value: string;
}

/** No path is written like these two. Here every event looks: nothing is known of what the wait wants. */
export const EVERYWHERE: Place = { path: '', value: '' };
/** Nothing looks here: no event can match. */
export const NOWHERE: Place = { path: '-', value: '' };

/** An event as expressions see it, beside what is handed on when it matches. */
export interface Offer {
  readonly event: StoredEvent;
  readonly view: object;
}

/** Compiled expressions kept: a service's waits have few texts, unless their authors write values into them (WE-8). */
const KEPT = 500;

/** Expressions by their text, each compiled once while it is used. */
export class Conditions {
  readonly #kept = new Map<string, Expression | null>();

  /** Null for a text that does not compile: a run that has one fails before it waits (WE-20). */
  of(text: string): Expression | null {
    const known = this.#kept.get(text);
    if (known !== undefined) {
      this.#kept.delete(text);
      this.#kept.set(text, known);
      return known;
    }
    const compiled = compile(text, { place: 'pair' });
    const expression = compiled.ok ? compiled.expression : null;
    this.#kept.set(text, expression);
    if (this.#kept.size > KEPT)
      for (const [oldest] of this.#kept.entries().take(1)) this.#kept.delete(oldest);
    return expression;
  }
}

/** @param crowd how many waits are at a place already; it need not count beyond some tens. */
export function placeOf(
  { expression: text, given }: Wait,
  conditions: Conditions,
  crowd: (place: Place) => number,
): Place {
  if (text === null) return EVERYWHERE;
  const expression = conditions.of(text);
  if (expression === null) return NOWHERE;
  const { equalities, never } = bind(expression, given);
  if (never) return NOWHERE;
  return quietest(equalities, crowd) ?? EVERYWHERE;
}

/**
 * One equality finds as much as all of them, and each further one would be another row to write. A boolean halves at best. Of the
 * others the one is best that other waits do not share: `type == "paid"` fills up, an order's number does not.
 */
function quietest(equalities: readonly Equality[], crowd: (place: Place) => number): Place | null {
  const telling = equalities.filter(({ identity }) => !identity.startsWith('b:'));
  const places = (telling.length > 0 ? telling : equalities).map(({ pathText, identity }) => ({
    path: pathText,
    value: identity,
  }));
  if (places.length < 2) return places[0] ?? null;
  const crowds = places.map(crowd);
  return places[crowds.indexOf(Math.min(...crowds))] ?? null;
}

/** A place and the events that look there, earliest received first. */
export interface Search extends Place {
  readonly offers: readonly Offer[];
}

/** @param paths of all waits, as their places have them. */
export function searches(offers: readonly Offer[], paths: readonly string[]): Search[] {
  const found = new Map<string, Search & { offers: Offer[] }>();
  const sorted = offers.toSorted((a, b) => byReceipt(a.event, b.event));
  for (const path of paths) {
    if (path === EVERYWHERE.path || path === NOWHERE.path) continue;
    const keys = JSON.parse(path) as Equality['path'];
    for (const offer of sorted) {
      const value = identityAt(offer.view, keys);
      if (value === null) continue;
      const place = found.get(`${path} ${value}`);
      if (place === undefined) found.set(`${path} ${value}`, { path, value, offers: [offer] });
      else place.offers.push(offer);
    }
  }
  return [{ ...EVERYWHERE, offers: sorted }, ...found.values()];
}

/** The earliest of the events that the wait is for (WE-13). @param offers earliest first. */
export function firstMatch(
  wait: Wait,
  offers: readonly Offer[],
  conditions: Conditions,
  now: number,
): Offer | null {
  return offers.find((offer) => isFor(wait, offer, conditions, now)) ?? null;
}

/** An expression that has no value for an event does not match it, and stops nothing else (WE-21, CX-18). */
function isFor(wait: Wait, { event, view }: Offer, conditions: Conditions, now: number): boolean {
  if (event.name !== wait.event || event.env !== wait.env) return false;
  if (event.receivedAt < wait.since || event.receivedAt >= wait.until) return false;
  if (wait.except.includes(event.internalId)) return false;
  // CX-13, CX-14: of one request, what came before the run's own event does not count.
  if (wait.except.some((own) => isEarlierSibling(event.internalId, own))) return false;
  if (wait.expression === null) return true;
  const expression = conditions.of(wait.expression);
  if (expression === null) return false;
  return verdict(expression.evaluate({ event: wait.given, async: view }, { now })).matched;
}

export function earlier(a: Offer | null, b: Offer | null): Offer | null {
  if (a === null || b === null) return a ?? b;
  return byReceipt(a.event, b.event) <= 0 ? a : b;
}

/** Of events received in the same millisecond the internal ids decide: those of one request ascend (CX-13). */
export function byReceipt(a: StoredEvent, b: StoredEvent): number {
  if (a.receivedAt !== b.receivedAt) return a.receivedAt - b.receivedAt;
  return Number(a.internalId > b.internalId) - Number(a.internalId < b.internalId);
}

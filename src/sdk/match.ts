/** Which events are meant: `match` and `if` of waits and of `cancelOn`, as one expression (WE-4 to WE-7, CX-6 to CX-9). */
import type { EventOf } from './events.ts';

/** A member of an event after the first, as it is written in an expression too. */
const NAME = /(?!(?:in|true|false|null)\b)[A-Za-z_]\w*(?:\[(?:\d{1,9}|"[^"\\]*"|'[^'\\]*')\])*/.source;
const PATH = new RegExp(`^${NAME}(?:\\.${NAME})*$`);

/** The same member in both events. Segments that are no identifiers, such as those of `data.order-id`, are quoted. */
export function matchExpression(path: string): string {
  if (PATH.test(path)) return `event.${path} == async.${path}`;
  const quoted = path
    .split('.')
    .map((segment) => `[${JSON.stringify(segment)}]`)
    .join('');
  return `event${quoted} == async${quoted}`;
}

/** `match` wins (WE-6). */
export function expressionOf({ match, if: condition }: Condition): string | null {
  return match === undefined ? (condition ?? null) : matchExpression(match);
}

interface Condition {
  match?: string | undefined;
  if?: string | undefined;
}

/** Which incoming events count: not both of the two members, and with neither of them any event of the name. */
export type MatchOrIf<Path extends string = string> =
  | {
      /** Path of a member that must be equal in the run's own event and in the incoming one, such as `data.orderId`. */
      match?: Path | undefined;
      if?: never;
    }
  | {
      /** CEL expression over `event`, the run's own, and `async`, the incoming one. */
      if?: string | undefined;
      match?: never;
    };

/** Paths that exist in one of the two events at least; where no types are declared, any (ES-17). */
export type MatchPath<Events, Own extends string, Incoming extends string> = string extends keyof Events
  ? string
  : PathIn<EventOf<Events, Own> | EventOf<Events, Incoming>>;

/** Dotted paths into a value. Nothing is known of what lies deeper than this, or has no declared type. */
type PathIn<Value, Depth extends 0[] = []> = Value extends object
  ? {
      [Key in keyof Value & string]-?: Key | `${Key}${Below<NonNullable<Value[Key]>, [...Depth, 0]>}`;
    }[keyof Value & string]
  : never;

type Below<Value, Depth extends 0[]> = unknown extends Value
  ? Any
  : Depth['length'] extends 5
    ? Any
    : Value extends readonly unknown[]
      ? `[${string}`
      : Value extends Date
        ? never
        : `.${PathIn<Value, Depth>}`;

type Any = `.${string}` | `[${string}`;

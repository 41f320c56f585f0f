/** What a value's type is after it has been written as JSON and read again (TY-8). */
import type { Json } from '../lib/json.ts';

type Callable = (...args: never[]) => unknown;

/** What JSON leaves out of an object, and writes as `null` anywhere else. `void` covers `undefined`. */
type Dropped = void | symbol | Callable;

/** A `bigint` has no JSON form: its type is `never`, because writing it fails. */
export type Jsonify<Value> = unknown extends Value
  ? Value
  : Value extends Json
    ? Value
    : Value extends { toJSON(): infer Form }
      ? Jsonify<Form>
      : Value extends Dropped
        ? null
        : Value extends bigint
          ? never
          : Value extends readonly unknown[]
            ? { [Index in keyof Value]: Jsonify<Value[Index]> }
            : Value extends ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>
              ? Record<string, never>
              : Value extends ArrayBufferView
                ? Record<string, number>
                : Value extends object
                  ? JsonifyObject<Value>
                  : never;

type JsonifyObject<Value> = Flat<
  {
    [Key in keyof Value as Fate<Key, Value[Key]> extends 'kept' ? Key : never]: Jsonify<Value[Key]>;
  } & {
    [Key in keyof Value as Fate<Key, Value[Key]> extends 'optional' ? Key : never]?: Jsonify<
      Exclude<Value[Key], Dropped>
    >;
  }
>;

/** Whether a member is always, sometimes or never there in the JSON form. */
type Fate<Key, Member> = Key extends symbol
  ? 'dropped'
  : unknown extends Member
    ? 'kept'
    : [Extract<Member, Dropped>] extends [never]
      ? 'kept'
      : [Exclude<Member, Dropped>] extends [never]
        ? 'dropped'
        : 'optional';

/** The same type, written out: what people see when they hover over it. */
export type Flat<Value> = { [Key in keyof Value]: Value[Key] } & {};

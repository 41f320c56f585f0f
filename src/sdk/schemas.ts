/** Event types of a client. All of it is for the compiler (ES-18); schemas that exist at run time are kept for who wants to check with them. */
import type { EventPayload } from './events.ts';
import type { Flat } from './jsonify.ts';

/** The part of the Standard Schema interface (version 1) that is needed here. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => unknown;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** A zod schema of any version: newer ones are Standard Schemas, older ones carry their output type as a member. */
type ZodSchema = StandardSchema | { readonly _output: unknown };

/** The type of what a schema lets through; `never` for what is no schema. */
export type OutputOf<Schema> = Schema extends { readonly '~standard': { readonly types?: infer Types } }
  ? Types extends { readonly output: infer Value }
    ? Value
    : never
  : Schema extends { readonly _output: infer Value }
    ? Value
    : never;

/** A zod object with a literal `name`, for `fromZod([...])` (ES-7). */
export type LiteralZodEventSchema = ZodSchema & {
  readonly shape: {
    readonly name: ZodSchema & { readonly value: string };
    readonly data?: ZodSchema;
    readonly user?: ZodSchema;
  };
};

interface ZodEvent {
  data?: ZodSchema;
  user?: ZodSchema;
}

interface Declaration {
  name?: string;
  data?: object;
  user?: object;
}

/** Each member fits `Declaration`, and a name that it states is its key's; keys with `*` are exempt (ES-4). */
type NamedByKey<Declared> = {
  [Key in keyof Declared]: Omit<Declaration, 'name'> & {
    name?: Key extends `${string}*${string}` ? string : Key;
  };
};

/** Declarations completed to payloads. */
type Payloads<Declared> = { [Name in keyof Declared & string]: PayloadOf<Declared[Name], Name> };

type PayloadOf<Declared, Key extends string> = Declared extends unknown
  ? Flat<
      Omit<EventPayload, keyof Declared | 'name'> & Omit<Declared, 'name'> & { name: NameOf<Declared, Key> }
    >
  : never;

/** A key such as `shop/*` stands for every name that begins so. */
type NameOf<Declared, Key extends string> = Key extends `${infer Before}*`
  ? Declared extends { name: infer Name extends string }
    ? Name extends Key
      ? `${Before}${string}`
      : Name
    : `${Before}${string}`
  : Key;

/** A later source wins, name by name (ES-2). */
type Stacked<Earlier, Later> = Flat<Omit<Earlier, keyof Later> & Later>;

type DataOnly<Value> = { data: Value extends object ? Value : never };

type ByName<Union extends { name: string }> = { [Member in Union as Member['name']]: Member };

/** What was given at run time for one event. */
export interface RuntimeSchemas {
  readonly data?: unknown;
  readonly user?: unknown;
}

declare const TYPES: unique symbol;

export class EventSchemas<Events = {}> {
  declare readonly [TYPES]: Events;

  /** Schemas by event name, as given to `fromZod` and `fromSchema`; nothing here checks with them. */
  readonly runtime: ReadonlyMap<string, RuntimeSchemas>;

  constructor(runtime: ReadonlyMap<string, RuntimeSchemas> = new Map()) {
    this.runtime = runtime;
  }

  /** Event names to `{ data, user? }`. */
  fromRecord<Declared extends NamedByKey<Declared>>(): EventSchemas<Stacked<Events, Payloads<Declared>>> {
    return new EventSchemas(this.runtime);
  }

  /** A union of types with a literal `name`, `data`, and optionally `user`. */
  fromUnion<Declared extends Declaration & { name: string }>(): EventSchemas<
    Stacked<Events, Payloads<ByName<Declared>>>
  > {
    return new EventSchemas(this.runtime);
  }

  /** The same as `fromRecord`, for types that a tool has written. */
  fromGenerated<Declared extends NamedByKey<Declared>>(): EventSchemas<Stacked<Events, Payloads<Declared>>> {
    return new EventSchemas(this.runtime);
  }

  /** Event names to schemas of their `data`, from any library with the Standard Schema interface. */
  fromSchema<Schemas extends Record<string, StandardSchema>>(
    schemas: Schemas,
  ): EventSchemas<Stacked<Events, Payloads<{ [Name in keyof Schemas]: DataOnly<OutputOf<Schemas[Name]>> }>>> {
    return this.#with(Object.entries(schemas).map(([name, data]) => [name, { data }]));
  }

  /**
   * Event names to `{ data, user? }` of zod schemas, or an array of zod objects with a literal `name`.
   * @deprecated Use `fromSchema`.
   */
  fromZod<Schemas extends Record<string, ZodEvent> | readonly LiteralZodEventSchema[]>(
    schemas: Schemas,
  ): EventSchemas<Stacked<Events, Payloads<ZodDeclarations<Schemas>>>> {
    const entries = Array.isArray(schemas) ? schemas.flatMap(namedShapes) : Object.entries(schemas);
    return this.#with(entries as [string, RuntimeSchemas][]);
  }

  #with<Next>(added: [string, RuntimeSchemas][]): EventSchemas<Next> {
    return new EventSchemas(new Map([...this.runtime, ...added]));
  }
}

type ZodDeclarations<Schemas> = Schemas extends readonly unknown[]
  ? ByName<Extract<OutputOf<Schemas[number]>, { name: string }>>
  : { [Name in keyof Schemas]: { [Member in keyof Schemas[Name]]: OutputOf<Schemas[Name][Member]> } };

/** A literal may stand for several names; old versions of zod have one only. */
function namedShapes({ shape }: LiteralZodEventSchema): [string, RuntimeSchemas][] {
  const { name, ...schemas } = shape;
  const names = (name as { values?: Set<string> }).values ?? [name.value];
  return [...names].map((each) => [each, schemas]);
}

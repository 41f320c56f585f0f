/** Functions that are only known by their ids, such as those of another app or in another language (RF group). */
import type { InngestFunction, TYPES } from './function.ts';
import type { OutputOf } from './schemas.ts';
import type { GetFunctionOutput, InvokePayload } from './invoke.ts';
import { hasTag } from './tag.ts';

const TAG = 'Inngest.FunctionReference';

interface ReferenceIds {
  /** The function's own id, without that of its app. */
  functionId: string;
  /** The app that it belongs to. Default: that of the function which invokes it. */
  appId?: string | undefined;
}

export class InngestFunctionReference<Payload = object, Output = unknown> {
  /** For the compiler only. */
  declare readonly [TYPES]: { payload: Payload; output: Output };

  readonly opts: Readonly<ReferenceIds>;

  constructor({ functionId, appId }: ReferenceIds) {
    this.opts = { functionId, ...(appId === undefined ? {} : { appId }) };
  }

  get [Symbol.toStringTag](): typeof TAG {
    return TAG;
  }
}

export declare namespace InngestFunctionReference {
  /** Any reference, whatever its types. */
  export type Any = InngestFunctionReference<object>;
  /** Also a reference that another copy of the package has made. */
  export interface Like {
    readonly [Symbol.toStringTag]: typeof TAG;
  }
}

export function isReference(value: unknown): value is InngestFunctionReference.Any {
  return hasTag(value, TAG);
}

interface ReferenceOptions extends ReferenceIds {
  /** Types of the function's data and result, by zod or any Standard Schema; nothing is checked at run time. */
  schemas?: { data?: unknown; return?: unknown } | undefined;
}

type ReferenceTo<Source> = Source extends InngestFunction.Any
  ? InngestFunctionReference<InvokePayload<Source>, GetFunctionOutput<Source>>
  : InngestFunctionReference<
      Source extends { schemas: { data: infer Data } } ? { data: OutputOf<Data> } : { data?: unknown },
      Source extends { schemas: { return: infer Return } } ? OutputOf<Return> : unknown
    >;

/**
 * A function for `step.invoke` without its code. Types come from `schemas`, or from the function's own type:
 * `referenceFunction<typeof fn>({ functionId: 'fn' })`.
 */
export function referenceFunction<Source extends InngestFunction.Any | ReferenceOptions>(
  source: Source extends InngestFunction.Any ? ReferenceIds : Source,
): ReferenceTo<Source> {
  return new InngestFunctionReference(source) as ReferenceTo<Source>;
}

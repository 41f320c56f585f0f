/** Names that the protocol between SDK and engine uses, for those who write a handler of their own; and ids from names. */

/** Parameters of the address that a function is called at (PK-14). */
export const queryKeys = {
  DeployId: 'deployId',
  FnId: 'fnId',
  Probe: 'probe',
  StepId: 'stepId',
} as const;

/** PK-15. */
export const headerKeys = {
  Signature: 'x-inngest-signature',
  SdkVersion: 'x-inngest-sdk',
  Environment: 'x-inngest-env',
  Platform: 'x-inngest-platform',
  Framework: 'x-inngest-framework',
  NoRetry: 'x-inngest-no-retry',
  RequestVersion: 'x-inngest-req-version',
  RetryAfter: 'retry-after',
  InngestServerKind: 'x-inngest-server-kind',
  InngestExpectedServerKind: 'x-inngest-expected-server-kind',
  InngestSyncKind: 'x-inngest-sync-kind',
  EventIdSeed: 'x-inngest-event-id-seed',
  TraceParent: 'traceparent',
  TraceState: 'tracestate',
  InngestRunId: 'x-run-id',
  InngestStepId: 'x-inngest-step-id',
} as const;

/**
 * The function id that version 2 made of a function's name (PK-10). For function ids only: an app whose id is changed by it is another
 * app, and the old one is archived (PK-11).
 */
export function slugify(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/-+/g, '-')
    .replaceAll(/^-|-$/g, '');
}

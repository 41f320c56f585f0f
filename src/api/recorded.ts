/** A run from the index, with the output that only its object holds. */
import type { Json } from '../lib/json.ts';
import type { RunRecord } from '../ports.ts';
import type { ApiDeps } from './deps.ts';
import { runView } from './views.ts';

export async function recordedRun(deps: Pick<ApiDeps, 'runs'>, record: RunRecord) {
  const output = record.outputInObject ? (await deps.runs.read(record.runId))?.output : parsed(record.output);
  return runView(record, record.eventId, output ?? null);
}

function parsed(output: string | null): Json {
  return output === null ? null : (JSON.parse(output) as Json);
}

/** A run from the index, with the output that only its object holds. */
import type { Json } from '../lib/json.ts';
import type { RunRecord } from '../ports.ts';
import type { ApiDeps } from './deps.ts';
import { runView } from './views.ts';

export async function recordedRun(deps: Pick<ApiDeps, 'runs'>, record: RunRecord) {
  return runView(record, record.eventId, await recordedOutput(deps, record));
}

export async function recordedOutput(deps: Pick<ApiDeps, 'runs'>, record: RunRecord): Promise<Json> {
  if (!record.outputInObject) return parsed(record.output);
  return (await deps.runs.read(record.runId))?.output ?? null;
}

function parsed(output: string | null): Json {
  return output === null ? null : (JSON.parse(output) as Json);
}

/** The REST API as these tests ask it. */

export interface RunAnswer {
  run_id: string;
  status: 'Running' | 'Completed' | 'Failed' | 'Cancelled';
  output: unknown;
  ended_at: string | null;
  event_id: string;
}

interface StepAnswer {
  name: string;
  op: 'StepRun' | 'Sleep';
  status: 'Running' | 'Waiting' | 'Completed' | 'Failed';
  attempts: number;
  failures: { attempt: number; at: string; error: { name: string; message: string } }[];
  waiting: { reason: string; until: string } | null;
  output: unknown;
  error: { name: string; message: string } | null;
}

export interface TraceAnswer extends RunAnswer {
  function_slug: string;
  waiting: { reason: string; until: string }[];
  failures: StepAnswer['failures'];
  steps: StepAnswer[];
}

export interface EventAnswer {
  id: string;
  internal_id: string;
  name: string;
  data: Record<string, unknown>;
  user: unknown;
  duplicate_of: string | null;
}

export class Api {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  runsOf(eventId: string): Promise<RunAnswer[]> {
    return this.#get(`/v1/events/${eventId}/runs`);
  }

  event(eventId: string): Promise<EventAnswer> {
    return this.#get(`/v1/events/${eventId}`);
  }

  events(query = ''): Promise<EventAnswer[]> {
    return this.#get(`/v1/events${query}`);
  }

  run(runId: string): Promise<RunAnswer> {
    return this.#get(`/v1/runs/${runId}`);
  }

  trace(runId: string): Promise<TraceAnswer> {
    return this.#get(`/v1/runs/${runId}/trace`);
  }

  /** Ids of the accepted events; anything but 200 throws. */
  async send(events: object, headers: Record<string, string> = {}): Promise<string[]> {
    const answer = await fetch(`${this.#url}/e/any-key`, {
      method: 'POST',
      headers,
      body: JSON.stringify(events),
      signal: AbortSignal.timeout(10_000),
    });
    const body = await answer.json<{ ids: string[]; status: number }>();
    if (answer.status !== 200 || body.status !== 200) throw new Error(`not accepted: ${answer.status}`);
    return body.ids;
  }

  async #get<Data>(path: string): Promise<Data> {
    const answer = await fetch(this.#url + path, { signal: AbortSignal.timeout(10_000) });
    if (answer.status !== 200) throw new Error(`GET ${path} answered ${answer.status}`);
    return (await answer.json<{ data: Data }>()).data;
  }
}

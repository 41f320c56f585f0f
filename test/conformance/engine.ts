/** The real engine in cloud mode, and apps in processes of their own that registered with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { canonical } from '../../src/call/request.ts';
import { sign } from '../../src/protocol/signature.ts';
import { LocalServer } from '../e2e/server.ts';
import type { RunAnswer, TraceAnswer } from '../e2e/api.ts';

const SIGNING_KEY = 'signkey-test-0123456789abcdef';
const RUN_ID = '01M7WKR1YGMGMB767BZMNTVN3F';
const EVENT_KEY = 'conformance';
const LOOK_AGAIN = 50;
const PATIENCE = 20_000;
/** Of the apps' complaints. */
const KEPT = 4_000;

export interface Program {
  command: string;
  arguments: string[];
  /** Where it is served. */
  path: string;
  env?: Record<string, string>;
}

export class Engine {
  readonly #server: LocalServer;
  readonly #apps: ChildProcess[] = [];
  /** What the apps have complained of lately. */
  #told = '';

  private constructor(server: LocalServer) {
    this.#server = server;
  }

  static async start(): Promise<Engine> {
    const vars = {
      STEPWELL_DEV: '0',
      STEPWELL_ALLOW_PRIVATE: '1',
      STEPWELL_SIGNING_KEY: SIGNING_KEY,
      STEPWELL_EVENT_KEYS: EVENT_KEY,
      STEPWELL_RETRY_INTERVAL: '50ms',
    };
    return new Engine(await LocalServer.start({ vars }));
  }

  async stop(): Promise<void> {
    for (const app of this.#apps) app.kill('SIGKILL');
    await this.#server.dispose();
  }

  /** Starts the app and has the engine ask it for its functions. Answers its URL. */
  async serve(id: string, program: Program): Promise<string> {
    const { url } = this.#server;
    const env = {
      ...process.env,
      INNGEST_DEV: '0',
      INNGEST_BASE_URL: url,
      INNGEST_SIGNING_KEY: SIGNING_KEY,
      INNGEST_EVENT_KEY: EVENT_KEY,
      ...program.env,
    };
    const child = spawn(program.command, program.arguments, {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: join(import.meta.dirname, 'apps'),
    });
    this.#apps.push(child);
    child.stderr.on('data', (chunk: Buffer) => {
      this.#told = (this.#told + chunk.toString()).slice(-KEPT);
    });
    const [port] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const served = `http://127.0.0.1:${Number(port)}${program.path}`;
    await this.#ask(`/v2/apps/${id}/syncs`, { url: served });
    return served;
  }

  /** Its internal id. */
  async send(name: string, data: object): Promise<string> {
    const body = JSON.stringify({ name, data });
    const response = await fetch(`${this.#server.url}/e/${EVENT_KEY}`, { method: 'POST', body });
    const { ids } = await response.json<{ ids: string[] }>();
    return ids[0] ?? '';
  }

  /** The run that the event started, once it has ended. */
  async ended(eventId: string): Promise<RunAnswer> {
    return this.until(async () => {
      const [run] = await this.get<RunAnswer[]>(`/v1/events/${eventId}/runs`);
      return run?.ended_at == null ? null : run;
    });
  }

  /** Sends, and waits for the end. */
  async run(name: string, data: object = {}): Promise<RunAnswer> {
    return this.ended(await this.send(name, data));
  }

  /** A first call of a run, as the engine would make it. */
  async callApp(url: string, name: string): Promise<void> {
    const event = { name, data: { steps: 1, sideBySide: false }, id: 'e', ts: 1, user: {} };
    const body = canonical({
      ctx: {
        attempt: 0,
        disable_immediate_execution: false,
        run_id: RUN_ID,
        stack: { current: 0, stack: [] },
      },
      event,
      events: [event],
      steps: {},
      use_api: false,
      version: -1,
    });
    const signature = sign(SIGNING_KEY, body, Date.now());
    const headers = { 'content-type': 'application/json', 'x-inngest-signature': signature };
    const response = await fetch(url, { method: 'POST', body, headers });
    const answer = await response.text();
    if (response.status !== 206) throw new Error(`the app answered HTTP ${response.status}: ${answer}`);
  }

  async trace(runId: string): Promise<TraceAnswer> {
    return this.get(`/v1/runs/${runId}/trace`);
  }

  async until<Found>(look: () => Promise<Found | null>): Promise<Found> {
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline) {
      const found = await look();
      if (found !== null) return found;
      await wait(LOOK_AGAIN);
    }
    throw new Error(`nothing came of it in ${PATIENCE} ms: ${this.#server.output}${this.#told}`);
  }

  async get<Answer>(path: string): Promise<Answer> {
    return (await this.#ask(path)) as Answer;
  }

  /** The data of a GraphQL query. */
  async graph<Answer>(query: string, variables: object): Promise<Answer> {
    return (await this.#ask('/v0/gql', { query, variables })) as Answer;
  }

  async #ask(path: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.#server.url}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${SIGNING_KEY}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${path}: HTTP ${response.status}: ${await response.text()}`);
    const answer = await response.json<{ data: unknown }>();
    return answer.data;
  }
}

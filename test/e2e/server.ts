/**
 * The real local server, started as the README says (`npm run dev`), with a state, a port and a process group of its own. The group,
 * which is npm, wrangler and workerd, can be killed as one and started again on the same state.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const ROOT = join(import.meta.dirname, '../..');
const READY_SECONDS = 60;
const STOP_SECONDS = 10;
/** Output kept for the message of a server that does not start. */
const KEPT = 8_000;
const PORTS = { from: 20_000, to: 32_000 };

export interface ServerOptions {
  /** A Worker in place of the shipped one, as a path from the root of the repository; all else is as in wrangler.toml. */
  main?: string;
  /** On top of .dev.vars.example, the way a `.dev.vars` would be. */
  vars?: Record<string, string>;
  /** Apps that it is told of; none are looked for. */
  apps?: string[];
  /** Expected to start and to refuse everything. */
  isBroken?: boolean;
}

/** Servers that exist: neither their processes nor their files outlive the tests, whatever becomes of those. */
const servers = new Set<LocalServer>();
for (const end of ['exit', 'disconnect', 'SIGTERM', 'SIGINT', 'SIGHUP']) {
  process.once(end, () => {
    for (const server of servers) server.disposeNow();
  });
}

export class LocalServer {
  readonly url: string;
  /** Where the state and the generated files of this server are. */
  readonly directory: string;
  /** What the engine has logged as errors, with how often. */
  readonly errors = new Map<string, number>();
  readonly #port: number;
  readonly #arguments: string[];
  readonly #isBroken: boolean;
  #process: ChildProcess | null = null;
  #output = '';

  private constructor(
    port: number,
    directory: string,
    { main, vars, apps = [], isBroken = false }: ServerOptions,
  ) {
    this.#isBroken = isBroken;
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.directory = directory;
    this.#arguments = [
      '--no-discovery',
      ...apps.flatMap((url) => ['--app', url]),
      ...(main === undefined ? [] : ['--config', writeConfig(directory, main)]),
      ...(vars === undefined ? [] : ['--env-file', writeVars(directory, vars)]),
    ];
  }

  /** Resolves when it answers. */
  static async start(options: ServerOptions = {}): Promise<LocalServer> {
    const directory = mkdtempSync(join(tmpdir(), 'stepwell-e2e-'));
    const server = new LocalServer(await freePort(), directory, options);
    servers.add(server);
    try {
      await server.start();
    } catch (error) {
      await server.dispose();
      throw error;
    }
    return server;
  }

  get state(): string {
    return join(this.directory, 'state');
  }

  /** What the server has printed lately. */
  get output(): string {
    return this.#output;
  }

  async start(): Promise<void> {
    if (this.#process !== null) throw new Error('the server is running already');
    this.#output = '';
    const child = spawn('npm', ['run', 'dev', '--', '--port', String(this.#port), ...this.#arguments], {
      cwd: ROOT,
      detached: true,
      env: { ...process.env, STEPWELL_STATE: this.state },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-KEPT);
        for (const [, message = ''] of chunk.toString().matchAll(/"level":"error","message":"([^"]*)"/g)) {
          this.errors.set(message, (this.errors.get(message) ?? 0) + 1);
        }
      });
    }
    this.#process = child;
    await this.#ready(child);
  }

  /** `kill -9` of everything at once. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Freezes everything at once, and lets it go on. */
  async pause(ms: number): Promise<void> {
    const pid = this.#process?.pid;
    if (pid === undefined) return;
    signal(pid, 'SIGSTOP');
    await wait(ms);
    signal(pid, 'SIGCONT');
  }

  /** As Ctrl-C does. */
  async stop(): Promise<void> {
    await this.#end('SIGINT');
  }

  /** Stops it and removes all that it wrote. */
  async dispose(): Promise<void> {
    await this.kill();
    this.disposeNow();
  }

  /** The same without waiting, for when there is no time left. */
  disposeNow(): void {
    servers.delete(this);
    if (this.#process?.pid !== undefined) signal(this.#process.pid, 'SIGKILL');
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  async #ready(child: ChildProcess): Promise<void> {
    const deadline = Date.now() + READY_SECONDS * 1_000;
    while (Date.now() < deadline) {
      if (child.exitCode !== null || child.signalCode !== null) break;
      if (await this.#answers()) return;
      await wait(20);
    }
    const { output } = this;
    await this.kill();
    throw new Error(`the server did not start:\n${output}`);
  }

  async #answers(): Promise<boolean> {
    try {
      const { ok } = await fetch(`${this.url}/health`, { signal: AbortSignal.timeout(2_000) });
      return ok || this.#isBroken;
    } catch {
      return false;
    }
  }

  async #end(how: 'SIGKILL' | 'SIGINT'): Promise<void> {
    const child = this.#process;
    if (child?.pid === undefined) return;
    this.#process = null;
    const closed = once(child, 'close');
    const ended = child.exitCode !== null || child.signalCode !== null;
    signal(child.pid, how);
    // The pipes close with the last process that holds them.
    if (!ended) await Promise.race([closed, wait(STOP_SECONDS * 1_000)]);
    signal(child.pid, 'SIGKILL');
  }
}

function signal(group: number, name: NodeJS.Signals): void {
  try {
    process.kill(-group, name);
  } catch {
    // It is gone.
  }
}

/** wrangler.toml as it is, with another `main`; what is named relative to it comes along. */
function writeConfig(directory: string, main: string): string {
  copyFileSync(join(ROOT, '.dev.vars.example'), join(directory, '.dev.vars.example'));
  const shipped = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8');
  const line = /^main = .*$/m;
  if (!line.test(shipped)) throw new Error('wrangler.toml names no main');
  const path = join(directory, 'wrangler.toml');
  writeFileSync(path, shipped.replace(line, `main = ${JSON.stringify(join(ROOT, main))}`));
  return path;
}

function writeVars(directory: string, vars: Record<string, string>): string {
  const path = join(directory, 'vars');
  writeFileSync(
    path,
    Object.entries(vars)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  return path;
}

/** Below the ports that connections are given: while the server is down, nobody else comes to have it. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

/** The development server with the bench's Worker, its state on disk in a folder of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { unstable_readConfig as readConfig } from 'wrangler';
import type { Measures } from './measure.ts';

const root = join(import.meta.dirname, '../..');
const wrangler = join(root, 'node_modules/wrangler/bin/wrangler.js');
/** Names the Worker for tools that follow imports; the configuration names it too. */
const worker = import.meta.resolve('./worker.ts').replace('file://', '');
const state = join(root, `.wrangler/bench-${process.pid}`);
const env = {
  ...process.env,
  CI: '1',
  WRANGLER_SEND_METRICS: 'false',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  X_LOCAL_OBSERVABILITY: 'false',
};
/** Each live object keeps three files open. */
const RAISE = 'ulimit -n 100000 2>/dev/null || ulimit -n "$(ulimit -Hn)" 2>/dev/null';

export interface Server {
  measure<Name extends keyof Measures>(
    name: Name,
    args: Parameters<Measures[Name]>[1],
  ): ReturnType<Measures[Name]>;
  /** Resident memory of the runtime's processes, in bytes. */
  memory(): number;
  /** Most files that it may have open. */
  files: number;
  stop(): Promise<void>;
}

/** A port that was free a moment ago may be taken by now. */
export async function startServer(tries = 3): Promise<Server> {
  try {
    return await tryStart();
  } catch (error) {
    if (tries === 1) throw error;
    return startServer(tries - 1);
  }
}

async function tryStart(): Promise<Server> {
  checkConfig();
  rmSync(state, { recursive: true, force: true });
  mkdirSync(state, { recursive: true });
  const config = ['--config', join(import.meta.dirname, 'wrangler.toml')];
  const local = [...config, '--persist-to', state];
  const run = (args: string[]) =>
    execFileSync(process.execPath, [wrangler, ...args], {
      cwd: root,
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  run(['d1', 'migrations', 'apply', 'DB', '--local', ...local]);
  // Bundled first, so that nobody who saves a file restarts the server in the middle of a measurement.
  run(['deploy', worker, '--dry-run', '--outdir', join(state, 'build'), ...config]);
  const port = await freePort();
  const options = [
    '--port',
    String(port),
    '--inspector-port',
    String(await freePort()),
    '--log-level',
    'error',
    ...local,
  ];
  const command = [
    process.execPath,
    wrangler,
    'dev',
    join(state, 'build/worker.js'),
    '--no-bundle',
    ...options,
  ];
  // A process group of its own, so that Ctrl-C reaches this process first, which then stops the server in order.
  const child = spawn('sh', ['-c', `${RAISE}; exec "$@"`, 'sh', ...command], {
    cwd: root,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const base = `http://127.0.0.1:${port}/`;
  const processes = () => descendants(child.pid ?? 0);
  const stop = async () => {
    const own = processes();
    child.kill('SIGTERM');
    await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, 5_000).unref())]);
    for (const { pid } of own) kill(pid);
    rmSync(state, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stop().then(() => process.exit(1)));
  await ready(base, () => child.exitCode).catch(async (error: unknown) => {
    await stop();
    throw error;
  });

  return {
    async measure(name, args) {
      const { status, text } = await post(base + name, JSON.stringify(args));
      if (status !== 200) throw new Error(`${name}: ${text}`);
      return JSON.parse(text) as unknown;
    },
    memory: () =>
      processes().reduce(
        (bytes, { command: name, kilobytes }) => bytes + (name.includes('workerd') ? kilobytes * 1024 : 0),
        0,
      ),
    files: Number(execFileSync('sh', ['-c', `${RAISE}; ulimit -n`], { encoding: 'utf8' }).trim()) || Infinity,
    stop,
  } as Server;
}

/** Figures of settings that nobody deploys would mislead. */
function checkConfig(): void {
  const real = readConfig({ config: join(root, 'wrangler.toml') });
  const ours = readConfig({ config: join(import.meta.dirname, 'wrangler.toml') });
  const lists = (config: typeof real): [string, object[]][] => [
    ['queues.producers', config.queues.producers ?? []],
    ['queues.consumers', config.queues.consumers ?? []],
    ['durable_objects.bindings', config.durable_objects.bindings],
    ['compatibility', [{ date: config.compatibility_date, flags: config.compatibility_flags }]],
  ];
  const known = new Map(lists(ours));
  for (const [name, entries] of lists(real)) {
    const missing = entries.filter(
      (entry) => known.get(name)?.some((own) => isDeepStrictEqual(own, entry)) !== true,
    );
    if (missing.length > 0) {
      throw new Error(
        `test/bench/wrangler.toml: ${name} lacks ${JSON.stringify(missing)}; new object classes are exported by worker.ts`,
      );
    }
  }
}

async function ready(base: string, exitCode: () => number | null): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (exitCode() !== null) throw new Error('the development server did not start');
    if (
      await fetch(base).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the development server does not answer');
}

/** Not `fetch`: it gives up after five minutes, and meets connections that the server has closed in a pause. */
function post(url: string, body: string): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method: 'POST', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode, text }));
      response.on('error', reject);
    });
    call.on('error', reject);
    call.end(body);
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

interface Process {
  pid: number;
  parent: number;
  kilobytes: number;
  command: string;
}

function descendants(pid: number): Process[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,rss=,comm='], { encoding: 'utf8' })
    .trim()
    .split('\n');
  const all = lines.map((line): Process => {
    const [id, parent, kilobytes, ...command] = line.trim().split(/\s+/);
    return {
      pid: Number(id),
      parent: Number(parent),
      kilobytes: Number(kilobytes),
      command: command.join(' '),
    };
  });
  const below = (parent: number): Process[] =>
    all.filter((one) => one.parent === parent).flatMap((one) => [one, ...below(one.pid)]);
  return [...all.filter((one) => one.pid === pid), ...below(pid)];
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

/** `npm run dev`: the engine in wrangler's local runtime, and beside it the search for local apps. Runs in Node. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { Discovery, PORTS, type World } from './discovery.ts';
import { HELP, type Options, readOptions } from './options.ts';

/** Nothing of it may need the internet. */
const QUIET = {
  WRANGLER_SEND_METRICS: 'false',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  X_LOCAL_OBSERVABILITY: 'false',
};
/** As in wrangler.toml. */
const PORT = 8288;
const PATIENCE = { open: 500, get: 1_000, sync: 30_000 };

function wrangler(args: string[], stdin: 'ignore' | 'inherit'): ChildProcess {
  return spawn('wrangler', args, { env: { ...process.env, ...QUIET }, stdio: [stdin, 'inherit', 'inherit'] });
}

async function main(options: Options): Promise<void> {
  const state = process.env['STEPWELL_STATE'] ?? '.wrangler/state';
  const migrate = ['d1', 'migrations', 'apply', 'DB', '--local', '--persist-to', state];
  const [failed] = (await once(wrangler(migrate, 'ignore'), 'close')) as [number | null];
  if (failed !== 0) process.exit(failed ?? 1);
  const vars = ['.dev.vars.example', '.dev.vars'].filter((file) => existsSync(file));
  const files = vars.flatMap((file) => ['--env-file', file]);
  const port = options.port === null ? [] : ['--port', String(options.port)];
  const server = wrangler(['dev', '--persist-to', state, ...files, ...port, ...options.rest], 'inherit');
  // A terminal sends Ctrl-C to both; wrangler decides when it is over.
  process.on('SIGINT', () => undefined);
  for (const name of ['SIGTERM', 'SIGHUP'] as const) process.on(name, () => server.kill(name));
  server.on('close', (code) => process.exit(code ?? 1));
  await lookForApps(options);
}

async function lookForApps({ apps, discovers, pollInterval, ...options }: Options): Promise<void> {
  const port = options.port ?? PORT;
  if (discovers) console.log('Looking for apps on the usual local ports; --no-discovery turns that off.');
  const ports = discovers ? PORTS.filter((one) => one !== port) : [];
  const discovery = new Discovery(localWorld(`http://127.0.0.1:${port}`), { named: apps, ports });
  if (ports.length + apps.length === 0) return;
  await isUp(port);
  for (;;) {
    await discovery.round();
    if (pollInterval === 0) return;
    await wait(pollInterval * 1_000);
  }
}

async function isUp(port: number): Promise<void> {
  while (!(await isOpen(port))) await wait(200);
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: 'localhost', timeout: PATIENCE.open });
    const end = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
  });
}

function localWorld(engine: string): World {
  return {
    isOpen,
    async get(url) {
      try {
        const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE.get), redirect: 'manual' });
        await response.body?.cancel();
        return response;
      } catch {
        return null;
      }
    },
    async sync(url) {
      try {
        const response = await fetch(`${engine}/v2/apps/local/syncs`, {
          method: 'POST',
          body: JSON.stringify({ url }),
          signal: AbortSignal.timeout(PATIENCE.sync),
        });
        return outcome((await response.json()) as SyncAnswer);
      } catch {
        return 'the engine did not answer';
      }
    },
    say: (line) => console.log(line),
  };
}

interface SyncAnswer {
  data?: { app: string | null };
  errors?: { message: string }[];
  error?: string;
}

function outcome({ data, errors, error }: SyncAnswer): string {
  if (data !== undefined) return `synced${data.app === null ? '' : ` as "${data.app}"`}`;
  return errors?.[0]?.message ?? error ?? 'not synced';
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) console.log(HELP);
  else await main(options);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

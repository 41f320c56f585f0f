/** What `npm run dev` is told (DS-6 to DS-8); all that is not known here is for wrangler. */

export interface Options {
  /** Serve URLs of apps. */
  apps: string[];
  discovers: boolean;
  /** Seconds between two rounds; 0: one round only. */
  pollInterval: number;
  /** Null: the one of wrangler.toml. */
  port: number | null;
  help: boolean;
  rest: string[];
}

export const HELP = `npm run dev -- [options] [options of "wrangler dev"]

  -u, --app <url>          an app to sync, say http://localhost:3000/api/inngest; may be repeated
      --no-discovery       do not look for apps on the usual local ports
      --poll-interval <s>  seconds between two looks at the apps (5); 0: look once
  -p, --port <port>        where the engine listens (8288)
`;

/** Each takes a value. */
const VALUED: Record<string, (options: Options, value: string) => void> = {
  '--app': (options, value) => options.apps.push(appUrl(value)),
  '--poll-interval': (options, value) => (options.pollInterval = number(value, '--poll-interval')),
  '--port': (options, value) => (options.port = number(value, '--port')),
};
const ALIASES: Record<string, string> = { '-u': '--app', '--sdk-url': '--app', '-p': '--port' };

/** Throws an error that says what was expected. */
export function readOptions(args: readonly string[]): Options {
  const options: Options = { apps: [], discovers: true, pollInterval: 5, port: null, help: false, rest: [] };
  for (let at = 0; at < args.length; at++) {
    const [written = '', inline] = (args[at] ?? '').split(/=(.*)/s);
    const name = ALIASES[written] ?? written;
    const take = VALUED[name];
    if (take !== undefined) take(options, inline ?? args[++at] ?? '');
    else if (name === '--no-discovery') options.discovers = false;
    else if (name === '--help' || name === '-h') options.help = true;
    else options.rest.push(args[at] ?? '');
  }
  return options;
}

function number(text: string, name: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new Error(`${name}: expected a whole number`);
  return Number(text);
}

function appUrl(text: string): string {
  if (!/^https?:\/\/\S+$/.test(text) || !URL.canParse(text)) {
    throw new Error('--app: expected the URL of an app, such as http://localhost:3000/api/inngest');
  }
  return text;
}

/** Settings from options and environment variables (EV group). Loads and reads in runtimes without `process` (PK-4). */

/** Only these are ever read; nothing else of the environment is kept (EV-33). */
const NAMES = [
  'ANTHROPIC_API_KEY',
  'AZURE_OPENAI_API_KEY',
  'DEEPSEEK_API_KEY',
  'GEMINI_API_KEY',
  'OPENAI_API_KEY',
  'XAI_API_KEY',
  'INNGEST_API_BASE_URL',
  'INNGEST_BASE_URL',
  'INNGEST_DEV',
  'INNGEST_ENV',
  'INNGEST_EVENT_API_BASE_URL',
  'INNGEST_EVENT_KEY',
  'INNGEST_LOG_LEVEL',
  'INNGEST_SERVE_HOST',
  'INNGEST_SERVE_PATH',
  'INNGEST_SIGNING_KEY',
  'INNGEST_SIGNING_KEY_FALLBACK',
  'INNGEST_STREAMING',
  'BRANCH',
  'BRANCH_NAME',
  'CF_PAGES',
  'CF_PAGES_BRANCH',
  'CONTEXT',
  'DENO_DEPLOYMENT_ID',
  'ENVIRONMENT',
  'NETLIFY',
  'NODE_ENV',
  'RAILWAY_ENVIRONMENT',
  'RAILWAY_GIT_BRANCH',
  'RENDER',
  'RENDER_GIT_BRANCH',
  'VERCEL',
  'VERCEL_ENV',
  'VERCEL_GIT_COMMIT_REF',
] as const;

export type Variables = { readonly [Name in (typeof NAMES)[number]]?: string };

/** Where a local engine listens. */
export const LOCAL_ENGINE = 'http://localhost:8288';

export interface Settings {
  mode: 'dev' | 'cloud';
  /** Whether the mode was chosen, not inferred. */
  explicit: boolean;
  /** Base of the address that events are sent to; null when nothing says. */
  eventUrl: string | null;
  /** The same of everything else. */
  apiUrl: string | null;
  /** The current one first, then the one that is also taken while keys are changed. */
  signingKeys: string[];
  eventKey: string | null;
  environment: string | null;
  platform: string | null;
}

/** What a client's author may set in code; it wins over the variables. */
export interface ExplicitSettings {
  baseUrl?: string | undefined;
  env?: string | undefined;
  eventKey?: string | undefined;
  isDev?: boolean | undefined;
  signingKey?: string | undefined;
  signingKeyFallback?: string | undefined;
}

interface OtherRuntimes {
  process?: { env?: object };
  Deno?: { env?: VariableReader };
  Netlify?: { env?: VariableReader };
  navigator?: { userAgent?: string };
}
interface VariableReader {
  get(name: string): string | undefined;
}

/** The variables of the process, from whichever global the runtime has (EV-32). */
export function processVariables(): Variables {
  const { process, Deno, Netlify } = globalThis as OtherRuntimes;
  if (process?.env !== undefined) return pickVariables(process.env);
  const reader = Deno?.env ?? Netlify?.env;
  return reader === undefined ? {} : pick((name) => reader.get(name));
}

/** The known variables of a record that may hold anything besides, such as a Worker's bindings. */
export function pickVariables(record: object): Variables {
  return pick((name) => (record as Record<string, unknown>)[name]);
}

/** An empty variable counts as unset, and so does one that may not be read. */
function pick(read: (name: string) => unknown): Variables {
  const found: [string, string][] = [];
  for (const name of NAMES) {
    try {
      const value = read(name);
      if (typeof value === 'string' && value !== '') found.push([name, value]);
    } catch {
      // A runtime that asks for permission was refused it.
    }
  }
  return Object.fromEntries(found);
}

export function readSettings(explicit: ExplicitSettings, variables: Variables): Settings {
  const wanted = explicitMode(explicit.isDev, variables.INNGEST_DEV);
  const urlFrom = (special: string | undefined) =>
    explicit.baseUrl ?? special ?? variables.INNGEST_BASE_URL ?? wanted?.url ?? null;
  return {
    mode: wanted?.mode ?? inferMode(variables),
    explicit: wanted !== null,
    eventUrl: urlFrom(variables.INNGEST_EVENT_API_BASE_URL),
    apiUrl: urlFrom(variables.INNGEST_API_BASE_URL),
    signingKeys: signingKeys(explicit, variables),
    eventKey: explicit.eventKey ?? variables.INNGEST_EVENT_KEY ?? null,
    environment: explicit.env ?? environmentName(variables),
    platform: platformName(variables),
  };
}

function signingKeys(explicit: ExplicitSettings, variables: Variables): string[] {
  const { signingKey = variables.INNGEST_SIGNING_KEY } = explicit;
  const { signingKeyFallback = variables.INNGEST_SIGNING_KEY_FALLBACK } = explicit;
  return [signingKey, signingKeyFallback].filter((key) => key !== undefined && key !== '') as string[];
}

interface ExplicitMode {
  mode: 'dev' | 'cloud';
  url: string | null;
}

/** EV-2 to EV-5, EV-9. Null when nothing was said. */
function explicitMode(isDev: boolean | undefined, variable: string | undefined): ExplicitMode | null {
  const named = variable === undefined ? null : parseDev(variable);
  if (isDev === false) return { mode: 'cloud', url: null };
  if (isDev === true) return { mode: 'dev', url: named?.url ?? LOCAL_ENGINE };
  return named;
}

function parseDev(text: string): ExplicitMode | null {
  const value = text.trim().toLowerCase();
  if (value === 'undefined' || value === '') return null;
  if (value === '1' || value === 'true') return { mode: 'dev', url: LOCAL_ENGINE };
  return URL.canParse(text) ? { mode: 'dev', url: text.trim() } : { mode: 'cloud', url: null };
}

/** EV-7. A Worker has none of these variables, and must not switch its checks off for that (EV-13). */
function inferMode(variables: Variables): 'dev' | 'cloud' {
  const { CONTEXT, ENVIRONMENT, NODE_ENV, VERCEL_ENV } = variables;
  const named = [CONTEXT, ENVIRONMENT, NODE_ENV, VERCEL_ENV].some((text) =>
    text?.toLowerCase().startsWith('prod'),
  );
  const { CF_PAGES, DENO_DEPLOYMENT_ID, NETLIFY, RENDER, RAILWAY_GIT_BRANCH } = variables;
  const hosted = CF_PAGES ?? DENO_DEPLOYMENT_ID ?? NETLIFY ?? RENDER ?? RAILWAY_GIT_BRANCH;
  const onVercel = VERCEL_ENV !== undefined && VERCEL_ENV !== 'development';
  return named || hosted !== undefined || onVercel || onWorkers() ? 'cloud' : 'dev';
}

function onWorkers(): boolean {
  return (globalThis as OtherRuntimes).navigator?.userAgent === 'Cloudflare-Workers';
}

/** EV-18, EV-19: the first that is set. */
function environmentName(variables: Variables): string | null {
  return (
    variables.INNGEST_ENV ??
    variables.BRANCH_NAME ??
    variables.VERCEL_GIT_COMMIT_REF ??
    variables.BRANCH ??
    variables.CF_PAGES_BRANCH ??
    variables.RENDER_GIT_BRANCH ??
    variables.RAILWAY_GIT_BRANCH ??
    null
  );
}

function platformName({ VERCEL, NETLIFY, CF_PAGES, RENDER, RAILWAY_ENVIRONMENT }: Variables): string | null {
  if (VERCEL !== undefined) return 'vercel';
  if (NETLIFY !== undefined) return 'netlify';
  if (CF_PAGES !== undefined) return 'cloudflare-pages';
  if (RENDER !== undefined) return 'render';
  return RAILWAY_ENVIRONMENT === undefined ? null : 'railway';
}
